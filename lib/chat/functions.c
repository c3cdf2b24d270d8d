/* Global functions. */
#include "builtins.h"
#include "lib/base/os.h"
#include "unicode.h"

static bool fn_range(vm *m, value self, const call *c, value *out)
{
    int64_t bounds[3] = {0, 0, 1};
    (void)self;
    if (c->n < 1 || c->n > 3 || c->named) return loam__vm_raise(m, "range() takes 1 to 3 numbers");
    for (size_t i = 0; i < c->n; i++)
        if (!loam__arg_int(m, c, i, 0, &bounds[i])) return false;
    *out = c->n == 1 ? loam__range(m, 0, bounds[0], 1)
                     : loam__range(m, bounds[0], bounds[1], bounds[2]);
    return out->kind != KIND_ABSENT;
}

static bool set_pair(vm *m, dict *d, value pair)
{
    list *l;
    if (!loam__list_of(m, pair, &l)) return false;
    if (l->n != 2) return loam__vm_raise(m, "a dict needs pairs, not %zu values", l->n);
    return loam__dict_set(m, d, l->items[0], l->items[1]);
}

/* A dict of what another one, pairs and keyword arguments give. */
static bool make_dict(vm *m, const call *c, const char *name, dict **out)
{
    dict *d = *out = loam__dict_new(m);
    list *pairs;
    if (!d) return false;
    if (c->n > 1) return loam__vm_raise(m, "%s() takes at most 1 positional argument", name);
    if (c->n == 1 && c->args[0].kind == KIND_DICT) {
        if (!(d = *out = loam__dict_copy(m, c->args[0].dict))) return false;
    } else if (c->n == 1) {
        if (!loam__list_of(m, c->args[0], &pairs)) return false;
        for (size_t i = 0; i < pairs->n; i++)
            if (!set_pair(m, d, pairs->items[i])) return false;
    }
    for (size_t i = 0; c->named && i < c->named->n; i++)
        if (!loam__dict_set(m, d, c->named->entries[i].key, c->named->entries[i].value))
            return false;
    return true;
}

static bool fn_dict(vm *m, value self, const call *c, value *out)
{
    (void)self;
    out->kind = KIND_DICT;
    return make_dict(m, c, "dict", &out->dict);
}

static bool fn_namespace(vm *m, value self, const call *c, value *out)
{
    (void)self;
    out->kind = KIND_NAMESPACE;
    return make_dict(m, c, "namespace", &out->dict);
}

static bool fn_cycler(vm *m, value self, const call *c, value *out)
{
    cycler *y = loam__vm_alloc(m, sizeof *y);
    (void)self;
    if (!y || !(y->items = loam__list_new(m, 0))) return false;
    if (c->n == 0) return loam__vm_raise(m, "at least one item has to be provided");
    for (size_t i = 0; i < c->n; i++)
        if (!loam__list_add(m, y->items, c->args[i])) return false;
    *out = (value){.kind = KIND_CYCLER, .cycler = y};
    return true;
}

static bool fn_joiner(vm *m, value self, const call *c, value *out)
{
    joiner *j = loam__vm_alloc(m, sizeof *j);
    (void)self;
    if (!j || !loam__arg_text(m, c, 0, &j->separator)) return false;
    if (!j->separator && !(j->separator = loam__text_copy(m, ", ", 2))) return false;
    *out = (value){.kind = KIND_JOINER, .joiner = j};
    return true;
}

/* The message, whole characters only, as far as an error text holds it. */
static bool fn_raise(vm *m, value self, const call *c, value *out)
{
    size_t room = sizeof m->base->error - 24, n = 0;
    int32_t point;
    value v;
    (void)self;
    (void)out;
    if (!loam__str(m, c->args[0], &v)) return false;
    while (n < v.text->n) {
        size_t len = loam__point(v.text->p + n, v.text->n - n, &point);
        if (n + len > room) break;
        n += len;
    }
    return loam__vm_raise(m, "%.*s", (int)n, v.text->p);
}

static bool fn_strftime_now(vm *m, value self, const call *c, value *out)
{
    const loam_hooks *hooks = &m->base->hooks;
    size_t begin = loam__put_begin(m);
    text *format;
    (void)self;
    if (!loam__arg_text(m, c, 0, &format)) return false;
    if (!format) return loam__vm_raise(m, "strftime_now() needs a format");
    int64_t now = hooks->clock ? hooks->clock(hooks->clock_ctx) : loam__civil_seconds();
    return loam__put_time(m, format, now) && loam__put_end(m, begin, out);
}

static const builtin functions[] = {
    {"range", fn_range, NULL, 0, false},
    {"dict", fn_dict, NULL, 0, false},
    {"namespace", fn_namespace, NULL, 0, false},
    {"cycler", fn_cycler, NULL, 0, false},
    {"joiner", fn_joiner, "sep", 0, false},
    {"raise_exception", fn_raise, "message", 1, false},
    {"strftime_now", fn_strftime_now, "format", 1, false},
    {0},
};

const builtin *loam__find_function(const text *name)
{
    return loam__find(functions, name);
}
