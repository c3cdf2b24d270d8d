/* Blocks of 32 numbers: scale d (F16), in the _1 formats an offset m (F16), then the digits q.
 * Nibbles: the low ones of the 16 bytes are digits 0..15, the high ones 16..31. */
#include "decode.h"

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
