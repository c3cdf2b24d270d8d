/* The workers of the CPU backend: every slice once, whoever takes it. */
#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include "backends/cpu/pool.h"
#include "lib/base/os.h"

#include <stdatomic.h>
#include <time.h>

enum { MOST_SLICES = 100 };

typedef struct count {
    atomic_uint done[MOST_SLICES];
    atomic_uint inside, most_inside, left; /* left: slices until should_stop() says so */
    uint32_t threads, wait_us;
} count;

static void pause_us(uint32_t us)
{
    const struct timespec t = {0, (long)us * 1000};
    if (us) nanosleep(&t, NULL);
}

static void count_slice(void *ctx, uint32_t slice, uint32_t worker)
{
    count *c = ctx;
    uint32_t inside = atomic_fetch_add(&c->inside, 1) + 1, most = atomic_load(&c->most_inside);
    assert_true(worker < c->threads);
    while (inside > most && !atomic_compare_exchange_weak(&c->most_inside, &most, inside)) {
    }
    pause_us(c->wait_us);
    atomic_fetch_add(&c->done[slice], 1);
    atomic_fetch_sub(&c->inside, 1);
}

static int32_t stop_after(void *ctx)
{
    count *c = ctx;
    return atomic_fetch_sub(&c->left, 1) <= 1 ? LOAM_ERR_DEADLINE : LOAM_OK;
}

static loam__pool *new_pool(loam__base *b, uint32_t threads)
{
    loam__pool *pool = NULL;
    assert_int_equal(loam__base_init(b, NULL), LOAM_OK);
    assert_int_equal(loam__pool_new(b, threads, &pool), LOAM_OK);
    assert_int_equal(loam__pool_start(pool), LOAM_OK);
    assert_int_equal(loam__pool_threads(pool), threads);
    return pool;
}

static void run_once(loam__pool *pool, count *c, uint32_t n_slices)
{
    loam__job job = {.fn = count_slice, .ctx = c, .n_slices = n_slices};
    uint32_t next = 0;
    for (uint32_t i = 0; i < n_slices; i++)
        atomic_store(&c->done[i], 0);
    assert_int_equal(loam__pool_run(pool, &job, &next), LOAM_OK);
    assert_int_equal(next, n_slices);
    for (uint32_t i = 0; i < n_slices; i++)
        assert_int_equal(atomic_load(&c->done[i]), 1);
}

/* Jobs of every size in a row, and behind pauses in which the workers go to sleep. */
static void test_job__runs_every_slice_once(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 2 * loam__cpu_count() + 3 && threads <= 64; threads++) {
        loam__base b;
        loam__pool *pool = new_pool(&b, threads);
        count c = {.threads = threads};
        for (uint32_t i = 0; i < 300; i++) {
            run_once(pool, &c, i % MOST_SLICES);
            pause_us(i % 50 == 7 ? 1000 : 0);
        }
        loam__pool_free(pool);
    }
}

static void test_job__goes_on_where_it_was_stopped(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 4; threads++) {
        loam__base b;
        loam__pool *pool = new_pool(&b, threads);
        count c = {.threads = threads};
        loam__job job = {.fn = count_slice,
                         .ctx = &c,
                         .n_slices = MOST_SLICES,
                         .should_stop = stop_after,
                         .stop_ctx = &c};
        uint32_t next = 0, runs = 0;
        loam_status st = LOAM_ERR_DEADLINE;
        for (; st == LOAM_ERR_DEADLINE; runs++) {
            uint32_t before = next;
            atomic_store(&c.left, 7);
            st = loam__pool_run(pool, &job, &next);
            assert_true(next > before);
        }
        assert_int_equal(st, LOAM_OK);
        assert_true(runs > 1);
        for (uint32_t i = 0; i < MOST_SLICES; i++)
            assert_int_equal(atomic_load(&c.done[i]), 1);
        loam__pool_free(pool);
    }
}

/* More would take turns on the processors, and jobs would wait for those that are off. */
static void test_workers__are_never_more_at_once_than_processors(void **state)
{
    loam__base b;
    uint32_t cpus = loam__cpu_count(), threads = 2 * cpus + 2 < 64 ? 2 * cpus + 2 : 64;
    (void)state;
    loam__pool *pool = new_pool(&b, threads);
    count c = {.threads = threads, .wait_us = 200};
    for (uint32_t i = 0; i < 20; i++)
        run_once(pool, &c, MOST_SLICES);
    assert_in_range(atomic_load(&c.most_inside), 1, cpus);
    loam__pool_free(pool);
}

typedef struct shares {
    atomic_uint of_workers; /* slices that the caller did not do */
    uint32_t worker_us;     /* that each of those takes */
} shares;

static void share_slice(void *ctx, uint32_t slice, uint32_t worker)
{
    shares *s = ctx;
    (void)slice;
    if (worker != 0) atomic_fetch_add(&s->of_workers, 1);
    pause_us(worker != 0 ? s->worker_us : 100);
}

/* Slices of a job of eight that a worker did. */
static uint32_t done_by_workers(loam__pool *pool, uint32_t worker_us)
{
    shares s = {.worker_us = worker_us};
    loam__job job = {.fn = share_slice, .ctx = &s, .n_slices = 8};
    uint32_t next = 0;
    assert_int_equal(loam__pool_run(pool, &job, &next), LOAM_OK);
    return atomic_load(&s.of_workers);
}

/* A worker that is late, as where its core has been taken away, stays out of what comes next, and
 * comes back later. A machine that is busy may hide the first, not every time. */
static void test_workers__stay_away_for_a_while_when_they_were_late(void **state)
{
    loam__base b;
    uint32_t away = 0, back = 0;
    (void)state;
    if (loam__cpu_count() < 2) skip();
    loam__pool *pool = new_pool(&b, 2);
    for (uint32_t i = 0; i < 50 && !(away && back); i++) {
        if (done_by_workers(pool, 10000) == 0) continue; /* it rests, or has not woken up */
        if (done_by_workers(pool, 100) == 0 && done_by_workers(pool, 100) == 0) away++;
        for (uint32_t j = 0; j < 1000 && !back; j++)
            back += done_by_workers(pool, 100) > 0;
    }
    assert_true(away > 0);
    assert_true(back > 0);
    loam__pool_free(pool);
}

static void test_pool__without_threads_the_caller_does_it_all(void **state)
{
    loam__base b;
    loam__pool *pool = NULL;
    count c = {.threads = 3};
    (void)state;
    assert_int_equal(loam__base_init(&b, NULL), LOAM_OK);
    assert_int_equal(loam__pool_new(&b, 3, &pool), LOAM_OK);
    run_once(pool, &c, MOST_SLICES);
    loam__pool_free(pool);
    loam__pool_free(NULL);
}

static void test_pool__survives_every_failed_allocation(void **state)
{
    loam_status st = LOAM_ERR_NOMEM;
    (void)state;
    for (size_t n = 1; st == LOAM_ERR_NOMEM; n++) {
        fault_heap heap = {.fail_at = n};
        loam_hooks hooks;
        loam__base b;
        loam__pool *pool = NULL;
        loam_hooks_init(&hooks);
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = &heap;
        assert_int_equal(loam__base_init(&b, &hooks), LOAM_OK);
        st = loam__pool_new(&b, 4, &pool);
        assert_true(st == LOAM_OK || st == LOAM_ERR_NOMEM);
        if (st == LOAM_OK) assert_int_equal(loam__pool_start(pool), LOAM_OK);
        loam__pool_free(pool);
        assert_int_equal(heap.live_bytes, 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_job__runs_every_slice_once),
    cmocka_unit_test(test_job__goes_on_where_it_was_stopped),
    cmocka_unit_test(test_workers__are_never_more_at_once_than_processors),
    cmocka_unit_test(test_workers__stay_away_for_a_while_when_they_were_late),
    cmocka_unit_test(test_pool__without_threads_the_caller_does_it_all),
    cmocka_unit_test(test_pool__survives_every_failed_allocation),
};

RUN(tests)
