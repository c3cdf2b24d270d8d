#include "plan.h"

#include <math.h>
#include <string.h>

/* Room for a placement's problem. */
typedef struct workspace {
    loam__plan_costs costs;
    loam__place_unit *units;
    loam__place_device devices[LOAM_PLAN_TARGETS_MAX];
    loam__place_problem problem;
} workspace;

/* A plan of a file, or the geometry, with other numbers. */
typedef struct variant {
    loam__plan own;
    const loam__plan *file;
    loam_plan_geometry geometry;
    loam_options options;
    double scale; /* of the weights */
} variant;

/* ---- the numbers ---- */

static loam_status vary_options(const loam__plan_case *c, loam__base *b, const loam__plan_wish *w,
                                loam_options *o)
{
    *o = c->options;
    if (!w) return LOAM_OK;
    o->context_tokens = w->context_tokens;
    o->sequences = w->sequences;
    o->kv_tokens = w->kv_tokens;
    o->kv_block_tokens = w->block_tokens;
    o->kv_type = w->kv_type;
    o->v_type = w->v_type;
    return loam__options_check(b, o);
}

/* All that comes from the file's tensors, in other formats. */
static void scale_weights(loam_plan_totals *t, double scale)
{
    uint64_t rest = t->total_bytes - t->weights_bytes;
    if (scale == 1) return;
    t->weights_bytes = (uint64_t)((double)t->weights_bytes * scale);
    t->weights_mapped_bytes = (uint64_t)((double)t->weights_mapped_bytes * scale);
    t->token_read_bytes = (uint64_t)((double)t->token_read_bytes * scale);
    t->total_bytes = loam__plan_plus(t->weights_bytes, rest);
    t->shared_bytes = t->weights_mapped_bytes;
    t->private_bytes = t->total_bytes - t->shared_bytes;
}

static loam_status vary(const loam__plan_case *c, loam__base *b, const loam__plan_wish *w,
                        variant *v, loam_plan_totals *t)
{
    *v = (variant){.file = c->file, .geometry = c->geometry, .scale = c->scale};
    loam_status st = vary_options(c, b, w, &v->options);
    if (st != LOAM_OK) return st;
    if (!c->file) {
        if (w) v->geometry.bits_per_weight = w->bits;
        double cells = loam__plan_cell_bits(&v->options) / loam__plan_cell_bits(&c->options);
        return loam__plan_formula(b, &v->geometry, &v->options, c->kv_token_bytes * cells, t);
    }
    if (w) {
        if ((st = loam__plan_again(b, c->file, &v->options, c->held, &v->own)) != LOAM_OK)
            return st;
        v->file = &v->own;
        v->scale = w->bits / c->bits;
    }
    *t = v->file->totals;
    t->parameters = c->parameters;
    t->bits_per_weight = c->bits * v->scale;
    scale_weights(t, v->scale);
    return LOAM_OK;
}

/* ---- the machine ---- */

static loam_status open_workspace(const loam__plan_case *c, loam__base *b, const variant *v,
                                  const loam_plan_totals *t, uint32_t context, workspace *ws)
{
    *ws = (workspace){0};
    loam_status st = v->file ? loam__plan_costs_file(b, v->file, context, &ws->costs)
                             : loam__plan_costs_described(b, &v->geometry, t, context, &ws->costs);
    if (st != LOAM_OK) return st;
    loam__plan_costs_scale(&ws->costs, v->scale);
    if (!(ws->units = loam__alloc_array(b, ws->costs.n, sizeof *ws->units))) return LOAM_ERR_NOMEM;
    ws->problem = loam__plan_problem(&c->machine, &ws->costs, ws->units, ws->devices);
    return LOAM_OK;
}

static void close_workspace(loam__base *b, workspace *ws)
{
    loam__plan_costs_free(&ws->costs);
    loam__free(b, ws->units);
}

static loam_status check_layers(const loam__plan_case *c, loam__base *b)
{
    uint32_t layers = c->file ? c->file->model.geometry.n_layers : c->geometry.layers;
    if (layers == 0) return loam__fail(b, LOAM_ERR_ARG, "a placement needs the number of layers");
    if (layers > LOAM__LAYERS_MAX)
        return loam__fail(b, LOAM_ERR_LIMIT, "%u layers are too many to place; at most %u", layers,
                          LOAM__LAYERS_MAX);
    if (c->machine.n_pinned > layers)
        return loam__fail(b, LOAM_ERR_ARG, "layer %u is pinned; the model has %u",
                          c->machine.n_pinned - 1, layers);
    return LOAM_OK;
}

/* Who has what of it; and the totals, in which a tied table that is on two devices counts twice. */
static void share_out(const loam__plan_case *c, const workspace *ws, loam__plan_answer *a)
{
    const loam__placement *p = &a->placement;
    loam_plan_totals *t = &a->totals;
    bool mapped = t->weights_mapped_bytes > 0;
    memset(a->shares, 0, sizeof a->shares);
    for (uint32_t i = 0; i < ws->costs.n; i++) {
        const loam__plan_unit *u = &ws->costs.units[i];
        loam__plan_share *s = &a->shares[p->device[i]], *with = s;
        for (uint32_t d = 0; d < c->machine.n && p->experts_on_host[i]; d++)
            if (c->machine.targets[d].host) with = &a->shares[d];
        s->weights_bytes += u->weights_bytes;
        s->kv_bytes += u->kv_bytes;
        with->weights_bytes += u->expert_bytes;
    }
    if (p->device[0] == p->device[ws->costs.n - 1])
        a->shares[p->device[0]].weights_bytes -= ws->costs.tied_bytes;
    t->weights_bytes = t->weights_mapped_bytes = t->overhead_bytes = t->peak_resident_bytes = 0;
    for (uint32_t d = 0; d < c->machine.n; d++) {
        loam__plan_share *s = &a->shares[d];
        s->limit_bytes = ws->devices[d].limit_bytes;
        s->other_bytes = p->bytes[d] - s->weights_bytes - s->kv_bytes;
        t->weights_bytes = loam__plan_plus(t->weights_bytes, s->weights_bytes);
        t->overhead_bytes = loam__plan_plus(t->overhead_bytes, s->other_bytes);
        if (!c->machine.targets[d].host) continue;
        t->peak_resident_bytes = p->bytes[d];
        if (mapped) t->weights_mapped_bytes = s->weights_bytes;
    }
    t->total_bytes =
        loam__plan_plus(loam__plan_plus(t->weights_bytes, t->kv_bytes), t->overhead_bytes);
    t->shared_bytes = t->weights_mapped_bytes;
    t->private_bytes = t->total_bytes - t->shared_bytes;
}

static loam_status judge_placement(const loam__plan_case *c, loam__base *b, loam__plan_answer *a)
{
    loam_plan_totals *t = &a->totals;
    uint32_t fullest = 0;
    uint64_t sum = 0;
    double most = 0;
    t->fill = c->machine.fill;
    for (uint32_t d = 0; d < c->machine.n; d++) {
        double full = (double)a->placement.bytes[d] / ((double)a->shares[d].limit_bytes + 1);
        sum = loam__plan_plus(sum, a->shares[d].limit_bytes);
        if (full <= most) continue;
        most = full;
        fullest = d;
    }
    t->limit_bytes = c->options.memory_limit_bytes ? c->options.memory_limit_bytes : sum;
    bool capped = c->options.memory_limit_bytes && t->total_bytes > c->options.memory_limit_bytes;
    t->fits = a->placement.fits && !capped;
    if (t->fits) return LOAM_OK;
    if (a->placement.fits)
        return loam__fail(b, LOAM_ERR_NOFIT,
                          "the model needs %llu bytes on all devices and the limit is %llu",
                          (unsigned long long)t->total_bytes, (unsigned long long)t->limit_bytes);
    return loam__fail(
        b, LOAM_ERR_NOFIT,
        "the model needs %llu bytes and no placement fits%s: at best %s would hold "
        "%llu bytes and its limit is %llu",
        (unsigned long long)t->total_bytes, c->machine.n_pinned ? " with these pins" : "",
        c->machine.targets[fullest].name, (unsigned long long)a->placement.bytes[fullest],
        (unsigned long long)a->shares[fullest].limit_bytes);
}

static loam_status place(const loam__plan_case *c, loam__base *b, const variant *v, bool excess,
                         loam__plan_answer *a)
{
    workspace ws;
    loam_status st = open_workspace(c, b, v, &a->totals, a->totals.context_tokens, &ws);
    if (st == LOAM_OK) st = loam__place(b, &ws.problem, excess, &a->placement);
    if (st == LOAM_OK && !a->placement.fits && !excess) {
        st = LOAM_ERR_NOFIT;
    } else if (st == LOAM_OK) {
        share_out(c, &ws, a);
        st = judge_placement(c, b, a);
    }
    close_workspace(b, &ws);
    return st;
}

/* ---- devices that are there ---- */

static loam_status spread(const loam__plan_case *c, loam__base *b, const loam__plan_wish *w,
                          loam_plan_totals *t)
{
    loam_options o;
    loam__plan plan = {0};
    loam__sites sites = c->file->sites;
    const loam__spread s = {.gguf = c->file->model.gguf,
                            .sites = &sites,
                            .records = c->file->records,
                            .held = c->held,
                            .scale = w->bits / c->bits};
    loam_status st = vary_options(c, b, w, &o);
    sites.site[w->device].layers = w->layers;
    if (w->limit_bytes) sites.site[w->device].available_bytes = w->limit_bytes;
    if (st == LOAM_OK) st = loam__plan_spread(b, &s, &o, &plan);
    *t = plan.totals;
    loam__plan_free(&plan);
    return st;
}

/* ---- the answer ---- */

loam_status loam__plan_answer_case(const loam__plan_case *c, loam__base *b,
                                   const loam__plan_wish *wish, bool excess, loam__plan_answer *a)
{
    variant v;
    memset(a, 0, sizeof *a);
    if (c->spread) return spread(c, b, wish, &a->totals);
    loam_status st = c->machine.n ? check_layers(c, b) : LOAM_OK;
    if (st != LOAM_OK) return st;
    st = vary(c, b, wish, &v, &a->totals);
    if (st == LOAM_OK)
        st = c->machine.n
                 ? place(c, b, &v, excess, a)
                 : loam__plan_judge(b, &v.options, c->available_bytes, c->machine.fill, &a->totals);
    loam__plan_free(&v.own);
    return st;
}

loam_status loam__plan_token_seconds(const loam__plan_case *c, loam__base *b,
                                     const loam__plan_answer *a, uint32_t context_tokens,
                                     double *seconds)
{
    workspace ws;
    const variant v = {.file = c->file, .geometry = c->geometry, .scale = c->scale};
    loam_status st = LOAM_ERR_NOMEM;
    loam__placement *p = loam__alloc(b, sizeof *p);
    if (p) st = open_workspace(c, b, &v, &a->totals, context_tokens, &ws);
    if (p && st == LOAM_OK) {
        *p = a->placement;
        loam__place_measure(&ws.problem, p);
        *seconds = p->seconds;
    }
    if (p) close_workspace(b, &ws);
    loam__free(b, p);
    return st;
}
