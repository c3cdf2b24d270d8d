/* Formats whose digits of 4 bits are places in a table. Products of a scale and a table's value fit
 * into 24 bits, so they are exact. Nibbles: the low ones of a run of bytes are its first half of
 * the digits, the high ones its second. */
#include "codec.h"

/* IQ4: steps that are narrow near zero, where most weights are. */
static const int8_t narrow[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};

/* E2M1, the 4-bit float of "OCP Microscaling Formats (MX) Specification" 1.0, times two. */
static const int8_t e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* 2 * `bytes` values. */
static void look_up(const int8_t *table, const uint8_t *nibbles, int bytes, float d, float *values)
{
    for (int i = 0; i < bytes; i++) {
        values[i] = d * (float)table[nibbles[i] & 15];
        values[bytes + i] = d * (float)table[nibbles[i] >> 4];
    }
}

/* F16 d, 16 bytes */
void loam__decode_iq4_nl(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += 32, p += 18)
        look_up(narrow, p + 2, 16, loam__read_f16(p), values + at);
}

/* F16 d; eight scales of 6 bits, 32 above what they mean: the upper 2 bits of scale i in bits 2 i
 * of a word, the lower 4 in nibble i of four bytes; then 16 bytes of digits for each scale. */
void loam__decode_iq4_xs(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += 256, p += 136) {
        float d = loam__read_f16(p);
        uint32_t upper = loam__read_u16(p + 2), lower = loam__read_u32(p + 4);
        for (int i = 0; i < 8; i++) {
            int scale = (int)((lower >> 4 * i & 15) | (upper >> 2 * i & 3) << 4) - 32;
            look_up(narrow, p + 8 + 16 * i, 16, d * (float)scale, values + at + 32 * i);
        }
    }
}

/* 2^(e - 128): E8M0, a power of two with a bias of 127, and the half that makes up for e2m1. The
 * two least are subnormal. 255, a NaN in the specification, is the next power here, as where such
 * files come from. */
static float half_e8m0(uint32_t e)
{
    return loam__float_of(e < 2 ? 0x200000u << e : (e - 1) << 23);
}

/* E8M0 scale, 16 bytes */
void loam__decode_mxfp4(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += 32, p += 17)
        look_up(e2m1, p + 1, 16, half_e8m0(p[0]), values + at);
}

/* Half of an unsigned E4M3: 4 bits of exponent with a bias of 7, 3 bits of fraction. All bits set,
 * a NaN, counts as zero. */
static float half_e4m3(int bits)
{
    uint32_t exponent = (uint32_t)bits >> 3 & 15, fraction = (uint32_t)bits & 7;
    if ((bits & 127) == 127) return 0;
    if (exponent == 0) return (float)fraction * 0x1p-10f;
    return loam__float_of((exponent + 119) << 23 | fraction << 20);
}

/* Four E4M3 scales of 16 values each, then 8 bytes of digits for each. */
void loam__decode_nvfp4(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t at = 0; at < n; at += 64, p += 36)
        for (int i = 0; i < 4; i++)
            look_up(e2m1, p + 4 + 8 * i, 8, half_e4m3(p[i]), values + at + 16 * i);
}
