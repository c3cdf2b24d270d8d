#include "os.h"

#include <stdlib.h>
#include <string.h>

/* In front of every block: what the hook needs to hear again. Blocks start at base + front, front a
 * multiple of align. */
typedef struct block_header {
    size_t size; /* of the whole block, as the hook saw it */
    uint32_t align;
    uint32_t front;
} block_header;

_Static_assert(sizeof(block_header) <= 16, "the header fits in front of a 16-byte aligned block");

static void *default_alloc(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes, size_t align)
{
    void *p = NULL;
    (void)ctx;
    if (new_bytes == 0) {
        free(ptr);
        return NULL;
    }
    if (ptr && align <= _Alignof(max_align_t)) return realloc(ptr, new_bytes);
    if (align <= _Alignof(max_align_t)) {
        p = malloc(new_bytes);
    } else if (new_bytes <= SIZE_MAX - align) {
        p = aligned_alloc(align, (new_bytes + align - 1) / align * align);
    }
    if (p && ptr) {
        memcpy(p, ptr, old_bytes < new_bytes ? old_bytes : new_bytes);
        free(ptr);
    }
    return p;
}

loam_status loam__base_init(loam__base *b, const loam_hooks *hooks)
{
    loam_status st;
    memset(b, 0, sizeof *b);
    st = loam__options_read(&b->hooks, sizeof b->hooks, LOAM__UP_TO(loam_hooks, clock_ctx), hooks);
    if (st == LOAM_OK && b->hooks.flags != 0) st = LOAM_ERR_NEWER;
    if (st != LOAM_OK) memset(&b->hooks, 0, sizeof b->hooks);
    b->hooks.struct_size = sizeof b->hooks; /* handed on to backends */
    if (!b->hooks.alloc) b->hooks.alloc = default_alloc;
    if (st != LOAM_OK)
        loam__fail(
            b, st,
            "hooks: struct_size or flags are not of this library; call loam_hooks_init() first");
    return st;
}

static void *block_new(loam__base *b, size_t n, size_t align)
{
    size_t front = align, size;
    if (!loam__add_size(n, front, &size)) {
        loam__fail(
            b, LOAM_ERR_NOMEM,
            "a block of %zu bytes is larger than memory can be; reduce the context or the batch",
            n);
        return NULL;
    }
    char *raw = b->hooks.alloc(b->hooks.alloc_ctx, NULL, 0, size, align);
    if (!raw) {
        loam__fail(b, LOAM_ERR_NOMEM,
                   "no memory for %zu bytes; free some or reduce the context or the batch", n);
        return NULL;
    }
    block_header h = {.size = size, .align = (uint32_t)align, .front = (uint32_t)front};
    memcpy(raw + front - sizeof h, &h, sizeof h);
    return raw + front;
}

static block_header header_of(const void *p)
{
    block_header h;
    memcpy(&h, (const char *)p - sizeof h, sizeof h);
    return h;
}

size_t loam__alloc_cost(size_t n, size_t align)
{
    return n + align;
}

void *loam__alloc_aligned(loam__base *b, size_t n, size_t align)
{
    void *p = block_new(b, n, align < 16 ? 16 : align);
    if (!p) return NULL;
    loam__use_large_pages(p, n);
    return memset(p, 0, n);
}

void *loam__alloc(loam__base *b, size_t n)
{
    return loam__alloc_aligned(b, n, 16);
}

void *loam__alloc_array(loam__base *b, size_t count, size_t size)
{
    size_t n;
    if (!loam__mul_size(count, size, &n)) {
        loam__fail(b, LOAM_ERR_NOMEM, "%zu items of %zu bytes are larger than memory can be", count,
                   size);
        return NULL;
    }
    return loam__alloc(b, n);
}

void *loam__realloc(loam__base *b, void *p, size_t n)
{
    if (!p) return block_new(b, n, 16);
    block_header h = header_of(p);
    size_t size;
    char *raw = NULL;
    if (loam__add_size(n, h.front, &size))
        raw = b->hooks.alloc(b->hooks.alloc_ctx, (char *)p - h.front, h.size, size, h.align);
    if (!raw) {
        loam__fail(b, LOAM_ERR_NOMEM, "no memory for %zu bytes; free some or ask for less at once",
                   n);
        return NULL;
    }
    h.size = size;
    memcpy(raw + h.front - sizeof h, &h, sizeof h);
    return raw + h.front;
}

void loam__free(loam__base *b, void *p)
{
    if (!p) return;
    block_header h = header_of(p);
    b->hooks.alloc(b->hooks.alloc_ctx, (char *)p - h.front, h.size, 0, h.align);
}

char *loam__copy_text(loam__base *b, const char *text, size_t n)
{
    char *copy = loam__alloc_array(b, n + 1, 1);
    if (copy && n) memcpy(copy, text, n);
    return copy;
}

/* ---- arena ---- */

#define ARENA_CHUNK ((size_t)16384)

typedef struct loam__arena_chunk {
    struct loam__arena_chunk *next;
    size_t used, capacity;
} arena_chunk;

#define CHUNK_FRONT ((sizeof(arena_chunk) + 15) / 16 * 16)

void loam__arena_init(loam__arena *a, loam__base *b, size_t limit)
{
    *a = (loam__arena){.base = b, .limit = limit};
}

void *loam__arena_alloc(loam__arena *a, size_t n)
{
    arena_chunk *c = a->chunks;
    if (n > SIZE_MAX / 2)
        n = SIZE_MAX / 2; /* cannot succeed; keeps the rounding below from wrapping */
    n = (n + 15) / 16 * 16;
    if (a->limit && (n > a->limit || a->used > a->limit - n)) {
        loam__fail(a->base, LOAM_ERR_LIMIT, "the limit of %zu bytes for this input is used up",
                   a->limit);
        return NULL;
    }
    if (!c || c->capacity - c->used < n) {
        size_t capacity = n > ARENA_CHUNK ? n : ARENA_CHUNK;
        c = loam__alloc(a->base, CHUNK_FRONT + capacity);
        if (!c) return NULL;
        c->capacity = capacity;
        c->next = a->chunks;
        a->chunks = c;
    }
    void *p = (char *)c + CHUNK_FRONT + c->used;
    c->used += n;
    a->used += n;
    return p;
}

void loam__arena_free(loam__arena *a)
{
    while (a->chunks) {
        arena_chunk *next = a->chunks->next;
        loam__free(a->base, a->chunks);
        a->chunks = next;
    }
    a->used = 0;
}
