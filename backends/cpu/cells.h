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

/* The part of positions first .. end - 1 that is in one KV block. */
typedef struct cell_span {
    const uint8_t *k, *v; /* of the first position; see key_step() */
    size_t positions;
} cell_span;

/* From a key's first value to that of the next position, in bytes. */
LOAM__INLINE size_t key_step(const loam__attention_args *a)
{
    return a->k_transposed ? type_bytes(a->k_type) : a->k_row_bytes;
}

LOAM__INLINE cell_span find_cells(const loam__attention_args *a, size_t first, size_t end)
{
    const size_t row = first % a->block_tokens, left = a->block_tokens - row;
    const size_t block = (size_t)a->table[first / a->block_tokens];
    return (cell_span){
        .k = a->k + block * a->k_block_bytes + a->k_head_offset + row * key_step(a),
        .v = a->v + block * a->v_block_bytes + a->v_head_offset + row * a->v_row_bytes,
        .positions = end - first < left ? end - first : left,
    };
}

#endif
