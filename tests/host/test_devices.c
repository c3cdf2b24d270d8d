/* "It runs on this machine and not on that": modules that are missing or wrong are refused with a
 * sentence; a model that is spread over devices gives the bits of one that is not, and takes of
 * each what the plan says. The devices are those of tests/module/tally.c, which compute as the CPU
 * does. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <loam/backend.h>
#include <loam/plan.h>

#include "models.h"

#include <stdbool.h>

#define TALLY    LOAM_TEST_MODULES "/tally.so"
#define FOUND    LOAM_TEST_MODULES "/auto" /* where "auto" finds tally, as vulkan.so */
#define N_TOKENS 24
#define DEVICES  3

/* ---- the module's counts ---- */

typedef struct counts {
    void *library;
    const unsigned *runs, *sums, *uploads, *downloads, *open;
    const unsigned *cached;
    const unsigned long long (*asked)[LOAM_ARENA_SCRATCH + 1]; /* bytes, of device and kind */
    bool *fails, *is_full; /* set: the devices are gone, or full */
    bool *accelerates;
    double *read_bytes_s;
    uint64_t *memory_bytes;
} counts;

static counts open_counts_of(const char *module)
{
    counts c = {.library = dlopen(module, RTLD_NOW)};
    if (!c.library) fail_msg("%s", dlerror());
    c.runs = dlsym(c.library, "tally_runs");
    c.sums = dlsym(c.library, "tally_sums");
    c.uploads = dlsym(c.library, "tally_uploads");
    c.downloads = dlsym(c.library, "tally_downloads");
    c.open = dlsym(c.library, "tally_open");
    c.cached = dlsym(c.library, "tally_cached");
    c.asked = dlsym(c.library, "tally_asked");
    c.fails = dlsym(c.library, "tally_fails");
    c.is_full = dlsym(c.library, "tally_is_full");
    c.accelerates = dlsym(c.library, "tally_accelerates");
    c.read_bytes_s = dlsym(c.library, "tally_read_bytes_s");
    c.memory_bytes = dlsym(c.library, "tally_memory_bytes");
    return c;
}

static counts open_counts(void)
{
    return open_counts_of(TALLY);
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
        if (i == 0) assert_int_equal(d.limit_bytes, (uint64_t)(0.9 * (1ull << 40)));
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

/* ---- what is planned is what is taken ---- */

/* Of a plan, all that can be asked. */
typedef struct report {
    loam_plan_totals totals;
    size_t n_devices, n_areas;
    loam_plan_device device[DEVICES + 1];
    loam_plan_area area[128];
} report;

static void read_report(const loam_plan *plan, report *r)
{
    memset(r, 0, sizeof *r);
    loam_plan_totals_init(&r->totals);
    assert_int_equal(loam_plan_get_totals(plan, &r->totals), LOAM_OK);
    r->n_devices = loam_plan_device_count(plan);
    r->n_areas = loam_plan_area_count(plan);
    assert_true(r->n_devices <= DEVICES + 1 && r->n_areas <= 128);
    for (size_t i = 0; i < r->n_devices; i++) {
        loam_plan_device_init(&r->device[i]);
        assert_int_equal(loam_plan_get_device(plan, i, &r->device[i]), LOAM_OK);
    }
    for (size_t i = 0; i < r->n_areas; i++) {
        loam_plan_area_init(&r->area[i]);
        assert_int_equal(loam_plan_get_area(plan, i, &r->area[i]), LOAM_OK);
    }
}

/* What the system leaves is never the same, and is what the host may use where no device is it. */
static void forget_rest(report *r)
{
    loam_plan_device *last = &r->device[r->n_devices - 1];
    if (strcmp(last->name, "host") == 0) last->limit_bytes = r->totals.limit_bytes = 0;
}

/* Names are compared apart: they lie elsewhere in another plan. */
static void expect_same_report(report *a, report *b)
{
    assert_int_equal(a->n_devices, b->n_devices);
    assert_int_equal(a->n_areas, b->n_areas);
    forget_rest(a);
    forget_rest(b);
    for (size_t i = 0; i < a->n_devices; i++) {
        assert_string_equal(a->device[i].name, b->device[i].name);
        a->device[i].name = b->device[i].name = NULL;
    }
    for (size_t i = 0; i < a->n_areas; i++) {
        assert_string_equal(a->area[i].name, b->area[i].name);
        a->area[i].name = b->area[i].name = NULL;
    }
    assert_memory_equal(a, b, sizeof *a);
}

static uint64_t area_bytes(const report *r, size_t device, const char *name)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < r->n_areas; i++)
        if (r->area[i].device == device && (!name || strcmp(r->area[i].name, name) == 0))
            sum += r->area[i].bytes;
    return sum;
}

static void check_sums(const report *r)
{
    uint64_t all = 0, kv = 0, weights = 0;
    for (size_t i = 0; i < r->n_devices; i++) {
        assert_int_equal(area_bytes(r, i, NULL), r->device[i].bytes);
        all += r->device[i].bytes;
        kv += area_bytes(r, i, "kv");
        weights += area_bytes(r, i, "weights") + area_bytes(r, i, "weights (mapped)");
    }
    assert_int_equal(all, r->totals.total_bytes);
    assert_int_equal(kv, r->totals.kv_bytes);
    assert_int_equal(weights, r->totals.weights_bytes);
    assert_int_equal(all - kv - weights, r->totals.overhead_bytes);
}

/* What device d of tally was asked for since `before`, kind by kind, is what the plan says. */
static void check_asked(const counts *c, const unsigned long long *before, unsigned d,
                        const report *r)
{
    static const char *const areas[] = {
        [LOAM_ARENA_WEIGHTS_MAPPED] = "weights (mapped)",
        [LOAM_ARENA_WEIGHTS] = "weights",
        [LOAM_ARENA_CONSTANTS] = "constants",
        [LOAM_ARENA_KV] = "kv",
        [LOAM_ARENA_ACTIVATIONS] = "activations",
        [LOAM_ARENA_LOGITS] = "logits",
        [LOAM_ARENA_SCRATCH] = "scratch",
    };
    char name[16];
    snprintf(name, sizeof name, "tally %u", d);
    for (size_t i = 0; i < r->n_devices; i++) {
        if (strcmp(r->device[i].name, name) != 0) continue;
        for (int kind = LOAM_ARENA_WEIGHTS_MAPPED; kind <= LOAM_ARENA_SCRATCH; kind++)
            assert_int_equal(c->asked[d][kind] - before[kind], area_bytes(r, i, areas[kind]));
    }
}

static uint32_t below(uint64_t *seed, uint32_t n)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 33) % n);
}

/* Some devices in some order; where all have a number of layers, the last takes any. */
static void some_spread(uint64_t *seed, uint32_t layers, spread *s)
{
    static const char *const backends[] = {"tally", "cpu", "tally"};
    const uint32_t n = 1 + below(seed, DEVICES), turn = below(seed, DEVICES);
    init_spread(s);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t which = (i + turn) % DEVICES;
        const bool any = i + 1 == n || below(seed, 2);
        add(s, backends[which], which / 2, any ? -1 : (int32_t)below(seed, layers));
        s->device[i].memory_limit_bytes = (uint64_t)1 << (20 + below(seed, 12));
    }
    s->options.context_tokens = 16 + below(seed, 200);
    s->options.sequences = 1 + below(seed, 4);
    s->options.step_tokens = 1 + below(seed, 40);
    s->options.kv_type = LOAM_KV_F32 + (int32_t)below(seed, 3);
    s->options.kv_block_tokens = 8u << below(seed, 3);
    s->options.flags = (const uint32_t[]){0, LOAM_LOAD_PACK, LOAM_LOAD_MAP}[below(seed, 3)];
}

static void test_plan__is_what_each_device_is_asked_for(void **state)
{
    static const char *const paths[] = {OWN("tiny-llama.gguf"), OWN("tiny-gemma3.gguf")};
    const uint32_t layers[] = {layers_of(paths[0]), layers_of(paths[1])};
    const counts c = open_counts();
    uint64_t seed = 7;
    uint32_t shared = 0;
    (void)state;
    for (int i = 0; i < 60; i++) {
        unsigned long long before[2][LOAM_ARENA_SCRATCH + 1];
        loam_plan *file = NULL, *loaded = NULL;
        report planned, taken;
        spread s;
        some_spread(&seed, layers[i % 2], &s);
        memcpy(before, c.asked, sizeof before);
        assert_int_equal(loam_plan_file(paths[i % 2], &s.options, &file), LOAM_OK);
        assert_memory_equal(before, c.asked, sizeof before);
        loam *m = load_spread(paths[i % 2], &s);
        assert_int_equal(loam_plan_loaded(m, &loaded), LOAM_OK);
        read_report(file, &planned);
        read_report(loaded, &taken);
        check_sums(&taken);
        for (unsigned d = 0; d < 2; d++)
            check_asked(&c, before[d], d, &taken);
        for (size_t d = 0; d < s.n; d++)
            assert_true(taken.device[d].bytes <= taken.device[d].limit_bytes &&
                        taken.device[d].limit_bytes == s.device[d].memory_limit_bytes);
        shared += taken.device[0].layers && taken.device[0].layers < layers[i % 2];
        expect_same_report(&planned, &taken);
        loam_plan_free(file);
        loam_plan_free(loaded);
        loam_free(m);
    }
    assert_true(shared > 5);
    dlclose(c.library);
}

static void test_plan__of_a_handle_is_that_of_its_file(void **state)
{
    fault_heap heap = {0};
    loam_hooks hooks;
    spread s;
    loam_plan *file = NULL, *loaded = NULL;
    report a, b;
    uint32_t fit[2];
    (void)state;
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = &heap;
    init_spread(&s); /* all on the host */
    s.options.hooks = &hooks;
    s.options.memory_limit_bytes = (uint64_t)1 << 30;
    assert_int_equal(loam_plan_loaded(NULL, &loaded), LOAM_ERR_ARG);
    assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &s.options, &file), LOAM_OK);
    loam *m = load_spread(OWN("tiny-llama.gguf"), &s);
    loam_token token = 5;
    assert_int_equal(loam_prefill(m, 0, &token, 1), LOAM_OK);
    heap.fail_at = heap.calls + 1;
    assert_int_equal(loam_plan_loaded(m, &loaded), LOAM_ERR_NOMEM);
    assert_null(loaded);
    heap.fail_at = 0;
    assert_int_equal(loam_plan_loaded(m, &loaded), LOAM_OK);
    assert_string_equal(loam_plan_error(loaded), "");
    read_report(file, &a);
    read_report(loaded, &b);
    expect_same_report(&a, &b);
    assert_int_equal(loam_plan_sequences_fit(file, 0, &fit[0]), LOAM_OK);
    assert_int_equal(loam_plan_sequences_fit(loaded, 0, &fit[1]), LOAM_OK);
    assert_int_equal(fit[0], fit[1]);
    loam_plan_free(file);
    loam_plan_free(loaded);
    loam_free(m);
    s.options.flags = LOAM_LOAD_VOCAB;
    m = load_spread(OWN("tiny-llama.gguf"), &s);
    assert_int_equal(loam_plan_loaded(m, &loaded), LOAM_ERR_STATE);
    loam_free(m);
    assert_int_equal(heap.live_bytes, 0);
}

/* ---- advice ---- */

/* Much KV, which two devices and the host share. */
static void init_crowded(spread *s)
{
    init_spread(s);
    s->options.sequences = 64;
    s->options.context_tokens = 256;
    add(s, "tally", 0, 2);
    add(s, "cpu", 0, -1);
    s->device[0].memory_limit_bytes = 3 << 20;
    s->device[1].memory_limit_bytes = 4 << 20;
}

static loam_status plan_total(const spread *s, uint64_t *total)
{
    loam_plan *plan = NULL;
    loam_plan_totals totals;
    spread own = *s; /* whose pointers are to its own devices */
    for (uint32_t i = 0; i < own.n; i++)
        own.pointers[i] = &own.device[i];
    own.options.devices = own.pointers;
    loam_status st = loam_plan_file(OWN("tiny-llama.gguf"), &own.options, &plan);
    loam_plan_totals_init(&totals);
    if (loam_plan_get_totals(plan, &totals) == LOAM_OK) *total = totals.total_bytes;
    loam_plan_free(plan);
    return st;
}

/* Put a change in, or `steps` beyond it; false: no file of that format is here. */
static bool apply(spread *s, const loam_plan_change *c, int steps)
{
    const uint64_t value = (uint64_t)c->value;
    switch (c->kind) {
    case LOAM_CHANGE_SEQUENCES:
        s->options.sequences = (uint32_t)value + (uint32_t)steps;
        return true;
    case LOAM_CHANGE_KV_TOKENS:
        s->options.kv_tokens = value + 16 * (uint64_t)steps;
        return true;
    case LOAM_CHANGE_CONTEXT:
        s->options.context_tokens = (uint32_t)value + (uint32_t)steps;
        return true;
    case LOAM_CHANGE_KV_TYPE:
        s->options.kv_type = (int32_t)value;
        return steps == 0;
    case LOAM_CHANGE_LAYERS:
        s->device[c->device].layers = (int32_t)value + steps;
        return true;
    case LOAM_CHANGE_LIMIT:
        s->device[c->device].memory_limit_bytes = value - ((uint64_t)steps << 20);
        return true;
    default:
        return false;
    }
}

static uint32_t check_changes(const spread *s)
{
    loam_plan *plan = NULL;
    uint32_t kinds = 0;
    assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &s->options, &plan), LOAM_ERR_NOFIT);
    assert_true(loam_plan_change_count(plan) > 0);
    assert_non_null(strstr(loam_plan_error(plan), "it would fit with"));
    for (size_t i = 0; i < loam_plan_change_count(plan); i++) {
        spread changed = *s, beyond = *s;
        loam_plan_change c;
        uint64_t total = 0;
        loam_plan_change_init(&c);
        assert_int_equal(loam_plan_get_change(plan, i, &c), LOAM_OK);
        kinds |= 1u << c.kind;
        if (apply(&changed, &c, 0)) {
            assert_int_equal(plan_total(&changed, &total), LOAM_OK);
            assert_int_equal(total, c.total_bytes);
        }
        if (apply(&beyond, &c, 1)) assert_int_equal(plan_total(&beyond, &total), LOAM_ERR_NOFIT);
    }
    loam_plan_free(plan);
    return kinds;
}

static void test_advice__over_devices_is_enough_and_the_smallest(void **state)
{
    spread s;
    uint32_t kinds = 0;
    (void)state;
    init_crowded(&s);
    kinds |= check_changes(&s); /* too many layers, or too little memory, on the first */
    s.options.sequences = 24;
    s.options.kv_type = LOAM_KV_F32;
    s.device[0].layers = -1;
    s.device[0].memory_limit_bytes = 1 << 20;
    s.device[1].memory_limit_bytes = 2 << 20;
    kinds |= check_changes(&s);
    assert_int_equal(kinds & ~(1u << LOAM_CHANGE_FORMAT),
                     1u << LOAM_CHANGE_SEQUENCES | 1u << LOAM_CHANGE_KV_TOKENS |
                         1u << LOAM_CHANGE_KV_TYPE | 1u << LOAM_CHANGE_CONTEXT |
                         1u << LOAM_CHANGE_LAYERS | 1u << LOAM_CHANGE_LIMIT);
}

static void test_advice__counts_the_sequences_that_devices_hold(void **state)
{
    loam_plan *plan = NULL;
    uint32_t n = 0;
    uint64_t total;
    spread s;
    (void)state;
    init_crowded(&s);
    s.options.sequences = 2;
    assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &s.options, &plan), LOAM_OK);
    assert_int_equal(loam_plan_sequences_fit(plan, 0, &n), LOAM_OK);
    loam_plan_free(plan);
    assert_true(n >= 2);
    s.options.sequences = n;
    assert_int_equal(plan_total(&s, &total), LOAM_OK);
    s.options.sequences = n + 1;
    assert_int_equal(plan_total(&s, &total), LOAM_ERR_NOFIT);
}

static void expect_too_full(const spread *s, const char *words)
{
    loam *m = NULL;
    assert_int_equal(loam_load(OWN("tiny-llama.gguf"), &s->options, &m), LOAM_ERR_NOFIT);
    if (!strstr(loam_error(m), words)) fail_msg("\"%s\" lacks \"%s\"", loam_error(m), words);
    loam_free(m);
}

static void test_plan__says_which_device_is_too_full(void **state)
{
    spread s;
    (void)state;
    init_spread(&s);
    add(&s, "tally", 0, 2);
    add(&s, "cpu", 0, -1);
    s.device[0].memory_limit_bytes = 4096;
    expect_too_full(&s, "tally 0 would hold ");
    expect_too_full(&s, " bytes and its limit is 4096");
    init_spread(&s);
    add(&s, "cpu", 0, 2);
    add(&s, "tally", 1, -1);
    s.device[0].memory_limit_bytes = 4095;
    expect_too_full(&s, "cpu would hold ");
    expect_too_full(&s, " bytes and its limit is 4095");
}

/* The host may have the less of its own, the more of the model can stay in the file's map. */
static void test_plan__leaves_weights_in_the_map_where_only_that_fits(void **state)
{
    loam_plan *plan = NULL;
    report packed, mapped;
    spread s;
    (void)state;
    init_spread(&s);
    add(&s, "cpu", 0, -1);
    add(&s, "tally", 0, -1);
    s.device[1].memory_limit_bytes = 4096; /* too little for any layer */
    s.options.flags = LOAM_LOAD_PACK;
    assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &s.options, &plan), LOAM_OK);
    read_report(plan, &packed);
    loam_plan_free(plan);
    s.device[0].memory_limit_bytes = packed.device[0].bytes - 1;
    assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &s.options, &plan), LOAM_ERR_NOFIT);
    loam_plan_free(plan);
    s.options.flags = 0;
    assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &s.options, &plan), LOAM_OK);
    read_report(plan, &mapped);
    check_sums(&mapped);
    assert_true(mapped.totals.weights_mapped_bytes > 0);
    assert_true(mapped.totals.private_bytes < s.device[0].memory_limit_bytes);
    loam_plan_free(plan);
    loam_free(load_spread(OWN("tiny-llama.gguf"), &s));
}

/* ---- "auto" ---- */

typedef struct lines {
    unsigned n;
    char last[512];
} lines;

static void keep_line(void *ctx, int32_t level, const char *line)
{
    lines *l = ctx;
    if (level > LOAM_LOG_INFO || !strstr(line, "accelerators")) return;
    l->n++;
    snprintf(l->last, sizeof l->last, "%s", line);
}

/* Where layers lie with "auto": as many on the first accelerator as is returned. The results are
 * those of the host, which tally computes like. */
static uint32_t auto_layers(const char *modules, lines *said)
{
    expected e;
    spread s;
    loam_hooks hooks;
    loam_plan *plan = NULL;
    report r;
    open_expected(&e, OWN("tiny-llama.gguf"));
    init_spread(&s);
    loam_hooks_init(&hooks);
    hooks.log = keep_line;
    hooks.log_ctx = said;
    *said = (lines){0};
    s.options.hooks = &hooks;
    s.options.backend = "auto";
    s.options.modules = modules;
    s.options.sequences = 1;
    s.options.context_tokens = 1 << 16; /* so much KV that bytes count, and not the link's start */
    loam *m = load_spread(e.path, &s);
    assert_string_equal(loam_error(m), "");
    assert_int_equal(loam_plan_loaded(m, &plan), LOAM_OK);
    read_report(plan, &r);
    check_sums(&r);
    assert_string_equal(r.device[r.n_devices - 1].name, "cpu");
    const uint32_t there = r.n_devices > 1 ? r.device[0].layers : 0;
    loam_plan_free(plan);
    float *logits = malloc(sizeof(float) * N_TOKENS * e.vocab);
    compute(m, &e, logits);
    assert_memory_equal(logits, e.logits, sizeof(float) * N_TOKENS * e.vocab);
    loam_free(m);
    free(logits);
    free(e.logits);
    return there;
}

static void test_auto__takes_an_accelerator_where_it_is_faster(void **state)
{
    const counts c = open_counts_of(FOUND "/vulkan.so");
    const uint32_t layers = layers_of(OWN("tiny-llama.gguf"));
    lines said;
    (void)state;
    *c.read_bytes_s = 4e11;
    *c.accelerates = false; /* software, however fast it says it is */
    assert_int_equal(auto_layers(FOUND, &said), 0);
    *c.accelerates = true;
    *c.read_bytes_s = 1e9; /* slower than any host */
    assert_int_equal(auto_layers(FOUND, &said), 0);
    assert_int_equal(*c.runs, 0);
    *c.read_bytes_s = 4e11;
    assert_int_equal(auto_layers(FOUND, &said), layers);
    assert_true(*c.runs > 0);
    assert_int_equal(said.n, 0);
    *c.memory_bytes = 12 << 20; /* two devices that have room for one layer each */
    assert_int_equal(auto_layers(FOUND, &said), 1);
    assert_int_equal(*c.open, 0);
    dlclose(c.library);
}

static void test_auto__falls_back_to_the_host_with_a_line(void **state)
{
    const counts c = open_counts_of(FOUND "/vulkan.so");
    lines said;
    (void)state;
    assert_int_equal(auto_layers("/no/such/folder", &said), 0);
    assert_int_equal(said.n, 1);
    assert_non_null(strstr(said.last, "/no/such/folder/vulkan.so"));
    assert_int_equal(auto_layers(LOAM_TEST_MODULES "/broken", &said), 0);
    assert_non_null(strstr(said.last, "has no function loam_backend_module"));
    *c.accelerates = true; /* what is found only when it is loaded */
    *c.read_bytes_s = 4e11;
    *c.memory_bytes = 0;
    *c.is_full = true;
    assert_int_equal(auto_layers(FOUND, &said), 0);
    assert_non_null(strstr(said.last, "the devices of vulkan are full"));
    *c.is_full = false;
    assert_int_equal(*c.open, 0);
    dlclose(c.library);
}

static void test_auto__survives_every_failed_allocation(void **state)
{
    const counts c = open_counts_of(FOUND "/vulkan.so");
    bool failed = true;
    (void)state;
    *c.accelerates = true;
    *c.read_bytes_s = 4e11;
    for (size_t n = 1; failed; n++) {
        fault_heap heap = {.fail_at = n};
        loam_hooks hooks;
        loam *m = NULL;
        spread s;
        loam_hooks_init(&hooks);
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = &heap;
        init_spread(&s);
        s.options.hooks = &hooks;
        s.options.backend = "auto";
        s.options.modules = FOUND;
        s.options.context_tokens = 1 << 12;
        loam_status st = loam_load(OWN("tiny-llama.gguf"), &s.options, &m);
        failed = heap.calls >= n;
        assert_int_equal(st, failed ? LOAM_ERR_NOMEM : LOAM_OK);
        loam_free(m);
        assert_int_equal(heap.live_bytes, 0);
        assert_int_equal(*c.open, 0);
    }
    dlclose(c.library);
}

/* A model on the host alone is not the slower for modules that are there: none is even opened. */
static void test_host__opens_no_module_unasked(void **state)
{
    static const char *const backends[] = {NULL, "", "cpu"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        spread s;
        init_spread(&s);
        s.options.modules = FOUND;
        if (i < 3) s.options.backend = backends[i];
        else add(&s, "cpu", 0, -1);
        loam *m = load_spread(OWN("tiny-llama.gguf"), &s);
        assert_null(dlopen(FOUND "/vulkan.so", RTLD_NOW | RTLD_NOLOAD));
        loam_free(m);
    }
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
        cmocka_unit_test(test_plan__is_what_each_device_is_asked_for),
        cmocka_unit_test(test_plan__of_a_handle_is_that_of_its_file),
        cmocka_unit_test(test_advice__over_devices_is_enough_and_the_smallest),
        cmocka_unit_test(test_advice__counts_the_sequences_that_devices_hold),
        cmocka_unit_test(test_plan__says_which_device_is_too_full),
        cmocka_unit_test(test_plan__leaves_weights_in_the_map_where_only_that_fits),
        cmocka_unit_test(test_host__opens_no_module_unasked),
        cmocka_unit_test(test_auto__takes_an_accelerator_where_it_is_faster),
        cmocka_unit_test(test_auto__falls_back_to_the_host_with_a_line),
        cmocka_unit_test(test_auto__survives_every_failed_allocation),
        cmocka_unit_test(test_load__survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
