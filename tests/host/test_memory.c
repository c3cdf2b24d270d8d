/* "Out of memory is fatal, or comes an hour after load": every allocation may fail, and none
 * happens after load. */
#define _GNU_SOURCE
#include "models.h"

/* The C library's own malloc, counted while armed: catches what would go past the hook. */
static size_t armed, counted;

#if !defined(__SANITIZE_ADDRESS__) && defined(__GLIBC__)
#define COUNTS_MALLOC 1
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
    counted += armed;
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    counted += armed;
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    counted += armed;
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
    counted += armed;
    return __libc_memalign(align, n);
}
#else
#define COUNTS_MALLOC 0
#endif

static loam_status load_with(fault_heap *heap, const char *path, uint32_t threads, loam **m)
{
    loam_hooks hooks;
    loam_options options;
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = heap;
    loam_options_init(&options);
    options.hooks = &hooks;
    options.threads = threads;
    options.context_tokens = 64;
    options.sequences = 3;
    options.step_tokens = 8;
    return loam_load(path, &options, m);
}

static void survive(const char *path, uint32_t threads)
{
    loam_status st = LOAM_ERR_NOMEM;
    size_t n = 0;
    while (st == LOAM_ERR_NOMEM) {
        fault_heap heap = {.fail_at = ++n};
        loam *m = NULL;
        st = load_with(&heap, path, threads, &m);
        assert_true(st == LOAM_OK || st == LOAM_ERR_NOMEM);
        if (st == LOAM_ERR_NOMEM && n > 1) assert_non_null(strstr(loam_error(m), "memory"));
        loam_free(m);
        assert_int_equal(heap.live_bytes, 0);
    }
    assert_true(n > 10);
}

static void test_load__survives_every_failed_allocation(void **state)
{
    (void)state;
    survive(OWN("tiny-llama.gguf"), 1);
    survive(OWN("tiny-gemma3.gguf"), 2);
}

static void generate(loam *m, loam_seq *seqs, size_t n_seqs, size_t n_steps)
{
    for (size_t step = 0; step < n_steps; step++) {
        loam_token tokens[3];
        for (size_t i = 0; i < n_seqs; i++)
            assert_int_equal(loam_sample(m, seqs[i], &tokens[i]), LOAM_OK);
        assert_int_equal(loam_decode(m, seqs, tokens, n_seqs), LOAM_OK);
    }
}

static void check_nothing_allocates(const char *path, uint32_t threads)
{
    fault_heap heap = {0};
    loam *m = NULL;
    loam_seq seqs[3] = {0};
    loam_token prompt[20];
    loam_sampling sampling;
    loam_sampling_init(&sampling);
    sampling.temperature = 0.9f;
    sampling.top_k = 40;
    sampling.top_p = 0.9f;
    sampling.min_p = 0.01f;
    sampling.repeat_penalty = 1.1f;
    for (int i = 0; i < 20; i++)
        prompt[i] = 5 + 11 * i;
    assert_int_equal(load_with(&heap, path, threads, &m), LOAM_OK);
    size_t live = heap.live_bytes, calls = heap.calls;
    heap.fail_at = 1; /* every further call fails */
    counted = 0;
    armed = 1;
    assert_int_equal(loam_seq_sampling(m, 0, &sampling), LOAM_OK);
    assert_int_equal(loam_prefill(m, 0, prompt, 20), LOAM_OK);
    assert_int_equal(loam_seq_fork(m, 0, &seqs[1]), LOAM_OK);
    assert_int_equal(loam_seq_open(m, &seqs[2]), LOAM_OK);
    assert_int_equal(loam_prefill(m, seqs[2], prompt, 3), LOAM_OK);
    generate(m, seqs, 3, 30);
    armed = 0;
    assert_int_equal(heap.calls, calls);
    assert_int_equal(heap.live_bytes, live);
    assert_int_equal(counted, 0);
    heap.fail_at = 0;
    loam_free(m);
    assert_int_equal(heap.live_bytes, 0);
}

static void test_compute__allocates_nothing_after_load(void **state)
{
    (void)state;
    check_nothing_allocates(OWN("tiny-llama.gguf"), 1);
    check_nothing_allocates(OWN("tiny-llama.gguf"), 2);
    check_nothing_allocates(OWN("tiny-gemma3.gguf"), 2);
}

static void test_count__sees_an_allocation(void **state)
{
    (void)state;
    if (!COUNTS_MALLOC) skip();
    counted = 0;
    armed = 1;
    void *volatile p = malloc(10);
    armed = 0;
    free(p);
    assert_int_equal(counted, 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_load__survives_every_failed_allocation),
    cmocka_unit_test(test_compute__allocates_nothing_after_load),
    cmocka_unit_test(test_count__sees_an_allocation),
};

RUN(tests)
