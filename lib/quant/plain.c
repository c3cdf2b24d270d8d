/* F32 and the half formats. The conversions give the bits that hardware gives, quieted NaNs
 * included, and use integer arithmetic where a host that flushes subnormal numbers to zero would
 * change the result. */
#include "codec.h"

/* bits / 2^shift, rounded to nearest, ties to even; shift 1 to 31. A carry into the exponent above
 * is what we want. */
static uint32_t round_shift(uint32_t bits, uint32_t shift)
{
    uint32_t half = 1u << (shift - 1), odd = bits >> shift & 1u;
    return (bits + (half - 1) + odd) >> shift;
}

float loam__f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = h >> 10 & 31u, fraction = h & 0x3ffu;
    if (exponent == 0) return loam__float_of(sign | loam__bits_of((float)fraction * 0x1p-24f));
    if (exponent == 31)
        return loam__float_of(sign | 0x7f800000u | (fraction ? 1u << 22 : 0) | fraction << 13);
    return loam__float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t loam__f32_to_f16(float f)
{
    uint32_t bits = loam__bits_of(f), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu,
             half;
    if (magnitude > 0x7f800000u) {
        half = 0x7e00u | (magnitude >> 13 & 0x3ffu);
    } else if (magnitude >= 0x47800000u) { /* 2^16; just below, rounding carries into infinity */
        half = 0x7c00u;
    } else if (magnitude >= 0x38800000u) { /* 2^-14: normal in both formats */
        half = round_shift(magnitude - (112u << 23), 13);
    } else if (magnitude >= 0x33000000u) { /* 2^-25: a multiple of 2^-24 is nearest, maybe 0 */
        half = round_shift((magnitude & 0x7fffffu) | 0x800000u, 126 - (magnitude >> 23));
    } else {
        half = 0;
    }
    return (uint16_t)(sign | half);
}

float loam__bf16_to_f32(uint16_t h)
{
    return loam__float_of((uint32_t)h << 16);
}

uint16_t loam__f32_to_bf16(float f)
{
    uint32_t bits = loam__bits_of(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)round_shift(bits, 16);
}

void loam__decode_f32(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t i = 0; i < n; i++)
        values[i] = loam__float_of(loam__read_u32(p + 4 * i));
}

void loam__decode_f16(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t i = 0; i < n; i++)
        values[i] = loam__read_f16(p + 2 * i);
}

void loam__decode_bf16(const void *blocks, float *values, size_t n)
{
    const uint8_t *p = blocks;
    for (size_t i = 0; i < n; i++)
        values[i] = loam__bf16_to_f32(loam__read_u16(p + 2 * i));
}

void loam__encode_f32(const float *values, void *blocks, size_t n)
{
    uint8_t *p = blocks;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = loam__bits_of(values[i]);
        loam__write_u16(p + 4 * i, (uint16_t)bits);
        loam__write_u16(p + 4 * i + 2, (uint16_t)(bits >> 16));
    }
}

void loam__encode_f16(const float *values, void *blocks, size_t n)
{
    uint8_t *p = blocks;
    for (size_t i = 0; i < n; i++)
        loam__write_u16(p + 2 * i, loam__f32_to_f16(values[i]));
}

void loam__encode_bf16(const float *values, void *blocks, size_t n)
{
    uint8_t *p = blocks;
    for (size_t i = 0; i < n; i++)
        loam__write_u16(p + 2 * i, loam__f32_to_bf16(values[i]));
}
