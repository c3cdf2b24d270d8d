/* Formats whose nibbles are places in a table: IQ4_NL, IQ4_XS, MXFP4, NVFP4. For every instruction
 * set: its own panel header comes first. */
#ifndef LOAM__CPU_UNPACK_LOOKUP_H
#define LOAM__CPU_UNPACK_LOOKUP_H

#include "backends/cpu/unpack_bits.h"

/* As in lib/quant/lookup.c; the floats of 4 bits with 12 added, which makes them fit a centered
 * kind. */
enum { E2M1_CENTER = 12 };
static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};
static const int8_t e2m1_values[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

LOAM__INLINE void look_up(ints table, ints w[8])
{
    for (int j = 0; j < 8; j++)
        w[j] = VECTOR(shuffle_epi8)(table, w[j]);
}

/* F16 scale; nibbles */
LOAM__INLINE void unpack_iq4_nl(row_pointers rows, size_t at, sink *s)
{
    piece p;
    p.scale = gather_f16(rows, at);
    unpack_nibbles(rows, at + 2, &p);
    look_up(signed_bytes(table_of(iq4_values)), p.w);
    emit(s, SIGNED, &p);
}

/* F16 scale and 16 bits, two for each sub-block; 32 bits, four for each; nibbles. A sub-block's six
 * bits are its own scale + 32. */
LOAM__INLINE void unpack_iq4_xs(row_pointers rows, size_t at, sink *s)
{
    const ints first = gather4(rows, at), low = gather4(rows, at + 4);
    const ints four = VECTOR(set1_epi32)(0x0f), two = VECTOR(set1_epi32)(0x30);
    floats scale, ignored;
    split_f16(first, &scale, &ignored);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        piece p;
        const ints six = bits_or(bits_and(VECTOR(srli_epi32)(low, 4 * i), four),
                                 bits_and(VECTOR(srli_epi32)(first, 12 + 2 * i), two));
        const ints own = VECTOR(sub_epi32)(six, VECTOR(set1_epi32)(32));
        p.scale = VECTOR(mul_ps)(scale, VECTOR(cvtepi32_ps)(own));
        unpack_nibbles(rows, at + 8 + 16 * (size_t)i, &p);
        look_up(signed_bytes(table_of(iq4_values)), p.w);
        emit(s, SIGNED, &p);
    }
}

/* 2^(e - 128) from integers, which no mode of the processor flushes: e - 1 is the exponent of a
 * normal number, and for e of 0 and 1 the number is subnormal, 2^21 or 2^22 of its steps. */
LOAM__INLINE floats half_e8m0(ints e)
{
    const ints one = VECTOR(set1_epi32)(1);
    const ints normal = VECTOR(slli_epi32)(VECTOR(sub_epi32)(e, one), 23);
    const ints least = VECTOR(sllv_epi32)(VECTOR(set1_epi32)(1 << 21), VECTOR(min_epi32)(e, one));
    return as_floats(VECTOR(max_epi32)(normal, least));
}

/* E8M0 scale; nibbles */
LOAM__INLINE void unpack_mxfp4(row_pointers rows, size_t at, sink *s)
{
    piece p;
    p.scale = half_e8m0(gather_byte(rows, at));
    set_center(&p, E2M1_CENTER);
    unpack_nibbles(rows, at + 1, &p);
    look_up(table_of(e2m1_values), p.w);
    emit(s, CENTERED, &p);
}

/* Halves of unsigned E4M3 in bytes 2i and 2i + 1 of each row's four. The bits of E4M3 are those of
 * an F16 that is 2^8 times smaller. */
LOAM__INLINE void set_half_e4m3(ints scales, int i, piece *p)
{
    const ints bytes =
        i ? repeated((int)0x80038002u, (int)0x80078006u, (int)0x800b800au, (int)0x800f800eu)
          : repeated((int)0x80018000u, (int)0x80058004u, (int)0x80098008u, (int)0x800d800cu);
    const floats times = VECTOR(set1_ps)(0x1p7f);
    floats first, second;
    split_f16(VECTOR(slli_epi16)(VECTOR(shuffle_epi8)(scales, bytes), 7), &first, &second);
    set_halves(p, VECTOR(mul_ps)(first, times), VECTOR(mul_ps)(second, times));
    set_half_centers(p, E2M1_CENTER);
}

/* Eight bytes hold sixteen values, the first eight in their low nibbles. */
LOAM__INLINE void unpack_nvfp4_piece(row_pointers rows, size_t at, ints scales, int i, sink *s)
{
    const ints mask = VECTOR(set1_epi8)(15);
    ints v[4];
    piece p;
    gather16(rows, at + 4 + 16 * (size_t)i, v);
    for (int j = 0; j < 4; j++) {
        const int to = j / 2 * 4 + j % 2;
        p.w[to] = bits_and(v[j], mask);
        p.w[to + 2] = bits_and(VECTOR(srli_epi16)(v[j], 4), mask);
    }
    look_up(table_of(e2m1_values), p.w);
    set_half_e4m3(scales, i, &p);
    emit(s, CENTERED_HALVES, &p);
}

/* Four E4M3 scales, of which the sign is ignored and 127 counts as zero; nibbles */
LOAM__INLINE void unpack_nvfp4(row_pointers rows, size_t at, sink *s)
{
    const ints seven = VECTOR(set1_epi8)(127), one = VECTOR(set1_epi8)(1);
    const ints bits = bits_and(gather4(rows, at), seven);
    const ints top =
        bits_and(VECTOR(add_epi8)(bits, one), VECTOR(set1_epi8)(-128)); /* 128 for 127 */
    const ints nans = VECTOR(sub_epi8)(top, VECTOR(srli_epi16)(top, 7));
    const ints scales = VECTOR(sub_epi8)(bits, nans);
    unpack_nvfp4_piece(rows, at, scales, 0, s);
    unpack_nvfp4_piece(rows, at, scales, 1, s);
}

PRODUCT(iq4_nl, SIGNED, 32, 18, IN_ORDER)
PRODUCT(iq4_xs, SIGNED, 256, 136, IN_ORDER)
PRODUCT(mxfp4, CENTERED, 32, 17, IN_ORDER)
PRODUCT(nvfp4, CENTERED_HALVES, 64, 36, IN_ORDER)

#endif
