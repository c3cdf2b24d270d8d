#include "builtins.h"
#include "unicode.h"

#include <string.h>

typedef enum iter_kind {
    ITER_LIST,
    ITER_LIST_BACK,
    ITER_TEXT,
    ITER_DICT,
    ITER_DICT_BACK,
    ITER_RANGE,
    ITER_MAP,
    ITER_SELECT,
    ITER_WHERE,
} iter_kind;

/* A source and a place in it; lazy ones have another iter and what to do with each of its values.
 */
struct iter {
    iter_kind kind;
    value source;
    size_t at, n;
    enum view_part part;
    iter *from;
    const builtin *builtin; /* of MAP the filter, of SELECT the test; NULL: none */
    call call;              /* its further arguments */
    value path,
        otherwise; /* attribute to look up first, absent: none; what stands for an undefined one */
    bool wanted;   /* of SELECT: the truth value to keep */
    const node *target, *test;
    scope *scope;
};

value loam__range(vm *m, int64_t start, int64_t stop, int64_t step)
{
    value failed = {.kind = KIND_ABSENT};
    uint64_t width = 0, stride = step < 0 ? 0 - (uint64_t)step : (uint64_t)step;
    if (step == 0) loam__vm_raise(m, "range() arg 3 must not be zero");
    if (step == 0) return failed;
    if (step > 0 && stop > start) width = (uint64_t)stop - (uint64_t)start;
    if (step < 0 && stop < start) width = (uint64_t)start - (uint64_t)stop;
    uint64_t n = width / stride + (width % stride != 0);
    if (n > MAX_RANGE) {
        loam__vm_fail(m, LOAM_ERR_LIMIT, "a range of more than the limit of %d numbers", MAX_RANGE);
        return failed;
    }
    range *r = loam__vm_alloc(m, sizeof *r);
    if (!r) return failed;
    *r = (range){.start = start, .stop = stop, .step = step, .n = (size_t)n};
    return (value){.kind = KIND_RANGE, .range = r};
}

bool loam__iterable(value v)
{
    switch (v.kind) {
    case KIND_UNDEFINED:
    case KIND_STRING:
    case KIND_LIST:
    case KIND_TUPLE:
    case KIND_DICT:
    case KIND_VIEW:
    case KIND_RANGE:
    case KIND_ITER:
        return true;
    default:
        return false;
    }
}

static iter *iter_new(vm *m, iter_kind kind, value source, size_t n)
{
    iter *it = loam__vm_alloc(m, sizeof *it);
    if (!it) return NULL;
    it->kind = kind;
    it->source = source;
    it->n = n;
    return it;
}

iter *loam__iterate(vm *m, value v)
{
    iter *it;
    switch (v.kind) {
    case KIND_UNDEFINED:
        return iter_new(m, ITER_LIST, v, 0);
    case KIND_STRING:
        return iter_new(m, ITER_TEXT, v, v.text->n);
    case KIND_LIST:
    case KIND_TUPLE:
        return iter_new(m, ITER_LIST, v, v.list->n);
    case KIND_DICT:
        return iter_new(m, ITER_DICT, v, v.dict->n);
    case KIND_VIEW:
        it = iter_new(m, ITER_DICT, loam__dict_value(v.view->of), v.view->of->n);
        if (it) it->part = v.view->part;
        return it;
    case KIND_RANGE:
        return iter_new(m, ITER_RANGE, v, v.range->n);
    case KIND_ITER:
        return v.iter;
    default:
        loam__vm_raise(m, "'%s' object is not iterable", loam__type_name(v));
        return NULL;
    }
}

iter *loam__iterate_back(vm *m, value v)
{
    list *l;
    switch (v.kind) {
    case KIND_LIST:
    case KIND_TUPLE:
        return iter_new(m, ITER_LIST_BACK, v, v.list->n);
    case KIND_DICT:
    case KIND_VIEW: {
        iter *it = loam__iterate(m, v);
        if (it) it->kind = ITER_DICT_BACK;
        return it;
    }
    default:
        if (!loam__list_of(m, v, &l)) return NULL;
        return iter_new(m, ITER_LIST_BACK, loam__list_value(l), l->n);
    }
}

iter *loam__iter_list(vm *m, list *l)
{
    return iter_new(m, ITER_LIST, loam__list_value(l), l->n);
}

static iter *lazy(vm *m, iter_kind kind, iter *from)
{
    iter *it = iter_new(m, kind, loam__none(), 0);
    if (it) it->from = from;
    return it;
}

/* The name of a filter or test among a call's arguments, and what follows it as the further ones.
 */
static bool take_name(vm *m, iter *it, const call *c, size_t at, bool test)
{
    if (c->args[at].kind != KIND_STRING)
        return loam__vm_raise(m, "the name of a %s must be a string", test ? "test" : "filter");
    const text *name = c->args[at].text;
    it->builtin = test ? loam__find_test(name) : loam__find_filter(name);
    it->call = (call){.args = c->args + at + 1, .n = c->n - at - 1, .named = c->named};
    if (it->builtin) return true;
    return loam__vm_raise(m, "no %s named '%.*s'", test ? "test" : "filter",
                          (int)(name->n < 100 ? name->n : 100), name->p);
}

static bool take_named(vm *m, const call *c, const char *name, value *out)
{
    text key = {.p = name, .n = strlen(name), .points = POINTS_LATER};
    *out = (value){.kind = KIND_ABSENT};
    return !c->named || loam__dict_get_text(m, c->named, &key, out);
}

iter *loam__iter_map(vm *m, iter *from, const call *c)
{
    iter *it = lazy(m, ITER_MAP, from);
    if (!it || !take_named(m, c, "attribute", &it->path)) return NULL;
    if (c->n > 0) {
        it->path.kind = KIND_ABSENT;
        return take_name(m, it, c, 0, false) ? it : NULL;
    }
    if (it->path.kind == KIND_ABSENT) {
        loam__vm_raise(m, "map requires a filter argument");
        return NULL;
    }
    return take_named(m, c, "default", &it->otherwise) ? it : NULL;
}

iter *loam__iter_select(vm *m, iter *from, const call *c, bool attribute, bool wanted)
{
    size_t at = attribute ? 1 : 0;
    iter *it = lazy(m, ITER_SELECT, from);
    if (!it) return NULL;
    it->wanted = wanted;
    if (c->n < at) {
        loam__vm_raise(m, "missing parameter for attribute name");
        return NULL;
    }
    if (attribute) it->path = c->args[0];
    if (c->n > at && !take_name(m, it, c, at, true)) return NULL;
    return it;
}

iter *loam__iter_where(vm *m, iter *from, const node *target, const node *test, scope *around)
{
    iter *it = lazy(m, ITER_WHERE, from);
    if (!it || !(it->scope = loam__scope_new(m, around))) return NULL;
    it->target = target;
    it->test = test;
    return it;
}

/* ---- one step of each ---- */

static bool next_point(vm *m, iter *it, value *out)
{
    int32_t c;
    size_t len = loam__point(it->source.text->p + it->at, it->n - it->at, &c);
    text *t = loam__text_slice(m, it->source.text, it->at, len);
    if (!t) return false;
    t->markup = false;
    it->at += len;
    *out = loam__string(t);
    return true;
}

static bool look_up(vm *m, const iter *it, value v, value *out)
{
    *out = v;
    if (it->path.kind == KIND_ABSENT) return true;
    if (!loam__attribute_path(m, v, it->path, out)) return false;
    bool given = it->otherwise.kind != KIND_ABSENT && it->otherwise.kind != KIND_NONE;
    if (out->kind == KIND_UNDEFINED && given) *out = it->otherwise;
    return true;
}

static bool test_where(vm *m, iter *it, value v, bool *keep)
{
    scope *outer = m->scope;
    value result;
    it->scope->n = 0;
    m->scope = it->scope;
    if (!loam__bind(m, it->scope, it->target, v) || !loam__eval(m, it->test, &result)) return false;
    m->scope = outer;
    return loam__truth(m, result, keep);
}

static bool next_lazy(vm *m, iter *it, value *out)
{
    value v, looked;
    bool keep = false;
    while (loam__next(m, it->from, &v)) {
        *out = v;
        if (v.kind == KIND_ABSENT) return true;
        if (it->kind == ITER_WHERE) {
            if (!test_where(m, it, v, &keep)) return false;
            if (keep) return true;
            continue;
        }
        if (!look_up(m, it, v, &looked)) return false;
        if (it->kind == ITER_MAP) {
            *out = looked;
            return !it->builtin || loam__invoke(m, it->builtin, looked, &it->call, out);
        }
        if (it->builtin && !loam__apply_test(m, it->builtin, looked, &it->call, &keep))
            return false;
        if (!it->builtin && !loam__truth(m, looked, &keep)) return false;
        if (keep == it->wanted) return true;
    }
    return false;
}

bool loam__next(vm *m, iter *it, value *out)
{
    if (!loam__vm_steps(m, 1)) return false;
    if (it->kind >= ITER_MAP) {
        bool ok = loam__vm_enter(m) && next_lazy(m, it, out);
        if (ok) loam__vm_leave(m);
        return ok;
    }
    *out = (value){.kind = KIND_ABSENT};
    if (it->at >= it->n) return true;
    switch (it->kind) {
    case ITER_TEXT:
        return next_point(m, it, out);
    case ITER_LIST:
        *out = it->source.list->items[it->at++];
        return true;
    case ITER_LIST_BACK:
        *out = it->source.list->items[it->n - ++it->at];
        return true;
    case ITER_DICT:
        return loam__dict_item(m, it->source.dict, it->at++, it->part, out);
    case ITER_DICT_BACK:
        return loam__dict_item(m, it->source.dict, it->n - ++it->at, it->part, out);
    default:
        *out = loam__int((int64_t)((uint64_t)it->source.range->start +
                                   it->at++ * (uint64_t)it->source.range->step));
        return true;
    }
}
