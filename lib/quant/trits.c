/* Formats of one F16 scale d and digits of very few values: d * (q - 1), or for one bit d * (2 q -
 * 1). */
#include "codec.h"

/* The first ternary digit of the fraction byte / 256, after `skip` others. */
static int ternary_digit(uint8_t byte, int skip)
{
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    return (uint8_t)(byte * powers[skip]) * 3 >> 8;
}

/* Digits 0.. of `bytes` bytes, then the next of each, and so on. */
static float *ternary_digits(const uint8_t *p, int bytes, int digits, float d, float *values)
{
    for (int digit = 0; digit < digits; digit++)
        for (int i = 0; i < bytes; i++)
            *values++ = d * (float)(ternary_digit(p[i], digit) - 1);
    return values;
}

/* 32 bytes of five digits each, 16 more, 4 bytes of four digits each; d. */
void loam__decode_tq1_0(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += 256, p += 54) {
        float d = loam__read_f16(p + 52), *out = values + at;
        out = ternary_digits(p, 32, 5, d, out);
        out = ternary_digits(p + 32, 16, 5, d, out);
        ternary_digits(p + 48, 4, 4, d, out);
    }
}

/* 64 bytes, d. Each half of the block has 32 bytes and four runs of 32 numbers, in bits 0-1, 2-3,
 * 4-5 and 6-7 of those bytes. */
void loam__decode_tq2_0(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += 256, p += 66) {
        float d = loam__read_f16(p + 64);
        for (int i = 0; i < 256; i++) {
            int run = i / 32, q = p[run / 4 * 32 + i % 32] >> run % 4 * 2 & 3;
            values[at + i] = d * (float)(q - 1);
        }
    }
}

/* d, 128 bits, the lowest of each byte first */
void loam__decode_q1_0(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += 128, p += 18) {
        float d = loam__read_f16(p);
        for (int i = 0; i < 128; i++)
            values[at + i] = p[2 + i / 8] >> i % 8 & 1 ? d : -d;
    }
}

/* d, 64 times two bits, the lowest of each byte first */
void loam__decode_q2_0(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += 64, p += 18) {
        float d = loam__read_f16(p);
        for (int i = 0; i < 64; i++)
            values[at + i] = d * (float)((p[2 + i / 4] >> i % 4 * 2 & 3) - 1);
    }
}
