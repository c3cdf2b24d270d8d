/* Activations and pieces of the products of all ARM sets: see panel.h. They differ in how they sum
 * products of whole numbers, so they give the same bits. */
#ifndef LOAM__CPU_PANEL_NEON_H
#define LOAM__CPU_PANEL_NEON_H

#include "lanes_neon.h"

enum { BLOCK = 32, HALF = 16 };

/* 32 activations: value i is scale[i / 16] * q[i]. */
typedef struct q8 {
    int8_t q[BLOCK];
    float scale[2];
    float sum;        /* of the values, for weights with a minimum */
    int32_t start[2]; /* -32 * sum of q, over each half: for SIX_BITS and HALVES */
} q8;

/* How weights multiply. */
enum {
    OFFSET,            /* weight = scale * w + min */
    CENTERED = OFFSET, /* weight = scale * (w - center) */
    SIX_BITS,          /* weight = scale[i / 16] * (w - 32) */
    SIGNED,            /* weight = scale * w */
    HALVES             /* weight = scale[i / 16] * w + min[i / 16] / HALF_MIN */
};

#define EACH_KIND(do)                                                                              \
    do                                                                                             \
    (OFFSET) do(SIX_BITS) do(SIGNED) do(HALVES)
#define HALF_MIN (-1.0f / 32) /* `start` is -32 times the sum that a min is for */

typedef struct piece {
    ints w[8];
    floats scale;
    floats extra;  /* min; or for SIX_BITS and HALVES the scale of the second half */
    floats min[2]; /* for HALVES */
} piece;

LOAM__INLINE void set_min(piece *p, floats min)
{
    p->extra = min;
}

LOAM__INLINE void set_center(piece *p, int center)
{
    set_min(p, vmulq_n_f32(p->scale, (float)-center));
}

LOAM__INLINE void set_sixteens(piece *p, floats scale, ints first, ints second)
{
    p->scale = vmulq_f32(scale, vcvtq_f32_s32(first));
    p->extra = vmulq_f32(scale, vcvtq_f32_s32(second));
}

LOAM__INLINE void set_halves(piece *p, floats first, floats second)
{
    p->scale = first;
    p->extra = second;
}

LOAM__INLINE void set_half_mins(piece *p, floats first, floats second)
{
    p->min[0] = first;
    p->min[1] = second;
}

LOAM__INLINE void set_signed(piece *p)
{
    (void)p; /* as they are */
}

LOAM__INLINE int8x16_t as_signed(ints v)
{
    return vreinterpretq_s8_s32(v);
}

#if defined(__ARM_FEATURE_DOTPROD)

/* Add w[j], four values of each row, times values 4j .. 4j+3 of q. */
LOAM__INLINE ints add_products(ints s, const ints w[4], int8x16_t q)
{
    s = vdotq_laneq_s32(s, as_signed(w[0]), q, 0);
    s = vdotq_laneq_s32(s, as_signed(w[1]), q, 1);
    s = vdotq_laneq_s32(s, as_signed(w[2]), q, 2);
    return vdotq_laneq_s32(s, as_signed(w[3]), q, 3);
}

#else

/* Two products, -128 times -127 each at most, fit into an int16. */
LOAM__INLINE ints add_four(ints s, ints w, ints values)
{
    const int8x16_t a = as_signed(w), b = as_signed(values);
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    return vpadalq_s16(s, vpaddq_s16(low, high));
}

/* Add w[j], four values of each row, times values 4j .. 4j+3 of q. */
LOAM__INLINE ints add_products(ints s, const ints w[4], int8x16_t q)
{
    const ints quads = vreinterpretq_s32_s8(q);
    s = add_four(s, w[0], vdupq_laneq_s32(quads, 0));
    s = add_four(s, w[1], vdupq_laneq_s32(quads, 1));
    s = add_four(s, w[2], vdupq_laneq_s32(quads, 2));
    return add_four(s, w[3], vdupq_laneq_s32(quads, 3));
}

#endif

/* The exact sum of a half. */
LOAM__INLINE floats half_sum(int kind, const ints w[4], const q8 *x, int half)
{
    const ints start = vdupq_n_s32(kind == SIX_BITS ? x->start[half] : 0);
    return vcvtq_f32_s32(add_products(start, w, vld1q_s8(x->q + half * HALF)));
}

/* For HALVES: sum + (products * scale + start * min) * the activations' scale. */
LOAM__INLINE floats add_half(floats products, floats scale, floats min, floats start,
                             floats x_scale, floats sum)
{
    return vfmaq_f32(sum, vfmaq_f32(vmulq_f32(min, start), products, scale), x_scale);
}

LOAM__INLINE floats add_piece(int kind, const piece *p, const q8 *x, floats sum)
{
    const floats first = half_sum(kind, p->w, x, 0), second = half_sum(kind, p->w + 4, x, 1);
    if (kind == HALVES) {
        sum = add_half(first, p->scale, p->min[0], vdupq_n_f32((float)x->start[0]),
                       vdupq_n_f32(x->scale[0]), sum);
        return add_half(second, p->extra, p->min[1], vdupq_n_f32((float)x->start[1]),
                        vdupq_n_f32(x->scale[1]), sum);
    }
    const floats part = vmulq_n_f32(first, x->scale[0]);
    if (kind == SIX_BITS) {
        sum = vfmaq_f32(sum, part, p->scale);
        return vfmaq_f32(sum, vmulq_n_f32(second, x->scale[1]), p->extra);
    }
    sum = vfmaq_f32(sum, vfmaq_n_f32(part, second, x->scale[1]), p->scale);
    return kind == OFFSET ? vfmaq_n_f32(sum, p->extra, x->sum) : sum;
}

#include "backends/cpu/panel.h"

#endif
