#include <string.h>

#include "run.h"

#define GENERATIONS (1u << (31 - LOAM__SLOT_BITS))

static loam_seq number_of(const loam__run *run, uint32_t slot)
{
    return (loam_seq)(run->sequences[slot].generation << LOAM__SLOT_BITS | slot);
}

loam_status loam__run_slot(loam__run *run, loam_seq seq, uint32_t *slot)
{
    *slot = loam__slot_of(seq);
    if (seq >= 0 && *slot < run->plan->sequences && run->sequences[*slot].open &&
        number_of(run, *slot) == seq)
        return LOAM_OK;
    return loam__fail(run->base, LOAM_ERR_SEQ,
                      "sequence %d is not open; take a number from loam_seq_open()", seq);
}

static loam_status free_slot(loam__run *run, uint32_t *slot)
{
    *slot = 0;
    for (uint32_t i = 0; i < run->plan->sequences; i++) {
        if (run->sequences[i].open) continue;
        *slot = i;
        return LOAM_OK;
    }
    return loam__fail(run->base, LOAM_ERR_FULL,
                      "all %u sequences are open; close one or load with more options.sequences",
                      run->plan->sequences);
}

static void open_slot(loam__run *run, uint32_t slot)
{
    loam__sequence *s = &run->sequences[slot];
    static const loam_sampling greedy = {.struct_size = sizeof greedy};
    s->open = true;
    s->has_logits = false;
    s->n_tokens = s->n_computed = 0;
    loam__sampler_init(run->base, &s->sampler, &greedy);
}

/* Give back the cells beyond a sequence's tokens; where a window has passed, more of them are gone.
 */
static void cut_cells(loam__run *run, uint32_t slot)
{
    loam__sequence *s = &run->sequences[slot];
    uint32_t n = s->n_computed < s->n_tokens ? s->n_computed : s->n_tokens;
    s->n_computed = loam__kv_truncate(&run->kv, slot, n);
}

loam_status loam__run_open_seq(loam__run *run, loam_seq *seq)
{
    uint32_t slot;
    loam_status st = free_slot(run, &slot);
    if (st != LOAM_OK) return st;
    open_slot(run, slot);
    *seq = number_of(run, slot);
    return LOAM_OK;
}

loam_status loam__run_close_seq(loam__run *run, loam_seq seq)
{
    uint32_t slot;
    loam_status st = loam__run_slot(run, seq, &slot);
    if (st != LOAM_OK) return st;
    loam__run_drop_pending(run);
    loam__kv_truncate(&run->kv, slot, 0);
    run->sequences[slot].open = false;
    run->sequences[slot].generation = (run->sequences[slot].generation + 1) % GENERATIONS;
    return LOAM_OK;
}

loam_status loam__run_fork_seq(loam__run *run, loam_seq seq, loam_seq *fork)
{
    uint32_t from, to;
    size_t context = run->plan->context_tokens, vocab = run->plan->model.geometry.n_vocab;
    loam_status st = loam__run_slot(run, seq, &from);
    if (st != LOAM_OK || (st = free_slot(run, &to)) != LOAM_OK) return st;
    loam__run_drop_pending(run);
    open_slot(run, to);
    uint32_t n = run->sequences[from].n_tokens;
    loam__kv_share(&run->kv, from, to);
    run->sequences[to].n_computed = run->sequences[from].n_computed;
    memcpy(run->history + to * context, run->history + from * context, n * sizeof(loam_token));
    if (run->sequences[from].has_logits)
        memcpy(run->logits + to * vocab, run->logits + from * vocab, vocab * sizeof(float));
    run->sequences[to].has_logits = run->sequences[from].has_logits;
    run->sequences[to].n_tokens = n;
    *fork = number_of(run, to);
    return LOAM_OK;
}

loam_status loam__run_truncate_seq(loam__run *run, loam_seq seq, size_t n_tokens)
{
    uint32_t slot;
    loam_status st = loam__run_slot(run, seq, &slot);
    if (st != LOAM_OK) return st;
    loam__sequence *s = &run->sequences[slot];
    if (n_tokens > s->n_tokens)
        return loam__fail(run->base, LOAM_ERR_ARG,
                          "the sequence has %u tokens and cannot be cut to %zu", s->n_tokens,
                          n_tokens);
    loam__run_drop_pending(run);
    s->n_tokens = (uint32_t)n_tokens;
    cut_cells(run, slot);
    s->has_logits = false;
    return LOAM_OK;
}

uint32_t loam__run_share_seq(loam__run *run, uint32_t slot, const loam_token *tokens, uint32_t n)
{
    loam__sequence *s = &run->sequences[slot];
    uint32_t had = s->n_tokens;
    if (s->n_computed < had || n <= had) return 0;
    uint32_t found = loam__kv_match(&run->kv, slot, tokens, had, n);
    if (found <= had) return 0;
    memcpy(run->history + (size_t)slot * run->plan->context_tokens + had, tokens + had,
           (found - had) * sizeof *tokens);
    s->n_tokens = s->n_computed = found;
    s->has_logits = false;
    return found - had;
}

void loam__run_drop_pending(loam__run *run)
{
    if (!run->pending.active) return;
    run->pending.active = false;
    for (uint32_t i = 0; i < run->plan->sequences; i++)
        if (run->sequences[i].open) cut_cells(run, i);
}
