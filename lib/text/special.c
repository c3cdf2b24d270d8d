/* Special tokens in text: the leftmost, the longest of those that start there. */
#include <string.h>

#include "vocab.h"

/* Longer ones are not looked for, so that no text takes more than this many steps a byte. */
#define SPECIAL_MAX 512u

enum { STARTS_USER = 1, STARTS_CONTROL = 2 };

static int compare(const loam__vocab *v, uint32_t a, uint32_t b)
{
    const loam__token_info *x = &v->tokens[a], *y = &v->tokens[b];
    int order = memcmp(x->bytes, y->bytes, x->n < y->n ? x->n : y->n);
    if (order != 0) return order;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return a > b ? -1 : a < b; /* of two that are spelled alike the later one counts */
}

static void sift_down(const loam__vocab *v, uint32_t *ids, size_t i, size_t n)
{
    uint32_t id = ids[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) break;
        if (child + 1 < n && compare(v, ids[child + 1], ids[child]) > 0) child++;
        if (compare(v, ids[child], id) <= 0) break;
        ids[i] = ids[child];
        i = child;
    }
    ids[i] = id;
}

/* Heapsort: qsort() may call malloc. */
static void sort_ids(const loam__vocab *v, uint32_t *ids, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(v, ids, i, n);
    while (n > 1) {
        uint32_t last = ids[--n];
        ids[n] = ids[0];
        ids[0] = last;
        sift_down(v, ids, 0, n);
    }
}

static bool is_control(const loam__token_info *t)
{
    return t->type == LOAM__TOKEN_CONTROL || t->type == LOAM__TOKEN_UNKNOWN;
}

static bool is_special(const loam__token_info *t)
{
    return loam__is_special(t->type) && t->n > 0 && t->n <= SPECIAL_MAX;
}

void loam__specials_fill(loam__vocab *v)
{
    loam__specials *s = &v->specials;
    uint32_t at = 0;
    for (uint32_t i = 0; i < v->n && s->n < s->most; i++)
        if (is_special(&v->tokens[i])) s->ids[s->n++] = i;
    sort_ids(v, s->ids, s->n);
    for (uint32_t c = 0; c < 256; c++) {
        s->first[c] = at;
        for (; at < s->n && (uint8_t)v->tokens[s->ids[at]].bytes[0] == c; at++)
            s->starts[c] |= is_control(&v->tokens[s->ids[at]]) ? STARTS_CONTROL : STARTS_USER;
    }
    s->first[256] = at;
}

/* Narrow ids[*low, *high), which agree in their first depth bytes and are longer, to those with c
 * at depth. */
static void narrow(const loam__vocab *v, uint32_t *low, uint32_t *high, uint32_t depth, uint8_t c)
{
    const uint32_t *ids = v->specials.ids;
    uint32_t bounds[2];
    for (int upper = 0; upper < 2; upper++) { /* the first id not below c, the first above c */
        uint32_t a = *low, z = *high;
        while (a < z) {
            uint32_t middle = a + (z - a) / 2;
            uint8_t x = (uint8_t)v->tokens[ids[middle]].bytes[depth];
            if (upper ? x <= c : x < c) a = middle + 1;
            else z = middle;
        }
        bounds[upper] = a;
    }
    *low = bounds[0];
    *high = bounds[1];
}

/* The longest special token at the start of text. */
static bool match_here(const loam__vocab *v, const char *text, size_t n, const uint8_t *typed,
                       bool control, loam__special_match *match)
{
    const loam__specials *s = &v->specials;
    uint32_t low = s->first[(uint8_t)text[0]], high = s->first[(uint8_t)text[0] + 1];
    bool found = false;
    for (uint32_t depth = 1; low < high; depth++) {
        if (typed && typed[depth - 1]) control = false;
        for (bool first = true; low < high && v->tokens[s->ids[low]].n == depth;
             low++, first = false) {
            if (!first || (is_control(&v->tokens[s->ids[low]]) && !control)) continue;
            match->n = depth;
            match->id = s->ids[low];
            found = true;
        }
        if (depth == n) break;
        narrow(v, &low, &high, depth, (uint8_t)text[depth]);
    }
    return found;
}

bool loam__specials_find(const loam__vocab *v, const char *text, size_t n, size_t from,
                         const uint8_t *typed, bool control, loam__special_match *match)
{
    uint8_t wanted = control ? STARTS_USER | STARTS_CONTROL : STARTS_USER;
    for (size_t i = from; i < n; i++) {
        if (!(v->specials.starts[(uint8_t)text[i]] & wanted)) continue;
        match->at = i;
        if (match_here(v, text + i, n - i, typed ? typed + i : NULL, control, match)) return true;
    }
    return false;
}
