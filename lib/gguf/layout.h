/* How many bytes the values of each GGUF tensor type take: of all types, so that files can be
 * inspected and planned whose formats loam does not compute with. */
#ifndef LOAM__GGUF_LAYOUT_H
#define LOAM__GGUF_LAYOUT_H

#include <stdint.h>

typedef struct loam__layout {
    uint32_t type; /* the file's number */
    uint32_t block_values;
    uint32_t block_bytes;
    const char *name;
} loam__layout;

const loam__layout *loam__layout_find(uint32_t type); /* NULL: no such type */

#endif
