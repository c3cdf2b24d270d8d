/* "Slow, and nobody knows where": the profile of a model says what each kind of op takes. */
#define _POSIX_C_SOURCE 200809L
#include "models.h"

#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static loam *load(const char *path, uint32_t threads, uint32_t flags)
{
    loam *m = NULL;
    loam_options options;
    loam_options_init(&options);
    options.threads = threads;
    options.context_tokens = 64;
    options.step_tokens = 8;
    options.flags = flags;
    assert_int_equal(loam_load(path, &options, &m), LOAM_OK);
    return m;
}

static loam_profile part_of(loam *m, size_t i)
{
    loam_profile part;
    loam_profile_init(&part);
    assert_int_equal(loam_profile_get(m, i, &part), LOAM_OK);
    return part;
}

/* The sum over the parts of a name; NULL: of all. */
static loam_profile sum_of(loam *m, const char *name, uint32_t head)
{
    loam_profile sum = {0};
    for (size_t i = 0; i < loam_profile_count(m); i++) {
        loam_profile part = part_of(m, i);
        if (name && (part.head != head || strcmp(part.name, name) != 0)) continue;
        sum.runs += part.runs;
        sum.ns += part.ns;
    }
    return sum;
}

static void compute(loam *m)
{
    const loam_token tokens[] = {1, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130};
    const loam_seq seq = 0;
    assert_int_equal(loam_prefill(m, 0, tokens, 11), LOAM_OK); /* two steps */
    assert_int_equal(loam_decode(m, &seq, tokens, 1), LOAM_OK);
}

static void check_profile(const char *path, uint32_t threads)
{
    static const char *const body[] = {"embed", "norm", "prepare", "matmul",   "rope table",
                                       "rope",  "add",  "glu",     "kv write", "attention"};
    loam *m = load(path, threads, LOAM_LOAD_PROFILE);
    loam_info info;
    loam_info_init(&info);
    assert_int_equal(loam_get_info(m, &info), LOAM_OK);
    assert_int_equal(loam_profile_count(m), 0);
    uint64_t start = now_ns();
    compute(m);
    uint64_t taken = now_ns() - start;
    for (size_t i = 0; i < sizeof body / sizeof *body; i++) {
        loam_profile sum = sum_of(m, body[i], 0);
        if (!sum.runs) fail_msg("%s: %s did not run", path, body[i]);
    }
    assert_int_equal(sum_of(m, "embed", 0).runs, 3);
    assert_int_equal(sum_of(m, "attention", 0).runs, 3 * info.layers);
    assert_int_equal(sum_of(m, "matmul", 1).runs, 2); /* where logits were wanted */
    assert_in_range(sum_of(m, NULL, 0).ns, 1, taken);
    loam_free(m);
}

static void test_profile__has_what_ran_within_the_whole(void **state)
{
    (void)state;
    check_profile(OWN("tiny-llama.gguf"), 1);
    check_profile(OWN("tiny-llama.gguf"), 3);
    check_profile(OWN("tiny-gemma3.gguf"), 2);
}

/* Weights and cells of different formats are apart; a part keeps its number and only grows. */
static void test_profile__parts_are_told_apart_and_stay(void **state)
{
    (void)state;
    loam *m = load(OWN("tiny-llama.gguf"), 1, LOAM_LOAD_PROFILE);
    loam_profile before[64];
    compute(m);
    size_t n = loam_profile_count(m);
    assert_in_range(n, 1, 64);
    for (size_t i = 0; i < n; i++) {
        before[i] = part_of(m, i);
        assert_true((before[i].type >= 0) == (strcmp(before[i].name, "matmul") == 0 ||
                                              strcmp(before[i].name, "prepare") == 0 ||
                                              strcmp(before[i].name, "embed") == 0 ||
                                              strcmp(before[i].name, "kv write") == 0 ||
                                              strcmp(before[i].name, "attention") == 0));
        for (size_t j = 0; j < i; j++)
            assert_false(before[i].type == before[j].type && before[i].head == before[j].head &&
                         strcmp(before[i].name, before[j].name) == 0);
    }
    compute(m);
    assert_int_equal(loam_profile_count(m), n);
    for (size_t i = 0; i < n; i++) {
        loam_profile after = part_of(m, i);
        assert_ptr_equal(after.name, before[i].name);
        assert_int_equal(after.type, before[i].type);
        assert_int_equal(after.runs, 2 * before[i].runs);
        assert_true(after.ns >= before[i].ns);
    }
    loam_free(m);
}

static void test_profile__is_off_unless_asked_for(void **state)
{
    loam_profile part;
    (void)state;
    loam *m = load(OWN("tiny-llama.gguf"), 2, 0);
    compute(m);
    loam_profile_init(&part);
    assert_int_equal(loam_profile_count(m), 0);
    assert_int_equal(loam_profile_get(m, 0, &part), LOAM_ERR_ARG);
    assert_non_null(strstr(loam_error(m), "LOAM_LOAD_PROFILE"));
    loam_free(m);
}

static void test_profile__refuses_wrong_calls(void **state)
{
    loam_profile part;
    (void)state;
    loam *m = load(OWN("tiny-llama.gguf"), 1, LOAM_LOAD_PROFILE);
    compute(m);
    loam_profile_init(&part);
    assert_int_equal(loam_profile_get(m, loam_profile_count(m), &part), LOAM_ERR_ARG);
    assert_int_equal(loam_profile_get(m, 0, NULL), LOAM_ERR_ARG);
    assert_int_equal(loam_profile_get(NULL, 0, &part), LOAM_ERR_ARG);
    assert_int_equal(loam_profile_count(NULL), 0);
    part.struct_size = 8;
    assert_int_equal(loam_profile_get(m, 0, &part), LOAM_ERR_ARG);
    assert_non_null(strstr(loam_error(m), "loam_profile_init"));
    loam_free(m);
    m = load(OWN("tiny-llama.gguf"), 1, LOAM_LOAD_VOCAB | LOAM_LOAD_PROFILE);
    loam_profile_init(&part);
    assert_int_equal(loam_profile_count(m), 0);
    assert_int_equal(loam_profile_get(m, 0, &part), LOAM_ERR_STATE);
    loam_free(m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_profile__has_what_ran_within_the_whole),
    cmocka_unit_test(test_profile__parts_are_told_apart_and_stay),
    cmocka_unit_test(test_profile__is_off_unless_asked_for),
    cmocka_unit_test(test_profile__refuses_wrong_calls),
};

RUN(tests)
