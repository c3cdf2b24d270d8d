/* The codecs behind the table of formats. Blocks may have any alignment and are little-endian on
 * every host. */
#ifndef LOAM__QUANT_CODEC_H
#define LOAM__QUANT_CODEC_H

#include <string.h>

#include "lib/quant/quant.h"

LOAM__INLINE float loam__float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

LOAM__INLINE uint32_t loam__bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

LOAM__INLINE uint16_t loam__read_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

LOAM__INLINE uint32_t loam__read_u32(const uint8_t *p)
{
    return loam__read_u16(p) | (uint32_t)loam__read_u16(p + 2) << 16;
}

LOAM__INLINE float loam__read_f16(const uint8_t *p)
{
    return loam__f16_to_f32(loam__read_u16(p));
}

LOAM__INLINE void loam__write_u16(uint8_t *p, uint16_t n)
{
    p[0] = (uint8_t)n;
    p[1] = (uint8_t)(n >> 8);
}

/* plain.c: one number a block */
void loam__decode_f32(const void *blocks, float *values, size_t n);
void loam__decode_f16(const void *blocks, float *values, size_t n);
void loam__decode_bf16(const void *blocks, float *values, size_t n);
void loam__encode_f32(const float *values, void *blocks, size_t n);
void loam__encode_f16(const float *values, void *blocks, size_t n);
void loam__encode_bf16(const float *values, void *blocks, size_t n);

/* blocks32.c: 32 numbers a block */
void loam__decode_q4_0(const void *blocks, float *values, size_t n);
void loam__decode_q4_1(const void *blocks, float *values, size_t n);
void loam__decode_q5_0(const void *blocks, float *values, size_t n);
void loam__decode_q5_1(const void *blocks, float *values, size_t n);
void loam__decode_q8_0(const void *blocks, float *values, size_t n);
void loam__encode_q4_0(const float *values, void *blocks, size_t n);
void loam__encode_q8_0(const float *values, void *blocks, size_t n);

/* blocks256.c: 256 numbers a block, in smaller groups that have scales of their own */
void loam__decode_q2_k(const void *blocks, float *values, size_t n);
void loam__decode_q3_k(const void *blocks, float *values, size_t n);
void loam__decode_q4_k(const void *blocks, float *values, size_t n);
void loam__decode_q5_k(const void *blocks, float *values, size_t n);
void loam__decode_q6_k(const void *blocks, float *values, size_t n);

/* lookup.c: digits of 4 bits that stand for the values of a table */
void loam__decode_iq4_nl(const void *blocks, float *values, size_t n);
void loam__decode_iq4_xs(const void *blocks, float *values, size_t n);
void loam__decode_mxfp4(const void *blocks, float *values, size_t n);
void loam__decode_nvfp4(const void *blocks, float *values, size_t n);

/* trits.c: one scale, and digits of two, three or four values */
void loam__decode_tq1_0(const void *blocks, float *values, size_t n);
void loam__decode_tq2_0(const void *blocks, float *values, size_t n);
void loam__decode_q1_0(const void *blocks, float *values, size_t n);
void loam__decode_q2_0(const void *blocks, float *values, size_t n);
/* blocks_grid.c: 256 numbers a block, four or eight of them at once as a point of a grid */
void loam__decode_iq2_xxs(const void *blocks, float *values, size_t n);
void loam__decode_iq2_xs(const void *blocks, float *values, size_t n);
void loam__decode_iq3_xxs(const void *blocks, float *values, size_t n);
void loam__decode_iq1_s(const void *blocks, float *values, size_t n);
void loam__decode_iq3_s(const void *blocks, float *values, size_t n);
void loam__decode_iq2_s(const void *blocks, float *values, size_t n);
void loam__decode_iq1_m(const void *blocks, float *values, size_t n);

#endif
