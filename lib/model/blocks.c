/* Parts of a transformer that families share. */
#include "lib/quant/quant.h"
#include "model.h"

loam__v loam__block_embed(loam__model *m)
{
    const loam__geometry *geo = &m->geometry;
    loam__v table = loam__model_matrix(m, geo->n_vocab, geo->n_embd, "token_embd.weight");
    return loam__op_embed(&m->graph, table, geo->embed_scale);
}

/* One projection of the layer, with its bias if the file has one. */
static loam__v project(loam__model *m, loam__v x, uint64_t rows, uint64_t cols, const char *name)
{
    int layer = m->graph.layer;
    loam__v weight = loam__model_matrix(m, rows, cols, "blk.%d.%s.weight", layer, name);
    loam__v bias = loam__model_vector_if(m, rows, "blk.%d.%s.bias", layer, name);
    return loam__op_matmul(&m->graph, weight, x, bias);
}

/* The norm of each head that some families put on queries and keys, where the file has it. */
static loam__v head_norm(loam__model *m, loam__v x, const char *name)
{
    loam__v weight =
        loam__model_vector_if(m, m->geometry.k_values, "blk.%d.%s.weight", m->graph.layer, name);
    return weight < 0 ? x : loam__op_rms_norm(&m->graph, x, weight, m->geometry.eps);
}

static loam__v rotate(loam__model *m, loam__v x, int32_t style, uint32_t heads, uint32_t rope)
{
    const loam__rope *r = &m->geometry.ropes[rope];
    loam__rope_shape shape = {
        .style = style,
        .heads = heads,
        .head_values = m->geometry.k_values,
        .rotary_values = r->rotary_values,
        .step = loam__rope_step(r),
        .magnitude = loam__rope_magnitude(r),
    };
    return loam__op_rope(&m->graph, x, m->rope_values[rope], shape);
}

/* <loam/backend.h> says which keys lie so. */
static bool keys_are_transposed(const loam__model_options *o)
{
    bool whole = loam__format_find(o->k_type)->block_values == 1; /* each key a number of its own */
    return whole && o->block_tokens % 16 == 0;
}

loam__v loam__block_attention(loam__model *m, loam__v x, int32_t rope_style)
{
    loam__graph *g = &m->graph;
    const loam__geometry *geo = &m->geometry;
    const loam__layer *layer = &geo->layers[g->layer];
    const loam__model_options *o = &m->options;
    uint64_t k_width = (uint64_t)layer->kv_heads * geo->k_values;
    uint64_t v_width = (uint64_t)layer->kv_heads * geo->v_values;
    loam__v q = project(m, x, (uint64_t)layer->heads * geo->k_values, geo->n_embd, "attn_q");
    loam__v k = project(m, x, k_width, geo->n_embd, "attn_k");
    loam__v v = project(m, x, v_width, geo->n_embd, "attn_v");
    q = rotate(m, head_norm(m, q, "attn_q_norm"), rope_style, layer->heads, layer->rope);
    k = rotate(m, head_norm(m, k, "attn_k_norm"), rope_style, layer->kv_heads, layer->rope);
    loam__cells_shape cells = {
        .type = o->k_type,
        .heads = layer->kv_heads,
        .head_values = geo->k_values,
        .block_tokens = o->block_tokens,
        .group = layer->group,
        .transposed = keys_are_transposed(o),
        .blocks = o->blocks[layer->group],
    };
    loam__v k_cells = loam__graph_cells(g, cells);
    cells.type = o->v_type;
    cells.head_values = geo->v_values;
    cells.transposed = false;
    loam__v v_cells = loam__graph_cells(g, cells);
    loam__op_kv_write(g, k, k_cells, layer->kv_heads, o->block_tokens);
    loam__op_kv_write(g, v, v_cells, layer->kv_heads, o->block_tokens);
    loam__attention_shape shape = {
        .heads = layer->heads,
        .kv_heads = layer->kv_heads,
        .k_values = geo->k_values,
        .v_values = geo->v_values,
        .block_tokens = o->block_tokens,
        .window = layer->window,
        .scale = geo->attention_scale,
        .softcap = geo->attention_softcap,
    };
    loam__v mixed = loam__op_attention(g, q, k_cells, v_cells, shape);
    return project(m, mixed, geo->n_embd, (uint64_t)layer->heads * geo->v_values, "attn_output");
}

loam__v loam__block_gated_ffn(loam__model *m, loam__v x, int32_t act)
{
    uint64_t width = m->geometry.n_embd, inner = m->geometry.layers[m->graph.layer].ff_values;
    loam__v gate = project(m, x, inner, width, "ffn_gate");
    loam__v up = project(m, x, inner, width, "ffn_up");
    return project(m, loam__op_glu(&m->graph, gate, up, act), width, inner, "ffn_down");
}

void loam__block_head(loam__model *m, loam__v x)
{
    loam__graph *g = &m->graph;
    const loam__geometry *geo = &m->geometry;
    g->layer = -1;
    loam__v norm = loam__model_vector(m, geo->n_embd, "output_norm.weight");
    loam__v weight = loam__model_matrix_if(m, geo->n_vocab, geo->n_embd, "output.weight");
    if (weight < 0)
        weight = loam__model_matrix(m, geo->n_vocab, geo->n_embd, "token_embd.weight"); /* tied */
    x = loam__op_rms_norm(g, loam__op_pick_rows(g, x), norm, geo->eps);
    x = loam__op_matmul(g, weight, x, loam__model_vector_if(m, geo->n_vocab, "output.bias"));
    if (geo->logit_softcap > 0) x = loam__op_softcap(g, x, geo->logit_softcap);
    loam__graph_result(g, x);
}
