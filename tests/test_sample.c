#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <float.h>
#include <math.h>

#include "lib/sample/chain.h"

enum { DRAWS = 20000 };

/* ---- helpers ---- */

static loam__sampler sampler(const loam_sampling *how)
{
    loam__sampler s;
    assert_int_equal(loam__sampler_init(NULL, &s, how), LOAM_OK);
    return s;
}

static loam_sampling warm(void)
{
    loam_sampling how;
    loam_sampling_init(&how);
    how.temperature = 1.0f;
    how.seed = 7;
    return how;
}

static loam_token choose_once(const loam_sampling *how, const float *logits, size_t n)
{
    loam__candidate scratch[64];
    loam__sampler s = sampler(how);
    return loam__sampler_choose(&s, logits, n, NULL, 0, scratch);
}

/* Draw many times and compare the counts with probabilities: chi-square under 30 for at most 9
 * free outcomes is passed by all but one of 2000 right generators, and the seed is fixed. What has
 * probability 0 must not come at all. */
static void expect_shares(const loam_sampling *how, const float *logits, const double *shares,
                          size_t n, const loam_token *history, size_t n_history)
{
    loam__candidate scratch[16];
    loam__sampler s = sampler(how);
    size_t counts[16] = {0};
    double chi_square = 0.0;
    assert_true(n <= 10);
    for (size_t i = 0; i < DRAWS; i++) {
        loam_token t = loam__sampler_choose(&s, logits, n, history, n_history, scratch);
        assert_in_range(t, 0, n - 1);
        counts[t]++;
    }
    for (size_t i = 0; i < n; i++) {
        double expected = shares[i] * DRAWS, off = (double)counts[i] - expected;
        if (shares[i] == 0.0) assert_int_equal(counts[i], 0);
        else chi_square += off * off / expected;
    }
    assert_true(chi_square < 30.0);
}

/* Logits of given probabilities. */
static void make_logits(float *logits, const double *shares, size_t n)
{
    for (size_t i = 0; i < n; i++)
        logits[i] = (float)log(shares[i]);
}

/* ---- the generator ---- */

static void test_random__gives_the_published_numbers(void **state)
{
    /* Rows of other implementations: SplitMix64 from 1234567, and xoshiro256** from 1, 2, 3, 4. */
    const uint64_t seeded[4] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                4593380528125082431u};
    const uint64_t numbers[] = {11520u,
                                0u,
                                1509978240u,
                                1215971899390074240u,
                                1216172134540287360u,
                                607988272756665600u,
                                16172922978634559625u,
                                8476171486693032832u};
    uint64_t random[4];
    (void)state;
    loam__random_seed(random, 1234567);
    assert_memory_equal(random, seeded, sizeof seeded);
    for (size_t i = 0; i < 4; i++)
        random[i] = i + 1;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        assert_true(loam__random_next(random) == numbers[i]);
}

static void test_exp__is_exact_to_two_units_in_the_last_place(void **state)
{
    (void)state;
    for (float x = 0.0f; x > -87.0f; x -= 0.00317f) {
        double right = exp((double)x);
        assert_true(fabs((double)loam__exp(x) - right) <= 2.4e-7 * right);
    }
    assert_true(loam__exp(0.0f) == 1.0f);
    assert_true(loam__exp(-87.5f) == 0.0f);
    assert_true(loam__exp(-FLT_MAX) == 0.0f);
    assert_true(loam__exp(-INFINITY) == 0.0f);
}

/* ---- parameters ---- */

static void test_init__names_the_wrong_value(void **state)
{
    static const struct {
        const char *name;
        size_t offset;
    } members[] = {
        {"temperature", offsetof(loam_sampling, temperature)},
        {"top_p", offsetof(loam_sampling, top_p)},
        {"min_p", offsetof(loam_sampling, min_p)},
        {"repeat_penalty", offsetof(loam_sampling, repeat_penalty)},
        {"frequency_penalty", offsetof(loam_sampling, frequency_penalty)},
        {"presence_penalty", offsetof(loam_sampling, presence_penalty)},
    };
    const float wrong[] = {-0.5f, NAN, INFINITY, -INFINITY};
    loam__base b;
    loam__sampler s;
    (void)state;
    assert_int_equal(loam__base_init(&b, NULL), LOAM_OK);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        for (size_t j = 0; j < sizeof wrong / sizeof *wrong; j++) {
            loam_sampling how = warm();
            memcpy((char *)&how + members[i].offset, &wrong[j], sizeof wrong[j]);
            assert_int_equal(loam__sampler_init(&b, &s, &how), LOAM_ERR_ARG);
            assert_non_null(strstr(b.error, members[i].name));
        }
    }
}

static void test_init__refuses_a_reserved_member(void **state)
{
    loam_sampling how = warm();
    loam__sampler s;
    (void)state;
    how.reserved = 1;
    assert_int_equal(loam__sampler_init(NULL, &s, &how), LOAM_ERR_NEWER);
}

static void test_chain__has_the_promised_order(void **state)
{
    const char *const order[] = {"penalties", "greedy", "top_k", "top_p", "min_p", "temperature"};
    (void)state;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        assert_string_equal(loam__sampler_chain[i].name, order[i]);
    assert_null(loam__sampler_chain[sizeof order / sizeof *order].name);
}

/* ---- greedy ---- */

static void test_greedy__takes_the_largest_and_the_lowest_id_on_a_tie(void **state)
{
    float logits[200];
    (void)state;
    for (size_t i = 0; i < 200; i++)
        logits[i] = -(float)(i % 7);
    assert_int_equal(loam__largest(logits, 200), 0);
    for (size_t at = 0; at < 199; at++) {
        logits[at] += 50.0f;
        logits[199] = logits[at];
        assert_int_equal(loam__largest(logits, 200), at);
        logits[at] -= 50.0f;
    }
}

static void test_greedy__is_what_a_tiny_temperature_gives(void **state)
{
    const float logits[] = {1.0f, 3.0f, 2.9999f, -4.0f};
    const float tiny[] = {1e-6f, 1e-30f, 1e-38f, 1e-45f};
    loam_sampling how = warm();
    (void)state;
    for (size_t i = 0; i < sizeof tiny / sizeof *tiny; i++) {
        how.temperature = tiny[i];
        for (how.seed = 0; how.seed < 100; how.seed++)
            assert_int_equal(choose_once(&how, logits, 4), 1);
    }
}

static void test_greedy__obeys_penalties(void **state)
{
    const float logits[] = {2.0f, 3.0f, 2.5f};
    const loam_token history[] = {1};
    loam__candidate scratch[3];
    loam_sampling how;
    (void)state;
    loam_sampling_init(&how);
    how.presence_penalty = 0.75f;
    loam__sampler s = sampler(&how);
    assert_int_equal(loam__sampler_choose(&s, logits, 3, history, 1, scratch), 2);
    assert_int_equal(loam__sampler_choose(&s, logits, 3, history, 0, scratch), 1);
}

/* ---- each filter against shares worked out by hand ---- */

static void test_temperature__reshapes_the_shares(void **state)
{
    const double shares[] = {0.1, 0.4, 0.2, 0.3};
    const double hot[] = {0.1, 0.4, 0.2, 0.3};
    /* Temperature 1/2 squares: 1 : 16 : 4 : 9 of 30. */
    const double cold[] = {1 / 30.0, 16 / 30.0, 4 / 30.0, 9 / 30.0};
    const double flat[] = {0.25, 0.25, 0.25, 0.25};
    float logits[4];
    loam_sampling how = warm();
    (void)state;
    make_logits(logits, shares, 4);
    expect_shares(&how, logits, hot, 4, NULL, 0);
    how.temperature = 0.5f;
    expect_shares(&how, logits, cold, 4, NULL, 0);
    how.temperature = FLT_MAX;
    expect_shares(&how, logits, flat, 4, NULL, 0);
}

static void test_top_k__keeps_the_k_largest(void **state)
{
    const double shares[] = {0.1, 0.4, 0.2, 0.3};
    const double two[] = {0, 4 / 7.0, 0, 3 / 7.0};
    const double three[] = {0, 4 / 9.0, 2 / 9.0, 3 / 9.0};
    float logits[4];
    loam_sampling how = warm();
    (void)state;
    make_logits(logits, shares, 4);
    how.top_k = 2;
    expect_shares(&how, logits, two, 4, NULL, 0);
    how.top_k = 3;
    expect_shares(&how, logits, three, 4, NULL, 0);
    how.top_k = 4;
    expect_shares(&how, logits, shares, 4, NULL, 0);
    how.top_k = UINT32_MAX;
    expect_shares(&how, logits, shares, 4, NULL, 0);
}

static void test_top_k__prefers_the_lowest_ids_on_a_tie(void **state)
{
    const float logits[] = {1.0f, 5.0f, 1.0f, 5.0f, 1.0f, 5.0f, 0.0f};
    const double two[] = {0, 0.5, 0, 0.5, 0, 0, 0};
    loam_sampling how = warm();
    (void)state;
    how.top_k = 2;
    expect_shares(&how, logits, two, 7, NULL, 0);
    how.top_k = 1;
    assert_int_equal(choose_once(&how, logits, 7), 1);
}

static void test_top_p__keeps_the_fewest_that_reach_p(void **state)
{
    const double shares[] = {0.1, 0.4, 0.2, 0.3};
    const double one[] = {0, 1, 0, 0};
    const double two[] = {0, 4 / 7.0, 0, 3 / 7.0};
    const double three[] = {0, 4 / 9.0, 2 / 9.0, 3 / 9.0};
    float logits[4];
    loam_sampling how = warm();
    (void)state;
    make_logits(logits, shares, 4);
    how.top_p = 1e-9f;
    expect_shares(&how, logits, one, 4, NULL, 0);
    how.top_p = 0.39f;
    expect_shares(&how, logits, one, 4, NULL, 0);
    how.top_p = 0.41f;
    expect_shares(&how, logits, two, 4, NULL, 0);
    how.top_p = 0.89f;
    expect_shares(&how, logits, three, 4, NULL, 0);
    how.top_p = 0.91f;
    expect_shares(&how, logits, shares, 4, NULL, 0);
    how.top_p = 1.0f;
    expect_shares(&how, logits, shares, 4, NULL, 0);
}

static void test_top_p__counts_shares_of_what_top_k_left(void **state)
{
    const double shares[] = {0.1, 0.4, 0.2, 0.3};
    const double one[] = {0, 1, 0, 0};
    float logits[4];
    loam_sampling how = warm();
    (void)state;
    make_logits(logits, shares, 4);
    how.top_k = 2; /* 4/7 and 3/7: the first alone reaches 0.55 */
    how.top_p = 0.55f;
    expect_shares(&how, logits, one, 4, NULL, 0);
}

static void test_top_p__prefers_the_lowest_ids_on_a_tie(void **state)
{
    const float logits[] = {0.0f, 0.0f, 0.0f, 0.0f};
    const double two[] = {0.5, 0.5, 0, 0};
    loam_sampling how = warm();
    (void)state;
    how.top_p = 0.5f;
    expect_shares(&how, logits, two, 4, NULL, 0);
}

static void test_top_p__counts_a_long_flat_tail(void **state)
{
    enum { N = 10001 };
    /* Weights 1, and 10000 times 1/10000: p 0.75 takes the first and half the tail */
    loam__candidate left[N];
    loam_sampling how = warm();
    loam__choice c = {.how = &how, .left = left, .n = N, .best = 0.0f};
    (void)state;
    for (size_t i = 0; i < N; i++)
        left[i] = (loam__candidate){i == 5000 ? 0.0f : -9.21034037f, (loam_token)i};
    how.top_p = 0.75f;
    loam__sample_top_p(&c);
    assert_in_range(c.n, 4999, 5003);
    assert_int_equal(left[0].token, 5000);
    assert_int_equal(left[1].token, 0);
    assert_int_equal(left[4000].token, 3999);
}

static void test_min_p__keeps_a_share_of_the_largest(void **state)
{
    const double shares[] = {0.1, 0.4, 0.2, 0.3};
    const double three[] = {0, 4 / 9.0, 2 / 9.0, 3 / 9.0};
    const double one[] = {0, 1, 0, 0};
    float logits[4];
    loam_sampling how = warm();
    (void)state;
    make_logits(logits, shares, 4);
    how.min_p = 0.3f;
    expect_shares(&how, logits, three, 4, NULL, 0);
    how.min_p = 0.9f;
    expect_shares(&how, logits, one, 4, NULL, 0);
    how.min_p = 5.0f; /* above all: the largest stays */
    expect_shares(&how, logits, one, 4, NULL, 0);
}

static void test_filters__see_the_shares_before_the_temperature(void **state)
{
    const double shares[] = {0.1, 0.4, 0.2, 0.3};
    const double two[] = {0, 0.5, 0, 0.5}; /* kept at temperature 1, then made equal by a hot one */
    float logits[4];
    loam_sampling how = warm();
    (void)state;
    make_logits(logits, shares, 4);
    how.temperature = FLT_MAX;
    how.top_p = 0.65f;
    expect_shares(&how, logits, two, 4, NULL, 0);
    how.top_p = 0.0f;
    how.min_p = 0.7f;
    expect_shares(&how, logits, two, 4, NULL, 0);
}

/* ---- penalties ---- */

static void penalise(const loam_sampling *how, const float *logits, float *after, size_t n,
                     const loam_token *history, size_t n_history)
{
    loam__candidate left[16];
    loam__choice c = {.how = how, .left = left, .n = n, .history = history, .n_history = n_history};
    for (size_t i = 0; i < n; i++)
        left[i] = (loam__candidate){logits[i], (loam_token)i};
    loam__sample_penalties(&c);
    for (size_t i = 0; i < n; i++) {
        after[i] = left[i].logit;
        assert_int_equal(left[i].token, i);
    }
}

static void test_penalties__count_what_is_recent(void **state)
{
    const float logits[] = {4.0f, -4.0f, 4.0f, 0.0f, 1.0f};
    const loam_token history[] = {0, 0, 1, 3, 0};
    float after[5];
    loam_sampling how = warm();
    (void)state;
    how.repeat_penalty = 2.0f;
    how.presence_penalty = 0.5f;
    how.frequency_penalty = 0.25f;
    penalise(&how, logits, after, 5, history, 5);
    assert_true(after[0] == 4.0f / 2 - 0.5f - 3 * 0.25f);
    assert_true(after[1] == -4.0f * 2 - 0.5f - 0.25f);
    assert_true(after[2] == 4.0f);
    assert_true(after[3] == -0.75f);
    assert_true(after[4] == 1.0f);
    how.penalty_tokens = 2; /* 3 and 0 */
    penalise(&how, logits, after, 5, history, 5);
    assert_true(after[0] == 4.0f / 2 - 0.5f - 0.25f);
    assert_true(after[1] == -4.0f);
}

static void test_penalties__look_back_64_tokens_by_default(void **state)
{
    const float logits[] = {1.0f, 1.0f, 1.0f};
    loam_token history[65];
    float after[3];
    loam_sampling how = warm();
    (void)state;
    history[0] = 1;
    for (size_t i = 1; i < 65; i++)
        history[i] = 2;
    how.frequency_penalty = 0.5f;
    penalise(&how, logits, after, 3, history, 65);
    assert_true(after[0] == 1.0f);
    assert_true(after[1] == 1.0f);
    assert_true(after[2] == 1.0f - 64 * 0.5f);
    penalise(&how, logits, after, 3, history, 64);
    assert_true(after[1] == 0.5f);
    how.penalty_tokens = UINT32_MAX;
    penalise(&how, logits, after, 3, history, 65);
    assert_true(after[1] == 0.5f);
}

static void test_penalties__survive_extremes(void **state)
{
    const float logits[] = {FLT_MAX, -FLT_MAX, -INFINITY, 1.0f};
    const loam_token history[] = {0, 1, 2, 99, -5};
    float after[4];
    loam_sampling how = warm();
    (void)state;
    how.repeat_penalty = 1e-45f;
    penalise(&how, logits, after, 4, history, 5);
    assert_true(after[0] == FLT_MAX);
    assert_true(after[1] > -1e-5f);
    how.repeat_penalty = FLT_MAX;
    how.frequency_penalty = FLT_MAX;
    how.presence_penalty = FLT_MAX;
    penalise(&how, logits, after, 4, history, 5);
    assert_true(after[0] == -FLT_MAX);
    assert_true(after[1] == -FLT_MAX);
    assert_true(after[2] == -INFINITY);
    assert_true(after[3] == 1.0f);
}

static void test_penalties__change_the_shares(void **state)
{
    const double shares[] = {0.5, 0.25, 0.25};
    const double after[] = {0.2, 0.4, 0.4};
    const loam_token history[] = {0};
    float logits[3];
    loam_sampling how = warm();
    (void)state;
    make_logits(logits, shares, 3);
    how.presence_penalty = (float)log(4.0); /* a quarter: 1/8 : 1/4 : 1/4 */
    expect_shares(&how, logits, after, 3, history, 1);
}

/* ---- numbers that are none ---- */

static void each_way(const float *logits, size_t n, loam_token expected)
{
    for (int way = 0; way < 16; way++) {
        loam_sampling how = warm();
        how.temperature = way & 1 ? 0.0f : 1.0f;
        how.top_k = way & 2 ? 2 : 0;
        how.top_p = way & 4 ? 0.9f : 0.0f;
        how.min_p = way & 8 ? 0.1f : 0.0f;
        for (how.seed = 0; how.seed < 50; how.seed++)
            assert_int_equal(choose_once(&how, logits, n), expected);
    }
}

static void test_choose__never_takes_nan_while_another_is_left(void **state)
{
    const float one[] = {NAN, NAN, -1000.0f, NAN, -INFINITY};
    const float masked[] = {NAN, -INFINITY, -INFINITY};
    const float none[] = {NAN, NAN, NAN};
    const float infinite[] = {-INFINITY, -INFINITY};
    const float large[] = {-FLT_MAX, NAN, INFINITY, FLT_MAX / 2};
    (void)state;
    each_way(one, 5, 2);
    each_way(masked, 3, 1);
    each_way(none, 3, 0);
    each_way(infinite, 2, 0);
    each_way(large, 4, 2);
}

static void test_choose__shares_between_infinite_logits(void **state)
{
    const float logits[] = {INFINITY, 3.0f, INFINITY, NAN};
    const double shares[] = {0.5, 0, 0.5, 0};
    loam_sampling how = warm();
    (void)state;
    expect_shares(&how, logits, shares, 4, NULL, 0);
}

static void test_choose__works_with_one_token(void **state)
{
    const float one[] = {-3.5f}, nan[] = {NAN};
    (void)state;
    each_way(one, 1, 0);
    each_way(nan, 1, 0);
}

/* ---- large vocabularies ---- */

enum { LARGE = 50001 };

static float *large_logits(void)
{
    float *logits = malloc(LARGE * sizeof *logits);
    uint64_t random[4];
    assert_non_null(logits);
    loam__random_seed(random, 99);
    for (size_t i = 0; i < LARGE; i++) /* of 4096 values, so that many are equal */
        logits[i] = (float)(loam__random_next(random) >> 52) / 256.0f;
    return logits;
}

static int by_order(const void *a, const void *b)
{
    const loam__candidate *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

/* Sorts everything: what the stages must agree with. */
static loam__candidate *sorted_copy(const float *logits)
{
    loam__candidate *all = malloc(LARGE * sizeof *all);
    assert_non_null(all);
    for (size_t i = 0; i < LARGE; i++)
        all[i] = (loam__candidate){logits[i], (loam_token)i};
    qsort(all, LARGE, sizeof *all, by_order);
    return all;
}

static loam__choice fresh(const loam_sampling *how, loam__candidate *left, const float *logits)
{
    loam__choice c = {.how = how, .left = left, .n = LARGE};
    c.best = logits[loam__largest(logits, LARGE)];
    for (size_t i = 0; i < LARGE; i++)
        left[i] = (loam__candidate){logits[i], (loam_token)i};
    return c;
}

static void test_top_k__agrees_with_a_full_sort(void **state)
{
    const uint32_t ks[] = {1, 2, 3, 40, 1000, LARGE - 1};
    float *logits = large_logits();
    loam__candidate *right = sorted_copy(logits), *left = malloc(LARGE * sizeof *left);
    loam_sampling how = warm();
    (void)state;
    for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
        how.top_k = ks[i];
        loam__choice c = fresh(&how, left, logits);
        loam__sample_top_k(&c);
        assert_int_equal(c.n, ks[i]);
        assert_memory_equal(left, right, c.n * sizeof *left);
    }
    free(logits);
    free(right);
    free(left);
}

static void test_top_p__agrees_with_a_full_sort(void **state)
{
    const float ps[] = {0.01f, 0.5f, 0.9f, 0.99f, 0.9999f};
    float *logits = large_logits();
    loam__candidate *right = sorted_copy(logits), *left = malloc(LARGE * sizeof *left);
    loam_sampling how = warm();
    double sum = 0.0;
    (void)state;
    for (size_t i = 0; i < LARGE; i++)
        sum += exp((double)right[i].logit - right[0].logit);
    for (size_t i = 0; i < sizeof ps / sizeof *ps; i++) {
        double reached = 0.0;
        size_t n = 0;
        while (reached < ps[i] * sum)
            reached += exp((double)right[n++].logit - right[0].logit);
        how.top_p = ps[i];
        loam__choice c = fresh(&how, left, logits);
        loam__sample_top_p(&c);
        assert_in_range(c.n, n - 1, n + 1); /* weights are floats */
        qsort(left, c.n, sizeof *left, by_order);
        assert_memory_equal(left, right, (n - 1) * sizeof *left);
    }
    free(logits);
    free(right);
    free(left);
}

/* ---- sameness ---- */

static void test_choose__repeats_itself_for_a_seed(void **state)
{
    float *logits = large_logits();
    loam__candidate *scratch = malloc(LARGE * sizeof *scratch);
    loam_sampling how = warm();
    loam_token first[100];
    size_t other = 0;
    (void)state;
    for (int round = 0; round < 3; round++) { /* the last with another seed */
        how.seed = round < 2 ? 1 : 2;
        loam__sampler s = sampler(&how);
        memset(scratch, round, LARGE * sizeof *scratch); /* what lies there does not matter */
        for (size_t i = 0; i < 100; i++) {
            loam_token t = loam__sampler_choose(&s, logits, LARGE, NULL, 0, scratch);
            if (round == 0) first[i] = t;
            if (round == 1) assert_int_equal(t, first[i]);
            if (round == 2) other += t != first[i];
        }
    }
    assert_true(other > 50);
    free(logits);
    free(scratch);
}

static void test_choose__needs_no_filter_to_match_one_that_keeps_all(void **state)
{
    const double shares[] = {0.1, 0.4, 0.2, 0.3};
    float logits[4];
    loam_sampling how = warm(), wide = warm();
    (void)state;
    make_logits(logits, shares, 4);
    wide.top_k = 4;
    wide.top_p = 1.0f;
    wide.min_p = 1e-30f;
    wide.repeat_penalty = 1.0f;
    for (how.seed = 0; how.seed < 200; how.seed++) {
        wide.seed = how.seed;
        assert_int_equal(choose_once(&how, logits, 4), choose_once(&wide, logits, 4));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_random__gives_the_published_numbers),
    cmocka_unit_test(test_exp__is_exact_to_two_units_in_the_last_place),
    cmocka_unit_test(test_init__names_the_wrong_value),
    cmocka_unit_test(test_init__refuses_a_reserved_member),
    cmocka_unit_test(test_chain__has_the_promised_order),
    cmocka_unit_test(test_greedy__takes_the_largest_and_the_lowest_id_on_a_tie),
    cmocka_unit_test(test_greedy__is_what_a_tiny_temperature_gives),
    cmocka_unit_test(test_greedy__obeys_penalties),
    cmocka_unit_test(test_temperature__reshapes_the_shares),
    cmocka_unit_test(test_top_k__keeps_the_k_largest),
    cmocka_unit_test(test_top_k__prefers_the_lowest_ids_on_a_tie),
    cmocka_unit_test(test_top_p__keeps_the_fewest_that_reach_p),
    cmocka_unit_test(test_top_p__counts_shares_of_what_top_k_left),
    cmocka_unit_test(test_top_p__prefers_the_lowest_ids_on_a_tie),
    cmocka_unit_test(test_top_p__counts_a_long_flat_tail),
    cmocka_unit_test(test_min_p__keeps_a_share_of_the_largest),
    cmocka_unit_test(test_filters__see_the_shares_before_the_temperature),
    cmocka_unit_test(test_penalties__count_what_is_recent),
    cmocka_unit_test(test_penalties__look_back_64_tokens_by_default),
    cmocka_unit_test(test_penalties__survive_extremes),
    cmocka_unit_test(test_penalties__change_the_shares),
    cmocka_unit_test(test_choose__never_takes_nan_while_another_is_left),
    cmocka_unit_test(test_choose__shares_between_infinite_logits),
    cmocka_unit_test(test_choose__works_with_one_token),
    cmocka_unit_test(test_top_k__agrees_with_a_full_sort),
    cmocka_unit_test(test_top_p__agrees_with_a_full_sort),
    cmocka_unit_test(test_choose__repeats_itself_for_a_seed),
    cmocka_unit_test(test_choose__needs_no_filter_to_match_one_that_keeps_all),
};

RUN(tests)
