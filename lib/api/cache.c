/* The backends' caches as one block of bytes: a header, then for each a record and its bytes,
 * padded to eight. */
#include <string.h>

#include "handle.h"

#define MAGIC   0x6568636d616f6cu /* "loamche" */
#define VERSION 1u

typedef struct cache_header {
    uint64_t magic;
    uint32_t version, reserved;
} cache_header;

typedef struct cache_record {
    char name[32];
    uint64_t bytes;
} cache_record;

static uint64_t padded(uint64_t n)
{
    return n + (8 - n % 8) % 8;
}

const void *loam__cache_find(const loam_options *o, const char *name, uint64_t *bytes)
{
    const char *p = o->cache;
    cache_header h;
    cache_record r;
    *bytes = 0;
    if (!p || o->cache_bytes < sizeof h) return NULL;
    memcpy(&h, p, sizeof h);
    if (h.magic != MAGIC || h.version != VERSION) return NULL;
    for (uint64_t at = sizeof h; o->cache_bytes - at >= sizeof r;) {
        memcpy(&r, p + at, sizeof r);
        at += sizeof r;
        if (r.bytes > o->cache_bytes - at) return NULL;
        if (strncmp(r.name, name, sizeof r.name) == 0) {
            *bytes = r.bytes;
            return p + at;
        }
        if (padded(r.bytes) > o->cache_bytes - at) return NULL;
        at += padded(r.bytes);
    }
    return NULL;
}

static loam_status size_of(const loam__opened *o, uint64_t *bytes)
{
    *bytes = 0;
    return o->backend->cache_get ? o->backend->cache_get(o->self, NULL, 0, bytes) : LOAM_OK;
}

/* How many bytes there are in all; 0: none. */
static loam_status measure(const loam__backends *all, size_t *n)
{
    *n = 0;
    for (uint32_t i = 0; i < all->n; i++) {
        uint64_t bytes;
        loam_status st = size_of(&all->opened[i], &bytes);
        if (st != LOAM_OK) return st;
        if (bytes) *n += sizeof(cache_record) + (size_t)padded(bytes);
    }
    if (*n) *n += sizeof(cache_header);
    return LOAM_OK;
}

/* What a backend has may have become less since it was measured, and not more. */
static loam_status write(const loam__backends *all, char *out, size_t *n)
{
    const cache_header h = {.magic = MAGIC, .version = VERSION};
    char *p = out;
    memcpy(p, &h, sizeof h);
    p += sizeof h;
    for (uint32_t i = 0; i < all->n; i++) {
        const loam__opened *o = &all->opened[i];
        cache_record r = {0};
        loam_status st = size_of(o, &r.bytes);
        if (st == LOAM_OK && r.bytes == 0) continue;
        if (st == LOAM_OK)
            st = o->backend->cache_get(o->self, p + sizeof r, *n - (size_t)(p - out) - sizeof r,
                                       &r.bytes);
        if (st != LOAM_OK) return st;
        memcpy(r.name, o->backend->name, strlen(o->backend->name));
        memcpy(p, &r, sizeof r);
        p += sizeof r;
        memset(p + r.bytes, 0, (size_t)(padded(r.bytes) - r.bytes));
        p += padded(r.bytes);
    }
    *n = (size_t)(p - out);
    return LOAM_OK;
}

loam_status loam_cache_get(loam *m, void *bytes, size_t capacity, size_t *n)
{
    if (!m || !n || (!bytes && capacity)) return LOAM_ERR_ARG;
    loam_status st = loam__enter(m, true);
    if (st != LOAM_OK) return st;
    if ((st = measure(&m->backends, n)) == LOAM_OK && *n) st = loam__fits(&m->base, *n, capacity);
    if (st == LOAM_OK && *n) st = write(&m->backends, bytes, n);
    return loam__leave(m, st);
}
