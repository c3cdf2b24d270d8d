#include <string.h>

#include "kernels.h"

/* Move one piece of each row of a group to where they lie together. */
static void pack_pieces(const uint8_t *rows, size_t row_bytes, size_t n_rows, size_t piece_bytes,
                        uint8_t *to)
{
    if (piece_bytes == 4)
        for (size_t r = 0; r < n_rows; r++)
            memcpy(to + 4 * r, rows + r * row_bytes, 4);
    else
        for (size_t r = 0; r < n_rows; r++)
            memcpy(to + piece_bytes * r, rows + r * row_bytes, piece_bytes);
}

static size_t piece_at(loam__packing p, size_t block_bytes, size_t in_block)
{
    return in_block == p.pair ? block_bytes % 4 : 4;
}

void loam__pack_rows(loam__packing p, size_t block_bytes, const void *rows, size_t row_bytes,
                     size_t n_rows, void *to)
{
    const uint8_t *from = rows;
    uint8_t *group = to;
    for (; p.rows && n_rows >= p.rows; n_rows -= p.rows) {
        for (size_t block = 0; block < row_bytes; block += block_bytes)
            for (size_t i = 0, bytes; i < block_bytes; i += bytes) {
                bytes = piece_at(p, block_bytes, i);
                pack_pieces(from + block + i, row_bytes, p.rows, bytes,
                            group + (block + i) * p.rows);
            }
        from += p.rows * row_bytes;
        group += p.rows * row_bytes;
    }
    memcpy(group, from, n_rows * row_bytes);
}

void loam__unpack_block(loam__packing p, size_t block_bytes, const void *group, size_t row,
                        size_t at, void *to)
{
    const uint8_t *from = group;
    uint8_t *block = to;
    for (size_t i = 0, bytes; i < block_bytes; i += bytes) {
        bytes = piece_at(p, block_bytes, i);
        memcpy(block + i, from + (at + i) * p.rows + row * bytes, bytes);
    }
}
