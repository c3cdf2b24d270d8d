#include <string.h>

#include "handle.h"

struct loam_plan {
    loam__base base;
    loam *m;                 /* loaded up to the point where its arenas would be allocated */
    bool described;          /* not even so far: m only checks the options and carries the text */
    loam_plan_totals totals; /* zero until there is a plan */
    uint32_t layers;
    char device[64];
};

/* For any options, so that there is a plan to carry the text. NULL: no memory. */
static loam_plan *plan_new(const loam_options *options, loam_options *o, loam_status *st)
{
    loam__base b;
    loam__begin(&b, options, o); /* a failure is met again, and told, by the handle */
    loam_plan *plan = loam__alloc(&b, sizeof *plan);
    if (!plan) return NULL;
    plan->base = b;
    plan->m = loam__handle_new(options, o, st);
    if (plan->m) return plan;
    loam__free(&b, plan);
    return NULL;
}

loam_status loam_plan_file(const char *path, const loam_options *options, loam_plan **out)
{
    loam_options o;
    loam_status st;
    if (out) *out = NULL;
    if (!path || !out) return LOAM_ERR_ARG;
    loam_plan *p = *out = plan_new(options, &o, &st);
    if (!p) return LOAM_ERR_NOMEM;
    loam *m = p->m;
    if (st == LOAM_OK) st = loam__gguf_open(&m->base, path, &m->gguf);
    if (st == LOAM_OK) st = loam__handle_plan(m, &o);
    if (st != LOAM_OK && st != LOAM_ERR_NOFIT) return st;
    p->totals = m->plan.totals;
    p->layers = m->plan.model.geometry.n_layers;
    memcpy(p->device, m->plan.device.name, sizeof p->device);
    return st;
}

loam_status loam_plan_describe(const loam_plan_geometry *geometry, const loam_options *options,
                               loam_plan **out)
{
    loam_options o;
    loam_plan_geometry geo;
    loam_status st;
    if (out) *out = NULL;
    if (!geometry || !out) return LOAM_ERR_ARG;
    loam_plan *p = *out = plan_new(options, &o, &st);
    if (!p) return LOAM_ERR_NOMEM;
    p->described = true;
    if (st != LOAM_OK) return st;
    loam__base *b = &p->m->base;
    if ((st = loam__options_read(&geo, sizeof geo, LOAM__UP_TO(loam_plan_geometry, overhead_bytes),
                                 geometry)) != LOAM_OK)
        return loam__fail(b, st, "geometry: struct_size or a field is not of this version");
    p->layers = geo.layers;
    memcpy(p->device, "memory", sizeof "memory");
    return loam__plan_formula(b, &geo, &o, &p->totals);
}

const char *loam_plan_error(const loam_plan *plan)
{
    return plan ? loam_error(plan->m) : "no plan: the call was given NULL or had no memory for one";
}

void loam_plan_free(loam_plan *plan)
{
    if (!plan) return;
    loam__base b = plan->base;
    loam_free(plan->m);
    loam__free(&b, plan);
}

loam_status loam_plan_get_totals(const loam_plan *plan, loam_plan_totals *totals)
{
    if (!plan || !totals || !plan->totals.struct_size) return LOAM_ERR_ARG;
    return loam__options_write(totals, LOAM__UP_TO(loam_plan_totals, kv_token_bytes), &plan->totals,
                               sizeof plan->totals);
}

size_t loam_plan_device_count(const loam_plan *plan)
{
    return plan && plan->totals.struct_size ? 1 : 0;
}

loam_status loam_plan_get_device(const loam_plan *plan, size_t i, loam_plan_device *device)
{
    if (!device || i >= loam_plan_device_count(plan)) return LOAM_ERR_ARG;
    loam_plan_device d = {.layers = plan->layers,
                          .bytes = plan->totals.total_bytes,
                          .limit_bytes = plan->totals.limit_bytes,
                          .name = plan->device};
    return loam__options_write(device, LOAM__UP_TO(loam_plan_device, reserved), &d, sizeof d);
}

size_t loam_plan_area_count(const loam_plan *plan)
{
    if (!plan || !plan->totals.struct_size) return 0;
    return plan->described ? 3 : plan->m->plan.n_arenas + LOAM__PLAN_BESIDE;
}

static loam__plan_area area_at(const loam_plan *plan, size_t i)
{
    const loam_plan_totals *t = &plan->totals;
    const loam__plan *p = &plan->m->plan;
    const loam__plan_area described[3] = {
        {"weights", t->weights_bytes}, {"kv", t->kv_bytes}, {"overhead", t->overhead_bytes}};
    if (plan->described) return described[i];
    if (i >= p->n_arenas) return p->beside[i - p->n_arenas];
    return (loam__plan_area){p->arenas[i].name, p->arenas[i].bytes};
}

loam_status loam_plan_get_area(const loam_plan *plan, size_t i, loam_plan_area *area)
{
    if (!area || i >= loam_plan_area_count(plan)) return LOAM_ERR_ARG;
    loam__plan_area at = area_at(plan, i);
    loam_plan_area a = {.bytes = at.bytes, .name = at.name};
    return loam__options_write(area, LOAM__UP_TO(loam_plan_area, reserved), &a, sizeof a);
}
