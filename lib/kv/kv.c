#include "kv.h"

#include <string.h>

#include "inside.h"

/* ---- making ---- */

/* Where everything lies in one allocation. */
typedef struct layout {
    size_t block_tables, paths, tables, nodes, tokens, buckets;
    size_t free[LOAM__KV_GROUPS], users[LOAM__KV_GROUPS], owners[LOAM__KV_GROUPS],
        links[LOAM__KV_GROUPS];
    size_t n_nodes, n_buckets, bytes;
} layout;

static size_t reserve(layout *l, size_t count, size_t size)
{
    size_t at = l->bytes;
    l->bytes += (size_t)loam__align_up(count * size);
    return at;
}

/* Nodes for all blocks of the largest group, which own one each; where all groups have windows,
 * also for the paths, whose nodes may have lost theirs. */
static size_t count_nodes(const loam__kv_shape *s)
{
    size_t most = 0;
    bool whole = false;
    for (uint32_t g = 0; g < s->n_groups; g++) {
        if (s->windows[g] == 0) whole = true;
        if (s->blocks[g] > most) most = (size_t)s->blocks[g];
    }
    if (!s->share) return 0;
    return whole ? most : most + (size_t)s->n_tables * s->blocks_per_table;
}

static layout lay_out(const loam__kv_shape *s)
{
    size_t cells = (size_t)s->n_tables * s->blocks_per_table;
    layout l = {.n_nodes = count_nodes(s)};
    l.n_buckets = l.n_nodes + l.n_nodes / 2;
    l.block_tables = reserve(&l, s->n_groups * cells, sizeof(int32_t));
    l.paths = reserve(&l, cells, sizeof(int32_t));
    l.tables = reserve(&l, s->n_tables, sizeof(loam__kv_table));
    l.nodes = reserve(&l, l.n_nodes, sizeof(loam__kv_node));
    l.tokens = reserve(&l, l.n_nodes, s->block_tokens * sizeof(loam_token));
    l.buckets = reserve(&l, l.n_buckets, sizeof(int32_t));
    for (uint32_t g = 0; g < s->n_groups; g++) {
        l.free[g] = reserve(&l, (size_t)s->blocks[g], sizeof(int32_t));
        l.users[g] = reserve(&l, (size_t)s->blocks[g], sizeof(uint32_t));
        l.owners[g] = reserve(&l, (size_t)s->blocks[g], sizeof(int32_t));
        l.links[g] = reserve(&l, (size_t)s->blocks[g], sizeof(loam__kv_links));
    }
    return l;
}

size_t loam__kv_bytes(const loam__kv_shape *shape)
{
    return loam__alloc_cost(lay_out(shape).bytes, LOAM__ALIGN);
}

static void make_pool(loam__kv *kv, const layout *l, uint32_t g)
{
    char *memory = kv->memory;
    size_t cells = (size_t)kv->shape.n_tables * kv->shape.blocks_per_table;
    loam__kv_pool *p = &kv->pools[g];
    *p = (loam__kv_pool){
        .n_blocks = (uint32_t)kv->shape.blocks[g],
        .n_free = (uint32_t)kv->shape.blocks[g],
        .free = (void *)(memory + l->free[g]),
        .users = (void *)(memory + l->users[g]),
        .owners = (void *)(memory + l->owners[g]),
        .links = (void *)(memory + l->links[g]),
        .oldest = -1,
        .newest = -1,
        .tables = kv->block_tables + g * cells,
    };
    for (uint32_t i = 0; i < p->n_blocks; i++) { /* the lowest block is taken first */
        p->free[i] = (int32_t)(p->n_blocks - 1 - i);
        p->owners[i] = -1;
    }
}

loam_status loam__kv_init(loam__kv *kv, loam__base *b, const loam__kv_shape *shape)
{
    layout l = lay_out(shape);
    size_t cells = (size_t)shape->n_tables * shape->blocks_per_table;
    *kv = (loam__kv){.base = b, .shape = *shape, .unused_node = -1};
    char *memory = kv->memory = loam__alloc_aligned(b, l.bytes, LOAM__ALIGN);
    if (!memory) return LOAM_ERR_NOMEM;
    kv->block_tables = (void *)(memory + l.block_tables);
    kv->paths = (void *)(memory + l.paths);
    kv->tables = (void *)(memory + l.tables);
    kv->nodes = (void *)(memory + l.nodes);
    kv->tokens = (void *)(memory + l.tokens);
    kv->buckets = (void *)(memory + l.buckets);
    kv->n_nodes = (uint32_t)l.n_nodes;
    kv->n_buckets = (uint32_t)l.n_buckets;
    memset(kv->block_tables, 0xff, shape->n_groups * cells * sizeof(int32_t));
    memset(kv->buckets, 0xff, l.n_buckets * sizeof(int32_t));
    for (uint32_t g = 0; g < shape->n_groups; g++)
        make_pool(kv, &l, g);
    for (uint32_t i = kv->n_nodes; i-- > 0; kv->unused_node = (int32_t)i)
        kv->nodes[i].next = kv->unused_node;
    return LOAM_OK;
}

void loam__kv_free(loam__kv *kv)
{
    if (!kv->base) return;
    loam__free(kv->base, kv->memory);
    *kv = (loam__kv){0};
}

/* ---- tables ---- */

static uint32_t blocks_for(const loam__kv *kv, uint32_t tokens)
{
    return (uint32_t)loam__blocks_for(tokens, kv->shape.block_tokens);
}

static int32_t *row_of(const loam__kv *kv, uint32_t group, uint32_t table)
{
    return kv->pools[group].tables + (size_t)table * kv->shape.blocks_per_table;
}

static int32_t *path_of(const loam__kv *kv, uint32_t table)
{
    return kv->paths + (size_t)table * kv->shape.blocks_per_table;
}

/* The first block that a position n and those behind it see in a group. */
static uint32_t first_seen(const loam__kv *kv, uint32_t group, uint32_t n)
{
    uint32_t window = kv->shape.windows[group];
    return window && n >= window ? (n - window + 1) / kv->shape.block_tokens : 0;
}

/* A block that is written only if no other table holds it and the tree does not own it. */
static bool is_shared(const loam__kv *kv, uint32_t group, int32_t block)
{
    const loam__kv_pool *p = &kv->pools[group];
    return block >= 0 && (p->users[block] > 1 || p->owners[block] >= 0);
}

static void drop_block(loam__kv *kv, uint32_t group, uint32_t table, uint32_t i)
{
    int32_t *at = &row_of(kv, group, table)[i];
    if (*at < 0) return;
    loam__kv_release(kv, group, *at);
    *at = -1;
}

static int32_t whole_group(const loam__kv *kv)
{
    for (uint32_t g = 0; g < kv->shape.n_groups; g++)
        if (kv->shape.windows[g] == 0) return (int32_t)g;
    return -1;
}

uint32_t loam__kv_needed(const loam__kv *kv, uint32_t table, uint32_t want)
{
    uint32_t held = kv->tables[table].n_blocks, needed = blocks_for(kv, want);
    return whole_group(kv) >= 0 && needed > held ? needed - held : 0;
}

uint32_t loam__kv_available(const loam__kv *kv)
{
    int32_t g = whole_group(kv);
    return g < 0 ? UINT32_MAX : kv->pools[g].n_free + kv->pools[g].n_idle;
}

/* Where the block of position `have` is in no other table and its node in no other path, the node
 * is given up: the table can then write on without a copy. */
static void part_tail_from_tree(loam__kv *kv, uint32_t table, uint32_t have)
{
    for (uint32_t g = 0; g < kv->shape.n_groups; g++) {
        int32_t block = row_of(kv, g, table)[have / kv->shape.block_tokens];
        if (block < 0 || kv->pools[g].users[block] > 1) continue;
        int32_t node = kv->pools[g].owners[block];
        if (node >= 0 && kv->nodes[node].users == 0) loam__kv_cut(kv, node);
    }
}

/* Whether each group has the blocks that a table lacks for [have, want). */
static bool can_reserve(const loam__kv *kv, uint32_t table, uint32_t have, uint32_t want)
{
    uint32_t held = kv->tables[table].n_blocks, needed = blocks_for(kv, want);
    for (uint32_t g = 0; g < kv->shape.n_groups; g++) {
        uint32_t more = needed > held ? needed - held : 0;
        if (have % kv->shape.block_tokens)
            more += is_shared(kv, g, row_of(kv, g, table)[have / kv->shape.block_tokens]);
        if (more > kv->pools[g].n_free + kv->pools[g].n_idle) return false;
    }
    return true;
}

loam_status loam__kv_reserve(loam__kv *kv, uint32_t table, uint32_t have, uint32_t want,
                             loam__kv_copy copies[LOAM__KV_GROUPS])
{
    loam__kv_table *t = &kv->tables[table];
    uint32_t needed = blocks_for(kv, want);
    for (uint32_t g = 0; g < LOAM__KV_GROUPS; g++)
        copies[g] = (loam__kv_copy){-1, -1};
    if (needed > kv->shape.blocks_per_table) return LOAM_ERR_FULL;
    if (have % kv->shape.block_tokens && !can_reserve(kv, table, have, want))
        part_tail_from_tree(kv, table, have);
    if (!can_reserve(kv, table, have, want)) return LOAM_ERR_FULL;
    for (uint32_t g = 0; g < kv->shape.n_groups; g++) {
        int32_t *row = row_of(kv, g, table), *tail = &row[have / kv->shape.block_tokens];
        if (have % kv->shape.block_tokens && is_shared(kv, g, *tail)) {
            copies[g] = (loam__kv_copy){.from = *tail, .to = loam__kv_take(kv, g)};
            loam__kv_release(kv, g, *tail);
            *tail = copies[g].to;
        }
        for (uint32_t i = t->n_blocks; i < needed; i++)
            row[i] = loam__kv_take(kv, g);
    }
    if (needed > t->n_blocks) t->n_blocks = needed;
    return LOAM_OK;
}

/* ---- the tree ---- */

/* Block i of a table becomes, in every group, that of a node which has the same tokens: its own
 * goes where the node has one. */
static void merge_block(loam__kv *kv, uint32_t table, uint32_t i, int32_t node)
{
    for (uint32_t g = 0; g < kv->shape.n_groups; g++) {
        int32_t *own = &row_of(kv, g, table)[i], *block = &kv->nodes[node].blocks[g];
        if (*own < 0 || *own == *block) continue;
        if (*block >= 0) {
            loam__kv_hold(kv, g, *block);
            loam__kv_release(kv, g, *own);
            *own = *block;
        } else {
            *block = *own;
            kv->pools[g].owners[*own] = node;
        }
    }
}

static void seal(loam__kv *kv, uint32_t table, const loam_token *tokens, uint32_t n)
{
    loam__kv_table *t = &kv->tables[table];
    int32_t *path = path_of(kv, table);
    if (t->foreign || kv->n_nodes == 0) return;
    for (uint32_t i = t->n_sealed; i < n / kv->shape.block_tokens; i++) {
        int32_t parent = i ? path[i - 1] : -1;
        int32_t node = loam__kv_find(kv, parent, tokens + (size_t)i * kv->shape.block_tokens);
        if (node < 0) node = loam__kv_grow(kv, parent, tokens + (size_t)i * kv->shape.block_tokens);
        if (node < 0) return;
        kv->nodes[node].users++;
        merge_block(kv, table, i, node);
        path[i] = node;
        t->n_sealed = i + 1;
    }
}

/* Give back what lies in front of the windows of position n. */
static void pass_windows(loam__kv *kv, uint32_t table, uint32_t n)
{
    loam__kv_table *t = &kv->tables[table];
    for (uint32_t g = 0; g < kv->shape.n_groups; g++) {
        uint32_t first = first_seen(kv, g, n);
        for (uint32_t i = first; i-- > t->first[g];)
            drop_block(kv, g, table, i);
        t->first[g] = first;
    }
}

void loam__kv_advance(loam__kv *kv, uint32_t table, const loam_token *tokens, uint32_t n)
{
    seal(kv, table, tokens, n);
    pass_windows(kv, table, n);
}

/* The block of a table, or that which its node still has; -1: gone. */
static int32_t block_left(const loam__kv *kv, uint32_t group, uint32_t table, uint32_t i)
{
    int32_t block = row_of(kv, group, table)[i];
    if (block >= 0 || i >= kv->tables[table].n_sealed) return block;
    return kv->nodes[path_of(kv, table)[i]].blocks[group];
}

/* The longest beginning of at most n positions behind which a table can go on: n itself or whole
 * blocks of it, with all blocks there that the windows see. */
static uint32_t usable(const loam__kv *kv, uint32_t table, uint32_t n)
{
    uint32_t best = 0, run[LOAM__KV_GROUPS] = {0};
    for (uint32_t i = 0; i < blocks_for(kv, n); i++) {
        uint32_t end = n - i * kv->shape.block_tokens < kv->shape.block_tokens
                           ? n
                           : (i + 1) * kv->shape.block_tokens;
        bool good = true;
        for (uint32_t g = 0; g < kv->shape.n_groups; g++) {
            run[g] = block_left(kv, g, table, i) >= 0 ? run[g] + 1 : 0;
            if (i + 1 - run[g] > first_seen(kv, g, end)) good = false;
        }
        if (good) best = end;
    }
    return best;
}

/* Make a table end at position n, which is usable, with what the windows see from there. */
static void settle(loam__kv *kv, uint32_t table, uint32_t n)
{
    loam__kv_table *t = &kv->tables[table];
    uint32_t keep = blocks_for(kv, n);
    for (uint32_t g = 0; g < kv->shape.n_groups; g++) {
        uint32_t first = first_seen(kv, g, n);
        int32_t *row = row_of(kv, g, table);
        for (uint32_t i = first; i < keep; i++) {
            if (row[i] >= 0) continue;
            row[i] = block_left(kv, g, table, i);
            loam__kv_hold(kv, g, row[i]);
        }
        for (uint32_t i = t->n_blocks; i-- > 0;)
            if (i < first || i >= keep) drop_block(kv, g, table, i);
        t->first[g] = first;
    }
    while (t->n_sealed > n / kv->shape.block_tokens)
        loam__kv_leave(kv, path_of(kv, table)[--t->n_sealed]);
    t->n_blocks = keep;
    if (n == 0) t->foreign = false;
}

uint32_t loam__kv_truncate(loam__kv *kv, uint32_t table, uint32_t n)
{
    uint32_t left = usable(kv, table, n);
    settle(kv, table, left);
    return left;
}

uint32_t loam__kv_match(loam__kv *kv, uint32_t table, const loam_token *tokens, uint32_t have,
                        uint32_t n)
{
    loam__kv_table *t = &kv->tables[table];
    int32_t *path = path_of(kv, table), g = whole_group(kv);
    uint32_t i = t->n_sealed;
    if (have != i * kv->shape.block_tokens || t->n_blocks != i) return have;
    for (; (i + 1) * kv->shape.block_tokens <= n; i++) {
        int32_t node =
            loam__kv_find(kv, i ? path[i - 1] : -1, tokens + (size_t)i * kv->shape.block_tokens);
        if (node < 0) break;
        kv->nodes[node].users++;
        path[i] = node;
        if (g < 0) continue;
        row_of(kv, (uint32_t)g, table)[i] = kv->nodes[node].blocks[g];
        loam__kv_hold(kv, (uint32_t)g, kv->nodes[node].blocks[g]);
    }
    t->n_sealed = t->n_blocks = i;
    return loam__kv_truncate(kv, table, i * kv->shape.block_tokens);
}

/* ---- copies ---- */

void loam__kv_share(loam__kv *kv, uint32_t from, uint32_t to)
{
    loam__kv_table *t = &kv->tables[to];
    *t = kv->tables[from];
    for (uint32_t g = 0; g < kv->shape.n_groups; g++)
        for (uint32_t i = t->first[g]; i < t->n_blocks; i++) {
            int32_t block = row_of(kv, g, from)[i];
            if (block >= 0) loam__kv_hold(kv, g, block);
            row_of(kv, g, to)[i] = block;
        }
    for (uint32_t i = 0; i < t->n_sealed; i++)
        kv->nodes[path_of(kv, to)[i] = path_of(kv, from)[i]].users++;
}

loam_status loam__kv_adopt(loam__kv *kv, uint32_t table, uint32_t n)
{
    loam__kv_table *t = &kv->tables[table];
    uint32_t end = blocks_for(kv, n);
    if (end > kv->shape.blocks_per_table) return LOAM_ERR_FULL;
    for (uint32_t g = 0; g < kv->shape.n_groups; g++)
        if (end - first_seen(kv, g, n) > kv->pools[g].n_free + kv->pools[g].n_idle)
            return LOAM_ERR_FULL;
    for (uint32_t g = 0; g < kv->shape.n_groups; g++) {
        t->first[g] = first_seen(kv, g, n);
        for (uint32_t i = t->first[g]; i < end; i++)
            row_of(kv, g, table)[i] = loam__kv_take(kv, g);
    }
    t->n_blocks = end;
    t->foreign = true;
    return LOAM_OK;
}
