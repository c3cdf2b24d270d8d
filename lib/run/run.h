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
    uint32_t n_computed; /* of them, from the start, those whose KV cells are there: the rest is
                            computed again by the next call, before its own tokens */
    uint32_t n_target;   /* how many there will be after the call under way */
    loam__sampler sampler;
} loam__sequence;

/* Tokens to append to one sequence. */
typedef struct loam__item {
    loam_seq seq;
    const loam_token *tokens;
    size_t n;
    bool logits; /* whether those of the last token are wanted */
} loam__item;

/* What a compute call asks for. A prefill is one item, a decode has one token in each. */
typedef struct loam__request {
    const loam__item *items; /* no two of one sequence */
    size_t n_items;
    float *all_logits; /* of one item: [n][n_vocab], or NULL */
} loam__request;

/* A call under way, which its deadline may interrupt: then it is recognised and gone on with. */
typedef struct loam__pending {
    bool active;
    uint64_t fingerprint; /* of the request */
    uint32_t rows;        /* of the step under way; 0: between steps */
    bool head;            /* the body is done */
    uint32_t piece;       /* the one under way */
    uint32_t outputs_done;
    uint64_t position; /* in its program */
} loam__pending;

/* What one kind of op has taken. */
typedef struct loam__profile_part {
    const char *name; /* the backend's */
    loam_format type; /* -1: none */
    bool head;
    uint64_t runs, ns;
} loam__profile_part;

#define LOAM__PROFILE_PARTS                                                                        \
    48u /* of a dozen names and the formats of one model; more are left out */

typedef struct loam__run {
    loam__base *base;
    const loam__plan *plan; /* kept */
    void **arenas;          /* [plan->n_arenas] */
    void **programs;        /* [plan->n_pieces] */
    char *staging;          /* for what crosses between sites */
    loam__v logits_value;
    loam__kv kv;
    char *host; /* one block, laid out by the plan */
    loam__sequence *sequences;
    loam__item *items;   /* [sequences] for the calls that make a request of many */
    loam_token *history; /* [sequences][context_tokens] */
    float *logits;       /* [sequences][n_vocab] */
    loam__candidate *candidates;
    int32_t *step_tokens, *step_positions, *step_tables, *step_outputs;
    loam__pending pending;
    uint64_t tokens_computed, tokens_shared; /* since load */
    uint64_t budget_ns;
    uint64_t deadline_ns; /* of the call under way; 0: none */
    atomic_int *cancel;   /* kept: set by loam_cancel() */
    bool profiled;
    uint32_t n_parts;
    loam__profile_part parts[LOAM__PROFILE_PARTS]; /* as they ran first */
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
/* Append to a sequence what the KV cache has of tokens[0, n), which begin with its own; gives how
 * many. No call is unfinished. */
uint32_t loam__run_share_seq(loam__run *run, uint32_t slot, const loam_token *tokens, uint32_t n);
/* The slot of an open sequence, or LOAM_ERR_SEQ with a sentence. */
loam_status loam__run_slot(loam__run *run, loam_seq seq, uint32_t *slot);
/* Forget an interrupted call: its blocks go back. */
void loam__run_drop_pending(loam__run *run);

/* ---- a sequence as bytes (state.c) ---- */
loam_status loam__run_save_seq(loam__run *run, loam_seq seq, void *state, size_t capacity,
                               size_t *n_bytes);
loam_status loam__run_restore_seq(loam__run *run, const void *state, size_t n, loam_seq *seq);

/* What its checksum is made with, from 0: a hostile state would have a good one. */
uint64_t loam__state_hash(uint64_t h, const void *bytes, size_t n);

/* ---- compute (run.c) ---- */
loam_status loam__run_check_tokens(const loam__run *run, const loam_token *tokens, size_t n);
loam_status loam__run_compute(loam__run *run, const loam__request *request);
const float *loam__run_logits(loam__run *run, uint32_t slot); /* NULL: none */
loam_status loam__run_sample(loam__run *run, loam_seq seq, loam_token *token);

#endif
