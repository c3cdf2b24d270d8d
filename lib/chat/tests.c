/* Tests: what stands behind `is`. */
#include "builtins.h"
#include "unicode.h"

static bool give(value *out, bool b)
{
    *out = loam__bool(b);
    return true;
}

static bool test_defined(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind != KIND_UNDEFINED);
}

static bool test_undefined(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_UNDEFINED);
}

static bool test_none(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_NONE);
}

static bool test_boolean(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_BOOL);
}

static bool test_true(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_BOOL && v.boolean);
}

static bool test_false(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_BOOL && !v.boolean);
}

static bool test_integer(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_INT || v.kind == KIND_BIG);
}

static bool test_float(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_FLOAT);
}

static bool test_number(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind >= KIND_BOOL && v.kind <= KIND_FLOAT);
}

static bool test_string(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_STRING);
}

static bool test_mapping(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_DICT);
}

static bool test_iterable(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, loam__iterable(v));
}

static bool test_escaped(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_STRING && v.text->markup);
}

static bool test_sameas(vm *m, value v, const call *c, value *out)
{
    (void)m;
    return give(out, loam__same(v, c->args[0]));
}

/* It has a length and can be indexed: an undefined value too, since both are defined for it. */
static bool test_sequence(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_UNDEFINED || v.kind == KIND_STRING || v.kind == KIND_LIST ||
                         v.kind == KIND_TUPLE || v.kind == KIND_DICT || v.kind == KIND_RANGE);
}

static bool test_callable(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_UNDEFINED || v.kind >= KIND_LOOP);
}

static bool remainder_of(vm *m, value v, value divisor, int64_t *out)
{
    value r;
    double f;
    *out = 0;
    if (!loam__binary(m, OP_MOD, v, divisor, &r)) return false;
    if (!loam__is_number(r, &f))
        return loam__vm_raise(m, "must be a number, not %s", loam__type_name(v));
    *out = f == 0 ? 0 : f == 1 ? 1 : 2;
    return true;
}

static bool test_odd(vm *m, value v, const call *c, value *out)
{
    int64_t r;
    (void)c;
    return remainder_of(m, v, loam__int(2), &r) && give(out, r == 1);
}

static bool test_even(vm *m, value v, const call *c, value *out)
{
    int64_t r;
    (void)c;
    return remainder_of(m, v, loam__int(2), &r) && give(out, r == 0);
}

static bool test_divisibleby(vm *m, value v, const call *c, value *out)
{
    int64_t r;
    return remainder_of(m, v, c->args[0], &r) && give(out, r == 0);
}

static bool has_case(vm *m, value v, const char *which, value *out)
{
    const call none = {0};
    const text name = {.p = which, .n = 7};
    bool unsafe;
    return loam__str(m, v, &v) &&
           loam__invoke(m, loam__find_method(v, &name, &unsafe), v, &none, out);
}

static bool test_lower(vm *m, value v, const call *c, value *out)
{
    (void)c;
    return has_case(m, v, "islower", out);
}

static bool test_upper(vm *m, value v, const call *c, value *out)
{
    (void)c;
    return has_case(m, v, "isupper", out);
}

static bool test_filter(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_STRING && loam__find_filter(v.text));
}

static bool test_test(vm *m, value v, const call *c, value *out)
{
    (void)m;
    (void)c;
    return give(out, v.kind == KIND_STRING && loam__find_test(v.text));
}

static bool test_in(vm *m, value v, const call *c, value *out)
{
    bool found;
    return loam__contains(m, c->args[0], v, &found) && give(out, found);
}

static bool test_eq(vm *m, value v, const call *c, value *out)
{
    bool same;
    return loam__equal(m, v, c->args[0], &same) && give(out, same);
}

static bool test_ne(vm *m, value v, const call *c, value *out)
{
    bool same;
    return loam__equal(m, v, c->args[0], &same) && give(out, !same);
}

static bool test_lt(vm *m, value v, const call *c, value *out)
{
    int order;
    return loam__compare(m, v, c->args[0], "<", &order) && give(out, order == -1);
}

static bool test_le(vm *m, value v, const call *c, value *out)
{
    int order;
    return loam__compare(m, v, c->args[0], "<=", &order) && give(out, order <= 0);
}

static bool test_gt(vm *m, value v, const call *c, value *out)
{
    int order;
    return loam__compare(m, v, c->args[0], ">", &order) && give(out, order == 1);
}

static bool test_ge(vm *m, value v, const call *c, value *out)
{
    int order;
    return loam__compare(m, v, c->args[0], ">=", &order) && give(out, order == 0 || order == 1);
}

static const builtin tests[] = {
    {"defined", test_defined, "", 0, false},
    {"string", test_string, "", 0, false},
    {"none", test_none, "", 0, false},
    {"mapping", test_mapping, "", 0, false},
    {"iterable", test_iterable, "", 0, false},
    {"undefined", test_undefined, "", 0, false},
    {"sequence", test_sequence, "", 0, false},
    {"boolean", test_boolean, "", 0, false},
    {"true", test_true, "", 0, false},
    {"false", test_false, "", 0, false},
    {"number", test_number, "", 0, false},
    {"integer", test_integer, "", 0, false},
    {"float", test_float, "", 0, false},
    {"in", test_in, "seq", 1, false},
    {"odd", test_odd, "", 0, false},
    {"even", test_even, "", 0, false},
    {"divisibleby", test_divisibleby, "num", 1, false},
    {"sameas", test_sameas, "other", 1, false},
    {"callable", test_callable, "", 0, false},
    {"escaped", test_escaped, "", 0, false},
    {"lower", test_lower, "", 0, false},
    {"upper", test_upper, "", 0, false},
    {"filter", test_filter, "", 0, false},
    {"test", test_test, "", 0, false},
    {"==", test_eq, "other", 1, false},
    {"eq", test_eq, "other", 1, false},
    {"equalto", test_eq, "other", 1, false},
    {"!=", test_ne, "other", 1, false},
    {"ne", test_ne, "other", 1, false},
    {"<", test_lt, "other", 1, false},
    {"lt", test_lt, "other", 1, false},
    {"lessthan", test_lt, "other", 1, false},
    {"<=", test_le, "other", 1, false},
    {"le", test_le, "other", 1, false},
    {">", test_gt, "other", 1, false},
    {"gt", test_gt, "other", 1, false},
    {"greaterthan", test_gt, "other", 1, false},
    {">=", test_ge, "other", 1, false},
    {"ge", test_ge, "other", 1, false},
    {0},
};

const builtin *loam__find_test(const text *name)
{
    return loam__find(tests, name);
}
