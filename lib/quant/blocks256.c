/* Blocks of 256 numbers, the K formats. Products of a scale, a group's scale and a digit fit into
 * 24 bits, so they are exact in F32 and only the final subtraction rounds. */
#include "codec.h"

enum { BLOCK = 256 };

/* 16 bytes: the scale of each 16 numbers in the low nibble, the minimum in the high one; 64 bytes;
 * F16 d, F16 dmin. Each half of the block has 32 bytes and four runs of 32 numbers, in bits 0-1,
 * 2-3, 4-5 and 6-7 of those bytes. Value: d * scale * q - dmin * minimum */
void loam__decode_q2_k(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 84) {
        float d = loam__read_f16(p + 80), dmin = loam__read_f16(p + 82);
        for (int i = 0; i < BLOCK; i++) {
            int run = i / 32, q = p[16 + run / 4 * 32 + i % 32] >> run % 4 * 2 & 3;
            float scale = d * (float)(p[i / 16] & 15), m = dmin * (float)(p[i / 16] >> 4);
            values[at + i] = scale * (float)q - m;
        }
    }
}

/* Q3_K: sixteen scales of 6 bits, 32 above what they mean, in 12 bytes: the low 4 bits of scales 0
 * to 7 in the low nibbles of bytes 0..7, of 8 to 15 in the high ones; the upper 2 of scale i in
 * bits i / 4 * 2 of byte 8 + i % 4. */
static int signed_scale(const uint8_t *packed, int i)
{
    return (packed[i % 8] >> i / 8 * 4 & 15) + (packed[8 + i % 4] >> i / 4 * 2 & 3) * 16 - 32;
}

/* 32 bytes: bit g of byte i is the third bit of digit i of run g; 64 bytes of low bits as in Q2_K;
 * 12 bytes of scales; F16 d. Value: d * scale * (q - 4) */
void loam__decode_q3_k(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 110) {
        float d = loam__read_f16(p + 108);
        for (int i = 0; i < BLOCK; i++) {
            int run = i / 32, third = p[i % 32] >> run & 1;
            int q = (p[32 + run / 4 * 32 + i % 32] >> run % 4 * 2 & 3) + third * 4;
            values[at + i] = d * (float)signed_scale(p + 96, i / 16) * (float)(q - 4);
        }
    }
}

/* Q4_K and Q5_K: eight groups of 32, each with a scale and a minimum of 6 bits, packed into 12
 * bytes: groups 0 to 3 in the low 6 bits of bytes 0..3 and 4..7; of groups 4 to 7 the low 4 bits in
 * the nibbles of bytes 8..11, the upper 2 in the top bits of bytes 0..3 and 4..7. */
static void group_scale(const uint8_t *packed, int group, int *scale, int *minimum)
{
    if (group < 4) {
        *scale = packed[group] & 63;
        *minimum = packed[group + 4] & 63;
    } else {
        *scale = (packed[group + 4] & 15) | packed[group - 4] >> 6 << 4;
        *minimum = packed[group + 4] >> 4 | packed[group] >> 6 << 4;
    }
}

/* F16 d, F16 dmin, 12 bytes of scales, 128 bytes: 32 bytes hold two groups, in their low and in
 * their high nibbles. Value: d * scale * q - dmin * minimum */
void loam__decode_q4_k(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 144) {
        for (int group = 0; group < 8; group++) {
            const uint8_t *nibbles = p + 16 + group / 2 * 32;
            float *out = values + at + group * 32;
            int scale, minimum;
            group_scale(p + 4, group, &scale, &minimum);
            float d = loam__read_f16(p) * (float)scale;
            float m = loam__read_f16(p + 2) * (float)minimum;
            for (int i = 0; i < 32; i++)
                out[i] = d * (float)(nibbles[i] >> group % 2 * 4 & 15) - m;
        }
    }
}

/* As Q4_K, with 32 bytes before the nibbles: bit g of byte i is the fifth bit of digit i of group
 * g. */
void loam__decode_q5_k(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 176) {
        for (int group = 0; group < 8; group++) {
            const uint8_t *fifth = p + 16, *nibbles = p + 48 + group / 2 * 32;
            float *out = values + at + group * 32;
            int scale, minimum;
            group_scale(p + 4, group, &scale, &minimum);
            float d = loam__read_f16(p) * (float)scale;
            float m = loam__read_f16(p + 2) * (float)minimum;
            for (int i = 0; i < 32; i++) {
                int q = (nibbles[i] >> group % 2 * 4 & 15) | (fifth[i] >> group & 1) << 4;
                out[i] = d * (float)q - m;
            }
        }
    }
}

/* 128 bytes of low nibbles, 64 bytes of upper 2 bits, 16 signed scales of 16 numbers each, F16 d.
 * Each half of the block has 64 + 32 bytes and four runs of 32: their nibbles are the low ones of
 * bytes 0..31 and 32..63, then the high ones; their upper bits lie in bits 0-1, 2-3, 4-5, 6-7.
 * Value: d * scale * (q - 32) */
void loam__decode_q6_k(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 210) {
        float d = loam__read_f16(p + 208);
        for (int run = 0; run < 8; run++) {
            int half = run / 4, quarter = run % 4;
            const uint8_t *low = p + half * 64 + quarter % 2 * 32;
            const uint8_t *upper = p + 128 + half * 32, *scales = p + 192 + run * 2;
            float *out = values + at + run * 32;
            for (int i = 0; i < 32; i++) {
                int q = (low[i] >> quarter / 2 * 4 & 15) | (upper[i] >> quarter * 2 & 3) << 4;
                out[i] = d * (float)(int8_t)scales[i / 16] * (float)(q - 32);
            }
        }
    }
}
