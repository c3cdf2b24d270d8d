#include "base.h"

#include <string.h>

loam_status loam__options_read(void *dst, size_t known, size_t oldest, const void *src)
{
    uint32_t given;
    memset(dst, 0, known);
    if (!src) return LOAM_OK;
    memcpy(&given, src, sizeof given);
    if (given < oldest || given > LOAM__STRUCT_MAX) return LOAM_ERR_ARG;
    for (size_t i = known; i < given; i++) /* a newer caller may only ask for what we know */
        if (((const unsigned char *)src)[i]) return LOAM_ERR_NEWER;
    memcpy(dst, src, given < known ? given : known);
    return LOAM_OK;
}

loam_status loam__options_write(void *dst, size_t oldest, const void *src, size_t known)
{
    uint32_t given;
    memcpy(&given, dst, sizeof given);
    if (given < oldest || given > LOAM__STRUCT_MAX) return LOAM_ERR_ARG;
    memcpy(dst, src, given < known ? given : known);
    if (given > known) memset((char *)dst + known, 0, given - known);
    memcpy(dst, &given, sizeof given);
    return LOAM_OK;
}

loam_status loam__fits(loam__base *b, size_t n, size_t capacity)
{
    if (n <= capacity) return LOAM_OK;
    return loam__fail(b, LOAM_ERR_BUFFER,
                      "the buffer holds %zu but %zu are needed; call again with a larger one",
                      capacity, n);
}

loam_status loam__give(loam__base *b, const void *items, size_t n, size_t item_bytes, void *buffer,
                       size_t capacity, size_t *n_out)
{
    *n_out = n;
    loam_status st = loam__fits(b, n, capacity);
    if (st == LOAM_OK && n) memcpy(buffer, items, n * item_bytes);
    return st;
}
