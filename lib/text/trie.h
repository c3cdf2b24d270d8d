/* The keys of a vocabulary as a tree, to find those that a text starts with. Nodes with one child
 * are joined (Morrison 1968), so that n keys make at most 2n nodes. The memory belongs to the
 * caller. */
#ifndef LOAM__TEXT_TRIE_H
#define LOAM__TEXT_TRIE_H

#include "map.h"

/* Longer keys are left out, so that no text takes more than this many steps a byte. */
#define LOAM__TRIE_KEY_MAX 512u

typedef struct loam__trie_node {
    const char *label; /* what comes in front of the node's children */
    uint32_t n_label;
    uint32_t id;       /* of the key that ends here, or LOAM__NO_ID */
    uint32_t children; /* the first one; they lie together, sorted by their first bytes */
    uint32_t n_children;
} loam__trie_node;

typedef struct loam__trie {
    loam__trie_node *nodes;
    uint8_t *bytes;  /* the first one of each node's label */
    uint32_t *order; /* ids by their keys, while the tree is built */
    uint32_t n;
} loam__trie;

/* False: larger than memory can be. */
bool loam__trie_bytes(uint32_t n_keys, size_t *n_bytes);
/* memory: aligned to 16, of that size, for n_keys keys of which loam__trie_add() takes some. */
void loam__trie_init(loam__trie *t, void *memory, uint32_t n_keys);
void loam__trie_add(loam__trie *t, uint32_t id);
/* Build it; keys: id to its string, as long as the tree lives. Of the same strings the highest id
 * counts. */
void loam__trie_build(loam__trie *t, const loam__key *keys);

/* The keys at the start of a text, the shortest first. */
typedef struct loam__trie_walk {
    const loam__trie *trie;
    const char *text;
    size_t n, at;
    uint32_t node; /* the next one to enter, or LOAM__NO_ID */
} loam__trie_walk;

static inline loam__trie_walk loam__trie_start(const loam__trie *t, const char *text, size_t n)
{
    return (loam__trie_walk){t, text, n, 0, t->n ? 0 : LOAM__NO_ID};
}

/* The next key, which is w->at bytes long; LOAM__NO_ID: there are no more. */
uint32_t loam__trie_next(loam__trie_walk *w);
/* The longest key at the start of the text, or LOAM__NO_ID. */
uint32_t loam__trie_longest(const loam__trie *t, const char *text, size_t n, size_t *n_key);

#endif
