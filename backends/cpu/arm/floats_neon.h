/* Vectors of floats, by the names that they have at every width. */
#ifndef LOAM__CPU_FLOATS_NEON_H
#define LOAM__CPU_FLOATS_NEON_H

#include <arm_neon.h>
#include <float.h>
#include <string.h>

#include "arm.h"
#include "backends/cpu/inline.h"

enum { WIDTH = 4 }; /* floats in a vector */

typedef float32x4_t floats;

LOAM__INLINE floats zeros(void)
{
    return vdupq_n_f32(0);
}

LOAM__INLINE floats spread(float v)
{
    return vdupq_n_f32(v);
}

LOAM__INLINE floats load_floats(const float *p)
{
    return vld1q_f32(p);
}

LOAM__INLINE void store_floats(float *p, floats v)
{
    vst1q_f32(p, v);
}

LOAM__INLINE floats plus(floats a, floats b)
{
    return vaddq_f32(a, b);
}

LOAM__INLINE floats times(floats a, floats b)
{
    return vmulq_f32(a, b);
}

LOAM__INLINE floats over(floats a, floats b)
{
    return vdivq_f32(a, b);
}

/* a * b + c */
LOAM__INLINE floats times_plus(floats a, floats b, floats c)
{
    return vfmaq_f32(c, a, b);
}

/* b where one of them is NaN. */
LOAM__INLINE floats larger(floats a, floats b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

LOAM__INLINE float largest_lane(floats v)
{
    return vmaxnmvq_f32(v);
}

LOAM__INLINE float add_lanes(floats v)
{
    return vaddvq_f32(v);
}

/* The first n < 4 numbers of an array, zeros behind them; nothing beyond is touched. */
LOAM__INLINE float32x4_t load_first(const float *p, size_t n)
{
    float padded[WIDTH] = {0};
    memcpy(padded, p, n * sizeof *p);
    return vld1q_f32(padded);
}

LOAM__INLINE void store_first(float *p, size_t n, float32x4_t v)
{
    float lanes[WIDTH];
    vst1q_f32(lanes, v);
    memcpy(p, lanes, n * sizeof *p);
}

LOAM__INLINE uint16x4_t load_halves(const uint8_t *p)
{
    return vreinterpret_u16_u8(vld1_u8(p));
}

/* Four weights or cells of one of the float formats. */
LOAM__INLINE float32x4_t load_typed(loam_format type, const uint8_t *p)
{
    switch (type) {
    case LOAM_TYPE_F16:
        return vcvt_f32_f16(vreinterpret_f16_u16(load_halves(p)));
    case LOAM_TYPE_BF16:
        return vreinterpretq_f32_u32(vshll_n_u16(load_halves(p), 16));
    default:
        return vreinterpretq_f32_u8(vld1q_u8(p));
    }
}

/* The first n < 4 of them, zeros behind. */
LOAM__INLINE float32x4_t load_first_typed(loam_format type, const uint8_t *p, size_t n)
{
    uint8_t padded[WIDTH * sizeof(float)] = {0};
    memcpy(padded, p, n * type_bytes(type));
    return load_typed(type, padded);
}

/* 2^n for -126 <= n <= 127 */
LOAM__INLINE float32x4_t power_of_two(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

/* e^x within 2e-7 of itself; 0 and infinity where it leaves F32; NaN stays NaN. x = n ln 2 + r with
 * |r| <= ln(2) / 2, ln 2 in two parts (Cody and Waite 1980), and the Taylor series of e^r, whose
 * first term left out is below 6e-9. 2^n in two factors reaches the subnormal numbers and infinity.
 */
LOAM__INLINE float32x4_t exp_lanes(float32x4_t x)
{
    x = vmaxq_f32(vminq_f32(x, vdupq_n_f32(89.0f)), vdupq_n_f32(-110.0f));
    const float32x4_t n = vrndnq_f32(vmulq_n_f32(x, 0x1.715476p+0f));
    float32x4_t r = vfmsq_n_f32(x, n, 0x1.62e43p-1f);
    r = vfmsq_n_f32(r, n, -0x1.05c61p-29f);
    float32x4_t p = vdupq_n_f32(1.0f / 5040);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 720), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 120), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 24), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f / 6), p, r);
    p = vfmaq_f32(vdupq_n_f32(0.5f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f), p, r);
    const int32x4_t exponent = vcvtq_s32_f32(n), half = vshrq_n_s32(exponent, 1);
    return vmulq_f32(vmulq_f32(p, power_of_two(half)), power_of_two(vsubq_s32(exponent, half)));
}

#endif
