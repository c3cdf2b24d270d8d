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
    SIGNED    /* weight = scale * (int8_t)w, made CENTERED with 128 */
};

typedef struct piece {
    __m512i w[8];
    __m512 scale;
    __m512 extra; /* min; or for SIX_BITS the scale of the second half */
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

LOAM__INLINE void set_signed(piece *p)
{
    for (int j = 0; j < 8; j++)
        p->w[j] = _mm512_xor_si512(p->w[j], _mm512_set1_epi8(-128));
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
    __m512i s = kind == OFFSET ? _mm512_setzero_si512() : _mm512_set1_epi32(x->start[half]);
    s = _mm512_dpbusd_epi32(s, w[0], broadcast4(q));
    s = _mm512_dpbusd_epi32(s, w[1], broadcast4(q + 4));
    s = _mm512_dpbusd_epi32(s, w[2], broadcast4(q + 8));
    return _mm512_dpbusd_epi32(s, w[3], broadcast4(q + 12));
}

LOAM__INLINE __m512 add_piece(int kind, const piece *p, const q8 *x, __m512 sum)
{
    const __m512 first = _mm512_cvtepi32_ps(half_sum(kind, p->w, x, 0));
    const __m512 second = _mm512_cvtepi32_ps(half_sum(kind, p->w + 4, x, 1));
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
