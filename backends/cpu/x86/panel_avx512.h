/* Activations and pieces of the AVX-512 products: see panel.h. */
#ifndef LOAM__CPU_PANEL_AVX512_H
#define LOAM__CPU_PANEL_AVX512_H

#include "lanes_avx512.h"

enum { BLOCK = 32, HALF = 16 };

/* 32 activations: value i is scale[i / 16] * q[i]. */
typedef struct q8 {
    int8_t q[BLOCK];
    float scale[2];
    int32_t start[2]; /* -center * sum of q, over each half */
    float sum;        /* of the values, for weights with a minimum */
} q8;

/* How weights multiply. */
enum {
    OFFSET,   /* weight = scale * w + min */
    CENTERED, /* weight = scale * (w - center) */
    SIX_BITS, /* weight = scale[i / 16] * (w - center) */
    SEVEN_BITS = SIX_BITS,
    SIGNED, /* weight = scale * (int8_t)w, made CENTERED with 128 */
    HALVES, /* weight = scale[i / 16] * w + min[i / 16] / HALF_MIN, with a center of 32 */
    CENTERED_HALVES = SIX_BITS
};
#define HALF_MIN (-1.0f / 32) /* `start` is -32 times the sum that a min is for */

typedef struct piece {
    __m512i w[8];
    __m512 scale;
    __m512 extra;  /* min; or for SIX_BITS and HALVES the scale of the second half */
    __m512 min[2]; /* for HALVES */
} piece;

LOAM__INLINE void set_min(piece *p, __m512 min)
{
    p->extra = min;
}

/* The center is part of the activations. */
LOAM__INLINE void set_center(piece *p, int center)
{
    (void)p;
    (void)center;
}

LOAM__INLINE void set_sixteens(piece *p, __m512 scale, __m512i first, __m512i second)
{
    p->scale = _mm512_mul_ps(scale, _mm512_cvtepi32_ps(first));
    p->extra = _mm512_mul_ps(scale, _mm512_cvtepi32_ps(second));
}

LOAM__INLINE void set_halves(piece *p, __m512 first, __m512 second)
{
    p->scale = first;
    p->extra = second;
}

LOAM__INLINE void set_half_mins(piece *p, __m512 first, __m512 second)
{
    p->min[0] = first;
    p->min[1] = second;
}

LOAM__INLINE void set_half_centers(piece *p, int center)
{
    set_center(p, center);
}

/* Signed bytes as the kind SIGNED has them. */
LOAM__INLINE __m512i signed_bytes(__m512i v)
{
    return _mm512_xor_si512(v, _mm512_set1_epi8(-128));
}

LOAM__INLINE void set_signed(piece *p)
{
    for (int j = 0; j < 8; j++)
        p->w[j] = signed_bytes(p->w[j]);
}

LOAM__INLINE __m512i broadcast4(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

/* The exact sum of a half, and that sum times the activations' scale. */
LOAM__INLINE __m512i half_sum(int kind, const __m512i w[4], const q8 *x, int half)
{
    const int8_t *q = x->q + half * HALF;
    const bool centered = kind != OFFSET && kind != HALVES;
    __m512i s = centered ? _mm512_set1_epi32(x->start[half]) : _mm512_setzero_si512();
    s = _mm512_dpbusd_epi32(s, w[0], broadcast4(q));
    s = _mm512_dpbusd_epi32(s, w[1], broadcast4(q + 4));
    s = _mm512_dpbusd_epi32(s, w[2], broadcast4(q + 8));
    return _mm512_dpbusd_epi32(s, w[3], broadcast4(q + 12));
}

/* For HALVES: sum + (products * scale + start * min) * the activations' scale. */
LOAM__INLINE __m512 add_half(__m512 products, __m512 scale, __m512 min, const q8 *x, int half,
                             __m512 sum)
{
    const __m512 start = _mm512_cvtepi32_ps(_mm512_set1_epi32(x->start[half]));
    const __m512 part = _mm512_fmadd_ps(products, scale, _mm512_mul_ps(min, start));
    return _mm512_fmadd_ps(part, _mm512_set1_ps(x->scale[half]), sum);
}

LOAM__INLINE __m512 add_piece(int kind, const piece *p, const q8 *x, __m512 sum)
{
    const __m512 first = _mm512_cvtepi32_ps(half_sum(kind, p->w, x, 0));
    const __m512 second = _mm512_cvtepi32_ps(half_sum(kind, p->w + 4, x, 1));
    if (kind == HALVES) {
        sum = add_half(first, p->scale, p->min[0], x, 0, sum);
        return add_half(second, p->extra, p->min[1], x, 1, sum);
    }
    const __m512 part = _mm512_mul_ps(first, _mm512_set1_ps(x->scale[0]));
    const __m512 scale = _mm512_set1_ps(x->scale[1]);
    if (kind == SIX_BITS) {
        sum = _mm512_fmadd_ps(part, p->scale, sum);
        return _mm512_fmadd_ps(_mm512_mul_ps(second, scale), p->extra, sum);
    }
    sum = _mm512_fmadd_ps(_mm512_fmadd_ps(second, scale, part), p->scale, sum);
    return kind == OFFSET ? _mm512_fmadd_ps(p->extra, _mm512_set1_ps(x->sum), sum) : sum;
}

#include "backends/cpu/panel.h"

#endif
