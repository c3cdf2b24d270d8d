/* What is done number by number: norms, sums, activations, rotations, KV cells. */
#include "floats_neon.h"

#include <math.h>

#define LOAM__KERNEL(name) loam__neon_##name
#include "backends/cpu/elementwise.h"

void loam__neon_rms_norm(const float *x, const float *weight, float *y, size_t n, float eps)
{
    const size_t whole = n / WIDTH * WIDTH;
    float64x2_t low = vdupq_n_f64(0), high = vdupq_n_f64(0);
    for (size_t i = 0; i < n; i += WIDTH) {
        const float32x4_t v = i < whole ? vld1q_f32(x + i) : load_first(x + i, n - i);
        const float64x2_t a = vcvt_f64_f32(vget_low_f32(v)), b = vcvt_high_f64_f32(v);
        low = vfmaq_f64(low, a, a);
        high = vfmaq_f64(high, b, b);
    }
    const double squares = vaddvq_f64(vaddq_f64(low, high));
    const float scale = (float)(1 / sqrt(squares / (double)n + (double)eps));
    for (size_t i = 0; i < whole; i += WIDTH)
        vst1q_f32(y + i, vmulq_f32(vmulq_n_f32(vld1q_f32(x + i), scale), vld1q_f32(weight + i)));
    for (size_t i = whole; i < n; i++)
        y[i] = x[i] * scale * weight[i];
}

/* Pairs (a, b), turned; a vector of cosines and one of sines. */
LOAM__INLINE float32x4x2_t turned(float32x4_t a, float32x4_t b, float32x4x2_t turn)
{
    return (float32x4x2_t){
        {vsubq_f32(vmulq_f32(a, turn.val[0]), vmulq_f32(b, turn.val[1])),
         vaddq_f32(vmulq_f32(a, turn.val[1]), vmulq_f32(b, turn.val[0]))},
    };
}

/* Pair i of a head is (x[2i], x[2i + 1]). */
static void rope_pairs(const float *x, const float *cos_sin, float *y, size_t n)
{
    size_t i = 0;
    for (; i + 2 * WIDTH <= n; i += 2 * WIDTH) {
        const float32x4x2_t v = vld2q_f32(x + i);
        vst2q_f32(y + i, turned(v.val[0], v.val[1], vld2q_f32(cos_sin + i)));
    }
    for (; i < n; i += 2) {
        const float c = cos_sin[i], s = cos_sin[i + 1], a = x[i], b = x[i + 1];
        y[i] = a * c - b * s;
        y[i + 1] = a * s + b * c;
    }
}

/* Pair i of a head is (x[i], x[i + half]). */
static void rope_halves(const float *x, const float *cos_sin, float *y, size_t half)
{
    size_t i = 0;
    for (; i + WIDTH <= half; i += WIDTH) {
        const float32x4x2_t v =
            turned(vld1q_f32(x + i), vld1q_f32(x + half + i), vld2q_f32(cos_sin + 2 * i));
        vst1q_f32(y + i, v.val[0]);
        vst1q_f32(y + half + i, v.val[1]);
    }
    for (; i < half; i++) {
        const float c = cos_sin[2 * i], s = cos_sin[2 * i + 1], a = x[i], b = x[half + i];
        y[i] = a * c - b * s;
        y[half + i] = a * s + b * c;
    }
}

void loam__neon_rope(const float *x, const float *cos_sin, float *y, int32_t style, uint32_t heads,
                     uint32_t head_values, uint32_t rotary_values)
{
    const size_t half = rotary_values / 2;
    for (uint32_t h = 0; h < heads; h++, x += head_values, y += head_values) {
        if (style == LOAM_ROPE_PAIRS) rope_pairs(x, cos_sin, y, 2 * half);
        else rope_halves(x, cos_sin, y, half);
        memcpy(y + 2 * half, x + 2 * half, (head_values - 2 * half) * sizeof *y);
    }
}

/* Four numbers as BF16: to nearest, ties to even; a NaN stays one, quieted. */
LOAM__INLINE uint16x4_t to_bf16(float32x4_t v)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(v), upper = vshrq_n_u32(bits, 16);
    const uint32x4_t odd = vandq_u32(upper, vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, odd), vdupq_n_u32(0x7fff));
    const uint32x4_t quiet = vorrq_u32(upper, vdupq_n_u32(0x40));
    return vmovn_u32(vbslq_u32(vceqq_f32(v, v), vshrq_n_u32(rounded, 16), quiet));
}

LOAM__INLINE uint16x4_t to_half(loam_format type, float32x4_t v)
{
    return type == LOAM_TYPE_F16 ? vreinterpret_u16_f16(vcvt_f16_f32(v)) : to_bf16(v);
}

LOAM__INLINE void write_halves(loam_format type, const float *x, uint8_t *out, size_t n)
{
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        vst1_u8(out + 2 * i, vreinterpret_u8_u16(to_half(type, vld1q_f32(x + i))));
    if (i < n) {
        uint16_t last[WIDTH];
        vst1_u16(last, to_half(type, load_first(x + i, n - i)));
        memcpy(out + 2 * i, last, 2 * (n - i));
    }
}

void loam__neon_kv_write(const float *x, void *cells, loam_format type, size_t n)
{
    if (type == LOAM_TYPE_F16) write_halves(LOAM_TYPE_F16, x, cells, n);
    else if (type == LOAM_TYPE_BF16) write_halves(LOAM_TYPE_BF16, x, cells, n);
    else loam__cpu_scalar.kv_write(x, cells, type, n);
}
