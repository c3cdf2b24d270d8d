/* The keys of a vocabulary as a tree, or one for each first byte, to find those that a text starts
 * with. Nodes with one child are joined (Morrison 1968), so that n keys make less than 2n nodes.
 * The memory belongs to the caller. */
#ifndef LOAM__TEXT_TRIE_H
#define LOAM__TEXT_TRIE_H

#include <string.h>

#include "map.h"

/* Longer keys are left out, so that no text takes more than this many steps a byte. */
#define LOAM__TRIE_KEY_MAX 512u

#define LOAM__TRIE_NEAR    4u

/* A quarter of a cache line: large vocabularies are looked up in memory more than anywhere else. */
typedef struct loam__trie_node {
    uint32_t id;       /* of the key that ends here, or LOAM__NO_ID */
    uint32_t children; /* the first one; they lie together, sorted by their first bytes */
    uint16_t n_label;  /* bytes in front of the children */
    uint16_t n_children;
    union {
        char near[LOAM__TRIE_NEAR]; /* the label */
        uint32_t far;               /* if it is longer: the id of a key that it is part of */
    } label;
} loam__trie_node;

typedef struct loam__trie {
    loam__trie_node *nodes;
    double *scores;  /* of the nodes' keys, for the owner of the tree */
    uint8_t *bytes;  /* the first one of each node's label */
    uint32_t *order; /* ids by their keys, while the tree is built */
    const loam__key *keys;
    uint32_t first[256]; /* the node whose keys start with a byte, or LOAM__NO_ID */
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
    uint32_t node;  /* the next one to enter, or LOAM__NO_ID */
    uint32_t found; /* the one of the key that was found */
} loam__trie_walk;

static inline loam__trie_walk loam__trie_start(const loam__trie *t, const char *text, size_t n)
{
    return (loam__trie_walk){t, text, n, 0, n ? t->first[(uint8_t)*text] : LOAM__NO_ID, 0};
}

static inline double loam__trie_score(const loam__trie_walk *w)
{
    return w->trie->scores[w->found];
}

/* Most nodes have few children, and a call would take longer than looking at them. */
#define LOAM__TRIE_FEW 8u

static inline uint32_t loam__trie_child(const loam__trie *t, const loam__trie_node *node, char c)
{
    const uint8_t *first = t->bytes + node->children;
    if (node->n_children > LOAM__TRIE_FEW) {
        const uint8_t *found = memchr(first, (uint8_t)c, node->n_children);
        return found ? node->children + (uint32_t)(found - first) : LOAM__NO_ID;
    }
    for (uint32_t i = 0; i < node->n_children; i++)
        if (first[i] == (uint8_t)c) return node->children + i;
    return LOAM__NO_ID;
}

/* The next key, which is w->at bytes long; LOAM__NO_ID: there are no more. */
static inline uint32_t loam__trie_next(loam__trie_walk *w)
{
    const loam__trie *t = w->trie;
    while (w->node != LOAM__NO_ID) {
        const loam__trie_node *node = &t->nodes[w->node];
        const char *label = node->label.near;
        if (node->n_label > LOAM__TRIE_NEAR) label = t->keys[node->label.far].p + w->at;
        w->found = w->node;
        w->node = LOAM__NO_ID;
        if (node->n_label > w->n - w->at) break;
        uint32_t same = 1; /* the first byte led here */
        while (same < node->n_label && label[same] == w->text[w->at + same])
            same++;
        if (same < node->n_label) break;
        w->at += same;
        if (w->at < w->n) w->node = loam__trie_child(t, node, w->text[w->at]);
        if (node->id != LOAM__NO_ID) return node->id;
    }
    return LOAM__NO_ID;
}

/* The longest key at the start of the text, or LOAM__NO_ID. */
uint32_t loam__trie_longest(const loam__trie *t, const char *text, size_t n, size_t *n_key);

#endif
