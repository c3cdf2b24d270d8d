/* Number formats: one table, and for each the reference decoder that defines what its bytes mean,
 * and the reference encoder where there is one. */
#ifndef LOAM__QUANT_H
#define LOAM__QUANT_H

#include <loam/quant.h>

#include "lib/base/base.h"

typedef struct loam__format {
    loam_format type;
    uint32_t block_values;
    uint32_t block_bytes;
    const char *name;
    void (*decode)(const void *blocks, float *values,
                   size_t n); /* n a multiple of block_values; any alignment */
    void (*encode)(const float *values, void *blocks, size_t n); /* NULL: none yet */
} loam__format;

/* The formats, lowest type number first; NULL for a type that loam does not know. */
const loam__format *loam__format_find(loam_format type);
const loam__format *loam__format_at(size_t i); /* NULL beyond the last */

/* Bytes of a row of n values; false if n is no multiple of the block or the product does not fit.
 */
bool loam__format_row_bytes(const loam__format *f, uint64_t n, uint64_t *bytes);

/* Scalar conversions between F32 and the half formats (IEEE 754 binary16, and bfloat16); round to
 * nearest even. */
float loam__f16_to_f32(uint16_t h);
uint16_t loam__f32_to_f16(float f);
float loam__bf16_to_f32(uint16_t h);
uint16_t loam__f32_to_bf16(float f);

/* The grids of the IQ1, IQ2 and IQ3 formats. A point of IQ3 has four digits of 0..7, digit i at bit
 * i % 2 * 8 + i / 2 * 4 of its word; the others have eight of 0..2, digit i at bit
 * i % 2 * 8 + i / 2 * 2: so kernels need few shifts to make bytes of them. */
extern const uint16_t loam__grid_iq1[2048];
extern const uint16_t loam__grid_iq2_xxs[256];
extern const uint16_t loam__grid_iq2_xs[512];
extern const uint16_t loam__grid_iq2_s[1024];
extern const uint16_t loam__grid_iq3_xxs[256];
extern const uint16_t loam__grid_iq3_s[512];

#endif
