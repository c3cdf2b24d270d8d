/* "Out of memory is fatal, or comes an hour after load": every allocation may fail, and none
 * happens after load. */
#define _GNU_SOURCE
#include <loam/plan.h>

#include "models.h"

#include <stdbool.h>

#include <unistd.h>

/* The C library's own malloc, counted while armed: catches what would go past the hook. */
static size_t armed, counted;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)
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

static void init_options(loam_options *options, uint32_t threads)
{
    loam_options_init(options);
    options->threads = threads;
    options->context_tokens = 64;
    options->sequences = 3;
    options->step_tokens = 8;
}

static loam_status load_as(fault_heap *heap, const char *path, loam_options options, loam **m)
{
    loam_hooks hooks;
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = heap;
    options.hooks = &hooks;
    return loam_load(path, &options, m);
}

static loam_status load_with(fault_heap *heap, const char *path, uint32_t threads, loam **m)
{
    loam_options options;
    init_options(&options, threads);
    return load_as(heap, path, options, m);
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

/* ---- the plan is a promise ---- */

static void plan_of(const char *path, const loam_options *options, loam_plan_totals *totals,
                    uint64_t *working)
{
    loam_plan *plan;
    uint64_t sum = 0;
    assert_int_equal(loam_plan_file(path, options, &plan), LOAM_OK);
    loam_plan_totals_init(totals);
    assert_int_equal(loam_plan_get_totals(plan, totals), LOAM_OK);
    *working = 0;
    for (size_t i = 0; i < loam_plan_area_count(plan); i++) {
        loam_plan_area area;
        loam_plan_area_init(&area);
        assert_int_equal(loam_plan_get_area(plan, i, &area), LOAM_OK);
        sum += area.bytes;
        if (strcmp(area.name, "working") == 0) *working = area.bytes;
    }
    assert_int_equal(sum, totals->total_bytes);
    assert_int_equal(sum, totals->weights_bytes + totals->kv_bytes + totals->overhead_bytes);
    loam_plan_free(plan);
}

static void use_text(loam *m)
{
    static const char request[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"the rain\"}]}";
    loam_token tokens[128];
    size_t n;
    loam_info info;
    loam_info_init(&info);
    assert_int_equal(loam_get_info(m, &info), LOAM_OK);
    if (info.chat_template)
        assert_int_equal(loam_chat_tokenize(m, request, strlen(request), tokens, 128, &n), LOAM_OK);
    assert_int_equal(loam_tokenize(m, request, strlen(request), 0, tokens, 128, &n), LOAM_OK);
}

static void check_plan(const char *path, const loam_options *options)
{
    fault_heap heap = {0};
    loam_plan_totals totals;
    uint64_t working;
    loam *m = NULL;
    loam_seq seq = 0;
    const loam_token prompt[] = {1, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130};
    plan_of(path, options, &totals, &working);
    uint64_t private_bytes = totals.total_bytes - totals.weights_mapped_bytes;
    assert_int_equal(load_as(&heap, path, *options, &m), LOAM_OK);
    assert_int_equal(heap.live_bytes, private_bytes - working);
    assert_int_equal(loam_prefill(m, 0, prompt, 11), LOAM_OK);
    generate(m, &seq, 1, 3);
    use_text(m);
    assert_in_range(heap.peak_bytes, 1, private_bytes);
    assert_int_equal(heap.live_bytes, private_bytes - working);
    loam_free(m);
}

/* Every combination of a few sizes, cell types and ways to load. */
static void check_plans(const char *path, const uint32_t *contexts, size_t n_contexts)
{
    static const uint32_t sequences[] = {1, 3},
                          flags[] = {LOAM_LOAD_NO_SHARING, LOAM_LOAD_PACK, LOAM_LOAD_MAP};
    static const int32_t types[][2] = {
        {LOAM_KV_F16, 0}, {LOAM_KV_F32, 0}, {LOAM_KV_F32, LOAM_KV_F16}};
    loam_options options;
    init_options(&options, 1);
    for (size_t i = 0; i < n_contexts * 2 * 3 * 3; i++) {
        size_t rest = i / n_contexts;
        options.context_tokens = contexts[i % n_contexts];
        options.sequences = sequences[rest % 2];
        options.flags = flags[rest / 2 % 3] | (i % 2 ? LOAM_LOAD_PROFILE : 0);
        options.kv_type = types[rest / 6][0];
        options.v_type = types[rest / 6][1];
        options.kv_tokens = i % 4 == 1 ? options.context_tokens + 40 : 0;
        options.threads = 1 + i % 2;
        options.isa = i % 5 == 2 ? "scalar" : NULL;
        options.step_tokens = i % 3 ? 8 : 0;
        options.kv_block_tokens = i % 7 == 3 ? 8 : i % 7 == 5 ? 64 : 0;
        check_plan(path, &options);
    }
}

static void test_plan__is_what_is_allocated(void **state)
{
    static const uint32_t contexts[] = {16, 33, 64, 256};
    (void)state;
    check_plans(OWN("tiny-llama.gguf"), contexts, 4);
    check_plans(OWN("tiny-gemma3.gguf"), contexts, 4);
    check_plans(OWN("tiny-gemma3-listed.gguf"), contexts, 4);
}

static void test_plan__is_what_is_allocated_for_reference_models(void **state)
{
    static const uint32_t contexts[] = {20, 128};
    (void)state;
    FILE *index = fopen(SHARED("models/index.json"), "rb");
    if (!index) skip();
    fclose(index);
    for (size_t i = 0; i < N_REFERENCE_MODELS; i++) {
        char path[512];
        snprintf(path, sizeof path, SHARED("models/%s.gguf"), reference_models[i]);
        check_plans(path, contexts, 2);
    }
}

/* The plan's total is enough, and a byte less is not. */
static void check_least_limit(const char *path)
{
    fault_heap heap = {0};
    loam_plan_totals totals;
    loam_options options;
    uint64_t working;
    init_options(&options, 1);
    plan_of(path, &options, &totals, &working);
    for (uint64_t less = 0; less < 2; less++) {
        loam *m = NULL;
        options.memory_limit_bytes = totals.total_bytes - less;
        assert_int_equal(load_as(&heap, path, options, &m), less ? LOAM_ERR_NOFIT : LOAM_OK);
        loam_free(m);
        assert_int_equal(heap.live_bytes, 0);
    }
}

static void check_real_plans(const char *file)
{
    static const uint32_t contexts[] = {512};
    char path[512];
    if (!COUNTS_MALLOC) skip(); /* minutes under the sanitizers */
    find_model(file, path);
    check_plans(path, contexts, 1);
    check_least_limit(path);
}

static void test_plan__is_what_is_allocated_for_smollm2(void **state)
{
    (void)state;
    check_real_plans(SMOLLM2);
}

static void test_plan__is_what_is_allocated_for_gemma3(void **state)
{
    (void)state;
    check_real_plans(GEMMA3);
}

/* A model that does not fit is refused before its vocabulary is read: no more is taken than for a
 * plan. */
static void test_limit__is_checked_before_the_vocabulary_is_read(void **state)
{
    fault_heap planning = {0}, loading = {0};
    loam_plan_totals totals;
    loam_options options;
    loam_hooks hooks;
    uint64_t working;
    loam_plan *plan = NULL;
    loam *m = NULL;
    (void)state;
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = &planning;
    init_options(&options, 1);
    plan_of(OWN("tiny-llama.gguf"), &options, &totals, &working);
    options.memory_limit_bytes = totals.total_bytes - 1;
    assert_int_equal(load_as(&loading, OWN("tiny-llama.gguf"), options, &m), LOAM_ERR_NOFIT);
    options.hooks = &hooks;
    assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &options, &plan), LOAM_ERR_NOFIT);
    assert_in_range(loading.peak_bytes, 1, planning.peak_bytes);
    loam_plan_free(plan);
    loam_free(m);
}

/* Bytes of n cells. */
static uint64_t bytes_of(int32_t kv, uint64_t n)
{
    static const uint64_t of_32[] = {[LOAM_KV_F32] = 128,
                                     [LOAM_KV_F16] = 64,
                                     [LOAM_KV_BF16] = 64,
                                     [LOAM_KV_Q8_0] = 34,
                                     [LOAM_KV_Q4_0] = 18};
    return n / 32 * of_32[kv];
}

/* Every pair of types, to the byte. 4 blocks of 16 positions hold one sequence of 64; all six
 * layers of gemma have one head of 32, five with the blocks that a window of 5 and a step of 8
 * need, which are no fewer. */
static void test_plan__follows_the_types_of_the_cells(void **state)
{
    (void)state;
    for (int32_t k = LOAM_KV_F32; k <= LOAM_KV_Q4_0; k++) {
        for (int32_t v = LOAM_KV_F32; v <= LOAM_KV_Q4_0; v++) {
            loam_options options;
            loam_plan_totals totals;
            uint64_t working;
            init_options(&options, 1);
            options.kv_type = k;
            options.v_type = v;
            options.sequences = 1;
            plan_of(OWN("tiny-llama-wide.gguf"), &options, &totals, &working);
            uint64_t llama = bytes_of(k, 2 * 2 * 64) + bytes_of(v, 2 * 2 * 64);
            assert_int_equal(totals.kv_token_bytes, llama);
            assert_int_equal(totals.kv_bytes, 64 * llama);
            plan_of(OWN("tiny-gemma3-wide.gguf"), &options, &totals, &working);
            uint64_t gemma = bytes_of(k, 6 * 32) + bytes_of(v, 6 * 32);
            assert_int_equal(totals.kv_token_bytes, gemma);
            assert_int_equal(totals.kv_bytes, 64 * gemma);
            check_plan(OWN("tiny-llama-wide.gguf"), &options);
            check_plan(OWN("tiny-gemma3-wide.gguf"), &options);
        }
    }
}

/* The least limit that is enough is the plan's total; no limit is ever exceeded, nor met by another
 * status than NOFIT. */
static void check_limits(const char *path, uint32_t flags)
{
    loam_plan_totals totals;
    loam_options options;
    uint64_t working;
    init_options(&options, 1);
    options.flags = flags;
    plan_of(path, &options, &totals, &working);
    uint64_t total = totals.total_bytes, step = total / 23;
    for (uint64_t limit = 1; limit <= 2 * total; limit += limit < 4096 ? 1365 : step) {
        const uint64_t near[] = {limit, total - 1, total};
        for (size_t i = 0; i < (limit == 1 ? 3 : 1); i++) {
            fault_heap heap = {0};
            loam *m = NULL;
            options.memory_limit_bytes = near[i];
            loam_status st = load_as(&heap, path, options, &m);
            assert_int_equal(st, near[i] < total ? LOAM_ERR_NOFIT : LOAM_OK);
            if (st == LOAM_OK) use_text(m);
            else assert_non_null(strstr(loam_error(m), "limit"));
            /* below this there would be no handle to carry the text */
            uint64_t least = near[i] > 8192 ? near[i] : 8192;
            assert_in_range(heap.peak_bytes, 1, least);
            loam_free(m);
            assert_int_equal(heap.live_bytes, 0);
        }
    }
}

static void test_limit__is_never_exceeded(void **state)
{
    (void)state;
    check_limits(OWN("tiny-llama.gguf"), 0);
    check_limits(OWN("tiny-llama.gguf"), LOAM_LOAD_PACK);
    check_limits(OWN("tiny-llama.gguf"), LOAM_LOAD_MAP);
    check_limits(OWN("tiny-gemma3.gguf"), 0);
}

/* Whether it fits what the machine has now, and where its weights are. */
static bool fits_as(const char *path, loam_options options, uint32_t flags, loam_plan_totals *t)
{
    loam_plan *plan;
    options.flags = flags;
    loam_plan_totals_init(t);
    const loam_status st = loam_plan_file(path, &options, &plan);
    assert_true(st == LOAM_OK || st == LOAM_ERR_NOFIT);
    assert_int_equal(loam_plan_get_totals(plan, t), LOAM_OK);
    loam_plan_free(plan);
    return st == LOAM_OK;
}

/* With a KV cache that leaves room for half of the weights. What is free changes all the time, so
 * the case must hold before and after. */
static void test_plan__maps_weights_that_do_not_fit_copied(void **state)
{
    char path[512];
    loam_options options;
    loam_plan_totals t;
    (void)state;
    find_model(SMOLLM2, path);
    init_options(&options, 1);
    options.context_tokens = 32768;
    options.sequences = 4096;
    for (int i = 0; i < 10; i++) {
        options.kv_tokens = 32768;
        fits_as(path, options, LOAM_LOAD_MAP, &t);
        const double free = (double)t.limit_bytes - (double)t.private_bytes;
        options.kv_tokens +=
            (uint64_t)((free - (double)t.weights_bytes / 2) / (double)t.kv_token_bytes);
        bool before = fits_as(path, options, LOAM_LOAD_MAP, &t) &&
                      !fits_as(path, options, LOAM_LOAD_PACK, &t);
        bool fits = fits_as(path, options, 0, &t);
        const uint64_t mapped = t.weights_mapped_bytes;
        bool after = fits_as(path, options, LOAM_LOAD_MAP, &t) &&
                     !fits_as(path, options, LOAM_LOAD_PACK, &t);
        if (!before || !after) continue;
        assert_true(fits && mapped > 0);
        return;
    }
    skip();
}

static void test_limit__holds_for_texts(void **state)
{
    static char request[400000];
    static loam_token tokens[400000];
    fault_heap heap = {0};
    loam_plan_totals totals;
    loam_options options;
    uint64_t working;
    loam *m = NULL;
    size_t n = (size_t)sprintf(request, "{\"messages\":[{\"role\":\"user\",\"content\":\""), got;
    (void)state;
    memset(request + n, 'a', sizeof request - n);
    memcpy(request + sizeof request - 4, "\"}]}", 4);
    init_options(&options, 1);
    plan_of(OWN("tiny-llama.gguf"), &options, &totals, &working);
    options.memory_limit_bytes = totals.total_bytes;
    assert_int_equal(load_as(&heap, OWN("tiny-llama.gguf"), options, &m), LOAM_OK);
    assert_int_equal(loam_chat_tokenize(m, request, sizeof request, tokens, 400000, &got),
                     LOAM_ERR_NOMEM);
    assert_non_null(strstr(loam_error(m), "memory_limit_bytes"));
    assert_in_range(heap.peak_bytes, 1, totals.total_bytes - totals.weights_mapped_bytes);
    use_text(m);
    loam_free(m);
    assert_int_equal(heap.live_bytes, 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_limit__holds_for_texts),
    cmocka_unit_test(test_plan__is_what_is_allocated),
    cmocka_unit_test(test_plan__is_what_is_allocated_for_reference_models),
    cmocka_unit_test(test_plan__is_what_is_allocated_for_smollm2),
    cmocka_unit_test(test_plan__is_what_is_allocated_for_gemma3),
    cmocka_unit_test(test_plan__follows_the_types_of_the_cells),
    cmocka_unit_test(test_limit__is_never_exceeded),
    cmocka_unit_test(test_plan__maps_weights_that_do_not_fit_copied),
    cmocka_unit_test(test_limit__is_checked_before_the_vocabulary_is_read),
    cmocka_unit_test(test_load__survives_every_failed_allocation),
    cmocka_unit_test(test_compute__allocates_nothing_after_load),
    cmocka_unit_test(test_count__sees_an_allocation),
};

RUN(tests)
