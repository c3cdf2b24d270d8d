/* queue.h - continuous batching: many requests share one model.
 *
 * Submit prompts whenever they come; each step computes the next token of all that are answering
 * and, in the same pass over the weights, pieces of the prompts that come after them.
 *
 *     loam_queue_open(m, NULL, &q);
 *     loam_seq_close(m, 0);                    // the queue can use this sequence too
 *     loam_queue_submit(q, &submission, &id);  // as often as there is something to ask
 *     while (!loam_queue_idle(q)) {
 *         loam_queue_step(q);
 *         while (loam_queue_next(q, &event) == LOAM_OK && event.kind != LOAM_EVENT_NONE)
 *             take(&event);
 *     }
 *     loam_queue_close(q);
 *
 * What it promises
 *   Bits      an answer is the one that the request gets alone, whatever runs beside it, however
 *             its prompt is cut, whatever is shared, and however often it was suspended.
 *   Memory    everything is allocated when the queue is opened.
 *   Order     requests start by priority, then as they came. The first in line is never overtaken:
 *             while it waits for a sequence or for KV blocks, nothing behind it starts. One that
 *             runs is not stopped for one that waits, whatever their priorities.
 *   Room      a request starts when a sequence is free and there are KV blocks for its prompt, less
 *             those that it shares, and one for each that runs. When blocks run out, the youngest
 *             of the lowest priority is suspended: it gives up its blocks and waits at its old
 *             place in line.
 *   Handle    other calls on the handle are allowed between steps. The queue takes its sequences
 *             from those of options.sequences that are not open, and shares the KV cache with all
 *             others; a sequence of the queue that somebody else changes is computed again.
 *
 * Failures have their sentence in loam_error() of the handle. */
#ifndef LOAM_QUEUE_H
#define LOAM_QUEUE_H

#include <loam/loam.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct loam_queue loam_queue;

typedef struct loam_queue_options {
    uint32_t struct_size;    /* caller's sizeof; set by loam_queue_options_init() */
    uint32_t flags;          /* 0 */
    uint32_t requests;       /* most that wait, run, or have events to take; 0: 256 */
    uint32_t request_tokens; /* most tokens of one, prompt and answer; 0: a whole context */
    uint32_t step_tokens;    /* most tokens computed in a step, so how long one takes; 0: the
                                handle's; it is never less than one for each sequence */
    uint32_t stop_bytes;     /* most bytes in all stop strings of one request; 0: 256 */
} loam_queue_options;        /* 0.1 ends here */

LOAM_API void loam_queue_options_init(loam_queue_options *options);

/* Open a queue on a loaded model. Several may be open on one handle; they compete for its
 * sequences.
 *
 * options  borrowed; NULL: defaults
 * q        owned: close it with loam_queue_close(); NULL on failure. Close it before the handle is
 *          freed; a handle that is freed first stays, and can do nothing, until its queues are
 *          closed.
 * Errors   LOAM_ERR_ARG, NEWER, STATE, NOMEM
 * Threads  any, as for all calls here: the handle serialises them, so each may wait for a step
 * Since    0.1 */
LOAM_API loam_status loam_queue_open(loam *m, const loam_queue_options *options, loam_queue **q);

/* Drop all requests without an event, and free the queue; NULL is fine.
 * Threads  no other call on this queue may be running
 * Since    0.1 */
LOAM_API void loam_queue_close(loam_queue *q);

/* ---- Requests -------------------------------------------------------------------------------- */

enum {
    LOAM_SUBMIT_IGNORE_END = 1,  /* tokens that end a generation do not end this one */
    LOAM_SUBMIT_SKIP_CONTROL = 2 /* leave control tokens out of the text */
};

#define LOAM_QUEUE_STOPS 16 /* most stop strings of one request */

typedef struct loam_submission {
    uint32_t struct_size;          /* set by loam_submission_init() */
    uint32_t flags;                /* LOAM_SUBMIT_* */
    uint64_t tag;                  /* the caller's own; comes back in each event */
    int32_t priority;              /* larger ones go first */
    uint32_t max_tokens;           /* of the answer; 0: as many as request_tokens leaves */
    const loam_token *tokens;      /* borrowed: the prompt */
    size_t n_tokens;               /* at least 1 */
    const loam_sampling *sampling; /* borrowed; NULL: greedy */
    const char *const *stops;      /* borrowed: n_stops strings, UTF-8; the first to be complete in
                                      the text ends the answer in front of it */
    const size_t *stop_bytes;      /* borrowed: the length of each, at least 1 */
    size_t n_stops;                /* at most LOAM_QUEUE_STOPS */
} loam_submission;                 /* 0.1 ends here */

LOAM_API void loam_submission_init(loam_submission *submission);

/* Put a request in line. Everything is copied. Allocates nothing.
 *
 * request  its number, never 0, and never given twice by one queue
 * Errors   LOAM_ERR_FULL               options.requests are there already: submit again later
 *          LOAM_ERR_ARG                the request could never run; the sentence has the numbers
 *          LOAM_ERR_TOKEN, NEWER, STATE
 * Since    0.1 */
LOAM_API loam_status loam_queue_submit(loam_queue *q, const loam_submission *submission,
                                       uint64_t *request);

/* End a request that waits or runs, with an event of its own.
 * Errors   LOAM_ERR_ARG                no such request, or it has ended
 *          LOAM_ERR_STATE
 * Since    0.1 */
LOAM_API loam_status loam_queue_cancel(loam_queue *q, uint64_t request);

/* ---- Steps and events ------------------------------------------------------------------------ */

/* Compute one step of the model for as many requests as go into it, and choose a token for each
 * whose logits are there. Nothing to do is LOAM_OK too. Allocates nothing.
 *
 * Errors   LOAM_ERR_STATE              events of the step before have not been taken
 *          LOAM_ERR_FULL               nothing can start: other sequences of the handle hold all
 *                                      slots or KV blocks; close some
 *          LOAM_ERR_DEADLINE           the budget of loam_set_budget() is used up; the next step
 *                                      goes on, if no other call on the handle changed a sequence
 *          LOAM_ERR_CANCELLED          loam_cancel() was called: the step is dropped, the next one
 *                                      computes it again
 *          LOAM_ERR_DEVICE             the device is gone; all requests have ended with this status
 * Since    0.1 */
LOAM_API loam_status loam_queue_step(loam_queue *q);

/* 1 if no request waits or runs and no event is left; else 0. NULL is idle.
 * Since    0.1 */
LOAM_API int32_t loam_queue_idle(loam_queue *q);

enum {
    LOAM_EVENT_NONE = 0,    /* there is no event now */
    LOAM_EVENT_TOKEN = 1,   /* one more token of an answer */
    LOAM_EVENT_FINISHED = 2 /* the request has ended; this is its last event */
};

enum {
    LOAM_FINISH_NONE = 0,
    LOAM_FINISH_END = 1,       /* a token that ends a generation; it is in token, not counted */
    LOAM_FINISH_STOP = 2,      /* a stop string was complete with the last token */
    LOAM_FINISH_LENGTH = 3,    /* max_tokens, or no more room */
    LOAM_FINISH_CANCELLED = 4, /* loam_queue_cancel() */
    LOAM_FINISH_ERROR = 5      /* see status */
};

typedef struct loam_queue_event {
    uint32_t struct_size; /* set by loam_queue_event_init() */
    int32_t kind;         /* LOAM_EVENT_* */
    uint64_t request, tag;
    const char *text;       /* what is new in the answer's text: whole UTF-8 characters, without
                               what may still become a stop string; with LOAM_EVENT_FINISHED what
                               was held back. Valid until the next step or the queue's end */
    size_t text_bytes;      /* often 0 */
    loam_token token;       /* -1: none */
    int32_t finish;         /* LOAM_FINISH_* */
    loam_status status;     /* LOAM_OK, or why LOAM_FINISH_ERROR */
    uint32_t prompt_tokens; /* usage until now: of the prompt */
    uint32_t shared_tokens; /* of these, found in the KV cache instead of being computed */
    uint32_t answer_tokens; /* chosen, without the one that ended the answer */
    uint32_t suspensions;   /* how often its blocks were given up */
    uint32_t reserved;      /* 0 */
} loam_queue_event;         /* 0.1 ends here */

LOAM_API void loam_queue_event_init(loam_queue_event *event);

/* Take the oldest event; LOAM_EVENT_NONE if there is none. Take all after each step.
 *
 * event    filled up to its struct_size
 * Errors   LOAM_ERR_ARG, NEWER, STATE
 * Since    0.1 */
LOAM_API loam_status loam_queue_next(loam_queue *q, loam_queue_event *event);

typedef struct loam_queue_stats {
    uint32_t struct_size; /* set by loam_queue_stats_init() */
    uint32_t running, waiting;
    uint32_t most_running; /* at once, since the queue was opened, as are the counts below */
    uint64_t unused_cells; /* positions, in KV blocks of the running ones, without a token now */
    uint64_t steps;
    uint64_t computed_tokens; /* that went through the model */
    uint64_t shared_tokens;   /* found in the KV cache instead */
    uint64_t answer_tokens;   /* chosen */
    uint64_t suspensions;
} loam_queue_stats; /* 0.1 ends here */

LOAM_API void loam_queue_stats_init(loam_queue_stats *stats);

/* What the queue does now and has done; loam_get_usage() has the KV cache as a whole.
 * Errors   LOAM_ERR_ARG, NEWER, STATE
 * Since    0.1 */
LOAM_API loam_status loam_queue_get_stats(loam_queue *q, loam_queue_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
