#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include "lib/base/base.h"

static void test_alloc__returns_every_byte_to_the_hook(void **state)
{
    fault_heap heap = {0};
    loam_hooks hooks;
    loam__base b;
    (void)state;
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = &heap;
    assert_int_equal(loam__base_init(&b, &hooks), LOAM_OK);
    char *p = loam__alloc(&b, 100);
    char *q = loam__alloc_aligned(&b, 1000, 4096);
    assert_int_equal((uintptr_t)q % 4096, 0);
    assert_int_equal(heap.live_bytes, loam__alloc_cost(100, 16) + loam__alloc_cost(1000, 4096));
    memset(p, 7, 100);
    p = loam__realloc(&b, p, 5000);
    assert_int_equal(p[99], 7);
    loam__free(&b, p);
    loam__free(&b, q);
    loam__free(&b, NULL);
    assert_int_equal(heap.live_bytes, 0);
}

static void test_options__old_and_future_callers(void **state)
{
    struct {
        uint32_t struct_size, a, b, c;
    } dst, src = {12, 1, 2, 3};
    (void)state;
    assert_int_equal(loam__options_read(&dst, sizeof dst, 8, &src),
                     LOAM_OK); /* older: the tail is zero */
    assert_int_equal(dst.b, 2);
    assert_int_equal(dst.c, 0);
    src.struct_size = 4;
    assert_int_equal(loam__options_read(&dst, sizeof dst, 8, &src), LOAM_ERR_ARG);
    src.struct_size = 16;
    assert_int_equal(loam__options_read(&dst, 12, 8, &src), LOAM_ERR_NEWER);
    src.c = 0;
    assert_int_equal(loam__options_read(&dst, 12, 8, &src), LOAM_OK);
}

static void test_check__refuses_what_does_not_fit(void **state)
{
    size_t s;
    uint64_t u;
    (void)state;
    assert_false(loam__mul_size(SIZE_MAX / 2, 3, &s));
    assert_true(loam__mul_size(SIZE_MAX, 0, &s));
    assert_false(loam__add_u64(UINT64_MAX, 1, &u));
    assert_false(loam__align_u64(UINT64_MAX - 3, 64, &u));
    assert_true(loam__align_u64(65, 64, &u));
    assert_int_equal(u, 128);
}

static void test_status__every_number_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(loam_status_name(LOAM_OK), "LOAM_OK");
    assert_string_equal(loam_status_name(LOAM_ERR_FULL), "LOAM_ERR_FULL");
    assert_string_equal(loam_status_name(LOAM_ERR_INTERNAL), "LOAM_ERR_INTERNAL");
    assert_string_equal(loam_status_name(LOAM_ERR_FOREIGN), "LOAM_ERR_FOREIGN");
    assert_string_equal(loam_status_name(LOAM_ERR_FOREIGN - 1), "unknown status");
    assert_string_equal(loam_status_name(1), "unknown status");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_alloc__returns_every_byte_to_the_hook),
    cmocka_unit_test(test_options__old_and_future_callers),
    cmocka_unit_test(test_check__refuses_what_does_not_fit),
    cmocka_unit_test(test_status__every_number_has_its_name),
};

RUN(tests)
