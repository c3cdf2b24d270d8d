#include "builtins.h"

#include <math.h>
#include <string.h>

const char *loam__type_name(value v)
{
    static const char *const names[] = {
        [KIND_ABSENT] = "missing",
        [KIND_UNDEFINED] = "Undefined",
        [KIND_NONE] = "NoneType",
        [KIND_BOOL] = "bool",
        [KIND_INT] = "int",
        [KIND_BIG] = "int",
        [KIND_FLOAT] = "float",
        [KIND_STRING] = "str",
        [KIND_LIST] = "list",
        [KIND_TUPLE] = "tuple",
        [KIND_DICT] = "dict",
        [KIND_VIEW] = "dict_view",
        [KIND_RANGE] = "range",
        [KIND_ITER] = "generator",
        [KIND_NAMESPACE] = "Namespace",
        [KIND_LOOP] = "LoopContext",
        [KIND_CYCLER] = "Cycler",
        [KIND_JOINER] = "Joiner",
        [KIND_MACRO] = "Macro",
        [KIND_METHOD] = "method",
        [KIND_FUNCTION] = "function",
    };
    static const char *const views[] = {"dict_keys", "dict_values", "dict_items"};
    return v.kind == KIND_VIEW ? views[v.view->part] : names[v.kind];
}

bool loam__raise_undefined(vm *m, value v)
{
    const char *owner = loam__type_name((value){.kind = v.owner});
    const char *p = v.why <= UNDEFINED_PARAMETER && v.why != UNDEFINED_ELEMENT ? v.text->p : NULL;
    int n = p ? (int)(v.text->n < 200 ? v.text->n : 200) : 0;
    switch (v.why) {
    case UNDEFINED_NAME:
        return loam__vm_raise(m, "'%.*s' is undefined", n, p);
    case UNDEFINED_ATTRIBUTE:
        return loam__vm_raise(m, "'%s' has no attribute '%.*s'", owner, n, p);
    case UNDEFINED_ELEMENT:
        return loam__vm_raise(m, "%s has no element %lld", owner, (long long)v.integer);
    case UNDEFINED_UNSAFE:
        return loam__vm_raise(m, "'%.*s' of a %s would change it, which a template may not", n, p,
                              owner);
    case UNDEFINED_PARAMETER:
        return loam__vm_raise(m, "parameter '%.*s' was not provided", n, p);
    default:
        return loam__vm_raise(m, "%s", v.reason);
    }
}

bool loam__is_int(value v, int64_t *i)
{
    if (v.kind == KIND_INT) *i = v.integer;
    if (v.kind == KIND_BOOL) *i = v.boolean;
    return v.kind == KIND_INT || v.kind == KIND_BOOL;
}

bool loam__is_number(value v, double *f)
{
    int64_t i;
    if (v.kind == KIND_FLOAT) *f = v.real;
    if (v.kind == KIND_FLOAT) return true;
    if (!loam__is_int(v, &i)) return false;
    *f = (double)i;
    return true;
}

bool loam__truth(vm *m, value v, bool *out)
{
    size_t n = 1;
    switch (v.kind) {
    case KIND_ABSENT:
    case KIND_UNDEFINED:
    case KIND_NONE:
        *out = false;
        return true;
    case KIND_BOOL:
        *out = v.boolean;
        return true;
    case KIND_INT:
        *out = v.integer != 0;
        return true;
    case KIND_FLOAT:
        *out = v.real != 0;
        return true;
    case KIND_STRING:
        *out = v.text->n != 0;
        return true;
    case KIND_LIST:
    case KIND_TUPLE:
    case KIND_DICT:
    case KIND_VIEW:
    case KIND_RANGE:
        if (!loam__length(m, v, &n)) return false;
        *out = n != 0;
        return true;
    default:
        *out = true;
        return true;
    }
}

bool loam__length(vm *m, value v, size_t *out)
{
    switch (v.kind) {
    case KIND_UNDEFINED:
        *out = 0;
        return true;
    case KIND_STRING:
        *out = loam__text_points(m, v.text);
        return m->status == LOAM_OK;
    case KIND_LIST:
    case KIND_TUPLE:
        *out = v.list->n;
        return true;
    case KIND_DICT:
        *out = v.dict->n;
        return true;
    case KIND_VIEW:
        *out = v.view->of->n;
        return true;
    case KIND_RANGE:
        *out = v.range->n;
        return true;
    default:
        return loam__vm_raise(m, "object of type '%s' has no len()", loam__type_name(v));
    }
}

static bool equal_lists(vm *m, const list *a, const list *b, bool *out)
{
    *out = a->n == b->n;
    if (!loam__vm_enter(m)) return false;
    for (size_t i = 0; *out && i < a->n; i++)
        if (!loam__vm_steps(m, 1) || !loam__equal(m, a->items[i], b->items[i], out)) return false;
    loam__vm_leave(m);
    return true;
}

static bool equal_dicts(vm *m, const dict *a, const dict *b, bool *out)
{
    value other;
    *out = a->n == b->n;
    if (!loam__vm_enter(m)) return false;
    for (size_t i = 0; *out && i < a->n; i++) {
        if (!loam__vm_steps(m, 1) || !loam__dict_get(m, b, a->entries[i].key, &other)) return false;
        *out = other.kind != KIND_ABSENT;
        if (*out && !loam__equal(m, a->entries[i].value, other, out)) return false;
    }
    loam__vm_leave(m);
    return true;
}

bool loam__equal(vm *m, value a, value b, bool *out)
{
    int64_t i, j;
    double f, g;
    *out = false;
    if (loam__is_int(a, &i) && loam__is_int(b, &j)) {
        *out = i == j;
    } else if (loam__is_number(a, &f) && loam__is_number(b, &g)) {
        *out = f == g;
    } else if (a.kind != b.kind) {
        return true;
    } else {
        switch (a.kind) {
        case KIND_UNDEFINED:
        case KIND_NONE:
            *out = true;
            break;
        case KIND_STRING:
        case KIND_BIG:
            *out = loam__text_equal(a.text, b.text);
            return loam__vm_work(m, a.text->n);
        case KIND_LIST:
        case KIND_TUPLE:
            return equal_lists(m, a.list, b.list, out);
        case KIND_DICT:
            return equal_dicts(m, a.dict, b.dict, out);
        case KIND_RANGE:
            *out = a.range->n == b.range->n &&
                   (a.range->n == 0 || (a.range->start == b.range->start &&
                                        (a.range->n == 1 || a.range->step == b.range->step)));
            break;
        default:
            *out = a.text == b.text;
        }
    }
    return true;
}

bool loam__same(value a, value b)
{
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case KIND_UNDEFINED:
    case KIND_NONE:
        return true;
    case KIND_BOOL:
        return a.boolean == b.boolean;
    case KIND_INT:
        return a.integer == b.integer;
    case KIND_FLOAT:
        return a.real == b.real;
    case KIND_STRING:
        return loam__text_equal(a.text, b.text);
    default:
        return a.text == b.text;
    }
}

static bool compare_lists(vm *m, const list *a, const list *b, const char *op, int *out)
{
    bool same = true;
    if (!loam__vm_enter(m)) return false;
    *out = (a->n > b->n) - (a->n < b->n);
    for (size_t i = 0; same && i < a->n && i < b->n; i++) {
        if (!loam__vm_steps(m, 1) || !loam__equal(m, a->items[i], b->items[i], &same)) return false;
        if (!same && !loam__compare(m, a->items[i], b->items[i], op, out)) return false;
    }
    loam__vm_leave(m);
    return true;
}

bool loam__compare(vm *m, value a, value b, const char *op, int *out)
{
    int64_t i, j;
    double f, g;
    if (a.kind == KIND_UNDEFINED) return loam__raise_undefined(m, a);
    if (b.kind == KIND_UNDEFINED) return loam__raise_undefined(m, b);
    if (loam__is_int(a, &i) && loam__is_int(b, &j)) {
        *out = (i > j) - (i < j);
    } else if (loam__is_number(a, &f) && loam__is_number(b, &g)) {
        *out = isnan(f) || isnan(g) ? 2 : (f > g) - (f < g);
    } else if (a.kind == KIND_STRING && b.kind == KIND_STRING) {
        *out = loam__text_order(a.text, b.text);
        return loam__vm_work(m, a.text->n);
    } else if (a.kind == b.kind && (a.kind == KIND_LIST || a.kind == KIND_TUPLE)) {
        return compare_lists(m, a.list, b.list, op, out);
    } else {
        return loam__vm_raise(m, "'%s' not supported between instances of '%s' and '%s'", op,
                              loam__type_name(a), loam__type_name(b));
    }
    return true;
}

static bool contains_any(vm *m, value container, value item, bool *out)
{
    value v;
    iter *it = loam__iterate(m, container);
    *out = false;
    if (!it) return false;
    while (loam__next(m, it, &v)) {
        if (v.kind == KIND_ABSENT) return true;
        if (!loam__equal(m, v, item, out)) return false;
        if (*out) return true;
    }
    return false;
}

bool loam__contains(vm *m, value container, value item, bool *out)
{
    value found;
    if (container.kind == KIND_STRING) {
        if (item.kind != KIND_STRING)
            return loam__vm_raise(m, "'in <string>' requires string as left operand, not %s",
                                  loam__type_name(item));
        *out = loam__text_find(m, container.text, item.text, 0) != NOT_FOUND;
        return m->status == LOAM_OK;
    }
    if (container.kind == KIND_DICT ||
        (container.kind == KIND_VIEW && container.view->part == VIEW_KEYS)) {
        const dict *d = container.kind == KIND_DICT ? container.dict : container.view->of;
        if (!loam__dict_get(m, d, item, &found)) return false;
        *out = found.kind != KIND_ABSENT;
        return true;
    }
    if (!loam__iterable(container))
        return loam__vm_raise(m, "argument of type '%s' is not iterable",
                              loam__type_name(container));
    return contains_any(m, container, item, out);
}
