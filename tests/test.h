/* What every test file includes: cmocka with what it needs, and where the data lie. */
#ifndef LOAM_TEST_H
#define LOAM_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Reference data; a test that needs one that is not there calls skip(). */
#define SHARED(path) LOAM_SHARED "/golden/" path

/* An allocator hook that counts, and fails from one call on if asked to. */
typedef struct fault_heap {
    size_t fail_at; /* 0: never; n: the n-th allocation and all later ones fail */
    size_t calls;
    size_t live_bytes, peak_bytes;
} fault_heap;

static inline void *fault_alloc(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes,
                                size_t align)
{
    fault_heap *heap = ctx;
    void *p = NULL;
    if (new_bytes == 0) {
        free(ptr);
        heap->live_bytes -= old_bytes;
        return NULL;
    }
    heap->calls++;
    if (heap->fail_at && heap->calls >= heap->fail_at) return NULL;
    if (posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, new_bytes) != 0)
        return NULL;
    if (ptr) {
        memcpy(p, ptr, old_bytes < new_bytes ? old_bytes : new_bytes);
        free(ptr);
    } else {
        old_bytes = 0;
    }
    heap->live_bytes += new_bytes - old_bytes;
    if (heap->live_bytes > heap->peak_bytes) heap->peak_bytes = heap->live_bytes;
    return p;
}

/* Run the tests of a file, all or those whose name holds argv[1]. */
#define RUN(tests)                                                                                 \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        if (argc > 1) cmocka_set_test_filter(argv[1]);                                             \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }

#endif
