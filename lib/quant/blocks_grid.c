/* Blocks of 256 numbers whose magnitudes are points of a grid: a point's number stands for four or
 * eight of them. Products of the scales and a magnitude fit into 24 bits, so that every value is
 * exact. */
#include "codec.h"

enum { BLOCK = 256 };

/* Seven signs; the eighth makes the number of minus signs even. */
static unsigned even_signs(unsigned seven)
{
    unsigned odd = seven ^ seven >> 4;
    odd ^= odd >> 2;
    odd ^= odd >> 1;
    return seven | (odd & 1) << 7;
}

/* Eight numbers of an IQ2 format; bit i is the sign of number i. */
static void put_iq2(float *out, uint16_t point, unsigned signs, float scale)
{
    static const float magnitudes[] = {8, 25, 43, 0};
    for (int i = 0; i < 8; i++) {
        float value = scale * magnitudes[point >> (i % 2 * 8 + i / 2 * 2) & 3];
        out[i] = signs >> i & 1 ? -value : value;
    }
}

/* Four numbers of an IQ3 format. */
static void put_iq3(float *out, uint16_t point, const float magnitudes[8], unsigned signs,
                    float scale)
{
    for (int i = 0; i < 4; i++) {
        float value = scale * magnitudes[point >> (i % 2 * 8 + i / 2 * 4) & 7];
        out[i] = signs >> i & 1 ? -value : value;
    }
}

/* Eight numbers of an IQ1 format: scale * (-1, 0 or 1, and delta, which is +-1/8) */
static void put_iq1(float *out, uint16_t point, float delta, float scale)
{
    for (int i = 0; i < 8; i++)
        out[i] = scale * ((float)(point >> (i % 2 * 8 + i / 2 * 2) & 3) - 1 + delta);
}

/* F16 d; for each 32 numbers four bytes, the points, and a word: four times seven signs, then the
 * scale s. Scale: d * (2s + 1) / 8 */
void loam__decode_iq2_xxs(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 66) {
        for (int run = 0; run < 8; run++) {
            const uint8_t *points = p + 2 + run * 8;
            uint32_t rest = loam__read_u32(points + 4);
            float scale = loam__read_f16(p) * (float)(2 * (rest >> 28) + 1) * 0.125f;
            for (int i = 0; i < 4; i++)
                put_iq2(values + at + run * 32 + i * 8, loam__grid_iq2_xxs[points[i]],
                        even_signs(rest >> 7 * i & 127), scale);
        }
    }
}

/* Nibble `run` of the scales s, for 16 numbers. */
static float iq2_scale(float d, const uint8_t *scales, int run)
{
    int s = scales[run / 2] >> run % 2 * 4 & 15;
    return d * (float)(2 * s + 1) * 0.125f;
}

/* F16 d; 32 words of 9 bits for a point and seven signs; 8 bytes of scales */
void loam__decode_iq2_xs(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 74) {
        for (int i = 0; i < 32; i++) {
            uint16_t word = loam__read_u16(p + 2 + i * 2);
            put_iq2(values + at + i * 8, loam__grid_iq2_xs[word & 511], even_signs(word >> 9),
                    iq2_scale(loam__read_f16(p), p + 66, i / 2));
        }
    }
}

/* F16 d; the low bytes of 32 points; 32 bytes of signs; 8 bytes with the upper 2 bits of four
 * points each; 8 bytes of scales */
void loam__decode_iq2_s(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 82) {
        for (int i = 0; i < 32; i++) {
            int point = p[2 + i] | (p[66 + i / 4] >> i % 4 * 2 & 3) << 8;
            put_iq2(values + at + i * 8, loam__grid_iq2_s[point], p[34 + i],
                    iq2_scale(loam__read_f16(p), p + 74, i / 2));
        }
    }
}

/* F16 d; 64 points; for each 32 numbers a word: four times seven signs, then the scale s.
 * Scale: d * (2s + 1) / 4 */
void loam__decode_iq3_xxs(const void *blocks, float *values, size_t n)
{
    static const float magnitudes[8] = {4, 12, 20, 28, 36, 44, 52, 62};
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 98) {
        for (int i = 0; i < 64; i++) {
            uint32_t rest = loam__read_u32(p + 66 + i / 8 * 4);
            float scale = loam__read_f16(p) * (float)(2 * (rest >> 28) + 1) * 0.25f;
            unsigned signs = even_signs(rest >> i % 8 / 2 * 7 & 127);
            put_iq3(values + at + i * 4, loam__grid_iq3_xxs[p[2 + i]], magnitudes,
                    signs >> i % 2 * 4, scale);
        }
    }
}

/* F16 d; the low bytes of 64 points; 8 bytes with the ninth bits of eight points each; 32 bytes of
 * signs; a nibble s for each 32 numbers. Scale: d * (2s + 1) */
void loam__decode_iq3_s(const void *blocks, float *values, size_t n)
{
    static const float magnitudes[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 110) {
        for (int i = 0; i < 64; i++) {
            int point = p[2 + i] | (p[66 + i / 8] >> i % 8 & 1) << 8;
            int s = p[106 + i / 16] >> i / 8 % 2 * 4 & 15;
            put_iq3(values + at + i * 4, loam__grid_iq3_s[point], magnitudes,
                    p[74 + i / 2] >> i % 2 * 4, loam__read_f16(p) * (float)(2 * s + 1));
        }
    }
}

/* F16 d; the low bytes of 32 points; for each 32 numbers a word: four times the upper 3 bits of a
 * point, then the scale s, then the sign of delta. Scale: d * (2s + 1) */
void loam__decode_iq1_s(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 50) {
        for (int i = 0; i < 32; i++) {
            uint32_t word = loam__read_u16(p + 34 + i / 4 * 2);
            uint32_t point = p[2 + i] | (word >> i % 4 * 3 & 7) << 8;
            float scale = loam__read_f16(p) * (float)(2 * (word >> 12 & 7) + 1);
            put_iq1(values + at + i * 8, loam__grid_iq1[point], word >> 15 ? -0.125f : 0.125f,
                    scale);
        }
    }
}

/* The low bytes of 32 points; for each point a nibble, its upper 3 bits and the sign of delta; four
 * words: four times a scale s of 3 bits for 16 numbers, then a nibble of the F16 d, lowest first.
 * Scale: d * (2s + 1) */
void loam__decode_iq1_m(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += BLOCK, p += 56) {
        unsigned half = 0;
        for (int i = 0; i < 4; i++)
            half |= (unsigned)(p[49 + i * 2] >> 4) << i * 4;
        float d = loam__f16_to_f32((uint16_t)half);
        for (int i = 0; i < 32; i++) {
            int upper = p[32 + i / 2] >> i % 2 * 4;
            int s = loam__read_u16(p + 48 + i / 8 * 2) >> i / 2 % 4 * 3 & 7;
            put_iq1(values + at + i * 8, loam__grid_iq1[p[i] | (upper & 7) << 8],
                    upper & 8 ? -0.125f : 0.125f, d * (float)(2 * s + 1));
        }
    }
}
