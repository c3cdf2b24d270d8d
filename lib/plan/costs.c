#include "plan.h"

#include <math.h>

/* ---- of a file, planned for one device ---- */

/* Body nodes without a layer come before the first one, head nodes behind the last. */
uint32_t loam__plan_unit_of(const loam__plan *p, uint32_t node)
{
    const loam__graph *g = &p->model.graph;
    if (node >= g->head) return p->model.geometry.n_layers + 1;
    return (uint32_t)(g->nodes[node].layer + 1);
}

static void add_value(loam__plan_unit *unit, const loam_value *v)
{
    uint64_t bytes = loam__align_up(v->rows * v->row_bytes);
    if (v->kind == LOAM_VALUE_WEIGHT || v->kind == LOAM_VALUE_CONSTANT)
        unit->weights_bytes += bytes;
    if (v->kind == LOAM_VALUE_KV) unit->kv_bytes += bytes;
}

/* Each value is counted in every unit that uses it, once: rope scales are needed on each device. */
static void add_sources(const loam__plan *p, uint32_t *seen, loam__plan_costs *c)
{
    const loam__graph *g = &p->model.graph;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        uint32_t unit = loam__plan_unit_of(p, i);
        for (int slot = 0; slot < LOAM_NODE_SOURCES; slot++) {
            int32_t v = g->nodes[i].src[slot];
            if (v < 0 || seen[v] == unit + 1) continue;
            add_value(&c->units[unit], &g->values[v]);
            seen[v] = unit + 1;
        }
    }
}

/* What a mapped file has beside the weights that are used: its header, first of all. */
static uint64_t rest_of_file(const loam__plan *p, const loam__plan_costs *c)
{
    uint64_t used = 0, mapped = p->totals.weights_mapped_bytes;
    for (uint32_t i = 0; i < c->n; i++)
        used += c->units[i].weights_bytes;
    used -= c->tied_bytes;
    return mapped > used ? mapped - used : 0;
}

/* The embedding's table and the output's matrix may be one tensor. */
static uint64_t tied_bytes(const loam__graph *g)
{
    int64_t table = -1;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        int32_t weight = g->nodes[i].src[0];
        if (g->nodes[i].op == LOAM_OP_EMBED) table = g->origins[weight].tensor;
        if (g->nodes[i].op == LOAM_OP_MATMUL && i >= g->head && table >= 0 &&
            g->origins[weight].tensor == table)
            return loam__align_up(g->values[weight].rows * g->values[weight].row_bytes);
    }
    return 0;
}

loam_status loam__plan_costs_file(loam__base *b, const loam__plan *p, uint32_t context_tokens,
                                  loam__plan_costs *c)
{
    const loam__graph *g = &p->model.graph;
    const loam__geometry *geo = &p->model.geometry;
    *c = (loam__plan_costs){.base = b, .n = geo->n_layers + 2};
    c->units = loam__alloc_array(b, c->n, sizeof *c->units);
    uint32_t *seen = loam__alloc_array(b, g->n_values, sizeof *seen);
    if (c->units && seen) add_sources(p, seen, c);
    loam__free(b, seen);
    if (!c->units || !seen) return LOAM_ERR_NOMEM;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        loam__plan_unit *unit = &c->units[loam__plan_unit_of(p, i)];
        loam__plan_read read = loam__plan_node_read(g, i, context_tokens);
        unit->weights_read_bytes += read.weights_bytes;
        unit->kv_read_bytes += read.kv_bytes;
    }
    c->tied_bytes = tied_bytes(g);
    uint64_t apart = 0;
    for (uint32_t i = 0; i < p->n_arenas; i++) {
        int32_t kind = p->arenas[i].kind;
        const bool everywhere = kind == LOAM_ARENA_ACTIVATIONS || kind == LOAM_ARENA_SCRATCH;
        if (everywhere) c->device_bytes += p->arenas[i].bytes;
        if (kind == LOAM_ARENA_LOGITS) c->logits_bytes = p->arenas[i].bytes;
        if (everywhere || kind == LOAM_ARENA_LOGITS) apart += p->arenas[i].bytes;
    }
    c->host_bytes = p->totals.overhead_bytes - apart;
    c->host_bytes += rest_of_file(p, c); /* the constants are in the file and beside it */
    c->cut_bytes = (uint64_t)geo->n_embd * sizeof(float);
    c->staging_bytes = 2 * c->cut_bytes * p->step_tokens; /* one to come in, one to go out */
    c->result_bytes = (uint64_t)geo->n_vocab * sizeof(float);
    return LOAM_OK;
}

/* ---- of a description ---- */

/* Part i of n of a sum, so that the parts add up to it. */
static uint64_t part(uint64_t sum, uint32_t i, uint32_t n)
{
    return sum / n + (i < sum % n);
}

loam_status loam__plan_costs_described(loam__base *b, const loam_plan_geometry *geo,
                                       const loam_plan_totals *totals, uint32_t context_tokens,
                                       loam__plan_costs *c)
{
    double byte = geo->bits_per_weight / 8;
    double table = (double)geo->vocabulary_tokens * geo->embedding_values * byte;
    uint64_t experts = (uint64_t)llround(geo->expert_parameters * byte);
    uint64_t ends = 2 * (uint64_t)llround(table), weights = totals->weights_bytes;
    uint64_t seen = (uint64_t)llround((double)totals->kv_token_bytes * context_tokens);
    *c = (loam__plan_costs){.base = b, .n = geo->layers + 2};
    if (!(c->units = loam__alloc_array(b, c->n, sizeof *c->units))) return LOAM_ERR_NOMEM;
    uint64_t dense = weights > experts + ends ? weights - experts - ends : 0;
    for (uint32_t i = 0; i < geo->layers; i++) {
        loam__plan_unit *u = &c->units[i + 1];
        u->weights_bytes = u->weights_read_bytes = part(dense, i, geo->layers);
        u->expert_bytes = part(experts, i, geo->layers);
        if (experts)
            u->expert_read_bytes =
                (uint64_t)((double)u->expert_bytes * geo->experts_used / geo->experts);
        u->kv_bytes = part(totals->kv_bytes, i, geo->layers);
        u->kv_read_bytes = part(seen, i, geo->layers);
    }
    c->units[0].weights_bytes = ends / 2;
    c->units[0].weights_read_bytes = (uint64_t)llround(ends ? geo->embedding_values * byte : 0);
    c->units[c->n - 1].weights_bytes = c->units[c->n - 1].weights_read_bytes = ends / 2;
    c->device_bytes = geo->overhead_bytes;
    c->cut_bytes = (uint64_t)geo->embedding_values * sizeof(float);
    c->result_bytes = (uint64_t)geo->vocabulary_tokens * sizeof(float);
    return LOAM_OK;
}

void loam__plan_costs_free(loam__plan_costs *c)
{
    if (c->base) loam__free(c->base, c->units);
    *c = (loam__plan_costs){0};
}

void loam__plan_costs_scale(loam__plan_costs *c, double factor)
{
    for (uint32_t i = 0; i < c->n; i++) {
        loam__plan_unit *u = &c->units[i];
        u->weights_bytes = (uint64_t)((double)u->weights_bytes * factor);
        u->weights_read_bytes = (uint64_t)((double)u->weights_read_bytes * factor);
        u->expert_bytes = (uint64_t)((double)u->expert_bytes * factor);
        u->expert_read_bytes = (uint64_t)((double)u->expert_read_bytes * factor);
    }
    c->tied_bytes = (uint64_t)((double)c->tied_bytes * factor);
}
