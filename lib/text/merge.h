/* Byte-pair merging (Sennrich, Haddow, Birch 2016), the same for every kind: join the neighbours of
 * the lowest key, the leftmost first, until no two have one. O(n log n). */
#ifndef LOAM__TEXT_MERGE_H
#define LOAM__TEXT_MERGE_H

#include "scratch.h"

typedef struct loam__part {
    uint32_t id; /* LOAM__NO_ID: not in the vocabulary */
    uint32_t at; /* where it starts; it ends where the next one starts */
} loam__part;

typedef struct loam__pair {
    uint32_t key; /* lower is joined earlier */
    uint32_t id;  /* what the two become */
} loam__pair;

/* Whether left and right, which ends at end, may be joined. */
typedef bool (*loam__pair_fn)(const void *ctx, const loam__part *left, const loam__part *right,
                              uint32_t end, loam__pair *pair);

typedef struct loam__merger {
    loam__base *base;
    loam__pair_fn pair;
    const void *ctx;
    loam__scratch links, heap;
} loam__merger;

#define LOAM__PARTS_MAX ((size_t)1 << 30)

/* Merge n parts of a text that ends at end, in place; *n is how many are left. LOAM_ERR_NOMEM
 * changes nothing that matters. */
loam_status loam__merge(loam__merger *m, loam__part *parts, size_t *n, uint32_t end);
void loam__merger_free(loam__merger *m);

#endif
