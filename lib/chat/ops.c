#include "builtins.h"
#include "unicode.h"

#include <math.h>

/* ---- arithmetic ---- */

/* a op b where it fits 64 bits; false: it does not. */
static bool add(int64_t a, int64_t b, int64_t *r)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b) return false;
    *r = a + b;
    return true;
}

static bool subtract(int64_t a, int64_t b, int64_t *r)
{
    if (b > 0 ? a < INT64_MIN + b : a > INT64_MAX + b) return false;
    *r = a - b;
    return true;
}

static bool multiply(int64_t a, int64_t b, int64_t *r)
{
    if (a > 0 && b > 0 && a > INT64_MAX / b) return false;
    if (a > 0 && b < 0 && b < INT64_MIN / a) return false;
    if (a < 0 && b > 0 && a < INT64_MIN / b) return false;
    if (a < 0 && b < 0 && a < INT64_MAX / b) return false;
    *r = a * b;
    return true;
}

static bool too_large(vm *m)
{
    return loam__vm_raise(m, "the result is an integer beyond 64 bits");
}

static bool unsupported(vm *m, int op, value a, value b)
{
    static const char *const names[] = {"+", "-", "*", "/", "//", "%", "**"};
    if (op == OP_ADD && a.kind == KIND_STRING)
        return loam__vm_raise(m, "can only concatenate str (not \"%s\") to str",
                              loam__type_name(b));
    return loam__vm_raise(m, "unsupported operand types for %s: '%s' and '%s'", names[op],
                          loam__type_name(a), loam__type_name(b));
}

static bool power(vm *m, int64_t base, int64_t exponent, value *out)
{
    int64_t result = 1;
    if (exponent < 0) {
        if (base == 0) return loam__vm_raise(m, "0 cannot be raised to a negative power");
        *out = loam__float(pow((double)base, (double)exponent));
        return true;
    }
    *out = loam__int(base == 0 || base == 1 ? (exponent ? base : 1) : (exponent & 1 ? -1 : 1));
    if (base >= -1 && base <= 1) return true;
    for (int64_t i = 0; i < exponent; i++)
        if (!multiply(result, base, &result)) return too_large(m);
    *out = loam__int(result);
    return true;
}

static bool int_binary(vm *m, int op, int64_t a, int64_t b, value *out)
{
    int64_t r = 0;
    bool fits = true;
    switch (op) {
    case OP_ADD:
        fits = add(a, b, &r);
        break;
    case OP_SUB:
        fits = subtract(a, b, &r);
        break;
    case OP_MUL:
        fits = multiply(a, b, &r);
        break;
    case OP_POW:
        return power(m, a, b, out);
    default:
        if (b == 0)
            return loam__vm_raise(m, op == OP_DIV ? "division by zero"
                                                  : "integer division or modulo by zero");
        if (op == OP_DIV) {
            *out = loam__float((double)a / (double)b);
            return true;
        }
        if (b == -1) { /* the one divisor that can overflow */
            fits = op == OP_MOD || subtract(0, a, &r);
            break;
        }
        r = op == OP_FLOORDIV ? a / b : a % b; /* of C, towards zero; Python's go down */
        if (a % b != 0 && (a < 0) != (b < 0)) r += op == OP_FLOORDIV ? -1 : b;
    }
    if (!fits) return too_large(m);
    *out = loam__int(r);
    return true;
}

static bool float_binary(vm *m, int op, double a, double b, value *out)
{
    double r = 0;
    if (b == 0 && (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD))
        return loam__vm_raise(m, "float division by zero");
    switch (op) {
    case OP_ADD:
        r = a + b;
        break;
    case OP_SUB:
        r = a - b;
        break;
    case OP_MUL:
        r = a * b;
        break;
    case OP_DIV:
        r = a / b;
        break;
    case OP_POW:
        if (a == 0 && b < 0) return loam__vm_raise(m, "0.0 cannot be raised to a negative power");
        if (a < 0 && b != floor(b))
            return loam__vm_raise(m, "a negative number cannot be raised to a fraction");
        r = pow(a, b);
        break;
    default:
        r = fmod(a, b);
        if (r == 0) r = copysign(0, b);
        else if ((r < 0) != (b < 0)) r += b;
        if (op == OP_MOD) break;
        r = (a - r) / b;
        r = r == 0 ? copysign(0, a / b) : floor(r + 0.5);
    }
    *out = loam__float(r);
    return true;
}

bool loam__negate(vm *m, value v, value *out)
{
    int64_t i;
    if (v.kind == KIND_UNDEFINED) return loam__raise_undefined(m, v);
    if (v.kind == KIND_FLOAT) {
        *out = loam__float(-v.real);
        return true;
    }
    if (!loam__is_int(v, &i))
        return loam__vm_raise(m, "bad operand type for unary -: '%s'", loam__type_name(v));
    if (i == INT64_MIN) return too_large(m);
    *out = loam__int(-i);
    return true;
}

/* ---- sequences ---- */

static bool add_texts(vm *m, text *a, text *b, value *out)
{
    bool markup = a->markup || b->markup;
    if (markup && !a->markup && !(a = loam__text_escape(m, a))) return false;
    if (markup && !b->markup && !(b = loam__text_escape(m, b))) return false;
    text *t = loam__text_join(m, a, b);
    if (!t) return false;
    if (markup) t->markup = true;
    *out = loam__string(t);
    return true;
}

static bool repeat_text(vm *m, text *t, size_t times, value *out)
{
    size_t begin = loam__put_begin(m), n;
    if (!loam__mul_size(t->n, times, &n) || n > MAX_OUTPUT)
        return loam__vm_fail(m, LOAM_ERR_LIMIT, "a text longer than the limit of %d bytes",
                             MAX_OUTPUT);
    for (size_t i = 0; i < times && t->n > 0; i++)
        loam__put_text(m, t);
    if (!loam__put_end(m, begin, out)) return false;
    out->text->markup = t->markup;
    return true;
}

static bool repeat_list(vm *m, value of, size_t times, value *out)
{
    size_t n;
    if (!loam__mul_size(of.list->n, times, &n) || n > MAX_MEMORY / sizeof(value))
        return loam__vm_fail(m, LOAM_ERR_LIMIT, "a list longer than the limit of memory allows");
    list *l = loam__list_new(m, n);
    if (!l) return false;
    for (size_t i = 0; i < n; i++)
        if (!loam__list_add(m, l, of.list->items[i % of.list->n])) return false;
    *out = (value){.kind = of.kind, .list = l};
    return loam__vm_work(m, n * sizeof(value));
}

static bool is_sequence(value v)
{
    return v.kind == KIND_STRING || v.kind == KIND_LIST || v.kind == KIND_TUPLE;
}

static bool repeat(vm *m, value of, int64_t times, value *out)
{
    size_t n = times < 0 ? 0 : times > MAX_MEMORY ? MAX_MEMORY : (size_t)times;
    return of.kind == KIND_STRING ? repeat_text(m, of.text, n, out) : repeat_list(m, of, n, out);
}

bool loam__binary(vm *m, int op, value a, value b, value *out)
{
    int64_t i, j;
    double f, g;
    if (a.kind == KIND_UNDEFINED) return loam__raise_undefined(m, a);
    if (op == OP_MOD && a.kind == KIND_STRING) return loam__percent(m, a.text, b, out);
    if (b.kind == KIND_UNDEFINED) return loam__raise_undefined(m, b);
    if (loam__is_int(a, &i) && loam__is_int(b, &j)) return int_binary(m, op, i, j, out);
    if (loam__is_number(a, &f) && loam__is_number(b, &g)) return float_binary(m, op, f, g, out);
    if (op == OP_ADD && a.kind == KIND_STRING && b.kind == KIND_STRING)
        return add_texts(m, a.text, b.text, out);
    if (op == OP_ADD && a.kind == b.kind && is_sequence(a)) {
        list *l = loam__list_join(m, a.list, b.list);
        *out = (value){.kind = a.kind, .list = l};
        return l != NULL;
    }
    if (op == OP_MUL && is_sequence(a) && loam__is_int(b, &j)) return repeat(m, a, j, out);
    if (op == OP_MUL && is_sequence(b) && loam__is_int(a, &i)) return repeat(m, b, i, out);
    return unsupported(m, op, a, b);
}

/* ---- attributes and items ---- */

static value undefined_attribute(value owner, const text *name)
{
    return (value){.kind = KIND_UNDEFINED,
                   .why = UNDEFINED_ATTRIBUTE,
                   .owner = owner.kind,
                   .text = (text *)name};
}

static bool own_attribute(vm *m, value v, const text *name, value *out)
{
    bool unsafe;
    *out = (value){.kind = KIND_ABSENT};
    if (v.kind == KIND_NAMESPACE) return loam__dict_get_text(m, v.dict, name, out);
    if (v.kind == KIND_LOOP) return loam__loop_attribute(m, v, name, out);
    if (v.kind == KIND_TUPLE && v.list->group &&
        (loam__text_is(name, "grouper") || loam__text_is(name, "list"))) {
        *out = v.list->items[name->p[0] == 'l'];
        return true;
    }
    if (v.kind == KIND_RANGE && loam__text_is(name, "start")) *out = loam__int(v.range->start);
    if (v.kind == KIND_RANGE && loam__text_is(name, "stop")) *out = loam__int(v.range->stop);
    if (v.kind == KIND_RANGE && loam__text_is(name, "step")) *out = loam__int(v.range->step);
    if (v.kind == KIND_CYCLER && loam__text_is(name, "current"))
        *out = v.cycler->items->items[v.cycler->at];
    if (v.kind == KIND_MACRO && loam__text_is(name, "name") && v.macro->node->name)
        *out = (value){.kind = KIND_STRING, .text = (text *)v.macro->node->name};
    if (out->kind != KIND_ABSENT) return true;
    const builtin *b = loam__find_method(v, name, &unsafe);
    if (unsafe) {
        *out = undefined_attribute(v, name);
        out->why = UNDEFINED_UNSAFE;
    } else if (b) {
        method *bound = loam__vm_alloc(m, sizeof *bound);
        if (!bound) return false;
        *bound = (method){.self = v, .builtin = b};
        *out = (value){.kind = KIND_METHOD, .method = bound};
    }
    return true;
}

bool loam__attribute(vm *m, value v, const text *name, value *out)
{
    if (v.kind == KIND_UNDEFINED) return loam__raise_undefined(m, v);
    if (!own_attribute(m, v, name, out)) return false;
    if (out->kind == KIND_ABSENT && v.kind == KIND_DICT &&
        !loam__dict_get_text(m, v.dict, name, out))
        return false;
    if (out->kind == KIND_ABSENT) *out = undefined_attribute(v, name);
    return true;
}

/* A Python index, from the end if negative; false: out of range. */
static bool place(int64_t i, size_t n, size_t *out)
{
    if (i < 0) i += (int64_t)n;
    *out = (size_t)i;
    return i >= 0 && (uint64_t)i < n;
}

static bool point_at(vm *m, text *t, size_t i, value *out)
{
    size_t at = loam__text_offset(m, t, i);
    int32_t c;
    text *one = loam__text_slice(m, t, at, loam__point(t->p + at, t->n - at, &c));
    if (!one) return false;
    *out = loam__string(one);
    return true;
}

static bool index_item(vm *m, value v, int64_t i, value *out)
{
    size_t n, at;
    *out = (value){.kind = KIND_UNDEFINED, .why = UNDEFINED_ELEMENT, .owner = v.kind, .integer = i};
    if (!is_sequence(v) && v.kind != KIND_RANGE) return true;
    if (!loam__length(m, v, &n)) return false;
    if (!place(i, n, &at)) return true;
    if (v.kind == KIND_STRING) return point_at(m, v.text, at, out);
    if (v.kind == KIND_RANGE)
        *out = loam__int((int64_t)((uint64_t)v.range->start + at * (uint64_t)v.range->step));
    else *out = v.list->items[at];
    return true;
}

bool loam__item(vm *m, value v, value key, value *out)
{
    int64_t i;
    if (v.kind == KIND_UNDEFINED) return loam__raise_undefined(m, v);
    if (v.kind == KIND_DICT) {
        if (key.kind == KIND_LIST ||
            key.kind == KIND_DICT) { /* unhashable: it cannot be in there */
            *out = loam__undefined("a dict has no element with such a key");
            return true;
        }
        if (!loam__dict_get(m, v.dict, key, out)) return false;
        if (out->kind != KIND_ABSENT) return true;
    } else if (loam__is_int(key, &i)) {
        return index_item(m, v, i, out);
    }
    *out = loam__undefined("there is no element with this key");
    if (key.kind == KIND_STRING && !own_attribute(m, v, key.text, out)) return false;
    if (out->kind == KIND_ABSENT) *out = undefined_attribute(v, key.text);
    return true;
}

/* ---- slices ---- */

/* Start, stop and step as for a sequence of n; false has raised. */
static bool slice_bounds(vm *m, const value bounds[3], size_t n, int64_t out[3])
{
    int64_t length = (int64_t)n;
    out[2] = 1;
    for (int i = 2; i >= 0; i--) {
        bool none = bounds[i].kind == KIND_NONE || bounds[i].kind == KIND_ABSENT;
        if (bounds[i].kind == KIND_UNDEFINED) return loam__raise_undefined(m, bounds[i]);
        if (!none && !loam__is_int(bounds[i], &out[i]))
            return loam__vm_raise(m, "slice indices must be integers or None, not %s",
                                  loam__type_name(bounds[i]));
        if (i == 2 && out[2] == 0) return loam__vm_raise(m, "slice step cannot be zero");
        if (i == 2) continue;
        int64_t low = out[2] < 0 ? -1 : 0, high = out[2] < 0 ? length - 1 : length;
        if (none) {
            out[i] = (i == 0) == (out[2] > 0) ? low : high;
            continue;
        }
        if (out[i] < 0) out[i] += length;
        if (out[i] < low) out[i] = low;
        if (out[i] > high) out[i] = high;
    }
    return true;
}

static size_t slice_count(const int64_t b[3])
{
    uint64_t width, step = b[2] < 0 ? 0 - (uint64_t)b[2] : (uint64_t)b[2];
    if (b[2] > 0 ? b[0] >= b[1] : b[0] <= b[1]) return 0;
    width = b[2] > 0 ? (uint64_t)(b[1] - b[0]) : (uint64_t)(b[0] - b[1]);
    return (size_t)((width - 1) / step + 1);
}

static bool slice_text(vm *m, text *t, const int64_t b[3], value *out)
{
    size_t count = slice_count(b), begin = loam__put_begin(m);
    if (b[2] == 1) {
        size_t from = count ? loam__text_offset(m, t, (size_t)b[0]) : 0;
        size_t to = count ? loam__text_offset(m, t, (size_t)b[1]) : 0;
        text *part = loam__text_slice(m, t, from, to - from);
        if (part) *out = loam__string(part);
        return part && m->status == LOAM_OK;
    }
    size_t at = loam__text_offset(m, t, (size_t)(b[0] < 0 ? 0 : b[0]));
    int32_t c;
    for (size_t i = 0; i < count; i++) {
        loam__put_part(m, t, at, loam__point(t->p + at, t->n - at, &c));
        if (i + 1 == count) break;
        for (int64_t step = b[2]; step > 0; step--)
            at += loam__point(t->p + at, t->n - at, &c);
        for (int64_t step = b[2]; step < 0; step++)
            at -= loam__point_back(t->p, at, &c);
    }
    if (!loam__vm_read(m, t->n) || !loam__put_end(m, begin, out)) return false;
    out->text->markup = t->markup;
    return true;
}

static bool slice_list(vm *m, value v, const int64_t b[3], value *out)
{
    size_t count = slice_count(b);
    list *l;
    if (b[2] == 1) { /* a part of the same items */
        l = loam__vm_alloc(m, sizeof *l);
        if (l && count)
            *l = (list){.items = v.list->items + b[0], .n = count, .growth = v.list->growth};
    } else {
        l = loam__list_new(m, count);
        for (size_t i = 0; l && i < count; i++)
            if (!loam__list_add(m, l, v.list->items[b[0] + (int64_t)i * b[2]])) return false;
    }
    *out = (value){.kind = v.kind, .list = l};
    return l && loam__vm_work(m, b[2] == 1 ? 0 : count * sizeof(value));
}

static bool slice_range(vm *m, const range *from, const int64_t b[3], value *out)
{
    range *r = loam__vm_alloc(m, sizeof *r);
    uint64_t start = (uint64_t)from->start,
             step = (uint64_t)from->step; /* unsigned, as ends may wrap */
    if (!r) return false;
    r->n = slice_count(b);
    r->start = (int64_t)(start + (uint64_t)b[0] * step);
    r->stop = (int64_t)(start + (uint64_t)b[1] * step);
    r->step = (int64_t)(step * (uint64_t)b[2]);
    *out = (value){.kind = KIND_RANGE, .range = r};
    return true;
}

bool loam__slice(vm *m, value v, const value bounds[3], value *out)
{
    int64_t b[3];
    size_t n;
    if (v.kind == KIND_UNDEFINED) return loam__raise_undefined(m, v);
    if (!is_sequence(v) && v.kind != KIND_RANGE)
        return loam__vm_raise(m, "'%s' object cannot be sliced", loam__type_name(v));
    if (!loam__length(m, v, &n) || !slice_bounds(m, bounds, n, b)) return false;
    if (v.kind == KIND_STRING) return slice_text(m, v.text, b, out);
    if (v.kind != KIND_RANGE) return slice_list(m, v, b, out);
    return slice_range(m, v.range, b, out);
}
