/* Workers of the CPU backend. A job is a run of numbered slices; whoever is free takes the next
 * one. Own threads spin for a bounded time between jobs and then sleep; a worker that has not come
 * by the end of a job is not waited for, so a thread that the system keeps off its core costs only
 * the slice it holds. No more of them are awake than there are processors, the caller's included:
 * the rest would take turns with those that hold slices. With a host's job system no thread is
 * made.
 */
#ifndef LOAM__CPU_POOL_H
#define LOAM__CPU_POOL_H

#include "lib/base/base.h"

#define LOAM__THREADS_MAX 64u

typedef struct loam__pool loam__pool;

/* One slice of a job; worker < the pool's threads names the scratch that it may use. */
typedef void (*loam__slice_fn)(void *ctx, uint32_t slice, uint32_t worker);

typedef struct loam__job {
    loam__slice_fn fn;
    void *ctx;
    uint32_t n_slices;
    int32_t (*should_stop)(void *ctx); /* NULL: never; asked after each slice, by any worker */
    void *stop_ctx;
} loam__job;

/* threads: 1 to LOAM__THREADS_MAX, the caller's own included. b is kept, and its parallel hook is
 * used if there is one. */
loam_status loam__pool_new(loam__base *b, uint32_t threads, loam__pool **out);
/* Start the threads, once; without it jobs run on the caller's own. */
loam_status loam__pool_start(loam__pool *pool);
void loam__pool_free(loam__pool *pool); /* NULL is fine */
uint32_t loam__pool_threads(const loam__pool *pool);

/* Run slices [*next, n_slices). LOAM_OK: all are done. What should_stop() gave: those before *next
 * are done. */
loam_status loam__pool_run(loam__pool *pool, const loam__job *job, uint32_t *next);

#endif
