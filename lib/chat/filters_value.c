/* Filters on any value: numbers, defaults, JSON. */
#include "builtins.h"
#include "number.h"

#include <math.h>

static bool filter_default(vm *m, value self, const call *c, value *out)
{
    bool falsy, truth;
    if (!loam__arg_truth(m, c, 1, false, &falsy) || !loam__truth(m, self, &truth)) return false;
    *out = self;
    if (self.kind != KIND_UNDEFINED && (!falsy || truth)) return true;
    if (loam__given(c, 0)) *out = c->args[0];
    return loam__given(c, 0) || loam__text_value(m, "", 0, out);
}

/* Towards zero; what is too large for 64 bits gives the default, as what is no number does. */
static bool float_to_int(double f, int64_t *out)
{
    if (!(f > -9.3e18 && f < 9.3e18)) return false;
    f = trunc(f);
    if (f < -9223372036854775808.0 || f >= 9223372036854775808.0) return false;
    *out = (int64_t)f;
    return true;
}

static bool filter_int(vm *m, value self, const call *c, value *out)
{
    int64_t base, i;
    double f;
    if (self.kind == KIND_UNDEFINED) return loam__raise_undefined(m, self);
    *out = loam__given(c, 0) ? c->args[0] : loam__int(0);
    if (!loam__arg_int(m, c, 1, 10, &base)) return false;
    if (base != 0 && (base < 2 || base > 36)) return true;
    if (self.kind == KIND_BIG) *out = self;
    if (loam__is_int(self, &i)) {
        *out = loam__int(i);
    } else if (self.kind == KIND_STRING) {
        if (loam__read_int(self.text->p, self.text->n, (int)base, &i)) *out = loam__int(i);
        else if (loam__read_float(self.text->p, self.text->n, &f) && float_to_int(f, &i))
            *out = loam__int(i);
    } else if (loam__is_number(self, &f) && float_to_int(f, &i)) {
        *out = loam__int(i);
    }
    return true;
}

static bool filter_float(vm *m, value self, const call *c, value *out)
{
    double f;
    if (self.kind == KIND_UNDEFINED) return loam__raise_undefined(m, self);
    bool digits = self.kind == KIND_STRING || self.kind == KIND_BIG;
    bool ok = digits ? loam__read_float(self.text->p, self.text->n, &f) : loam__is_number(self, &f);
    *out = loam__given(c, 0) ? c->args[0] : loam__float(0);
    if (ok) *out = loam__float(f);
    return true;
}

static bool filter_abs(vm *m, value self, const call *c, value *out)
{
    int64_t i;
    (void)c;
    *out = self;
    if (self.kind == KIND_FLOAT) *out = loam__float(fabs(self.real));
    if (self.kind == KIND_FLOAT) return true;
    if (self.kind == KIND_UNDEFINED) return loam__raise_undefined(m, self);
    if (!loam__is_int(self, &i))
        return loam__vm_raise(m, "bad operand type for abs(): '%s'", loam__type_name(self));
    *out = loam__int(i);
    return i >= 0 || loam__negate(m, self, out);
}

static bool filter_round(vm *m, value self, const call *c, value *out)
{
    int64_t digits, i;
    double f;
    text *how;
    if (!loam__arg_int(m, c, 0, 0, &digits) || !loam__arg_text(m, c, 1, &how)) return false;
    if (self.kind == KIND_UNDEFINED) return loam__raise_undefined(m, self);
    if (!loam__is_number(self, &f))
        return loam__vm_raise(m, "type %s cannot be rounded", loam__type_name(self));
    if (digits < -400) digits = -400;
    if (digits > 400) digits = 400;
    if (!how || loam__text_is(how, "common")) {
        if (loam__is_int(self, &i) && digits >= 0) *out = loam__int(i);
        else if (loam__is_int(self, &i) && float_to_int(loam__float_round(f, (int)digits), &i))
            *out = loam__int(i);
        else *out = loam__float(loam__float_round(f, (int)digits));
        return true;
    }
    bool up = loam__text_is(how, "ceil");
    if (!up && !loam__text_is(how, "floor"))
        return loam__vm_raise(m, "method must be common, ceil or floor");
    double scale = pow(10, (double)digits);
    *out = loam__float(((up ? ceil(f * scale) : floor(f * scale)) + 0.0) / scale);
    return true;
}

static bool filter_attr(vm *m, value self, const call *c, value *out)
{
    text *name;
    if (!loam__arg_text(m, c, 0, &name)) return false;
    if (!name) return loam__vm_raise(m, "attribute name must be string");
    if (self.kind != KIND_DICT) return loam__attribute(m, self, name, out);
    const value empty = loam__dict_value(loam__dict_new(m)); /* methods, but none of the items */
    return empty.dict && loam__attribute(m, empty, name, out);
}

/* separators=(',', ':') */
static bool separators(vm *m, const call *c, size_t i, json_style *style)
{
    if (!loam__given(c, i) || c->args[i].kind == KIND_NONE) return true;
    const value v = c->args[i];
    bool pair = (v.kind == KIND_TUPLE || v.kind == KIND_LIST) && v.list->n == 2;
    if (!pair || v.list->items[0].kind != KIND_STRING || v.list->items[1].kind != KIND_STRING)
        return loam__vm_raise(m, "tojson: separators must be two strings");
    style->comma = v.list->items[0].text;
    style->colon = v.list->items[1].text;
    return true;
}

static bool filter_tojson(vm *m, value self, const call *c, value *out)
{
    static const text comma = {.p = ",", .n = 1}, comma_space = {.p = ", ", .n = 2},
                      colon = {.p = ": ", .n = 2};
    json_style style = {.comma = &comma_space, .colon = &colon};
    int64_t width = 0;
    text *indent = NULL;
    if (!loam__arg_truth(m, c, 0, false, &style.ascii) ||
        !loam__arg_truth(m, c, 3, false, &style.sorted))
        return false;
    if (loam__given(c, 1) && c->args[1].kind != KIND_NONE) {
        style.broken = true;
        style.comma = &comma;
        bool given = c->args[1].kind == KIND_STRING;
        if (given ? !loam__arg_text(m, c, 1, &indent) : !loam__arg_int(m, c, 1, 0, &width))
            return false;
        value blanks, blank;
        if (!indent &&
            (!loam__text_value(m, " ", 1, &blank) ||
             !loam__binary(m, OP_MUL, blank, loam__int(width < 10000 ? width : 10000), &blanks)))
            return false;
        style.indent = indent ? indent : blanks.text;
    }
    if (!separators(m, c, 2, &style)) return false;
    size_t begin = loam__put_begin(m);
    return loam__put_json(m, self, &style) && loam__put_end(m, begin, out);
}

const builtin loam__value_filters[] = {
    {"tojson", filter_tojson, "ensure_ascii indent separators sort_keys", 0, false},
    {"default", filter_default, "default_value boolean", 0, false},
    {"d", filter_default, "default_value boolean", 0, false},
    {"int", filter_int, "default base", 0, false},
    {"float", filter_float, "default", 0, false},
    {"abs", filter_abs, "", 0, false},
    {"round", filter_round, "precision method", 0, false},
    {"attr", filter_attr, "name", 1, false},
    {0},
};
