/* The queue: check the arguments, lock, call, set the error. */
#include <loam/queue.h>
#include <string.h>

#include "handle.h"
#include "lib/queue/queue.h"

struct loam_queue {
    loam *m;
    loam__queue queue;
};

/* Take the handle's lock for a queue whose handle is still there. */
static loam_status enter(loam_queue *q)
{
    if (q->m->freed) return LOAM_ERR_STATE;
    return loam__enter(q->m, true);
}

static loam_status open_queue(loam *m, const loam_queue_options *options, loam_queue **q)
{
    loam_queue_options o;
    loam_status st =
        loam__options_read(&o, sizeof o, LOAM__UP_TO(loam_queue_options, stop_bytes), options);
    if (st != LOAM_OK)
        return loam__fail(&m->base, st,
                          "queue options: struct_size or a field is not of this version; call "
                          "loam_queue_options_init() first");
    loam_queue *made = loam__alloc(&m->base, sizeof *made);
    if (!made) return LOAM_ERR_NOMEM;
    made->m = m;
    st = loam__queue_new(&m->run, m->vocab, &o, &made->queue);
    if (st != LOAM_OK) {
        loam__queue_free(&made->queue);
        loam__free(&m->base, made);
        return st;
    }
    m->queues++;
    *q = made;
    return LOAM_OK;
}

loam_status loam_queue_open(loam *m, const loam_queue_options *options, loam_queue **q)
{
    if (q) *q = NULL;
    if (!m) return LOAM_ERR_ARG;
    if (!q) return loam__fail(&m->base, LOAM_ERR_ARG, "the place for the queue is NULL");
    loam_status st = loam__enter(m, true);
    return st != LOAM_OK ? st : loam__leave(m, open_queue(m, options, q));
}

void loam_queue_close(loam_queue *q)
{
    if (!q) return;
    loam *m = q->m;
    loam__mutex_lock(&m->lock);
    loam__queue_free(&q->queue);
    loam__free(&m->base, q);
    bool last = --m->queues == 0 && m->freed;
    loam__mutex_unlock(&m->lock);
    if (last) loam__handle_free(m);
}

static loam_status submit(loam_queue *q, const loam_submission *submission, uint64_t *request)
{
    loam_submission s;
    loam__sampler sampler;
    loam_status st =
        loam__options_read(&s, sizeof s, LOAM__UP_TO(loam_submission, n_stops), submission);
    if (st != LOAM_OK)
        return loam__fail(&q->m->base, st,
                          "submission: struct_size or a field is not of this version; call "
                          "loam_submission_init() first");
    st = loam__read_sampling(q->m, s.sampling, &sampler);
    return st != LOAM_OK ? st : loam__queue_submit(&q->queue, &s, &sampler, request);
}

loam_status loam_queue_submit(loam_queue *q, const loam_submission *submission, uint64_t *request)
{
    if (!q) return LOAM_ERR_ARG;
    loam_status st = enter(q);
    if (st != LOAM_OK) return st;
    if (!submission || !request)
        st = loam__fail(&q->m->base, LOAM_ERR_ARG, "the submission or its number's place is NULL");
    else st = submit(q, submission, request);
    return loam__leave(q->m, st);
}

loam_status loam_queue_cancel(loam_queue *q, uint64_t request)
{
    if (!q) return LOAM_ERR_ARG;
    loam_status st = enter(q);
    return st != LOAM_OK ? st : loam__leave(q->m, loam__queue_cancel(&q->queue, request));
}

loam_status loam_queue_step(loam_queue *q)
{
    if (!q) return LOAM_ERR_ARG;
    loam_status st = enter(q);
    return st != LOAM_OK ? st : loam__leave(q->m, loam__queue_step(&q->queue));
}

int32_t loam_queue_idle(loam_queue *q)
{
    if (!q || enter(q) != LOAM_OK) return 1;
    int32_t idle = !q->queue.n_running && !q->queue.n_waiting && !q->queue.n_events;
    loam__leave(q->m, LOAM_OK);
    return idle;
}

/* A struct for the caller does not have the size of any version. */
static loam_status wrong_size(loam_queue *q, loam_status st, const char *what)
{
    return loam__fail(&q->m->base, st,
                      "%s: struct_size is not of this version; call its _init() function first",
                      what);
}

static loam_status next(loam_queue *q, loam_queue_event *event)
{
    loam_queue_event e = {0};
    const size_t oldest = LOAM__UP_TO(loam_queue_event, reserved);
    loam_status st = loam__options_write(event, oldest, &e, sizeof e);
    if (st != LOAM_OK) return wrong_size(q, st, "event"); /* and none is lost */
    loam__queue_next(&q->queue, &e);
    return loam__options_write(event, oldest, &e, sizeof e);
}

loam_status loam_queue_next(loam_queue *q, loam_queue_event *event)
{
    if (!q) return LOAM_ERR_ARG;
    loam_status st = enter(q);
    if (st != LOAM_OK) return st;
    if (!event) st = loam__fail(&q->m->base, LOAM_ERR_ARG, "the place for the event is NULL");
    else st = next(q, event);
    return loam__leave(q->m, st);
}

loam_status loam_queue_get_stats(loam_queue *q, loam_queue_stats *stats)
{
    loam_queue_stats s;
    if (!q) return LOAM_ERR_ARG;
    loam_status st = enter(q);
    if (st != LOAM_OK) return st;
    if (!stats)
        return loam__leave(q->m, loam__fail(&q->m->base, LOAM_ERR_ARG,
                                            "the place for the "
                                            "statistics is NULL"));
    loam__queue_stats(&q->queue, &s);
    st = loam__options_write(stats, LOAM__UP_TO(loam_queue_stats, suspensions), &s, sizeof s);
    return loam__leave(q->m, st == LOAM_OK ? st : wrong_size(q, st, "stats"));
}
