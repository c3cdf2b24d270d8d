#include "kv.h"

#include <string.h>

uint32_t loam__kv_blocks_for(uint32_t tokens)
{
    return tokens / LOAM__KV_BLOCK_TOKENS + (tokens % LOAM__KV_BLOCK_TOKENS != 0);
}

size_t loam__kv_bytes(uint32_t n_tables, uint32_t blocks_per_table)
{
    size_t blocks = (size_t)n_tables * blocks_per_table;
    return 3 * loam__alloc_cost(blocks * sizeof(int32_t), 16) +
           loam__alloc_cost(n_tables * sizeof(uint32_t), 16);
}

loam_status loam__kv_init(loam__kv *kv, loam__base *b, uint32_t n_tables, uint32_t blocks_per_table)
{
    uint64_t blocks = (uint64_t)n_tables * blocks_per_table;
    *kv = (loam__kv){.base = b, .n_tables = n_tables, .blocks_per_table = blocks_per_table};
    if (blocks > INT32_MAX)
        return loam__fail(
            b, LOAM_ERR_LIMIT,
            "%u sequences of %u blocks are too many; reduce the context or the sequences", n_tables,
            blocks_per_table);
    kv->n_blocks = (uint32_t)blocks;
    kv->free = loam__alloc_array(b, kv->n_blocks, sizeof *kv->free);
    kv->users = loam__alloc_array(b, kv->n_blocks, sizeof *kv->users);
    kv->tables = loam__alloc_array(b, kv->n_blocks, sizeof *kv->tables);
    kv->n_held = loam__alloc_array(b, n_tables, sizeof *kv->n_held);
    if (!kv->free || !kv->users || !kv->tables || !kv->n_held) return LOAM_ERR_NOMEM;
    for (uint32_t i = 0; i < kv->n_blocks; i++) /* the lowest block is taken first */
        kv->free[i] = (int32_t)(kv->n_blocks - 1 - i);
    kv->n_free = kv->n_blocks;
    memset(kv->tables, 0xff, (size_t)kv->n_blocks * sizeof *kv->tables);
    return LOAM_OK;
}

void loam__kv_free(loam__kv *kv)
{
    if (!kv->base) return;
    loam__free(kv->base, kv->free);
    loam__free(kv->base, kv->users);
    loam__free(kv->base, kv->tables);
    loam__free(kv->base, kv->n_held);
    *kv = (loam__kv){0};
}

static int32_t *table_of(const loam__kv *kv, uint32_t table)
{
    return kv->tables + (size_t)table * kv->blocks_per_table;
}

static int32_t take(loam__kv *kv)
{
    int32_t block = kv->free[--kv->n_free];
    kv->users[block] = 1;
    return block;
}

static void give_back(loam__kv *kv, int32_t block)
{
    if (--kv->users[block] == 0) kv->free[kv->n_free++] = block;
}

loam_status loam__kv_reserve(loam__kv *kv, uint32_t table, uint32_t have, uint32_t want,
                             loam__kv_copy *copy)
{
    int32_t *blocks = table_of(kv, table);
    uint32_t held = kv->n_held[table], needed = loam__kv_blocks_for(want);
    uint32_t tail = have / LOAM__KV_BLOCK_TOKENS;
    bool shared_tail = have % LOAM__KV_BLOCK_TOKENS && kv->users[blocks[tail]] > 1;
    *copy = (loam__kv_copy){-1, -1};
    if (needed > kv->blocks_per_table) return LOAM_ERR_FULL;
    if ((needed > held ? needed - held : 0) + shared_tail > kv->n_free) return LOAM_ERR_FULL;
    if (shared_tail) {
        *copy = (loam__kv_copy){.from = blocks[tail], .to = take(kv)};
        give_back(kv, blocks[tail]);
        blocks[tail] = copy->to;
    }
    for (; held < needed; held++)
        blocks[held] = take(kv);
    kv->n_held[table] = held;
    return LOAM_OK;
}

void loam__kv_truncate(loam__kv *kv, uint32_t table, uint32_t n_tokens)
{
    int32_t *blocks = table_of(kv, table);
    uint32_t keep = loam__kv_blocks_for(n_tokens);
    while (kv->n_held[table] > keep) {
        uint32_t last = --kv->n_held[table];
        give_back(kv, blocks[last]);
        blocks[last] = -1;
    }
}

void loam__kv_share(loam__kv *kv, uint32_t from, uint32_t to, uint32_t n_tokens)
{
    uint32_t n = loam__kv_blocks_for(n_tokens);
    for (uint32_t i = 0; i < n; i++) {
        int32_t block = table_of(kv, from)[i];
        kv->users[block]++;
        table_of(kv, to)[i] = block;
    }
    kv->n_held[to] = n;
}
