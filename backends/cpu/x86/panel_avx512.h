/* Activations and pieces of the AVX-512 products: see panel.h. */
#ifndef LOAM__CPU_PANEL_AVX512_H
#define LOAM__CPU_PANEL_AVX512_H

#include "lanes_avx512.h"

enum { BLOCK = 32, HALF = 16 };

/* 32 activations: value i is scale[i / 16] * q[i].
 *
 * Integer sums are made into floats by where they begin: the bits of 1.5 * 2^23, plus a whole
 * number n with |n| < 2^22, are those of the float 1.5 * 2^23 + n. To take that away again is part
 * of the multiplication by a scale, for which `base` is -1.5 * 2^23 * scale. A scale has 22
 * significant bits, so a product of a whole number and a scale alone loses nothing by it, and one
 * together with another half at most the weight of 1 in q. */
typedef struct q8 {
    int8_t q[BLOCK];
    float scale[2], base[2], both_bases;
    float sum;              /* of the values, for weights with a minimum */
    union {                 /* for each half */
        int32_t start[2];   /* of a sum for weights with a center: MAGIC_BITS - center * sum of q */
        float half_sums[2]; /* of the values, for weights with a minimum in each half */
    };
} q8;

#define MAGIC      0x1.8p23f
#define MAGIC_BITS 0x4b400000

/* How weights multiply. */
enum {
    OFFSET,   /* weight = scale * w + min */
    CENTERED, /* weight = scale * (w - center) */
    SIX_BITS, /* weight = scale[i / 16] * (w - center) */
    SEVEN_BITS = SIX_BITS,
    SIGNED, /* weight = scale * (int8_t)w, made CENTERED with 128 */
    HALVES, /* weight = scale[i / 16] * w + min[i / 16] / HALF_MIN */
    CENTERED_HALVES = SIX_BITS
};
#define HALF_MIN 1.0f

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

/* The sum of a half, exact: MAGIC more than it is. */
LOAM__INLINE __m512 half_sum(int kind, const __m512i w[4], const q8 *x, int half)
{
    const int8_t *q = x->q + half * HALF;
    const bool centered = kind != OFFSET && kind != HALVES;
    __m512i s = _mm512_set1_epi32(centered ? x->start[half] : MAGIC_BITS);
    s = _mm512_dpbusd_epi32(s, w[0], broadcast4(q));
    s = _mm512_dpbusd_epi32(s, w[1], broadcast4(q + 4));
    s = _mm512_dpbusd_epi32(s, w[2], broadcast4(q + 8));
    return _mm512_castsi512_ps(_mm512_dpbusd_epi32(s, w[3], broadcast4(q + 12)));
}

LOAM__INLINE __m512 scaled_half(int kind, const __m512i w[4], const q8 *x, int half, float base)
{
    return _mm512_fmadd_ps(half_sum(kind, w, x, half), _mm512_set1_ps(x->scale[half]),
                           _mm512_set1_ps(base));
}

LOAM__INLINE __m512 add_piece(int kind, const piece *p, const q8 *x, __m512 sum)
{
    if (kind == SIX_BITS || kind == HALVES) {
        const __m512 first = scaled_half(kind, p->w, x, 0, x->base[0]);
        const __m512 second = scaled_half(kind, p->w + 4, x, 1, x->base[1]);
        sum = _mm512_fmadd_ps(first, p->scale, sum);
        sum = _mm512_fmadd_ps(second, p->extra, sum);
        if (kind == SIX_BITS) return sum;
        sum = _mm512_fmadd_ps(p->min[0], _mm512_set1_ps(x->half_sums[0]), sum);
        return _mm512_fmadd_ps(p->min[1], _mm512_set1_ps(x->half_sums[1]), sum);
    }
    const __m512 first = scaled_half(kind, p->w, x, 0, x->both_bases);
    const __m512 both =
        _mm512_fmadd_ps(half_sum(kind, p->w + 4, x, 1), _mm512_set1_ps(x->scale[1]), first);
    sum = _mm512_fmadd_ps(both, p->scale, sum);
    return kind == OFFSET ? _mm512_fmadd_ps(p->extra, _mm512_set1_ps(x->sum), sum) : sum;
}

#include "backends/cpu/panel.h"

#endif
