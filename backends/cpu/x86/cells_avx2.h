/* KV cells of every type as vectors of floats. */
#ifndef LOAM__CPU_CELLS_AVX2_H
#define LOAM__CPU_CELLS_AVX2_H

#include "inline_avx2.h"

#include <math.h>

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

/* The scale of a block, in every lane. */
LOAM__INLINE __m256 cell_scale(const uint8_t *block)
{
    uint16_t scale;
    memcpy(&scale, block, sizeof scale);
    return _mm256_cvtph_ps(_mm_set1_epi16((short)scale));
}

/* |v| as integers, which have the order of the numbers, and NaN above infinity. */
LOAM__INLINE __m256i magnitudes(__m256 v)
{
    return _mm256_and_si256(_mm256_castps_si256(v), _mm256_set1_epi32(0x7fffffff));
}

/* The largest lane, in every lane. */
LOAM__INLINE __m256i spread_largest(__m256i v)
{
    v = _mm256_max_epi32(v, _mm256_permute2x128_si256(v, v, 1));
    v = _mm256_max_epi32(v, _mm256_shuffle_epi32(v, 0x4E));
    return _mm256_max_epi32(v, _mm256_shuffle_epi32(v, 0xB1));
}

LOAM__INLINE float largest_of(__m256i v)
{
    return _mm256_cvtss_f32(_mm256_castsi256_ps(spread_largest(v)));
}

/* 1 / d, or 0 if d is infinite, NaN or next to nothing. */
LOAM__INLINE float inverse(float d)
{
    return fabsf(d) >= FLT_MIN && fabsf(d) <= FLT_MAX ? 1 / d : 0;
}

/* The first or second 16 digits of a block. */
LOAM__INLINE __m256i load_digits(loam_format type, const uint8_t *block, size_t half)
{
    const uint8_t *digits = block + 2;
    if (type == LOAM_TYPE_Q8_0)
        return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(digits + 16 * half)));
    __m256i q = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)digits));
    q = half ? _mm256_srli_epi16(q, 4) : _mm256_and_si256(q, _mm256_set1_epi16(15));
    return _mm256_sub_epi16(q, _mm256_set1_epi16(8));
}

/* Vector w < 4 of the digits of a block; of a plain type, of the cells that begin there. */
LOAM__INLINE __m256 load_cells(loam_format type, const uint8_t *cells, size_t w)
{
    const uint8_t *digits = cells + 2;
    if (!in_blocks(type)) return load_typed(type, cells + w * WIDTH * type_bytes(type));
    if (type == LOAM_TYPE_Q8_0)
        return _mm256_cvtepi32_ps(
            _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(digits + w * WIDTH))));
    /* the low nibbles of 16 bytes, then the high ones */
    __m256i q = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(digits + w % 2 * WIDTH)));
    q = w < 2 ? _mm256_and_si256(q, _mm256_set1_epi32(15)) : _mm256_srli_epi32(q, 4);
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(q, _mm256_set1_epi32(8)));
}

#endif
