#define LOAM__KERNEL(name) loam__neon_##name
#include "tiles_neon.h"

/* ---- activations ---- */

size_t loam__neon_q8_bytes(size_t k)
{
    return (k / BLOCK * sizeof(q8) + 63) / 64 * 64;
}

/* The largest |x| of 16 values; NaN is above infinity. */
LOAM__INLINE float largest(const float32x4_t v[4])
{
    const uint32x4_t a = vreinterpretq_u32_f32(vabsq_f32(v[0]));
    const uint32x4_t b = vreinterpretq_u32_f32(vabsq_f32(v[1]));
    const uint32x4_t c = vreinterpretq_u32_f32(vabsq_f32(v[2]));
    const uint32x4_t d = vreinterpretq_u32_f32(vabsq_f32(v[3]));
    const uint32_t bits = vmaxvq_u32(vmaxq_u32(vmaxq_u32(a, b), vmaxq_u32(c, d)));
    float most;
    memcpy(&most, &bits, sizeof most);
    return most;
}

/* Two vectors, rounded. */
LOAM__INLINE int16x8_t whole(float32x4_t a, float32x4_t b, float per_step)
{
    const int32x4_t low = vcvtnq_s32_f32(vmulq_n_f32(a, per_step));
    return vqmovn_high_s32(vqmovn_s32(low), vcvtnq_s32_f32(vmulq_n_f32(b, per_step)));
}

/* Round 16 values to int8 and give their sum. One with NaN or infinity gives NaN; one whose scale
 * has no finite inverse counts as zero. */
LOAM__INLINE int quantize_half(const float *x, int8_t *q, float *scale)
{
    const float32x4_t v[4] = {vld1q_f32(x), vld1q_f32(x + 4), vld1q_f32(x + 8), vld1q_f32(x + 12)};
    const float most = largest(v);
    if (!(most <= FLT_MAX && most >= 0x1p-100f)) {
        *scale = most <= FLT_MAX ? 0 : most - most;
        memset(q, 0, HALF);
        return 0;
    }
    const float per_step = 127.0f / most;
    const int16x8_t low = whole(v[0], v[1], per_step), high = whole(v[2], v[3], per_step);
    *scale = most / 127.0f;
    vst1q_s8(q, vqmovn_high_s16(vqmovn_s16(low), high));
    return vaddlvq_s16(vaddq_s16(low, high));
}

void loam__neon_q8_prepare(const float *x, size_t k, void *column)
{
    q8 *out = column;
    for (size_t b = 0; b < k / BLOCK; b++, out++) {
        int sum[2];
        for (int h = 0; h < 2; h++) {
            sum[h] = quantize_half(x + b * BLOCK + h * HALF, out->q + h * HALF, &out->scale[h]);
            out->start[h] = -32 * sum[h];
        }
        out->sum = out->scale[0] * (float)sum[0] + out->scale[1] * (float)sum[1];
    }
}
