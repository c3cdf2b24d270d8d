/* The Llama family: Llama 1 to 3, Mistral, SmolLM2 and what shares their graph (Touvron et al.
 * 2023). */
#include "lib/model/model.h"

static loam_status geometry(loam__model *m)
{
    uint32_t experts = 0;
    loam_status st = loam__model_want_u32(m, "expert_count", &experts);
    if (st == LOAM_OK && experts)
        return loam__fail(
            m->base, LOAM_ERR_UNSUPPORTED,
            "the model has %u experts; mixtures of experts are not built into this version",
            experts);
    return st;
}

static void graph(loam__model *m)
{
    loam__graph *g = &m->graph;
    const loam__geometry *geo = &m->geometry;
    loam__v x = loam__block_embed(m);
    for (uint32_t i = 0; i < geo->n_layers; i++) {
        g->layer = (int32_t)i;
        loam__v norm = loam__model_vector(m, geo->n_embd, "blk.%u.attn_norm.weight", i);
        loam__v h = loam__op_rms_norm(g, x, norm, geo->eps);
        x = loam__op_add(g, x, loam__block_attention(m, h, LOAM_ROPE_PAIRS));
        norm = loam__model_vector(m, geo->n_embd, "blk.%u.ffn_norm.weight", i);
        h = loam__op_rms_norm(g, x, norm, geo->eps);
        x = loam__op_add(g, x, loam__block_gated_ffn(m, h, LOAM_ACT_SILU));
    }
    loam__block_head(m, x);
}

const loam__arch loam__arch_llama = {"llama", geometry, graph};
