#include "builtins.h"
#include "strings.h"

#include <string.h>

static bool give(value *out, text *t)
{
    if (t) *out = loam__string(t);
    return t != NULL;
}

static bool give_list(value *out, list *l)
{
    *out = loam__list_value(l);
    return l != NULL;
}

/* ---- str: case and kind ---- */

static bool str_lower(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return give(out, loam__text_case(m, self.text, ALL_LOWER));
}

static bool str_upper(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return give(out, loam__text_case(m, self.text, ALL_UPPER));
}

static bool str_title(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return give(out, loam__text_case(m, self.text, WORD_CAPITALS));
}

static bool str_capitalize(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return give(out, loam__text_case(m, self.text, CAPITAL));
}

static bool str_casefold(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return give(out, loam__text_case(m, self.text, ALL_FOLDED));
}

static bool str_swapcase(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return give(out, loam__text_case(m, self.text, SWAPPED));
}

static bool all(vm *m, value self, bool (*is)(int32_t), value *out)
{
    *out = loam__bool(loam__text_all(self.text, is));
    return loam__vm_read(m, self.text->n);
}

static bool str_isalpha(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return all(m, self, loam__is_alpha, out);
}

static bool str_isalnum(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return all(m, self, loam__is_alnum, out);
}

static bool str_isdigit(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return all(m, self, loam__is_digit, out);
}

static bool str_isdecimal(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return all(m, self, loam__is_decimal, out);
}

static bool str_isnumeric(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return all(m, self, loam__is_numeric, out);
}

static bool str_isspace(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return all(m, self, loam__is_space, out);
}

static bool is_ascii(int32_t c)
{
    return c < 128;
}

static bool str_isascii(vm *m, value self, const call *c, value *out)
{
    (void)c;
    if (!all(m, self, is_ascii, out)) return false;
    out->boolean |= self.text->n == 0;
    return true;
}

static bool str_isprintable(vm *m, value self, const call *c, value *out)
{
    (void)c;
    if (!all(m, self, loam__is_printable, out)) return false;
    out->boolean |= self.text->n == 0;
    return true;
}

/* Some letter has a case, and all that have are of this one. */
static bool one_case(vm *m, const text *t, bool (*wanted)(int32_t), bool (*other)(int32_t),
                     value *out)
{
    bool some = false, wrong = false;
    int32_t c;
    for (size_t i = 0; i < t->n;) {
        i += loam__point(t->p + i, t->n - i, &c);
        some |= wanted(c);
        wrong |= other(c);
    }
    *out = loam__bool(some && !wrong);
    return loam__vm_read(m, t->n);
}

static bool str_islower(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return one_case(m, self.text, loam__is_lower, loam__is_upper, out);
}

static bool str_isupper(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return one_case(m, self.text, loam__is_upper, loam__is_lower, out);
}

static bool str_istitle(vm *m, value self, const call *c, value *out)
{
    bool some = false, wrong = false, inside = false;
    const text *t = self.text;
    int32_t p;
    (void)c;
    for (size_t i = 0; i < t->n;) {
        i += loam__point(t->p + i, t->n - i, &p);
        bool upper = loam__is_upper(p), lower = loam__is_lower(p);
        wrong |= (upper && inside) || (lower && !inside);
        inside = upper || lower;
        some |= inside;
    }
    *out = loam__bool(some && !wrong);
    return loam__vm_read(m, t->n);
}

/* ---- str: edges ---- */

static bool strip(vm *m, value self, const call *c, int sides, value *out)
{
    text *chars;
    return loam__arg_text(m, c, 0, &chars) &&
           give(out, loam__text_strip(m, self.text, chars, sides));
}

static bool str_strip(vm *m, value self, const call *c, value *out)
{
    return strip(m, self, c, STRIP_LEFT | STRIP_RIGHT, out);
}

static bool str_lstrip(vm *m, value self, const call *c, value *out)
{
    return strip(m, self, c, STRIP_LEFT, out);
}

static bool str_rstrip(vm *m, value self, const call *c, value *out)
{
    return strip(m, self, c, STRIP_RIGHT, out);
}

static bool pad(vm *m, value self, const call *c, int sides, value *out)
{
    int64_t width;
    text *fill;
    if (!loam__arg_int(m, c, 0, 0, &width) || !loam__arg_text(m, c, 1, &fill)) return false;
    if (fill && loam__text_points(m, fill) != 1)
        return loam__vm_raise(m, "the fill character must be exactly one character long");
    return give(out, loam__text_pad(m, self.text, width, fill, sides));
}

static bool str_center(vm *m, value self, const call *c, value *out)
{
    return pad(m, self, c, PAD_LEFT | PAD_RIGHT, out);
}

static bool str_ljust(vm *m, value self, const call *c, value *out)
{
    return pad(m, self, c, PAD_RIGHT, out);
}

static bool str_rjust(vm *m, value self, const call *c, value *out)
{
    return pad(m, self, c, PAD_LEFT, out);
}

static bool str_zfill(vm *m, value self, const call *c, value *out)
{
    const text zero = {.p = "0", .n = 1};
    text *t = self.text, *digits = t;
    int64_t width;
    bool sign = t->n > 0 && (t->p[0] == '+' || t->p[0] == '-');
    if (!loam__arg_int(m, c, 0, 0, &width)) return false;
    if (sign && !(digits = loam__text_slice(m, t, 1, t->n - 1))) return false;
    digits = loam__text_pad(m, digits, width - sign, &zero, PAD_LEFT);
    if (!digits || !sign) return give(out, digits);
    text *first = loam__text_slice(m, t, 0, 1);
    return first && give(out, loam__text_join(m, first, digits));
}

static bool ends(const text *t, const text *part, bool at_start)
{
    if (part->n > t->n) return false;
    return memcmp(at_start ? t->p : t->p + t->n - part->n, part->p, part->n) == 0;
}

static bool str_removeprefix(vm *m, value self, const call *c, value *out)
{
    text *part;
    if (!loam__arg_text(m, c, 0, &part)) return false;
    size_t n = part && ends(self.text, part, true) ? part->n : 0;
    return give(out, loam__text_slice(m, self.text, n, self.text->n - n));
}

static bool str_removesuffix(vm *m, value self, const call *c, value *out)
{
    text *part;
    if (!loam__arg_text(m, c, 0, &part)) return false;
    size_t n = part && ends(self.text, part, false) ? part->n : 0;
    return give(out, loam__text_slice(m, self.text, 0, self.text->n - n));
}

/* The bytes between two places given in code points, as for startswith, find and count. False: they
 * cross. */
static bool window(vm *m, text *t, const call *c, size_t at, size_t *from, size_t *to, bool *sane)
{
    int64_t bounds[2], points = (int64_t)loam__text_points(m, t);
    if (!loam__arg_int(m, c, at, 0, &bounds[0]) || !loam__arg_int(m, c, at + 1, points, &bounds[1]))
        return false;
    *sane = bounds[0] <= points;
    for (int i = 0; i < 2; i++) {
        if (bounds[i] < 0) bounds[i] += points;
        if (bounds[i] < 0) bounds[i] = 0;
        if (bounds[i] > points) bounds[i] = points;
    }
    *from = loam__text_offset(m, t, (size_t)bounds[0]);
    *to = loam__text_offset(m, t, (size_t)bounds[1]);
    *sane = *sane && *from <= *to;
    return m->status == LOAM_OK;
}

/* Any of a string or a tuple of strings at an end of self. */
static bool any_end(vm *m, value self, const call *c, bool at_start, value *out)
{
    size_t from, to, n = 1;
    const value *parts = c->args;
    bool sane;
    if (!window(m, self.text, c, 1, &from, &to, &sane)) return false;
    const text part = {.p = self.text->p + from, .n = sane ? to - from : 0};
    if (parts->kind == KIND_UNDEFINED) return loam__raise_undefined(m, *parts);
    if (parts->kind == KIND_TUPLE) {
        n = parts->list->n;
        parts = parts->list->items;
    }
    *out = loam__bool(false);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].kind != KIND_STRING)
            return loam__vm_raise(m, "first arg must be str or a tuple of str, not %s",
                                  loam__type_name(parts[i]));
        out->boolean |= sane && ends(&part, parts[i].text, at_start);
    }
    return true;
}

static bool str_startswith(vm *m, value self, const call *c, value *out)
{
    return any_end(m, self, c, true, out);
}

static bool str_endswith(vm *m, value self, const call *c, value *out)
{
    return any_end(m, self, c, false, out);
}

/* ---- str: finding ---- */

static bool find(vm *m, value self, const call *c, bool last, value *out)
{
    text *needle, *t = self.text;
    size_t from, to, at = NOT_FOUND;
    bool sane;
    *out = loam__int(-1);
    if (!loam__arg_text(m, c, 0, &needle) || !window(m, t, c, 1, &from, &to, &sane)) return false;
    if (!needle) return loam__vm_raise(m, "must be str, not NoneType");
    const text part = {.p = t->p, .n = to};
    if (sane && !last) at = loam__text_find(m, &part, needle, from);
    if (sane && last) at = loam__text_find_last(m, &part, needle, to);
    if (at == NOT_FOUND || at < from) return true;
    text *before = loam__text_slice(m, t, 0, at);
    if (!before) return false;
    *out = loam__int((int64_t)(t->points == t->n ? at : loam__text_points(m, before)));
    return true;
}

static bool str_find(vm *m, value self, const call *c, value *out)
{
    return find(m, self, c, false, out);
}

static bool str_rfind(vm *m, value self, const call *c, value *out)
{
    return find(m, self, c, true, out);
}

static bool str_index(vm *m, value self, const call *c, value *out)
{
    return find(m, self, c, false, out) &&
           (out->integer >= 0 || loam__vm_raise(m, "substring not found"));
}

static bool str_rindex(vm *m, value self, const call *c, value *out)
{
    return find(m, self, c, true, out) &&
           (out->integer >= 0 || loam__vm_raise(m, "substring not found"));
}

static bool str_count(vm *m, value self, const call *c, value *out)
{
    text *needle;
    size_t from, to, at;
    bool sane;
    *out = loam__int(0);
    if (!loam__arg_text(m, c, 0, &needle) || !window(m, self.text, c, 1, &from, &to, &sane))
        return false;
    if (!needle) return loam__vm_raise(m, "must be str, not NoneType");
    if (!sane) return true;
    text part = {.p = self.text->p, .n = to, .points = POINTS_LATER};
    if (needle->n == 0) {
        part = (text){.p = part.p + from, .n = to - from, .points = POINTS_LATER};
        *out = loam__int((int64_t)loam__text_points(m, &part) + 1);
        return true;
    }
    for (; (at = loam__text_find(m, &part, needle, from)) != NOT_FOUND; from = at + needle->n)
        out->integer++;
    return true;
}

static bool str_replace(vm *m, value self, const call *c, value *out)
{
    text *old, *new;
    int64_t count;
    if (!loam__arg_text(m, c, 0, &old) || !loam__arg_text(m, c, 1, &new) ||
        !loam__arg_int(m, c, 2, -1, &count))
        return false;
    if (!old || !new) return loam__vm_raise(m, "replace() argument must be str, not None");
    if (self.text->markup && !new->markup && !(new = loam__text_escape(m, new))) return false;
    return give(out, loam__text_replace(m, self.text, old, new, count < 0 ? -1 : count));
}

/* ---- str: splitting and joining ---- */

static bool split(vm *m, value self, const call *c, bool right, value *out)
{
    text *sep;
    int64_t max;
    if (!loam__arg_text(m, c, 0, &sep) || !loam__arg_int(m, c, 1, -1, &max)) return false;
    if (sep && sep->n == 0) return loam__vm_raise(m, "empty separator");
    if (max < 0) max = -1;
    return give_list(out, right ? loam__text_split_right(m, self.text, sep, max)
                                : loam__text_split(m, self.text, sep, max));
}

static bool str_split(vm *m, value self, const call *c, value *out)
{
    return split(m, self, c, false, out);
}

static bool str_rsplit(vm *m, value self, const call *c, value *out)
{
    return split(m, self, c, true, out);
}

static bool str_splitlines(vm *m, value self, const call *c, value *out)
{
    bool keep;
    return loam__arg_truth(m, c, 0, false, &keep) &&
           give_list(out, loam__text_lines(m, self.text, keep));
}

static bool partition(vm *m, value self, const call *c, bool right, value *out)
{
    text *sep, *t = self.text, *parts[3];
    list *l = loam__list_new(m, 3);
    if (!loam__arg_text(m, c, 0, &sep) || !l) return false;
    if (!sep || sep->n == 0) return loam__vm_raise(m, "empty separator");
    size_t at = right ? loam__text_find_last(m, t, sep, t->n) : loam__text_find(m, t, sep, 0);
    size_t first = at != NOT_FOUND ? at : right ? 0 : t->n, n = at != NOT_FOUND ? sep->n : 0;
    parts[0] = loam__text_slice(m, t, 0, first);
    parts[1] = loam__text_slice(m, t, first, n);
    parts[2] = loam__text_slice(m, t, first + n, t->n - first - n);
    for (int i = 0; i < 3; i++)
        if (!parts[i] || !loam__list_add(m, l, loam__string(parts[i]))) return false;
    *out = loam__tuple_value(l);
    return true;
}

static bool str_partition(vm *m, value self, const call *c, value *out)
{
    return partition(m, self, c, false, out);
}

static bool str_rpartition(vm *m, value self, const call *c, value *out)
{
    return partition(m, self, c, true, out);
}

static bool str_join(vm *m, value self, const call *c, value *out)
{
    size_t begin = loam__put_begin(m), n = 0;
    bool markup = self.text->markup;
    list *l;
    if (!loam__list_of(m, c->args[0], &l)) return false;
    for (; n < l->n; n++) {
        value v = l->items[n];
        if (v.kind != KIND_STRING)
            return loam__vm_raise(m, "sequence item %zu: expected str instance, %s found", n,
                                  loam__type_name(v));
        if (markup && !v.text->markup && !(v.text = loam__text_escape(m, v.text))) return false;
        if (n > 0) loam__put_text(m, self.text);
        loam__put_text(m, v.text);
    }
    return loam__put_end(m, begin, out);
}

static bool str_format(vm *m, value self, const call *c, value *out)
{
    return loam__str_format(m, self.text, c, out);
}

static const builtin text_methods[] = {
    {"strip", str_strip, "chars", 0, true},
    {"split", str_split, "sep maxsplit", 0, true},
    {"startswith", str_startswith, "prefix start end", 1, false},
    {"endswith", str_endswith, "suffix start end", 1, false},
    {"replace", str_replace, "old new count", 2, true},
    {"lstrip", str_lstrip, "chars", 0, true},
    {"rstrip", str_rstrip, "chars", 0, true},
    {"upper", str_upper, "", 0, true},
    {"lower", str_lower, "", 0, true},
    {"title", str_title, "", 0, true},
    {"capitalize", str_capitalize, "", 0, true},
    {"casefold", str_casefold, "", 0, true},
    {"swapcase", str_swapcase, "", 0, true},
    {"join", str_join, "iterable", 1, true},
    {"format", str_format, NULL, 0, true},
    {"find", str_find, "sub start end", 1, false},
    {"rfind", str_rfind, "sub start end", 1, false},
    {"index", str_index, "sub start end", 1, false},
    {"rindex", str_rindex, "sub start end", 1, false},
    {"count", str_count, "sub start end", 1, false},
    {"rsplit", str_rsplit, "sep maxsplit", 0, true},
    {"splitlines", str_splitlines, "keepends", 0, true},
    {"partition", str_partition, "sep", 1, true},
    {"rpartition", str_rpartition, "sep", 1, true},
    {"removeprefix", str_removeprefix, "prefix", 1, true},
    {"removesuffix", str_removesuffix, "suffix", 1, true},
    {"center", str_center, "width fillchar", 1, true},
    {"ljust", str_ljust, "width fillchar", 1, true},
    {"rjust", str_rjust, "width fillchar", 1, true},
    {"zfill", str_zfill, "width", 1, true},
    {"isalpha", str_isalpha, "", 0, false},
    {"isalnum", str_isalnum, "", 0, false},
    {"isdigit", str_isdigit, "", 0, false},
    {"isdecimal", str_isdecimal, "", 0, false},
    {"isnumeric", str_isnumeric, "", 0, false},
    {"isspace", str_isspace, "", 0, false},
    {"isascii", str_isascii, "", 0, false},
    {"isprintable", str_isprintable, "", 0, false},
    {"islower", str_islower, "", 0, false},
    {"isupper", str_isupper, "", 0, false},
    {"istitle", str_istitle, "", 0, false},
    {0},
};

/* ---- list, tuple, range ---- */

static bool list_copy(vm *m, value self, const call *c, value *out)
{
    (void)c;
    list *l = loam__list_new(m, 0);
    return l && give_list(out, loam__list_join(m, l, self.list));
}

static bool seq_count(vm *m, value self, const call *c, value *out)
{
    list *l;
    bool same;
    *out = loam__int(0);
    if (!loam__list_of(m, self, &l)) return false;
    for (size_t i = 0; i < l->n; i++) {
        if (!loam__equal(m, l->items[i], c->args[0], &same)) return false;
        out->integer += same;
    }
    return true;
}

static bool seq_index(vm *m, value self, const call *c, value *out)
{
    list *l;
    bool same;
    if (!loam__list_of(m, self, &l)) return false;
    for (size_t i = 0; i < l->n; i++) {
        if (!loam__equal(m, l->items[i], c->args[0], &same)) return false;
        *out = loam__int((int64_t)i);
        if (same) return true;
    }
    return loam__vm_raise(m, "the value is not in the %s", loam__type_name(self));
}

static const builtin list_methods[] = {
    /* tuples and ranges have all but the first */
    {"copy", list_copy, "", 0, false},
    {"index", seq_index, "value", 1, false},
    {"count", seq_count, "value", 1, false},
    {0},
};

/* ---- dict ---- */

static bool dict_get(vm *m, value self, const call *c, value *out)
{
    if (!loam__dict_get(m, self.dict, c->args[0], out)) return false;
    if (out->kind == KIND_ABSENT) *out = loam__given(c, 1) ? c->args[1] : loam__none();
    return true;
}

static bool make_view(vm *m, value self, enum view_part part, value *out)
{
    view *v = loam__vm_alloc(m, sizeof *v);
    if (!v) return false;
    *v = (view){.of = self.dict, .part = part};
    *out = (value){.kind = KIND_VIEW, .view = v};
    return true;
}

static bool dict_items(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return make_view(m, self, VIEW_ITEMS, out);
}

static bool dict_keys(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return make_view(m, self, VIEW_KEYS, out);
}

static bool dict_values(vm *m, value self, const call *c, value *out)
{
    (void)c;
    return make_view(m, self, VIEW_VALUES, out);
}

static bool dict_copy(vm *m, value self, const call *c, value *out)
{
    (void)c;
    dict *d = loam__dict_copy(m, self.dict);
    *out = loam__dict_value(d);
    return d != NULL;
}

static const builtin dict_methods[] = {
    {"get", dict_get, "key default", 1, false}, {"items", dict_items, "", 0, false},
    {"keys", dict_keys, "", 0, false},          {"values", dict_values, "", 0, false},
    {"copy", dict_copy, "", 0, false},          {0},
};

/* ---- loops, cyclers, joiners ---- */

static bool loop_cycle(vm *m, value self, const call *c, value *out)
{
    if (c->n == 0) return loam__vm_raise(m, "no items for cycling given");
    *out = c->args[(size_t)self.loop->index0 % c->n];
    return true;
}

static bool loop_changed(vm *m, value self, const call *c, value *out)
{
    bool same;
    list *now = loam__list_new(m, 0);
    for (size_t i = 0; now && i < c->n; i++)
        if (!loam__list_add(m, now, c->args[i])) return false;
    if (!now || !loam__equal(m, self.loop->changed, loam__tuple_value(now), &same)) return false;
    if (!same) self.loop->changed = loam__tuple_value(now);
    *out = loam__bool(!same);
    return true;
}

static const builtin loop_methods[] = {
    {"cycle", loop_cycle, NULL, 0, false},
    {"changed", loop_changed, NULL, 0, false},
    {0},
};

static bool cycler_next(vm *m, value self, const call *c, value *out)
{
    cycler *y = self.cycler;
    (void)m;
    (void)c;
    *out = y->items->items[y->at];
    y->at = (y->at + 1) % y->items->n;
    return true;
}

static bool cycler_reset(vm *m, value self, const call *c, value *out)
{
    (void)m;
    (void)c;
    self.cycler->at = 0;
    *out = loam__none();
    return true;
}

static const builtin cycler_methods[] = {
    {"next", cycler_next, "", 0, false},
    {"reset", cycler_reset, "", 0, false},
    {0},
};

/* What calling a joiner does: nothing the first time. */
static bool joiner_next(vm *m, value self, const call *c, value *out)
{
    joiner *j = self.joiner;
    (void)c;
    text *t = j->used ? j->separator : loam__text_new(m, "", 0, NULL);
    j->used = true;
    return give(out, t);
}

static const builtin joiner_methods[] = {
    {"next", joiner_next, "", 0, false},
    {0},
};

/* ---- finding them ---- */

/* Methods that a template has no business to call, because they would change what the host gave. */
static bool changes(value self, const text *name)
{
    static const char *const of_lists[] = {"append", "clear",  "pop",    "reverse", "insert",
                                           "sort",   "extend", "remove", NULL};
    static const char *const of_dicts[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    const char *const *names = self.kind == KIND_LIST   ? of_lists
                               : self.kind == KIND_DICT ? of_dicts
                                                        : NULL;
    for (; names && *names; names++)
        if (loam__text_is(name, *names)) return true;
    return false;
}

const builtin *loam__find_method(value self, const text *name, bool *unsafe)
{
    static const builtin none[] = {{0}};
    static const builtin *const tables[] = {
        [KIND_STRING] = text_methods,    [KIND_LIST] = list_methods,
        [KIND_TUPLE] = list_methods + 1, [KIND_RANGE] = list_methods + 1,
        [KIND_DICT] = dict_methods,      [KIND_LOOP] = loop_methods,
        [KIND_CYCLER] = cycler_methods,  [KIND_JOINER] = joiner_methods,
        [KIND_FUNCTION] = NULL,
    };
    const builtin *table = tables[self.kind] ? tables[self.kind] : none;
    *unsafe = changes(self, name);
    return *unsafe ? NULL : loam__find(table, name);
}
