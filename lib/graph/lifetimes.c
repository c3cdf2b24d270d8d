#include "graph.h"

/* First fit over the values in the order of their making, copies first: each takes the lowest place
 * that no value holds which lives at the same time. Few live at once, and the scan begins at the
 * oldest of them. */

typedef struct placing {
    loam__graph *g;
    int32_t device;
    uint32_t own;    /* values that are no copies */
    uint32_t oldest; /* all before it are dead, and nodes come in order: they stay so */
} placing;

static bool is_placed(const placing *p, uint32_t i)
{
    return p->g->values[i].kind == LOAM_VALUE_ACTIVATION && p->g->origins[i].device == p->device;
}

static bool live_together(const placing *p, uint32_t i, uint32_t j)
{
    const loam__origin *a = &p->g->origins[i], *b = &p->g->origins[j];
    return is_placed(p, j) && a->first <= b->last && b->first <= a->last;
}

static uint64_t size_of(const loam_value *v)
{
    uint64_t n = v->rows * v->row_bytes; /* loam__graph_add() has checked the product */
    return loam__align_up(n);
}

/* The lowest offset at or above `from` where value i meets none of values first .. end - 1. */
static uint64_t step_over(const placing *p, uint32_t i, uint64_t from, uint32_t first, uint32_t end)
{
    const uint64_t size = size_of(&p->g->values[i]);
    for (uint32_t j = first; j < end; j++) {
        if (!live_together(p, i, j)) continue;
        const uint64_t at = p->g->values[j].offset, behind = at + size_of(&p->g->values[j]);
        if (from < behind && at < from + size) from = behind;
    }
    return from;
}

static loam_status place(placing *p, uint32_t i, uint64_t *bytes)
{
    loam__graph *g = p->g;
    uint64_t size = size_of(&g->values[i]), at = 0, before;
    const uint32_t copies = i < p->own ? g->n_values : i; /* that have their place */
    do {
        before = at;
        at = step_over(p, i, at, p->own, copies);
        if (i < p->own) at = step_over(p, i, at, p->oldest, i);
    } while (at != before);
    g->values[i].offset = at;
    if (!loam__add_u64(at, size, &before) || before > INT64_MAX)
        return loam__fail(g->base, LOAM_ERR_LIMIT,
                          "the activations of a step are too large; reduce step_tokens");
    if (before > *bytes) *bytes = before;
    return LOAM_OK;
}

loam_status loam__graph_place_activations(loam__graph *g, int32_t device, uint64_t *bytes)
{
    placing p = {.g = g, .device = device, .own = g->n_values - g->n_copies};
    loam_status st = LOAM_OK;
    *bytes = 0;
    for (uint32_t i = 0; i < g->n_values; i++) {
        loam__origin *origin = &g->origins[i];
        if (is_placed(&p, i) && origin->first < (int32_t)g->head &&
            origin->last >= (int32_t)g->head)
            origin->last = (int32_t)g->n_nodes;
    }
    for (uint32_t i = p.own; i < g->n_values && st == LOAM_OK; i++)
        if (is_placed(&p, i)) st = place(&p, i, bytes);
    for (uint32_t i = 0; i < p.own && st == LOAM_OK; i++) {
        if (!is_placed(&p, i)) continue;
        while (p.oldest < i &&
               (!is_placed(&p, p.oldest) || g->origins[p.oldest].last < g->origins[i].first))
            p.oldest++;
        st = place(&p, i, bytes);
    }
    return st;
}
