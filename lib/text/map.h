/* A hash table from byte strings to numbers, sized once. The memory belongs to the caller. */
#ifndef LOAM__TEXT_MAP_H
#define LOAM__TEXT_MAP_H

#include "lib/base/base.h"

#define LOAM__NO_ID UINT32_MAX

typedef struct loam__key {
    const char *p;
    uint32_t n;
} loam__key;

typedef struct loam__map_slot {
    uint32_t hash;
    uint32_t id; /* LOAM__NO_ID: empty */
} loam__map_slot;

typedef struct loam__text_map {
    loam__map_slot *slots;
    uint32_t mask;
    uint32_t longest; /* bytes of the longest key */
} loam__text_map;

/* Slots for a table of n entries: a power of two, at most two thirds full. */
size_t loam__hash_slots(size_t n);

/* No string from a file may make a search long: an input that needs more steps than this is
 * refused. */
#define LOAM__PROBES_MAX 256u

/* An empty table in memory of the caller's. */
void loam__text_map_init(loam__text_map *map, loam__map_slot *slots, size_t n_slots);
/* The hash of a string. Its place in the table is on its way from then on: who has many strings
 * hashes some ahead. */
uint32_t loam__text_map_hash(const loam__text_map *map, const char *p, size_t n);
/* keys: id to its string, as long as the map lives. A later id replaces an earlier one of the same
 * string, which goes to *replaced, else LOAM__NO_ID. False: too many collisions, a crafted file. */
bool loam__text_map_add(loam__text_map *map, const loam__key *keys, uint32_t id, uint32_t hash,
                        uint32_t *replaced);
uint32_t loam__text_map_find(const loam__text_map *map, const loam__key *keys, const char *p,
                             size_t n, uint32_t hash);

#endif
