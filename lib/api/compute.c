/* Sequences, prefill, decode and sampling: check the arguments, lock, call, set the error. */
#include <string.h>

#include "handle.h"

static loam_status no_pointer(loam *m, const char *what)
{
    return m ? loam__fail(&m->base, LOAM_ERR_ARG, "%s is NULL or empty", what) : LOAM_ERR_ARG;
}

static loam_status compute(loam *m, const loam__request *q)
{
    loam_status st = loam__enter(m, true);
    return st != LOAM_OK ? st : loam__leave(m, loam__run_compute(&m->run, q));
}

loam_status loam_prefill(loam *m, loam_seq seq, const loam_token *tokens, size_t n)
{
    if (!m || !tokens || !n) return no_pointer(m, "tokens");
    loam__item item = {.seq = seq, .tokens = tokens, .n = n, .logits = true};
    return compute(m, &(loam__request){.items = &item, .n_items = 1});
}

loam_status loam_prefill_logits(loam *m, loam_seq seq, const loam_token *tokens, size_t n,
                                float *logits)
{
    if (!m || !tokens || !n || !logits) return no_pointer(m, "tokens or logits");
    loam__item item = {.seq = seq, .tokens = tokens, .n = n, .logits = true};
    return compute(m, &(loam__request){.items = &item, .n_items = 1, .all_logits = logits});
}

loam_status loam_decode(loam *m, const loam_seq *seqs, const loam_token *tokens, size_t n)
{
    if (!m || !seqs || !tokens || !n) return no_pointer(m, "seqs or tokens");
    loam_status st = loam__enter(m, true);
    if (st != LOAM_OK) return st;
    if (n > m->plan.sequences)
        return loam__leave(m, loam__fail(&m->base, LOAM_ERR_ARG,
                                         "%zu sequences in one call; at most %u can be open", n,
                                         m->plan.sequences));
    for (size_t i = 0; i < n; i++)
        m->run.items[i] =
            (loam__item){.seq = seqs[i], .tokens = &tokens[i], .n = 1, .logits = true};
    loam__request q = {.items = m->run.items, .n_items = n};
    return loam__leave(m, loam__run_compute(&m->run, &q));
}

const float *loam_logits(loam *m, loam_seq seq)
{
    const float *logits = NULL;
    uint32_t slot;
    if (!m || loam__enter(m, true) != LOAM_OK) return NULL;
    if (loam__run_slot(&m->run, seq, &slot) == LOAM_OK) logits = loam__run_logits(&m->run, slot);
    loam__leave(m, LOAM_OK);
    return logits;
}

void loam_cancel(loam *m)
{
    if (m) atomic_store(&m->cancel, 1);
}

loam_status loam_set_budget(loam *m, uint64_t budget_ns)
{
    if (!m) return LOAM_ERR_ARG;
    loam_status st = loam__enter(m, true);
    if (st != LOAM_OK) return st;
    m->run.budget_ns = budget_ns;
    return loam__leave(m, LOAM_OK);
}

loam_status loam_seq_open(loam *m, loam_seq *seq)
{
    if (!m || !seq) return no_pointer(m, "seq");
    loam_status st = loam__enter(m, true);
    return st != LOAM_OK ? st : loam__leave(m, loam__run_open_seq(&m->run, seq));
}

loam_status loam_seq_close(loam *m, loam_seq seq)
{
    if (!m) return LOAM_ERR_ARG;
    loam_status st = loam__enter(m, true);
    return st != LOAM_OK ? st : loam__leave(m, loam__run_close_seq(&m->run, seq));
}

loam_status loam_seq_fork(loam *m, loam_seq seq, loam_seq *fork)
{
    if (!m || !fork) return no_pointer(m, "fork");
    loam_status st = loam__enter(m, true);
    return st != LOAM_OK ? st : loam__leave(m, loam__run_fork_seq(&m->run, seq, fork));
}

loam_status loam_seq_truncate(loam *m, loam_seq seq, size_t n_tokens)
{
    if (!m) return LOAM_ERR_ARG;
    loam_status st = loam__enter(m, true);
    return st != LOAM_OK ? st : loam__leave(m, loam__run_truncate_seq(&m->run, seq, n_tokens));
}

loam_status loam_seq_save(loam *m, loam_seq seq, void *state, size_t capacity, size_t *n_bytes)
{
    if (!m || !n_bytes || (!state && capacity)) return no_pointer(m, "state or n_bytes");
    loam_status st = loam__enter(m, true);
    if (st != LOAM_OK) return st;
    return loam__leave(m, loam__run_save_seq(&m->run, seq, state, capacity, n_bytes));
}

loam_status loam_seq_restore(loam *m, const void *state, size_t n, loam_seq *seq)
{
    if (!m || !state || !seq) return no_pointer(m, "state or seq");
    loam_status st = loam__enter(m, true);
    return st != LOAM_OK ? st : loam__leave(m, loam__run_restore_seq(&m->run, state, n, seq));
}

loam_status loam_get_usage(loam *m, loam_usage *usage)
{
    if (!m || !usage) return no_pointer(m, "usage");
    loam_status st = loam__enter(m, true);
    if (st != LOAM_OK) return st;
    const loam__kv_pool *p = &m->run.kv.pools[0];
    loam_usage u = {
        .kv_block_tokens = m->run.kv.shape.block_tokens,
        .kv_blocks = p->n_blocks,
        .kv_blocks_used = p->n_blocks - p->n_free - p->n_idle,
        .kv_blocks_idle = p->n_idle,
        .tokens_computed = m->run.tokens_computed,
        .tokens_shared = m->run.tokens_shared,
    };
    for (uint32_t i = 0; i < m->plan.sequences; i++)
        u.sequences += m->run.sequences[i].open;
    st = loam__options_write(usage, LOAM__UP_TO(loam_usage, tokens_shared), &u, sizeof u);
    if (st != LOAM_OK)
        loam__fail(&m->base, st,
                   "usage: struct_size is not of this version; call loam_usage_init() first");
    return loam__leave(m, st);
}

size_t loam_profile_count(loam *m)
{
    if (!m || loam__enter(m, true) != LOAM_OK) return 0;
    size_t n = m->run.n_parts;
    loam__leave(m, LOAM_OK);
    return n;
}

loam_status loam_profile_get(loam *m, size_t i, loam_profile *profile)
{
    if (!m || !profile) return no_pointer(m, "profile");
    loam_status st = loam__enter(m, true);
    if (st != LOAM_OK) return st;
    if (i >= m->run.n_parts)
        return loam__leave(m, loam__fail(&m->base, LOAM_ERR_ARG,
                                         "part %zu of the profile; it has %u, and none without "
                                         "LOAM_LOAD_PROFILE",
                                         i, m->run.n_parts));
    const loam__profile_part *part = &m->run.parts[i];
    loam_profile p = {
        .type = part->type,
        .runs = part->runs,
        .ns = part->ns,
        .head = part->head,
        .name = part->name,
    };
    st = loam__options_write(profile, LOAM__UP_TO(loam_profile, reserved_pointer), &p, sizeof p);
    if (st != LOAM_OK)
        loam__fail(&m->base, st,
                   "profile: struct_size is not of this version; call loam_profile_init() first");
    return loam__leave(m, st);
}

loam_status loam_seq_length(loam *m, loam_seq seq, size_t *n_tokens)
{
    uint32_t slot;
    if (!m || !n_tokens) return no_pointer(m, "n_tokens");
    loam_status st = loam__enter(m, true);
    if (st != LOAM_OK) return st;
    st = loam__run_slot(&m->run, seq, &slot);
    if (st == LOAM_OK) *n_tokens = m->run.sequences[slot].n_tokens;
    return loam__leave(m, st);
}

loam_status loam__read_sampling(loam *m, const loam_sampling *sampling, loam__sampler *sampler)
{
    loam_sampling how;
    loam_status st =
        loam__options_read(&how, sizeof how, LOAM__UP_TO(loam_sampling, reserved), sampling);
    if (st != LOAM_OK)
        return loam__fail(&m->base, st,
                          "sampling: struct_size or a field is not of this version; call "
                          "loam_sampling_init() first");
    return loam__sampler_init(&m->base, sampler, &how);
}

loam_status loam_seq_sampling(loam *m, loam_seq seq, const loam_sampling *sampling)
{
    loam__sampler sampler;
    uint32_t slot;
    if (!m) return LOAM_ERR_ARG;
    loam_status st = loam__enter(m, true);
    if (st != LOAM_OK) return st;
    if ((st = loam__run_slot(&m->run, seq, &slot)) == LOAM_OK &&
        (st = loam__read_sampling(m, sampling, &sampler)) == LOAM_OK)
        m->run.sequences[slot].sampler = sampler;
    return loam__leave(m, st);
}

loam_status loam_sample(loam *m, loam_seq seq, loam_token *token)
{
    if (!m || !token) return no_pointer(m, "token");
    loam_status st = loam__enter(m, true);
    return st != LOAM_OK ? st : loam__leave(m, loam__run_sample(&m->run, seq, token));
}
