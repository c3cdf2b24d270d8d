/* The line of waiting jobs: a heap, in which each knows its place. */
#include "schedule.h"

static void put(loam__queue *q, uint32_t place, loam__job *job)
{
    q->waiting[place] = job;
    job->place = place;
}

/* Put a job at a place or above it. */
static void rise(loam__queue *q, uint32_t place, loam__job *job)
{
    for (uint32_t up; place > 0; place = up) {
        up = (place - 1) / 2;
        if (!loam__job_before(job, q->waiting[up])) break;
        put(q, place, q->waiting[up]);
    }
    put(q, place, job);
}

/* Put a job at a place or below it. */
static void sink(loam__queue *q, uint32_t place, loam__job *job)
{
    for (uint32_t down; (down = 2 * place + 1) < q->n_waiting; place = down) {
        if (down + 1 < q->n_waiting && loam__job_before(q->waiting[down + 1], q->waiting[down]))
            down++;
        if (!loam__job_before(q->waiting[down], job)) break;
        put(q, place, q->waiting[down]);
    }
    put(q, place, job);
}

void loam__line_add(loam__queue *q, loam__job *job)
{
    job->state = LOAM__JOB_WAITS;
    rise(q, q->n_waiting++, job);
}

void loam__line_remove(loam__queue *q, loam__job *job)
{
    loam__job *last = q->waiting[--q->n_waiting];
    if (last == job) return;
    if (loam__job_before(last, job)) rise(q, job->place, last);
    else sink(q, job->place, last);
}
