/* Filters that give text. What is not a string becomes one first, as Python's str() makes it. */
#include "builtins.h"
#include "number.h"
#include "strings.h"

#include <stdio.h>
#include <string.h>

static bool give(value *out, text *t)
{
    if (t) *out = loam__string(t);
    return t != NULL;
}

static bool text_of(vm *m, value v, text **out)
{
    if (!loam__str(m, v, &v)) return false;
    *out = v.text;
    return true;
}

static bool filter_case(vm *m, value self, letter_case how, value *out)
{
    text *t;
    return text_of(m, self, &t) && give(out, loam__text_case(m, t, how));
}

static bool filter_upper(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return filter_case(m, self, ALL_UPPER, out);
}

static bool filter_lower(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return filter_case(m, self, ALL_LOWER, out);
}

static bool filter_capitalize(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return filter_case(m, self, CAPITAL, out);
}

static bool starts_word(int32_t c)
{
    return loam__is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
}

/* Unlike the method: a word begins behind white space, a hyphen or an opening bracket. */
static bool filter_title(vm *m, value self, const call *c, value *out)
{
    size_t begin = loam__put_begin(m), len;
    bool starts = true;
    int32_t p, mapped[3];
    text *t;
    (void)c;
    if (!text_of(m, self, &t)) return false;
    for (size_t i = 0; i < t->n; i += len) {
        len = loam__point(t->p + i, t->n - i, &p);
        size_t n = loam__map_case(p, starts ? CASE_UPPER : CASE_LOWER, mapped);
        for (size_t k = 0; k < n; k++)
            loam__put_point(m, mapped[k], t->marks && t->marks[i]);
        starts = starts_word(p);
    }
    return loam__put_end(m, begin, out);
}

static bool filter_trim(vm *m, value self, const call *c, value *out)
{
    text *t, *chars;
    if (!text_of(m, self, &t) || !loam__arg_text(m, c, 0, &chars)) return false;
    return give(out, loam__text_strip(m, t, chars, STRIP_LEFT | STRIP_RIGHT));
}

static bool filter_replace(vm *m, value self, const call *c, value *out)
{
    text *t, *old, *new;
    int64_t count;
    if (!text_of(m, self, &t) || !text_of(m, c->args[0], &old) || !text_of(m, c->args[1], &new))
        return false;
    if (!loam__arg_int(m, c, 2, -1, &count)) return false;
    text *replaced = loam__text_replace(m, t, old, new, count < 0 ? -1 : count);
    return replaced && give(out, loam__text_plain(m, replaced));
}

static bool filter_center(vm *m, value self, const call *c, value *out)
{
    int64_t width;
    text *t;
    if (!text_of(m, self, &t) || !loam__arg_int(m, c, 0, 80, &width)) return false;
    return give(out, loam__text_pad(m, t, width, NULL, PAD_LEFT | PAD_RIGHT));
}

/* What each line begins with: a width in spaces, or the text itself. */
static bool indentation(vm *m, const call *c, text **out)
{
    int64_t width;
    if (loam__given(c, 0) && c->args[0].kind == KIND_STRING) return loam__arg_text(m, c, 0, out);
    if (!loam__arg_int(m, c, 0, 4, &width)) return false;
    text *none = loam__text_new(m, "", 0, NULL);
    return none && (*out = loam__text_pad(m, none, width, NULL, PAD_RIGHT));
}

static bool filter_indent(vm *m, value self, const call *c, value *out)
{
    size_t begin = loam__put_begin(m);
    bool first, blank;
    text *indent, *t = self.text;
    list *lines;
    if (self.kind == KIND_UNDEFINED) return loam__raise_undefined(m, self);
    if (self.kind != KIND_STRING)
        return loam__vm_raise(m, "can only indent a string, not %s", loam__type_name(self));
    if (!indentation(m, c, &indent)) return false;
    if (!loam__arg_truth(m, c, 1, false, &first) || !loam__arg_truth(m, c, 2, false, &blank))
        return false;
    if (!(lines = loam__text_lines(m, t, false))) return false;
    bool ended = t->n == 0; /* a line end at the end begins a last, empty line */
    int32_t last;
    if (t->n > 0) {
        loam__point_back(t->p, t->n, &last);
        ended =
            loam__is_line_end(last) && last != '\r'; /* with the line end that Python adds, one */
    }
    if (ended && !loam__list_add(m, lines, loam__string(loam__text_new(m, "", 0, NULL))))
        return false;
    for (size_t i = 0; i < lines->n; i++) {
        const text *line = lines->items[i].text;
        if (i > 0) loam__put_string(m, "\n");
        if (i == 0 ? first : blank || line->n > 0) loam__put_text(m, indent);
        loam__put_text(m, line);
    }
    return loam__put_end(m, begin, out);
}

static bool filter_truncate(vm *m, value self, const call *c, value *out)
{
    int64_t length, leeway;
    bool kill;
    text *t, *end, *dots = loam__text_new(m, "...", 3, NULL);
    if (self.kind != KIND_STRING)
        return loam__vm_raise(m, "can only truncate a string, not %s", loam__type_name(self));
    t = self.text;
    if (!dots || !loam__arg_int(m, c, 0, 255, &length)) return false;
    if (!loam__arg_truth(m, c, 1, false, &kill) || !loam__arg_text(m, c, 2, &end)) return false;
    if (!loam__arg_int(m, c, 3, 5, &leeway)) return false;
    if (!end) end = dots;
    int64_t points = (int64_t)loam__text_points(m, t),
            kept = length - (int64_t)loam__text_points(m, end);
    if (kept < 0 || leeway < 0)
        return loam__vm_raise(m, "truncate: the length is less than that of the end");
    *out = self;
    if (points <= length || points - length <= leeway) return true;
    text *start = loam__text_slice(m, t, 0, loam__text_offset(m, t, (size_t)kept));
    const text space = {.p = " ", .n = 1};
    size_t at = start && !kill ? loam__text_find_last(m, start, &space, start->n) : NOT_FOUND;
    if (at != NOT_FOUND) start = loam__text_slice(m, start, 0, at);
    return start && give(out, loam__text_join(m, start, end));
}

static bool filter_wordcount(vm *m, value self, const call *c, value *out)
{
    bool inside = false;
    int32_t p;
    text *t;
    (void)c;
    if (!text_of(m, self, &t)) return false;
    *out = loam__int(0);
    for (size_t i = 0; i < t->n;) {
        i += loam__point(t->p + i, t->n - i, &p);
        bool word = p == '_' || loam__is_alnum(p);
        out->integer += word && !inside;
        inside = word;
    }
    return loam__vm_read(m, t->n);
}

static bool filter_escape(vm *m, value self, const call *c, value *out)
{
    text *t;
    (void)c;
    return text_of(m, self, &t) && give(out, t->markup ? t : loam__text_escape(m, t));
}

static bool filter_forceescape(vm *m, value self, const call *c, value *out)
{
    text *t;
    (void)c;
    return text_of(m, self, &t) && give(out, loam__text_escape(m, t));
}

static bool filter_safe(vm *m, value self, const call *c, value *out)
{
    text *t;
    (void)c;
    return text_of(m, self, &t) && give(out, loam__text_markup(m, t));
}

static bool filter_string(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return loam__str(m, self, out);
}

static bool filter_format(vm *m, value self, const call *c, value *out)
{
    text *t;
    list *l = loam__list_new(m, 0);
    if (!l || !text_of(m, self, &t)) return false;
    if (c->n > 0 && c->named)
        return loam__vm_raise(m, "can't handle positional and keyword arguments at the same time");
    for (size_t i = 0; i < c->n; i++)
        if (!loam__list_add(m, l, c->args[i])) return false;
    return loam__percent(m, t, c->named ? loam__dict_value(c->named) : loam__tuple_value(l), out);
}

/* Cut out what is between the two marks, their own text too. */
static text *cut_between(vm *m, text *t, const char *open, const char *close)
{
    const text first = {.p = open, .n = strlen(open)}, last = {.p = close, .n = strlen(close)};
    size_t begin = loam__put_begin(m), from = 0, at, end;
    value v;
    while ((at = loam__text_find(m, t, &first, from)) != NOT_FOUND) {
        if ((end = loam__text_find(m, t, &last, at)) == NOT_FOUND) break;
        loam__put_part(m, t, from, at - from);
        from = end + last.n;
    }
    loam__put_part(m, t, from, t->n - from);
    return loam__put_end(m, begin, &v) ? v.text : NULL;
}

static text *unescape(vm *m, text *t)
{
    static const char *const entities[][2] = {
        {"&lt;", "<"},  {"&gt;", ">"},   {"&quot;", "\""},       {"&#34;", "\""},
        {"&#39;", "'"}, {"&apos;", "'"}, {"&nbsp;", "\xc2\xa0"}, {"&amp;", "&"}};
    for (size_t i = 0; t && i < sizeof entities / sizeof *entities; i++) {
        const text from = {.p = entities[i][0], .n = strlen(entities[i][0])};
        const text to = {.p = entities[i][1], .n = strlen(entities[i][1])};
        t = loam__text_replace(m, t, &from, &to, -1);
    }
    return t;
}

static bool filter_striptags(vm *m, value self, const call *c, value *out)
{
    size_t begin;
    list *words;
    text *t;
    (void)c;
    if (!text_of(m, self, &t) || !(t = cut_between(m, t, "<!--", "-->")) ||
        !(t = cut_between(m, t, "<", ">")))
        return false;
    if (!(words = loam__text_split(m, t, NULL, -1))) return false;
    begin = loam__put_begin(m);
    for (size_t i = 0; i < words->n; i++) {
        if (i > 0) loam__put_string(m, " ");
        loam__put_text(m, words->items[i].text);
    }
    return loam__put_end(m, begin, out) && give(out, unescape(m, out->text));
}

/* Percent-encoding; slash: that '/' stays; plus: that a space becomes '+'. */
static void put_quoted(vm *m, const text *t, bool query)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < t->n; i++) {
        unsigned char b = (unsigned char)t->p[i];
        bool letter = (b | 32) >= 'a' && (b | 32) <= 'z', digit = b >= '0' && b <= '9';
        bool plain = letter || digit || (b && strchr("_.-~", b)) || (b == '/' && !query);
        const char code[3] = {'%', hex[b >> 4], hex[b & 15]};
        if (query && b == ' ') loam__put(m, "+", 1, t->marks && t->marks[i]);
        else if (plain) loam__put_part(m, t, i, 1);
        else loam__put(m, code, 3, t->marks && t->marks[i]);
    }
}

static bool filter_urlencode(vm *m, value self, const call *c, value *out)
{
    size_t begin;
    list *pairs;
    text *t;
    (void)c;
    if (self.kind == KIND_STRING || !loam__iterable(self)) {
        if (!text_of(m, self, &t)) return false;
        begin = loam__put_begin(m);
        put_quoted(m, t, false);
        return loam__put_end(m, begin, out);
    }
    if (self.kind == KIND_DICT) {
        view *v = loam__vm_alloc(m, sizeof *v);
        if (!v) return false;
        *v = (view){.of = self.dict, .part = VIEW_ITEMS};
        self = (value){.kind = KIND_VIEW, .view = v};
    }
    if (!loam__list_of(m, self, &pairs)) return false;
    begin = loam__put_begin(m);
    for (size_t i = 0; i < pairs->n; i++) {
        value pair = pairs->items[i];
        text *key, *val;
        if ((pair.kind != KIND_TUPLE && pair.kind != KIND_LIST) || pair.list->n != 2)
            return loam__vm_raise(m, "urlencode needs pairs");
        if (!text_of(m, pair.list->items[0], &key) || !text_of(m, pair.list->items[1], &val))
            return false;
        if (i > 0) loam__put_string(m, "&");
        put_quoted(m, key, true);
        loam__put_string(m, "=");
        put_quoted(m, val, true);
    }
    return loam__put_end(m, begin, out);
}

static bool filter_xmlattr(vm *m, value self, const call *c, value *out)
{
    size_t begin = loam__put_begin(m);
    bool space;
    text *key, *val;
    if (self.kind != KIND_DICT)
        return loam__vm_raise(m, "xmlattr needs a mapping, not %s", loam__type_name(self));
    if (!loam__arg_truth(m, c, 0, true, &space)) return false;
    for (size_t i = 0; i < self.dict->n; i++) {
        const dict_entry *e = &self.dict->entries[i];
        if (e->value.kind == KIND_NONE || e->value.kind == KIND_UNDEFINED) continue;
        if (!text_of(m, e->key, &key) || !text_of(m, e->value, &val)) return false;
        for (size_t k = 0; k < key->n; k++)
            if (strchr(" \t\n\r\f\v/>=", key->p[k]))
                return loam__vm_raise(m, "invalid character in attribute name");
        if (!(key = loam__text_escape(m, key)) || !(val = loam__text_escape(m, val))) return false;
        if (space || loam__put_begin(m) > begin) loam__put_string(m, " ");
        loam__put_text(m, key);
        loam__put_string(m, "=\"");
        loam__put_text(m, val);
        loam__put_string(m, "\"");
    }
    return loam__put_end(m, begin, out);
}

static bool filter_filesizeformat(vm *m, value self, const call *c, value *out)
{
    static const char prefixes[] = "kMGTPEZY";
    char line[FIXED_TEXT];
    bool binary;
    double bytes;
    size_t begin = loam__put_begin(m), i = 0;
    if (!loam__arg_truth(m, c, 0, false, &binary)) return false;
    bool ok = self.kind == KIND_STRING ? loam__read_float(self.text->p, self.text->n, &bytes)
                                       : loam__is_number(self, &bytes);
    if (!ok) return loam__vm_raise(m, "could not convert %s to float", loam__type_name(self));
    double base = binary ? 1024 : 1000;
    if (bytes < base) {
        loam__put(m, line,
                  loam__float_printf(bytes < 0 ? -(double)(int64_t)-bytes : (double)(int64_t)bytes,
                                     'f', 0, false, line),
                  false);
        loam__put_string(m, bytes == 1 ? " Byte" : " Bytes");
        return loam__put_end(m, begin, out);
    }
    for (bytes /= base; bytes >= base && prefixes[i + 1]; i++)
        bytes /= base;
    loam__put(m, line, loam__float_printf(bytes, 'f', 1, false, line), false);
    loam__put_string(m, " ");
    loam__put(m, binary && i == 0 ? "K" : prefixes + i, 1, false);
    loam__put_string(m, binary ? "iB" : "B");
    return loam__put_end(m, begin, out);
}

const builtin loam__text_filters[] = {
    {"trim", filter_trim, "chars", 0, true},
    {"upper", filter_upper, "", 0, true},
    {"lower", filter_lower, "", 0, true},
    {"capitalize", filter_capitalize, "", 0, true},
    {"title", filter_title, "", 0, false},
    {"replace", filter_replace, "old new count", 2, false},
    {"indent", filter_indent, "width first blank", 0, true},
    {"string", filter_string, "", 0, false},
    {"safe", filter_safe, "", 0, false},
    {"escape", filter_escape, "", 0, false},
    {"e", filter_escape, "", 0, false},
    {"forceescape", filter_forceescape, "", 0, false},
    {"format", filter_format, NULL, 0, false},
    {"center", filter_center, "width", 0, true},
    {"truncate", filter_truncate, "length killwords end leeway", 0, false},
    {"wordcount", filter_wordcount, "", 0, false},
    {"striptags", filter_striptags, "", 0, false},
    {"urlencode", filter_urlencode, "", 0, false},
    {"xmlattr", filter_xmlattr, "autospace", 0, false},
    {"filesizeformat", filter_filesizeformat, "binary", 0, false},
    {0},
};
