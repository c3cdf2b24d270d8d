#include "graph.h"

/* First fit over the values in the order of their making: each takes the lowest place that no
 * living value holds. Few live at once, and the scan begins at the oldest of them. */

static bool is_placed(const loam__graph *g, uint32_t i)
{
    return g->values[i].kind == LOAM_VALUE_ACTIVATION;
}

/* Whether value i still holds its place when that node runs. */
static bool lives(const loam__graph *g, uint32_t i, int32_t node)
{
    return is_placed(g, i) && g->origins[i].last >= node;
}

static uint64_t size_of(const loam_value *v)
{
    uint64_t n = v->rows * v->row_bytes; /* add_value() has checked the product */
    return loam__align_up(n);
}

/* The lowest offset at or above `from` where value i meets value j, or from if they can share it.
 */
static uint64_t step_over(const loam_value *v, uint64_t from, uint64_t size)
{
    uint64_t end = v->offset + size_of(v);
    return from < end && v->offset < from + size ? end : from;
}

loam_status loam__graph_place_activations(loam__graph *g, uint64_t *bytes)
{
    uint32_t oldest = 0; /* all before it are dead, and nodes come in order: they stay so */
    *bytes = 0;
    for (uint32_t i = 0; i < g->n_values; i++)
        if (is_placed(g, i) && g->origins[i].first < (int32_t)g->head &&
            g->origins[i].last >= (int32_t)g->head)
            g->origins[i].last = (int32_t)g->n_nodes;
    for (uint32_t i = 0; i < g->n_values; i++) {
        if (!is_placed(g, i)) continue;
        uint64_t size = size_of(&g->values[i]), at = 0, before;
        while (oldest < i && !lives(g, oldest, g->origins[i].first))
            oldest++;
        do {
            before = at;
            for (uint32_t j = oldest; j < i; j++)
                if (lives(g, j, g->origins[i].first)) at = step_over(&g->values[j], at, size);
        } while (at != before);
        g->values[i].offset = at;
        if (!loam__add_u64(at, size, &before) || before > INT64_MAX)
            return loam__fail(g->base, LOAM_ERR_LIMIT,
                              "the activations of a step are too large; reduce step_tokens");
        if (before > *bytes) *bytes = before;
    }
    return LOAM_OK;
}
