/* Continuous batching: requests in line, a schedule of each step, events of what came out.
 *
 * An entry is its tokens: prompt and answer so far. A sequence only holds the cells of the first of
 * them, and can be taken from it at any time. So starting, going on after a suspension, and the
 * next token of an answer are one thing: rows for the tokens without cells, and logits behind the
 * last one. The sampler belongs to the entry. */
#ifndef LOAM__QUEUE_H
#define LOAM__QUEUE_H

#include <loam/queue.h>

#include "answer.h"
#include "lib/run/run.h"

enum { LOAM__ENTRY_FREE = 0, LOAM__ENTRY_WAITS, LOAM__ENTRY_RUNS, LOAM__ENTRY_ENDED };

typedef struct loam__entry {
    uint64_t id; /* rises with each entry: the order in which they came */
    uint64_t tag;
    int32_t state, priority;
    int32_t finish;     /* LOAM_FINISH_* */
    loam_status status; /* of LOAM_FINISH_ERROR */
    uint32_t flags;
    uint32_t place; /* in the line */
    uint32_t n_prompt, n_tokens, most_tokens;
    uint32_t n_shared, n_suspended;
    loam_seq seq;       /* while it runs */
    loam_token *tokens; /* [request_tokens] */
    loam__sampler sampler;
    loam__answer answer;
} loam__entry;

typedef struct loam__queue_event {
    loam__entry *entry;
    int32_t kind; /* LOAM_EVENT_* */
    loam_token token;
    loam__span text;
} loam__queue_event;

typedef struct loam__queue {
    loam__run *run;
    const loam__vocab *vocab;
    void *memory;               /* everything below */
    loam_queue_options options; /* without zeros */
    uint64_t n_submitted;
    loam__entry *entries;      /* [requests] */
    loam__entry **free;        /* [requests] a stack */
    loam__entry **waiting;     /* [requests] a heap, the first in line at its root */
    loam__entry **running;     /* [sequences] in the order of the line */
    loam__entry **stepping;    /* [sequences] those of the items */
    loam__item *items;         /* [sequences] of the step */
    loam__queue_event *events; /* [max_events] a ring */
    uint32_t n_free, n_waiting, n_running, n_items, first_event, n_events, max_events;
    bool in_step;   /* its deadline came: */
    uint64_t print; /* and this is its mark in run->pending */
    uint32_t most_running;
    uint64_t steps, computed, shared, answered, suspensions;
} loam__queue;

/* options: as the caller gave them. Free it in any case. */
loam_status loam__queue_new(loam__run *run, const loam__vocab *vocab,
                            const loam_queue_options *options, loam__queue *q);
void loam__queue_free(loam__queue *q); /* a zeroed one is fine */

loam_status loam__queue_submit(loam__queue *q, const loam_submission *s, const loam__sampler *how,
                               uint64_t *id);
loam_status loam__queue_cancel(loam__queue *q, uint64_t id);
loam_status loam__queue_step(loam__queue *q);
/* event is zeroed by the caller. */
void loam__queue_next(loam__queue *q, loam_queue_event *event);
void loam__queue_stats(const loam__queue *q, loam_queue_stats *stats);

#endif
