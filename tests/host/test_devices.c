/* "It runs on this machine and not on that": modules that are missing or wrong are refused with a
 * sentence; a model that is spread over devices gives the bits of one that is not, and takes of
 * each what the plan says. The devices are those of tests/module/tally.c, which compute as the CPU
 * does. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <loam/plan.h>

#include "models.h"

#include <stdbool.h>

#define TALLY    LOAM_TEST_MODULES "/tally.so"
#define N_TOKENS 24
#define DEVICES  3

/* ---- the module's counts ---- */

typedef struct counts {
    void *library;
    const unsigned *runs, *sums, *uploads, *downloads, *open;
    const unsigned *cached;
    bool *fails; /* set: the devices are gone */
} counts;

static counts open_counts(void)
{
    counts c = {.library = dlopen(TALLY, RTLD_NOW)};
    if (!c.library) fail_msg("%s", dlerror());
    c.runs = dlsym(c.library, "tally_runs");
    c.sums = dlsym(c.library, "tally_sums");
    c.uploads = dlsym(c.library, "tally_uploads");
    c.downloads = dlsym(c.library, "tally_downloads");
    c.open = dlsym(c.library, "tally_open");
    c.cached = dlsym(c.library, "tally_cached");
    c.fails = dlsym(c.library, "tally_fails");
    return c;
}

/* ---- loading on devices ---- */

typedef struct spread { /* which devices, in order; layers of each */
    uint32_t n;
    loam_device device[DEVICES];
    const loam_device *pointers[DEVICES];
    loam_options options;
} spread;

static void add(spread *s, const char *backend, uint32_t index, int32_t layers)
{
    loam_device *d = &s->device[s->n];
    loam_device_init(d);
    d->backend = backend;
    d->index = index;
    d->layers = layers;
    s->pointers[s->n++] = d;
    s->options.devices = s->pointers;
    s->options.n_devices = s->n;
}

static void init_spread(spread *s)
{
    *s = (spread){0};
    loam_options_init(&s->options);
    s->options.modules = LOAM_TEST_MODULES;
    s->options.threads = 2;
    s->options.context_tokens = 64;
    s->options.sequences = 3;
    s->options.step_tokens = 8;
}

static loam *load_spread(const char *path, const spread *s)
{
    loam *m = NULL;
    if (loam_load(path, &s->options, &m) != LOAM_OK) fail_msg("%s: %s", path, loam_error(m));
    return m;
}

static void tokens_of(loam_token tokens[N_TOKENS])
{
    for (int i = 0; i < N_TOKENS; i++)
        tokens[i] = (loam_token)((i * 37 + 11) % 290);
}

static uint32_t layers_of(const char *path)
{
    spread s;
    loam_info info;
    init_spread(&s);
    loam *m = load_spread(path, &s);
    loam_info_init(&info);
    assert_int_equal(loam_get_info(m, &info), LOAM_OK);
    loam_free(m);
    return info.layers;
}

/* ---- modules ---- */

static void expect_refused(const char *modules, const char *backend, const char *words)
{
    spread s;
    loam *m = NULL;
    fault_heap heap = {0};
    loam_hooks hooks;
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = &heap;
    init_spread(&s);
    s.options.hooks = &hooks;
    s.options.modules = modules;
    s.options.backend = backend;
    assert_int_equal(loam_load(OWN("tiny-llama.gguf"), &s.options, &m), LOAM_ERR_BACKEND);
    if (!strstr(loam_error(m), words)) fail_msg("\"%s\" does not say \"%s\"", loam_error(m), words);
    loam_free(m);
    assert_int_equal(heap.live_bytes, 0);
}

static void test_module__missing_or_wrong_is_refused_with_its_reason(void **state)
{
    (void)state;
    expect_refused(LOAM_TEST_MODULES, "absent", "absent.so");
    expect_refused("/no/such/folder", "tally", "/no/such/folder/tally.so");
    expect_refused(NULL, "tally", "loam-modules/tally.so");
    expect_refused(LOAM_TEST_MODULES, "../modules/tally", "is no backend");
    expect_refused(LOAM_TEST_MODULES, "Tally", "is no backend");
    expect_refused(LOAM_TEST_MODULES, "refusing", "does not work with this version");
    expect_refused(LOAM_TEST_MODULES, "nameless", "has no function loam_backend_module");
}

static void test_devices__wrong_ones_are_refused(void **state)
{
    static const struct {
        const char *backend;
        uint32_t index;
        int32_t layers;
        loam_status status;
        const char *words;
    } cases[] = {
        {"tally", 2, -1, LOAM_ERR_BACKEND, "has 2 devices and no number 2"},
        {"tally", 0, -2, LOAM_ERR_ARG, "layers is -2"},
        {NULL, 0, -1, LOAM_ERR_ARG, "the backend is NULL"},
        {"cpu", 0, -1, LOAM_ERR_ARG, "twice"},
        {"tally", 0, 1, LOAM_ERR_ARG, "take 1 layers together"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        spread s;
        loam *m = NULL;
        init_spread(&s);
        add(&s, "cpu", 0, cases[i].layers == 1 ? 0 : -1);
        add(&s, cases[i].backend, cases[i].index, cases[i].layers);
        assert_int_equal(loam_load(OWN("tiny-llama.gguf"), &s.options, &m), cases[i].status);
        if (!strstr(loam_error(m), cases[i].words)) fail_msg("%s", loam_error(m));
        loam_free(m);
    }
}

/* ---- the same bits ---- */

typedef struct expected {
    const char *path;
    uint32_t vocab;
    loam_token tokens[N_TOKENS];
    float *logits; /* [N_TOKENS][vocab] */
} expected;

static void compute(loam *m, const expected *e, float *logits)
{
    assert_int_equal(loam_prefill_logits(m, 0, e->tokens, N_TOKENS, logits), LOAM_OK);
}

static void open_expected(expected *e, const char *path)
{
    spread s;
    *e = (expected){.path = path};
    init_spread(&s);
    loam *m = load_spread(path, &s);
    e->vocab = vocabulary_of(m);
    e->logits = malloc(sizeof(float) * N_TOKENS * e->vocab);
    tokens_of(e->tokens);
    compute(m, e, e->logits);
    loam_free(m);
}

static void expect_same(const expected *e, const spread *s, const char *how)
{
    const size_t n = sizeof(float) * N_TOKENS * e->vocab;
    float *logits = malloc(n);
    loam *m = load_spread(e->path, s);
    compute(m, e, logits);
    if (memcmp(logits, e->logits, n) != 0) fail_msg("%s, %s: other bits", e->path, how);
    assert_int_equal(loam_seq_truncate(m, 0, 0), LOAM_OK);
    assert_int_equal(loam_prefill(m, 0, e->tokens, 5), LOAM_OK); /* and in pieces */
    for (size_t i = 5; i < N_TOKENS; i++) {
        loam_seq seq = 0;
        assert_int_equal(loam_decode(m, &seq, &e->tokens[i], 1), LOAM_OK);
        assert_memory_equal(loam_logits(m, 0), e->logits + i * e->vocab, e->vocab * sizeof(float));
    }
    free(logits);
    loam_free(m);
}

static void check_splits(const char *path)
{
    expected e;
    uint32_t layers = layers_of(path);
    counts c = open_counts();
    open_expected(&e, path);
    for (uint32_t k = 0; k <= layers; k++) {
        unsigned runs = *c.runs, sums = *c.sums;
        spread s;
        init_spread(&s);
        add(&s, "tally", 0, (int32_t)k);
        add(&s, "cpu", 0, -1);
        expect_same(&e, &s, "first layers elsewhere");
        assert_true((*c.runs > runs) == (k > 0) && (*c.sums > sums) == (k > 0));
        init_spread(&s);
        add(&s, "cpu", 0, -1);
        add(&s, "tally", 1, (int32_t)k);
        expect_same(&e, &s, "last layers elsewhere");
        init_spread(&s);
        add(&s, "tally", 0, (int32_t)(k / 2));
        add(&s, "cpu", 0, (int32_t)(k - k / 2));
        add(&s, "tally", 1, -1);
        expect_same(&e, &s, "on three devices");
    }
    spread whole;
    init_spread(&whole);
    whole.options.backend = "tally";
    expect_same(&e, &whole, "as the backend that is asked for");
    init_spread(&whole);
    add(&whole, "tally", 1, -1);
    expect_same(&e, &whole, "without the host");
    assert_int_equal(*c.open, 0);
    dlclose(c.library);
    free(e.logits);
}

static void test_devices__any_split_gives_the_same_bits(void **state)
{
    (void)state;
    check_splits(OWN("tiny-llama.gguf"));
    check_splits(OWN("tiny-gemma3.gguf"));
}

/* ---- sequences over devices ---- */

static loam *load_split(const char *path)
{
    spread s;
    init_spread(&s);
    add(&s, "tally", 0, 1);
    add(&s, "cpu", 0, -1);
    return load_spread(path, &s);
}

static void test_devices__sequences_fork_and_are_saved(void **state)
{
    expected e;
    size_t n;
    (void)state;
    open_expected(&e, OWN("tiny-llama.gguf"));
    loam *m = load_split(e.path);
    loam_seq fork, back;
    assert_int_equal(loam_prefill(m, 0, e.tokens, 10), LOAM_OK);
    assert_int_equal(loam_seq_fork(m, 0, &fork), LOAM_OK);
    assert_int_equal(loam_prefill(m, 0, e.tokens + 3, 4), LOAM_OK); /* writes behind the fork */
    assert_int_equal(loam_prefill(m, fork, e.tokens + 10, N_TOKENS - 12), LOAM_OK);
    assert_int_equal(loam_seq_save(m, fork, NULL, 0, &n), LOAM_ERR_BUFFER);
    char *bytes = malloc(n);
    assert_int_equal(loam_seq_save(m, fork, bytes, n, &n), LOAM_OK);
    assert_int_equal(loam_seq_restore(m, bytes, n, &back), LOAM_OK);
    assert_int_equal(loam_prefill(m, back, e.tokens + N_TOKENS - 2, 2), LOAM_OK);
    assert_memory_equal(loam_logits(m, back), e.logits + (size_t)(N_TOKENS - 1) * e.vocab,
                        e.vocab * sizeof(float));
    loam_free(m);
    spread alone; /* the state of a spread model goes on where all is on the host */
    init_spread(&alone);
    m = load_spread(e.path, &alone);
    assert_int_equal(loam_seq_restore(m, bytes, n, &back), LOAM_OK);
    assert_int_equal(loam_prefill(m, back, e.tokens + N_TOKENS - 2, 2), LOAM_OK);
    assert_memory_equal(loam_logits(m, back), e.logits + (size_t)(N_TOKENS - 1) * e.vocab,
                        e.vocab * sizeof(float));
    loam_free(m);
    free(bytes);
    free(e.logits);
}

static void test_devices__interrupted_calls_go_on(void **state)
{
    expected e;
    (void)state;
    open_expected(&e, OWN("tiny-gemma3.gguf"));
    loam *m = load_split(e.path);
    int interrupted = 0;
    assert_int_equal(loam_set_budget(m, 1), LOAM_OK);
    for (loam_status st = LOAM_ERR_DEADLINE; st != LOAM_OK; interrupted++) {
        st = loam_prefill(m, 0, e.tokens, N_TOKENS);
        assert_true(st == LOAM_OK || st == LOAM_ERR_DEADLINE);
    }
    assert_true(interrupted > 3);
    assert_memory_equal(loam_logits(m, 0), e.logits + (size_t)(N_TOKENS - 1) * e.vocab,
                        e.vocab * sizeof(float));
    loam_free(m);
    free(e.logits);
}

static void test_devices__a_lost_one_ends_the_handle(void **state)
{
    counts c = open_counts();
    expected e;
    size_t n;
    (void)state;
    open_expected(&e, OWN("tiny-llama.gguf"));
    loam *m = load_split(e.path);
    assert_int_equal(loam_prefill(m, 0, e.tokens, 4), LOAM_OK);
    *c.fails = true;
    assert_int_equal(loam_prefill(m, 0, e.tokens, 4), LOAM_ERR_DEVICE);
    assert_non_null(strstr(loam_error(m), "devices of tally are gone"));
    *c.fails = false;
    assert_int_equal(loam_prefill(m, 0, e.tokens, 4), LOAM_ERR_DEVICE);
    assert_non_null(strstr(loam_error(m), "load the model again"));
    assert_int_equal(loam_seq_save(m, 0, NULL, 0, &n), LOAM_ERR_DEVICE);
    assert_int_equal(loam_tokenize(m, "a", 1, 0, NULL, 0, &n), LOAM_ERR_BUFFER); /* text goes on */
    loam_free(m);
    dlclose(c.library);
    free(e.logits);
}

/* Nothing crosses but at the cuts: two copies of activations and the logits. */
static void test_devices__little_crosses_between_them(void **state)
{
    counts c = open_counts();
    loam_token tokens[N_TOKENS];
    (void)state;
    tokens_of(tokens);
    loam *m = load_split(OWN("tiny-llama.gguf"));
    unsigned uploads = *c.uploads, downloads = *c.downloads;
    assert_int_equal(loam_prefill(m, 0, tokens, 1), LOAM_OK);
    assert_true(*c.uploads - uploads <= 1 && *c.downloads - downloads <= 1);
    assert_true(*c.downloads - downloads == 1);
    loam_free(m);
    dlclose(c.library);
}

static unsigned loads_with_cache(const counts *c, const void *cache, size_t n)
{
    unsigned before = *c->cached;
    spread s;
    init_spread(&s);
    s.options.backend = "tally";
    s.options.cache = cache;
    s.options.cache_bytes = n;
    loam_free(load_spread(OWN("tiny-llama.gguf"), &s));
    return *c->cached - before;
}

static void test_cache__comes_back_to_its_backend_and_damage_does_no_harm(void **state)
{
    counts c = open_counts();
    size_t n, none;
    (void)state;
    loam *m = load_split(OWN("tiny-llama.gguf"));
    assert_int_equal(loam_cache_get(m, NULL, 0, &n), LOAM_ERR_BUFFER);
    char *bytes = malloc(n + 1), *moved = bytes + 1;
    assert_int_equal(loam_cache_get(m, moved, n, &n), LOAM_OK);
    loam_free(m);
    assert_int_equal(loads_with_cache(&c, moved, n), 1);
    assert_int_equal(loads_with_cache(&c, NULL, 0), 0);
    for (size_t less = 0; less < n; less++)
        loads_with_cache(&c, moved, less);
    for (size_t i = 0; i < n; i++) {
        moved[i] = (char)(moved[i] ^ 0x81);
        loads_with_cache(&c, moved, n);
        moved[i] = (char)(moved[i] ^ 0x81);
    }
    free(bytes);
    spread alone; /* the CPU keeps nothing */
    init_spread(&alone);
    m = load_spread(OWN("tiny-llama.gguf"), &alone);
    assert_int_equal(loam_cache_get(m, NULL, 0, &none), LOAM_OK);
    assert_int_equal(none, 0);
    loam_free(m);
    dlclose(c.library);
}

/* ---- the plan ---- */

static void test_plan__has_the_devices_and_their_parts(void **state)
{
    spread s;
    loam_plan *plan = NULL;
    loam_plan_totals totals;
    loam_plan_device d;
    uint64_t sum = 0;
    uint32_t layers = layers_of(OWN("tiny-llama.gguf"));
    (void)state;
    init_spread(&s);
    add(&s, "tally", 0, 1);
    add(&s, "cpu", 0, -1);
    assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &s.options, &plan), LOAM_OK);
    loam_plan_totals_init(&totals);
    assert_int_equal(loam_plan_get_totals(plan, &totals), LOAM_OK);
    assert_int_equal(loam_plan_device_count(plan), 2);
    for (size_t i = 0; i < 2; i++) {
        uint64_t areas = 0;
        loam_plan_device_init(&d);
        assert_int_equal(loam_plan_get_device(plan, i, &d), LOAM_OK);
        assert_string_equal(d.name, i ? "cpu" : "tally 0");
        assert_int_equal(d.layers, i ? layers - 1 : 1);
        assert_int_equal(d.first_layer, i);
        assert_int_equal(!!(d.flags & LOAM_PLAN_OUTPUT), i);
        for (size_t j = 0; j < loam_plan_area_count(plan); j++) {
            loam_plan_area area;
            loam_plan_area_init(&area);
            assert_int_equal(loam_plan_get_area(plan, j, &area), LOAM_OK);
            if (area.device == i) areas += area.bytes;
        }
        assert_int_equal(areas, d.bytes);
        sum += d.bytes;
    }
    assert_int_equal(sum, totals.total_bytes);
    for (uint32_t i = 0; i < layers; i++)
        assert_int_equal(loam_plan_layer_device(plan, i), i > 0);
    loam_plan_free(plan);
}

static void test_plan__keeps_each_device_to_its_limit(void **state)
{
    uint32_t layers = layers_of(OWN("tiny-llama.gguf")), seen = 0;
    (void)state;
    for (uint64_t limit = 1 << 12; limit < 1 << 24; limit += limit / 4) {
        spread s;
        loam_plan *plan = NULL;
        loam_plan_device d;
        init_spread(&s);
        add(&s, "tally", 0, -1);
        add(&s, "cpu", 0, -1);
        s.device[0].memory_limit_bytes = limit;
        assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &s.options, &plan), LOAM_OK);
        loam_plan_device_init(&d);
        assert_int_equal(loam_plan_get_device(plan, 0, &d), LOAM_OK);
        assert_true(d.bytes <= limit && d.layers <= layers);
        seen |= 1u << d.layers;
        loam_plan_free(plan);
        loam_free(load_spread(OWN("tiny-llama.gguf"), &s));
    }
    assert_true(seen & 1);
}

/* The host too: what it cannot hold goes elsewhere, until it is what cannot be moved. */
static void test_plan__keeps_the_host_to_its_limit(void **state)
{
    loam_plan_device d;
    loam_status st = LOAM_OK;
    uint64_t limit = 0;
    uint32_t moved = 0;
    (void)state;
    for (int i = 0; i < 60 && st == LOAM_OK; i++) { /* from what it takes alone downwards */
        spread s;
        loam_plan *plan = NULL;
        init_spread(&s);
        s.options.flags = LOAM_LOAD_PACK;
        add(&s, "cpu", 0, -1);
        add(&s, "tally", 0, -1);
        s.device[0].memory_limit_bytes = limit;
        st = loam_plan_file(OWN("tiny-llama.gguf"), &s.options, &plan);
        loam_plan_device_init(&d);
        assert_int_equal(loam_plan_get_device(plan, 0, &d), LOAM_OK);
        if (i == 0) limit = d.bytes;
        if (st == LOAM_OK) assert_true(d.bytes <= limit);
        else assert_int_equal(st, LOAM_ERR_NOFIT);
        moved |= st == LOAM_OK && d.layers == 0;
        limit -= limit / 60;
        loam_plan_free(plan);
    }
    assert_true(moved && st == LOAM_ERR_NOFIT);
}

static void test_plan__that_fits_nowhere_is_refused(void **state)
{
    spread s;
    loam *m = NULL;
    (void)state;
    init_spread(&s);
    add(&s, "tally", 0, -1);
    s.device[0].memory_limit_bytes = 4096;
    assert_int_equal(loam_load(OWN("tiny-llama.gguf"), &s.options, &m), LOAM_ERR_NOFIT);
    assert_non_null(strstr(loam_error(m), "4096"));
    loam_free(m);
}

static void test_load__survives_every_failed_allocation(void **state)
{
    loam_status st = LOAM_ERR_NOMEM;
    (void)state;
    for (size_t n = 1; st == LOAM_ERR_NOMEM; n++) {
        fault_heap heap = {.fail_at = n};
        loam_hooks hooks;
        loam *m = NULL;
        spread s;
        loam_hooks_init(&hooks);
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = &heap;
        init_spread(&s);
        add(&s, "tally", 0, 1);
        add(&s, "cpu", 0, -1);
        s.options.hooks = &hooks;
        st = loam_load(OWN("tiny-llama.gguf"), &s.options, &m);
        assert_true(st == LOAM_OK || st == LOAM_ERR_NOMEM);
        loam_free(m);
        assert_int_equal(heap.live_bytes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_module__missing_or_wrong_is_refused_with_its_reason),
        cmocka_unit_test(test_devices__wrong_ones_are_refused),
        cmocka_unit_test(test_devices__any_split_gives_the_same_bits),
        cmocka_unit_test(test_devices__sequences_fork_and_are_saved),
        cmocka_unit_test(test_devices__interrupted_calls_go_on),
        cmocka_unit_test(test_devices__a_lost_one_ends_the_handle),
        cmocka_unit_test(test_devices__little_crosses_between_them),
        cmocka_unit_test(test_cache__comes_back_to_its_backend_and_damage_does_no_harm),
        cmocka_unit_test(test_plan__has_the_devices_and_their_parts),
        cmocka_unit_test(test_plan__keeps_each_device_to_its_limit),
        cmocka_unit_test(test_plan__keeps_the_host_to_its_limit),
        cmocka_unit_test(test_plan__that_fits_nowhere_is_refused),
        cmocka_unit_test(test_load__survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
