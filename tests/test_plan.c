#define _POSIX_C_SOURCE 200809L
#include "models.h"

#include <loam/plan.h>

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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_describe__weights_are_parameters_times_bits),
    cmocka_unit_test(test_describe__kv_of_llama_3_8b_is_128_kib_a_token),
    cmocka_unit_test(test_describe__says_what_does_not_fit),
    cmocka_unit_test(test_file__counts_layers_weights_and_kv),
    cmocka_unit_test(test_cells__that_do_not_divide_a_head_are_refused),
    cmocka_unit_test(test_describe__kv_follows_the_types_of_the_cells),
    cmocka_unit_test(test_file__errors_are_those_of_loading),
};

RUN(tests)
