/* Names to numbers: a hash table with chains, filled once and then only read. */
#ifndef LOAM__GGUF_INDEX_H
#define LOAM__GGUF_INDEX_H

#include "lib/base/base.h"

typedef struct loam__index {
    const char **names; /* kept */
    uint32_t *hashes;
    uint32_t *next;  /* of the same chain; number + 1, 0 ends it */
    uint32_t *heads; /* [mask + 1], the same */
    uint32_t mask, n;
} loam__index;

loam_status loam__index_init(loam__base *b, loam__index *ix, uint32_t capacity);
void loam__index_free(loam__base *b, loam__index *ix); /* a zeroed index is fine */

/* Give name the next number. LOAM_ERR_CORRUPT: it is there already. LOAM_ERR_LIMIT: more names
 * share a chain than chance explains, so somebody made them to be slow. Neither sets a text. */
loam_status loam__index_add(loam__index *ix, const char *name);
int64_t loam__index_find(const loam__index *ix, const char *name); /* -1: none */

#endif
