/* The paged KV cache's book-keeping (Kwon et al. 2023, "PagedAttention"): pools of blocks, a table
 * of blocks for each sequence, and a tree of whole blocks by the tokens that led to them, in which
 * sequences that begin alike share what was computed once (Zheng et al. 2024, "SGLang"). The cells
 * themselves live in arenas of the backends; all layers of a group use the same block numbers. EQ
 * OM2.3: blocks of a sequence = ceil(tokens / block_tokens).
 *
 * A block is free, in use by tables, or idle: in the tree but in no table, and taken again, the
 * longest idle first, when no free one is left. What a block of the tree holds depends on its
 * tokens alone (promise 4), so it is never written again; a table that goes on in the middle of one
 * gets a copy. A group with a window keeps only the blocks that the window touches in use; those
 * behind it become idle or free. */
#ifndef LOAM__KV_H
#define LOAM__KV_H

#include "lib/graph/graph.h"

#define LOAM__KV_BLOCK_TOKENS 16u /* where nobody says; powers of two from 8 to 256 are fine */

/* How large everything is. */
typedef struct loam__kv_shape {
    uint32_t block_tokens, n_tables, blocks_per_table;
    uint32_t n_groups;
    uint32_t windows[LOAM__KV_GROUPS]; /* positions that a group sees; 0: all */
    uint64_t blocks[LOAM__KV_GROUPS];  /* at most INT32_MAX */
    bool share;                        /* whether finished blocks go into the tree */
} loam__kv_shape;

typedef struct loam__kv_links { /* of an idle block */
    int32_t older, newer;
} loam__kv_links;

/* The blocks of one group. */
typedef struct loam__kv_pool {
    uint32_t n_blocks, n_free, n_idle;
    int32_t *free;          /* [n_blocks] a stack */
    uint32_t *users;        /* [n_blocks] how many tables hold it */
    int32_t *owners;        /* [n_blocks] the node of the tree that it belongs to; -1: none */
    loam__kv_links *links;  /* [n_blocks] */
    int32_t oldest, newest; /* ends of the idle list; -1: empty */
    int32_t *tables;        /* this group's part of the block tables */
} loam__kv_pool;

/* A whole block of tokens behind those of its parent. */
typedef struct loam__kv_node {
    int32_t parent;                  /* -1: the beginning */
    int32_t next;                    /* in its bucket, or in the list of unused nodes */
    uint32_t users;                  /* children, and tables whose path holds it */
    int32_t blocks[LOAM__KV_GROUPS]; /* -1: no longer there */
} loam__kv_node;

typedef struct loam__kv_table {
    uint32_t n_blocks; /* in use; where a window has passed, without the first ones */
    uint32_t n_sealed; /* of these, from the start: those that are nodes of the tree */
    uint32_t first[LOAM__KV_GROUPS]; /* blocks before this one are given back */
    bool foreign;                    /* its cells come from outside: never shared */
} loam__kv_table;

typedef struct loam__kv {
    loam__base *base;
    void *memory; /* everything below */
    loam__kv_shape shape;
    int32_t *block_tables; /* [n_groups][n_tables][blocks_per_table]; -1: none */
    loam__kv_pool pools[LOAM__KV_GROUPS];
    loam__kv_table *tables; /* [n_tables] */
    int32_t *paths;         /* [n_tables][blocks_per_table] the nodes of the sealed blocks */
    loam__kv_node *nodes;   /* [n_nodes] */
    loam_token *tokens;     /* [n_nodes][block_tokens] of the nodes */
    int32_t *buckets;       /* [n_buckets] */
    uint32_t n_nodes, n_buckets;
    int32_t unused_node; /* first of the list; -1: none */
} loam__kv;

/* A copy that the backend must make before the step, in the layers of a group: the table has a
 * block of its own there now. from -1: none. */
typedef struct loam__kv_copy {
    int32_t from, to;
} loam__kv_copy;

/* ceil(tokens / block_tokens) */
static inline uint64_t loam__blocks_for(uint64_t tokens, uint32_t block_tokens)
{
    return tokens / block_tokens + (tokens % block_tokens != 0);
}

size_t loam__kv_bytes(const loam__kv_shape *shape); /* what init allocates, as the hook sees it */

loam_status loam__kv_init(loam__kv *kv, loam__base *b, const loam__kv_shape *shape);
void loam__kv_free(loam__kv *kv); /* a zeroed one is fine */

/* How many blocks a table needs for `want` positions beyond those that it holds, in the groups
 * without a window; a copy of a shared one may come on top. */
uint32_t loam__kv_needed(const loam__kv *kv, uint32_t table, uint32_t want);
/* Blocks that can be taken in those groups: free and idle. UINT32_MAX if there is no such group. */
uint32_t loam__kv_available(const loam__kv *kv);

/* Let an emptier table take what the tree has of tokens[0, n): its own first `have` are computed,
 * and a multiple of the block. Gives how many are computed now. */
uint32_t loam__kv_match(loam__kv *kv, uint32_t table, const loam_token *tokens, uint32_t have,
                        uint32_t n);
/* Make room in a table to write positions [have, want), and for what they see. LOAM_ERR_FULL (no
 * text) changes nothing. A shared block in which position `have` lies is replaced: copies[g]. */
loam_status loam__kv_reserve(loam__kv *kv, uint32_t table, uint32_t have, uint32_t want,
                             loam__kv_copy copies[LOAM__KV_GROUPS]);
/* The first n of tokens are computed: whole blocks go into the tree, and those that no window will
 * touch again are given back. */
void loam__kv_advance(loam__kv *kv, uint32_t table, const loam_token *tokens, uint32_t n);
/* Keep the first n positions and give back the rest. Less is left where a window has passed and its
 * blocks are gone: gives how many. */
uint32_t loam__kv_truncate(loam__kv *kv, uint32_t table, uint32_t n);
/* Let an empty table share the blocks of another. */
void loam__kv_share(loam__kv *kv, uint32_t from, uint32_t to);
/* Blocks for n positions of an empty table whose cells come from outside: they are never shared.
 * LOAM_ERR_FULL (no text) changes nothing. */
loam_status loam__kv_adopt(loam__kv *kv, uint32_t table, uint32_t n);

/* The block of a group in which a position lies; -1: given back. */
static inline int32_t loam__kv_block(const loam__kv *kv, uint32_t group, uint32_t table,
                                     uint32_t position)
{
    size_t at = (size_t)table * kv->shape.blocks_per_table + position / kv->shape.block_tokens;
    return kv->pools[group].tables[at];
}

#endif
