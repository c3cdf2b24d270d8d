#include "number.h"
#include "unicode.h"
#include "value.h"

#include <math.h>
#include <string.h>

#include "lib/base/utf8.h"

typedef struct reader {
    vm *m;
    const char *p;
    size_t n, at;
    int depth;
    const literal_style *style; /* NULL: JSON */
} reader;

static bool wrong(reader *r, const char *what)
{
    return loam__vm_fail(r->m, LOAM_ERR_JSON, "JSON: %s at byte %zu of %zu", what, r->at, r->n);
}

static int peek(const reader *r)
{
    return r->at < r->n ? (unsigned char)r->p[r->at] : -1;
}

/* What comes next is this. */
static bool ahead(const reader *r, const char *s, size_t n)
{
    return r->n - r->at >= n && memcmp(r->p + r->at, s, n) == 0;
}

static void skip_space(reader *r)
{
    while (peek(r) == ' ' || peek(r) == '\n' || peek(r) == '\t' || peek(r) == '\r')
        r->at++;
}

/* ---- strings ---- */

static bool read_hex(reader *r, int32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(r), digit = c >= '0' && c <= '9'                 ? c - '0'
                                 : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                                      : -1;
        if (digit < 0) return wrong(r, "\\u without four hexadecimal digits");
        *out = *out * 16 + digit;
        r->at++;
    }
    return true;
}

/* A code point behind \u: two surrogates are one; one alone is not text and becomes U+FFFD. */
static bool read_unicode_escape(reader *r, int32_t *out)
{
    int32_t low;
    if (!read_hex(r, out)) return false;
    if (*out >= 0xD800 && *out < 0xDC00 && r->n - r->at >= 6 &&
        memcmp(r->p + r->at, "\\u", 2) == 0) {
        size_t back = r->at;
        r->at += 2;
        if (!read_hex(r, &low)) return false;
        if (low >= 0xDC00 && low < 0xE000) {
            *out = 0x10000 + ((*out - 0xD800) << 10) + (low - 0xDC00);
            return true;
        }
        r->at = back;
    }
    if (*out >= 0xD800 && *out < 0xE000) *out = 0xFFFD;
    return true;
}

static bool read_escape(reader *r)
{
    static const char from[] = "\"\\/'bfnrt", to[] = "\"\\/'\b\f\n\r\t";
    int c = peek(r);
    const char *at = c > 0 && (c != '\'' || r->style) ? strchr(from, c) : NULL;
    int32_t point;
    r->at++;
    if (at) {
        loam__put(r->m, to + (at - from), 1, true);
        return true;
    }
    if (c != 'u') return wrong(r, "an unknown escape");
    if (!read_unicode_escape(r, &point)) return false;
    loam__put_point(r->m, point, true);
    return true;
}

static bool read_string(reader *r, value *out)
{
    const char quote = r->p[r->at];
    const unsigned char least = r->style ? 0 : 0x20;
    size_t from = ++r->at, begin = loam__put_begin(r->m);
    bool escaped = false;
    for (;;) {
        while (r->at < r->n && r->p[r->at] != quote && r->p[r->at] != '\\' &&
               (unsigned char)r->p[r->at] >= least)
            r->at++;
        if (r->at == r->n) return wrong(r, "a string that does not end");
        if ((unsigned char)r->p[r->at] < least) return wrong(r, "a control character in a string");
        size_t valid = loam__utf8_valid(r->p + from, r->at - from);
        if (valid < r->at - from) {
            r->at = from + valid;
            return wrong(r, "a byte that is not UTF-8");
        }
        if (r->p[r->at] == quote) break;
        escaped = true;
        loam__put(r->m, r->p + from, r->at - from, true);
        r->at++;
        if (!read_escape(r)) return false;
        from = r->at;
    }
    size_t n = r->at++ - from;
    if (escaped) {
        loam__put(r->m, r->p + from, n, true);
        return loam__put_end(r->m, begin, out);
    }
    text *t =
        loam__text_new(r->m, r->p + from, n, r->m->ones); /* the JSON outlives the rendering */
    if (t) *out = loam__string(t);
    return t != NULL;
}

/* ---- numbers ---- */

static bool read_digits(reader *r)
{
    size_t from = r->at;
    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    return r->at > from || wrong(r, "a number without digits");
}

static bool read_number(reader *r, value *out)
{
    size_t from = r->at;
    bool whole = true;
    if (peek(r) == '-') r->at++;
    if (peek(r) == '0' && r->at + 1 < r->n && r->p[r->at + 1] >= '0' && r->p[r->at + 1] <= '9')
        return wrong(r, "a number with a leading zero");
    if (!read_digits(r)) return false;
    if (peek(r) == '.') {
        whole = false;
        r->at++;
        if (!read_digits(r)) return false;
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        whole = false;
        r->at++;
        if (peek(r) == '-' || peek(r) == '+') r->at++;
        if (!read_digits(r)) return false;
    }
    const char *p = r->p + from;
    size_t n = r->at - from;
    if (!whole) {
        out->kind = KIND_FLOAT;
        return (loam__read_float(p, n, &out->real) && (!r->style || isfinite(out->real))) ||
               wrong(r, "a number that is none");
    }
    out->kind = KIND_INT;
    if (loam__read_int(p, n, 10, &out->integer)) return true;
    out->kind = KIND_BIG;
    out->text = loam__text_new(r->m, p, n, NULL);
    return out->text != NULL;
}

/* ---- everything ---- */

static bool read_value(reader *r, value *out);

static bool read_word(reader *r, const char *word, value v, value *out)
{
    size_t n = strlen(word);
    if (r->n - r->at < n || memcmp(r->p + r->at, word, n) != 0)
        return wrong(r, "something that is no value");
    r->at += n;
    *out = v;
    return true;
}

/* After an item: true with more set if a comma follows. */
static bool read_comma(reader *r, char close, bool *more)
{
    skip_space(r);
    *more = peek(r) == ',';
    if (!*more && peek(r) != close)
        return wrong(r, close == ']' ? "no ',' or ']'" : "no ',' or '}'");
    r->at++;
    if (!*more || !r->style) return true;
    skip_space(r); /* [1, 2,] */
    if (peek(r) != close) return true;
    *more = false;
    r->at++;
    return true;
}

static bool read_array(reader *r, char close, value *out)
{
    list *l = loam__list_new(r->m, 0);
    bool more = true;
    value v;
    if (!l) return false;
    *out = loam__list_value(l);
    r->at++;
    skip_space(r);
    if (peek(r) == close) {
        r->at++;
        return true;
    }
    while (more)
        if (!read_value(r, &v) || !loam__list_add(r->m, l, v) || !read_comma(r, close, &more))
            return false;
    return true;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* A name without quotes: a key, or a function. */
static bool read_name(reader *r, value *out)
{
    size_t from = r->at;
    while (r->at < r->n && is_name(r->p[r->at]))
        r->at++;
    if (r->at == from) return wrong(r, "no name");
    return loam__text_value(r->m, r->p + from, r->at - from, out);
}

static bool read_marked(reader *r, value *out)
{
    const literal_style *k = r->style;
    size_t from = r->at += k->n_quote;
    while (r->at < r->n && !ahead(r, k->quote, k->n_quote))
        r->at++;
    if (r->at == r->n) return wrong(r, "a string that does not end");
    r->at += k->n_quote;
    return loam__text_value(r->m, r->p + from, r->at - k->n_quote - from, out);
}

static bool is_marked(const reader *r)
{
    return r->style && r->style->n_quote && ahead(r, r->style->quote, r->style->n_quote);
}

static bool read_key(reader *r, value *out)
{
    int c = peek(r);
    if (is_marked(r)) return read_marked(r, out);
    if (c == '"' || (c == '\'' && r->style && r->style->python)) return read_string(r, out);
    if (r->style && r->style->bare_keys) return read_name(r, out);
    return wrong(r, "an object's key that is not a string");
}

static bool read_object(reader *r, value *out)
{
    dict *d = loam__dict_new(r->m);
    bool more = true;
    value key, v;
    if (!d) return false;
    *out = loam__dict_value(d);
    r->at++;
    skip_space(r);
    if (peek(r) == '}') {
        r->at++;
        return true;
    }
    while (more) {
        skip_space(r);
        if (!read_key(r, &key)) return false;
        skip_space(r);
        if (peek(r) != ':') return wrong(r, "no ':' behind a key");
        r->at++;
        if (!read_value(r, &v) || !loam__dict_set(r->m, d, key, v) || !read_comma(r, '}', &more))
            return false;
    }
    return true;
}

/* What else Python writes, or a model's own marks. *known: it was one of these. */
static bool read_foreign(reader *r, value *out, bool *known)
{
    static const struct {
        const char *word;
        uint8_t kind;
        bool boolean;
    } words[] = {
        {"True", KIND_BOOL, true}, {"False", KIND_BOOL, false}, {"None", KIND_NONE, false}};
    *known = true;
    if (is_marked(r)) return read_marked(r, out);
    if (r->style->python && peek(r) == '\'') return read_string(r, out);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (ahead(r, words[i].word, strlen(words[i].word))) {
            value v = {.kind = words[i].kind, .boolean = words[i].boolean};
            return read_word(r, words[i].word, v, out);
        }
    *known = false;
    return true;
}

static bool read_value(reader *r, value *out)
{
    bool ok;
    skip_space(r);
    if (r->style) {
        bool known;
        ok = read_foreign(r, out, &known);
        if (known || !ok) return ok;
    }
    switch (peek(r)) {
    case '"':
        return read_string(r, out);
    case 't':
        return read_word(r, "true", loam__bool(true), out);
    case 'f':
        return read_word(r, "false", loam__bool(false), out);
    case 'n':
        return read_word(r, "null", loam__none(), out);
    case '(':
        if (!r->style || !r->style->python) return wrong(r, "something that is no value");
        /* fall through */
    case '[':
    case '{':
        if (r->depth == MAX_JSON_DEPTH)
            return loam__vm_fail(r->m, LOAM_ERR_LIMIT,
                                 "JSON: nested deeper than the limit of %d levels at byte %zu",
                                 MAX_JSON_DEPTH, r->at);
        r->depth++;
        ok = peek(r) == '['   ? read_array(r, ']', out)
             : peek(r) == '(' ? read_array(r, ')', out)
                              : read_object(r, out);
        r->depth--;
        return ok;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return read_number(r, out);
    case -1:
        return wrong(r, "the end of the text where a value should be");
    default:
        return wrong(r, "something that is no value");
    }
}

static bool read_all(reader *r, bool (*read)(reader *r, value *out), value *out)
{
    if (!read(r, out)) return false;
    skip_space(r);
    return r->at == r->n || wrong(r, "more text behind the value");
}

bool loam__json_read(vm *m, const char *p, size_t n, value *out)
{
    reader r = {.m = m, .p = p, .n = n};
    return read_all(&r, read_value, out);
}

/* ---- what models write ---- */

/* f(a=1, b='c') as {"name": "f", "arguments": {...}}; also f.call(...), which is f(...). */
static bool read_call(reader *r, value *out)
{
    dict *call = loam__dict_new(r->m), *arguments = loam__dict_new(r->m);
    value name, key, v;
    bool more = true;
    if (!call || !arguments || !read_name(r, &name)) return false;
    if (name.text->n > 5 && memcmp(name.text->p + name.text->n - 5, ".call", 5) == 0)
        name.text->n -= 5;
    if (peek(r) != '(') return wrong(r, "no '(' behind a function's name");
    r->at++;
    skip_space(r);
    if (peek(r) == ')') r->at++, more = false;
    while (more) {
        skip_space(r);
        if (!read_name(r, &key)) return false;
        skip_space(r);
        if (peek(r) != '=') return wrong(r, "no '=' behind a parameter's name");
        r->at++;
        if (!read_value(r, &v) || !loam__dict_set(r->m, arguments, key, v) ||
            !read_comma(r, ')', &more))
            return false;
    }
    *out = loam__dict_value(call);
    return loam__text_value(r->m, "name", 4, &key) && loam__dict_set(r->m, call, key, name) &&
           loam__text_value(r->m, "arguments", 9, &key) &&
           loam__dict_set(r->m, call, key, loam__dict_value(arguments));
}

/* Calls side by side, or in brackets. */
static bool read_calls(reader *r, value *out)
{
    list *l = loam__list_new(r->m, 0);
    bool brackets;
    value v;
    if (!l) return false;
    *out = loam__list_value(l);
    skip_space(r);
    if ((brackets = peek(r) == '[')) r->at++;
    for (;;) {
        while (peek(r) >= 0 && strchr(" \t\r\n,;", peek(r)))
            r->at++;
        if (brackets ? peek(r) == ']' : peek(r) < 0) break;
        if (!read_call(r, &v) || !loam__list_add(r->m, l, v)) return false;
    }
    if (brackets) r->at++;
    return true;
}

bool loam__literal_read(vm *m, const char *p, size_t n, const literal_style *style, value *out)
{
    reader r = {.m = m, .p = p, .n = n, .style = style};
    return read_all(&r, style->calls ? read_calls : read_value, out);
}
