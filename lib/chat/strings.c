#include "strings.h"

#include <string.h>

static text *end(vm *m, size_t begin)
{
    value v;
    return loam__put_end(m, begin, &v) ? v.text : NULL;
}

/* ---- upper and lower case ---- */

static bool is_cased(int32_t c)
{
    return loam__is_lower(c) || loam__is_upper(c);
}

/* A Greek sigma that ends a word has a form of its own. */
static bool final_sigma(const text *t, size_t i, size_t len)
{
    int32_t before = ' ', after = ' ';
    if (i > 0) loam__point_back(t->p, i, &before);
    if (i + len < t->n) loam__point(t->p + i + len, t->n - i - len, &after);
    return loam__is_alpha(before) && !loam__is_alpha(after);
}

static case_map map_for(letter_case how, int32_t c, bool starts)
{
    switch (how) {
    case ALL_UPPER:
        return CASE_UPPER;
    case ALL_FOLDED:
        return CASE_FOLD;
    case SWAPPED:
        return loam__is_upper(c) ? CASE_LOWER : CASE_UPPER;
    case CAPITAL:
    case WORD_CAPITALS:
        return starts ? CASE_TITLE : CASE_LOWER;
    default:
        return CASE_LOWER;
    }
}

text *loam__text_case(vm *m, const text *t, letter_case how)
{
    size_t begin = loam__put_begin(m), len;
    bool starts = true;
    int32_t c, mapped[3];
    for (size_t i = 0; i < t->n; i += len) {
        len = loam__point(t->p + i, t->n - i, &c);
        case_map to = map_for(how, c, starts);
        size_t n = loam__map_case(c, to, mapped);
        if (c == 0x3A3 && to == CASE_LOWER && final_sigma(t, i, len)) mapped[0] = 0x3C2;
        if (n == 1 && mapped[0] == c) loam__put_part(m, t, i, len);
        else
            for (size_t k = 0; k < n; k++)
                loam__put_point(m, mapped[k], t->marks && t->marks[i]);
        starts = how == WORD_CAPITALS && !is_cased(c);
    }
    return loam__vm_read(m, t->n) ? end(m, begin) : NULL;
}

/* ---- the edges ---- */

static bool strips(vm *m, const text *chars, int32_t c)
{
    int32_t other;
    if (!chars) return loam__is_space(c);
    if (!loam__vm_read(m, chars->n)) return false;
    for (size_t i = 0; i < chars->n;) {
        i += loam__point(chars->p + i, chars->n - i, &other);
        if (other == c) return true;
    }
    return false;
}

text *loam__text_strip(vm *m, const text *t, const text *chars, int sides)
{
    size_t from = 0, to = t->n, len;
    int32_t c;
    while (sides & STRIP_LEFT && from < to) {
        len = loam__point(t->p + from, to - from, &c);
        if (!strips(m, chars, c)) break;
        from += len;
    }
    while (sides & STRIP_RIGHT && to > from) {
        len = loam__point_back(t->p + from, to - from, &c);
        if (!strips(m, chars, c)) break;
        to -= len;
    }
    return loam__vm_read(m, from + t->n - to) ? loam__text_slice(m, t, from, to - from) : NULL;
}

text *loam__text_pad(vm *m, text *t, int64_t width, const text *fill, int sides)
{
    const text space = {.p = " ", .n = 1};
    size_t points = loam__text_points(m, t), begin = loam__put_begin(m), left, pad;
    if (width <= 0 || (uint64_t)width <= points) return loam__text_slice(m, t, 0, t->n);
    if (width > MAX_OUTPUT) width = MAX_OUTPUT;
    pad = (size_t)width - points;
    left = sides == PAD_LEFT ? pad : sides == PAD_RIGHT ? 0 : pad / 2 + (pad & (size_t)width & 1);
    if (!fill) fill = &space;
    for (size_t i = 0; i < left; i++)
        loam__put_text(m, fill);
    loam__put_text(m, t);
    for (size_t i = left; i < pad; i++)
        loam__put_text(m, fill);
    return end(m, begin);
}

/* ---- replacing ---- */

/* An empty old text is in front of every code point and at the end. */
static text *interleave(vm *m, const text *t, const text *new, int64_t count)
{
    size_t begin = loam__put_begin(m), i = 0;
    int32_t c;
    for (; count != 0; count -= count > 0) {
        loam__put_text(m, new);
        if (i == t->n) break;
        size_t len = loam__point(t->p + i, t->n - i, &c);
        loam__put_part(m, t, i, len);
        i += len;
    }
    loam__put_part(m, t, i, t->n - i);
    return end(m, begin);
}

text *loam__text_replace(vm *m, const text *t, const text *old, const text *new, int64_t count)
{
    size_t begin = loam__put_begin(m), from = 0, at;
    if (old->n == 0) return interleave(m, t, new, count);
    while (count != 0 && (at = loam__text_find(m, t, old, from)) != NOT_FOUND) {
        loam__put_part(m, t, from, at - from);
        loam__put_text(m, new);
        from = at + old->n;
        count -= count > 0;
    }
    if (m->status != LOAM_OK) return NULL;
    if (from == 0) return loam__text_slice(m, t, 0, t->n);
    loam__put_part(m, t, from, t->n - from);
    return end(m, begin);
}

/* ---- splitting ---- */

static bool add_part(vm *m, list *l, const text *t, size_t from, size_t to)
{
    text *part = loam__text_slice(m, t, from, to - from);
    return part && loam__vm_steps(m, 1) && loam__list_add(m, l, loam__string(part));
}

static size_t skip(const text *t, size_t at, bool space)
{
    int32_t c;
    while (at < t->n) {
        size_t len = loam__point(t->p + at, t->n - at, &c);
        if (loam__is_space(c) != space) break;
        at += len;
    }
    return at;
}

static size_t skip_back(const text *t, size_t at, bool space)
{
    int32_t c;
    while (at > 0) {
        size_t len = loam__point_back(t->p, at, &c);
        if (loam__is_space(c) != space) break;
        at -= len;
    }
    return at;
}

static list *reverse(list *l)
{
    for (size_t i = 0; i < l->n / 2; i++) {
        value v = l->items[i];
        l->items[i] = l->items[l->n - 1 - i];
        l->items[l->n - 1 - i] = v;
    }
    return l;
}

list *loam__text_split(vm *m, const text *t, const text *sep, int64_t max)
{
    list *l = loam__list_new(m, 0);
    size_t from = 0, at;
    if (!l || !loam__vm_read(m, t->n)) return NULL;
    if (!sep) {
        for (from = skip(t, 0, true); from<t->n; from = skip(t, at, true), max -= max> 0) {
            at = max == 0 ? t->n : skip(t, from, false);
            if (!add_part(m, l, t, from, at)) return NULL;
        }
        return l;
    }
    while (max != 0 && (at = loam__text_find(m, t, sep, from)) != NOT_FOUND) {
        if (!add_part(m, l, t, from, at)) return NULL;
        from = at + sep->n;
        max -= max > 0;
    }
    return m->status == LOAM_OK && add_part(m, l, t, from, t->n) ? l : NULL;
}

list *loam__text_split_right(vm *m, const text *t, const text *sep, int64_t max)
{
    list *l = loam__list_new(m, 0);
    size_t to = t->n, at;
    if (!l || !loam__vm_read(m, t->n)) return NULL;
    if (!sep) {
        for (to = skip_back(t, to, true); to > 0; to = skip_back(t, at, true), max -= max > 0) {
            at = max == 0 ? 0 : skip_back(t, to, false);
            if (!add_part(m, l, t, at, to)) return NULL;
        }
    } else {
        while (max != 0 && (at = loam__text_find_last(m, t, sep, to)) != NOT_FOUND) {
            if (!add_part(m, l, t, at + sep->n, to)) return NULL;
            to = at;
            max -= max > 0;
        }
        if (m->status != LOAM_OK || !add_part(m, l, t, 0, to)) return NULL;
    }
    return reverse(l);
}

list *loam__text_lines(vm *m, const text *t, bool keep_ends)
{
    list *l = loam__list_new(m, 0);
    size_t from = 0, len;
    int32_t c;
    if (!l || !loam__vm_read(m, t->n)) return NULL;
    for (size_t i = 0; i < t->n; i += len) {
        len = loam__point(t->p + i, t->n - i, &c);
        if (!loam__is_line_end(c)) continue;
        if (c == '\r' && i + 1 < t->n && t->p[i + 1] == '\n') len = 2;
        if (!add_part(m, l, t, from, keep_ends ? i + len : i)) return NULL;
        from = i + len;
    }
    return from == t->n || add_part(m, l, t, from, t->n) ? l : NULL;
}

bool loam__text_all(const text *t, bool (*is)(int32_t))
{
    int32_t c;
    for (size_t i = 0; i < t->n;) {
        i += loam__point(t->p + i, t->n - i, &c);
        if (!is(c)) return false;
    }
    return t->n > 0;
}
