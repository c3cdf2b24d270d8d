/* How KV cells lie, for the kernels that read or write them. */
#ifndef LOAM__CPU_CELLS_H
#define LOAM__CPU_CELLS_H

#include "backends/cpu/inline.h"

enum { CELL_BLOCK = 32 }; /* values in a block of Q8_0 and Q4_0: an F16 scale, then the digits */

LOAM__INLINE bool in_blocks(loam_format type)
{
    return type == LOAM_TYPE_Q8_0 || type == LOAM_TYPE_Q4_0;
}

/* Of the first n cells of a row, whole blocks of them. */
LOAM__INLINE size_t cell_bytes(loam_format type, size_t n)
{
    if (type == LOAM_TYPE_Q8_0) return n / CELL_BLOCK * 34;
    if (type == LOAM_TYPE_Q4_0) return n / CELL_BLOCK * 18;
    return n * type_bytes(type);
}

#endif
