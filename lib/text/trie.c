#include "trie.h"

#include <string.h>

/* What the nodes' memory holds while the keys are sorted. */
typedef struct sortable {
    uint64_t start; /* the first eight bytes, as a big-endian number */
    uint32_t id;
} sortable;

/* n keys have one node each and at most one less that joins them, and there is always a root. */
static size_t most_nodes(uint32_t n_keys)
{
    return 2 * (size_t)n_keys + 1;
}

bool loam__trie_bytes(uint32_t n_keys, size_t *n_bytes)
{
    const size_t each = 2 * (sizeof(loam__trie_node) + 1) + sizeof(uint32_t);
    return loam__mul_size((size_t)n_keys + 1, each, n_bytes);
}

void loam__trie_init(loam__trie *t, void *memory, uint32_t n_keys)
{
    _Static_assert(sizeof(sortable) <= 2 * sizeof(loam__trie_node), "keys are sorted in there");
    t->nodes = memory;
    t->order = (void *)(t->nodes + most_nodes(n_keys));
    t->bytes = (uint8_t *)(t->order + n_keys);
    t->n = 0;
}

void loam__trie_add(loam__trie *t, uint32_t id)
{
    t->order[t->n++] = id;
}

/* ---- sorting ---- */

static uint64_t start_of(loam__key key)
{
    uint64_t start = 0;
    for (uint32_t i = 0; i < 8; i++)
        start = start << 8 | (i < key.n ? (uint8_t)key.p[i] : 0);
    return start;
}

static bool before(const loam__key *keys, sortable a, sortable b)
{
    if (a.start != b.start) return a.start < b.start;
    const loam__key x = keys[a.id], y = keys[b.id];
    int order = memcmp(x.p, y.p, x.n < y.n ? x.n : y.n);
    if (order != 0) return order < 0;
    return x.n != y.n ? x.n < y.n : a.id < b.id;
}

static void sift_down(const loam__key *keys, sortable *s, size_t i, size_t n)
{
    sortable moved = s[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) break;
        if (child + 1 < n && before(keys, s[child], s[child + 1])) child++;
        if (!before(keys, moved, s[child])) break;
        s[i] = s[child];
        i = child;
    }
    s[i] = moved;
}

/* Heapsort: it needs no memory, and no order of the keys makes it slow. */
static void sort(loam__trie *t, const loam__key *keys)
{
    sortable *s = (void *)t->nodes;
    for (uint32_t i = 0; i < t->n; i++)
        s[i] = (sortable){start_of(keys[t->order[i]]), t->order[i]};
    for (size_t i = t->n / 2; i-- > 0;)
        sift_down(keys, s, i, t->n);
    for (uint32_t n = t->n; n > 0;) {
        sortable last = s[--n];
        t->order[n] = s[0].id;
        s[0] = last;
        if (n > 0) sift_down(keys, s, 0, n);
    }
}

/* ---- the nodes, breadth first: one that waits for its turn holds which keys are its own ---- */

typedef struct range {
    uint32_t low, high, depth; /* order[low, high) agree in their first depth bytes */
} range;

static void push(loam__trie *t, range r, uint8_t byte)
{
    t->bytes[t->n] = byte;
    t->nodes[t->n++] =
        (loam__trie_node){.n_label = r.depth, .children = r.low, .n_children = r.high};
}

/* The first of order[low, high) whose byte at depth is above that of the first. */
static uint32_t group_end(const loam__trie *t, const loam__key *keys, uint32_t low, uint32_t high,
                          uint32_t depth)
{
    uint8_t c = (uint8_t)keys[t->order[low]].p[depth];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((uint8_t)keys[t->order[middle]].p[depth] <= c) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void expand(loam__trie *t, const loam__key *keys, loam__trie_node *node)
{
    range r = {node->children, node->n_children, node->n_label};
    loam__key first = keys[t->order[r.low]], last = keys[t->order[r.high - 1]];
    uint32_t end = r.depth;
    while (end < first.n && end < last.n && first.p[end] == last.p[end])
        end++;
    *node = (loam__trie_node){first.p + r.depth, end - r.depth, LOAM__NO_ID, t->n, 0};
    while (r.low < r.high && keys[t->order[r.low]].n == end)
        node->id = t->order[r.low++];
    while (r.low < r.high) {
        uint32_t next = group_end(t, keys, r.low, r.high, end);
        push(t, (range){r.low, next, end}, (uint8_t)keys[t->order[r.low]].p[end]);
        node->n_children++;
        r.low = next;
    }
}

void loam__trie_build(loam__trie *t, const loam__key *keys)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++)
        if (keys[t->order[i]].n > 0 && keys[t->order[i]].n <= LOAM__TRIE_KEY_MAX)
            t->order[n++] = t->order[i];
    t->n = n;
    sort(t, keys);
    t->n = 0;
    if (n > 0) push(t, (range){0, n, 0}, 0);
    for (uint32_t i = 0; i < t->n; i++)
        expand(t, keys, &t->nodes[i]);
}

/* ---- looking up ---- */

static uint32_t child_of(const loam__trie *t, const loam__trie_node *node, char c)
{
    const uint8_t *first = t->bytes + node->children;
    const uint8_t *found = node->n_children ? memchr(first, (uint8_t)c, node->n_children) : NULL;
    return found ? node->children + (uint32_t)(found - first) : LOAM__NO_ID;
}

uint32_t loam__trie_next(loam__trie_walk *w)
{
    while (w->node != LOAM__NO_ID) {
        const loam__trie_node *node = &w->trie->nodes[w->node];
        w->node = LOAM__NO_ID;
        if (node->n_label > w->n - w->at) break;
        uint32_t same = 0;
        while (same < node->n_label && node->label[same] == w->text[w->at + same])
            same++;
        if (same < node->n_label) break;
        w->at += same;
        if (w->at < w->n) w->node = child_of(w->trie, node, w->text[w->at]);
        if (node->id != LOAM__NO_ID) return node->id;
    }
    return LOAM__NO_ID;
}

uint32_t loam__trie_longest(const loam__trie *t, const char *text, size_t n, size_t *n_key)
{
    loam__trie_walk walk = loam__trie_start(t, text, n);
    uint32_t longest = LOAM__NO_ID;
    for (uint32_t id; (id = loam__trie_next(&walk)) != LOAM__NO_ID;) {
        longest = id;
        *n_key = walk.at;
    }
    return longest;
}
