/* The bytes of one part of a container: a mapped file, the host's memory, or the host's read
 * callback. */
#ifndef LOAM__GGUF_PART_H
#define LOAM__GGUF_PART_H

#include "lib/base/os.h"

typedef struct loam__part {
    char label[160];     /* what messages call it */
    loam__map map;       /* of a file, else zero */
    loam_source source;  /* the host's, else zero */
    const uint8_t *data; /* the whole part, NULL with a callback */
    uint64_t size;
    uint8_t *head; /* with a callback: the part's first head_n bytes */
    uint64_t head_n;
} loam__part;

loam_status loam__part_map(loam__base *b, const char *path, loam__part *part);
/* number of count is for the label, from 1. The bytes or the callback behind source are kept. */
loam_status loam__part_source(loam__base *b, const loam_source *source, size_t number, size_t count,
                              loam__part *part);
void loam__part_close(loam__base *b, loam__part *part); /* a zeroed part is fine */

/* The first bytes of a part, as many as loam__part_fetch() was asked for. Moves with each fetch. */
const uint8_t *loam__part_head(const loam__part *part);
/* Have at least the first need bytes at hand; need is at most the part's size and
 * LOAM__GGUF_HEADER_MAX. */
loam_status loam__part_fetch(loam__base *b, loam__part *part, uint64_t need);
/* Keep only the first n bytes of what was fetched. */
loam_status loam__part_shrink(loam__base *b, loam__part *part, uint64_t n);

/* Any bytes of the part; offset + n is within it. */
loam_status loam__part_read(loam__base *b, const loam__part *part, uint64_t offset, void *buffer,
                            size_t n);

#endif
