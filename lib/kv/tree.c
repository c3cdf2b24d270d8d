#include <string.h>

#include "inside.h"

/* The finalizer of MurmurHash3 (A. Appleby) over pairs of tokens, from a seed that differs between
 * handles, so that nobody can choose prompts that meet in one bucket. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static int32_t *bucket_of(const loam__kv *kv, int32_t parent, const loam_token *tokens)
{
    uint64_t h = mix((uint64_t)(uintptr_t)kv->memory ^ (uint32_t)parent);
    for (uint32_t i = 0; i < kv->shape.block_tokens; i += 2)
        h = mix(h ^ ((uint64_t)(uint32_t)tokens[i] << 32 | (uint32_t)tokens[i + 1]));
    return &kv->buckets[h % kv->n_buckets];
}

static loam_token *tokens_of(const loam__kv *kv, int32_t node)
{
    return kv->tokens + (size_t)node * kv->shape.block_tokens;
}

static size_t tokens_bytes(const loam__kv *kv)
{
    return kv->shape.block_tokens * sizeof *kv->tokens;
}

int32_t loam__kv_find(const loam__kv *kv, int32_t parent, const loam_token *tokens)
{
    if (kv->n_nodes == 0) return -1;
    int32_t i = *bucket_of(kv, parent, tokens);
    while (i >= 0 && (kv->nodes[i].parent != parent ||
                      memcmp(tokens_of(kv, i), tokens, tokens_bytes(kv)) != 0))
        i = kv->nodes[i].next;
    return i;
}

/* Where windows have passed in all groups, nodes without a block may hold all there are: idle
 * blocks are given up until one comes free. */
static bool free_a_node(loam__kv *kv)
{
    for (uint32_t g = 0; g < kv->shape.n_groups; g++)
        while (kv->unused_node < 0 && kv->pools[g].oldest >= 0) {
            int32_t node = kv->pools[g].owners[kv->pools[g].oldest];
            loam__kv_disown(kv, g, kv->pools[g].oldest);
            if (kv->nodes[node].users == 0) loam__kv_cut(kv, node);
        }
    return kv->unused_node >= 0;
}

int32_t loam__kv_grow(loam__kv *kv, int32_t parent, const loam_token *tokens)
{
    if (kv->unused_node < 0 && !free_a_node(kv)) return -1;
    int32_t i = kv->unused_node, *bucket = bucket_of(kv, parent, tokens);
    loam__kv_node *node = &kv->nodes[i];
    kv->unused_node = node->next;
    *node = (loam__kv_node){.parent = parent, .next = *bucket, .blocks = {-1, -1}};
    memcpy(tokens_of(kv, i), tokens, tokens_bytes(kv));
    *bucket = i;
    if (parent >= 0) kv->nodes[parent].users++;
    return i;
}

static void remove_from_bucket(loam__kv *kv, int32_t i)
{
    int32_t *at = bucket_of(kv, kv->nodes[i].parent, tokens_of(kv, i));
    while (*at != i)
        at = &kv->nodes[*at].next;
    *at = kv->nodes[i].next;
}

/* Whether a prompt could still find something at this node. */
static bool is_empty(const loam__kv *kv, const loam__kv_node *node)
{
    for (uint32_t g = 0; g < kv->shape.n_groups; g++)
        if (node->blocks[g] >= 0) return false;
    return true;
}

void loam__kv_cut(loam__kv *kv, int32_t i)
{
    for (bool more = true; more;) {
        loam__kv_node *node = &kv->nodes[i];
        int32_t parent = node->parent;
        for (uint32_t g = 0; g < kv->shape.n_groups; g++)
            if (node->blocks[g] >= 0) loam__kv_disown(kv, g, node->blocks[g]);
        remove_from_bucket(kv, i);
        node->next = kv->unused_node;
        kv->unused_node = i;
        more = parent >= 0 && --kv->nodes[parent].users == 0 && is_empty(kv, &kv->nodes[parent]);
        i = parent;
    }
}

void loam__kv_leave(loam__kv *kv, int32_t i)
{
    if (--kv->nodes[i].users == 0 && is_empty(kv, &kv->nodes[i])) loam__kv_cut(kv, i);
}
