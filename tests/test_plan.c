#define _POSIX_C_SOURCE 200809L
#include "models.h"

#include <loam/gguf.h>
#include <loam/plan.h>
#include <loam/quant.h>
#include <stdbool.h>

static loam_plan_totals totals_of(const loam_plan *plan)
{
    loam_plan_totals totals;
    loam_plan_totals_init(&totals);
    assert_int_equal(loam_plan_get_totals(plan, &totals), LOAM_OK);
    return totals;
}

static loam_plan_totals describe(loam_plan_geometry geometry, uint32_t context, loam_status wanted)
{
    loam_plan *plan = NULL;
    loam_options options;
    loam_options_init(&options);
    options.context_tokens = context;
    options.memory_limit_bytes = (uint64_t)8e9;
    geometry.struct_size = sizeof geometry;
    assert_int_equal(loam_plan_describe(&geometry, &options, &plan), wanted);
    loam_plan_totals totals = totals_of(plan);
    assert_int_equal(totals.fits, wanted == LOAM_OK);
    loam_plan_free(plan);
    return totals;
}

/* EQ OM2.2: 7e9 weights of 4 bits are 3.5 GB. */
static void test_describe__weights_are_parameters_times_bits(void **state)
{
    (void)state;
    loam_plan_geometry seven = {.parameters = 7e9, .bits_per_weight = 4, .layers = 32};
    assert_int_equal(describe(seven, 0, LOAM_OK).weights_bytes, 3500000000u);
    /* EQ OM2.1: 700 GB/s over them is at most 200 tokens a second. */
    assert_true(700e9 / (double)describe(seven, 0, LOAM_OK).token_read_bytes == 200.0);
}

/* EQ OM2.5: Llama 3 8B keeps 2 * 32 layers * 8 heads * 128 values of F16 for a token: 128 KiB. */
static void test_describe__kv_of_llama_3_8b_is_128_kib_a_token(void **state)
{
    (void)state;
    loam_plan_geometry eight = {
        .parameters = 8e9, .bits_per_weight = 4.5, .layers = 32, .kv_heads = 8, .head_values = 128};
    loam_plan_totals totals = describe(eight, 8192, LOAM_OK);
    assert_int_equal(totals.kv_token_bytes, 128 * 1024);
    assert_int_equal(totals.kv_bytes, (uint64_t)1 << 30);
    assert_int_equal(totals.total_bytes, 4500000000u + ((uint64_t)1 << 30));
}

static void test_describe__products_are_those_of_the_layers(void **state)
{
    (void)state;
    loam_plan_geometry dense = {.parameters = 7e9, .bits_per_weight = 4, .layers = 32};
    assert_int_equal(describe(dense, 0, LOAM_OK).token_products, 7000000000u);
    dense.vocabulary_tokens = 32000; /* embedding and output are no products of a prompt's token */
    dense.embedding_values = 4096;
    assert_int_equal(describe(dense, 0, LOAM_OK).token_products, 7000000000u - 2u * 32000 * 4096);
    loam_plan_geometry experts = {.parameters = 7e9,
                                  .bits_per_weight = 4,
                                  .layers = 32,
                                  .expert_parameters = 6e9,
                                  .experts = 8,
                                  .experts_used = 2};
    assert_int_equal(describe(experts, 0, LOAM_OK).token_products, 2500000000u);
}

/* A file's are those of the matrices in its layers. */
static void test_file__products_are_those_of_the_layers(void **state)
{
    loam_plan *plan = NULL;
    loam_gguf *g = NULL;
    uint64_t expected = 0;
    (void)state;
    assert_int_equal(loam_gguf_open(OWN("tiny-llama.gguf"), NULL, &g), LOAM_OK);
    for (size_t i = 0; i < loam_gguf_tensor_count(g); i++) {
        loam_gguf_tensor t;
        loam_gguf_tensor_init(&t);
        assert_int_equal(loam_gguf_get_tensor(g, i, &t), LOAM_OK);
        if (strncmp(t.name, "blk.", 4) == 0 && t.dims[1] > 1) expected += t.dims[0] * t.dims[1];
    }
    assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), NULL, &plan), LOAM_OK);
    assert_int_equal(totals_of(plan).token_products, expected);
    loam_plan_free(plan);
    loam_gguf_close(g);
}

static void test_describe__says_what_does_not_fit(void **state)
{
    (void)state;
    loam_plan_geometry large = {.parameters = 70e9, .bits_per_weight = 4, .layers = 80};
    assert_int_equal(describe(large, 0, LOAM_ERR_NOFIT).limit_bytes, 8000000000u);
    loam_plan *plan = NULL;
    loam_plan_geometry none = {.struct_size = sizeof none};
    assert_int_equal(loam_plan_describe(&none, NULL, &plan), LOAM_ERR_ARG);
    assert_non_null(strstr(loam_plan_error(plan), "parameters"));
    loam_plan_free(plan);
}

/* The plan of a file: what the header says, without loading it. */
static void test_file__counts_layers_weights_and_kv(void **state)
{
    loam_plan *plan = NULL;
    loam_options options;
    loam_plan_device device;
    (void)state;
    loam_options_init(&options);
    options.context_tokens = 100;
    options.sequences = 3;
    assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &options, &plan), LOAM_OK);
    loam_plan_totals totals = totals_of(plan);
    /* 2 layers, K and V, 2 heads of 16 values in F16; 3 sequences of 7 blocks of 16 */
    assert_int_equal(totals.kv_token_bytes, 2 * 2 * 2 * 16 * 2);
    assert_int_equal(totals.kv_bytes, totals.kv_token_bytes * 3 * 7 * 16);
    assert_int_equal(totals.weights_bytes, totals.weights_mapped_bytes);
    assert_int_equal(totals.total_bytes,
                     totals.weights_bytes + totals.kv_bytes + totals.overhead_bytes);
    loam_plan_device_init(&device);
    assert_int_equal(loam_plan_device_count(plan), 1);
    assert_int_equal(loam_plan_get_device(plan, 0, &device), LOAM_OK);
    assert_int_equal(device.layers, 2);
    assert_string_equal(device.name, "cpu");
    assert_int_equal(loam_plan_get_device(plan, 1, &device), LOAM_ERR_ARG);
    loam_plan_free(plan);
}

/* A block of 32 cells of one head: heads of 16 or 24 have no such, and the sentence says what they
 * can have. */
static void refuse_cells(const char *path, int32_t k, int32_t v, const char *option,
                         const char *width)
{
    loam_plan *plan = NULL;
    loam *m = NULL;
    loam_options options;
    loam_options_init(&options);
    options.kv_type = k;
    options.v_type = v;
    assert_int_equal(loam_plan_file(path, &options, &plan), LOAM_ERR_ARG);
    assert_non_null(strstr(loam_plan_error(plan), option));
    assert_non_null(strstr(loam_plan_error(plan), width));
    assert_non_null(strstr(loam_plan_error(plan), "LOAM_KV_F16"));
    assert_int_equal(loam_load(path, &options, &m), LOAM_ERR_ARG);
    assert_string_equal(loam_error(m), loam_plan_error(plan));
    loam_plan_free(plan);
    loam_free(m);
}

static void test_blocks__of_the_kv_cache_are_powers_of_two(void **state)
{
    static const uint32_t wrong[] = {1, 4, 12, 24, 512, 1u << 31};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        loam_plan *plan = NULL;
        loam_options options;
        loam_options_init(&options);
        options.kv_block_tokens = wrong[i];
        assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &options, &plan), LOAM_ERR_ARG);
        assert_non_null(strstr(loam_plan_error(plan), "kv_block_tokens"));
        loam_plan_free(plan);
    }
}

static void test_cells__that_do_not_divide_a_head_are_refused(void **state)
{
    (void)state;
    refuse_cells(OWN("tiny-llama.gguf"), LOAM_KV_Q8_0, LOAM_KV_DEFAULT, "kv_type", "16 wide");
    refuse_cells(OWN("tiny-llama.gguf"), LOAM_KV_DEFAULT, LOAM_KV_Q4_0, "v_type", "16 wide");
    refuse_cells(OWN("tiny-gemma3.gguf"), LOAM_KV_BF16, LOAM_KV_Q8_0, "v_type", "24 wide");
    loam_plan *plan = NULL;
    loam_options options;
    loam_options_init(&options);
    options.kv_type = LOAM_KV_Q4_0 + 1;
    assert_int_equal(loam_plan_file(OWN("tiny-llama.gguf"), &options, &plan), LOAM_ERR_ARG);
    loam_plan_free(plan);
    options.kv_type = LOAM_KV_Q8_0;
    loam_plan_geometry odd = {.struct_size = sizeof odd,
                              .parameters = 1e6,
                              .bits_per_weight = 8,
                              .layers = 1,
                              .kv_heads = 1,
                              .head_values = 80};
    assert_int_equal(loam_plan_describe(&odd, &options, &plan), LOAM_ERR_ARG);
    assert_non_null(strstr(loam_plan_error(plan), "80 wide"));
    loam_plan_free(plan);
}

/* 34 bytes for 32 numbers of Q8_0, 18 for Q4_0. */
static void test_describe__kv_follows_the_types_of_the_cells(void **state)
{
    loam_plan *plan = NULL;
    loam_options options;
    (void)state;
    loam_options_init(&options);
    options.context_tokens = 8192;
    options.kv_type = LOAM_KV_Q8_0;
    options.v_type = LOAM_KV_Q4_0;
    loam_plan_geometry eight = {.struct_size = sizeof eight,
                                .parameters = 1e6,
                                .bits_per_weight = 4.5,
                                .layers = 32,
                                .kv_heads = 8,
                                .head_values = 128};
    assert_int_equal(loam_plan_describe(&eight, &options, &plan), LOAM_OK);
    assert_int_equal(totals_of(plan).kv_token_bytes, 32 * 8 * 128 / 32 * (34 + 18));
    assert_int_equal(totals_of(plan).kv_bytes, (uint64_t)8192 * 32 * 8 * 128 / 32 * (34 + 18));
    loam_plan_free(plan);
}

static void test_file__errors_are_those_of_loading(void **state)
{
    loam_plan *plan = NULL;
    (void)state;
    assert_int_equal(loam_plan_file("/none.gguf", NULL, &plan), LOAM_ERR_NOT_FOUND);
    assert_non_null(strstr(loam_plan_error(plan), "none.gguf"));
    assert_int_equal(loam_plan_area_count(plan), 0);
    loam_plan_free(plan);
    assert_int_equal(loam_plan_file(NULL, NULL, &plan), LOAM_ERR_ARG);
    assert_null(plan);
    loam_plan_free(NULL);
}

/* ---- worked numbers ---- */

static loam_plan_geometry geometry_of(double parameters, double bits)
{
    loam_plan_geometry g;
    loam_plan_geometry_init(&g);
    g.parameters = parameters;
    g.bits_per_weight = bits;
    return g;
}

static loam_plan *plan_geometry(loam_plan_geometry g, const loam_options *options,
                                loam_status wanted)
{
    loam_plan *plan = NULL;
    loam_status st = loam_plan_describe(&g, options, &plan);
    if (st != wanted) fail_msg("%s: %s", loam_status_name(st), loam_plan_error(plan));
    return plan;
}

static loam_plan_bound bound_of(const loam_plan *plan, uint32_t context, double bandwidth)
{
    loam_plan_bound bound;
    loam_plan_bound_init(&bound);
    assert_int_equal(loam_plan_get_bound(plan, context, bandwidth, &bound), LOAM_OK);
    return bound;
}

static void test_describe__adds_weights_kv_and_overhead(void **state)
{
    (void)state;
    loam_plan_geometry seven = geometry_of(7e9, 4);
    seven.kv_bytes = (uint64_t)1e9;
    seven.overhead_bytes = (uint64_t)1.5e9;
    loam_options options;
    loam_options_init(&options);
    options.memory_limit_bytes = (uint64_t)6e9;
    loam_plan *plan = plan_geometry(seven, &options, LOAM_OK);
    assert_int_equal(totals_of(plan).total_bytes, 6000000000u);
    assert_true(fabs(bound_of(plan, 4096, 700e9).tok_s - 700e9 / 4.5e9) < 1e-9);
    loam_plan_free(plan);
    options.memory_limit_bytes--;
    loam_plan_free(plan_geometry(seven, &options, LOAM_ERR_NOFIT));
}

/* EQ OM2.2 in GB, for models of 7, 13 and 70 thousand million weights. */
static void test_describe__weights_of_common_formats(void **state)
{
    static const struct row {
        const char *format;
        double gb[3];
    } rows[] = {
        {"bf16", {14, 26, 140}},
        {"Q8_0", {7.4375, 13.8125, 74.375}},
        {"Q5_K_M", {4.98, 9.25, 49.79}},
        {"q4_k_m", {4.24, 7.88, 42.44}},
        {"Q4_0", {3.9375, 7.3125, 39.375}},
    };
    const double sizes[3] = {7e9, 13e9, 70e9};
    loam_options options;
    (void)state;
    loam_options_init(&options);
    options.memory_limit_bytes = (uint64_t)1e12;
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 3; j++) {
            loam_quality q;
            loam_quality_init(&q);
            assert_int_equal(loam_quality_find(rows[i].format, &q), LOAM_OK);
            loam_plan *plan =
                plan_geometry(geometry_of(sizes[j], q.bits_per_weight), &options, LOAM_OK);
            double gb = (double)totals_of(plan).weights_bytes / 1e9;
            assert_true(fabs(gb - rows[i].gb[j]) < 0.006);
            loam_plan_free(plan);
        }
}

/* EQ OM2.3 */
static void test_describe__counts_blocks_and_sequences(void **state)
{
    (void)state;
    loam_plan_geometry eight = geometry_of(8e9, 4);
    loam_options options;
    uint32_t n = 0;
    eight.layers = 32;
    eight.kv_heads = 8;
    eight.head_values = 128;
    loam_options_init(&options);
    options.context_tokens = 1000;
    options.memory_limit_bytes = (uint64_t)4e9 + 128 * 1024 * 16 * (63 * 10 + 5);
    loam_plan *plan = plan_geometry(eight, &options, LOAM_OK);
    assert_int_equal(totals_of(plan).block_tokens, 16);
    assert_int_equal(totals_of(plan).blocks_per_sequence, 63);
    assert_int_equal(loam_plan_sequences_fit(plan, 0, &n), LOAM_OK);
    assert_int_equal(n, 10);
    assert_int_equal(loam_plan_sequences_fit(plan, 17, &n), LOAM_OK);
    assert_int_equal(n, 635 / 2);
    assert_int_equal(loam_plan_sequences_fit(plan, 1001, &n), LOAM_ERR_ARG);
    loam_plan_free(plan);
}

/* Of 8 experts 2 are used: 47e9 weights are 13e9 for a token. */
static void test_describe__reads_only_the_experts_that_are_used(void **state)
{
    (void)state;
    loam_plan_geometry mixture = geometry_of(47e9, 8);
    mixture.layers = 32;
    mixture.expert_parameters = 45e9;
    mixture.experts = 8;
    mixture.experts_used = 2;
    loam_options options;
    loam_options_init(&options);
    options.memory_limit_bytes = (uint64_t)60e9;
    loam_plan *plan = plan_geometry(mixture, &options, LOAM_OK);
    assert_int_equal(totals_of(plan).weights_bytes, (uint64_t)47e9);
    assert_int_equal(bound_of(plan, 100, 1e9).weights_bytes, (uint64_t)13.25e9);
    loam_plan_free(plan);
}

static void test_quality__is_flat_then_steep(void **state)
{
    double before = 0;
    loam_quality q, finer;
    (void)state;
    loam_quality_init(&q);
    loam_quality_init(&finer);
    for (double bits = 33; bits > 0.1; bits -= 0.01) {
        double percent = loam_quality_at(bits);
        assert_true(percent >= before);
        before = percent;
    }
    assert_true(loam_quality_at(8.5) < 0.1);
    assert_true(loam_quality_at(4.85) < 2 && loam_quality_at(4) < 5);
    assert_true(loam_quality_at(3.4) > 3 * loam_quality_at(4.5));
    assert_true(isnan(loam_quality_at(0)) && isnan(loam_quality_at(-1)) &&
                isnan(loam_quality_at(NAN)));
    assert_true(loam_quality_at(INFINITY) == 0);
    for (size_t i = 0; i < loam_quality_count(); i++) {
        bool beaten = false;
        assert_int_equal(loam_quality_get(i, &finer), LOAM_OK);
        for (size_t j = i + 1; j < loam_quality_count(); j++) {
            assert_int_equal(loam_quality_get(j, &q), LOAM_OK);
            assert_true(q.bits_per_weight <= finer.bits_per_weight);
            if (q.perplexity_percent < finer.perplexity_percent) beaten = true;
        }
        assert_int_equal(finer.beaten, beaten);
    }
    assert_int_equal(loam_quality_get(loam_quality_count(), &q), LOAM_ERR_ARG);
    assert_int_equal(loam_quality_find("Q4_K_Mx", &q), LOAM_ERR_ARG);
    assert_int_equal(loam_quality_find("Q4_K_", &q), LOAM_ERR_ARG);
    assert_int_equal(loam_quality_find(NULL, &q), LOAM_ERR_ARG);
}

static void test_quality__of_every_format_is_told(void **state)
{
    static const struct {
        const char *name;
        double bits;
    } rows[] = {{"iq4_xs", 4.25},  {"MXFP4", 4.25},   {"Q4_K", 4.5},  {"IQ2_XXS", 2.0625},
                {"TQ1_0", 1.6875}, {"IQ1_S", 1.5625}, {"Q1_0", 1.125}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        loam_quality q;
        loam_quality_init(&q);
        assert_int_equal(loam_quality_find(rows[i].name, &q), LOAM_OK);
        assert_int_equal(strlen(q.name), strlen(rows[i].name));
        assert_true(q.bits_per_weight == rows[i].bits && !q.beaten);
        assert_true(q.perplexity_percent == loam_quality_at(rows[i].bits));
    }
    /* Of Llama 2 7B in IQ2_XS, 40 % was published. */
    assert_true(loam_quality_at(2.3125) > 30 && loam_quality_at(2.3125) < 60);
    for (uint32_t type = 0; type < 64; type++) {
        loam_format_info info;
        loam_quality q;
        loam_format_info_init(&info);
        loam_quality_init(&q);
        if (loam_format_describe((loam_format)type, &info) != LOAM_OK) continue;
        assert_int_equal(loam_quality_find(info.name, &q), LOAM_OK);
    }
}

/* ---- bounds of a file ---- */

static loam_plan *plan_file(const char *path, const loam_options *options,
                            const loam_plan_machine *machine, loam_status wanted)
{
    loam_plan *plan = NULL;
    loam_status st = loam_plan_place_file(path, options, machine, &plan);
    if (st != wanted) fail_msg("%s: %s", loam_status_name(st), loam_plan_error(plan));
    return plan;
}

static void test_bound__reads_kv_up_to_the_window(void **state)
{
    loam_options options;
    (void)state;
    loam_options_init(&options);
    options.context_tokens = 256;
    loam_plan *plan = plan_file(OWN("tiny-llama.gguf"), &options, NULL, LOAM_OK);
    loam_plan_totals t = totals_of(plan);
    assert_int_equal(bound_of(plan, 200, 1e9).kv_bytes, 200 * t.kv_token_bytes);
    assert_int_equal(bound_of(plan, 0, 1e9).context_tokens, 256);
    assert_int_equal(bound_of(plan, 0, 1e9).weights_bytes, t.token_read_bytes);
    loam_plan_free(plan);
    plan = plan_file(OWN("tiny-gemma3.gguf"), &options, NULL, LOAM_OK);
    t = totals_of(plan);
    uint64_t few = bound_of(plan, 4, 1e9).kv_bytes, many = bound_of(plan, 256, 1e9).kv_bytes;
    assert_int_equal(few, 4 * t.kv_token_bytes);
    assert_true(many < 256 * t.kv_token_bytes && many > few);
    loam_plan_bound bound;
    loam_plan_bound_init(&bound);
    assert_int_equal(loam_plan_get_bound(plan, 0, 0, &bound), LOAM_ERR_ARG); /* no targets */
    assert_int_equal(loam_plan_get_bound(plan, 0, -1, &bound), LOAM_ERR_ARG);
    assert_int_equal(loam_plan_get_bound(plan, 0, NAN, &bound), LOAM_ERR_ARG);
    assert_int_equal(loam_plan_get_bound(plan, 0, INFINITY, &bound), LOAM_ERR_ARG);
    assert_int_equal(loam_plan_get_bound(NULL, 0, 1, &bound), LOAM_ERR_ARG);
    loam_plan_free(plan);
}

static void test_file__sequences_that_fit_do(void **state)
{
    const char *const paths[] = {OWN("tiny-llama.gguf"), OWN("tiny-gemma3.gguf")};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (uint32_t mean = 10; mean <= 128; mean += 59) {
            loam_options options;
            uint32_t n = 0;
            loam_options_init(&options);
            options.context_tokens = 128;
            loam_plan *plan = plan_file(paths[i], &options, NULL, LOAM_OK);
            options.memory_limit_bytes = totals_of(plan).total_bytes + 1000000;
            loam_plan_free(plan);
            plan = plan_file(paths[i], &options, NULL, LOAM_OK);
            assert_int_equal(loam_plan_sequences_fit(plan, mean, &n), LOAM_OK);
            loam_plan_free(plan);
            assert_in_range(n, 2, 4000);
            for (options.sequences = n; options.sequences <= n + 1; options.sequences++) {
                options.kv_tokens = options.sequences * ((mean + 15) / 16 * 16);
                if (options.kv_tokens < 128) options.kv_tokens = 128;
                loam_plan_free(plan_file(paths[i], &options, NULL,
                                         options.sequences == n ? LOAM_OK : LOAM_ERR_NOFIT));
            }
        }
}

/* ---- what would make it fit ---- */

static loam_plan_change change_at(const loam_plan *plan, size_t i)
{
    loam_plan_change change;
    loam_plan_change_init(&change);
    assert_int_equal(loam_plan_get_change(plan, i, &change), LOAM_OK);
    return change;
}

/* Put a change into options; steps further than it says. False for a format. */
static bool apply(loam_options *o, const loam_plan_change *c, int steps)
{
    if (c->kind == LOAM_CHANGE_SEQUENCES) o->sequences = (uint32_t)c->value + (uint32_t)steps;
    if (c->kind == LOAM_CHANGE_KV_TOKENS) o->kv_tokens = (uint64_t)c->value + 16 * (uint64_t)steps;
    if (c->kind == LOAM_CHANGE_CONTEXT) o->context_tokens = (uint32_t)c->value + (uint32_t)steps;
    if (c->kind == LOAM_CHANGE_KV_TYPE) {
        if (steps) return false;
        o->kv_type = (int32_t)c->value;
        o->v_type = 0;
    }
    return c->kind != LOAM_CHANGE_FORMAT;
}

/* Each change is enough, and the next larger one is not. The bits of kinds that were there. */
static uint32_t check_changes(const char *path, const loam_options *options,
                              const loam_plan_machine *machine)
{
    loam_plan *plan = plan_file(path, options, machine, LOAM_ERR_NOFIT);
    size_t n = loam_plan_change_count(plan);
    uint32_t kinds = 0;
    for (size_t i = 0; i < n; i++) {
        loam_plan_change c = change_at(plan, i);
        loam_options o = *options;
        kinds |= 1u << c.kind;
        if (n > 1 && change_at(plan, 0).choice == change_at(plan, 1).choice) {
            for (size_t j = 0; j < n; j++) {
                loam_plan_change other = change_at(plan, j);
                apply(&o, &other, 0);
                if (other.kind == LOAM_CHANGE_FORMAT) c = other;
            }
        }
        if (!apply(&o, &c, 0)) continue;
        loam_plan *fits = plan_file(path, &o, machine, LOAM_OK);
        assert_int_equal(totals_of(fits).total_bytes, c.total_bytes);
        loam_plan_free(fits);
        if (apply(&o, &c, 1)) loam_plan_free(plan_file(path, &o, machine, LOAM_ERR_NOFIT));
    }
    if (n == 0) assert_non_null(strstr(loam_plan_error(plan), "not be enough"));
    else assert_non_null(strstr(loam_plan_error(plan), "it would fit with"));
    loam_plan_free(plan);
    return kinds;
}

static void test_changes__are_enough_and_the_smallest(void **state)
{
    const char *const paths[] = {OWN("tiny-llama.gguf"), OWN("tiny-gemma3.gguf")};
    uint32_t kinds = 0;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        loam_options options;
        loam_options_init(&options);
        options.threads = 1;
        options.context_tokens = 256;
        options.sequences = 8;
        options.step_tokens = 8;
        options.kv_type = LOAM_KV_F32;
        loam_plan *plan = plan_file(paths[i], &options, NULL, LOAM_OK);
        uint64_t total = totals_of(plan).total_bytes;
        loam_plan_free(plan);
        for (uint64_t cut = 0; cut < 19; cut++) {
            options.memory_limit_bytes = total - 1 - cut * (total / 19);
            kinds |= check_changes(paths[i], &options, NULL);
        }
    }
    assert_int_equal(kinds & 0x3e, 0x3e); /* every kind was seen */
}

/* None alone is enough for less than what one sequence of F32 with the least context takes. */
static void test_changes__go_together_where_none_is_enough(void **state)
{
    loam_options options;
    (void)state;
    loam_options_init(&options);
    options.threads = 1;
    options.context_tokens = 256;
    options.sequences = 64;
    options.step_tokens = 64;
    options.kv_type = LOAM_KV_F32;
    loam_options least = options;
    least.sequences = 1;
    least.kv_type = LOAM_KV_F16;
    loam_plan *plan = plan_file(OWN("tiny-llama.gguf"), &least, NULL, LOAM_OK);
    options.memory_limit_bytes = totals_of(plan).total_bytes + 1000;
    loam_plan_free(plan);
    plan = plan_file(OWN("tiny-llama.gguf"), &options, NULL, LOAM_ERR_NOFIT);
    size_t n = loam_plan_change_count(plan);
    assert_in_range(n, 2, 5);
    for (size_t i = 0; i < n; i++) {
        loam_plan_change c = change_at(plan, i);
        assert_int_equal(c.choice, 0);
        assert_true(apply(&options, &c, 0));
    }
    assert_non_null(strstr(loam_plan_error(plan), "with all of"));
    loam_plan_free(plan);
    loam_plan_free(plan_file(OWN("tiny-llama.gguf"), &options, NULL, LOAM_OK));
}

/* Of fewer sequences, less context and coarser weights no two are enough. */
static void test_changes__of_three_kinds_go_together(void **state)
{
    loam_options options;
    uint32_t kinds = 0;
    (void)state;
    loam_options_init(&options);
    options.threads = 1;
    options.context_tokens = 256;
    options.sequences = 8;
    options.step_tokens = 8;
    loam_options least = options;
    least.sequences = 1;
    least.context_tokens = 100;
    loam_plan *plan = plan_file(OWN("tiny-gemma3.gguf"), &least, NULL, LOAM_OK);
    options.memory_limit_bytes = totals_of(plan).total_bytes - totals_of(plan).weights_bytes / 3;
    loam_plan_free(plan);
    plan = plan_file(OWN("tiny-gemma3.gguf"), &options, NULL, LOAM_ERR_NOFIT);
    for (size_t i = 0; i < loam_plan_change_count(plan); i++) {
        assert_int_equal(change_at(plan, i).choice, 0);
        assert_true(change_at(plan, i).total_bytes <= options.memory_limit_bytes);
        kinds |= 1u << change_at(plan, i).kind;
    }
    assert_true(kinds & 1u << LOAM_CHANGE_FORMAT);
    assert_true(kinds & 1u << LOAM_CHANGE_SEQUENCES);
    loam_plan_free(plan);
}

/* Put a plan's changes into a geometry and its options, but for one (or none: -1). */
static loam_status plan_changed(const loam_plan *plan, long without, loam_plan_geometry g,
                                loam_options o, uint64_t *total)
{
    loam_plan *changed = NULL;
    for (size_t i = 0; i < loam_plan_change_count(plan); i++) {
        loam_plan_change c = change_at(plan, i);
        if ((long)i != without && !apply(&o, &c, 0)) g.bits_per_weight = c.value;
    }
    loam_status st = loam_plan_describe(&g, &o, &changed);
    *total = totals_of(changed).total_bytes;
    loam_plan_free(changed);
    return st;
}

/* Changes that go together are enough, and none of them is there in vain. */
static void test_changes__of_a_combination_are_all_needed(void **state)
{
    loam_plan_geometry g = geometry_of(8e9, 16);
    uint32_t combinations = 0;
    (void)state;
    g.layers = 32;
    g.kv_heads = 8;
    g.head_values = 128;
    for (uint64_t limit = (uint64_t)24e9; limit > (uint64_t)2e9; limit -= (uint64_t)17e7) {
        loam_options o;
        uint64_t total;
        loam_options_init(&o);
        o.context_tokens = 8192;
        o.sequences = 4;
        o.kv_type = LOAM_KV_F32;
        o.memory_limit_bytes = limit;
        loam_plan *plan = plan_geometry(g, &o, LOAM_ERR_NOFIT);
        size_t n = loam_plan_change_count(plan);
        if (n > 1 && change_at(plan, 1).choice == 0) {
            combinations++;
            assert_int_equal(plan_changed(plan, -1, g, o, &total), LOAM_OK);
            assert_int_equal(total, change_at(plan, 0).total_bytes);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(plan_changed(plan, (long)i, g, o, &total), LOAM_ERR_NOFIT);
        }
        loam_plan_free(plan);
    }
    assert_true(combinations > 10);
}

static void test_changes__of_a_description_name_a_format(void **state)
{
    (void)state;
    loam_options options;
    loam_options_init(&options);
    options.memory_limit_bytes = (uint64_t)40e9;
    loam_plan *plan = plan_geometry(geometry_of(70e9, 16), &options, LOAM_ERR_NOFIT);
    assert_int_equal(loam_plan_change_count(plan), 1);
    loam_plan_change c = change_at(plan, 0);
    assert_int_equal(c.kind, LOAM_CHANGE_FORMAT);
    assert_string_equal(c.name, "Q3_K_L"); /* 37.4 GB; Q4_K_S would be 40.1 */
    assert_int_equal(c.total_bytes, (uint64_t)(70e9 * 4.27 / 8));
    assert_non_null(strstr(loam_plan_error(plan), "Q3_K_L"));
    assert_int_equal(loam_plan_get_change(plan, 1, &c), LOAM_ERR_ARG);
    loam_plan_free(plan);
    options.memory_limit_bytes = (uint64_t)1e9;
    plan = plan_geometry(geometry_of(70e9, 16), &options, LOAM_ERR_NOFIT);
    assert_int_equal(loam_plan_change_count(plan), 0);
    loam_plan_free(plan);
}

/* ---- machines ---- */

static loam_plan_target target_of(const char *name, uint64_t memory, double gb_s, bool host)
{
    loam_plan_target t;
    loam_plan_target_init(&t);
    t.name = name;
    t.memory_bytes = memory;
    t.bandwidth_bytes_s = gb_s * 1e9;
    t.is_host = host;
    return t;
}

typedef struct machine_of_two {
    loam_plan_target targets[2];
    const loam_plan_target *pointers[2];
    loam_plan_machine machine;
} machine_of_two;

/* Must not move afterwards. */
static void init_two(machine_of_two *m, uint64_t gpu, uint64_t host)
{
    m->targets[0] = target_of("gpu", gpu, 900, false);
    m->targets[1] = target_of("host", host, 50, true);
    m->pointers[0] = &m->targets[0];
    m->pointers[1] = &m->targets[1];
    loam_plan_machine_init(&m->machine);
    m->machine.n_targets = 2;
    m->machine.targets = m->pointers;
}

static loam_plan_device device_at(const loam_plan *plan, size_t i)
{
    loam_plan_device d;
    loam_plan_device_init(&d);
    assert_int_equal(loam_plan_get_device(plan, i, &d), LOAM_OK);
    return d;
}

static void check_sums(const loam_plan *plan, uint32_t layers)
{
    loam_plan_totals t = totals_of(plan);
    uint64_t devices = 0, areas = 0;
    uint32_t n = 0;
    for (size_t i = 0; i < loam_plan_device_count(plan); i++) {
        loam_plan_device d = device_at(plan, i);
        devices += d.bytes;
        n += d.layers;
        if (d.layers) assert_int_equal(loam_plan_layer_device(plan, d.first_layer), i);
        if (t.fits) assert_true(d.bytes <= d.limit_bytes);
    }
    for (size_t i = 0; i < loam_plan_area_count(plan); i++) {
        loam_plan_area a;
        loam_plan_area_init(&a);
        assert_int_equal(loam_plan_get_area(plan, i, &a), LOAM_OK);
        assert_in_range(a.device, 0, loam_plan_device_count(plan) - 1);
        areas += a.bytes;
    }
    assert_int_equal(n, layers);
    assert_int_equal(devices, t.total_bytes);
    assert_int_equal(areas, t.total_bytes);
    assert_int_equal(t.private_bytes + t.shared_bytes, t.total_bytes);
    assert_int_equal(t.weights_bytes + t.kv_bytes + t.overhead_bytes, t.total_bytes);
}

static void test_machine__all_goes_where_it_is_fastest(void **state)
{
    (void)state;
    machine_of_two m;
    init_two(&m, (uint64_t)1e9, (uint64_t)1e9);
    loam_plan *plan = plan_file(OWN("tiny-llama.gguf"), NULL, &m.machine, LOAM_OK);
    check_sums(plan, 2);
    /* Two transfers of 10 us cost more than reading so little from the host. */
    assert_int_equal(device_at(plan, 1).layers, 2);
    loam_plan_free(plan);
    m.targets[0].link_seconds = 1e-15;
    m.targets[0].link_bytes_s = 1e18;
    plan = plan_file(OWN("tiny-llama.gguf"), NULL, &m.machine, LOAM_OK);
    check_sums(plan, 2);
    assert_int_equal(device_at(plan, 0).layers, 2);
    assert_int_equal(device_at(plan, 0).flags, LOAM_PLAN_EMBEDDING | LOAM_PLAN_OUTPUT);
    assert_int_equal(device_at(plan, 1).flags, LOAM_PLAN_HOST);
    assert_true(device_at(plan, 1).bytes > 0); /* the core's own */
    loam_plan_bound own = bound_of(plan, 0, 0);
    assert_true(fabs(own.token_seconds - device_at(plan, 0).token_seconds) < 1e-12);
    assert_true(bound_of(plan, 1, 0).token_seconds < own.token_seconds);
    loam_plan_free(plan);
}

/* On one target that is the host, a placement takes what loading would. */
static void test_machine__of_one_host_takes_as_much(void **state)
{
    const char *const paths[] = {OWN("tiny-llama.gguf"), OWN("tiny-gemma3.gguf")};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        loam_options options;
        machine_of_two m;
        loam_options_init(&options);
        options.threads = 1;
        init_two(&m, 1, (uint64_t)1e9);
        m.pointers[0] = &m.targets[1];
        m.machine.n_targets = 1;
        loam_plan *plain = plan_file(paths[i], &options, NULL, LOAM_OK);
        loam_plan *placed = plan_file(paths[i], &options, &m.machine, LOAM_OK);
        uint64_t a = totals_of(plain).total_bytes, b = totals_of(placed).total_bytes;
        assert_int_equal(totals_of(plain).kv_bytes, totals_of(placed).kv_bytes);
        assert_in_range(b, a, a + 1024);
        loam_plan_free(plain);
        loam_plan_free(placed);
    }
}

/* What fits to the byte fits; a byte less and layers move. */
static void test_machine__fills_a_device_to_its_limit(void **state)
{
    (void)state;
    machine_of_two m;
    loam_plan_geometry g = geometry_of(1e9, 8);
    loam_plan *plan = NULL;
    init_two(&m, 600000000, (uint64_t)10e9);
    m.machine.fill = 1;
    g.layers = 10; /* of 100 MB */
    assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_OK);
    check_sums(plan, 10);
    assert_int_equal(device_at(plan, 0).layers, 6);
    assert_int_equal(device_at(plan, 0).limit_bytes, 600000000);
    loam_plan_free(plan);
    m.targets[0].memory_bytes--;
    assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_OK);
    assert_int_equal(device_at(plan, 0).layers, 5);
    loam_plan_free(plan);
    m.machine.fill = 0; /* 0.9 */
    m.targets[0].memory_bytes = 1000000000;
    assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_OK);
    assert_int_equal(device_at(plan, 0).layers, 9);
    assert_int_equal(device_at(plan, 0).limit_bytes, 900000000);
    loam_plan_free(plan);
}

static void test_machine__experts_go_to_the_host_first(void **state)
{
    (void)state;
    machine_of_two m;
    loam_plan_geometry g = geometry_of(10e9, 8);
    loam_plan *plan = NULL;
    init_two(&m, (uint64_t)5e9, (uint64_t)20e9);
    g.layers = 10;
    g.expert_parameters = 8e9;
    g.experts = 8;
    g.experts_used = 1;
    assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_OK);
    check_sums(plan, 10);
    assert_int_equal(device_at(plan, 0).layers, 10); /* what is read in any case */
    assert_int_equal(device_at(plan, 1).flags & LOAM_PLAN_EXPERTS, LOAM_PLAN_EXPERTS);
    assert_true(device_at(plan, 1).bytes > (uint64_t)5e9);
    loam_plan_free(plan);
}

static void test_machine__pins_are_honoured_or_refused(void **state)
{
    (void)state;
    machine_of_two m;
    loam_plan_geometry g = geometry_of(1e9, 8);
    loam_plan *plan = NULL;
    loam_plan_pin pins[2] = {{.first_layer = 2, .last_layer = 3, .target = 1},
                             {.first_layer = 7, .last_layer = 7, .target = 0}};
    init_two(&m, (uint64_t)10e9, (uint64_t)10e9);
    m.machine.pins = pins;
    m.machine.n_pins = 2;
    g.layers = 10;
    assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_OK);
    check_sums(plan, 10);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(loam_plan_layer_device(plan, i), i == 2 || i == 3);
    assert_int_equal(loam_plan_layer_device(plan, 10), -1);
    loam_plan_free(plan);
    m.targets[1].memory_bytes = 150000000; /* not even two layers */
    assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_ERR_NOFIT);
    assert_non_null(strstr(loam_plan_error(plan), "pins"));
    assert_non_null(strstr(loam_plan_error(plan), "host"));
    check_sums(plan, 10);
    loam_plan_free(plan);
    const loam_plan_pin wrong[] = {
        {.first_layer = 3, .last_layer = 2},
        {.first_layer = 0, .last_layer = 10},
        {.first_layer = 0, .last_layer = UINT32_MAX},
        {.first_layer = 0, .last_layer = 0, .target = 2},
        {.first_layer = 3, .last_layer = 3, .target = 0}, /* the other pin says host */
    };
    for (size_t i = 0; i < 5; i++) {
        pins[1] = wrong[i];
        assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_ERR_ARG);
        assert_true(strlen(loam_plan_error(plan)) > 10);
        assert_int_equal(loam_plan_device_count(plan), 0);
        loam_plan_free(plan);
    }
}

static void test_machine__changes_hold_on_its_devices(void **state)
{
    (void)state;
    machine_of_two m;
    loam_options options;
    uint32_t kinds = 0;
    loam_options_init(&options);
    options.threads = 1;
    options.context_tokens = 256;
    options.sequences = 16;
    options.step_tokens = 16;
    init_two(&m, 1000000, 3000000);
    for (uint64_t memory = 1000000; memory > 100000; memory -= 150000) {
        loam_plan *plan = NULL;
        m.targets[0].memory_bytes = memory;
        m.targets[1].memory_bytes = 2 * memory;
        loam_status st = loam_plan_place_file(OWN("tiny-llama.gguf"), &options, &m.machine, &plan);
        check_sums(plan, 2);
        loam_plan_free(plan);
        if (st == LOAM_ERR_NOFIT)
            kinds |= check_changes(OWN("tiny-llama.gguf"), &options, &m.machine);
    }
    assert_true(kinds != 0);
}

static void test_machine__senseless_numbers_are_refused(void **state)
{
    (void)state;
    const double bad[] = {0, -1, NAN, INFINITY, -INFINITY, 1e300};
    loam_plan_geometry g = geometry_of(1e9, 8);
    loam_plan *plan = NULL;
    machine_of_two m;
    g.layers = 10;
    for (size_t i = 0; i < 6; i++)
        for (int field = 0; field < 4; field++) {
            init_two(&m, (uint64_t)10e9, (uint64_t)10e9);
            if (field == 0) m.targets[0].bandwidth_bytes_s = bad[i];
            else if (i == 0) continue; /* zero: the default */
            if (field == 1) m.targets[0].link_bytes_s = bad[i];
            if (field == 2) m.targets[0].link_seconds = bad[i];
            if (field == 3) m.machine.fill = bad[i];
            assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_ERR_ARG);
            assert_true(strlen(loam_plan_error(plan)) > 10);
            loam_plan_free(plan);
        }
    for (int i = 0; i < 6; i++) {
        init_two(&m, (uint64_t)10e9, (uint64_t)10e9);
        if (i == 0) m.targets[0].memory_bytes = 0;
        if (i == 1) m.targets[0].is_host = 1; /* a second one */
        if (i == 2) m.pointers[1] = NULL;
        if (i == 3) m.machine.n_targets = LOAM_PLAN_TARGETS_MAX + 1;
        if (i == 4) m.machine.targets = NULL;
        if (i == 5) m.machine.n_pins = 1;
        assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_ERR_ARG);
        loam_plan_free(plan);
    }
    init_two(&m, UINT64_MAX, UINT64_MAX);
    assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_OK);
    loam_plan_free(plan);
    g.layers = 0;
    assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_ERR_ARG);
    loam_plan_free(plan);
    g.layers = UINT32_MAX;
    assert_int_equal(loam_plan_place_describe(&g, NULL, &m.machine, &plan), LOAM_ERR_LIMIT);
    loam_plan_free(plan);
}

static void test_describe__senseless_numbers_are_refused(void **state)
{
    (void)state;
    const double bad[] = {-1, NAN, INFINITY, 1e300};
    for (size_t i = 0; i < 4; i++)
        for (int field = 0; field < 3; field++) {
            loam_plan_geometry g = geometry_of(1e9, 8);
            if (field == 0) g.parameters = bad[i];
            if (field == 1) g.bits_per_weight = bad[i];
            if (field == 2) g.expert_parameters = bad[i];
            loam_plan_free(plan_geometry(g, NULL, LOAM_ERR_ARG));
        }
    loam_plan_geometry g = geometry_of(1e9, 8);
    g.layers = g.kv_heads = g.head_values = UINT32_MAX;
    loam_plan_free(plan_geometry(g, NULL, LOAM_ERR_ARG));
    g = geometry_of(1e9, 8);
    g.kv_bytes = UINT64_MAX;
    loam_plan_free(plan_geometry(g, NULL, LOAM_ERR_ARG));
    g = geometry_of(1e9, 8);
    g.overhead_bytes = UINT64_MAX;
    loam_plan_free(plan_geometry(g, NULL, LOAM_ERR_ARG));
    g = geometry_of(1e9, 8);
    g.vocabulary_tokens = g.embedding_values = UINT32_MAX;
    loam_plan_free(plan_geometry(g, NULL, LOAM_ERR_ARG));
    g = geometry_of(1e9, 8);
    g.experts = 8;
    g.experts_used = 9;
    loam_plan_free(plan_geometry(g, NULL, LOAM_ERR_ARG));
    g = geometry_of(1e9, 8);
    g.struct_size = 4;
    loam_plan_free(plan_geometry(g, NULL, LOAM_ERR_ARG));
}

static void test_plan__survives_every_failed_allocation(void **state)
{
    (void)state;
    loam_status st = LOAM_ERR_NOMEM;
    machine_of_two m;
    init_two(&m, 100000, 300000);
    size_t n = 0;
    while (st == LOAM_ERR_NOMEM) {
        fault_heap heap = {.fail_at = ++n};
        loam_hooks hooks;
        loam_options options;
        loam_plan *plan = NULL;
        loam_hooks_init(&hooks);
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = &heap;
        loam_options_init(&options);
        options.hooks = &hooks;
        options.threads = 1;
        options.sequences = 2;
        options.context_tokens = 64;
        st = loam_plan_place_file(OWN("tiny-llama.gguf"), &options, &m.machine, &plan);
        assert_true(st == LOAM_ERR_NOFIT || st == LOAM_ERR_NOMEM);
        loam_plan_free(plan);
        assert_int_equal(heap.live_bytes, 0);
    }
    assert_true(n > 100);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_describe__weights_are_parameters_times_bits),
    cmocka_unit_test(test_describe__kv_of_llama_3_8b_is_128_kib_a_token),
    cmocka_unit_test(test_describe__products_are_those_of_the_layers),
    cmocka_unit_test(test_file__products_are_those_of_the_layers),
    cmocka_unit_test(test_describe__says_what_does_not_fit),
    cmocka_unit_test(test_file__counts_layers_weights_and_kv),
    cmocka_unit_test(test_blocks__of_the_kv_cache_are_powers_of_two),
    cmocka_unit_test(test_cells__that_do_not_divide_a_head_are_refused),
    cmocka_unit_test(test_describe__kv_follows_the_types_of_the_cells),
    cmocka_unit_test(test_file__errors_are_those_of_loading),
    cmocka_unit_test(test_describe__adds_weights_kv_and_overhead),
    cmocka_unit_test(test_describe__weights_of_common_formats),
    cmocka_unit_test(test_describe__counts_blocks_and_sequences),
    cmocka_unit_test(test_describe__reads_only_the_experts_that_are_used),
    cmocka_unit_test(test_quality__is_flat_then_steep),
    cmocka_unit_test(test_quality__of_every_format_is_told),
    cmocka_unit_test(test_bound__reads_kv_up_to_the_window),
    cmocka_unit_test(test_file__sequences_that_fit_do),
    cmocka_unit_test(test_changes__are_enough_and_the_smallest),
    cmocka_unit_test(test_changes__go_together_where_none_is_enough),
    cmocka_unit_test(test_changes__of_three_kinds_go_together),
    cmocka_unit_test(test_changes__of_a_combination_are_all_needed),
    cmocka_unit_test(test_changes__of_a_description_name_a_format),
    cmocka_unit_test(test_machine__all_goes_where_it_is_fastest),
    cmocka_unit_test(test_machine__of_one_host_takes_as_much),
    cmocka_unit_test(test_machine__fills_a_device_to_its_limit),
    cmocka_unit_test(test_machine__experts_go_to_the_host_first),
    cmocka_unit_test(test_machine__pins_are_honoured_or_refused),
    cmocka_unit_test(test_machine__changes_hold_on_its_devices),
    cmocka_unit_test(test_machine__senseless_numbers_are_refused),
    cmocka_unit_test(test_describe__senseless_numbers_are_refused),
    cmocka_unit_test(test_plan__survives_every_failed_allocation),
};

RUN(tests)
