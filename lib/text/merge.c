#include "merge.h"

#include "map.h"

#include <string.h>

/* Up to here a plain search for the lowest key is faster than a queue; its square is what bounds
 * it. */
#define FEW 32

static loam__pair pair_of(const loam__merger *m, const loam__part *left, const loam__part *right,
                          uint32_t end)
{
    loam__pair pair;
    if (!m->pair(m->ctx, left, right, end, &pair)) pair = (loam__pair){UINT32_MAX, LOAM__NO_ID};
    return pair;
}

static size_t merge_few(const loam__merger *m, loam__part *parts, size_t n, uint32_t end)
{
    loam__pair pairs[FEW]; /* pairs[i] joins parts[i] and parts[i + 1] */
    for (size_t i = 0; i + 1 < n; i++)
        pairs[i] = pair_of(m, &parts[i], &parts[i + 1], i + 2 < n ? parts[i + 2].at : end);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (pairs[i].key < pairs[best].key) best = i;
        if (pairs[best].id == LOAM__NO_ID) break;
        parts[best].id = pairs[best].id;
        n--;
        memmove(&parts[best + 1], &parts[best + 2], (n - best - 1) * sizeof *parts);
        memmove(&pairs[best], &pairs[best + 1], (n - best - 1) * sizeof *pairs);
        if (best + 1 < n)
            pairs[best] =
                pair_of(m, &parts[best], &parts[best + 1], best + 2 < n ? parts[best + 2].at : end);
        if (best > 0)
            pairs[best - 1] =
                pair_of(m, &parts[best - 1], &parts[best], best + 1 < n ? parts[best + 1].at : end);
    }
    return n;
}

/* ---- many: a list of parts and a queue of pairs, of which the outdated ones are thrown away when
 * their turn comes ---- */

#define NONE UINT32_MAX
#define GONE (UINT32_MAX - 1) /* as next: joined to the left */

typedef struct link {
    uint32_t prev, next;
} link;

typedef struct candidate {
    uint64_t order; /* key, then position */
    uint32_t end;   /* where the right part ended when the pair was seen */
    uint32_t id;
} candidate;

typedef struct many {
    const loam__merger *m;
    loam__part *parts;
    link *links;
    candidate *heap; /* at most 2n: a join takes one out and puts two in */
    size_t n_heap;
    uint32_t end;
} many;

static void heap_push(many *w, candidate c)
{
    size_t i = w->n_heap++;
    while (i > 0 && c.order < w->heap[(i - 1) / 2].order) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = c;
}

static candidate heap_pop(many *w)
{
    candidate top = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= w->n_heap) break;
        if (child + 1 < w->n_heap && w->heap[child + 1].order < w->heap[child].order) child++;
        if (last.order <= w->heap[child].order) break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

static uint32_t end_of(const many *w, uint32_t i)
{
    return w->links[i].next == NONE ? w->end : w->parts[w->links[i].next].at;
}

static void consider(many *w, uint32_t left)
{
    uint32_t right = w->links[left].next;
    if (right == NONE) return;
    uint32_t end = end_of(w, right);
    loam__pair pair = pair_of(w->m, &w->parts[left], &w->parts[right], end);
    if (pair.id == LOAM__NO_ID) return;
    heap_push(w, (candidate){(uint64_t)pair.key << 32 | left, end, pair.id});
}

static void join(many *w, uint32_t left, uint32_t id)
{
    uint32_t right = w->links[left].next, next = w->links[right].next;
    w->parts[left].id = id;
    w->links[left].next = next;
    w->links[right].next = GONE;
    if (next != NONE) w->links[next].prev = left;
    if (w->links[left].prev != NONE) consider(w, w->links[left].prev);
    consider(w, left);
}

static size_t merge_many(many *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        w->links[i] = (link){i ? i - 1 : NONE, i + 1 < n ? i + 1 : NONE};
    for (uint32_t i = 0; i + 1 < n; i++)
        consider(w, i);
    while (w->n_heap > 0) {
        candidate c = heap_pop(w);
        uint32_t left = (uint32_t)c.order, right = w->links[left].next;
        /* a part only ever grows to the right, so the same end means the same two parts */
        if (right == GONE || right == NONE || end_of(w, right) != c.end) continue;
        join(w, left, c.id);
    }
    size_t left_over = 0;
    for (uint32_t i = 0; i < n; i++)
        if (w->links[i].next != GONE) w->parts[left_over++] = w->parts[i];
    return left_over;
}

loam_status loam__merge(loam__merger *m, loam__part *parts, size_t *n, uint32_t end)
{
    if (*n <= FEW) {
        *n = merge_few(m, parts, *n, end);
        return LOAM_OK;
    }
    if (*n > LOAM__PARTS_MAX)
        return loam__fail(
            m->base, LOAM_ERR_LIMIT,
            "a word of %zu characters is longer than can be tokenized at once; cut it", *n);
    link *links = loam__scratch_need(&m->links, m->base, *n, sizeof *links);
    candidate *heap = links ? loam__scratch_need(&m->heap, m->base, 2 * *n, sizeof *heap) : NULL;
    if (!heap) return LOAM_ERR_NOMEM;
    many w = {.m = m, .parts = parts, .links = links, .heap = heap, .end = end};
    *n = merge_many(&w, (uint32_t)*n);
    return LOAM_OK;
}

void loam__merger_free(loam__merger *m)
{
    loam__scratch_free(&m->links, m->base);
    loam__scratch_free(&m->heap, m->base);
}
