#include "pool.h"

#include <stdatomic.h>

#include "lib/base/os.h"

/* How long a thread looks for work before it sleeps: some 40 microseconds, more than the gap
 * between two ops of a step and far less than a scheduler's slice. */
#define SPINS 2000u

/* How long a worker goes on before it offers its core to others, while it holds no slice. Beside a
 * busy process the system would take the core away at any moment, mostly in a slice that the job
 * then waits for. On two cores, steps of prefill took 2.0 times as long, and so they take 1.7 to
 * 1.9 times. */
#define TURN_NS 500000u

/* If the caller has waited this long for a worker, and longer than it has worked itself, then the
 * system has given the worker's core to another program in the middle of a slice. One worker then
 * stays away, at first so long, and four times as long when it comes back to the same. Beside a
 * busy process a step of decode took 1.9 to 2.4 times as long, and now 1.5 to 1.8; a model's, which
 * waits for memory, 1.05 to 1.4. */
#define LATE_NS       1000000u
#define FIRST_REST_NS 50000000u
#define LAST_REST_NS  800000000u

#define CLOSED        (1u << 31) /* in gate: no worker may join any more */

typedef struct worker {
    loam__thread thread;
    struct loam__pool *pool;
    uint32_t index;
} worker;

struct loam__pool {
    loam__base *base;
    uint32_t threads, n_started;
    uint32_t most_awake; /* workers: one a processor, but for the caller's */
    worker *workers;
    bool has_mutex, has_work_cond, has_done_cond;
    loam__mutex mutex;
    loam__cond work_cond, done_cond;
    atomic_uint generation; /* counts jobs; workers wait for it to change */
    atomic_uint sleepers;   /* workers that sleep and have not been given a wake */
    uint32_t wakes;         /* given and not yet taken; under the mutex, as the giving */
    atomic_bool quit;
    /* the job: written while the gate is closed and nobody is inside */
    loam__job job;
    atomic_uint gate;     /* workers that joined, and CLOSED */
    atomic_uint finished; /* of those that joined */
    atomic_bool caller_sleeps;
    atomic_uint places; /* for workers at once */
    /* of the caller */
    uint64_t rest_ns, rest_until;
    _Alignas(64) atomic_uint next;
    _Alignas(64) atomic_int stop; /* status of the one that asked to stop */
};

/* Take slices while there are some; until_ns 0: for as long as it takes. */
static void work(loam__pool *pool, uint32_t index, uint64_t until_ns)
{
    const loam__job *job = &pool->job;
    while (atomic_load_explicit(&pool->stop, memory_order_relaxed) == LOAM_OK &&
           (until_ns == 0 || loam__now_ns() < until_ns)) {
        uint32_t slice = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (slice >= job->n_slices) {
            atomic_fetch_sub_explicit(&pool->next, 1, memory_order_relaxed);
            break;
        }
        job->fn(job->ctx, slice, index);
        int32_t stop = job->should_stop ? job->should_stop(job->stop_ctx) : LOAM_OK;
        if (stop != LOAM_OK) atomic_store_explicit(&pool->stop, stop, memory_order_relaxed);
    }
}

/* ---- own threads ---- */

typedef enum answer { JOINED, CLOSED_ALREADY, NO_PLACE } answer;

static answer join_job(loam__pool *pool)
{
    unsigned gate = atomic_load(&pool->gate);
    while (!(gate & CLOSED)) {
        if (gate - atomic_load(&pool->finished) >= atomic_load(&pool->places)) return NO_PLACE;
        if (atomic_compare_exchange_weak(&pool->gate, &gate, gate + 1)) return JOINED;
    }
    return CLOSED_ALREADY;
}

static void leave_job(loam__pool *pool)
{
    atomic_fetch_add(&pool->finished, 1);
    if (atomic_load(&pool->caller_sleeps)) {
        loam__mutex_lock(&pool->mutex);
        loam__cond_wake_all(&pool->done_cond);
        loam__mutex_unlock(&pool->mutex);
    }
}

/* With the mutex: until there is a wake to take. */
static void sleep_locked(loam__pool *pool)
{
    while (pool->wakes == 0)
        loam__cond_wait(&pool->work_cond, &pool->mutex);
    pool->wakes--;
}

/* True: it has slept. */
static bool wait_for_job(loam__pool *pool, unsigned seen, uint32_t spins)
{
    for (uint32_t i = 0; i < spins; i++) {
        if (atomic_load(&pool->generation) != seen) return false;
        loam__cpu_pause();
    }
    loam__mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    bool slept = atomic_load(&pool->generation) == seen;
    if (slept) sleep_locked(pool);
    else atomic_fetch_sub(&pool->sleepers, 1);
    loam__mutex_unlock(&pool->mutex);
    return slept;
}

static void worker_main(void *arg)
{
    worker *w = arg;
    loam__pool *pool = w->pool;
    loam__mutex_lock(&pool->mutex);
    sleep_locked(pool); /* it was started as one that sleeps */
    loam__mutex_unlock(&pool->mutex);
    uint64_t until = loam__now_ns() + TURN_NS;
    while (!atomic_load(&pool->quit)) {
        unsigned seen = atomic_load(&pool->generation);
        answer got = join_job(pool);
        if (got == JOINED) {
            work(pool, w->index, until);
            leave_job(pool);
        }
        bool rested = got != NO_PLACE && loam__now_ns() >= until;
        if (rested) loam__thread_yield(); /* then on with the same job */
        else rested = wait_for_job(pool, seen, got == NO_PLACE ? 0 : SPINS);
        if (rested) until = loam__now_ns() + TURN_NS;
    }
}

/* There is something new for the workers; have that many awake. */
static void announce(loam__pool *pool, uint32_t most_awake)
{
    uint32_t rest = pool->n_started > most_awake ? pool->n_started - most_awake : 0;
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->sleepers) <= rest) return;
    loam__mutex_lock(&pool->mutex);
    for (; atomic_load(&pool->sleepers) > rest; pool->wakes++) {
        atomic_fetch_sub(&pool->sleepers, 1);
        loam__cond_wake_one(&pool->work_cond);
    }
    loam__mutex_unlock(&pool->mutex);
}

/* How many workers may take part in the next job. */
static uint32_t places_now(const loam__pool *pool)
{
    uint32_t most = pool->n_started < pool->most_awake ? pool->n_started : pool->most_awake;
    bool rest = pool->rest_until != 0 && loam__now_ns() < pool->rest_until;
    return most - (rest && most > 0);
}

/* A job was begun, left to the workers, and done. */
static void learn(loam__pool *pool, uint64_t begun, uint64_t left)
{
    uint64_t now = loam__now_ns();
    if (now - left < LATE_NS || now - left < left - begun) return;
    bool again = pool->rest_until != 0 && begun - pool->rest_until < FIRST_REST_NS;
    if (!again) pool->rest_ns = FIRST_REST_NS;
    else if (pool->rest_ns < LAST_REST_NS) pool->rest_ns *= 4;
    pool->rest_until = now + pool->rest_ns;
}

static void wait_for_workers(loam__pool *pool)
{
    unsigned joined = atomic_fetch_or(&pool->gate, CLOSED);
    for (uint32_t i = 0; i < SPINS; i++) {
        if (atomic_load(&pool->finished) == joined) return;
        loam__cpu_pause();
    }
    loam__mutex_lock(&pool->mutex);
    /* An exchange: where qemu runs ARM code, a plain store may come after the load of `finished`.
     */
    atomic_exchange(&pool->caller_sleeps, true);
    while (atomic_load(&pool->finished) != joined)
        loam__cond_wait(&pool->done_cond, &pool->mutex);
    atomic_store(&pool->caller_sleeps, false);
    loam__mutex_unlock(&pool->mutex);
}

/* ---- the host's threads ---- */

static void host_task(void *arg, uint32_t index)
{
    work(arg, index, 0);
}

/* ---- */

loam_status loam__pool_run(loam__pool *pool, const loam__job *job, uint32_t *next)
{
    pool->job = *job;
    atomic_store(&pool->next, *next);
    atomic_store(&pool->stop, LOAM_OK);
    if (pool->threads == 1 || job->n_slices - *next <= 1) {
        work(pool, 0, 0);
    } else if (pool->base->hooks.parallel) {
        pool->base->hooks.parallel(pool->base->hooks.parallel_ctx, host_task, pool, pool->threads);
    } else { /* without started threads the caller does it all */
        uint64_t begun = loam__now_ns();
        uint32_t places = places_now(pool);
        atomic_store(&pool->finished, 0);
        atomic_store(&pool->places, places);
        atomic_store(&pool->gate, 0);
        announce(pool, places);
        work(pool, 0, 0);
        uint64_t left = loam__now_ns();
        wait_for_workers(pool);
        learn(pool, begun, left);
    }
    *next = atomic_load(&pool->next);
    return *next >= job->n_slices ? LOAM_OK : atomic_load(&pool->stop);
}

loam_status loam__pool_new(loam__base *b, uint32_t threads, loam__pool **out)
{
    loam__pool *pool = loam__alloc_aligned(b, sizeof *pool, 64);
    *out = NULL;
    if (!pool) return LOAM_ERR_NOMEM;
    pool->base = b;
    pool->threads = threads;
    pool->most_awake = loam__cpu_count() - 1;
    atomic_store(&pool->gate, CLOSED);
    pool->workers = loam__alloc_array(b, threads, sizeof *pool->workers);
    if (!pool->workers) {
        loam__pool_free(pool);
        return LOAM_ERR_NOMEM;
    }
    *out = pool;
    return LOAM_OK;
}

loam_status loam__pool_start(loam__pool *pool)
{
    if (pool->threads == 1 || pool->base->hooks.parallel || pool->n_started == pool->threads - 1)
        return LOAM_OK;
    if (!pool->has_mutex) pool->has_mutex = loam__mutex_init(&pool->mutex);
    if (!pool->has_work_cond) pool->has_work_cond = loam__cond_init(&pool->work_cond);
    if (!pool->has_done_cond) pool->has_done_cond = loam__cond_init(&pool->done_cond);
    if (!pool->has_mutex || !pool->has_work_cond || !pool->has_done_cond)
        return loam__fail(pool->base, LOAM_ERR_NOMEM,
                          "the system gave no mutex for %u threads; free some resources",
                          pool->threads);
    for (; pool->n_started < pool->threads - 1; pool->n_started++) {
        worker *w = &pool->workers[pool->n_started];
        w->pool = pool;
        w->index = pool->n_started + 1;
        if (!loam__thread_start(&w->thread, worker_main, w))
            return loam__fail(pool->base, LOAM_ERR_NOMEM,
                              "thread %u of %u could not be started; ask for fewer threads",
                              pool->n_started + 1, pool->threads);
        atomic_fetch_add(&pool->sleepers, 1);
    }
    return LOAM_OK;
}

void loam__pool_free(loam__pool *pool)
{
    if (!pool) return;
    atomic_store(&pool->quit, true);
    if (pool->n_started) announce(pool, pool->n_started);
    for (uint32_t i = 0; i < pool->n_started; i++)
        loam__thread_join(&pool->workers[i].thread);
    if (pool->has_mutex) loam__mutex_destroy(&pool->mutex);
    if (pool->has_work_cond) loam__cond_destroy(&pool->work_cond);
    if (pool->has_done_cond) loam__cond_destroy(&pool->done_cond);
    loam__free(pool->base, pool->workers);
    loam__free(pool->base, pool);
}

uint32_t loam__pool_threads(const loam__pool *pool)
{
    return pool->threads;
}
