#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <math.h>

#include "lib/model/model.h"

static const loam__rope plain = {.base = 10000.0f,
                                 .factor = 1.0f,
                                 .magnitude_factor = 1.0f,
                                 .trained_tokens = 2048,
                                 .beta_fast = 32.0f,
                                 .beta_slow = 1.0f,
                                 .rotary_values = 128,
                                 .factors = -1};

static void test_rope__plain_scales_nothing(void **state)
{
    float scales[64];
    (void)state;
    loam__rope_scales(&plain, NULL, scales);
    for (int i = 0; i < 64; i++)
        assert_true(scales[i] == 1.0f);
    assert_true(loam__rope_magnitude(&plain) == 1.0f);
    assert_true(fabs(pow((double)loam__rope_step(&plain), 64) - 1e-4) < 1e-9);
}

static void test_rope__linear_divides_by_the_factor(void **state)
{
    float scales[64], factors[64];
    loam__rope r = plain;
    (void)state;
    r.scaling = LOAM__ROPE_LINEAR;
    r.factor = 8.0f;
    for (int i = 0; i < 64; i++)
        factors[i] = i < 32 ? 1.0f : 4.0f;
    loam__rope_scales(&r, factors, scales);
    assert_true(scales[0] == 0.125f);
    assert_true(scales[63] == 0.125f / 4);
    assert_true(loam__rope_magnitude(&r) == 1.0f);
}

/* YaRN (Peng et al. 2023), eq. 17 to 23: pairs that turn more than 32 times in the trained context
 * keep their angle, those that turn less than once are slowed by the factor, a ramp between. */
static void test_rope__yarn_keeps_fast_pairs_and_slows_slow_ones(void **state)
{
    float scales[64];
    loam__rope r = plain;
    (void)state;
    r.scaling = LOAM__ROPE_YARN;
    r.factor = 4.0f;
    loam__rope_scales(&r, NULL, scales);
    for (int i = 0; i < 64; i++) {
        double turns = 2048 * pow(10000.0, -2.0 * i / 128) / 6.283185307179586;
        if (turns > 36) assert_true(scales[i] == 1.0f);
        if (turns < 0.9) assert_true(scales[i] == 0.25f);
        if (i) assert_true(scales[i] <= scales[i - 1]);
    }
    assert_true(fabsf(loam__rope_magnitude(&r) - (0.1f * logf(4.0f) + 1.0f)) < 1e-6f);
}

static void test_registry__knows_its_families(void **state)
{
    (void)state;
    size_t n = 0;
    while (loam__arch_at(n)) {
        assert_non_null(loam__arch_at(n)->geometry);
        assert_non_null(loam__arch_at(n)->graph);
        for (size_t i = 0; i < n; i++)
            assert_string_not_equal(loam__arch_at(i)->name, loam__arch_at(n)->name);
        n++;
    }
    assert_true(n >= 2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_rope__plain_scales_nothing),
    cmocka_unit_test(test_rope__linear_divides_by_the_factor),
    cmocka_unit_test(test_rope__yarn_keeps_fast_pairs_and_slows_slow_ones),
    cmocka_unit_test(test_registry__knows_its_families),
};

RUN(tests)
