#include "base.h"

#include <string.h>

void loam__buf_init(loam__buf *buf, loam__base *b, size_t limit)
{
    *buf = (loam__buf){.base = b, .limit = limit};
}

void loam__buf_add(loam__buf *buf, const void *bytes, size_t n)
{
    size_t need;
    if (buf->status != LOAM_OK || n == 0) return;
    if (!loam__add_size(buf->n, n, &need) || (buf->limit && need > buf->limit)) {
        buf->status = loam__fail(buf->base, LOAM_ERR_LIMIT,
                                 "the output is larger than its limit of %zu bytes", buf->limit);
        return;
    }
    if (need > buf->capacity) {
        size_t grown = buf->capacity < SIZE_MAX / 2 ? buf->capacity * 2 : need;
        if (grown < need) grown = need < 64 ? 64 : need;
        char *p = loam__realloc(buf->base, buf->p, grown);
        if (!p) {
            buf->status = LOAM_ERR_NOMEM;
            return;
        }
        buf->p = p;
        buf->capacity = grown;
    }
    memcpy(buf->p + buf->n, bytes, n);
    buf->n = need;
}

void loam__buf_free(loam__buf *buf)
{
    loam__free(buf->base, buf->p);
    loam__buf_init(buf, buf->base, buf->limit);
}
