#include "trie.h"

#include <string.h>

/* What the nodes' memory holds while the keys are sorted. */
typedef struct sortable {
    uint64_t start; /* the first eight bytes, as a big-endian number */
    uint32_t id;
} sortable;

/* n keys have one node each and at most one less that joins them. */
static size_t most_nodes(uint32_t n_keys)
{
    return 2 * (size_t)n_keys;
}

bool loam__trie_bytes(uint32_t n_keys, size_t *n_bytes)
{
    const size_t each = 2 * (sizeof(loam__trie_node) + sizeof(double) + 1) + sizeof(uint32_t);
    return loam__mul_size(n_keys, each, n_bytes);
}

void loam__trie_init(loam__trie *t, void *memory, uint32_t n_keys)
{
    _Static_assert(sizeof(sortable) <= 2 * sizeof(loam__trie_node), "keys are sorted in there");
    t->nodes = memory;
    t->scores = (void *)(t->nodes + most_nodes(n_keys));
    t->order = (void *)(t->scores + most_nodes(n_keys));
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
static void sort(loam__trie *t)
{
    const loam__key *keys = t->keys;
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

/* ---- the nodes: one that waits for its turn holds which keys are its own ---- */

/* order[low, high) agree in their first depth bytes; byte comes next. */
static void push(loam__trie *t, uint32_t low, uint32_t high, uint32_t depth, uint8_t byte)
{
    t->bytes[t->n] = byte;
    t->nodes[t->n++] = (loam__trie_node){.id = high, .children = low, .n_label = (uint16_t)depth};
}

/* The first of order[low, high) whose byte at depth is above that of the first. */
static uint32_t group_end(const loam__trie *t, uint32_t low, uint32_t high, uint32_t depth)
{
    const loam__key *keys = t->keys;
    uint8_t c = (uint8_t)keys[t->order[low]].p[depth];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((uint8_t)keys[t->order[middle]].p[depth] <= c) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Give keys[low, high) to nodes by their bytes at depth; how many these are. */
static uint32_t push_groups(loam__trie *t, uint32_t low, uint32_t high, uint32_t depth)
{
    uint32_t n = t->n;
    while (low < high) {
        uint32_t next = group_end(t, low, high, depth);
        push(t, low, next, depth, (uint8_t)t->keys[t->order[low]].p[depth]);
        low = next;
    }
    return t->n - n;
}

static void expand(loam__trie *t, loam__trie_node *node)
{
    const loam__key *keys = t->keys;
    uint32_t low = node->children, high = node->id, depth = node->n_label, end = depth;
    loam__key first = keys[t->order[low]], last = keys[t->order[high - 1]];
    while (end < first.n && end < last.n && first.p[end] == last.p[end])
        end++;
    *node = (loam__trie_node){.n_label = (uint16_t)(end - depth), .id = LOAM__NO_ID};
    if (node->n_label <= LOAM__TRIE_NEAR) memcpy(node->label.near, first.p + depth, node->n_label);
    else node->label.far = t->order[low];
    while (low < high && keys[t->order[low]].n == end)
        node->id = t->order[low++];
    node->children = t->n;
    node->n_children = (uint16_t)push_groups(t, low, high, end);
}

/* Depth first, so that what is below a node lies near it. */
static void expand_all(loam__trie *t)
{
    struct {
        uint32_t next, end;
    } waits[LOAM__TRIE_KEY_MAX + 1] = {{0, t->n}}; /* children of one node at each level */
    for (size_t level = 1; level > 0;) {
        if (waits[level - 1].next == waits[level - 1].end) {
            level--;
            continue;
        }
        loam__trie_node *node = &t->nodes[waits[level - 1].next++];
        expand(t, node);
        if (node->n_children == 0) continue;
        waits[level].next = node->children;
        waits[level++].end = node->children + node->n_children;
    }
}

void loam__trie_build(loam__trie *t, const loam__key *keys)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n; i++)
        if (keys[t->order[i]].n > 0 && keys[t->order[i]].n <= LOAM__TRIE_KEY_MAX)
            t->order[n++] = t->order[i];
    t->n = n;
    t->keys = keys;
    sort(t);
    t->n = 0;
    for (uint32_t c = 0; c < 256; c++)
        t->first[c] = LOAM__NO_ID;
    push_groups(t, 0, n, 0);
    for (uint32_t i = 0; i < t->n; i++)
        t->first[t->bytes[i]] = i;
    expand_all(t);
}

/* ---- looking up ---- */

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
