/* KV cells of every type as vectors of floats. */
#ifndef LOAM__CPU_CELLS_NEON_H
#define LOAM__CPU_CELLS_NEON_H

#include "backends/cpu/cells.h"
#include "floats_neon.h"

LOAM__INLINE float cell_scale(const uint8_t *block)
{
    uint16_t scale;
    memcpy(&scale, block, sizeof scale);
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(scale))), 0);
}

/* Four digits, from value `at` of a block on. */
LOAM__INLINE int32x4_t load_digits(loam_format type, const uint8_t *block, size_t at)
{
    const bool bytes = type == LOAM_TYPE_Q8_0;
    uint32_t four;
    memcpy(&four, block + 2 + (bytes ? at : at % 16), sizeof four);
    const uint8x8_t q = vreinterpret_u8_u32(vdup_n_u32(four));
    if (bytes) return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(q))));
    /* the low nibbles of 16 bytes, then the high ones */
    const uint8x8_t digits = at < 16 ? vand_u8(q, vdup_n_u8(15)) : vshr_n_u8(q, 4);
    const int8x8_t centered = vsub_s8(vreinterpret_s8_u8(digits), vdup_n_s8(8));
    return vmovl_s16(vget_low_s16(vmovl_s8(centered)));
}

/* Four cells of a row, from value `at` on. */
LOAM__INLINE floats load_cells(loam_format type, const uint8_t *row, size_t at)
{
    const uint8_t *cells = row + cell_bytes(type, at);
    if (!in_blocks(type)) return load_typed(type, cells);
    const int32x4_t digits = load_digits(type, cells, at % CELL_BLOCK);
    return vmulq_n_f32(vcvtq_f32_s32(digits), cell_scale(cells));
}

LOAM__INLINE void transpose(floats v[WIDTH])
{
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(v[0], v[1]));
    const float64x2_t b = vreinterpretq_f64_f32(vtrn2q_f32(v[0], v[1]));
    const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(v[2], v[3]));
    const float64x2_t d = vreinterpretq_f64_f32(vtrn2q_f32(v[2], v[3]));
    v[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    v[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    v[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    v[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

#endif
