#include "scratch.h"

#include <string.h>

void *loam__scratch_need(loam__scratch *s, loam__base *b, size_t count, size_t size)
{
    size_t n;
    if (!loam__mul_size(count, size, &n)) {
        loam__fail(b, LOAM_ERR_NOMEM, "%zu items of %zu bytes are larger than memory can be", count,
                   size);
        return NULL;
    }
    if (n <= s->capacity) return s->p;
    if (n < s->capacity * 2) n = s->capacity * 2;
    void *p = loam__realloc(b, s->owned ? s->p : NULL, n);
    if (!p) return NULL;
    if (!s->owned && s->capacity) memcpy(p, s->p, s->capacity);
    *s = (loam__scratch){p, n, true};
    return p;
}

void loam__scratch_free(loam__scratch *s, loam__base *b)
{
    if (s->owned) loam__free(b, s->p);
    *s = (loam__scratch){0};
}
