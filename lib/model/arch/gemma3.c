/* Gemma 3: five layers with a sliding window, then one that sees all; two rotary bases; norms
 * around each block and on queries and keys (Gemma Team, "Gemma 3 Technical Report", 2025). */
#include <math.h>

#include "lib/model/model.h"

#define PATTERN_KEY   "gemma3.attention.sliding_window_pattern"
#define LAYERS_OF_27B 62u /* the one size whose attention is scaled by the model's width */

/* Which layers have the window: all but each period-th, or as an array says. */
static loam_status set_windows(loam__model *m, uint32_t window)
{
    loam__geometry *geo = &m->geometry;
    uint32_t period = 6;
    loam_gguf_meta meta = {0};
    int64_t entry = loam__gguf_find_meta(m->gguf, PATTERN_KEY);
    if (entry >= 0) loam__gguf_meta(m->gguf, (size_t)entry, &meta);
    bool listed = meta.type == LOAM_META_ARRAY;
    loam_status st = listed ? LOAM_OK : loam__gguf_want_u32(m->gguf, PATTERN_KEY, &period);
    for (uint32_t i = 0; i < geo->n_layers && st == LOAM_OK; i++) {
        uint64_t slides = period == 0 || (i + 1) % period != 0;
        if (listed && loam__gguf_u64(m->gguf, (size_t)entry, i, &slides) != LOAM_OK)
            return loam__fail(m->base, LOAM_ERR_METADATA, "%s says nothing of layer %u",
                              PATTERN_KEY, i);
        geo->layers[i].window = slides ? window : 0;
        geo->layers[i].rope = slides ? 1 : 0;
    }
    return st;
}

static loam_status geometry(loam__model *m)
{
    loam__geometry *geo = &m->geometry;
    uint32_t window = 0;
    loam_status st;
    loam__rope local = geo->ropes[0];
    local.base = 10000.0f;
    local.scaling = LOAM__ROPE_PLAIN;
    local.factor = 1.0f;
    if ((st = loam__model_want_u32(m, "attention.sliding_window", &window)) != LOAM_OK) return st;
    if ((st = loam__model_want_f32(m, "rope.freq_base_swa", &local.base)) != LOAM_OK) return st;
    if ((st = loam__model_want_f32(m, "final_logit_softcapping", &geo->logit_softcap)) != LOAM_OK)
        return st;
    geo->ropes[1] = local;
    geo->n_ropes = 2;
    if (window && (st = set_windows(m, window)) != LOAM_OK) return st;
    geo->embed_scale = sqrtf((float)geo->n_embd);
    if (geo->n_layers == LAYERS_OF_27B)
        geo->attention_scale = 1.0f / sqrtf((float)geo->n_embd / (float)geo->layers[0].heads);
    return LOAM_OK;
}

static loam__v norm(loam__model *m, loam__v x, const char *name)
{
    loam__graph *g = &m->graph;
    loam__v weight = loam__model_vector(m, m->geometry.n_embd, "blk.%d.%s.weight", g->layer, name);
    return loam__op_rms_norm(g, x, weight, m->geometry.eps);
}

static void graph(loam__model *m)
{
    loam__graph *g = &m->graph;
    loam__v x = loam__block_embed(m);
    for (uint32_t i = 0; i < m->geometry.n_layers; i++) {
        g->layer = (int32_t)i;
        loam__v h = loam__block_attention(m, norm(m, x, "attn_norm"), LOAM_ROPE_HALVES);
        x = loam__op_add(g, x, norm(m, h, "post_attention_norm"));
        h = loam__block_gated_ffn(m, norm(m, x, "ffn_norm"), LOAM_ACT_GELU_TANH);
        x = loam__op_add(g, x, norm(m, h, "post_ffw_norm"));
    }
    loam__block_head(m, x);
}

const loam__arch loam__arch_gemma3 = {"gemma3", geometry, graph};
