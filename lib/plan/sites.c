/* Which device gets which part of a model that is loaded: the placement of a described machine,
 * made of what the backends say of theirs. */
#include <stdio.h>
#include <string.h>

#include "plan.h"

#define TRIES 8 /* a device may need more than the costs said: then it gets less */

/* What a device reads a second, where its backend does not say. */
#define READ_BYTES_S  20e9
#define SPARE_BYTES_S 1e6 /* so slow that the search turns to it last */

static void describe(const loam__sites *sites, loam__plan_machine *m)
{
    *m = (loam__plan_machine){.n = sites->n, .fill = 1};
    memset(m->pins, -1, sizeof m->pins);
    for (uint32_t i = 0; i < sites->n; i++) {
        const loam__site *s = &sites->site[i];
        const double read = s->info.read_bytes_s, link = s->info.link_bytes_s;
        m->targets[i] = (loam__plan_target){
            .memory_bytes = loam__site_limit(s),
            .bandwidth_bytes_s = s->spare   ? SPARE_BYTES_S
                                 : read > 0 ? read
                                            : READ_BYTES_S,
            .link_bytes_s = link > 0 ? link : LOAM__LINK_BYTES_S,
            .link_seconds = LOAM__LINK_SECONDS,
            .host = i == loam__sites_host(sites),
        };
        snprintf(m->targets[i].name, sizeof m->targets[i].name, "%s", s->info.name);
    }
}

/* Layers that are wanted on one site: from the first on in the order of the sites, and from the
 * last on, up to a site that takes any number. */
static loam_status pin_wanted(loam__base *b, const loam__sites *sites, uint32_t layers,
                              loam__plan_machine *m)
{
    uint32_t first = 0, end = layers, i = 0;
    for (; i < sites->n && sites->site[i].layers >= 0; i++)
        for (int32_t j = 0; j < sites->site[i].layers && first < end; j++)
            m->pins[first++] = (int8_t)i;
    for (uint32_t k = sites->n; k-- > i && sites->site[k].layers >= 0;)
        for (int32_t j = 0; j < sites->site[k].layers && first < end; j++)
            m->pins[--end] = (int8_t)k;
    if (i == sites->n && first < layers)
        return loam__fail(b, LOAM_ERR_ARG,
                          "options.devices take %u layers together and the model has %u; let one "
                          "of them take any number, which is -1",
                          first, layers);
    m->n_pinned = layers;
    return LOAM_OK;
}

static bool runs(const loam__site *s, const loam__plan *base, const loam_graph *view, uint32_t unit)
{
    for (uint32_t i = 0; i < view->n_nodes; i++)
        if (loam__plan_unit_of(base, i) == unit &&
            !s->backend->supports(s->self, s->index, view, loam_graph_node(view, i)))
            return false;
    return true;
}

/* A layer that some device cannot run goes to the host. */
static void pin_unsupported(const loam__sites *sites, const loam__plan *base, loam__plan_machine *m)
{
    const uint32_t host = loam__sites_host(sites), layers = base->model.geometry.n_layers;
    loam_graph view = loam__graph_view(&base->model.graph);
    for (uint32_t layer = 0; layer < layers && host < sites->n; layer++)
        for (uint32_t i = 0; i < sites->n; i++)
            if (i != host && m->pins[layer] < 0 && !runs(&sites->site[i], base, &view, layer + 1))
                m->pins[layer] = (int8_t)host;
}

/* Where a plan does not fit, the devices that are too full get that much less; false: none is.
 */
static bool tighten(const loam__plan *p, loam__plan_machine *m)
{
    bool found = false;
    for (uint32_t i = 0; i < p->sites.n; i++) {
        const uint64_t limit = loam__site_limit(&p->sites.site[i]);
        const uint64_t bytes = loam__plan_site_counted(p, i);
        if (bytes <= limit) continue;
        const uint64_t excess = bytes - limit + limit / 256;
        m->targets[i].memory_bytes -=
            excess < m->targets[i].memory_bytes ? excess : m->targets[i].memory_bytes;
        found = true;
    }
    return found;
}

static void scale_weights(loam__plan *p, double scale)
{
    for (uint32_t i = 0; i < p->n_arenas && scale != 1; i++) {
        loam__plan_arena *a = &p->arenas[i];
        if (a->kind == LOAM_ARENA_WEIGHTS_MAPPED || a->kind == LOAM_ARENA_WEIGHTS)
            a->bytes = (uint64_t)((double)a->bytes * scale);
    }
}

/* The plan of the best placement. What counts is the plan: the costs of the placement are near. */
static loam_status choose(loam__plan_case *c, loam__base *b, const loam__spread *s,
                          loam__plan_answer *answer, loam__plan *plan)
{
    for (int i = 0; i < TRIES; i++) {
        loam__plan_free(plan);
        loam_status placed = loam__plan_answer_case(c, b, NULL, true, answer);
        if (placed != LOAM_OK && placed != LOAM_ERR_NOFIT) return placed;
        loam_status st = loam__plan_make(b, s->gguf, &c->options, s->sites,
                                         answer->placement.device, s->records, plan);
        if (st != LOAM_OK) return st;
        scale_weights(plan, s->scale);
        st = loam__plan_total(plan, &c->options, s->held);
        if (answer->placement.seconds == 0) plan->totals.fits = 0; /* it is none */
        if (st != LOAM_ERR_NOFIT) return plan->totals.fits ? st : LOAM_ERR_NOFIT;
        if (placed == LOAM_ERR_NOFIT || !tighten(plan, &c->machine)) return st;
    }
    return LOAM_ERR_NOFIT;
}

/* base: all on one device, which is where the costs come from. */
static loam_status spread(loam__base *b, const loam__spread *s, const loam_options *o,
                          loam__plan *base, loam__plan *plan)
{
    const uint32_t host = loam__sites_host(s->sites);
    const loam__sites one = {.n = 1, .site = {s->sites->site[host < s->sites->n ? host : 0]}};
    loam__plan_case c = {.file = base,
                         .held = s->held,
                         .options = *o,
                         .parameters = 1,
                         .bits = 1,
                         .scale = s->scale};
    loam_status st = loam__plan_make(b, s->gguf, o, &one, NULL, s->records, base);
    if (st != LOAM_OK) return st;
    st = loam__plan_total(base, o, s->held);
    if (st != LOAM_OK && st != LOAM_ERR_NOFIT) return st; /* alone it need not fit */
    describe(s->sites, &c.machine);
    if (host < s->sites->n) /* what can be paged out again is over the limit */
        c.machine.targets[host].memory_bytes =
            loam__plan_plus(c.machine.targets[host].memory_bytes,
                            (uint64_t)((double)base->totals.weights_mapped_bytes * s->scale));
    st = pin_wanted(b, s->sites, base->model.geometry.n_layers, &c.machine);
    if (st != LOAM_OK) return st;
    pin_unsupported(s->sites, base, &c.machine);
    loam__plan_answer *answer = loam__alloc(b, sizeof *answer);
    st = answer ? choose(&c, b, s, answer, plan) : LOAM_ERR_NOMEM;
    loam__free(b, answer);
    return st;
}

loam_status loam__plan_spread(loam__base *b, const loam__spread *s, const loam_options *o,
                              loam__plan *plan)
{
    loam_options other = *o;
    loam__plan base = {0};
    *plan = (loam__plan){0};
    loam_status st = spread(b, s, o, &base, plan);
    if (st == LOAM_ERR_NOFIT && !(o->flags & (LOAM_LOAD_PACK | LOAM_LOAD_MAP)) &&
        loam__plan_could_map(&base)) {
        loam__plan_free(plan);
        loam__plan_free(&base);
        other.flags |= LOAM_LOAD_MAP;
        st = spread(b, s, &other, &base, plan);
    }
    if (st == LOAM_OK) b->error[0] = 0; /* of a try that did not fit */
    loam__plan_free(&base);
    return st;
}
