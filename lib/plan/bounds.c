/* EQ OM2.1: what a decoded token reads; and what a token of a prompt multiplies. */
#include "plan.h"

static uint64_t seen_bytes(const loam__graph *g, const loam_node *node, uint32_t context_tokens)
{
    uint32_t window = node->u.attention.window, block = node->u.attention.block_tokens;
    uint64_t seen = window && window < context_tokens ? window : context_tokens;
    return seen * (g->values[node->src[1]].row_bytes / block) +
           seen * (g->values[node->src[2]].row_bytes / block);
}

loam__plan_read loam__plan_node_read(const loam__graph *g, uint32_t i, uint32_t context_tokens)
{
    const loam_node *node = &g->nodes[i];
    const loam_value *source = &g->values[node->src[0]];
    loam__plan_read read = {0};
    if (node->op == LOAM_OP_MATMUL) read.weights_bytes = source->rows * source->row_bytes;
    if (node->op == LOAM_OP_EMBED) read.weights_bytes = source->row_bytes;
    if (node->op == LOAM_OP_ATTENTION) read.kv_bytes = seen_bytes(g, node, context_tokens);
    return read;
}

loam__plan_read loam__plan_token_read(const loam__graph *g, uint32_t context_tokens)
{
    loam__plan_read sum = {0};
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        loam__plan_read read = loam__plan_node_read(g, i, context_tokens);
        sum.weights_bytes += read.weights_bytes;
        sum.kv_bytes += read.kv_bytes;
    }
    return sum;
}

uint64_t loam__plan_token_products(const loam__graph *g)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < g->head; i++) {
        if (g->nodes[i].op != LOAM_OP_MATMUL) continue;
        const loam_value *w = &g->values[g->nodes[i].src[0]];
        sum = loam__plan_plus(sum, w->rows * w->cols);
    }
    return sum;
}
