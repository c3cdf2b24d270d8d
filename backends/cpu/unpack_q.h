/* Formats with blocks of 32 values: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. For every instruction set: its
 * own panel header comes first. */
#ifndef LOAM__CPU_UNPACK_Q_H
#define LOAM__CPU_UNPACK_Q_H

#include "backends/cpu/unpack_bits.h"

/* Bit 4j + i of each row's `bits` is the fifth bit of byte i in w[j]; here for j = 2 * byte and the
 * next. */
LOAM__INLINE void add_fifth_bits(ints bits, int byte, ints *even, ints *odd)
{
    const ints sixteen = VECTOR(set1_epi8)(16), own = VECTOR(set1_epi32)((int)0x80402010u);
    const ints rows = repeated(0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    const ints high =
        VECTOR(shuffle_epi8)(bits, VECTOR(add_epi8)(rows, VECTOR(set1_epi8)((char)byte)));
    const ints low = VECTOR(slli_epi16)(high, 4);
    *even = bits_or(*even, VECTOR(min_epu8)(bits_and(low, own), sixteen));
    *odd = bits_or(*odd, VECTOR(min_epu8)(bits_and(high, own), sixteen));
}

LOAM__INLINE void add_all_fifth_bits(ints bits, piece *p)
{
    add_fifth_bits(bits, 0, &p->w[0], &p->w[1]);
    add_fifth_bits(bits, 1, &p->w[2], &p->w[3]);
    add_fifth_bits(bits, 2, &p->w[4], &p->w[5]);
    add_fifth_bits(bits, 3, &p->w[6], &p->w[7]);
}

/* A pair of F16 of each row. */
LOAM__INLINE void set_scale_and_min(ints pairs, piece *p)
{
    floats min;
    split_f16(pairs, &p->scale, &min);
    set_min(p, min);
}

/* F16 scale; nibbles of w + 8 */
LOAM__INLINE void unpack_q4_0(row_pointers rows, size_t at, sink *s)
{
    piece p;
    p.scale = gather_f16(rows, at);
    set_center(&p, 8);
    unpack_nibbles(rows, at + 2, &p);
    emit(s, CENTERED, &p);
}

/* F16 scale, F16 min; nibbles */
LOAM__INLINE void unpack_q4_1(row_pointers rows, size_t at, sink *s)
{
    piece p;
    set_scale_and_min(gather4(rows, at), &p);
    unpack_nibbles(rows, at + 4, &p);
    emit(s, OFFSET, &p);
}

/* F16 scale; fifth bits of w + 16; nibbles */
LOAM__INLINE void unpack_q5_0(row_pointers rows, size_t at, sink *s)
{
    piece p;
    p.scale = gather_f16(rows, at);
    set_center(&p, 16);
    unpack_nibbles(rows, at + 6, &p);
    add_all_fifth_bits(gather4(rows, at + 2), &p);
    emit(s, CENTERED, &p);
}

/* F16 scale, F16 min; fifth bits; nibbles */
LOAM__INLINE void unpack_q5_1(row_pointers rows, size_t at, sink *s)
{
    piece p;
    set_scale_and_min(gather4(rows, at), &p);
    unpack_nibbles(rows, at + 8, &p);
    add_all_fifth_bits(gather4(rows, at + 4), &p);
    emit(s, OFFSET, &p);
}

/* F16 scale; bytes */
LOAM__INLINE void unpack_q8_0(row_pointers rows, size_t at, sink *s)
{
    piece p;
    p.scale = gather_f16(rows, at);
    gather16(rows, at + 2, p.w);
    gather16(rows, at + 18, p.w + 4);
    set_signed(&p);
    emit(s, SIGNED, &p);
}

PRODUCT(q4_0, CENTERED, 32, 18, IN_ORDER)
PRODUCT(q4_1, OFFSET, 32, 20, IN_ORDER)
PRODUCT(q5_0, CENTERED, 32, 22, IN_ORDER)
PRODUCT(q5_1, OFFSET, 32, 24, IN_ORDER)
PRODUCT(q8_0, SIGNED, 32, 34, IN_ORDER)

#endif
