/* Inside the KV room: pools of blocks (pool.c) and the tree of finished ones (tree.c), which the
 * tables (kv.c) are made of. */
#ifndef LOAM__KV_INSIDE_H
#define LOAM__KV_INSIDE_H

#include "kv.h"

/* ---- pool.c ---- */

/* A block for a table, free or long idle; -1: there is none. */
int32_t loam__kv_take(loam__kv *kv, uint32_t group);
/* One more table holds this block. */
void loam__kv_hold(loam__kv *kv, uint32_t group, int32_t block);
/* One table less: it becomes idle or free. */
void loam__kv_release(loam__kv *kv, uint32_t group, int32_t block);
/* Part it from its node; free if no table holds it. */
void loam__kv_disown(loam__kv *kv, uint32_t group, int32_t block);

/* ---- tree.c ---- */

/* The node of these tokens behind a parent; -1: none. */
int32_t loam__kv_find(const loam__kv *kv, int32_t parent, const loam_token *tokens);
/* A new one without blocks; -1: no node is left. */
int32_t loam__kv_grow(loam__kv *kv, int32_t parent, const loam_token *tokens);
/* Drop a node that no path and no child holds: its blocks have no owner then. Parents that only it
 * held go with it if they have no blocks. */
void loam__kv_cut(loam__kv *kv, int32_t node);
/* A path leaves it, which may be the end of a node without blocks. */
void loam__kv_leave(loam__kv *kv, int32_t node);

#endif
