/* What would make a plan fit. Each lever is a row of values from the smallest to the one it has;
 * the largest that fits is found by planning again. The levers stand in the order of what they
 * cost: fewer conversations cost no quality, coarser cells little, less context some, coarser
 * weights most. */
#include <stdio.h>
#include <string.h>

#include "plan.h"

#define LEAST_CONTEXT  16u /* tokens that are worth a change */
#define MOST_SEQUENCES 4096u
#define LIMIT_STEP     ((uint64_t)1 << 20) /* of what a device's limit would have to be */

typedef struct advisor {
    const loam__plan_case *c;
    loam__base base; /* quiet, and beside the account of the handle */
    loam__plan_wish now;
    loam__plan_answer *answer;
    uint64_t total_bytes; /* of the last that fitted */
    loam_status broken;   /* no memory */
} advisor;

static uint64_t blocks(const loam__plan_wish *w, uint64_t tokens)
{
    return loam__blocks_for(tokens, w->block_tokens);
}

/* LOAM_OK: it fits; NOFIT: it does not; else there is no plan with these numbers. */
static loam_status plan(advisor *a, const loam__plan_wish *wish)
{
    if (a->broken != LOAM_OK) return a->broken;
    loam_status st = loam__plan_answer_case(a->c, &a->base, wish, false, a->answer);
    if (st == LOAM_ERR_NOMEM) a->broken = st;
    if (st == LOAM_OK) a->total_bytes = a->answer->totals.total_bytes;
    return st;
}

static bool fits(advisor *a, const loam__plan_wish *wish)
{
    return plan(a, wish) == LOAM_OK;
}

/* ---- levers ---- */

typedef struct lever {
    int32_t kind;
    bool gaps;     /* a smaller value need not fit where a larger one does: all are tried */
    bool combines; /* useful with others */
    bool local;    /* of one of the devices that are there */
    /* How many values there are below that of now. */
    uint64_t (*count)(const loam__plan_wish *now);
    /* Put value i in; the name of it or NULL. */
    const char *(*set)(loam__plan_wish *wish, uint64_t i);
    double (*value)(const loam__plan_wish *wish);
} lever;

static uint64_t count_sequences(const loam__plan_wish *now)
{
    return now->sequences - 1;
}

static const char *set_sequences(loam__plan_wish *w, uint64_t i)
{
    w->sequences = (uint32_t)i + 1;
    return NULL;
}

static double sequences_of(const loam__plan_wish *w)
{
    return w->sequences;
}

/* Less than a whole context for each sequence, but at least one. */
static uint64_t count_kv_tokens(const loam__plan_wish *now)
{
    uint64_t all = blocks(now, now->context_tokens) * now->sequences;
    if (now->kv_tokens && blocks(now, now->kv_tokens) < all) all = blocks(now, now->kv_tokens);
    return all - blocks(now, now->context_tokens);
}

static const char *set_kv_tokens(loam__plan_wish *w, uint64_t i)
{
    w->kv_tokens = (blocks(w, w->context_tokens) + i) * w->block_tokens;
    return NULL;
}

static double kv_tokens_of(const loam__plan_wish *w)
{
    return (double)w->kv_tokens;
}

static const struct cells {
    const char *name;
    int32_t type;
    double bits;
} cells[] = {
    {"q4_0", LOAM_KV_Q4_0, 4.5}, {"q8_0", LOAM_KV_Q8_0, 8.5}, {"bf16", LOAM_KV_BF16, 16},
    {"f16", LOAM_KV_F16, 16},    {"f32", LOAM_KV_F32, 32},
};

/* The coarser of the types of keys and values is what a change goes below. */
static uint64_t count_types(const loam__plan_wish *now)
{
    uint64_t n = 0;
    double bits = 64;
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        if ((cells[i].type == now->kv_type || cells[i].type == now->v_type) && cells[i].bits < bits)
            bits = cells[i].bits;
    while (n < sizeof cells / sizeof cells[0] && cells[n].bits < bits)
        n++;
    return n;
}

static const char *set_type(loam__plan_wish *w, uint64_t i)
{
    w->kv_type = w->v_type = cells[i].type;
    return cells[i].name;
}

static double type_of(const loam__plan_wish *w)
{
    return w->kv_type;
}

static uint64_t count_contexts(const loam__plan_wish *now)
{
    return now->context_tokens > LEAST_CONTEXT ? now->context_tokens - LEAST_CONTEXT : 0;
}

static const char *set_context(loam__plan_wish *w, uint64_t i)
{
    w->context_tokens = (uint32_t)i + LEAST_CONTEXT;
    return NULL;
}

static double context_of(const loam__plan_wish *w)
{
    return w->context_tokens;
}

/* Rows of the quality table from the last that is not beaten. */
static const loam__quality *format_at(uint64_t i)
{
    size_t n = 0;
    while (loam__quality_row(n))
        n++;
    while (n--)
        if (!loam__quality_row(n)->beaten && i-- == 0) return loam__quality_row(n);
    return NULL;
}

static uint64_t count_formats(const loam__plan_wish *now)
{
    uint64_t n = 0;
    while (format_at(n) && format_at(n)->bits < now->bits)
        n++;
    return n;
}

static const char *set_format(loam__plan_wish *w, uint64_t i)
{
    w->bits = format_at(i)->bits;
    return format_at(i)->name;
}

static double bits_of(const loam__plan_wish *w)
{
    return w->bits;
}

/* Layers that the caller wants on a device, while others take any number. */
static uint64_t count_layers(const loam__plan_wish *now)
{
    return now->layers > 0 ? (uint64_t)now->layers : 0;
}

static const char *set_layers(loam__plan_wish *w, uint64_t i)
{
    w->layers = (int32_t)i;
    return NULL;
}

static double layers_of(const loam__plan_wish *w)
{
    return w->layers;
}

/* A limit that the caller gave: downwards from the largest, which leaves the most room. */
static uint64_t count_limits(const loam__plan_wish *now)
{
    const uint64_t most = now->most_bytes / LIMIT_STEP, least = now->limit_bytes / LIMIT_STEP;
    return now->limit_bytes && most > least ? most - least : 0;
}

static const char *set_limit(loam__plan_wish *w, uint64_t i)
{
    w->limit_bytes = (w->most_bytes / LIMIT_STEP - i) * LIMIT_STEP;
    return NULL;
}

static double limit_of(const loam__plan_wish *w)
{
    return (double)w->limit_bytes;
}

static const lever levers[] = {
    {LOAM_CHANGE_SEQUENCES, false, true, false, count_sequences, set_sequences, sequences_of},
    {LOAM_CHANGE_KV_TOKENS, false, false, false, count_kv_tokens, set_kv_tokens, kv_tokens_of},
    {LOAM_CHANGE_KV_TYPE, true, true, false, count_types, set_type, type_of},
    {LOAM_CHANGE_CONTEXT, false, true, false, count_contexts, set_context, context_of},
    {LOAM_CHANGE_FORMAT, true, true, false, count_formats, set_format, bits_of},
    {LOAM_CHANGE_LAYERS, true, false, true, count_layers, set_layers, layers_of},
    {LOAM_CHANGE_LIMIT, false, false, true, count_limits, set_limit, limit_of},
};
#define LEVERS (sizeof levers / sizeof levers[0])

/* Put the largest value of a lever into wish with which it fits; false, and wish as it was: none.
 */
static bool pull(advisor *a, const lever *l, loam__plan_wish *wish, const char **name)
{
    uint64_t n = l->count(&a->now), low = 0;
    loam__plan_wish w = *wish;
    if (n == 0) return false;
    if (l->gaps) {
        for (low = n; low-- > 0;) {
            *name = l->set(&w, low);
            if (fits(a, &w)) break;
        }
        if (low == UINT64_MAX) return false;
    } else {
        *name = l->set(&w, 0);
        if (!fits(a, &w)) return false;
        while (n - low > 1) { /* low fits, n does not or is the one of now */
            uint64_t middle = low + (n - low) / 2;
            l->set(&w, middle);
            if (fits(a, &w)) low = middle;
            else n = middle;
        }
    }
    l->set(&w, low);
    *wish = w;
    return a->broken == LOAM_OK && fits(a, &w);
}

/* ---- the two kinds of advice ---- */

/* Take up one of the devices that are there, with its numbers of now. */
static void look_at(advisor *a, uint32_t device)
{
    if (!a->c->spread) return;
    const loam__site *s = &a->c->file->sites.site[device];
    a->now.device = device;
    a->now.layers = s->layers;
    a->now.limit_bytes = s->limited ? s->available_bytes : 0;
    a->now.most_bytes = (uint64_t)((double)s->info.available_bytes * LOAM__PLAN_FILL);
}

static size_t alone(advisor *a, loam__plan_change *changes)
{
    const uint32_t devices = a->c->spread ? a->c->file->sites.n : 0;
    size_t n = 0;
    for (size_t i = 0; i < LEVERS; i++)
        for (uint32_t d = 0; d < (levers[i].local ? devices : 1); d++) {
            const char *name = NULL;
            look_at(a, d);
            loam__plan_wish w = a->now;
            if (!pull(a, &levers[i], &w, &name)) continue;
            if (levers[i].local) name = a->c->file->sites.site[d].info.name;
            changes[n] = (loam__plan_change){levers[i].kind,      (uint32_t)n,    w.device,
                                             levers[i].value(&w), a->total_bytes, name};
            n++;
        }
    look_at(a, 0);
    return n;
}

/* Put a lever to its smallest value with which there is a plan; false: there is none. Of the
 * context a combination leaves a part at first, and makes weights coarser for it. */
static bool pull_down(advisor *a, const lever *l, bool leave_context, loam__plan_wish *wish,
                      const char **name)
{
    uint64_t n = l->count(&a->now), i = 0;
    if (l->kind == LOAM_CHANGE_CONTEXT && leave_context) i = n / 4;
    for (; i < n; i += l->gaps ? 1 : n) {
        loam__plan_wish w = *wish;
        *name = l->set(&w, i);
        loam_status st = plan(a, &w);
        if (st != LOAM_OK && st != LOAM_ERR_NOFIT) continue;
        *wish = w;
        return true;
    }
    return false;
}

/* Give back what a lever was pulled too far, the rest being as it is. */
static bool relax(advisor *a, const lever *l, loam__plan_wish *wish, const char **name)
{
    loam__plan_wish w = *wish;
    switch (l->kind) {
    case LOAM_CHANGE_SEQUENCES:
        w.sequences = a->now.sequences;
        break;
    case LOAM_CHANGE_KV_TYPE:
        w.kv_type = a->now.kv_type;
        w.v_type = a->now.v_type;
        break;
    default:
        w.context_tokens = a->now.context_tokens;
        break;
    }
    bool back = fits(a, &w);
    if (back) *wish = w;
    else pull(a, l, wish, name);
    return !back;
}

/* Pull levers as far as they go, one after the other, until the next one is enough; then give back
 * what was too much, the dearest first. */
static size_t together(advisor *a, bool leave_context, loam__plan_change *changes)
{
    loam__plan_wish w = a->now;
    const char *names[LEVERS] = {0};
    bool pulled[LEVERS] = {0};
    size_t i, n = 0;
    for (i = 0; i < LEVERS; i++) {
        const lever *l = &levers[i];
        if (!l->combines || l->count(&a->now) == 0) continue;
        pulled[i] = true;
        if (pull(a, l, &w, &names[i])) break;
        pulled[i] = pull_down(a, l, leave_context, &w, &names[i]);
    }
    if (i == LEVERS) return 0;
    for (size_t j = i; j-- > 0;)
        if (pulled[j]) pulled[j] = relax(a, &levers[j], &w, &names[j]);
    if (!fits(a, &w)) return 0;
    for (i = 0; i < LEVERS; i++)
        if (pulled[i])
            changes[n++] = (loam__plan_change){levers[i].kind, 0,       0, levers[i].value(&w),
                                               a->total_bytes, names[i]};
    return n;
}

/* ---- the sentence ---- */

static void describe(const loam__plan_change *c, char *text, size_t n)
{
    switch (c->kind) {
    case LOAM_CHANGE_SEQUENCES:
        snprintf(text, n, "sequences %.0f", c->value);
        break;
    case LOAM_CHANGE_KV_TOKENS:
        snprintf(text, n, "kv_tokens %.0f", c->value);
        break;
    case LOAM_CHANGE_KV_TYPE:
        snprintf(text, n, "a KV cache of %s", c->name);
        break;
    case LOAM_CHANGE_CONTEXT:
        snprintf(text, n, "context_tokens %.0f", c->value);
        break;
    case LOAM_CHANGE_LAYERS:
        snprintf(text, n, "layers %.0f on %s", c->value, c->name);
        break;
    case LOAM_CHANGE_LIMIT:
        snprintf(text, n, "a limit of %.0f bytes for %s", c->value, c->name);
        break;
    default:
        snprintf(text, n, "weights of %.3g bits (%s)", c->value, c->name);
        break;
    }
}

/* In the place of the general advice behind the last semicolon. */
static void add_sentence(loam__base *b, const loam__plan_change *changes, size_t n)
{
    char *text = b->error, *end = strrchr(text, ';'), part[128];
    size_t room = sizeof b->error, used = end ? (size_t)(end - text) : strlen(text);
    bool choice = n > 1 && changes[1].choice != changes[0].choice;
    const char *before = n == 1   ? "; it would fit with "
                         : choice ? "; it would fit with any of "
                                  : "; it would fit with all of ";
    if (n == 0)
        snprintf(text + used, room - used,
                 "; fewer sequences, less context, smaller cells of the KV cache and a smaller "
                 "format would not be enough");
    for (size_t i = 0; i < n; i++) {
        describe(&changes[i], part, sizeof part);
        snprintf(text + used, room - used, "%s%s", before, part);
        used = strlen(text);
        before = i + 2 < n ? ", " : choice ? " or " : " and ";
    }
}

/* ---- for the api ---- */

static loam_status begin(advisor *a, const loam__plan_case *c, const loam__base *b,
                         const loam_plan_totals *t)
{
    *a = (advisor){.c = c, .base = *b};
    a->base.hooks.alloc = c->held->alloc;
    a->base.hooks.alloc_ctx = c->held->ctx;
    a->base.hooks.log = NULL;
    a->now = (loam__plan_wish){
        .context_tokens = t->context_tokens,
        .sequences = t->sequences,
        .kv_tokens = c->options.kv_tokens,
        .block_tokens = c->options.kv_block_tokens,
        .kv_type = c->options.kv_type,
        .v_type = c->options.v_type,
        .bits = t->bits_per_weight,
    };
    look_at(a, 0);
    a->answer = loam__alloc(&a->base, sizeof *a->answer);
    return a->answer ? LOAM_OK : LOAM_ERR_NOMEM;
}

loam_status loam__plan_advise(const loam__plan_case *c, loam__base *b, const loam_plan_totals *t,
                              loam__plan_change changes[LOAM__PLAN_CHANGES], size_t *n)
{
    advisor a;
    loam_status st = begin(&a, c, b, t);
    *n = 0;
    if (st == LOAM_OK) {
        *n = alone(&a, changes);
        if (*n == 0) *n = together(&a, true, changes);
        if (*n == 0) *n = together(&a, false, changes);
        st = a.broken;
    }
    loam__free(&a.base, a.answer);
    if (st != LOAM_OK) return loam__fail(b, st, "%s", a.base.error);
    add_sentence(b, changes, *n);
    return LOAM_OK;
}

loam_status loam__plan_most_sequences(const loam__plan_case *c, loam__base *b,
                                      const loam_plan_totals *t, uint32_t mean_tokens,
                                      uint32_t *sequences)
{
    advisor a;
    loam_status st = begin(&a, c, b, t);
    uint32_t low = 0, high = MOST_SEQUENCES + 1;
    while (st == LOAM_OK && high - low > 1) {
        loam__plan_wish w = a.now;
        uint32_t n = low + (high - low) / 2;
        w.sequences = n;
        w.kv_tokens = n * blocks(&w, mean_tokens) * w.block_tokens;
        if (w.kv_tokens < w.context_tokens) w.kv_tokens = w.context_tokens;
        if (fits(&a, &w)) low = n;
        else high = n;
        st = a.broken;
    }
    *sequences = low;
    loam__free(&a.base, a.answer);
    return st;
}
