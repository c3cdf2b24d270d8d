#include "graph.h"

loam__piece loam__piece_at(const loam__graph *g, const uint8_t *devices, uint32_t first)
{
    uint32_t end = first + 1;
    while (end < g->n_nodes && end != g->head && devices[end] == devices[first])
        end++;
    return (loam__piece){.device = devices[first], .first = first, .n = end - first};
}

/* The copy of v on a device, or -1. */
static loam__v find_copy(const loam__graph *g, loam__v v, int32_t device)
{
    for (uint32_t i = g->n_values - g->n_copies; i < g->n_values; i++)
        if (g->origins[i].copy_of == v && g->origins[i].device == device) return (loam__v)i;
    return -1;
}

/* The rows are moved between two pieces: the copy lives from the beginning of the one that reads
 * it, and the value itself up to there. */
static loam__v add_copy(loam__graph *g, loam__v v, int32_t device, uint32_t piece)
{
    loam__origin origin = g->origins[v];
    origin.device = device;
    origin.copy_of = v;
    origin.first = origin.last = (int32_t)piece;
    if (g->values[v].kind == LOAM_VALUE_KV) {
        g->status = loam__fail(g->base, LOAM_ERR_INTERNAL,
                               "the KV cells of one layer are used on two devices; report this");
        return -1;
    }
    loam__v copy = loam__graph_add(g, g->values[v], origin);
    if (copy < 0) return -1;
    g->n_copies++;
    if (g->origins[v].last < (int32_t)piece) g->origins[v].last = (int32_t)piece;
    return copy;
}

/* Let a node's source be where the node runs; its piece begins at that node. */
static void settle_source(loam__graph *g, uint32_t node, int slot, int32_t device, uint32_t piece)
{
    loam__v v = g->nodes[node].src[slot];
    if (v < 0) return;
    if (g->origins[v].device < 0) g->origins[v].device = device;
    if (g->origins[v].device == device) return;
    loam__v copy = find_copy(g, v, device);
    if (copy < 0) copy = add_copy(g, v, device, piece);
    if (copy < 0) return;
    if (g->origins[copy].last < (int32_t)node) g->origins[copy].last = (int32_t)node;
    g->nodes[node].src[slot] = copy;
}

loam_status loam__graph_cut(loam__graph *g, const uint8_t *devices)
{
    loam__piece piece = {0};
    for (uint32_t i = 0; i < g->n_values; i++)
        g->origins[i].device = -1;
    for (uint32_t i = 0; i < g->n_nodes && g->status == LOAM_OK; i++) {
        if (i == piece.first + piece.n) piece = loam__piece_at(g, devices, i);
        for (int slot = 0; slot < LOAM_NODE_SOURCES; slot++)
            settle_source(g, i, slot, devices[i], piece.first);
        g->origins[g->nodes[i].dst].device = devices[i];
    }
    for (uint32_t i = 0; i < g->n_values; i++) /* what no node uses */
        if (g->origins[i].device < 0) g->origins[i].device = 0;
    return g->status;
}
