#include "map.h"

#include <string.h>

#define MIX 0x9E3779B97F4A7C15u /* 2^64 / golden ratio (Knuth, TAOCP 6.4) */

static uint64_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = n * MIX;
    while (n >= 8) {
        uint64_t x;
        memcpy(&x, p, 8);
        h = (h ^ x) * MIX;
        h ^= h >> 32;
        p += 8;
        n -= 8;
    }
    uint64_t tail = 0;
    memcpy(&tail, p, n);
    h = (h ^ tail) * MIX;
    h ^= h >> 29;
    h *= MIX;
    return h ^ (h >> 32);
}

size_t loam__hash_slots(size_t n)
{
    size_t slots = 16;
    while (slots / 3 * 2 < n)
        slots *= 2;
    return slots;
}

void loam__text_map_init(loam__text_map *map, loam__map_slot *slots, size_t n_slots)
{
    *map = (loam__text_map){.slots = slots, .mask = (uint32_t)(n_slots - 1)};
    for (size_t i = 0; i < n_slots; i++)
        slots[i].id = LOAM__NO_ID;
}

uint32_t loam__text_map_hash(const loam__text_map *map, const char *p, size_t n)
{
    uint32_t hash = (uint32_t)hash_bytes(p, n);
    LOAM__PREFETCH(&map->slots[hash & map->mask]);
    return hash;
}

bool loam__text_map_add(loam__text_map *map, const loam__key *keys, uint32_t id, uint32_t hash,
                        uint32_t *replaced)
{
    const loam__key *key = &keys[id];
    *replaced = LOAM__NO_ID;
    for (uint32_t i = 0; i < LOAM__PROBES_MAX; i++) {
        loam__map_slot *slot = &map->slots[(hash + i) & map->mask];
        if (slot->id == LOAM__NO_ID) {
            *slot = (loam__map_slot){hash, id};
            if (key->n > map->longest) map->longest = key->n;
            return true;
        }
        const loam__key *other = &keys[slot->id];
        if (slot->hash == hash && other->n == key->n && memcmp(other->p, key->p, key->n) == 0) {
            *replaced = slot->id;
            slot->id = id;
            return true;
        }
    }
    return false;
}

uint32_t loam__text_map_find(const loam__text_map *map, const loam__key *keys, const char *p,
                             size_t n, uint32_t hash)
{
    for (uint32_t i = 0; i < LOAM__PROBES_MAX; i++) {
        const loam__map_slot *slot = &map->slots[(hash + i) & map->mask];
        if (slot->id == LOAM__NO_ID) break;
        if (slot->hash != hash) continue;
        const loam__key *key = &keys[slot->id];
        if (key->n == n && memcmp(key->p, p, n) == 0) return slot->id;
    }
    return LOAM__NO_ID;
}
