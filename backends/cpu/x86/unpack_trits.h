/* Formats of one scale and digits of two, three or four values: TQ1_0, TQ2_0, Q1_0, Q2_0. For every
 * instruction set: its own panel header comes first. */
#ifndef LOAM__CPU_UNPACK_TRITS_H
#define LOAM__CPU_UNPACK_TRITS_H

#include "backends/cpu/unpack_bits.h"

LOAM__INLINE void emit_digits(floats scale, piece *p, sink *s)
{
    p->scale = scale;
    set_center(p, 1);
    emit(s, CENTERED, p);
}

/* The first ternary digit of the fraction v / 256: one more from 86 on, another from 171 on. */
LOAM__INLINE ints first_digit(ints v)
{
    const ints one = VECTOR(set1_epi8)(1);
    const ints above_85 = VECTOR(subs_epu8)(v, VECTOR(set1_epi8)(85));
    const ints above_170 = VECTOR(subs_epu8)(v, VECTOR(set1_epi8)((char)170));
    return VECTOR(add_epi8)(VECTOR(min_epu8)(above_85, one), VECTOR(min_epu8)(above_170, one));
}

/* The first digit of n vectors, which keep the digits behind it. */
LOAM__INLINE void take_digit(ints *v, int n, ints *w)
{
    for (int j = 0; j < n; j++) {
        w[j] = first_digit(v[j]);
        v[j] = VECTOR(add_epi8)(v[j], VECTOR(add_epi8)(v[j], v[j]));
    }
}

/* 32 bytes of five digits, 16 of five, 4 of four: the first digits of all, then the second ones,
 * and so on; F16 scale */
LOAM__INLINE void unpack_tq1_0(row_pointers rows, size_t at, sink *s)
{
    const floats scale = gather_f16(rows, at + 52);
    ints v[8];
    piece p;
    gather32(rows, at, v);
    for (int i = 0; i < 5; i++) {
        take_digit(v, 8, p.w);
        emit_digits(scale, &p, s);
    }
    gather16(rows, at + 32, v);
    v[4] = gather4(rows, at + 48);
    for (int i = 0; i < 2; i++) {
        take_digit(v, 4, p.w);
        take_digit(v, 4, p.w + 4);
        emit_digits(scale, &p, s);
    }
    take_digit(v, 4, p.w);
    for (int i = 4; i < 8; i++)
        take_digit(v + 4, 1, p.w + i);
    emit_digits(scale, &p, s);
}

/* Twice 32 bytes: their bits 0-1, 2-3, 4-5, 6-7 are sub-blocks; F16 scale */
LOAM__INLINE void unpack_tq2_0(row_pointers rows, size_t at, sink *s)
{
    const floats scale = gather_f16(rows, at + 64);
    for (size_t half = 0; half < 2; half++) {
        ints v[8];
        gather32(rows, at + 32 * half, v);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            piece p;
            bit_pairs(v, i, p.w);
            emit_digits(scale, &p, s);
        }
    }
}

/* Bits 4j .. 4j + 3 of each row's dword, as weights 0 and 2. */
LOAM__INLINE void spread_bits(ints bits, ints w[8])
{
    const ints two = VECTOR(set1_epi8)(2), own = VECTOR(set1_epi32)((int)0x80402010u);
    const ints rows = repeated(0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    for (int byte = 0; byte < 4; byte++) {
        const ints order = VECTOR(add_epi8)(rows, VECTOR(set1_epi8)((char)byte));
        const ints high = VECTOR(shuffle_epi8)(bits, order), low = VECTOR(slli_epi16)(high, 4);
        w[2 * byte] = VECTOR(min_epu8)(bits_and(low, own), two);
        w[2 * byte + 1] = VECTOR(min_epu8)(bits_and(high, own), two);
    }
}

/* F16 scale; bits */
LOAM__INLINE void unpack_q1_0(row_pointers rows, size_t at, sink *s)
{
    const floats scale = gather_f16(rows, at);
    ints v[4];
    gather16(rows, at + 2, v);
    for (int i = 0; i < 4; i++) {
        piece p;
        spread_bits(v[i], p.w);
        emit_digits(scale, &p, s);
    }
}

/* The four pairs of bits of a byte of each row. The byte goes to the upper halves of two words of
 * 16 bits, which keep its first and last two pairs; and the upper half of a product by 2^8 + 2^14
 * has one pair at its bottom and the next one 8 bits higher. For the last two it is 2^4 + 2^10. */
LOAM__INLINE ints spread_pairs(ints v, int byte)
{
    const ints rows =
        repeated((int)0x00800080u, (int)0x04800480u, (int)0x08800880u, (int)0x0c800c80u);
    const ints order = VECTOR(add_epi8)(rows, VECTOR(set1_epi16)((short)(byte << 8)));
    const ints pairs =
        bits_and(VECTOR(shuffle_epi8)(v, order), VECTOR(set1_epi32)((int)0xf0000f00u));
    const ints factors = VECTOR(set1_epi32)((0x410 << 16) | 0x4100);
    return bits_and(VECTOR(mulhi_epu16)(pairs, factors), VECTOR(set1_epi8)(3));
}

/* F16 scale; pairs of bits */
LOAM__INLINE void unpack_q2_0(row_pointers rows, size_t at, sink *s)
{
    const floats scale = gather_f16(rows, at);
    ints v[4];
    gather16(rows, at + 2, v);
    for (int i = 0; i < 2; i++) {
        piece p;
        for (int j = 0; j < 8; j++)
            p.w[j] = spread_pairs(v[2 * i + j / 4], j % 4);
        emit_digits(scale, &p, s);
    }
}

PRODUCT(tq1_0, CENTERED, 256, 54, IN_ORDER)
PRODUCT(tq2_0, CENTERED, 256, 66, IN_ORDER)
PRODUCT(q1_0, CENTERED, 128, 18, IN_ORDER)
PRODUCT(q2_0, CENTERED, 64, 18, IN_ORDER)

#endif
