/* Read off a text with two known calls how a model writes calls. */
#include <string.h>

#include "style.h"

/* Where the things that a probe asked for are in the text. */
typedef struct places {
    mark text;
    size_t name, name_end, key, key_end, second; /* the second call's name, or NOT_FOUND */
} places;

static bool has_args(vm *m, value v, bool *out)
{
    value member;
    *out = false;
    if (!loam__member(m, v, PROBE_KEY_1, &member)) return false;
    *out = member.kind == KIND_STRING && loam__text_is(member.text, PROBE_VALUE_1);
    return true;
}

/* Whether the style reads the call that begins there, and where it ends. */
static bool reads(vm *m, const call_style *c, mark k, size_t begin, size_t *end, bool *good)
{
    call_scan s = {.pairs = {.base = m->base}};
    list *calls = loam__list_new(m, 0);
    *good = false;
    if (!calls) return false;
    loam__call_start(&s, c, begin);
    if (loam__call_scan(&s, k.p, k.n, true) == CALL_WHOLE &&
        loam__call_read(m, &s, k.p, loam__none(), calls) && calls->n > 0) {
        value name = calls->items[0];
        *end = s.at;
        *good = name.kind == KIND_STRING &&
                (loam__text_is(name.text, PROBE_NAME_1) || loam__text_is(name.text, PROBE_NAME_2));
        if (*good && !has_args(m, calls->items[2], good)) *good = false;
    }
    if (s.pairs.status != LOAM_OK) m->status = s.pairs.status;
    loam__buf_free(&s.pairs);
    return m->status == LOAM_OK;
}

/* Whether a place in a text is inside a tag, and if so where that ends. */
static size_t leave_tag(mark k, size_t at)
{
    for (size_t i = at; i-- > 0 && at - i < MAX_MARK;) {
        if (k.p[i] == '>' || k.p[i] == ']') return at;
        if (k.p[i] != '<' && k.p[i] != '[') continue;
        char close = k.p[i] == '<' ? '>' : ']';
        while (at < k.n && k.p[at] != close)
            at++;
        return at < k.n ? at + 1 : at;
    }
    return at;
}

/* The mark that both texts end with; it does not begin inside a tag. */
static mark common_end(mark a, mark b)
{
    size_t n = loam__mark_suffix(a, b), from_a, from_b;
    from_a = leave_tag(a, a.n - n) - (a.n - n);
    from_b = leave_tag(b, b.n - n) - (b.n - n);
    n -= from_a > from_b ? from_a : from_b;
    mark k = loam__mark_cut(a, a.n - n, a.n);
    while (k.n && loam__is_space(k.p[0]))
        k.p++, k.n--;
    return k;
}

static void note_after(style *s, mark k)
{
    if (k.n == 0 || k.n > MAX_MARK || s->n_after == MAX_IGNORED) return;
    for (uint32_t i = 0; i < s->n_after; i++)
        if (loam__mark_same(s->after[i], k)) return;
    s->after[s->n_after++] = k;
}

/* What stands in front of calls and behind them. before: the text up to the first one; between:
 * from the end of the first to the second, or none. */
static void note_marks(call_style *c, mark before, mark between)
{
    static const char prefix[] = "functions.";
    const size_t n = sizeof prefix - 1;
    if (between.p) {
        c->open = common_end(before, between);
        c->section = loam__mark_trim(loam__mark_cut(before, 0, before.n - c->open.n));
        c->close = loam__mark_trim(loam__mark_cut(between, 0, between.n - c->open.n));
        if (!c->open.n) c->open = c->section, c->section.n = 0; /* one mark for all of them */
    } else {
        c->open = before;
    }
    c->open = loam__mark_trim(c->open);
    if (c->open.n > n && memcmp(c->open.p + c->open.n - n, prefix, n) == 0) c->open.n -= n;
}

/* The closing mark up to white space: what is behind that may be missing. */
static void shorten_close(call_style *c, style *s)
{
    note_after(s, c->close);
    for (size_t i = 0; i < c->close.n; i++)
        if (loam__is_space(c->close.p[i])) c->close.n = i;
}

/* What is behind the last call, and the tags in it. */
static void note_tail(style *s, mark k, size_t end)
{
    mark tail = loam__mark_trim(loam__mark_cut(k, end, k.n)), tag;
    size_t at = 0;
    note_after(s, tail);
    if (!tail.n || (tail.p[0] != '<' && tail.p[0] != '[' && tail.n <= MAX_MARK)) return;
    if (loam__mark_tag(tail, &at, &tag))
        note_after(s, loam__mark_trim(loam__mark_cut(tail, 0, (size_t)(tag.p - tail.p))));
    at = 0;
    while (s->n_after < MAX_IGNORED && loam__mark_tag(tail, &at, &tag))
        note_after(s, tag);
}

/* The end of the mark in front of the second call. */
static mark up_to_second(const places *at, size_t end)
{
    return at->second != NOT_FOUND && at->second > end ? loam__mark_cut(at->text, end, at->second)
                                                       : (mark){0};
}

/* ---- JSON ---- */

/* The first place from which the style reads the call, and where it ends. */
static bool leftmost_json(vm *m, const places *at, const call_style *c, size_t *begin, size_t *end)
{
    enum { MOST_TRIES = 64 };
    size_t from = at->name < at->key ? at->name : at->key, tries = 0, e = 0;
    bool good;
    *begin = NOT_FOUND;
    for (size_t i = from; i-- > 0 && tries < MOST_TRIES;) {
        if (at->text.p[i] != '{' && at->text.p[i] != '[') continue;
        tries++;
        if (!reads(m, c, at->text, i, &e, &good)) return false;
        if (good && e > at->key && e > at->name) *begin = i, *end = e;
    }
    return true;
}

static bool shape_json(vm *m, const places *at, call_style *c, style *s, bool *good)
{
    size_t begin, end = 0, second = NOT_FOUND;
    mark between = {0};
    bool again;
    *c = (call_style){.kind = CALL_JSON};
    if (!leftmost_json(m, at, c, &begin, &end)) return false;
    c->keyed = begin == NOT_FOUND;
    if (c->keyed && !leftmost_json(m, at, c, &begin, &end)) return false;
    *good = begin != NOT_FOUND;
    if (!*good) return true;
    if (at->second != NOT_FOUND && at->second > end) second = loam__mark_find(at->text, "{", end);
    if (second != NOT_FOUND && second < at->second) between = loam__mark_cut(at->text, end, second);
    note_marks(c, loam__mark_cut(at->text, 0, begin), between);
    if (between.p && !reads(m, c, at->text, second, &end, &again)) return false;
    note_after(s, c->close);
    note_tail(s, at->text, end);
    return true;
}

/* ---- the name in front of the arguments ---- */

/* An id that stands in front of the name goes with the name. */
static size_t call_begin(const places *at, call_style *c, const char *id, size_t name, size_t from)
{
    mark before = loam__mark_cut(at->text, 0, name);
    size_t place = loam__mark_find_last(before, id, name);
    if (place == NOT_FOUND || place < from) return name;
    c->id_end = loam__mark_cut(at->text, place + strlen(id), name);
    return place;
}

static void split_name_end(call_style *c, mark k)
{
    size_t id;
    while (k.n && loam__is_name_char(k.p[0]))
        k.p++, k.n--; /* as :0 behind the name */
    c->name_end = k;
    if ((id = loam__mark_find(k, PROBE_ID_1, 0)) == NOT_FOUND) return;
    c->id_open = loam__mark_cut(k, 0, id);
    c->name_end = loam__mark_cut(k, id + strlen(PROBE_ID_1), k.n);
}

/* Marks around the two calls, once it is known how they are read from their names on. */
static bool finish_named(vm *m, places *at, call_style *c, style *s, bool *good)
{
    size_t end = 0, last, begin;
    bool again;
    begin = call_begin(at, c, PROBE_ID_1, at->name, 0);
    if (!reads(m, c, at->text, begin, &end, good) || !*good) return m->status == LOAM_OK;
    last = end;
    if (at->second != NOT_FOUND && at->second > end)
        at->second = call_begin(at, c, PROBE_ID_2, at->second, end);
    const mark between = up_to_second(at, end), before = loam__mark_cut(at->text, 0, begin);
    const mark close = c->close;
    note_marks(c, before, between);
    if (close.n) { /* pairs: it was read already, and this is what is behind it */
        note_after(s, c->close);
        c->close = close;
    }
    if (between.p && !reads(m, c, at->text, at->second, &last, &again)) return false;
    shorten_close(c, s);
    note_tail(s, at->text, last);
    return true;
}

static bool shape_named(vm *m, places *at, call_style *c, style *s, bool *good)
{
    size_t brace = loam__mark_find(at->text, "{", at->name_end);
    *good = false;
    if (brace == NOT_FOUND || brace > at->key) return true;
    *c = (call_style){.kind = CALL_NAMED};
    split_name_end(c, loam__mark_cut(at->text, at->name_end, brace));
    if (!finish_named(m, at, c, s, good) || *good) return m->status == LOAM_OK;

    *c = (call_style){.kind = CALL_LOOSE};
    if (brace != at->name_end || loam__mark_find(at->text, ":", at->key_end) != at->key_end)
        return true;
    size_t content = loam__mark_find(at->text, PROBE_VALUE_1, at->key_end);
    if (content == NOT_FOUND) return true;
    c->quote = loam__mark_trim(loam__mark_cut(at->text, at->key_end + 1, content));
    if (loam__mark_same(c->quote, loam__mark("\""))) c->quote.n = 0;
    return finish_named(m, at, c, s, good);
}

static bool shape_python(vm *m, const places *at, call_style *c, style *s, bool *good)
{
    size_t begin = at->name, end = 0;
    *good = false;
    if (at->name_end >= at->text.n || at->text.p[at->name_end] != '(') return true;
    *c = (call_style){.kind = CALL_PYTHON};
    if (begin > 0 && at->text.p[begin - 1] == '[') begin--;
    c->close = loam__mark(";"); /* so that more of them are looked for */
    if (!reads(m, c, at->text, begin, &end, good)) return false;
    note_marks(c, loam__mark_cut(at->text, 0, begin), (mark){0});
    c->close = loam__mark_trim(loam__mark_cut(at->text, end, at->text.n));
    size_t from = 0;
    mark tag;
    if (!loam__mark_tag(c->close, &from, &tag)) tag = c->close;
    c->close = tag.n <= MAX_MARK ? tag : (mark){0};
    note_after(s, c->close);
    note_tail(s, at->text, end);
    return true;
}

/* ---- pairs ---- */

/* What stands between a key and its value; strings in CDATA are known as such elsewhere. */
static mark key_mark(mark whole, size_t from, size_t to)
{
    static const char data[] = "<![CDATA[";
    const size_t n = sizeof data - 1;
    mark k = loam__mark_cut(whole, from, to);
    if (k.n >= n && memcmp(k.p + k.n - n, data, n) == 0) k.n -= n;
    return k;
}

static void note_value_end(call_style *c, mark k)
{
    size_t key;
    if (k.n >= 3 && memcmp(k.p, "]]>", 3) == 0) k.p += 3, k.n -= 3;
    c->value_lines = c->value_lines && k.n && k.p[0] == '\n';
    if ((key = loam__mark_find(k, PROBE_KEY_1, 0)) != NOT_FOUND) {
        c->repeats_key = true;
        c->value_end_2 = loam__mark_trim(loam__mark_cut(k, key + strlen(PROBE_KEY_1), k.n));
        k.n = key;
    }
    c->value_end = loam__mark_trim(k);
}

static bool shape_pairs(vm *m, places *at, call_style *c, style *s, bool *good)
{
    const mark t = at->text;
    size_t first, first_end, second, second_end, number;
    *good = false;
    *c = (call_style){.kind = CALL_PAIRS};
    first = loam__mark_find(t, PROBE_VALUE_1, at->key_end);
    if (first == NOT_FOUND) return true;
    first_end = first + strlen(PROBE_VALUE_1);
    if ((second = loam__mark_find(t, PROBE_KEY_2, first_end)) == NOT_FOUND) return true;
    second_end = second + strlen(PROBE_KEY_2);
    if ((number = loam__mark_find(t, PROBE_VALUE_2, second_end)) == NOT_FOUND) return true;

    const mark to_key = loam__mark_cut(t, at->name_end, at->key);
    const mark between_pairs = loam__mark_cut(t, first_end, second);
    const mark string = key_mark(t, at->key_end, first), other = key_mark(t, second_end, number);
    c->key_open = common_end(to_key, between_pairs);
    c->name_end = loam__mark_trim(loam__mark_cut(to_key, 0, to_key.n - c->key_open.n));
    c->value_lines = string.n && string.p[string.n - 1] == '\n';
    note_value_end(c, loam__mark_cut(between_pairs, 0, between_pairs.n - c->key_open.n));
    c->key_end[0] = loam__mark_trim(string);
    if (!loam__mark_same(string, other)) c->key_end[1] = loam__mark_trim(other);
    c->key_open = loam__mark_trim(c->key_open);
    if (!c->key_open.n || !c->key_end[0].n || !c->value_end.n) return true;

    /* The closing mark is not known yet: it is what is behind the last pair. */
    size_t end = number + strlen(PROBE_VALUE_2), length;
    const mark repeated = c->repeats_key ? loam__mark(PROBE_KEY_2) : (mark){0};
    const mark parts[] = {c->value_end, repeated, c->value_end_2};
    while (end < t.n && loam__is_space(t.p[end]))
        end++;
    for (int i = 0; i < 3; i++) {
        if (loam__mark_at(parts[i], t.p + end, t.n - end, &length) != FOUND) return true;
        end += length;
    }
    mark rest = loam__mark_trim(loam__mark_cut(t, end, t.n)), tag;
    size_t from = 0;
    mark between = up_to_second(at, end);
    note_marks(c, loam__mark_cut(t, 0, at->name), between);
    if (!c->close.n && loam__mark_tag(rest, &from, &tag) && tag.p == rest.p) c->close = tag;
    if (!c->close.n) return true;
    shorten_close(c, s);
    return finish_named(m, at, c, s, good);
}

/* ---- any ---- */

bool loam__style_calls(vm *m, mark k, call_style *c, style *s, bool *good)
{
    places at = {.text = k};
    *good = false;
    at.key = loam__mark_find(k, PROBE_KEY_1, 0);
    if (at.key == NOT_FOUND || loam__mark_find(k, PROBE_NAME_1, 0) == NOT_FOUND) return true;
    at.name = loam__mark_find_last(k, PROBE_NAME_1, at.key);
    if (at.name == NOT_FOUND) at.name = loam__mark_find(k, PROBE_NAME_1, 0);
    at.name_end = at.name + strlen(PROBE_NAME_1);
    at.key_end = at.key + strlen(PROBE_KEY_1);
    at.second = loam__mark_find_last(k, PROBE_NAME_2, k.n);
    if (at.second != NOT_FOUND && at.second < at.key) at.second = NOT_FOUND;
    if (!shape_json(m, &at, c, s, good)) return false;
    if (!*good && at.name < at.key && !shape_named(m, &at, c, s, good)) return false;
    if (!*good && at.name < at.key && !shape_python(m, &at, c, s, good)) return false;
    if (!*good && at.name < at.key && !shape_pairs(m, &at, c, s, good)) return false;
    if (c->section.n > MAX_MARK) c->section.n = 0;
    if (c->open.n > MAX_MARK) *good = false;
    if (!*good) s->n_after = 0;
    return true;
}
