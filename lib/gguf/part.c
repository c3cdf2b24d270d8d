#include "part.h"

#include <stdio.h>
#include <string.h>

#define FIRST_FETCH                                                                                \
    ((uint64_t)256 << 10) /* a header without a vocabulary fits; it doubles from there */

/* A long path keeps its end, where the file's name is, and no character is cut in half. */
static void label_path(loam__part *part, const char *path)
{
    size_t n = strlen(path), room = sizeof part->label - 1;
    if (n <= room) {
        memcpy(part->label, path, n + 1);
        return;
    }
    const char *tail = path + n - (room - 3);
    while (((unsigned char)*tail & 0xc0) == 0x80)
        tail++;
    snprintf(part->label, sizeof part->label, "...%s", tail);
}

loam_status loam__part_map(loam__base *b, const char *path, loam__part *part)
{
    *part = (loam__part){0};
    label_path(part, path);
    loam_status st = loam__map_file(b, path, &part->map);
    if (st != LOAM_OK) return st;
    part->data = part->map.data;
    part->size = part->map.size;
    return LOAM_OK;
}

loam_status loam__part_source(loam__base *b, const loam_source *source, size_t number, size_t count,
                              loam__part *part)
{
    *part = (loam__part){0};
    if (count == 1) snprintf(part->label, sizeof part->label, "the source");
    else snprintf(part->label, sizeof part->label, "source %zu of %zu", number, count);
    if (!source)
        return loam__fail(b, LOAM_ERR_ARG, "%s is NULL; give a loam_source for each part",
                          part->label);
    loam_source s;
    loam_status st = loam__options_read(&s, sizeof s, LOAM__UP_TO(loam_source, reserved), source);
    if (st == LOAM_OK && (s.flags || s.reserved)) st = LOAM_ERR_NEWER;
    if (st != LOAM_OK)
        return loam__fail(b, st,
                          "%s: struct_size, flags or reserved are not of this library; call "
                          "loam_source_init() first",
                          part->label);
    if (!s.data && !s.read)
        return loam__fail(b, LOAM_ERR_ARG, "%s has neither data nor read(); set one of them",
                          part->label);
    if (s.size_bytes == 0)
        return loam__fail(b, LOAM_ERR_EMPTY, "%s is empty; set size_bytes to the size of the part",
                          part->label);
    if (s.data && s.size_bytes > SIZE_MAX)
        return loam__fail(b, LOAM_ERR_ARG, "%s: size_bytes is more than this process can address",
                          part->label);
    part->source = s;
    part->data = s.data;
    part->size = s.size_bytes;
    return LOAM_OK;
}

void loam__part_close(loam__base *b, loam__part *part)
{
    loam__unmap_file(&part->map);
    loam__free(b, part->head);
    *part = (loam__part){0};
}

const uint8_t *loam__part_head(const loam__part *part)
{
    return part->data ? part->data : part->head;
}

loam_status loam__part_read(loam__base *b, const loam__part *part, uint64_t offset, void *buffer,
                            size_t n)
{
    if (offset > part->size || n > part->size - offset)
        return loam__fail(b, LOAM_ERR_INTERNAL,
                          "%s: a read of %zu bytes at %llu leaves its %llu bytes", part->label, n,
                          (unsigned long long)offset, (unsigned long long)part->size);
    if (n == 0) return LOAM_OK;
    if (part->data) {
        memcpy(buffer, part->data + offset, n);
        return LOAM_OK;
    }
    int32_t failure = part->source.read(part->source.ctx, offset, buffer, n);
    if (failure == 0) return LOAM_OK;
    return loam__fail(
        b, LOAM_ERR_IO,
        "%s: the host's read() of %zu bytes at %llu failed with %d; look there for the reason",
        part->label, n, (unsigned long long)offset, (int)failure);
}

loam_status loam__part_fetch(loam__base *b, loam__part *part, uint64_t need)
{
    if (part->data || need <= part->head_n) return LOAM_OK;
    uint64_t n = part->head_n ? part->head_n : FIRST_FETCH;
    while (n < need) /* doubling keeps all fetches together linear */
        n *= 2;
    if (n > part->size) n = part->size;
    uint8_t *grown = loam__realloc(b, part->head, (size_t)n);
    if (!grown) return LOAM_ERR_NOMEM;
    part->head = grown;
    loam_status st =
        loam__part_read(b, part, part->head_n, grown + part->head_n, (size_t)(n - part->head_n));
    if (st == LOAM_OK) part->head_n = n;
    return st;
}

loam_status loam__part_shrink(loam__base *b, loam__part *part, uint64_t n)
{
    if (n >= part->head_n) return LOAM_OK;
    uint8_t *less = loam__realloc(b, part->head, (size_t)n);
    if (!less) return LOAM_ERR_NOMEM;
    part->head = less;
    part->head_n = n;
    return LOAM_OK;
}
