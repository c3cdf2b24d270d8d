#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include "lib/kv/kv.h"

static loam__base base;
static loam__kv kv;

static int open_kv(void **state)
{
    (void)state;
    loam__base_init(&base, NULL);
    return loam__kv_init(&kv, &base, 3, 4) == LOAM_OK ? 0 : -1;
}

static int close_kv(void **state)
{
    (void)state;
    loam__kv_free(&kv);
    return 0;
}

static const int32_t *table(uint32_t i)
{
    return kv.tables + i * kv.blocks_per_table;
}

static void test_reserve__takes_whole_blocks_and_gives_them_back(void **state)
{
    loam__kv_copy copy;
    (void)state;
    assert_int_equal(loam__kv_reserve(&kv, 0, 0, 17, &copy), LOAM_OK);
    assert_int_equal(kv.n_held[0], 2);
    assert_int_equal(kv.n_free, 10);
    assert_int_equal(copy.from, -1);
    assert_int_equal(loam__kv_reserve(&kv, 0, 17, 32, &copy), LOAM_OK);
    assert_int_equal(kv.n_free, 10);
    loam__kv_truncate(&kv, 0, 16);
    assert_int_equal(kv.n_free, 11);
    loam__kv_truncate(&kv, 0, 0);
    assert_int_equal(kv.n_free, 12);
}

static void test_reserve__refuses_beyond_the_table_and_changes_nothing(void **state)
{
    loam__kv_copy copy;
    (void)state;
    assert_int_equal(loam__kv_reserve(&kv, 0, 0, 65, &copy), LOAM_ERR_FULL);
    assert_int_equal(kv.n_free, 12);
    assert_int_equal(kv.n_held[0], 0);
}

static void test_share__copies_the_block_that_is_written(void **state)
{
    loam__kv_copy copy;
    (void)state;
    loam__kv_reserve(&kv, 0, 0, 20, &copy);
    loam__kv_share(&kv, 0, 1, 20);
    assert_int_equal(kv.n_free, 10);
    int32_t shared = table(0)[1];
    assert_int_equal(loam__kv_reserve(&kv, 1, 20, 21, &copy), LOAM_OK);
    assert_int_equal(copy.from, shared);
    assert_int_equal(copy.to, table(1)[1]);
    assert_int_not_equal(table(1)[1], shared);
    assert_int_equal(table(1)[0], table(0)[0]); /* the whole block stays shared */
    assert_int_equal(loam__kv_reserve(&kv, 0, 20, 21, &copy), LOAM_OK); /* alone again: no copy */
    assert_int_equal(copy.from, -1);
    loam__kv_truncate(&kv, 0, 0);
    loam__kv_truncate(&kv, 1, 0);
    assert_int_equal(kv.n_free, 12);
}

static void test_share__a_block_boundary_needs_no_copy(void **state)
{
    loam__kv_copy copy;
    (void)state;
    loam__kv_reserve(&kv, 0, 0, 16, &copy);
    loam__kv_share(&kv, 0, 1, 16);
    assert_int_equal(loam__kv_reserve(&kv, 1, 16, 17, &copy), LOAM_OK);
    assert_int_equal(copy.from, -1);
    assert_int_equal(table(1)[0], table(0)[0]);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_reserve__takes_whole_blocks_and_gives_them_back, open_kv,
                                    close_kv),
    cmocka_unit_test_setup_teardown(test_reserve__refuses_beyond_the_table_and_changes_nothing,
                                    open_kv, close_kv),
    cmocka_unit_test_setup_teardown(test_share__copies_the_block_that_is_written, open_kv,
                                    close_kv),
    cmocka_unit_test_setup_teardown(test_share__a_block_boundary_needs_no_copy, open_kv, close_kv),
};

RUN(tests)
