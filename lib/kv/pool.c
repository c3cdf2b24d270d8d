#include "inside.h"

static void link_newest(loam__kv_pool *p, int32_t block)
{
    p->links[block] = (loam__kv_links){.older = p->newest, .newer = -1};
    if (p->newest >= 0) p->links[p->newest].newer = block;
    else p->oldest = block;
    p->newest = block;
    p->n_idle++;
}

static void unlink_idle(loam__kv_pool *p, int32_t block)
{
    loam__kv_links at = p->links[block];
    if (at.older >= 0) p->links[at.older].newer = at.newer;
    else p->oldest = at.newer;
    if (at.newer >= 0) p->links[at.newer].older = at.older;
    else p->newest = at.older;
    p->n_idle--;
}

int32_t loam__kv_take(loam__kv *kv, uint32_t group)
{
    loam__kv_pool *p = &kv->pools[group];
    if (p->n_free == 0) {
        if (p->oldest < 0) return -1;
        /* A table gives its blocks back from the last to the first, so that the longest idle one
         * is a leaf: its node goes with it, unless the group has a window and paths remain. */
        int32_t node = p->owners[p->oldest];
        loam__kv_disown(kv, group, p->oldest);
        if (kv->nodes[node].users == 0) loam__kv_cut(kv, node);
    }
    int32_t block = p->free[--p->n_free];
    p->users[block] = 1;
    return block;
}

void loam__kv_hold(loam__kv *kv, uint32_t group, int32_t block)
{
    loam__kv_pool *p = &kv->pools[group];
    if (p->users[block]++ == 0) unlink_idle(p, block);
}

void loam__kv_release(loam__kv *kv, uint32_t group, int32_t block)
{
    loam__kv_pool *p = &kv->pools[group];
    if (--p->users[block]) return;
    if (p->owners[block] >= 0) link_newest(p, block);
    else p->free[p->n_free++] = block;
}

void loam__kv_disown(loam__kv *kv, uint32_t group, int32_t block)
{
    loam__kv_pool *p = &kv->pools[group];
    kv->nodes[p->owners[block]].blocks[group] = -1;
    p->owners[block] = -1;
    if (p->users[block]) return;
    unlink_idle(p, block);
    p->free[p->n_free++] = block;
}
