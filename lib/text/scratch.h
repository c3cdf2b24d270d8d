/* Temporary memory of one call: starts as an array of the caller's and moves to the heap when it
 * must grow. */
#ifndef LOAM__TEXT_SCRATCH_H
#define LOAM__TEXT_SCRATCH_H

#include "lib/base/base.h"

typedef struct loam__scratch {
    void *p;
    size_t capacity; /* bytes */
    bool owned;
} loam__scratch;

/* Room for count items of size bytes, the old contents kept; NULL: no memory. */
void *loam__scratch_need(loam__scratch *s, loam__base *b, size_t count, size_t size);
void loam__scratch_free(loam__scratch *s, loam__base *b);

#endif
