/* Base: what every room stands on. Status and error text, the allocator hook, log, checked
 * arithmetic, growable option structs, buffers, and (os.h) the operating system. A loam__base
 * belongs to one handle; rooms borrow a pointer to it. */
#ifndef LOAM__BASE_H
#define LOAM__BASE_H

#include <loam/loam.h>
#include <stdarg.h>
#include <stdbool.h>

#include "compiler.h"

#define LOAM__ALIGN 64u /* of arenas and of arrays that kernels touch */

typedef struct loam__base {
    loam_hooks hooks;
    char
        error[512]; /* the last failure; fixed, so that running out of memory can be reported too */
} loam__base;

/* hooks may be NULL; its members are copied. */
loam_status loam__base_init(loam__base *b, const loam_hooks *hooks);

/* ---- errors and log (error.c) ---- */

/* Store the sentence and return status: `return loam__fail(b, LOAM_ERR_ARG, "...")`. Say what is
 * wrong with which numbers, then what to do. b may be NULL. */
loam_status loam__fail(loam__base *b, loam_status status, const char *format, ...)
    LOAM__PRINTF(3, 4);
void loam__log(loam__base *b, int32_t level, const char *format, ...) LOAM__PRINTF(3, 4);

/* ---- memory (alloc.c): the only place that calls malloc ---- */

/* n bytes, zeroed, aligned to 16; NULL sets the error text (LOAM_ERR_NOMEM is then the status to
 * return). n 0 gives a unique pointer. The size is kept in a header in front, so that the hook gets
 * it back. */
void *loam__alloc(loam__base *b, size_t n);
void *loam__alloc_array(loam__base *b, size_t count, size_t size); /* checked product */
void *loam__alloc_aligned(loam__base *b, size_t n,
                          size_t align); /* align: a power of two, 16 to 4096 */
void *loam__realloc(loam__base *b, void *p,
                    size_t n);           /* grown bytes are not zeroed; only of loam__alloc */
void loam__free(loam__base *b, void *p); /* NULL is fine */
size_t loam__alloc_cost(size_t n, size_t align); /* bytes that the hook sees for such a block */
char *loam__copy_text(loam__base *b, const char *text, size_t n); /* NUL-terminated copy */

/* Many small things that die together. Zero it with loam__arena_init(). */
typedef struct loam__arena {
    loam__base *base;
    struct loam__arena_chunk *chunks;
    size_t used, limit; /* bytes handed out; 0: no limit */
} loam__arena;

void loam__arena_init(loam__arena *a, loam__base *b, size_t limit);
void *loam__arena_alloc(
    loam__arena *a,
    size_t n); /* zeroed, 16-byte aligned; NULL: no memory or over the limit (text set) */
void loam__arena_free(loam__arena *a);

/* A growable run of bytes. Zero it with loam__buf_init(). Failures stick: check buf.status once at
 * the end. */
typedef struct loam__buf {
    loam__base *base;
    char *p;
    size_t n, capacity, limit; /* limit 0: none */
    loam_status status;
} loam__buf;

void loam__buf_init(loam__buf *buf, loam__base *b, size_t limit);
void loam__buf_add(loam__buf *buf, const void *bytes, size_t n);
void loam__buf_free(loam__buf *buf);

/* ---- checked arithmetic (check.c): false when the result does not fit ---- */
bool loam__add_size(size_t a, size_t b, size_t *sum);
bool loam__mul_size(size_t a, size_t b, size_t *product);
bool loam__add_u64(uint64_t a, uint64_t b, uint64_t *sum);
bool loam__mul_u64(uint64_t a, uint64_t b, uint64_t *product);
bool loam__align_u64(uint64_t a, uint64_t align, uint64_t *aligned); /* up, to a power of two */

/* n up to a multiple of LOAM__ALIGN, where n is known to be far below the largest number. */
static inline uint64_t loam__align_up(uint64_t n)
{
    return (n + LOAM__ALIGN - 1) / LOAM__ALIGN * LOAM__ALIGN;
}

/* ---- FNV-1a, 64 bits (Fowler, Noll, Vo): begun with LOAM__FNV, gone on with what it gave ---- */

#define LOAM__FNV UINT64_C(14695981039346656037)

static inline uint64_t loam__fnv(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * UINT64_C(1099511628211);
    return h;
}

/* ---- structs that cross the ABI (options.c) ---- */

#define LOAM__STRUCT_MAX 4096u
/* Bytes of a struct up to and with a field: how large it was in the version that ended there. */
#define LOAM__UP_TO(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/* Read a caller's struct of any age into dst (known bytes). NULL src: all defaults. */
loam_status loam__options_read(void *dst, size_t known, size_t oldest, const void *src);
/* Write our struct into a caller's one of any age: as much as its struct_size says. */
loam_status loam__options_write(void *dst, size_t oldest, const void *src, size_t known);

/* LOAM_ERR_BUFFER with a sentence where n items do not fit into a caller's buffer. */
loam_status loam__fits(loam__base *b, size_t n, size_t capacity);
/* The caller's buffer convention: store n in *n_out, copy if it fits, else LOAM_ERR_BUFFER with a
 * sentence. */
loam_status loam__give(loam__base *b, const void *items, size_t n, size_t item_bytes, void *buffer,
                       size_t capacity, size_t *n_out);

#endif
