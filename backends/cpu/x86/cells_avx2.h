/* KV cells of every type as vectors of floats. */
#ifndef LOAM__CPU_CELLS_AVX2_H
#define LOAM__CPU_CELLS_AVX2_H

#include "inline_avx2.h"

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

/* The scale of a block, in every lane; of no meaning for the plain types. */
LOAM__INLINE __m256 cell_scale(loam_format type, const uint8_t *block)
{
    uint16_t scale;
    if (!in_blocks(type)) return _mm256_setzero_ps();
    memcpy(&scale, block, sizeof scale);
    return _mm256_set1_ps(_cvtsh_ss(scale));
}

/* Vector w of a block, w < 4; of a plain type, of the cells that begin there. */
LOAM__INLINE __m256 load_cells(loam_format type, const uint8_t *cells, __m256 scale, size_t w)
{
    const uint8_t *digits = cells + 2;
    __m256i q;
    if (!in_blocks(type)) return load_typed(type, cells + w * WIDTH * type_bytes(type));
    if (type == LOAM_TYPE_Q8_0) {
        q = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(digits + w * WIDTH)));
    } else { /* the low nibbles of 16 bytes, then the high ones */
        q = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(digits + w % 2 * WIDTH)));
        q = w < 2 ? _mm256_and_si256(q, _mm256_set1_epi32(15)) : _mm256_srli_epi32(q, 4);
        q = _mm256_sub_epi32(q, _mm256_set1_epi32(8));
    }
    return _mm256_mul_ps(_mm256_cvtepi32_ps(q), scale);
}

#endif
