/* KV cells of every type as vectors of floats. */
#ifndef LOAM__CPU_CELLS_AVX512_H
#define LOAM__CPU_CELLS_AVX512_H

#include <string.h>

#include "backends/cpu/cells.h"
#include "floats_avx512.h"

/* The scale of a block, in every lane. */
LOAM__INLINE floats cell_scale(const uint8_t *block)
{
    uint16_t scale;
    memcpy(&scale, block, sizeof scale);
    return _mm512_cvtph_ps(_mm256_set1_epi16((short)scale));
}

/* The first or second 16 digits of a block. */
LOAM__INLINE __m512i load_digits(loam_format type, const uint8_t *block, bool second)
{
    const __m128i *digits = (const __m128i *)(const void *)(block + 2);
    if (type == LOAM_TYPE_Q8_0) return _mm512_cvtepi8_epi32(_mm_loadu_si128(digits + second));
    __m512i q = _mm512_cvtepu8_epi32(_mm_loadu_si128(digits));
    q = second ? _mm512_srli_epi32(q, 4) : _mm512_and_si512(q, _mm512_set1_epi32(15));
    return _mm512_sub_epi32(q, _mm512_set1_epi32(8));
}

/* Sixteen cells of a row, from value `at` on. */
LOAM__INLINE floats load_cells(loam_format type, const uint8_t *row, size_t at)
{
    const uint8_t *cells = row + cell_bytes(type, at);
    if (!in_blocks(type)) return load_typed(type, cells);
    const __m512i digits = load_digits(type, cells, at % CELL_BLOCK != 0);
    return _mm512_mul_ps(_mm512_cvtepi32_ps(digits), cell_scale(cells));
}

LOAM__INLINE void transpose(floats v[WIDTH])
{
    floats t[WIDTH];
    for (size_t i = 0; i < WIDTH; i += 4) {
        const __m512 a = _mm512_unpacklo_ps(v[i], v[i + 1]), b = _mm512_unpackhi_ps(v[i], v[i + 1]);
        const __m512 c = _mm512_unpacklo_ps(v[i + 2], v[i + 3]);
        const __m512 d = _mm512_unpackhi_ps(v[i + 2], v[i + 3]);
        t[i] = _mm512_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm512_shuffle_ps(a, c, 0xEE);
        t[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm512_shuffle_ps(b, d, 0xEE);
    }
    for (size_t i = 0; i < 4; i++) { /* quarters of vectors, as four by four */
        const __m512 a = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88);
        const __m512 b = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xDD);
        const __m512 c = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88);
        const __m512 d = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xDD);
        v[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        v[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        v[i + 8] = _mm512_shuffle_f32x4(a, c, 0xDD);
        v[i + 12] = _mm512_shuffle_f32x4(b, d, 0xDD);
    }
}

#endif
