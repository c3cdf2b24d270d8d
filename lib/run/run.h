/* Running a model: arenas and programs made once from the plan; a step is a batch in, the pieces'
 * programs run, logits out. Prefill and decode are the same steps with other widths. Nothing here
 * allocates after loam__run_new(). */
#ifndef LOAM__RUN_H
#define LOAM__RUN_H

#include <stdatomic.h>

#include "lib/kv/kv.h"
#include "lib/plan/plan.h"
#include "lib/sample/sample.h"

typedef struct loam__sequence {
    bool open, has_logits;
    uint32_t generation; /* counts the openings of this slot: an old number is recognised */
    uint32_t n_tokens;
    loam__sampler sampler;
} loam__sequence;

/* What a compute call asks for. tokens[i] goes to sequence slots[i] (decode), or all to slots[0]
 * (prefill). */
typedef struct loam__request {
    bool decode;
    const loam_seq *seqs; /* [n] for decode, [1] for prefill */
    const loam_token *tokens;
    size_t n;
    float *all_logits; /* prefill: [n][n_vocab] or NULL */
} loam__request;

/* A call that its deadline interrupted, to be recognised and gone on with. */
typedef struct loam__pending {
    bool active;
    uint64_t fingerprint; /* of the request */
    size_t done;          /* tokens whose steps are complete */
    uint32_t rows;        /* of the step under way */
    uint32_t phase;       /* 0: body; 1: head */
    uint32_t outputs_done;
    uint64_t position; /* in the piece's program */
} loam__pending;

typedef struct loam__run {
    loam__base *base;
    const loam__plan *plan; /* kept */
    void **arenas;          /* [plan->n_arenas] */
    void *scratch;
    void *programs[2]; /* body and head */
    loam__v logits_value;
    loam__kv kv;
    char *host; /* one block, laid out by the plan */
    loam__sequence *sequences;
    loam_token *history;
    float *logits;
    loam__candidate *candidates;
    int32_t *step_tokens, *step_positions, *step_tables, *step_outputs;
    loam__pending pending;
    uint64_t budget_ns;
    uint64_t deadline_ns; /* of the call under way; 0: none */
    atomic_int *cancel;   /* kept: set by loam_cancel() */
} loam__run;

/* Allocate, upload and compile. plan and cancel are kept. Free it in any case. */
loam_status loam__run_new(loam__base *b, const loam__plan *plan, atomic_int *cancel,
                          loam__run *run);
void loam__run_free(loam__run *run); /* a zeroed one is fine */

/* ---- sequences (sequences.c) ---- */

/* A sequence's number is its slot and, above, how often that was opened. */
#define LOAM__SLOT_BITS 12u /* options.sequences is at most 4096 */
static inline uint32_t loam__slot_of(loam_seq seq)
{
    return (uint32_t)seq & ((1u << LOAM__SLOT_BITS) - 1);
}

loam_status loam__run_open_seq(loam__run *run, loam_seq *seq);
loam_status loam__run_close_seq(loam__run *run, loam_seq seq);
loam_status loam__run_fork_seq(loam__run *run, loam_seq seq, loam_seq *fork);
loam_status loam__run_truncate_seq(loam__run *run, loam_seq seq, size_t n_tokens);
/* The slot of an open sequence, or LOAM_ERR_SEQ with a sentence. */
loam_status loam__run_slot(loam__run *run, loam_seq seq, uint32_t *slot);
/* Forget an interrupted call: its blocks go back. */
void loam__run_drop_pending(loam__run *run);

/* ---- compute (run.c) ---- */
loam_status loam__run_compute(loam__run *run, const loam__request *request);
const float *loam__run_logits(loam__run *run, uint32_t slot); /* NULL: none */
loam_status loam__run_sample(loam__run *run, loam_seq seq, loam_token *token);

#endif
