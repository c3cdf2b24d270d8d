/* KV cells of every type as vectors of floats. */
#ifndef LOAM__CPU_CELLS_AVX2_H
#define LOAM__CPU_CELLS_AVX2_H

#include <math.h>

#include "backends/cpu/cells.h"
#include "floats_avx2.h"

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

/* Eight digits, from value `at` of a row on. */
LOAM__INLINE __m256i load_digits(loam_format type, const uint8_t *block, size_t at)
{
    const uint8_t *digits = block + 2;
    if (type == LOAM_TYPE_Q8_0)
        return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(digits + at)));
    /* the low nibbles of 16 bytes, then the high ones */
    __m256i q = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(digits + at % 16)));
    q = at < 16 ? _mm256_and_si256(q, _mm256_set1_epi32(15)) : _mm256_srli_epi32(q, 4);
    return _mm256_sub_epi32(q, _mm256_set1_epi32(8));
}

/* Eight cells of a row, from value `at` on. */
LOAM__INLINE floats load_cells(loam_format type, const uint8_t *row, size_t at)
{
    const uint8_t *cells = row + cell_bytes(type, at);
    if (!in_blocks(type)) return load_typed(type, cells);
    const __m256i digits = load_digits(type, cells, at % CELL_BLOCK);
    return _mm256_mul_ps(_mm256_cvtepi32_ps(digits), cell_scale(cells));
}

LOAM__INLINE void transpose(floats v[WIDTH])
{
    floats t[WIDTH];
    for (size_t i = 0; i < WIDTH; i += 4) {
        const __m256 a = _mm256_unpacklo_ps(v[i], v[i + 1]), b = _mm256_unpackhi_ps(v[i], v[i + 1]);
        const __m256 c = _mm256_unpacklo_ps(v[i + 2], v[i + 3]);
        const __m256 d = _mm256_unpackhi_ps(v[i + 2], v[i + 3]);
        t[i] = _mm256_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm256_shuffle_ps(a, c, 0xEE);
        t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm256_shuffle_ps(b, d, 0xEE);
    }
    for (size_t i = 0; i < 4; i++) {
        v[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
        v[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
    }
}

#endif
