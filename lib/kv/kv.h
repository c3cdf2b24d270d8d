/* The paged KV cache's book-keeping (Kwon et al. 2023, "PagedAttention"): a pool of blocks, a table
 * of them for each sequence, blocks shared by forks and copied when one of the sharers writes. The
 * cells themselves live in arenas of the backends; every layer uses the same block numbers. EQ
 * OM2.3: blocks of a sequence = ceil(tokens / block_tokens). */
#ifndef LOAM__KV_H
#define LOAM__KV_H

#include "lib/base/base.h"

#define LOAM__KV_BLOCK_TOKENS 16u

typedef struct loam__kv {
    loam__base *base;
    uint32_t n_blocks, blocks_per_table, n_tables;
    uint32_t n_free;
    int32_t *free;    /* [n_blocks] a stack */
    uint32_t *users;  /* [n_blocks] how many tables hold it */
    int32_t *tables;  /* [n_tables][blocks_per_table]; -1: none */
    uint32_t *n_held; /* [n_tables] blocks in use */
} loam__kv;

/* A copy that the backend must make before the step: the sequence now has a block of its own. from
 * -1: none. */
typedef struct loam__kv_copy {
    int32_t from, to;
} loam__kv_copy;

uint32_t loam__kv_blocks_for(uint32_t tokens); /* ceil(tokens / LOAM__KV_BLOCK_TOKENS) */
size_t loam__kv_bytes(uint32_t n_tables,
                      uint32_t blocks_per_table); /* what init allocates, as the hook sees it */

/* Every table can be filled: n_tables * blocks_per_table blocks. */
loam_status loam__kv_init(loam__kv *kv, loam__base *b, uint32_t n_tables,
                          uint32_t blocks_per_table);
void loam__kv_free(loam__kv *kv); /* a zeroed one is fine */

/* Make room in a table for positions [have, want). LOAM_ERR_FULL (no text) changes nothing. A
 * shared block that position `have` lies in is replaced by a free one, to be copied. */
loam_status loam__kv_reserve(loam__kv *kv, uint32_t table, uint32_t have, uint32_t want,
                             loam__kv_copy *copy);
/* Give back the blocks that the first n_tokens positions do not need. */
void loam__kv_truncate(loam__kv *kv, uint32_t table, uint32_t n_tokens);
/* Let an empty table share the blocks of another's first n_tokens. */
void loam__kv_share(loam__kv *kv, uint32_t from, uint32_t to, uint32_t n_tokens);

#endif
