/* Whole models against reference logits: our own tiny ones, and the reference data where they are.
 */
#define _POSIX_C_SOURCE 200809L
#include "models.h"

#include "backends/cpu/kernels.h"

#include <jansson.h>

#if defined(__SANITIZE_ADDRESS__)
#define QUICK                                                                                      \
    1 /* real models take minutes under the sanitizers; the tiny ones run the same code            \
       */
#else
#define QUICK 0
#endif

typedef struct tolerance {
    double most, rms;
} tolerance;

static const tolerance exact = {1e-3, 1e-4}; /* activations in F32 */

static void expect_near(const char *name, const char *isa, const distance *d, tolerance limit)
{
    if (d->most <= limit.most && rms(d) <= limit.rms) return;
    fail_msg("%s on %s: largest difference %g (limit %g), RMS %g (limit %g)", name, isa, d->most,
             limit.most, rms(d), limit.rms);
}

/* ---- our own ---- */

/* kinds: "" or, such as ".q8_0-q4_0", those of the KV cells. */
static void check_cells(const char *name, const char *kinds, model_options options, tolerance limit)
{
    char path[512];
    loam_token tokens[64];
    size_t n_expected;
    distance d = {0};
    snprintf(path, sizeof path, OWN("%s.tokens"), name);
    size_t n = read_ids(path, tokens, 64);
    snprintf(path, sizeof path, OWN("%s%s.logits.bin"), name, kinds);
    float *expected = read_floats(path, &n_expected);
    snprintf(path, sizeof path, OWN("%s.gguf"), name);
    loam *m = load_model(path, options);
    uint32_t vocab = vocabulary_of(m);
    assert_int_equal(n_expected, n * vocab);
    float *logits = malloc(n_expected * sizeof *logits);
    assert_int_equal(loam_prefill_logits(m, 0, tokens, n, logits), LOAM_OK);
    measure(&d, logits, expected, n_expected);
    snprintf(path, sizeof path, "%s%s", name, kinds);
    expect_near(path, options.isa, &d, limit);
    free(logits);
    free(expected);
    loam_free(m);
}

static void check_own(const char *name, const char *isa, tolerance limit)
{
    check_cells(name, "", (model_options){.isa = isa}, limit);
}

static void test_own_models__scalar_meets_the_plain_reference(void **state)
{
    (void)state;
    check_own("tiny-llama", "scalar", exact);
    check_own("tiny-gemma3", "scalar", exact);
    check_own("tiny-gemma3-listed", "scalar", exact);
}

static void check_own_simd(const char *isa)
{
    check_own("tiny-llama", isa, (tolerance){0.6, 0.08}); /* activations in 8 bits */
    check_own("tiny-gemma3", isa, exact);                 /* F32 and F16 weights only */
}

static void test_own_models__simd_meets_the_plain_reference(void **state)
{
    (void)state;
    on_each_simd(check_own_simd);
}

static void test_own_models__modules_meet_the_plain_reference(void **state)
{
    (void)state;
    on_each_module(check_own_simd);
}

/* The reference rounds its keys and values as the cells do, so what is left are a few numbers that
 * fall on the other side of a half: types taken for each other or a lost scale are far off (0.25 to
 * 0.5 RMS). */
static void check_rounded_cells(const char *name, const char *isa, tolerance limit)
{
    check_cells(name, ".q8_0-q4_0",
                (model_options){.isa = isa, .kv = LOAM_KV_Q8_0, .v = LOAM_KV_Q4_0}, limit);
    check_cells(name, ".q4_0-q8_0",
                (model_options){.isa = isa, .kv = LOAM_KV_Q4_0, .v = LOAM_KV_Q8_0}, limit);
}

static void test_cells__scalar_meets_a_reference_that_rounds_alike(void **state)
{
    (void)state;
    check_rounded_cells("tiny-llama-wide", "scalar", (tolerance){0.02, 3e-3});
    check_rounded_cells("tiny-gemma3-wide", "scalar", (tolerance){0.02, 3e-3});
}

static void check_rounded_cells_simd(const char *isa)
{
    check_rounded_cells("tiny-llama-wide", isa, (tolerance){2, 0.25}); /* activations in 8 bits */
    check_rounded_cells("tiny-gemma3-wide", isa, (tolerance){0.05, 6e-3});
}

static void test_cells__simd_meets_a_reference_that_rounds_alike(void **state)
{
    (void)state;
    on_each_simd(check_rounded_cells_simd);
}

static void test_cells__modules_meet_a_reference_that_rounds_alike(void **state)
{
    (void)state;
    on_each_module(check_rounded_cells_simd);
}

/* What each type costs, against a reference in double precision. */
static void test_cells__each_type_is_near_the_plain_reference(void **state)
{
    static const struct {
        int32_t kv;
        tolerance limit;
    } types[] = {{LOAM_KV_F32, {1e-3, 1e-4}},
                 {LOAM_KV_F16, {0.02, 3e-3}},
                 {LOAM_KV_BF16, {0.1, 0.02}},
                 {LOAM_KV_Q8_0, {0.5, 0.07}},
                 {LOAM_KV_Q4_0, {4, 0.9}}};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        model_options options = {.isa = "scalar", .kv = types[i].kv};
        check_cells("tiny-llama-wide", "", options, types[i].limit);
        check_cells("tiny-gemma3-wide", "", options, types[i].limit);
        options.isa = NULL;
        check_cells("tiny-gemma3-wide", "", options, types[i].limit);
    }
}

/* ---- the reference models ---- */

static size_t ids_of(json_t *array, loam_token *ids, size_t capacity)
{
    size_t n = json_array_size(array);
    assert_true(n <= capacity);
    for (size_t i = 0; i < n; i++)
        ids[i] = (loam_token)json_integer_value(json_array_get(array, i));
    return n;
}

/* The largest logit at each step must be the reference's, up to the first step that is too close to
 * call. */
static void follow_greedy(loam *m, json_t *expected, json_t *gaps, double too_close, size_t steps,
                          const char *name)
{
    loam_seq seq = 0;
    for (size_t i = 0; i < json_array_size(expected) && i < steps; i++) {
        loam_token token, wanted = (loam_token)json_integer_value(json_array_get(expected, i));
        if (json_number_value(json_array_get(gaps, i)) < too_close) return;
        assert_int_equal(loam_sample(m, 0, &token), LOAM_OK);
        if (token != wanted)
            fail_msg("%s: greedy step %zu gives %d and not %d", name, i, token, wanted);
        assert_int_equal(loam_decode(m, &seq, &token, 1), LOAM_OK);
    }
}

static json_t *load_json(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (!root) fail_msg("%s: %s", path, error.text);
    return root;
}

/* One model of golden/models/FOLDER: every logit of every position, and the greedy continuations.
 */
static void check_model(const char *name, const char *isa)
{
    char path[512];
    loam_token tokens[256];
    size_t n_expected, at = 0;
    distance d = {0};
    snprintf(path, sizeof path, SHARED("models/%s.json"), name);
    json_t *root = load_json(path), *run = json_array_get(json_object_get(root, "runs"), 0),
           *sequence;
    snprintf(path, sizeof path, SHARED("models/%s.exact.logits.bin"), name);
    float *expected = read_floats(path, &n_expected);
    snprintf(path, sizeof path, SHARED("models/%s.gguf"), name);
    loam *m = load_model(path, (model_options){.isa = isa, .threads = 2});
    uint32_t vocab = vocabulary_of(m);
    size_t i;
    tolerance limit = exact;
    if (strcmp(isa, "scalar") != 0) { /* activations may be in 8 bits */
        double most = json_number_value(json_object_get(run, "engine_vs_exact_max_abs"));
        double r = json_number_value(json_object_get(run, "engine_vs_exact_rms"));
        if (2 * most > limit.most) limit = (tolerance){2 * most, 1.5 * r};
    }
    json_array_foreach(json_object_get(root, "sequences"), i, sequence)
    {
        size_t n = ids_of(json_object_get(sequence, "tokens"), tokens, 256);
        float *logits = malloc(n * vocab * sizeof *logits);
        assert_int_equal(loam_seq_truncate(m, 0, 0), LOAM_OK);
        if (loam_prefill_logits(m, 0, tokens, n, logits) != LOAM_OK)
            fail_msg("%s: %s", name, loam_error(m));
        measure(&d, logits, expected + at, n * vocab);
        at += n * vocab;
        follow_greedy(m, json_array_get(json_object_get(run, "greedy_exact"), i),
                      json_array_get(json_object_get(run, "greedy_exact_gap"), i), 2 * limit.most,
                      SIZE_MAX, name);
        free(logits);
    }
    assert_int_equal(at, n_expected);
    expect_near(name, isa, &d, limit);
    free(expected);
    loam_free(m);
    json_decref(root);
}

static void check_all(const char *isa)
{
    FILE *there = fopen(SHARED("models/index.json"), "r");
    if (!there) skip();
    fclose(there);
    for (size_t i = 0; i < N_REFERENCE_MODELS; i++)
        check_model(reference_models[i], isa);
}

static void test_reference_models__scalar_matches_at_every_position(void **state)
{
    (void)state;
    check_all("scalar");
}

static void test_reference_models__simd_is_within_the_stated_tolerance(void **state)
{
    (void)state;
    on_each_simd(check_all);
}

static void test_reference_models__modules_are_within_the_stated_tolerance(void **state)
{
    (void)state;
    on_each_module(check_all);
}

/* ---- the real models ---- */

typedef struct real_model {
    const char *file, *reference;
} real_model;

static const real_model smollm2 = {SMOLLM2, "smollm2-135m-instruct.Q4_1"};
static const real_model gemma3 = {GEMMA3, "gemma-3-270m.Q4_K_M"};

/* The model's path, or the test is skipped: it comes from the folder that LOAM_MODELS names. */
static void find_real(const real_model *r, char path[512])
{
    char reference[512];
    if (QUICK) skip();
    find_model(r->file, path);
    snprintf(reference, sizeof reference, SHARED("models/real/%s.f32.json"), r->reference);
    FILE *data = fopen(reference, "rb");
    if (!data) skip();
    fclose(data);
}

/* The sampled logits of one prompt's row: the best ids, then every stride-th. */
static distance against_row(json_t *prompt, size_t stride, uint32_t vocab, const float *row,
                            const float *logits)
{
    distance d = {0};
    json_t *id, *top = json_object_get(prompt, "top_ids");
    size_t i;
    json_array_foreach(top, i, id) measure(&d, &logits[json_integer_value(id)], row++, 1);
    for (i = 0; i < vocab; i += stride)
        measure(&d, &logits[i], row++, 1);
    return d;
}

static void check_prompts(const real_model *r, const char *isa, tolerance limit)
{
    char path[512], reference[512];
    static loam_token tokens[1024], own[1024];
    size_t n_rows, i, n_own;
    json_t *prompt;
    find_real(r, path);
    snprintf(reference, sizeof reference, SHARED("models/real/%s.f32.json"), r->reference);
    json_t *root = load_json(reference);
    size_t stride = (size_t)json_integer_value(json_object_get(root, "sample_stride"));
    size_t width = (size_t)json_integer_value(json_object_get(root, "row_floats"));
    snprintf(reference, sizeof reference, SHARED("models/real/%s.f32.logits.bin"), r->reference);
    float *rows = read_floats(reference, &n_rows);
    loam *m = load_model(path, (model_options){.isa = isa, .threads = 2, .context = 1024});
    json_array_foreach(json_object_get(root, "prompts"), i, prompt)
    {
        size_t n = ids_of(json_object_get(prompt, "tokens"), tokens, 1024);
        const char *text = json_string_value(json_object_get(prompt, "text")), *id = r->reference;
        assert_int_equal(loam_tokenize(m, text, strlen(text),
                                       LOAM_TOKENIZE_SPECIAL | LOAM_TOKENIZE_CONTROL, own, 1024,
                                       &n_own),
                         LOAM_OK);
        assert_int_equal(n_own, n);
        assert_memory_equal(own, tokens, n * sizeof *tokens);
        assert_int_equal(loam_seq_truncate(m, 0, 0), LOAM_OK);
        assert_int_equal(loam_prefill(m, 0, tokens, n), LOAM_OK);
        distance d =
            against_row(prompt, stride, vocabulary_of(m), rows + i * width, loam_logits(m, 0));
        expect_near(id, isa, &d, limit);
        /* The whole of the chat and the long prompt; a start of the others, to save minutes. */
        follow_greedy(m, json_object_get(prompt, "greedy"), json_object_get(prompt, "greedy_gap"),
                      2 * limit.most, i % 4 == 3 ? SIZE_MAX : 12, id);
    }
    free(rows);
    json_decref(root);
    loam_free(m);
}

static const tolerance real_exact = {5e-3, 1e-3};
static const tolerance real_rounded = {1e9, 0.7}; /* no limit is stated for single logits */

static void test_smollm2__scalar_meets_the_reference(void **state)
{
    (void)state;
    check_prompts(&smollm2, "scalar", real_exact);
}

static void test_gemma3__scalar_meets_the_reference(void **state)
{
    (void)state;
    check_prompts(&gemma3, "scalar", real_exact); /* the long prompt crosses the window */
}

static void test_smollm2__simd_is_near_the_reference(void **state)
{
    (void)state;
    check_prompts(&smollm2, NULL, real_rounded);
}

static void test_gemma3__simd_is_near_the_reference(void **state)
{
    (void)state;
    check_prompts(&gemma3, NULL, real_rounded);
}

/* Tokens of a short answer, with some first layers on a module's device and the rest on the host.
 */
static void answer_split(const char *path, const char *module, int32_t layers, loam_token *answer,
                         size_t n)
{
    loam_token prompt[32];
    size_t n_prompt;
    loam_seq seq = 0;
    loam *m = NULL;
    loam_options options;
    loam_device on, host;
    const loam_device *devices[] = {&on, &host};
    static const char text[] = "A loom is a machine on which cloth is";
    loam_options_init(&options);
    loam_device_init(&on);
    loam_device_init(&host);
    on.backend = module;
    on.layers = layers;
    host.backend = "cpu";
    options.modules = LOAM_MODULES;
    /* Vulkan's activations are floats, and so must be those that it is held against. */
    if (strcmp(module, "vulkan") == 0) options.isa = "scalar";
    options.context_tokens = 64;
    options.threads = 2;
    options.devices = devices;
    options.n_devices = 2;
    if (layers < 0) { /* the host alone */
        devices[0] = &host;
        options.n_devices = 1;
    }
    if (loam_load(path, &options, &m) != LOAM_OK) fail_msg("%s", loam_error(m));
    assert_int_equal(
        loam_tokenize(m, text, strlen(text), LOAM_TOKENIZE_SPECIAL, prompt, 32, &n_prompt),
        LOAM_OK);
    assert_int_equal(loam_prefill(m, 0, prompt, n_prompt), LOAM_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(loam_sample(m, 0, &answer[i]), LOAM_OK);
        assert_int_equal(loam_decode(m, &seq, &answer[i], 1), LOAM_OK);
    }
    loam_free(m);
}

static const real_model *split_model;

static void check_splits(const char *module)
{
    enum { STEPS = 8 };
    char path[512];
    loam_token wanted[STEPS], got[STEPS];
    loam_info info;
    find_real(split_model, path);
    loam *m = load_model(path, (model_options){.threads = 1});
    loam_info_init(&info);
    assert_int_equal(loam_get_info(m, &info), LOAM_OK);
    loam_free(m);
    answer_split(path, module, -1, wanted, STEPS);
    const uint32_t splits[] = {0, 1, info.layers / 2, info.layers - 1, info.layers};
    for (size_t i = 0; i < sizeof splits / sizeof *splits; i++) {
        answer_split(path, module, (int32_t)splits[i], got, STEPS);
        if (memcmp(got, wanted, sizeof got) != 0)
            fail_msg("%s with %u layers on %s: another text", split_model->file, splits[i], module);
    }
}

static void test_smollm2__any_split_with_a_module_gives_the_same_text(void **state)
{
    (void)state;
    split_model = &smollm2;
    on_each_module(check_splits);
}

static void test_gemma3__any_split_with_a_module_gives_the_same_text(void **state)
{
    (void)state;
    split_model = &gemma3;
    on_each_module(check_splits);
}

/* -log of the probability that the logits give to a token. */
static double surprise(const float *logits, uint32_t vocab, loam_token token)
{
    double top = -INFINITY, sum = 0;
    for (uint32_t i = 0; i < vocab; i++)
        if (logits[i] > top) top = logits[i];
    for (uint32_t i = 0; i < vocab; i++)
        sum += exp(logits[i] - top);
    return log(sum) + top - logits[token];
}

#define CHUNK  512
#define SCORED 255
#define FIRST  256

/* Perplexity as golden/models/README.md describes it, over the first n_chunks; each token's loss
 * against the reference's. */
static void check_perplexity(const real_model *r, model_options options, size_t n_chunks,
                             double limit, double token_limit)
{
    const char *isa = options.isa;
    char path[512], reference[512];
    size_t n_losses;
    double sum = 0, wanted = 0;
    find_real(r, path);
    snprintf(reference, sizeof reference, SHARED("models/real/%s.f32.ppl.json"), r->reference);
    json_t *root = load_json(reference), *bos = json_object_get(root, "bos");
    json_t *ids = json_object_get(root, "tokens");
    snprintf(reference, sizeof reference, SHARED("models/real/%s.f32.nll.bin"), r->reference);
    float *losses = read_floats(reference, &n_losses);
    options.threads = 2;
    options.context = CHUNK;
    loam *m = load_model(path, options);
    uint32_t vocab = vocabulary_of(m);
    float *logits = malloc((size_t)SCORED * vocab * sizeof *logits);
    for (size_t c = 0; c < n_chunks; c++) {
        loam_token tokens[CHUNK];
        for (size_t i = 0; i < CHUNK; i++)
            tokens[i] = (loam_token)json_integer_value(json_array_get(ids, c * CHUNK + i));
        if (json_is_integer(bos)) tokens[0] = (loam_token)json_integer_value(bos);
        assert_int_equal(loam_seq_truncate(m, 0, 0), LOAM_OK);
        assert_int_equal(loam_prefill(m, 0, tokens, FIRST), LOAM_OK);
        assert_int_equal(loam_prefill_logits(m, 0, tokens + FIRST, SCORED, logits), LOAM_OK);
        for (size_t i = 0; i < SCORED; i++) {
            double loss = surprise(logits + i * vocab, vocab, tokens[FIRST + i + 1]);
            double expected = losses[c * SCORED + i];
            if (fabs(loss - expected) > token_limit)
                fail_msg("%s on %s: chunk %zu, token %zu: loss %g, reference %g", r->reference, isa,
                         c, i, loss, expected);
            sum += loss;
            wanted += expected;
        }
    }
    double n = (double)(n_chunks * SCORED), ratio = exp(sum / n) / exp(wanted / n);
    print_message("%s on %s: perplexity %.4f, reference %.4f, off by %+.3f %%\n", r->reference,
                  isa ? isa : "the best", exp(sum / n), exp(wanted / n), (ratio - 1) * 100);
    if (!(fabs(ratio - 1) <= limit))
        fail_msg("%s: the perplexity is off by %g", r->reference, ratio - 1);
    free(logits);
    free(losses);
    json_decref(root);
    loam_free(m);
}

static void test_smollm2__perplexity(void **state)
{
    (void)state;
    check_perplexity(&smollm2, (model_options){0}, 32, 0.005, 1e9);
}

static void test_gemma3__perplexity(void **state)
{
    (void)state;
    check_perplexity(&gemma3, (model_options){0}, 32, 0.005, 1e9);
}

static void test_smollm2__perplexity_of_scalar(void **state)
{
    (void)state;
    check_perplexity(&smollm2, (model_options){.isa = "scalar"}, 1, 0.0002, 5e-3);
}

static void test_gemma3__perplexity_of_scalar(void **state)
{
    (void)state;
    check_perplexity(&gemma3, (model_options){.isa = "scalar"}, 1, 0.0002, 5e-3);
}

static void test_smollm2__perplexity_with_small_cells(void **state)
{
    (void)state;
    check_perplexity(&smollm2, (model_options){.kv = LOAM_KV_Q8_0}, 4, 0.01, 1e9);
    check_perplexity(&smollm2, (model_options){.kv = LOAM_KV_Q8_0, .v = LOAM_KV_Q4_0}, 4, 0.03,
                     1e9);
}

static void test_gemma3__perplexity_with_small_cells(void **state)
{
    (void)state;
    check_perplexity(&gemma3, (model_options){.kv = LOAM_KV_Q8_0}, 2, 0.01, 1e9);
}

/* ---- the instruction set ---- */

static void check_isa(const loam__cpu_isa *set)
{
    loam *m = NULL;
    loam_info info;
    loam_options options;
    loam_options_init(&options);
    loam_info_init(&info);
    options.isa = set->name;
    options.threads = 1;
    loam_status st = loam_load(OWN("tiny-llama.gguf"), &options, &m);
    if (set->present()) {
        assert_int_equal(st, LOAM_OK);
        assert_int_equal(loam_get_info(m, &info), LOAM_OK);
        assert_string_equal(info.isa, set->name);
    } else {
        assert_int_equal(st, LOAM_ERR_BACKEND);
        assert_non_null(strstr(loam_error(m), "is not one that this CPU has: scalar"));
    }
    loam_free(m);
}

/* LOAM_BEST_ISA is what it must be on the CPU that an emulator was told to be. */
static void test_isa__each_of_this_cpu_can_be_asked_for_and_the_best_is_taken(void **state)
{
    const char *named = getenv("LOAM_BEST_ISA"), *best = named;
    const loam__cpu_isa *set;
    (void)state;
    for (size_t i = 0; (set = loam__cpu_isa_at(i)); i++)
        check_isa(set);
    for (size_t i = 0; !named && (set = loam__cpu_isa_at(i)); i++)
        if (set->present()) best = set->name;
    loam *m = load_model(OWN("tiny-llama.gguf"), (model_options){0});
    loam_info info;
    loam_info_init(&info);
    assert_int_equal(loam_get_info(m, &info), LOAM_OK);
    assert_string_equal(info.isa, best);
    loam_free(m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_isa__each_of_this_cpu_can_be_asked_for_and_the_best_is_taken),
    cmocka_unit_test(test_own_models__scalar_meets_the_plain_reference),
    cmocka_unit_test(test_own_models__simd_meets_the_plain_reference),
    cmocka_unit_test(test_own_models__modules_meet_the_plain_reference),
    cmocka_unit_test(test_cells__modules_meet_a_reference_that_rounds_alike),
    cmocka_unit_test(test_reference_models__modules_are_within_the_stated_tolerance),
    cmocka_unit_test(test_smollm2__any_split_with_a_module_gives_the_same_text),
    cmocka_unit_test(test_gemma3__any_split_with_a_module_gives_the_same_text),
    cmocka_unit_test(test_cells__scalar_meets_a_reference_that_rounds_alike),
    cmocka_unit_test(test_cells__simd_meets_a_reference_that_rounds_alike),
    cmocka_unit_test(test_cells__each_type_is_near_the_plain_reference),
    cmocka_unit_test(test_reference_models__scalar_matches_at_every_position),
    cmocka_unit_test(test_reference_models__simd_is_within_the_stated_tolerance),
    cmocka_unit_test(test_smollm2__scalar_meets_the_reference),
    cmocka_unit_test(test_gemma3__scalar_meets_the_reference),
    cmocka_unit_test(test_smollm2__simd_is_near_the_reference),
    cmocka_unit_test(test_gemma3__simd_is_near_the_reference),
    cmocka_unit_test(test_smollm2__perplexity),
    cmocka_unit_test(test_gemma3__perplexity),
    cmocka_unit_test(test_smollm2__perplexity_of_scalar),
    cmocka_unit_test(test_gemma3__perplexity_of_scalar),
    cmocka_unit_test(test_smollm2__perplexity_with_small_cells),
    cmocka_unit_test(test_gemma3__perplexity_with_small_cells),
};

RUN(tests)
