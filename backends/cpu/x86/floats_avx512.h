/* Vectors of floats, by the names that they have at every width. */
#ifndef LOAM__CPU_FLOATS_AVX512_H
#define LOAM__CPU_FLOATS_AVX512_H

#include <immintrin.h>

#include "avx512.h"
#include "backends/cpu/inline.h"

enum { WIDTH = 16 }; /* floats in a vector */

typedef __m512 floats;

#define LOAM__KERNEL(name) loam__avx512_##name

LOAM__INLINE floats zeros(void)
{
    return _mm512_setzero_ps();
}

LOAM__INLINE floats spread(float v)
{
    return _mm512_set1_ps(v);
}

LOAM__INLINE floats load_floats(const float *p)
{
    return _mm512_loadu_ps(p);
}

LOAM__INLINE void store_floats(float *p, floats v)
{
    _mm512_storeu_ps(p, v);
}

/* A bit for each of the first n < 16 lanes. */
LOAM__INLINE __mmask16 first_lanes(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

/* The first n < 16 numbers of an array, zeros behind them; nothing beyond is touched. */
LOAM__INLINE floats load_first(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(first_lanes(n), p);
}

LOAM__INLINE void store_first(float *p, size_t n, floats v)
{
    _mm512_mask_storeu_ps(p, first_lanes(n), v);
}

LOAM__INLINE floats from_halves(loam_format type, __m256i v)
{
    if (type == LOAM_TYPE_F16) return _mm512_cvtph_ps(v);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

/* Sixteen weights or cells of one of the float formats. */
LOAM__INLINE floats load_typed(loam_format type, const uint8_t *p)
{
    if (type == LOAM_TYPE_F32) return _mm512_loadu_ps(p);
    return from_halves(type, _mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* The first n < 16 of them, zeros behind. */
LOAM__INLINE floats load_first_typed(loam_format type, const uint8_t *p, size_t n)
{
    if (type == LOAM_TYPE_F32) return _mm512_maskz_loadu_ps(first_lanes(n), p);
    return from_halves(type, _mm256_maskz_loadu_epi16(first_lanes(n), p));
}

LOAM__INLINE floats plus(floats a, floats b)
{
    return _mm512_add_ps(a, b);
}

LOAM__INLINE floats times(floats a, floats b)
{
    return _mm512_mul_ps(a, b);
}

LOAM__INLINE floats over(floats a, floats b)
{
    return _mm512_div_ps(a, b);
}

/* a * b + c */
LOAM__INLINE floats times_plus(floats a, floats b, floats c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* b where one of them is NaN. */
LOAM__INLINE floats larger(floats a, floats b)
{
    return _mm512_max_ps(a, b);
}

LOAM__INLINE float largest_lane(floats v)
{
    return _mm512_reduce_max_ps(v);
}

/* In a fixed order. */
LOAM__INLINE float add_lanes(floats v)
{
    return _mm512_reduce_add_ps(v);
}

/* e^x within 2e-7 of itself, as exp_lanes() of floats_avx2.h. */
LOAM__INLINE floats exp_lanes(floats x)
{
    /* an operand that is NaN must come second: min and max give that one */
    x = _mm512_max_ps(spread(-110.0f), _mm512_min_ps(spread(89.0f), x));
    const floats n = _mm512_roundscale_ps(_mm512_mul_ps(x, spread(0x1.715476p+0f)),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    floats r = _mm512_fnmadd_ps(n, spread(0x1.62e43p-1f), x);
    r = _mm512_fnmadd_ps(n, spread(-0x1.05c61p-29f), r);
    floats p = spread(1.0f / 5040);
    p = _mm512_fmadd_ps(p, r, spread(1.0f / 720));
    p = _mm512_fmadd_ps(p, r, spread(1.0f / 120));
    p = _mm512_fmadd_ps(p, r, spread(1.0f / 24));
    p = _mm512_fmadd_ps(p, r, spread(1.0f / 6));
    p = _mm512_fmadd_ps(p, r, spread(0.5f));
    p = _mm512_fmadd_ps(p, r, spread(1.0f));
    p = _mm512_fmadd_ps(p, r, spread(1.0f));
    return _mm512_scalef_ps(p, n);
}

#endif
