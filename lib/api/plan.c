#include <math.h>
#include <string.h>

#include "handle.h"
#include "lib/quant/quant.h"

struct loam_plan {
    loam__base base;
    loam *m; /* loaded up to the point where its arenas would be allocated; of a described model it
                only checks the options and carries the text */
    bool loaded; /* m is the caller's, and computes */
    bool ready;  /* there is a plan */
    loam__plan_case at;
    loam__plan_answer answer;
    loam__plan_change changes[LOAM__PLAN_CHANGES];
    size_t n_changes;
};

/* ---- making ---- */

/* For any options, so that there is a plan to carry the text. NULL: no memory. */
static loam_plan *plan_new(const loam_options *options, loam_status *st)
{
    loam__base b;
    loam_options o;
    loam__begin(&b, options, &o); /* a failure is met again, and told, by the handle */
    loam_plan *plan = loam__alloc(&b, sizeof *plan);
    if (!plan) return NULL;
    plan->base = b;
    plan->at.scale = 1;
    plan->m = loam__handle_new(options, &plan->at.options, st);
    if (plan->m) {
        plan->at.held = &plan->m->account;
        return plan;
    }
    loam__free(&b, plan);
    return NULL;
}

/* There is an answer; where it does not fit, find out what would. */
static loam_status answered(loam_plan *p, loam_status st)
{
    loam__base *b = &p->m->base;
    loam__options_forget(&p->at.options);
    if (st == LOAM_OK) b->error[0] = 0;
    if (st == LOAM_ERR_NOFIT) {
        loam_status advised =
            loam__plan_advise(&p->at, b, &p->answer.totals, p->changes, &p->n_changes);
        if (advised != LOAM_OK) return advised;
    }
    p->ready = st == LOAM_OK || st == LOAM_ERR_NOFIT;
    return st;
}

/* Hold the case against its machine. */
static loam_status answer(loam_plan *p)
{
    return answered(p, loam__plan_answer_case(&p->at, &p->m->base, NULL, true, &p->answer));
}

/* The handle's plan is the case; where no machine is described, it is the answer too. */
static void take_handle(loam_plan *p, bool spread)
{
    const loam *m = p->m;
    p->at.file = &m->plan;
    p->at.spread = spread;
    p->at.parameters = (double)m->parameters;
    p->at.bits = m->parameters ? 8.0 * (double)m->weights_bytes / (double)m->parameters : 1;
    if (!spread) return;
    p->answer.totals = m->plan.totals;
    p->answer.totals.parameters = p->at.parameters;
    p->answer.totals.bits_per_weight = p->at.bits;
}

static loam_status plan_opened(loam_plan *p, const loam_plan_machine *machine)
{
    loam *m = p->m;
    loam_status st = loam__handle_plan(m, &p->at.options);
    if (st != LOAM_OK && st != LOAM_ERR_NOFIT) return st;
    take_handle(p, !loam__sites_are_host(&m->plan.sites));
    p->at.available_bytes = loam__memory_available();
    loam_status read =
        loam__plan_machine_read(&m->base, machine, p->at.available_bytes, &p->at.machine);
    if (read != LOAM_OK) return read;
    if (!p->at.spread) return answer(p);
    if (p->at.machine.n == 0) return answered(p, st);
    return loam__fail(&m->base, LOAM_ERR_ARG,
                      "the options name devices that are there, and a machine is described beside "
                      "them; give one of the two");
}

static loam_status plan_path(loam_plan *p, const char *path, const loam_plan_machine *machine)
{
    loam_status st = loam__gguf_open(&p->m->base, path, &p->m->gguf);
    return st == LOAM_OK ? plan_opened(p, machine) : st;
}

loam_status loam_plan_place_file(const char *path, const loam_options *options,
                                 const loam_plan_machine *machine, loam_plan **out)
{
    loam_status st;
    if (out) *out = NULL;
    if (!path || !out) return LOAM_ERR_ARG;
    loam_plan *p = *out = plan_new(options, &st);
    if (!p) return LOAM_ERR_NOMEM;
    if (st == LOAM_OK) st = plan_path(p, path, machine);
    if (loam__handle_retry(p->m, &p->at.options, st)) st = plan_path(p, path, machine);
    return st;
}

loam_status loam_plan_loaded(loam *m, loam_plan **out)
{
    if (out) *out = NULL;
    if (!m || !out) return LOAM_ERR_ARG;
    loam_status st = loam__enter(m, true);
    if (st != LOAM_OK) return st;
    loam__base b = m->base; /* beside the account: the handle allocates nothing */
    b.hooks.alloc = m->account.alloc;
    b.hooks.alloc_ctx = m->account.ctx;
    b.error[0] = 0;
    loam_plan *p = *out = loam__alloc(&b, sizeof *p);
    if (p) {
        p->base = b;
        p->m = m;
        p->loaded = p->ready = true;
        p->at.options = m->options;
        p->at.scale = 1;
        p->at.held = &m->account;
        take_handle(p, true);
    } else {
        st = loam__fail(&m->base, LOAM_ERR_NOMEM, "%s", b.error);
    }
    return loam__leave(m, st);
}

loam_status loam_plan_file(const char *path, const loam_options *options, loam_plan **out)
{
    return loam_plan_place_file(path, options, NULL, out);
}

static loam_status describe(loam_plan *p, const loam_plan_geometry *geometry,
                            const loam_plan_machine *machine)
{
    loam__base *b = &p->m->base;
    loam__plan_case *at = &p->at;
    loam_status st =
        loam__options_read(&at->geometry, sizeof at->geometry,
                           LOAM__UP_TO(loam_plan_geometry, embedding_values), geometry);
    if (st != LOAM_OK)
        return loam__fail(b, st, "geometry: struct_size or a field is not of this version");
    if ((st = loam__plan_geometry_check(b, &at->geometry, &at->options)) != LOAM_OK) return st;
    at->kv_token_bytes = loam__plan_kv_token(&at->geometry, &at->options);
    at->available_bytes = loam__memory_available();
    st = loam__plan_machine_read(b, machine, at->available_bytes, &at->machine);
    return st == LOAM_OK ? answer(p) : st;
}

loam_status loam_plan_place_describe(const loam_plan_geometry *geometry,
                                     const loam_options *options, const loam_plan_machine *machine,
                                     loam_plan **out)
{
    loam_status st;
    if (out) *out = NULL;
    if (!geometry || !out) return LOAM_ERR_ARG;
    loam_plan *p = *out = plan_new(options, &st);
    if (!p) return LOAM_ERR_NOMEM;
    return st == LOAM_OK ? describe(p, geometry, machine) : st;
}

loam_status loam_plan_describe(const loam_plan_geometry *geometry, const loam_options *options,
                               loam_plan **out)
{
    return loam_plan_place_describe(geometry, options, NULL, out);
}

const char *loam_plan_error(const loam_plan *plan)
{
    if (!plan) return "no plan: the call was given NULL or had no memory for one";
    return plan->loaded ? plan->base.error : loam_error(plan->m);
}

void loam_plan_free(loam_plan *plan)
{
    if (!plan) return;
    loam__base b = plan->base;
    if (!plan->loaded) loam_free(plan->m);
    loam__free(&b, plan);
}

/* ---- totals, devices, areas ---- */

static bool is_placed(const loam_plan *plan)
{
    return plan->at.machine.n > 0;
}

static uint32_t layers_of(const loam_plan *plan)
{
    return plan->at.file ? plan->at.file->model.geometry.n_layers : plan->at.geometry.layers;
}

loam_status loam_plan_get_totals(const loam_plan *plan, loam_plan_totals *totals)
{
    if (!plan || !totals || !plan->ready) return LOAM_ERR_ARG;
    return loam__options_write(totals, LOAM__UP_TO(loam_plan_totals, blocks_per_sequence),
                               &plan->answer.totals, sizeof plan->answer.totals);
}

/* Over devices that are there. */
static bool is_spread(const loam_plan *plan)
{
    return plan->at.file && !loam__sites_are_host(&plan->at.file->sites);
}

/* What no device of the plan's has is listed as one more. */
static bool has_rest(const loam__plan *p)
{
    return loam__sites_host(&p->sites) == p->sites.n;
}

size_t loam_plan_device_count(const loam_plan *plan)
{
    if (!plan || !plan->ready) return 0;
    if (is_placed(plan)) return plan->at.machine.n;
    if (!is_spread(plan)) return 1;
    return plan->at.file->sites.n + has_rest(plan->at.file);
}

int32_t loam_plan_layer_device(const loam_plan *plan, uint32_t layer)
{
    if (!plan || !plan->ready || layer >= layers_of(plan)) return -1;
    if (is_placed(plan)) return plan->answer.placement.device[layer + 1];
    return plan->at.file ? (int32_t)loam__plan_unit_site(plan->at.file, layer + 1) : 0;
}

static loam_plan_device target_at(const loam_plan *plan, uint32_t i)
{
    const loam__placement *at = &plan->answer.placement;
    uint32_t n = layers_of(plan);
    loam_plan_device d = {
        .bytes = at->bytes[i],
        .limit_bytes = plan->answer.shares[i].limit_bytes,
        .token_seconds = at->device_seconds[i],
        .flags = plan->at.machine.targets[i].host ? LOAM_PLAN_HOST : 0,
        .name = plan->at.machine.targets[i].name,
    };
    if (at->device[0] == i) d.flags |= LOAM_PLAN_EMBEDDING;
    if (at->device[n + 1] == i) d.flags |= LOAM_PLAN_OUTPUT;
    for (uint32_t layer = n; layer-- > 0;) {
        if (at->experts_on_host[layer + 1] && d.flags & LOAM_PLAN_HOST)
            d.flags |= LOAM_PLAN_EXPERTS;
        if (at->device[layer + 1] != i) continue;
        d.layers++;
        d.first_layer = layer;
    }
    return d;
}

static loam_plan_device site_at(const loam_plan *plan, uint32_t i)
{
    const loam__plan *p = plan->at.file;
    const loam__site *s = &p->sites.site[i];
    const uint32_t n = layers_of(plan);
    if (i == p->sites.n)
        return (loam_plan_device){.bytes = p->rest_bytes,
                                  .limit_bytes = p->rest_limit_bytes,
                                  .flags = LOAM_PLAN_HOST,
                                  .name = LOAM__PLAN_REST};
    loam_plan_device d = {
        .bytes = s->bytes,
        .limit_bytes = loam__site_limit(s),
        .name = s->info.name,
    };
    if (s->info.host_memory) d.flags = LOAM_PLAN_HOST;
    if (loam__plan_unit_site(p, 0) == i) d.flags |= LOAM_PLAN_EMBEDDING;
    if (loam__plan_unit_site(p, n + 1) == i) d.flags |= LOAM_PLAN_OUTPUT;
    for (uint32_t layer = n; layer-- > 0;) {
        if (loam__plan_unit_site(p, layer + 1) != i) continue;
        d.layers++;
        d.first_layer = layer;
    }
    return d;
}

loam_status loam_plan_get_device(const loam_plan *plan, size_t i, loam_plan_device *device)
{
    if (!device || i >= loam_plan_device_count(plan)) return LOAM_ERR_ARG;
    loam_plan_device d = {
        .layers = layers_of(plan),
        .bytes = plan->answer.totals.total_bytes,
        .limit_bytes = plan->answer.totals.limit_bytes,
        .flags = LOAM_PLAN_HOST | LOAM_PLAN_EMBEDDING | LOAM_PLAN_OUTPUT,
        .name = plan->at.file ? plan->at.file->sites.site[0].info.name : "memory",
    };
    if (is_placed(plan)) d = target_at(plan, (uint32_t)i);
    else if (is_spread(plan)) d = site_at(plan, (uint32_t)i);
    return loam__options_write(device, LOAM__UP_TO(loam_plan_device, reserved), &d, sizeof d);
}

/* Of a described model, and of one that is placed on described devices. */
enum { ROUGH_AREAS = 3 };

size_t loam_plan_area_count(const loam_plan *plan)
{
    if (!plan || !plan->ready) return 0;
    if (is_placed(plan)) return (size_t)plan->at.machine.n * ROUGH_AREAS;
    return plan->at.file ? plan->at.file->n_arenas + LOAM__PLAN_BESIDE : ROUGH_AREAS;
}

static loam_plan_area rough_area(const loam_plan *plan, size_t i)
{
    static const char *const names[ROUGH_AREAS] = {"weights", "kv", "overhead"};
    const loam_plan_totals *t = &plan->answer.totals;
    const loam__plan_share *s = &plan->answer.shares[i / ROUGH_AREAS];
    uint64_t whole[ROUGH_AREAS] = {t->weights_bytes, t->kv_bytes, t->overhead_bytes};
    uint64_t share[ROUGH_AREAS] = {s->weights_bytes, s->kv_bytes, s->other_bytes};
    return (loam_plan_area){
        .device = (uint32_t)(i / ROUGH_AREAS),
        .bytes = is_placed(plan) ? share[i % ROUGH_AREAS] : whole[i],
        .name = names[i % ROUGH_AREAS],
    };
}

loam_status loam_plan_get_area(const loam_plan *plan, size_t i, loam_plan_area *area)
{
    if (!area || i >= loam_plan_area_count(plan)) return LOAM_ERR_ARG;
    const loam__plan *p = plan->at.file;
    loam_plan_area a = {0};
    if (is_placed(plan) || !p) {
        a = rough_area(plan, i);
    } else if (i < p->n_arenas) {
        a.device = p->arenas[i].site;
        a.bytes = p->arenas[i].bytes;
        a.name = p->arenas[i].name;
    } else {
        a.device = loam__sites_host(&p->sites);
        a.bytes = p->beside[i - p->n_arenas].bytes;
        a.name = p->beside[i - p->n_arenas].name;
    }
    return loam__options_write(area, LOAM__UP_TO(loam_plan_area, reserved), &a, sizeof a);
}

/* ---- bounds ---- */

loam_status loam_plan_get_bound(const loam_plan *plan, uint32_t context_tokens,
                                double bandwidth_bytes_s, loam_plan_bound *bound)
{
    bool own = bandwidth_bytes_s == 0;
    if (!plan || !bound || !plan->ready || !(bandwidth_bytes_s >= 0) || isinf(bandwidth_bytes_s) ||
        (own && !is_placed(plan)))
        return LOAM_ERR_ARG;
    const loam_plan_totals *t = &plan->answer.totals;
    loam_plan_bound d = {.context_tokens = context_tokens ? context_tokens : t->context_tokens};
    loam__plan_read read = {t->token_read_bytes, 0};
    if (plan->at.file) read = loam__plan_token_read(&plan->at.file->model.graph, d.context_tokens);
    else read.kv_bytes = (uint64_t)llround(plan->at.kv_token_bytes * d.context_tokens);
    d.weights_bytes = read.weights_bytes;
    d.kv_bytes = read.kv_bytes;
    d.token_seconds = ((double)read.weights_bytes + (double)read.kv_bytes) / bandwidth_bytes_s;
    if (own) {
        loam__base b = plan->base;
        loam_status st = loam__plan_token_seconds(&plan->at, &b, &plan->answer, d.context_tokens,
                                                  &d.token_seconds);
        if (st != LOAM_OK) return st;
    }
    d.tok_s = d.token_seconds > 0 ? 1 / d.token_seconds : 0;
    return loam__options_write(bound, LOAM__UP_TO(loam_plan_bound, tok_s), &d, sizeof d);
}

loam_status loam_plan_sequences_fit(const loam_plan *plan, uint32_t mean_tokens,
                                    uint32_t *sequences)
{
    if (sequences) *sequences = 0;
    if (!plan || !sequences || !plan->ready) return LOAM_ERR_ARG;
    const loam_plan_totals *t = &plan->answer.totals;
    loam__base b = plan->base;
    if (mean_tokens > t->context_tokens) return LOAM_ERR_ARG;
    loam_status st = plan->loaded ? loam__enter(plan->m, true) : LOAM_OK; /* backends are asked */
    if (st != LOAM_OK) return st;
    st = loam__plan_most_sequences(&plan->at, &b, t, mean_tokens ? mean_tokens : t->context_tokens,
                                   sequences);
    return plan->loaded ? loam__leave(plan->m, st) : st;
}

/* ---- changes ---- */

size_t loam_plan_change_count(const loam_plan *plan)
{
    return plan && plan->ready ? plan->n_changes : 0;
}

loam_status loam_plan_get_change(const loam_plan *plan, size_t i, loam_plan_change *change)
{
    if (!change || i >= loam_plan_change_count(plan)) return LOAM_ERR_ARG;
    const loam__plan_change *c = &plan->changes[i];
    loam_plan_change d = {
        .kind = c->kind,
        .value = c->value,
        .total_bytes = c->total_bytes,
        .choice = c->choice,
        .device = c->device,
        .name = c->name,
    };
    return loam__options_write(change, LOAM__UP_TO(loam_plan_change, reserved_pointer), &d,
                               sizeof d);
}

/* ---- the quality table ---- */

size_t loam_quality_count(void)
{
    size_t n = 0;
    while (loam__quality_row(n))
        n++;
    return n;
}

static loam_status write_quality(const loam__quality *row, loam_quality *quality)
{
    loam_quality q = {
        .beaten = row->beaten,
        .bits_per_weight = row->bits,
        .perplexity_percent = row->percent,
        .name = row->name,
    };
    return loam__options_write(quality, LOAM__UP_TO(loam_quality, reserved), &q, sizeof q);
}

loam_status loam_quality_get(size_t i, loam_quality *quality)
{
    const loam__quality *row = loam__quality_row(i);
    return quality && row ? write_quality(row, quality) : LOAM_ERR_ARG;
}

/* ASCII only: no locale has a say. */
static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static bool same_name(const char *a, const char *b)
{
    while (*a && upper(*a) == upper(*b)) {
        a++;
        b++;
    }
    return upper(*a) == upper(*b);
}

/* Of a format that the table lacks, what its bits typically cost. */
static loam__quality quality_of_format(const loam__format *f)
{
    const double bits = 8.0 * f->block_bytes / f->block_values;
    return (loam__quality){f->name, bits, loam__quality_percent(bits), false};
}

loam_status loam_quality_find(const char *name, loam_quality *quality)
{
    const loam__quality *row;
    const loam__format *f;
    if (!name || !quality) return LOAM_ERR_ARG;
    for (size_t i = 0; (row = loam__quality_row(i)); i++)
        if (same_name(row->name, name)) return write_quality(row, quality);
    for (size_t i = 0; (f = loam__format_at(i)); i++) {
        const loam__quality typical = quality_of_format(f);
        if (same_name(f->name, name)) return write_quality(&typical, quality);
    }
    return LOAM_ERR_ARG;
}

double loam_quality_at(double bits_per_weight)
{
    return loam__quality_percent(bits_per_weight);
}
