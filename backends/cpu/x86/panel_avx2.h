/* Activations and pieces of the AVX2 products: see panel.h. */
#ifndef LOAM__CPU_PANEL_AVX2_H
#define LOAM__CPU_PANEL_AVX2_H

#include "lanes_avx2.h"

enum { BLOCK = 32, HALF = 16 };

/* 32 activations: value i is scale * m * q[i], with one m for each half. One scale for 32 values
 * alone would lose too much: on Gemma 3 the perplexity is off by 0.56 % with it, and by half of
 * that with an integer m up to HALF_MOST, which costs next to nothing, since products are summed by
 * a multiply-add in any case. */
enum { HALF_MOST = 16 };
typedef struct q8 {
    int8_t q[BLOCK];
    float scale;
    float sum;       /* of the values, for weights with an offset */
    int16_t half[2]; /* sums of m * q over each half: at most 16 * 127 * 16, which an int16 holds */
    int16_t m[2][2]; /* of each half, twice: as the multiply-add wants it */
} q8;

/* How weights multiply. */
enum {
    OFFSET,            /* 0..31; weight = scale * w + min */
    CENTERED = OFFSET, /* weight = scale * (w - center) */
    SIX_BITS,   /* 0..63; weight = scale * s * (w - 32) with an integer s for each 16 values */
    SEVEN_BITS, /* 0..127; weight = scale * s * (w - 64) */
    SIGNED,     /* -128..127; weight = scale * w */
    HALVES,     /* 0..31; weight = scale[i / 16] * w + min[i / 16] / HALF_MIN */
    CENTERED_HALVES = HALVES /* weight = scale[i / 16] * (w - center) */
};
#define HALF_MIN 1.0f
#define EACH_KIND(do)                                                                              \
    do                                                                                             \
    (OFFSET) do(SIX_BITS) do(SEVEN_BITS) do(SIGNED) do(HALVES)

/* How many products an int16 takes: 4 j-vectors of 31 * 127 * 2 are below 32768, and so on. */
LOAM__INLINE int int16_takes(int kind)
{
    return kind == OFFSET || kind == HALVES ? 4 : kind == SIX_BITS ? 2 : 1;
}

/* There is an s for each half. */
LOAM__INLINE bool in_sixteens(int kind)
{
    return kind == SIX_BITS || kind == SEVEN_BITS;
}

typedef struct piece {
    __m256i w[8];
    __m256 scale;
    __m256i extra[3]; /* min as floats; or the two s, each twice as int16; or for
                         HALVES min and scale and min of the second half, as floats */
} piece;

LOAM__INLINE void set_min(piece *p, __m256 min)
{
    p->extra[0] = _mm256_castps_si256(min);
}

LOAM__INLINE void set_center(piece *p, int center)
{
    set_min(p, _mm256_mul_ps(p->scale, _mm256_set1_ps((float)-center)));
}

LOAM__INLINE void set_sixteens(piece *p, __m256 scale, __m256i first, __m256i second)
{
    p->scale = scale;
    p->extra[0] = _mm256_blend_epi16(first, _mm256_slli_epi32(first, 16), 0xAA);
    p->extra[1] = _mm256_blend_epi16(second, _mm256_slli_epi32(second, 16), 0xAA);
}

LOAM__INLINE void set_halves(piece *p, __m256 first, __m256 second)
{
    p->scale = first;
    p->extra[1] = _mm256_castps_si256(second);
}

LOAM__INLINE void set_half_mins(piece *p, __m256 first, __m256 second)
{
    p->extra[0] = _mm256_castps_si256(first);
    p->extra[2] = _mm256_castps_si256(second);
}

LOAM__INLINE void set_half_centers(piece *p, int center)
{
    const __m256 below = _mm256_set1_ps((float)-center);
    set_half_mins(p, _mm256_mul_ps(p->scale, below),
                  _mm256_mul_ps(_mm256_castsi256_ps(p->extra[1]), below));
}

/* Signed bytes as the kind SIGNED has them. */
LOAM__INLINE __m256i signed_bytes(__m256i v)
{
    return v;
}

LOAM__INLINE void set_signed(piece *p)
{
    (void)p; /* as they are */
}

LOAM__INLINE __m256i broadcast4(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

/* Keep a chain of sums a chain: GCC makes a tree of it, whose leaves do not fit into the registers.
 */
LOAM__INLINE __m256i in_order(__m256i v)
{
    __asm__("" : "+x"(v));
    return v;
}

/* What the products of a half are multiplied by as they are summed: m, and the row's own s. */
LOAM__INLINE __m256i multiplier(int kind, int half, const piece *p, const q8 *x)
{
    const __m256i m = broadcast4(x->m[half]);
    return in_sixteens(kind) ? _mm256_mullo_epi16(p->extra[half], m) : m;
}

/* One more j-vector: adds its products to sum16 and, when int16 is full, those to sum32. */
LOAM__INLINE void products(int kind, int j, __m256i w, __m256i x, __m256i m, __m256i *sum16,
                           __m256i *sum32)
{
    const int takes = int16_takes(kind);
    __m256i product;
    if (kind == SIGNED) product = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    else product = _mm256_maddubs_epi16(w, x);
    *sum16 = j % takes == 0 ? product : in_order(_mm256_add_epi16(*sum16, product));
    if (j % takes != takes - 1) return;
    const __m256i wide = _mm256_madd_epi16(*sum16, m);
    *sum32 = j < takes || kind == HALVES ? wide : in_order(_mm256_add_epi32(*sum32, wide));
}

/* For HALVES: the exact integer sum of one half becomes part of the float sum. */
LOAM__INLINE __m256 add_half(const piece *p, int half, const q8 *x, __m256i sum32, __m256 sum)
{
    const __m256 scale = half ? _mm256_castsi256_ps(p->extra[1]) : p->scale;
    const __m256 min = _mm256_castsi256_ps(p->extra[2 * half]);
    const __m256 offset = _mm256_mul_ps(min, _mm256_set1_ps((float)x->half[half]));
    const __m256 part = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum32), scale, offset);
    return _mm256_fmadd_ps(part, _mm256_set1_ps(x->scale), sum);
}

/* The exact integer sum of a block becomes part of the float sum; for HALVES that of its second
 * half. */
LOAM__INLINE __m256 add_block(int kind, const piece *p, const q8 *x, __m256i sum32, __m256 sum)
{
    if (kind == HALVES) return add_half(p, 1, x, sum32, sum);
    if (in_sixteens(kind)) { /* the offset of 32 or 64 */
        const __m256i s = _mm256_blend_epi16(p->extra[0], p->extra[1], 0xAA);
        const __m256i offset = _mm256_madd_epi16(s, broadcast4(x->half));
        sum32 = _mm256_sub_epi32(sum32, _mm256_slli_epi32(offset, kind == SIX_BITS ? 5 : 6));
    }
    const __m256 scale = _mm256_mul_ps(p->scale, _mm256_set1_ps(x->scale));
    sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum32), scale, sum);
    if (kind == OFFSET)
        sum = _mm256_fmadd_ps(_mm256_castsi256_ps(p->extra[0]), _mm256_set1_ps(x->sum), sum);
    return sum;
}

LOAM__INLINE __m256 add_piece(int kind, const piece *p, const q8 *x, __m256 sum)
{
    const __m256i m0 = multiplier(kind, 0, p, x), m1 = multiplier(kind, 1, p, x);
    __m256i sum16, sum32;
    products(kind, 0, p->w[0], broadcast4(x->q), m0, &sum16, &sum32);
    products(kind, 1, p->w[1], broadcast4(x->q + 4), m0, &sum16, &sum32);
    products(kind, 2, p->w[2], broadcast4(x->q + 8), m0, &sum16, &sum32);
    products(kind, 3, p->w[3], broadcast4(x->q + 12), m0, &sum16, &sum32);
    if (kind == HALVES) sum = add_half(p, 0, x, sum32, sum);
    products(kind, 4, p->w[4], broadcast4(x->q + 16), m1, &sum16, &sum32);
    products(kind, 5, p->w[5], broadcast4(x->q + 20), m1, &sum16, &sum32);
    products(kind, 6, p->w[6], broadcast4(x->q + 24), m1, &sum16, &sum32);
    products(kind, 7, p->w[7], broadcast4(x->q + 28), m1, &sum16, &sum32);
    return add_block(kind, p, x, sum32, sum);
}

#include "backends/cpu/panel.h"

#endif
