/* Blocks of activations as panel_vnni.h has them. A set's file brings largest_bits() and
 * round_half() first. */
#ifndef LOAM__CPU_QUANTIZE_VNNI_H
#define LOAM__CPU_QUANTIZE_VNNI_H

#include <float.h>

_Static_assert(sizeof(q8) == 64, "a line of the caches");

/* To 22 significant bits. */
LOAM__INLINE float shortened(float scale)
{
    uint32_t bits;
    memcpy(&bits, &scale, sizeof bits);
    bits &= ~(uint32_t)3;
    memcpy(&scale, &bits, sizeof bits);
    return scale;
}

enum { NO_CENTER = 0 };

/* What goes with the numbers of a half, whose sum is known. */
LOAM__INLINE void describe_half(q8 *out, int half, int center, float scale, int sum)
{
    out->scale[half] = shortened(scale);
    out->base[half] = -MAGIC * out->scale[half];
    const float values = out->scale[half] * (float)sum;
    if (half == 0) {
        out->both_bases = out->base[0];
        out->sum = values;
    } else {
        out->both_bases += out->base[1];
        out->sum += values;
    }
    if (center == NO_CENTER) out->half_sums[half] = values;
    else out->start[half] = MAGIC_BITS - center * sum;
}

/* Values with NaN or infinity give NaN; such whose scale has no finite inverse count as zero. */
LOAM__INLINE void quantize_half(const float *x, int half, int center, q8 *out)
{
    const uint32_t bits = largest_bits(x);
    int8_t *q = out->q + half * HALF;
    float most;
    memcpy(&most, &bits, sizeof most);
    if (most <= FLT_MAX && most >= 0x1p-100f) {
        const int sum = round_half(x, 127.0f / most, q);
        describe_half(out, half, center, most / 127.0f, sum);
    } else {
        memset(q, 0, HALF);
        describe_half(out, half, center, most <= FLT_MAX ? 0 : most - most, 0);
    }
}

LOAM__INLINE void quantize_block(const float *x, int center, q8 *out)
{
    quantize_half(x, 0, center, out);
    quantize_half(x + HALF, 1, center, out);
}

#endif
