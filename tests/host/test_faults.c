/* The system fails too: opening and mapping files, threads, mutexes, and the host's own reads. Each
 * such call of loading fails in its turn; loading then ends with a status and a sentence, or does
 * without, and leaves nothing behind. The calls are caught by the linker (--wrap). */
#define _GNU_SOURCE
#include <loam/gguf.h>
#include <loam/plan.h>

#include "models.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct {
    size_t fail_at, calls; /* 0: none fails */
    int all_later;         /* so do those that follow */
    long maps, mutexes, conds;
    off_t pretended_bytes; /* of every file; 0: what it has */
} system_calls;

static int fails(void)
{
    size_t n = ++system_calls.calls, at = system_calls.fail_at;
    return at && (n == at || (n > at && system_calls.all_later));
}

int __real_open(const char *path, int flags, ...);
int __real_fstat(int fd, struct stat *info);
void *__real_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t n);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __real_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __real_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int __real_pthread_cond_destroy(pthread_cond_t *cond);

int __wrap_open(const char *path, int flags, ...);
int __wrap_fstat(int fd, struct stat *info);
void *__wrap_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t n);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr);
int __wrap_pthread_cond_destroy(pthread_cond_t *cond);

static int fail_with(int error)
{
    errno = error;
    return -1;
}

int __wrap_open(const char *path, int flags, ...)
{
    return fails() ? fail_with(EMFILE) : __real_open(path, flags);
}

int __wrap_fstat(int fd, struct stat *info)
{
    if (fails()) return fail_with(EIO);
    int failed = __real_fstat(fd, info);
    if (system_calls.pretended_bytes) info->st_size = system_calls.pretended_bytes;
    return failed;
}

void *__wrap_mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    if (fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *p = __real_mmap(at, n, protection, flags, fd, offset);
    system_calls.maps += p != MAP_FAILED;
    return p;
}

int __wrap_munmap(void *at, size_t n)
{
    system_calls.maps--;
    return __real_munmap(at, n);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    return fails() ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
    if (fails()) return ENOMEM;
    system_calls.mutexes++;
    return __real_pthread_mutex_init(mutex, attr);
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    system_calls.mutexes--;
    return __real_pthread_mutex_destroy(mutex);
}

int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
    if (fails()) return ENOMEM;
    system_calls.conds++;
    return __real_pthread_cond_init(cond, attr);
}

int __wrap_pthread_cond_destroy(pthread_cond_t *cond)
{
    system_calls.conds--;
    return __real_pthread_cond_destroy(cond);
}

static size_t open_files(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

typedef struct bytes {
    const uint8_t *p;
    size_t n;
} bytes;

/* A host's read is one of the calls that may fail. */
static int32_t host_read(void *ctx, uint64_t offset, void *buffer, size_t n)
{
    const bytes *b = ctx;
    assert_true(offset <= b->n && n <= b->n - offset);
    if (fails()) return 5;
    memcpy(buffer, b->p + offset, n);
    return 0;
}

static bytes read_model(const char *path)
{
    size_t n;
    uint8_t *p = (uint8_t *)read_file(path, &n);
    return (bytes){p, n};
}

static loam_status load(bytes *from, const char *path, fault_heap *heap, loam **m)
{
    loam_hooks hooks;
    loam_options options;
    loam_source source;
    const loam_source *parts[] = {&source};
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = heap;
    loam_options_init(&options);
    options.hooks = &hooks;
    options.threads = 3;
    options.context_tokens = 64;
    options.step_tokens = 8;
    if (path) return loam_load(path, &options, m);
    loam_source_init(&source);
    source.size_bytes = from->n;
    source.read = host_read;
    source.ctx = from;
    return loam_load_sources(parts, 1, &options, m);
}

static void last_logits(loam *m, float *logits)
{
    const loam_token tokens[] = {1, 30, 60, 90, 120, 150, 180, 210, 240, 270};
    assert_int_equal(loam_prefill(m, 0, tokens, 10), LOAM_OK);
    memcpy(logits, loam_logits(m, 0), vocabulary_of(m) * sizeof *logits);
}

static void survive(bytes *from, const char *path, int all_later)
{
    static float expected[512], got[512];
    size_t failed = 0, files = open_files(), tokens;
    bool reached = true; /* the n-th call */
    for (size_t n = 0; reached; n++) {
        fault_heap heap = {0};
        loam *m = NULL;
        memset(&system_calls, 0, sizeof system_calls);
        system_calls.fail_at = n; /* the first time none: to compare with */
        system_calls.all_later = all_later;
        loam_status st = load(from, path, &heap, &m);
        if (st == LOAM_OK) {
            last_logits(m, n ? got : expected);
            if (n) assert_memory_equal(got, expected, sizeof got);
        } else {
            assert_true(st == LOAM_ERR_NOMEM || st == LOAM_ERR_IO);
            assert_true(strlen(loam_error(m)) > 10);
            assert_int_equal(loam_prefill(m, 0, &(loam_token){1}, 1), LOAM_ERR_STATE);
            assert_int_equal(loam_tokenize(m, "a", 1, 0, NULL, 0, &tokens), LOAM_ERR_STATE);
            failed++;
        }
        loam_free(m);
        assert_int_equal(heap.live_bytes, 0);
        assert_int_equal(system_calls.maps, 0);
        assert_int_equal(system_calls.mutexes, 0);
        assert_int_equal(system_calls.conds, 0);
        assert_int_equal(open_files(), files);
        reached = system_calls.calls >= n;
    }
    assert_true(failed > 5);
}

static void test_load__survives_every_failed_call_of_the_system(void **state)
{
    (void)state;
    survive(NULL, OWN("tiny-llama.gguf"), 0);
    survive(NULL, OWN("tiny-llama.gguf"), 1);
}

static void test_load__survives_every_failed_read_of_the_host(void **state)
{
    (void)state;
    bytes from = read_model(OWN("tiny-gemma3.gguf"));
    survive(&from, NULL, 0);
    survive(&from, NULL, 1);
    free((void *)(uintptr_t)from.p);
}

static void test_plan__survives_every_failed_call_of_the_system(void **state)
{
    size_t files = open_files(), n = 0;
    (void)state;
    do {
        loam_plan *plan;
        memset(&system_calls, 0, sizeof system_calls);
        system_calls.fail_at = ++n;
        loam_status st = loam_plan_file(OWN("tiny-llama.gguf"), NULL, &plan);
        assert_true(st == LOAM_OK || st == LOAM_ERR_NOMEM || st == LOAM_ERR_IO);
        if (st != LOAM_OK) assert_true(strlen(loam_plan_error(plan)) > 10);
        loam_plan_free(plan);
        assert_int_equal(system_calls.maps, 0);
        assert_int_equal(system_calls.mutexes, 0);
        assert_int_equal(open_files(), files);
    } while (system_calls.calls >= n);
    assert_true(n > 4);
}

/* A page of a map behind the end of its file cannot be touched: of the file here only the header is
 * left. */
static void test_plan__touches_nothing_but_the_header(void **state)
{
    const char *path = LOAM_TEST_TMP "/header-alone.gguf";
    loam_gguf *g = NULL;
    loam_gguf_tensor first;
    loam_plan *plan = NULL;
    bytes model = read_model(OWN("tiny-llama.gguf"));
    (void)state;
    memset(&system_calls, 0, sizeof system_calls);
    loam_gguf_tensor_init(&first);
    assert_int_equal(loam_gguf_open(OWN("tiny-llama.gguf"), NULL, &g), LOAM_OK);
    assert_int_equal(loam_gguf_get_tensor(g, 0, &first), LOAM_OK); /* the first of the data too */
    loam_gguf_close(g);
    assert_true(first.offset_bytes + 4 * 4096 < model.n);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(model.p, 1, (size_t)first.offset_bytes, f), first.offset_bytes);
    fclose(f);
    system_calls.pretended_bytes = (off_t)model.n;
    assert_int_equal(loam_plan_file(path, NULL, &plan), LOAM_OK);
    system_calls.pretended_bytes = 0;
    loam_plan_free(plan);
    remove(path);
    free((void *)(uintptr_t)model.p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_load__survives_every_failed_call_of_the_system),
    cmocka_unit_test(test_load__survives_every_failed_read_of_the_host),
    cmocka_unit_test(test_plan__survives_every_failed_call_of_the_system),
    cmocka_unit_test(test_plan__touches_nothing_but_the_header),
};

RUN(tests)
