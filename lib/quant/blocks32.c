/* Blocks of 32 numbers: scale d (F16), in the _1 formats an offset m (F16), then the digits q.
 * Nibbles: the low ones of the 16 bytes are digits 0..15, the high ones 16..31. */
#include "codec.h"

#include <float.h>
#include <math.h>

enum { BLOCK = 32, HALF = BLOCK / 2 };

/* (q - 8) * d */
void loam__decode_q4_0(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 18) {
        float d = loam__read_f16(p);
        for (int i = 0; i < HALF; i++) {
            values[at + i] = (float)((p[2 + i] & 15) - 8) * d;
            values[at + HALF + i] = (float)((p[2 + i] >> 4) - 8) * d;
        }
    }
}

/* q * d + m */
void loam__decode_q4_1(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 20) {
        float d = loam__read_f16(p), m = loam__read_f16(p + 2);
        for (int i = 0; i < HALF; i++) {
            values[at + i] = (float)(p[4 + i] & 15) * d + m;
            values[at + HALF + i] = (float)(p[4 + i] >> 4) * d + m;
        }
    }
}

/* (q - 16) * d; bit i of a word is the fifth bit of digit i */
void loam__decode_q5_0(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 22) {
        float d = loam__read_f16(p);
        uint32_t fifth = loam__read_u32(p + 2);
        for (int i = 0; i < HALF; i++) {
            int low = (p[6 + i] & 15) | (int)(fifth >> i & 1) << 4;
            int high = p[6 + i] >> 4 | (int)(fifth >> (HALF + i) & 1) << 4;
            values[at + i] = (float)(low - 16) * d;
            values[at + HALF + i] = (float)(high - 16) * d;
        }
    }
}

/* q * d + m; fifth bits as in Q5_0 */
void loam__decode_q5_1(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 24) {
        float d = loam__read_f16(p), m = loam__read_f16(p + 2);
        uint32_t fifth = loam__read_u32(p + 4);
        for (int i = 0; i < HALF; i++) {
            int low = (p[8 + i] & 15) | (int)(fifth >> i & 1) << 4;
            int high = p[8 + i] >> 4 | (int)(fifth >> (HALF + i) & 1) << 4;
            values[at + i] = (float)low * d + m;
            values[at + HALF + i] = (float)high * d + m;
        }
    }
}

/* q * d, q a signed byte */
void loam__decode_q8_0(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 34) {
        float d = loam__read_f16(p);
        for (int i = 0; i < BLOCK; i++)
            values[at + i] = (float)(int8_t)p[2 + i] * d;
    }
}

/* The number of largest magnitude in a block, the first of equals; a NaN is larger than all. */
static float peak_of(const float *x)
{
    uint32_t most = 0, bits = 0;
    for (int i = 0; i < BLOCK; i++) {
        uint32_t magnitude = loam__bits_of(x[i]) & 0x7fffffffu;
        if (magnitude > most) {
            most = magnitude;
            bits = loam__bits_of(x[i]);
        }
    }
    return loam__float_of(bits);
}

/* 1 / d, or 0 if d is infinite, NaN or next to nothing: then all numbers of the block become d * 0.
 */
static float inverse(float d)
{
    return fabsf(d) >= FLT_MIN && fabsf(d) <= FLT_MAX ? 1 / d : 0;
}

/* The number of largest magnitude becomes -8 d, the others are rounded to the nearest step. */
void loam__encode_q4_0(const float *values, void *blocks, size_t n)
{
    uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 18) {
        float d = peak_of(values + at) / -8, steps = inverse(d);
        int q[BLOCK];
        for (int i = 0; i < BLOCK; i++) {
            q[i] = steps != 0 ? (int)(values[at + i] * steps + 8.5f) : 8;
            if (q[i] > 15) q[i] = 15;
        }
        loam__write_u16(p, loam__f32_to_f16(d));
        for (int i = 0; i < HALF; i++)
            p[2 + i] = (uint8_t)(q[i] | q[HALF + i] << 4);
    }
}

/* The number of largest magnitude becomes 127 d or -127 d; halves are rounded away from zero. */
void loam__encode_q8_0(const float *values, void *blocks, size_t n)
{
    uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 34) {
        float d = fabsf(peak_of(values + at)) / 127, steps = inverse(d);
        loam__write_u16(p, loam__f32_to_f16(d));
        for (int i = 0; i < BLOCK; i++)
            p[2 + i] = steps != 0 ? (uint8_t)(int8_t)roundf(values[at + i] * steps) : 0;
    }
}
