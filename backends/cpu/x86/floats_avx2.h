/* Vectors of floats, by the names that they have at every width. */
#ifndef LOAM__CPU_FLOATS_AVX2_H
#define LOAM__CPU_FLOATS_AVX2_H

#include <float.h>
#include <immintrin.h>
#include <string.h>

#include "avx2.h"
#include "backends/cpu/inline.h"

enum { WIDTH = 8 }; /* floats in a vector */

typedef __m256 floats;

#define LOAM__KERNEL(name) loam__avx2_##name

LOAM__INLINE floats zeros(void)
{
    return _mm256_setzero_ps();
}

LOAM__INLINE floats spread(float v)
{
    return _mm256_set1_ps(v);
}

LOAM__INLINE floats load_floats(const float *p)
{
    return _mm256_loadu_ps(p);
}

LOAM__INLINE void store_floats(float *p, floats v)
{
    _mm256_storeu_ps(p, v);
}

LOAM__INLINE floats plus(floats a, floats b)
{
    return _mm256_add_ps(a, b);
}

LOAM__INLINE floats times(floats a, floats b)
{
    return _mm256_mul_ps(a, b);
}

LOAM__INLINE floats over(floats a, floats b)
{
    return _mm256_div_ps(a, b);
}

/* a * b + c */
LOAM__INLINE floats times_plus(floats a, floats b, floats c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* b where one of them is NaN. */
LOAM__INLINE floats larger(floats a, floats b)
{
    return _mm256_max_ps(a, b);
}

LOAM__INLINE float largest_lane(floats v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* The eight lanes in a fixed order: ((0+4) + (2+6)) + ((1+5) + (3+7)). */
LOAM__INLINE float add_lanes(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* The first n < 8 numbers of an array, zeros behind them; nothing beyond is touched. */
LOAM__INLINE __m256 load_first(const float *p, size_t n)
{
    float padded[WIDTH] = {0};
    memcpy(padded, p, n * sizeof *p);
    return _mm256_loadu_ps(padded);
}

LOAM__INLINE void store_first(float *p, size_t n, __m256 v)
{
    float lanes[WIDTH];
    _mm256_storeu_ps(lanes, v);
    memcpy(p, lanes, n * sizeof *p);
}

/* Eight weights or cells of one of the float formats. */
LOAM__INLINE __m256 load_typed(loam_format type, const uint8_t *p)
{
    switch (type) {
    case LOAM_TYPE_F16:
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
    case LOAM_TYPE_BF16:
        return _mm256_castsi256_ps(
            _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
    default:
        return _mm256_loadu_ps((const float *)(const void *)p);
    }
}

/* The first n < 8 of them, zeros behind. */
LOAM__INLINE __m256 load_first_typed(loam_format type, const uint8_t *p, size_t n)
{
    uint8_t padded[WIDTH * sizeof(float)] = {0};
    memcpy(padded, p, n * type_bytes(type));
    return load_typed(type, padded);
}

/* e^x within 2e-7 of itself; 0 and infinity where it leaves F32; NaN stays NaN. x = n ln 2 + r with
 * |r| <= ln(2) / 2, ln 2 in two parts (Cody and Waite 1980), and the Taylor series of e^r, whose
 * first term left out is below 6e-9. 2^n in two factors reaches the subnormal numbers and infinity.
 */
LOAM__INLINE __m256 exp_lanes(__m256 x)
{
    /* an operand that is NaN must come second: min and max give that one */
    x = _mm256_max_ps(_mm256_set1_ps(-110.0f), _mm256_min_ps(_mm256_set1_ps(89.0f), x));
    const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(0x1.715476p+0f)),
                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e43p-1f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-0x1.05c61p-29f), r);
    __m256 p = _mm256_set1_ps(1.0f / 5040);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    const __m256i exponent = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(exponent, 1);
    const __m256i rest = _mm256_sub_epi32(exponent, half), bias = _mm256_set1_epi32(127);
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
    return _mm256_mul_ps(p,
                         _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));
}

#endif
