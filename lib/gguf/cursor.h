/* The one place that reads numbers, counts and lengths of a header. Each is checked here before
 * anything uses it.
 *
 * Failures stick: after one, every call gives zeros and status stays; look at it before acting on
 * what was read. */
#ifndef LOAM__GGUF_CURSOR_H
#define LOAM__GGUF_CURSOR_H

#include "part.h"

#define LOAM__MARKED 16u /* strings of a list to one note of where they lie */

typedef struct loam__cursor {
    loam__base *base;
    loam__part *part;
    const char *what; /* is being read, for messages: "metadata key 'a'" */
    int64_t number;   /* the same, where things are many: "tensor description 3"; -1: none */
    uint64_t at;      /* never beyond the part's end */
    loam_status status;
} loam__cursor;

/* The next n bytes, or NULL; valid until the next call. */
const uint8_t *loam__cursor_take(loam__cursor *c, uint64_t n);
uint32_t loam__cursor_u32(loam__cursor *c);
uint64_t loam__cursor_u64(loam__cursor *c);
/* A number of things to come: at most limit, and the rest of the part has at least min_bytes for
 * each. */
uint64_t loam__cursor_count(loam__cursor *c, uint64_t limit, uint64_t min_bytes);
/* A string's bytes, at most limit; valid until the next call. */
const uint8_t *loam__cursor_string(loam__cursor *c, uint64_t limit, uint64_t *n);
/* Step over n strings, each at most limit. marks: NULL, or where to put down the places of the
 * first of each LOAM__MARKED. */
void loam__cursor_strings(loam__cursor *c, uint64_t n, uint64_t limit, uint32_t *marks);
/* A copy of a string that may serve as a name: 1 to limit bytes, no NUL among them, one at the end.
 */
const char *loam__cursor_name(loam__cursor *c, uint64_t limit, loam__arena *arena);

/* Little-endian numbers at any address. */
static inline uint32_t loam__le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t loam__le64(const uint8_t *p)
{
    return loam__le32(p) | (uint64_t)loam__le32(p + 4) << 32;
}

#endif
