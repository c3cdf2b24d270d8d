#include "index.h"

#include <string.h>

/* With as many chains as names, a chain of 32 has a chance below 1e-30 (Poisson, mean 1). */
#define CHAIN_MAX 32

static uint32_t hash_of(const char *name)
{
    uint64_t h = loam__fnv(LOAM__FNV, name, strlen(name));
    return (uint32_t)(h ^ h >> 32);
}

loam_status loam__index_init(loam__base *b, loam__index *ix, uint32_t capacity)
{
    uint32_t heads = 16;
    *ix = (loam__index){0};
    while (heads < capacity)
        heads *= 2;
    ix->mask = heads - 1;
    ix->names = loam__alloc_array(b, capacity, sizeof *ix->names);
    ix->hashes = loam__alloc_array(b, capacity, sizeof *ix->hashes);
    ix->next = loam__alloc_array(b, capacity, sizeof *ix->next);
    ix->heads = loam__alloc_array(b, heads, sizeof *ix->heads);
    if (ix->names && ix->hashes && ix->next && ix->heads) return LOAM_OK;
    loam__index_free(b, ix);
    return LOAM_ERR_NOMEM;
}

void loam__index_free(loam__base *b, loam__index *ix)
{
    loam__free(b, ix->names);
    loam__free(b, ix->hashes);
    loam__free(b, ix->next);
    loam__free(b, ix->heads);
    *ix = (loam__index){0};
}

loam_status loam__index_add(loam__index *ix, const char *name)
{
    uint32_t hash = hash_of(name), *head = &ix->heads[hash & ix->mask];
    int steps = 0;
    for (uint32_t i = *head; i; i = ix->next[i - 1]) {
        if (ix->hashes[i - 1] == hash && strcmp(ix->names[i - 1], name) == 0)
            return LOAM_ERR_CORRUPT;
        if (++steps == CHAIN_MAX) return LOAM_ERR_LIMIT;
    }
    uint32_t i = ix->n++;
    ix->names[i] = name;
    ix->hashes[i] = hash;
    ix->next[i] = *head;
    *head = i + 1;
    return LOAM_OK;
}

int64_t loam__index_find(const loam__index *ix, const char *name)
{
    if (ix->n == 0) return -1;
    uint32_t hash = hash_of(name);
    for (uint32_t i = ix->heads[hash & ix->mask]; i; i = ix->next[i - 1])
        if (ix->hashes[i - 1] == hash && strcmp(ix->names[i - 1], name) == 0) return i - 1;
    return -1;
}
