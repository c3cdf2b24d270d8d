#include "lattice.h"

#include <math.h>

#include "lib/base/utf8.h"

/* Where nothing before reaches beyond a place, all ways lead through it: up to there the best one
 * is known. Long enough to be worth it, short enough for the cache. */
#define STRETCH 48

/* Room for what starts at from, with n_text bytes of text behind it. */
static bool make_room(loam__lattice *l, size_t from, size_t n_text)
{
    size_t n = from + 1 + (n_text < LOAM__TRIE_KEY_MAX ? n_text : LOAM__TRIE_KEY_MAX);
    if (n <= l->room) return true;
    l->steps = loam__scratch_need(&l->e->parts, l->e->base, n, sizeof *l->steps);
    l->room = l->e->parts.capacity / sizeof *l->steps;
    return l->steps != NULL;
}

static inline void offer(loam__lattice *l, size_t to, double score, uint32_t id, size_t length)
{
    for (; l->n <= to; l->n++)
        l->steps[l->n].score = -HUGE_VAL;
    l->tied |= score == l->steps[to].score;
    if (score > l->steps[to].score) l->steps[to] = (loam__step){score, id, (uint32_t)length};
}

/* The tokens at text, which a character of n bytes starts, in the lattice. */
static void offer_all(loam__lattice *l, size_t from, const char *text, size_t n_text, size_t n)
{
    loam__trie_walk walk = loam__trie_start(l->trie, text, n_text);
    double score = l->steps[from].score;
    bool single = false;
    for (uint32_t id; (id = loam__trie_next(&walk)) != LOAM__NO_ID;) {
        single |= walk.at == n;
        offer(l, from + walk.at, score + loam__trie_score(&walk), id, walk.at);
    }
    if (!single || l->longest_first) offer(l, from + n, score + l->unknown, LOAM__NO_ID, n);
}

/* Each place gets the step that leaves it. */
static void turn(loam__lattice *l)
{
    loam__step back = l->steps[l->n - 1];
    for (size_t at = l->n - 1; at > 0;) {
        loam__step here = back;
        at -= here.length;
        back = l->steps[at];
        l->steps[at] = here;
    }
}

static size_t character(const char *p, size_t n)
{
    loam__utf8_state state;
    return (uint8_t)*p < 0x80 ? 1 : loam__utf8_scan(p, n, &state);
}

/* The same, from the end on, with the longest token of several that are equally good. */
static void turn_longest_first(loam__lattice *l, const char *text)
{
    size_t n = l->n - 1;
    for (size_t at = 0, length; at < n; at += length) {
        length = character(text + at, n - at);
        for (size_t i = at; i < at + length; i++)
            l->steps[i] = (loam__step){-HUGE_VAL, LOAM__NO_ID, 0};
        l->steps[at].length = (uint32_t)length;
    }
    l->steps[n].score = 0;
    for (size_t at = n; at-- > 0;) {
        loam__step *s = &l->steps[at];
        if (s->length == 0) continue; /* inside of a character */
        loam__trie_walk walk = loam__trie_start(l->trie, text + at, n - at);
        s->score = l->steps[at + s->length].score + l->unknown;
        for (uint32_t id; (id = loam__trie_next(&walk)) != LOAM__NO_ID;) {
            double score = l->steps[at + walk.at].score + loam__trie_score(&walk);
            if (score >= s->score) *s = (loam__step){score, id, (uint32_t)walk.at};
        }
    }
}

/* Give the tokens of the stretch at text and start the next one where it ends. */
static void settle(loam__lattice *l, const char *text)
{
    loam__step last = l->steps[l->n - 1];
    if (l->tied && l->longest_first) turn_longest_first(l, text);
    else turn(l);
    for (size_t at = 0; at < l->n - 1; at += l->steps[at].length)
        l->emit(l, l->steps[at].id, text + at, l->steps[at].length);
    l->steps[0] = last;
    l->n = 1;
    l->tied = false;
}

loam_status loam__lattice_cut(loam__lattice *l, const char *text, size_t n)
{
    size_t start = 0;
    l->n = 1;
    if (!make_room(l, 0, n)) return LOAM_ERR_NOMEM;
    l->steps[0] = (loam__step){0, LOAM__NO_ID, 0};
    for (size_t at = 0; at < n;) {
        size_t length = character(text + at, n - at);
        if (!make_room(l, at - start, n - at)) return LOAM_ERR_NOMEM;
        offer_all(l, at - start, text + at, n - at, length);
        at += length;
        if (l->n - 1 != at - start || (l->n <= STRETCH && at < n)) continue;
        settle(l, text + start);
        start = at;
    }
    return LOAM_OK;
}
