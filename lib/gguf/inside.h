/* What the files of this room share: the container, and a header's way into it. */
#ifndef LOAM__GGUF_INSIDE_H
#define LOAM__GGUF_INSIDE_H

#include "cursor.h"
#include "gguf.h"
#include "index.h"

#define LOAM__META_TYPES 13 /* LOAM_META_U8 to LOAM_META_F64 */

/* Bytes of a fixed-size value, by type; 0 for strings and arrays. */
extern const uint8_t loam__gguf_value_bytes[LOAM__META_TYPES];

typedef struct loam__entry {
    const char *key;
    int32_t type, element; /* LOAM_META_*; element as type unless it is an array */
    uint64_t count;        /* 1 unless it is an array */
    uint64_t at;           /* where the value, or the first element, lies in the header */
    uint64_t bytes;        /* of all elements there */
    uint32_t *marks; /* where every LOAM__MARKED-th string of a list lies; NULL for all else */
} loam__entry;

/* The metadata of one part. */
typedef struct loam__meta {
    loam__entry *entries;
    loam__index index;
    loam__arena arena; /* keys, and the marks of lists */
    uint64_t end;      /* of the metadata in the part */
} loam__meta;

typedef struct loam__slot { /* a tensor */
    const char *name;
    uint64_t dims[4], size;
    uint64_t offset; /* from the start of the data until it is placed, then of the part */
    uint32_t type, n_dims, part;
} loam__slot;

struct loam__gguf {
    loam__base *base;
    uint32_t version;
    size_t n_parts;
    loam__part *parts;
    loam__meta meta; /* of part 0 */
    loam__slot *slots;
    size_t n_slots, slots_capacity;
    loam__index tensors;
    loam__arena arena; /* names of tensors */
};

/* header.c: read one part's header; its tensors are added to g. meta is zero before and to be freed
 * even on failure. */
loam_status loam__gguf_header(loam__gguf *g, uint32_t part, loam__meta *meta);
void loam__gguf_meta_free(loam__base *b, loam__meta *meta);

/* tensors.c: read the n descriptions that follow the metadata, check them and place them in the
 * part. */
loam_status loam__gguf_slots(loam__gguf *g, loam__cursor *c, uint32_t part, uint64_t n,
                             uint64_t align);

/* value.c: one integer of a header. false: it is none, or does not fit. */
bool loam__gguf_unsigned(const uint8_t *header, const loam__entry *entry, uint64_t e,
                         uint64_t *value);

/* A name from a file as it may be shown in a message: cut, and with '?' for all that is not
 * printable ASCII. */
typedef struct loam__shown {
    char text[80];
} loam__shown;
loam__shown loam__gguf_show(const char *name);

#endif
