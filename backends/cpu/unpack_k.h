/* Formats with blocks of 256 values: Q4_K, Q5_K, Q6_K. For every instruction set: its own panel
 * header comes first. */
#ifndef LOAM__CPU_UNPACK_K_H
#define LOAM__CPU_UNPACK_K_H

#include "backends/cpu/unpack_bits.h"

enum { SUB_BLOCKS = 8 }; /* of 32 values in a block */

/* ---- Q4_K, Q5_K: F16 scale and min, then for each sub-block a 6-bit scale and a 6-bit min ---- */

/* Byte i of a row's dword is for sub-block i, and in the second vector for sub-block 4 + i. */
typedef struct k_header {
    floats scale, min; /* min is negated: a weight is scale * s * w - min * m */
    ints scales[2], mins[2];
} k_header;

LOAM__INLINE k_header unpack_header(row_pointers rows, size_t at)
{
    const ints six = VECTOR(set1_epi8)(0x3f), four = VECTOR(set1_epi8)(0x0f),
               two = VECTOR(set1_epi8)(0x30);
    ints v[4]; /* F16 pair; scales, mins of the first four and the top bits of the last four; the
                     rest of those */
    k_header h;
    gather16(rows, at, v);
    split_f16(v[0], &h.scale, &h.min);
    h.min = VECTOR(sub_ps)(zeros(), h.min);
    h.scales[0] = bits_and(v[1], six);
    h.mins[0] = bits_and(v[2], six);
    h.scales[1] = bits_or(bits_and(v[3], four), bits_and(VECTOR(srli_epi16)(v[1], 2), two));
    h.mins[1] = bits_or(bits_and(VECTOR(srli_epi16)(v[3], 4), four),
                        bits_and(VECTOR(srli_epi16)(v[2], 2), two));
    return h;
}

LOAM__INLINE void set_sub_block(const k_header *h, int i, piece *p)
{
    p->scale = VECTOR(mul_ps)(h->scale, byte_as_float(h->scales[i / 4], i % 4));
    set_min(p, VECTOR(mul_ps)(h->min, byte_as_float(h->mins[i / 4], i % 4)));
}

/* Sub-blocks 2i and 2i + 1 are the nibbles of 32 bytes. */
LOAM__INLINE void unpack_q4_k_pair(row_pointers rows, size_t at, const k_header *h, int i, sink *s)
{
    ints v[8];
    piece p;
    gather16(rows, at + 16 + 32 * (size_t)i, v);
    gather16(rows, at + 32 + 32 * (size_t)i, v + 4);
    low_nibbles(v, p.w);
    set_sub_block(h, 2 * i, &p);
    emit(s, OFFSET, &p);
    high_nibbles(v, p.w);
    set_sub_block(h, 2 * i + 1, &p);
    emit(s, OFFSET, &p);
}

LOAM__INLINE void unpack_q4_k(row_pointers rows, size_t at, sink *s)
{
    const k_header h = unpack_header(rows, at);
    unpack_q4_k_pair(rows, at, &h, 0, s);
    unpack_q4_k_pair(rows, at, &h, 1, s);
    unpack_q4_k_pair(rows, at, &h, 2, s);
    unpack_q4_k_pair(rows, at, &h, 3, s);
}

/* Bit i of byte j of `high` is the fifth bit of value j of sub-block i. */
LOAM__INLINE void fifth_bits(const ints high[8], int i, ints w[8])
{
    const ints sixteen = VECTOR(set1_epi8)(16);
    for (int j = 0; j < 8; j++) {
        const ints bit =
            i < 4 ? VECTOR(slli_epi16)(high[j], 4 - i) : VECTOR(srli_epi16)(high[j], i - 4);
        w[j] = bits_or(w[j], bits_and(bit, sixteen));
    }
}

LOAM__INLINE void unpack_q5_k_pair(row_pointers rows, size_t at, const k_header *h,
                                   const ints high[8], int i, sink *s)
{
    ints v[8];
    piece p;
    gather16(rows, at + 48 + 32 * (size_t)i, v);
    gather16(rows, at + 64 + 32 * (size_t)i, v + 4);
    low_nibbles(v, p.w);
    fifth_bits(high, 2 * i, p.w);
    set_sub_block(h, 2 * i, &p);
    emit(s, OFFSET, &p);
    high_nibbles(v, p.w);
    fifth_bits(high, 2 * i + 1, p.w);
    set_sub_block(h, 2 * i + 1, &p);
    emit(s, OFFSET, &p);
}

LOAM__INLINE void unpack_q5_k(row_pointers rows, size_t at, sink *s)
{
    const k_header h = unpack_header(rows, at);
    ints high[8];
    gather16(rows, at + 16, high);
    gather16(rows, at + 32, high + 4);
    unpack_q5_k_pair(rows, at, &h, high, 0, s);
    unpack_q5_k_pair(rows, at, &h, high, 1, s);
    unpack_q5_k_pair(rows, at, &h, high, 2, s);
    unpack_q5_k_pair(rows, at, &h, high, 3, s);
}

/* ---- Q6_K: 128 bytes of nibbles, 64 of high bits, 16 int8 scales, F16 scale ---- */

/* Bits 2i and 2i + 1 of `high` belong to sub-block i of a half. */
LOAM__INLINE void high_pairs(const ints high[8], int i, ints w[8])
{
    const ints mask = VECTOR(set1_epi8)(0x30);
    for (int j = 0; j < 8; j++) {
        const ints bits =
            i < 2 ? VECTOR(slli_epi16)(high[j], 4 - 2 * i) : VECTOR(srli_epi16)(high[j], 2 * i - 4);
        w[j] = bits_or(w[j], bits_and(bits, mask));
    }
}

typedef struct six_bit_half { /* of 128 values */
    floats scale;
    ints scales[2]; /* of two sub-blocks each */
    ints high[8];
} six_bit_half;

/* Sub-block i of a half, whose nibbles are low or high ones of v. */
LOAM__INLINE void unpack_q6_k_sub(const ints v[8], const six_bit_half *h, int i, sink *s)
{
    piece p;
    if (i < 2) low_nibbles(v, p.w);
    else high_nibbles(v, p.w);
    high_pairs(h->high, i, p.w);
    set_six_bit_scales(h->scale, h->scales[i / 2], i % 2, &p);
    emit(s, SIX_BITS, &p);
}

LOAM__INLINE void unpack_q6_k(row_pointers rows, size_t at, sink *s)
{
    ints all_scales[4];
    six_bit_half h = {.scale = gather_f16(rows, at + 208)};
    gather16(rows, at + 192, all_scales);
    for (size_t half = 0; half < 2; half++) {
        ints first[8], second[8];
        h.scales[0] = all_scales[2 * half];
        h.scales[1] = all_scales[2 * half + 1];
        gather16(rows, at + 128 + 32 * half, h.high);
        gather16(rows, at + 144 + 32 * half, h.high + 4);
        gather16(rows, at + 64 * half, first);
        gather16(rows, at + 16 + 64 * half, first + 4);
        unpack_q6_k_sub(first, &h, 0, s);
        gather16(rows, at + 32 + 64 * half, second);
        gather16(rows, at + 48 + 64 * half, second + 4);
        unpack_q6_k_sub(second, &h, 1, s);
        unpack_q6_k_sub(first, &h, 2, s);
        unpack_q6_k_sub(second, &h, 3, s);
    }
}

PRODUCT(q4_k, OFFSET, 256, 144, IN_ORDER)
PRODUCT(q5_k, OFFSET, 256, 176, IN_ORDER)
PRODUCT(q6_k, SIX_BITS, 256, 210, JUMPING)

#endif
