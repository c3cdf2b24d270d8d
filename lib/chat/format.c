/* Python's two ways to format: "%5.2f" % x and "{:>5}".format(x). Both come down to a spec and a
 * value. */
#include "builtins.h"
#include "number.h"
#include "strings.h"

#include <stdio.h>
#include <string.h>

typedef struct spec {
    int32_t fill;
    char align;     /* '<' '>' '^', '=' for padding behind the sign; 0: as the type has it */
    char sign;      /* '+', ' ' or 0 */
    bool alternate; /* 0x and the like */
    char group;     /* ',' or '_' between thousands, 0: none */
    int64_t width;
    int precision; /* -1: none */
    char type;     /* 0: none */
} spec;

enum { MAX_WIDTH = 1000000, MAX_PRECISION = 100 };

/* ---- a value by its spec ---- */

static void put_fill(vm *m, int32_t fill, int64_t n)
{
    for (; n > 0 && loam__put_ok(m); n--)
        loam__put_point(m, fill, false);
}

/* head: a sign and prefix, which '=' keeps in front of the padding. */
static bool put_padded(vm *m, const spec *s, const char *head, text *body, char align)
{
    int64_t missing = s->width - (int64_t)strlen(head) - (int64_t)loam__text_points(m, body);
    int64_t left = 0;
    if (s->align) align = s->align;
    if (missing < 0) missing = 0;
    if (align == '>') left = missing;
    if (align == '^') left = missing / 2;
    put_fill(m, s->fill, left);
    loam__put_string(m, head);
    if (align == '=') put_fill(m, s->fill, missing);
    loam__put_text(m, body);
    if (align == '<' || align == '^') put_fill(m, s->fill, missing - left);
    return loam__put_ok(m);
}

/* Write digits, with separators between groups of the whole part; zeros: pad it to so many bytes in
 * all. */
static size_t group_digits(const char *digits, size_t n, const spec *s, char *out)
{
    size_t whole = strspn(digits, "0123456789abcdefABCDEF"), at = 0;
    size_t every = s->type == 'x' || s->type == 'X' || s->type == 'b' || s->type == 'o' ? 4 : 3;
    if (every == 3) whole = strspn(digits, "0123456789");
    for (size_t i = 0; i < n; i++) {
        if (s->group && i > 0 && i < whole && (whole - i) % every == 0) out[at++] = s->group;
        out[at++] = digits[i];
    }
    return at;
}

static bool put_digits(vm *m, const spec *s, bool negative, const char *prefix, const char *digits,
                       size_t n)
{
    char grouped[2 * FIXED_TEXT], head[8];
    const char *sign = negative ? "-" : s->sign == '+' ? "+" : s->sign == ' ' ? " " : "";
    text body = {.p = grouped, .points = POINTS_LATER};
    body.n = group_digits(digits, n, s, grouped);
    snprintf(head, sizeof head, "%s%s", sign, prefix);
    return put_padded(m, s, head, &body, '>');
}

static bool put_int_by(vm *m, const spec *s, int64_t i)
{
    char digits[72], reversed[72];
    size_t n = 0;
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    unsigned base = s->type == 'x' || s->type == 'X' ? 16
                    : s->type == 'o'                 ? 8
                    : s->type == 'b'                 ? 2
                                                     : 10;
    const char *letters = s->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
    const char *prefix = !s->alternate    ? ""
                         : s->type == 'x' ? "0x"
                         : s->type == 'X' ? "0X"
                         : base == 8      ? "0o"
                         : base == 2      ? "0b"
                                          : "";
    do
        reversed[n++] = letters[u % base];
    while ((u /= base) > 0);
    for (size_t k = 0; k < n; k++)
        digits[k] = reversed[n - 1 - k];
    digits[n] = 0;
    return put_digits(m, s, i < 0, prefix, digits, n);
}

static void to_upper(char *p)
{
    for (; *p; p++)
        if (*p >= 'a' && *p <= 'z') *p = (char)(*p - 'a' + 'A');
}

static bool put_float_by(vm *m, const spec *s, double f)
{
    char line[FIXED_TEXT + 4];
    bool negative = f < 0 || (f == 0 && 1 / f < 0);
    char kind = s->type ? (char)(s->type | 32) : 'g';
    int precision = s->precision < 0 ? 6 : s->precision;
    size_t n;
    if (negative) f = -f;
    if (s->type == '%') {
        f *= 100;
        kind = 'f';
    }
    if (!s->type && s->precision < 0) n = loam__float_text(f, line);
    else n = loam__float_printf(f, kind == 'n' ? 'g' : kind, precision, s->alternate, line);
    if (!s->type && s->precision >= 0 && !strpbrk(line, ".en"))
        n += (size_t)snprintf(line + n, 3, ".0");
    if (s->type == '%') n += (size_t)snprintf(line + n, 2, "%%");
    if (s->type == 'E' || s->type == 'G' || s->type == 'F') to_upper(line);
    return put_digits(m, s, negative, "", line, n);
}

static bool put_text_by(vm *m, const spec *s, text *t)
{
    if (s->precision >= 0 && (size_t)s->precision < loam__text_points(m, t))
        t = loam__text_slice(m, t, 0, loam__text_offset(m, t, (size_t)s->precision));
    return t && put_padded(m, s, "", t, '<');
}

/* format(v, spec) */
static bool put_by(vm *m, value v, const spec *s)
{
    int64_t i;
    double f;
    bool plain = s->type == 0 || s->type == 's';
    if (v.kind == KIND_UNDEFINED && s->width == 0 && plain) return true;
    if (v.kind == KIND_STRING && plain) return put_text_by(m, s, v.text);
    if (v.kind == KIND_BOOL && plain && s->width == 0) return loam__put_repr(m, v);
    if (v.kind != KIND_STRING && loam__is_int(v, &i) && (s->type == 0 || strchr("bdoxXn", s->type)))
        return put_int_by(m, s, i);
    if (v.kind != KIND_STRING && loam__is_number(v, &f) &&
        (s->type == 0 || strchr("eEfFgGn%", s->type)))
        return put_float_by(m, s, f);
    if (!s->type && s->width == 0 && !s->align && s->precision < 0) return loam__put_str(m, v);
    if (!s->type && v.kind != KIND_STRING)
        return loam__vm_raise(m, "unsupported format string passed to %s.__format__",
                              loam__type_name(v));
    return loam__vm_raise(m, "unknown format code '%c' for an object of type '%s'",
                          s->type ? s->type : '?', loam__type_name(v));
}

/* ---- % ---- */

typedef struct percent {
    vm *m;
    const text *format;
    size_t at;
    value arguments;
    const value *args; /* what the plain ones take, in order */
    size_t n, used;
    bool mapped; /* a %(name)s was there */
} percent;

static int here(const percent *p)
{
    return p->at < p->format->n ? (unsigned char)p->format->p[p->at] : 0;
}

static bool next_argument(percent *p, value *out)
{
    if (p->used == p->n) return loam__vm_raise(p->m, "not enough arguments for format string");
    *out = p->args[p->used++];
    return true;
}

/* "(name)": what the mapping has for it. */
static bool keyed_argument(percent *p, value *out)
{
    size_t from = ++p->at;
    while (here(p) && here(p) != ')')
        p->at++;
    if (!here(p)) return loam__vm_raise(p->m, "incomplete format key");
    const text key = {.p = p->format->p + from, .n = p->at++ - from, .points = POINTS_LATER};
    if (p->arguments.kind != KIND_DICT) return loam__vm_raise(p->m, "format requires a mapping");
    p->mapped = true;
    if (!loam__dict_get_text(p->m, p->arguments.dict, &key, out)) return false;
    return out->kind != KIND_ABSENT ||
           loam__vm_raise(p->m, "the mapping lacks a key of the format");
}

/* A number, or '*' for an argument that is one. */
static bool read_count(percent *p, int64_t most, int64_t *out)
{
    value v;
    if (here(p) == '*') {
        p->at++;
        if (!next_argument(p, &v)) return false;
        if (!loam__is_int(v, out)) return loam__vm_raise(p->m, "* wants int");
    } else {
        for (*out = 0; here(p) >= '0' && here(p) <= '9'; p->at++)
            if (*out <= most) *out = *out * 10 + (here(p) - '0');
    }
    return (*out <= most && *out >= -most) ||
           loam__vm_raise(p->m, "a format's width or precision is too large");
}

static bool read_flags(percent *p, spec *s)
{
    int64_t precision;
    for (; here(p) && strchr("-+ #0", here(p)); p->at++) {
        if (here(p) == '-') s->align = '<';
        if (here(p) == '0' && !s->align) s->align = '=';
        if (here(p) == '+' || (here(p) == ' ' && !s->sign)) s->sign = (char)here(p);
        if (here(p) == '#') s->alternate = true;
    }
    if (s->align == '=') s->fill = '0';
    if (!read_count(p, MAX_WIDTH, &s->width)) return false;
    if (s->width < 0) {
        s->align = '<';
        s->fill = ' ';
        s->width = -s->width;
    }
    if (here(p) != '.') return true;
    p->at++;
    if (!read_count(p, MAX_PRECISION, &precision)) return false;
    s->precision = precision < 0 ? 0 : (int)precision;
    return true;
}

static bool put_percent_text(percent *p, const spec *s, value v)
{
    size_t begin = loam__put_begin(p->m);
    text *t;
    if (s->type == 's' && !loam__str(p->m, v, &v)) return false;
    if (s->type != 's' && (!loam__put_repr(p->m, v) || !loam__put_end(p->m, begin, &v)))
        return false;
    t = v.text;
    if (p->format->markup && !t->markup && !(t = loam__text_escape(p->m, t))) return false;
    return put_text_by(p->m, s, t);
}

static bool put_conversion(percent *p, spec *s, value v)
{
    int64_t i;
    double f;
    if (s->type == 's' || s->type == 'r' || s->type == 'a') {
        if (s->align == '=') s->align = '>'; /* zeros pad numbers alone */
        if (s->fill == '0') s->fill = ' ';
        if (!s->align) s->align = '>';
        return put_percent_text(p, s, v);
    }
    if (v.kind == KIND_UNDEFINED) return loam__raise_undefined(p->m, v);
    if (s->type == 'c') {
        bool point = loam__is_int(v, &i) && i >= 0 && i <= 0x10FFFF;
        if (!point && (v.kind != KIND_STRING || loam__text_points(p->m, v.text) != 1))
            return loam__vm_raise(p->m, "%%c requires int or char");
        if (point) loam__put_point(p->m, (int32_t)i, false);
        return point || loam__put_str(p->m, v);
    }
    if (strchr("eEfFgG", s->type)) {
        if (!loam__is_number(v, &f))
            return loam__vm_raise(p->m, "must be real number, not %s", loam__type_name(v));
        return put_float_by(p->m, s, f);
    }
    if (!strchr("diuoxX", s->type))
        return loam__vm_raise(p->m, "unsupported format character '%c'", s->type);
    if (v.kind == KIND_FLOAT && v.real > -9e18 && v.real < 9e18) v = loam__int((int64_t)v.real);
    if (!loam__is_int(v, &i))
        return loam__vm_raise(p->m, "%%%c format: a real number is required, not %s", s->type,
                              loam__type_name(v));
    if (strchr("iu", s->type)) s->type = 'd';
    return put_int_by(p->m, s, i);
}

static bool put_percent(percent *p)
{
    spec s = {.fill = ' ', .precision = -1};
    value v = {.kind = KIND_ABSENT};
    if (here(p) == '(' && !keyed_argument(p, &v)) return false;
    if (!read_flags(p, &s)) return false;
    while (here(p) && strchr("hlL", here(p)))
        p->at++;
    if (!here(p)) return loam__vm_raise(p->m, "incomplete format");
    s.type = (char)here(p);
    p->at++;
    if (s.type == '%') {
        loam__put_string(p->m, "%");
        return true;
    }
    if (v.kind == KIND_ABSENT && !next_argument(p, &v)) return false;
    return put_conversion(p, &s, v);
}

bool loam__percent(vm *m, text *format, value arguments, value *out)
{
    percent p = {.m = m, .format = format, .arguments = arguments, .args = &arguments, .n = 1};
    size_t begin = loam__put_begin(m);
    if (arguments.kind == KIND_TUPLE) {
        p.args = arguments.list->items;
        p.n = arguments.list->n;
    }
    while (p.at < format->n) {
        const char *found = memchr(format->p + p.at, '%', format->n - p.at);
        size_t to = found ? (size_t)(found - format->p) : format->n;
        loam__put_part(m, format, p.at, to - p.at);
        p.at = to + 1;
        if (found && (!loam__vm_steps(m, 1) || !put_percent(&p))) return false;
    }
    if (p.used < p.n && !p.mapped && arguments.kind != KIND_DICT)
        return loam__vm_raise(m, "not all arguments converted during string formatting");
    if (!loam__put_end(m, begin, out)) return false;
    out->text->markup = format->markup;
    return true;
}

/* ---- str.format ---- */

typedef struct fields {
    vm *m;
    const call *c;
    size_t next;            /* of the fields that number themselves */
    bool counted, numbered; /* such a field was there; one with a number: not both may be */
    bool markup;
} fields;

static bool wrong(vm *m)
{
    return loam__vm_raise(m, "a replacement field of the format string is not well formed");
}

/* [[fill]align][sign][#][0][width][,][.precision][type] */
static bool read_spec(vm *m, const text *t, spec *s)
{
    size_t at = 0, len = 0;
    int32_t fill = ' ';
    *s = (spec){.fill = ' ', .precision = -1};
    if (t->n > 0) len = loam__point(t->p, t->n, &fill);
    if (len < t->n && strchr("<>=^", t->p[len]) && t->p[len]) {
        s->fill = fill;
        s->align = t->p[len];
        at = len + 1;
    } else if (t->n > 0 && t->p[0] && strchr("<>=^", t->p[0])) {
        s->align = t->p[at++];
    }
    if (at < t->n && t->p[at] && strchr("+- ", t->p[at]))
        s->sign = t->p[at] == '-' ? t->p[at++] * 0 : t->p[at++];
    if (at < t->n && t->p[at] == '#') s->alternate = t->p[at++];
    if (at < t->n && t->p[at] == '0') {
        at++;
        if (!s->align) {
            s->align = '=';
            s->fill = '0';
        }
    }
    for (; at < t->n && t->p[at] >= '0' && t->p[at] <= '9'; at++)
        if ((s->width = s->width * 10 + (t->p[at] - '0')) > MAX_WIDTH) return wrong(m);
    if (at < t->n && (t->p[at] == ',' || t->p[at] == '_')) s->group = t->p[at++];
    if (at < t->n && t->p[at] == '.') {
        for (s->precision = 0, at++; at < t->n && t->p[at] >= '0' && t->p[at] <= '9'; at++)
            if ((s->precision = s->precision * 10 + (t->p[at] - '0')) > MAX_WIDTH) return wrong(m);
    }
    if (at < t->n) s->type = t->p[at++];
    return at == t->n || wrong(m);
}

/* The argument that a field's first name or number means. */
static bool first_name(fields *f, const text *name, value *out)
{
    int64_t i = -1;
    bool number = name->n > 0 && loam__read_int(name->p, name->n, 10, &i) && i >= 0;
    *out = (value){.kind = KIND_ABSENT};
    f->counted |= name->n == 0;
    f->numbered |= number;
    if (f->counted && f->numbered)
        return loam__vm_raise(f->m, "cannot mix {} and {0} in one format string");
    if (name->n == 0) i = (int64_t)f->next++;
    if (name->n == 0 || number) {
        if ((uint64_t)i >= f->c->n)
            return loam__vm_raise(f->m, "replacement index %lld out of range", (long long)i);
        *out = f->c->args[i];
        return true;
    }
    if (f->c->named && !loam__dict_get_text(f->m, f->c->named, name, out)) return false;
    if (out->kind != KIND_ABSENT) return true;
    return loam__vm_raise(f->m, "the format string names '%.*s', which was not given",
                          (int)(name->n < 100 ? name->n : 100), name->p);
}

/* name.attribute[key] */
static bool field_value(fields *f, const text *field, value *out)
{
    size_t at = 0;
    int64_t index;
    while (at < field->n && field->p[at] != '.' && field->p[at] != '[')
        at++;
    text *name = loam__text_slice(f->m, field, 0, at);
    if (!name || !first_name(f, name, out)) return false;
    while (at < field->n) {
        bool bracket = field->p[at] == '[';
        size_t from = ++at;
        while (at < field->n &&
               (bracket ? field->p[at] != ']' : field->p[at] != '.' && field->p[at] != '['))
            at++;
        text *part = loam__text_slice(f->m, field, from, at - from);
        if (!part || part->n == 0 || (bracket && at++ == field->n)) return wrong(f->m);
        if (!bracket && !loam__attribute(f->m, *out, part, out)) return false;
        if (!bracket) continue;
        bool number = loam__read_int(part->p, part->n, 10, &index) && index >= 0;
        if (!loam__item(f->m, *out, number ? loam__int(index) : loam__string(part), out))
            return false;
    }
    return true;
}

static bool put_fields(fields *f, const text *format, int level);

/* One field, from behind its '{' to in front of its '}'. */
static bool put_field(fields *f, const text *format, size_t from, size_t to, int level)
{
    size_t name_end = from, begin = loam__put_begin(f->m);
    char conversion = 0;
    value v, inner;
    spec s;
    while (name_end < to && format->p[name_end] != '!' && format->p[name_end] != ':')
        name_end += format->p[name_end] == '[' ? strcspn(format->p + name_end, "]") : 1;
    if (name_end > to) return wrong(f->m);
    text *field = loam__text_slice(f->m, format, from, name_end - from);
    if (!field || !field_value(f, field, &v)) return false;
    if (name_end + 1 < to && format->p[name_end] == '!') {
        conversion = format->p[name_end + 1];
        name_end += 2;
    }
    if (name_end < to && format->p[name_end] != ':') return wrong(f->m);
    text *spec_text = loam__text_slice(f->m, format, name_end < to ? name_end + 1 : to,
                                       name_end < to ? to - name_end - 1 : 0);
    if (!spec_text || !put_fields(f, spec_text, level + 1) || !loam__put_end(f->m, begin, &inner))
        return false;
    if (!read_spec(f->m, inner.text, &s)) return false;
    if (conversion == 's' && !loam__str(f->m, v, &v)) return false;
    if (conversion == 'r' || conversion == 'a')
        if (!loam__put_repr(f->m, v) || !loam__put_end(f->m, begin, &v)) return false;
    if (v.kind == KIND_UNDEFINED && !loam__str(f->m, v, &v)) return false;
    if (!f->markup) return put_by(f->m, v, &s);
    if (!put_by(f->m, v, &s) || !loam__put_end(f->m, begin, &v)) return false;
    text *escaped = v.text->markup ? v.text : loam__text_escape(f->m, v.text);
    if (escaped) loam__put_text(f->m, escaped);
    return escaped != NULL;
}

/* The '}' of the field that begins at `from`; NOT_FOUND: there is none. */
static size_t field_end(const text *t, size_t from)
{
    int open = 1;
    for (size_t i = from; i < t->n; i++) {
        if (t->p[i] == '{') open++;
        if (t->p[i] == '}' && --open == 0) return i;
    }
    return NOT_FOUND;
}

static bool put_fields(fields *f, const text *format, int level)
{
    enum { MAX_LEVEL = 2 }; /* fields in a field's spec, as in Python */
    size_t from = 0;
    for (size_t i = 0; i < format->n; i++) {
        char c = format->p[i];
        if (c != '{' && c != '}') continue;
        loam__put_part(f->m, format, from, i - from);
        if (i + 1 < format->n && format->p[i + 1] == c && level == 0) {
            loam__put_part(f->m, format, i++, 1);
        } else {
            size_t to = c == '{' ? field_end(format, i + 1) : NOT_FOUND;
            if (to == NOT_FOUND || level == MAX_LEVEL) return wrong(f->m);
            if (!loam__vm_steps(f->m, 1) || !put_field(f, format, i + 1, to, level)) return false;
            i = to;
        }
        from = i + 1;
    }
    loam__put_part(f->m, format, from, format->n - from);
    return loam__put_ok(f->m);
}

bool loam__str_format(vm *m, text *format, const call *c, value *out)
{
    fields f = {.m = m, .c = c, .markup = format->markup};
    size_t begin = loam__put_begin(m);
    return put_fields(&f, format, 0) && loam__put_end(m, begin, out);
}
