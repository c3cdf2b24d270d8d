#include "builtins.h"

#include <string.h>

/* ---- finding ---- */

const builtin *loam__find(const builtin *table, const text *name)
{
    for (; table->name; table++)
        if (loam__text_is(name, table->name)) return table;
    return NULL;
}

const builtin *loam__find_filter(const text *name)
{
    const builtin *const tables[] = {loam__value_filters, loam__text_filters, loam__list_filters};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const builtin *b = loam__find(tables[i], name);
        if (b) return b;
    }
    return NULL;
}

/* ---- arguments ---- */

static bool count_params(const char *params, size_t *n)
{
    *n = params[0] != 0;
    for (; *params; params++)
        *n += *params == ' ';
    return *n <= MAX_PARAMS;
}

/* Number of the parameter with this name; the number of all if there is none. */
static size_t find_param(const char *params, const text *name)
{
    size_t i = 0;
    while (*params) {
        size_t n = strcspn(params, " ");
        if (n == name->n && memcmp(params, name->p, n) == 0) return i;
        params += n + (params[n] == ' ');
        i++;
    }
    return i;
}

static bool bind_named(vm *m, const builtin *b, const dict *named, value *bound, size_t n)
{
    for (size_t i = 0; i < named->n; i++) {
        const text *key = named->entries[i].key.text;
        size_t at = find_param(b->params, key);
        int shown = (int)(key->n < 100 ? key->n : 100);
        if (at == n)
            return loam__vm_raise(m, "%s() has no parameter '%.*s'", b->name, shown, key->p);
        if (bound[at].kind != KIND_ABSENT)
            return loam__vm_raise(m, "%s() got '%.*s' twice", b->name, shown, key->p);
        bound[at] = named->entries[i].value;
    }
    return true;
}

static bool mark_result(vm *m, value *v)
{
    if (v->kind == KIND_STRING) return (v->text = loam__text_markup(m, v->text)) != NULL;
    if (v->kind != KIND_LIST && v->kind != KIND_TUPLE) return true;
    for (size_t i = 0; i < v->list->n; i++) { /* of split and its like: a list just made */
        value *item = &v->list->items[i];
        if (item->kind == KIND_STRING && !(item->text = loam__text_markup(m, item->text)))
            return false;
    }
    return true;
}

static bool run(vm *m, const builtin *b, value self, const call *c, value *out)
{
    if (!loam__vm_enter(m) || !b->fn(m, self, c, out) || m->status != LOAM_OK) return false;
    loam__vm_leave(m);
    return !b->keeps_markup || self.kind != KIND_STRING || !self.text->markup ||
           mark_result(m, out);
}

bool loam__invoke(vm *m, const builtin *b, value self, const call *c, value *out)
{
    value bound[MAX_PARAMS] = {0};
    size_t n;
    if (!b->params) return run(m, b, self, c, out);
    if (!count_params(b->params, &n))
        return loam__vm_fail(m, LOAM_ERR_INTERNAL, "%s() has too many parameters", b->name);
    if (c->n > n)
        return loam__vm_raise(m, "%s() takes at most %zu arguments, got %zu", b->name, n, c->n);
    for (size_t i = 0; i < c->n; i++)
        bound[i] = c->args[i];
    if (c->named && !bind_named(m, b, c->named, bound, n)) return false;
    for (size_t i = 0; i < b->required; i++)
        if (bound[i].kind == KIND_ABSENT)
            return loam__vm_raise(m, "%s() needs at least %d arguments", b->name, b->required);
    const call whole = {.args = bound, .n = n};
    return run(m, b, self, &whole, out);
}

bool loam__apply_test(vm *m, const builtin *b, value self, const call *c, bool *out)
{
    value v = loam__none();
    return loam__invoke(m, b, self, c, &v) && loam__truth(m, v, out);
}

bool loam__arg_int(vm *m, const call *c, size_t i, int64_t otherwise, int64_t *out)
{
    *out = otherwise;
    if (!loam__given(c, i) || c->args[i].kind == KIND_NONE || loam__is_int(c->args[i], out))
        return true;
    if (c->args[i].kind == KIND_UNDEFINED) return loam__raise_undefined(m, c->args[i]);
    return loam__vm_raise(m, "'%s' object cannot be interpreted as an integer",
                          loam__type_name(c->args[i]));
}

bool loam__arg_truth(vm *m, const call *c, size_t i, bool otherwise, bool *out)
{
    *out = otherwise;
    return !loam__given(c, i) || loam__truth(m, c->args[i], out);
}

bool loam__arg_text(vm *m, const call *c, size_t i, text **out)
{
    *out = NULL;
    if (!loam__given(c, i) || c->args[i].kind == KIND_NONE) return true;
    if (c->args[i].kind == KIND_UNDEFINED) return loam__raise_undefined(m, c->args[i]);
    if (c->args[i].kind != KIND_STRING)
        return loam__vm_raise(m, "must be str, not %s", loam__type_name(c->args[i]));
    *out = c->args[i].text;
    return true;
}

/* ---- attributes by a path ---- */

static bool path_part(vm *m, value v, const text *part, value *out)
{
    int64_t index = 0;
    bool digits = part->n > 0 && part->n < 18;
    for (size_t i = 0; digits && i < part->n; i++) {
        digits = part->p[i] >= '0' && part->p[i] <= '9';
        index = index * 10 + (part->p[i] - '0');
    }
    return loam__item(m, v, digits ? loam__int(index) : loam__string((text *)part), out);
}

bool loam__attribute_path(vm *m, value v, value path, value *out)
{
    *out = v;
    if (path.kind == KIND_NONE) return true;
    if (path.kind != KIND_STRING) return loam__item(m, v, path, out);
    for (size_t from = 0, n; from <= path.text->n; from += n + 1) {
        const char *dot = memchr(path.text->p + from, '.', path.text->n - from);
        n = dot ? (size_t)(dot - path.text->p) - from : path.text->n - from;
        text *part = loam__text_slice(m, path.text, from, n);
        if (!part || !path_part(m, *out, part, out)) return false;
    }
    return true;
}
