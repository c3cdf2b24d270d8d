#include <string.h>

#include "handle.h"

#define AREAS_BESIDE 3 /* scratch, programs and tables, beside the arenas */

struct loam_plan {
    loam__base base;
    loam__gguf *gguf;
    const loam_backend *backend;
    void *self;
    loam_backend_host host;
    loam__plan plan;
    loam_plan_totals totals; /* zero until there is a plan */
    uint32_t layers;
    char device[64];
};

static loam_plan *plan_new(const loam_options *options, loam_options *o, loam_status *st)
{
    loam__base b;
    *st = loam__options_read(o, sizeof *o, sizeof *o, options);
    loam_status hooks = loam__base_init(&b, *st == LOAM_OK ? o->hooks : NULL);
    loam_plan *plan = loam__alloc(&b, sizeof *plan);
    if (!plan) return NULL;
    plan->base = b;
    if (*st != LOAM_OK)
        loam__fail(&plan->base, *st, "options: struct_size or a field is not of this version");
    else if ((*st = hooks) == LOAM_OK) *st = loam__options_check(&plan->base, o);
    return plan;
}

loam_status loam_plan_file(const char *path, const loam_options *options, loam_plan **out)
{
    loam_options o;
    loam_status st;
    if (out) *out = NULL;
    if (!path || !out) return LOAM_ERR_ARG;
    loam_plan *p = *out = plan_new(options, &o, &st);
    if (!p) return LOAM_ERR_NOMEM;
    if (st != LOAM_OK || (st = loam__gguf_open(&p->base, path, &p->gguf)) != LOAM_OK ||
        (st = loam__backend_find(&p->base, o.backend, &p->backend)) != LOAM_OK ||
        (st = loam__backend_open(&p->base, p->backend, &o, &p->host, &p->self)) != LOAM_OK)
        return st;
    st = loam__plan_make(&p->base, p->gguf, &o, p->backend, p->self, sizeof(loam__sequence),
                         &p->plan);
    if (st != LOAM_OK && st != LOAM_ERR_NOFIT) return st;
    p->totals = p->plan.totals;
    p->layers = p->plan.model.geometry.n_layers;
    memcpy(p->device, p->plan.device.name, sizeof p->device);
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
    if (st != LOAM_OK) return st;
    if ((st = loam__options_read(&geo, sizeof geo, sizeof geo, geometry)) != LOAM_OK)
        return loam__fail(&p->base, st, "geometry: struct_size or a field is not of this version");
    p->layers = geo.layers;
    memcpy(p->device, "memory", sizeof "memory");
    return loam__plan_formula(&p->base, &geo, &o, &p->totals);
}

const char *loam_plan_error(const loam_plan *plan)
{
    return plan ? plan->base.error : "no plan: the call was given NULL or had no memory for one";
}

void loam_plan_free(loam_plan *plan)
{
    if (!plan) return;
    loam__base b = plan->base;
    loam__plan_free(&plan->plan);
    if (plan->self) plan->backend->close(plan->self);
    loam__gguf_close(plan->gguf);
    loam__free(&b, plan);
}

loam_status loam_plan_get_totals(const loam_plan *plan, loam_plan_totals *totals)
{
    if (!plan || !totals || !plan->totals.struct_size) return LOAM_ERR_ARG;
    return loam__options_write(totals, sizeof plan->totals, &plan->totals, sizeof plan->totals);
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
    return loam__options_write(device, sizeof d, &d, sizeof d);
}

size_t loam_plan_area_count(const loam_plan *plan)
{
    if (!plan || !plan->totals.struct_size) return 0;
    return plan->gguf ? plan->plan.n_arenas + AREAS_BESIDE : 3;
}

static loam_plan_area area_of_file(const loam__plan *p, size_t i)
{
    const loam_plan_area beside[AREAS_BESIDE] = {
        {.bytes = p->scratch_bytes, .name = "scratch"},
        {.bytes = p->program_bytes, .name = "programs"},
        {.bytes = p->host.bytes, .name = "tables"},
    };
    if (i >= p->n_arenas) return beside[i - p->n_arenas];
    return (loam_plan_area){.bytes = p->arenas[i].bytes, .name = p->arenas[i].name};
}

loam_status loam_plan_get_area(const loam_plan *plan, size_t i, loam_plan_area *area)
{
    if (!area || i >= loam_plan_area_count(plan)) return LOAM_ERR_ARG;
    const loam_plan_totals *t = &plan->totals;
    const loam_plan_area described[3] = {
        {.bytes = t->weights_bytes, .name = "weights"},
        {.bytes = t->kv_bytes, .name = "kv"},
        {.bytes = t->overhead_bytes, .name = "overhead"},
    };
    loam_plan_area a = plan->gguf ? area_of_file(&plan->plan, i) : described[i];
    return loam__options_write(area, sizeof a, &a, sizeof a);
}
