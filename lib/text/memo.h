/* The tokens of words that a text has had already, during one call: texts repeat their words, and
 * to merge one again costs many look-ups in large tables. */
#ifndef LOAM__TEXT_MEMO_H
#define LOAM__TEXT_MEMO_H

#include <string.h>

#include "lib/base/base.h"

#define LOAM__MEMO_BYTES 23u /* longer words are not kept */
#define LOAM__MEMO_IDS   9u  /* nor those of more tokens */

typedef struct loam__memo_slot { /* one cache line */
    uint64_t key[3];             /* the word, then zeros, then its length in the last byte */
    uint32_t n_ids;
    uint32_t ids[LOAM__MEMO_IDS];
} loam__memo_slot;

typedef struct loam__memo {
    loam__memo_slot *slots; /* NULL: nothing is kept */
    uint32_t mask;
} loam__memo;

/* For a text of n bytes: none for a short one. False: no memory. */
bool loam__memo_init(loam__memo *m, loam__base *b, size_t n);
void loam__memo_free(loam__memo *m, loam__base *b);

/* The place of a word: what is known of it if its key is there, else where it goes. NULL: nowhere.
 */
static inline loam__memo_slot *loam__memo_find(const loam__memo *m, const char *word, size_t n,
                                               uint64_t key[3])
{
    if (n > LOAM__MEMO_BYTES || !m->slots) return NULL;
    key[0] = key[1] = 0;
    key[2] = 0;
    memcpy(key, word, n);
    ((uint8_t *)key)[LOAM__MEMO_BYTES] = (uint8_t)n;
    uint64_t hash = key[0] * 0x9E3779B97F4A7C15u;
    hash = ((hash ^ hash >> 32) + key[1]) * 0x9E3779B97F4A7C15u;
    hash = ((hash ^ hash >> 32) + key[2]) * 0x9E3779B97F4A7C15u;
    return &m->slots[hash >> 32 & m->mask];
}

static inline bool loam__memo_has(const loam__memo_slot *slot, const uint64_t key[3])
{
    return slot->key[0] == key[0] && slot->key[1] == key[1] && slot->key[2] == key[2];
}

#endif
