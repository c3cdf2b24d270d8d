#include "unicode.h"
#include "value.h"

#include <string.h>

/* Where a text lies that others may be added to. `used` bytes are taken; the text that ends there
 * can grow in place, because no other text sees the bytes behind it. */
typedef struct growth {
    char *p;
    uint8_t *marks; /* NULL: nothing typed in here yet */
    size_t used, capacity;
} growth;

text *loam__text_new(vm *m, const char *p, size_t n, const uint8_t *marks)
{
    text *t = loam__vm_alloc(m, sizeof *t);
    if (!t) return NULL;
    *t = (text){.p = p, .n = n, .marks = marks, .points = POINTS_LATER};
    return t;
}

text *loam__text_copy(vm *m, const char *p, size_t n)
{
    char *copy = loam__vm_alloc(m, n);
    if (!copy) return NULL;
    if (n) memcpy(copy, p, n);
    return loam__text_new(m, copy, n, NULL);
}

bool loam__text_value(vm *m, const char *p, size_t n, value *out)
{
    text *t = loam__text_copy(m, p, n);
    if (t) *out = loam__string(t);
    return t != NULL;
}

text *loam__text_slice(vm *m, const text *t, size_t from, size_t n)
{
    text *part = loam__text_new(m, t->p + from, n, t->marks ? t->marks + from : NULL);
    if (part) part->markup = t->markup;
    if (part && from + n == t->n) part->growth = t->growth;
    return part;
}

/* Room for at least n bytes more behind a text, whose bytes are in it then. */
static growth *make_room(vm *m, const text *t, size_t n)
{
    growth *g = loam__vm_alloc(m, sizeof *g);
    if (!g) return NULL;
    if (!loam__add_size(t->n, n, &g->capacity) || g->capacity > MAX_MEMORY)
        g->capacity = MAX_MEMORY;
    g->capacity *= 2;
    if (!(g->p = loam__vm_alloc(m, g->capacity))) return NULL;
    memcpy(g->p, t->p, t->n);
    if (t->marks) {
        if (!(g->marks = loam__vm_alloc(m, g->capacity))) return NULL;
        memcpy(g->marks, t->marks, t->n);
    }
    g->used = t->n;
    return g;
}

text *loam__text_join(vm *m, text *a, text *b)
{
    growth *g = a->growth;
    const char *start = a->p;
    const uint8_t *marks = a->marks;
    if (b->n == 0) return a;
    if (a->n == 0) return b;
    if (!g || a->p + a->n != g->p + g->used || g->capacity - g->used < b->n) {
        if (!loam__vm_work(m, a->n) || !(g = make_room(m, a, b->n))) return NULL;
        start = g->p;
        marks = g->marks;
    }
    if (!loam__vm_work(m, b->n)) return NULL;
    if (b->marks && !g->marks && !(g->marks = loam__vm_alloc(m, g->capacity))) return NULL;
    if (g->marks) marks = g->marks + (start - g->p);
    memcpy(g->p + g->used, b->p, b->n);
    if (b->marks) memcpy(g->marks + g->used, b->marks, b->n);
    g->used += b->n;
    text *t = loam__text_new(m, start, a->n + b->n, marks);
    if (!t) return NULL;
    t->growth = g;
    if (a->points != POINTS_LATER && b->points != POINTS_LATER) t->points = a->points + b->points;
    return t;
}

text *loam__text_escape(vm *m, const text *t)
{
    static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    static const char special[] = "&<>'\"";
    size_t begin = loam__put_begin(m), from = 0;
    value v;
    for (size_t i = 0; i < t->n; i++) {
        const char *at = t->p[i] ? strchr(special, t->p[i]) : NULL;
        if (!at) continue;
        const char *entity = entities[at - special];
        loam__put_part(m, t, from, i - from);
        loam__put(m, entity, strlen(entity), t->marks && t->marks[i]);
        from = i + 1;
    }
    loam__put_part(m, t, from, t->n - from);
    if (!loam__put_end(m, begin, &v)) return NULL;
    v.text->markup = true;
    return v.text;
}

static text *flagged(vm *m, text *t, bool markup)
{
    text *other = t;
    if (t->markup != markup && (other = loam__text_slice(m, t, 0, t->n))) other->markup = markup;
    return other;
}

text *loam__text_plain(vm *m, text *t)
{
    return flagged(m, t, false);
}

text *loam__text_markup(vm *m, text *t)
{
    return flagged(m, t, true);
}

/* ---- code points ---- */

size_t loam__text_points(vm *m, text *t)
{
    int32_t c;
    if (t->points != POINTS_LATER) return t->points;
    loam__vm_read(m, t->n);
    t->points = 0;
    for (size_t i = 0; i < t->n; t->points++)
        i += loam__point(t->p + i, t->n - i, &c);
    return t->points;
}

size_t loam__text_offset(vm *m, text *t, size_t point)
{
    size_t at = 0, points = loam__text_points(m, t);
    int32_t c;
    if (points == t->n) return point < t->n ? point : t->n;
    if (point >= points) return t->n;
    if (point > points / 2) {
        for (at = t->n; points > point; points--)
            at -= loam__point_back(t->p, at, &c);
        loam__vm_read(m, t->n - at);
        return at;
    }
    while (point-- > 0)
        at += loam__point(t->p + at, t->n - at, &c);
    loam__vm_read(m, at);
    return at;
}

/* ---- comparing and finding ---- */

bool loam__text_is(const text *t, const char *s)
{
    return strlen(s) == t->n && memcmp(t->p, s, t->n) == 0;
}

bool loam__text_equal(const text *a, const text *b)
{
    return a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
}

int loam__text_order(const text *a, const text *b)
{
    int c =
        memcmp(a->p, b->p, a->n < b->n ? a->n : b->n); /* UTF-8 keeps the order of code points */
    return c ? (c > 0) - (c < 0) : (a->n > b->n) - (a->n < b->n);
}

/* Comparing at one place after the other may take long where the places are many: they count. */
static bool count_place(vm *m, size_t n, size_t *places)
{
    enum { PLACES_A_STEP = 4 };
    return loam__vm_work(m, n) && (++*places % PLACES_A_STEP != 0 || loam__vm_steps(m, 1));
}

size_t loam__text_find(vm *m, const text *t, const text *needle, size_t from)
{
    size_t places = 0, start = from;
    if (from > t->n) return NOT_FOUND;
    if (needle->n == 0) return from;
    while (t->n - from >= needle->n) {
        const char *p = memchr(t->p + from, needle->p[0], t->n - from - needle->n + 1);
        if (!p) break;
        if (!count_place(m, needle->n, &places)) return NOT_FOUND;
        from = (size_t)(p - t->p);
        if (memcmp(p, needle->p, needle->n) == 0)
            return loam__vm_work(m, from - start) ? from : NOT_FOUND;
        from++;
    }
    loam__vm_work(m, t->n - start);
    return NOT_FOUND;
}

size_t loam__text_find_last(vm *m, const text *t, const text *needle, size_t to)
{
    size_t places = 0;
    if (needle->n > to) return NOT_FOUND;
    for (size_t at = to - needle->n + 1; at-- > 0;) {
        if (needle->n && t->p[at] != needle->p[0]) continue;
        if (!count_place(m, needle->n, &places)) return NOT_FOUND;
        if (memcmp(t->p + at, needle->p, needle->n) == 0)
            return loam__vm_read(m, to - at) ? at : NOT_FOUND;
    }
    loam__vm_read(m, to);
    return NOT_FOUND;
}

const text *loam__intern(vm *m, const char *p, size_t n)
{
    text probe = {.p = p, .n = n, .points = POINTS_LATER};
    value found;
    if (!loam__dict_get_text(m, m->names, &probe, &found)) return NULL;
    if (found.kind != KIND_ABSENT) return found.text;
    text *t = loam__text_copy(m, p, n);
    if (!t || !loam__dict_set(m, m->names, loam__string(t), loam__string(t))) return NULL;
    return t;
}
