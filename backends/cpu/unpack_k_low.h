/* Formats with blocks of 256 values: Q2_K, Q3_K. For every instruction set: its own panel header
 * comes first. */
#ifndef LOAM__CPU_UNPACK_K_LOW_H
#define LOAM__CPU_UNPACK_K_LOW_H

#include "backends/cpu/unpack_bits.h"

/* ---- Q2_K: 16 bytes of scales and mins, 64 of bit pairs, F16 scale, F16 min ---- */

/* A byte for each 16 values: the scale in the low nibble, the min in the high one. */
typedef struct q2_header {
    floats scale[2]; /* for digits in bits 0-1, and for those in bits 2-3, which are four times
                        what they mean */
    floats min;      /* negated */
    ints scales[4], mins[4];
} q2_header;

LOAM__INLINE q2_header unpack_q2_header(row_pointers rows, size_t at)
{
    const ints mask = VECTOR(set1_epi8)(15);
    ints v[4];
    floats min;
    q2_header h;
    split_f16(gather4(rows, at + 80), &h.scale[0], &min);
    h.scale[1] = VECTOR(mul_ps)(h.scale[0], VECTOR(set1_ps)(0.25f));
    h.min = VECTOR(mul_ps)(min, VECTOR(set1_ps)(-HALF_MIN));
    gather16(rows, at, v);
    for (int i = 0; i < 4; i++) {
        h.scales[i] = bits_and(v[i], mask);
        h.mins[i] = bits_and(VECTOR(srli_epi16)(v[i], 4), mask);
    }
    return h;
}

/* Sub-block i, whose digits are in these bits of v. */
LOAM__INLINE void unpack_q2_k_sub(const ints v[8], int bits, const q2_header *h, int i, sink *s)
{
    const ints mask = VECTOR(set1_epi8)((char)bits), scales = h->scales[i / 2],
               mins = h->mins[i / 2];
    const int first = i % 2 * 2, second = first + 1;
    piece p;
    for (int j = 0; j < 8; j++)
        p.w[j] = bits_and(v[j], mask);
    set_halves(&p, VECTOR(mul_ps)(h->scale[i % 2], byte_as_float(scales, first)),
               VECTOR(mul_ps)(h->scale[i % 2], byte_as_float(scales, second)));
    set_half_mins(&p, VECTOR(mul_ps)(h->min, byte_as_float(mins, first)),
                  VECTOR(mul_ps)(h->min, byte_as_float(mins, second)));
    emit(s, HALVES, &p);
}

LOAM__INLINE void unpack_q2_k(row_pointers rows, size_t at, sink *s)
{
    const q2_header h = unpack_q2_header(rows, at);
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        ints v[8];
        gather32(rows, at + 16 + 32 * (size_t)half, v);
        unpack_q2_k_sub(v, 0x03, &h, 4 * half, s);
        unpack_q2_k_sub(v, 0x0c, &h, 4 * half + 1, s);
        for (int j = 0; j < 8; j++)
            v[j] = VECTOR(srli_epi16)(v[j], 4);
        unpack_q2_k_sub(v, 0x03, &h, 4 * half + 2, s);
        unpack_q2_k_sub(v, 0x0c, &h, 4 * half + 3, s);
    }
}

/* ---- Q3_K: 32 bytes of third bits, 64 of bit pairs, 12 of scales, F16 scale ---- */

/* The sixteen scales of 6 bits, as int8. */
LOAM__INLINE void unpack_q3_scales(row_pointers rows, size_t at, ints scales[4])
{
    const ints four = VECTOR(set1_epi8)(0x0f), two = VECTOR(set1_epi8)(0x30),
               center = VECTOR(set1_epi8)(32);
    ints v[4]; /* the last of the pairs; low four bits, twice; the upper two */
    gather16(rows, at + 92, v);
    scales[0] = bits_or(bits_and(v[1], four), bits_and(VECTOR(slli_epi16)(v[3], 4), two));
    scales[1] = bits_or(bits_and(v[2], four), bits_and(VECTOR(slli_epi16)(v[3], 2), two));
    scales[2] = bits_or(bits_and(VECTOR(srli_epi16)(v[1], 4), four), bits_and(v[3], two));
    scales[3] = bits_or(bits_and(VECTOR(srli_epi16)(v[2], 4), four),
                        bits_and(VECTOR(srli_epi16)(v[3], 2), two));
    for (int i = 0; i < 4; i++)
        scales[i] = VECTOR(sub_epi8)(scales[i], center);
}

/* Bit i of byte j of `high` is the third bit of value j of sub-block i. The kind has a center of
 * 32, the format one of 4. */
LOAM__INLINE void third_bits(const ints high[8], int i, ints w[8])
{
    const ints four = VECTOR(set1_epi8)(4), more = VECTOR(set1_epi8)(32 - 4);
    for (int j = 0; j < 8; j++) {
        const ints bit =
            i < 2 ? VECTOR(slli_epi16)(high[j], 2 - i) : VECTOR(srli_epi16)(high[j], i - 2);
        w[j] = VECTOR(add_epi8)(bits_or(w[j], bits_and(bit, four)), more);
    }
}

LOAM__INLINE void unpack_q3_k(row_pointers rows, size_t at, sink *s)
{
    ints scales[4], high[8];
    const floats scale = gather_f16(rows, at + 108);
    unpack_q3_scales(rows, at, scales);
    gather32(rows, at, high);
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        ints v[8];
        gather32(rows, at + 32 + 32 * (size_t)half, v);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            piece p;
            bit_pairs(v, i, p.w);
            third_bits(high, 4 * half + i, p.w);
            set_six_bit_scales(scale, scales[2 * half + i / 2], i % 2, &p);
            emit(s, SIX_BITS, &p);
        }
    }
}

PRODUCT(q2_k, HALVES, 256, 84, IN_ORDER)
PRODUCT(q3_k, SIX_BITS, 256, 110, JUMPING)

#endif
