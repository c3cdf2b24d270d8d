/* Formats whose magnitudes are points of a grid: IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS,
 * IQ3_S. For every instruction set: its own panel header comes first.
 *
 * A sub-block of 32 values has four points of eight digits or eight of four. Two points of each row
 * are looked up at once, as the words of its lane; a byte shuffle then makes a weight of each digit
 * and its sign. */
#ifndef LOAM__CPU_UNPACK_GRID_H
#define LOAM__CPU_UNPACK_GRID_H

#include "lib/quant/quant.h"

/* ---- small parts ---- */

LOAM__INLINE ints dwords(uint32_t v)
{
    return VECTOR(set1_epi32)((int)v);
}

/* A byte of each lane, four times. */
LOAM__INLINE ints repeat_byte(ints v, int byte)
{
    const ints rows = repeated(0, 0x04040404, 0x08080808, 0x0c0c0c0c);
    return VECTOR(shuffle_epi8)(v, VECTOR(add_epi8)(rows, VECTOR(set1_epi8)((char)byte)));
}

/* A word of each lane, twice. */
LOAM__INLINE ints repeat_word(ints v, int word)
{
    const ints rows = repeated(0x01000100, 0x05040504, 0x09080908, 0x0d0c0d0c);
    return VECTOR(shuffle_epi8)(v, VECTOR(add_epi8)(rows, VECTOR(set1_epi8)((char)(2 * word))));
}

/* 2s + 1 for the number s of some bits, at a bit of each lane. */
LOAM__INLINE ints odd_scale(ints v, int at, int bits)
{
    const ints twice = at ? VECTOR(srli_epi32)(v, at - 1) : VECTOR(slli_epi32)(v, 1);
    return bits_or(bits_and(twice, dwords((2u << bits) - 2)), dwords(1));
}

LOAM__INLINE floats scaled(floats v, float by)
{
    return VECTOR(mul_ps)(v, VECTOR(set1_ps)(by));
}

/* Seven signs in each byte; the eighth makes the number of minus signs even. */
LOAM__INLINE ints even_signs(ints seven)
{
    const ints nibble = VECTOR(set1_epi8)(15);
    /* the top bit for numbers with an odd number of ones */
    const ints odd = repeated((int)0x00808000u, (int)0x80000080u, (int)0x80000080u, 0x00808000);
    const ints low = VECTOR(shuffle_epi8)(odd, bits_and(seven, nibble));
    const ints high = VECTOR(shuffle_epi8)(odd, bits_and(VECTOR(srli_epi16)(seven, 4), nibble));
    return bits_or(seven, bits_xor(low, high));
}

/* Four times seven bits in each lane, to bytes. */
LOAM__INLINE ints spread_sevens(ints v)
{
    const ints low =
        bits_or(bits_and(v, dwords(0x7f)), bits_and(VECTOR(slli_epi32)(v, 1), dwords(0x7f00)));
    const ints high = bits_or(bits_and(VECTOR(slli_epi32)(v, 2), dwords(0x7f0000)),
                              bits_and(VECTOR(slli_epi32)(v, 3), dwords(0x7f000000)));
    return bits_or(low, high);
}

/* Bytes of each lane to words: 0 and 2, then 1 and 3. */
LOAM__INLINE void split_bytes(ints v, ints words[2])
{
    words[0] = bits_and(v, dwords(0x00ff00ff));
    words[1] = VECTOR(srli_epi16)(v, 8);
}

/* Each word of n vectors becomes that point of a grid. */
LOAM__INLINE void look_up(const uint16_t *grid, int size, ints *words, int n)
{
    for (int i = 0; i < n; i++)
        words[i] = lookup(grid, size, words[i]);
}

/* The upper bits of two points' numbers: each word of a lane times a factor, of which the mask
 * takes its part. */
LOAM__INLINE ints upper_bits(ints v, uint32_t factors, uint32_t mask)
{
    return bits_and(VECTOR(mullo_epi16)(v, dwords(factors)), dwords(mask));
}

/* ---- points of eight digits ---- */

/* A digit stands in bits 0 and 1 of its byte or in bits 2 and 3; a minus sets the other two. This
 * is the table of what the sixteen mean, if digits 0, 1, 2 mean a, b, c and with a minus d, e, f.
 */
LOAM__INLINE ints meanings(int a, int b, int c, int d, int e, int f)
{
    return repeated(a | b << 8 | c << 16 | d << 24, b | e << 24, c | f << 24, d | e << 8 | f << 16);
}

/* The digits of a point, which is a word of each lane: the first four, the last four. */
LOAM__INLINE void split_eight(ints points, int word, ints digits[2])
{
    const ints place = dwords(0x0c0c0303), both = repeat_word(points, word);
    digits[0] = bits_and(both, place);
    digits[1] = bits_and(VECTOR(srli_epi16)(both, 4), place);
}

/* The weights of a point. The signs are given in every byte of a lane: `first` has the bits that
 * are those of the first four digits, `second` of the last four. */
LOAM__INLINE void put_eight(ints table, ints points, int word, ints signs, uint32_t first,
                            uint32_t second, ints w[2])
{
    const ints minus = dwords(0x03030c0c);
    ints digits[2];
    split_eight(points, word, digits);
    w[0] = VECTOR(shuffle_epi8)(table, add_where(digits[0], signs, dwords(first), minus));
    w[1] = VECTOR(shuffle_epi8)(table, add_where(digits[1], signs, dwords(second), minus));
}

/* ---- IQ2 ---- */

/* Eight weights, 64 above the +-8, +-25, +-43 that they mean. */
LOAM__INLINE void put_iq2(ints points, int word, ints signs, int byte, ints w[2])
{
    const ints table = meanings(64 + 8, 64 + 25, 64 + 43, 64 - 8, 64 - 25, 64 - 43);
    put_eight(table, points, word, repeat_byte(signs, byte), 0x08040201, 0x80402010u, w);
}

/* Points 0 and 2, 1 and 3. */
LOAM__INLINE void put_iq2_sub(const ints points[2], ints signs, piece *p)
{
    put_iq2(points[0], 0, signs, 0, p->w);
    put_iq2(points[1], 0, signs, 1, p->w + 2);
    put_iq2(points[0], 1, signs, 2, p->w + 4);
    put_iq2(points[1], 1, signs, 3, p->w + 6);
}

LOAM__INLINE void unpack_iq2_xxs_sub(ints bytes, ints rest, floats scale, sink *s)
{
    ints points[2];
    piece p;
    const ints one_scale = odd_scale(rest, 28, 4);
    split_bytes(bytes, points);
    look_up(loam__grid_iq2_xxs, 256, points, 2);
    put_iq2_sub(points, even_signs(spread_sevens(rest)), &p);
    set_sixteens(&p, scale, one_scale, one_scale);
    emit(s, SEVEN_BITS, &p);
}

/* F16 scale; for each sub-block four points, then four times seven signs and a scale of 4 bits */
LOAM__INLINE void unpack_iq2_xxs(row_pointers rows, size_t at, sink *s)
{
    const floats scale = scaled(gather_f16(rows, at), 0.125f);
    for (size_t pair = 0; pair < 4; pair++) {
        ints v[4];
        gather16(rows, at + 2 + 16 * pair, v);
        unpack_iq2_xxs_sub(v[0], v[1], scale, s);
        unpack_iq2_xxs_sub(v[2], v[3], scale, s);
    }
}

/* Byte i of each row's `scales` has the scales of the two sixteens. */
LOAM__INLINE void set_nibble_scales(floats scale, ints scales, int i, piece *p)
{
    set_sixteens(p, scale, odd_scale(scales, 8 * i, 4), odd_scale(scales, 8 * i + 4, 4));
}

LOAM__INLINE void unpack_iq2_xs_sub(const ints v[2], floats scale, ints scales, int i, sink *s)
{
    const ints nine = dwords(0x01ff01ff);
    piece p;
    ints points[2] = {bits_and(v[0], nine), bits_and(v[1], nine)};
    look_up(loam__grid_iq2_xs, 512, points, 2);
    for (int half = 0; half < 2; half++) {
        const ints signs = even_signs(VECTOR(srli_epi16)(v[half], 9));
        put_iq2(points[half], 0, signs, 0, p.w + 4 * half);
        put_iq2(points[half], 1, signs, 2, p.w + 4 * half + 2);
    }
    set_nibble_scales(scale, scales, i, &p);
    emit(s, SEVEN_BITS, &p);
}

/* F16 scale; words of 9 bits for a point and seven signs; scales of 4 bits */
LOAM__INLINE void unpack_iq2_xs(row_pointers rows, size_t at, sink *s)
{
    const floats scale = scaled(gather_f16(rows, at), 0.125f);
    ints last[4];
    gather16(rows, at + 58, last);
    for (int half = 0; half < 2; half++) {
        const ints scales = last[2 + half];
        ints v[4];
        gather16(rows, at + 2 + 32 * (size_t)half, v);
        unpack_iq2_xs_sub(v, scale, scales, 0, s);
        unpack_iq2_xs_sub(v + 2, scale, scales, 1, s);
        gather16(rows, at + 18 + 32 * (size_t)half, v);
        unpack_iq2_xs_sub(v, scale, scales, 2, s);
        unpack_iq2_xs_sub(v + 2, scale, scales, 3, s);
    }
}

/* Byte i of `upper` has bits 8 and 9 of the points. */
LOAM__INLINE void unpack_iq2_s_sub(ints bytes, ints upper, ints signs, floats scale, ints scales,
                                   int i, sink *s)
{
    const ints four = bits_and(repeat_byte(upper, i), dwords(0x00ff00ff));
    ints points[2];
    piece p;
    split_bytes(bytes, points);
    points[0] = bits_or(points[0], upper_bits(four, 0x00100100, 0x03000300));
    points[1] = bits_or(points[1], upper_bits(four, 0x00040040, 0x03000300));
    look_up(loam__grid_iq2_s, 1024, points, 2);
    put_iq2_sub(points, signs, &p);
    set_nibble_scales(scale, scales, i, &p);
    emit(s, SEVEN_BITS, &p);
}

/* F16 scale; low bytes of points; signs; upper bits of points; scales of 4 bits */
LOAM__INLINE void unpack_iq2_s(row_pointers rows, size_t at, sink *s)
{
    const floats scale = scaled(gather_f16(rows, at), 0.125f);
    ints last[4]; /* upper bits of the first four sub-blocks, of the others; so the scales */
    gather16(rows, at + 66, last);
    for (int half = 0; half < 2; half++) {
        const ints upper = last[half], scales = last[2 + half];
        ints points[4], signs[4];
        gather16(rows, at + 2 + 16 * (size_t)half, points);
        gather16(rows, at + 34 + 16 * (size_t)half, signs);
        unpack_iq2_s_sub(points[0], upper, signs[0], scale, scales, 0, s);
        unpack_iq2_s_sub(points[1], upper, signs[1], scale, scales, 1, s);
        unpack_iq2_s_sub(points[2], upper, signs[2], scale, scales, 2, s);
        unpack_iq2_s_sub(points[3], upper, signs[3], scale, scales, 3, s);
    }
}

/* ---- IQ3: points of four digits ---- */

/* The weights of two points, the words of each lane. A digit is in the low nibble of its byte or of
 * the next; the byte's top bit is 0. The table has what digits mean, and then with a minus. */
LOAM__INLINE void put_fours(ints table, ints points, ints low_signs, ints high_signs,
                            uint32_t low_bits, uint32_t high_bits, ints *low, ints *high)
{
    const ints minus = dwords(0x08080808);
    const ints a = odd_words(points, VECTOR(slli_epi32)(points, 12));
    const ints b = odd_words(VECTOR(srli_epi32)(points, 16), VECTOR(srli_epi32)(points, 4));
    *low = VECTOR(shuffle_epi8)(table, add_where(a, low_signs, dwords(low_bits), minus));
    *high = VECTOR(shuffle_epi8)(table, add_where(b, high_signs, dwords(high_bits), minus));
}

/* Points 0 and 2, 1 and 3, 4 and 6, 5 and 7. */
LOAM__INLINE void put_iq3_sub(ints table, const ints points[4], ints signs, piece *p)
{
    const uint32_t first = 0x08040201, second = 0x80402010u;
    ints eight[4];
    for (int i = 0; i < 4; i++)
        eight[i] = repeat_byte(signs, i);
    put_fours(table, points[0], eight[0], eight[1], first, first, &p->w[0], &p->w[2]);
    put_fours(table, points[1], eight[0], eight[1], second, second, &p->w[1], &p->w[3]);
    put_fours(table, points[2], eight[2], eight[3], first, first, &p->w[4], &p->w[6]);
    put_fours(table, points[3], eight[2], eight[3], second, second, &p->w[5], &p->w[7]);
}

/* Weights are 32 above half of what they mean, +-4, +-12 ... +-52, +-62. */
LOAM__INLINE void unpack_iq3_xxs_sub(const ints v[2], ints rest, floats scale, sink *s)
{
    const ints table = repeated(0x2e2a2622, 0x3f3a3632, 0x12161a1e, 0x01060a0e);
    const ints one_scale = odd_scale(rest, 28, 4);
    ints points[4];
    piece p;
    split_bytes(v[0], points);
    split_bytes(v[1], points + 2);
    look_up(loam__grid_iq3_xxs, 256, points, 4);
    put_iq3_sub(table, points, even_signs(spread_sevens(rest)), &p);
    set_sixteens(&p, scale, one_scale, one_scale);
    emit(s, SIX_BITS, &p);
}

/* F16 scale; points; for each sub-block four times seven signs and a scale of 4 bits */
LOAM__INLINE void unpack_iq3_xxs(row_pointers rows, size_t at, sink *s)
{
    const floats scale = scaled(gather_f16(rows, at), 0.5f);
    for (size_t half = 0; half < 2; half++) {
        ints rest[4], v[4];
        gather16(rows, at + 66 + 16 * half, rest);
        gather16(rows, at + 2 + 32 * half, v);
        unpack_iq3_xxs_sub(v, rest[0], scale, s);
        unpack_iq3_xxs_sub(v + 2, rest[1], scale, s);
        gather16(rows, at + 18 + 32 * half, v);
        unpack_iq3_xxs_sub(v, rest[2], scale, s);
        unpack_iq3_xxs_sub(v + 2, rest[3], scale, s);
    }
}

typedef struct iq3_s_block {
    floats scale;
    ints scales;   /* nibble i is of sub-block i */
    ints upper[2]; /* of four sub-blocks each: a byte with bit 8 of each point */
    ints signs[8];
} iq3_s_block;

/* Weights are 16 above what they mean, +-1, +-3 ... +-15. */
LOAM__INLINE void unpack_iq3_s_sub(const ints v[2], const iq3_s_block *b, int i, sink *s)
{
    const ints table = repeated(0x17151311, 0x1f1d1b19, 0x090b0d0f, 0x01030507);
    const ints upper = repeat_byte(b->upper[i / 4], i % 4), one = dwords(0x01000100);
    ints points[4];
    piece p;
    split_bytes(v[0], points);
    split_bytes(v[1], points + 2);
    points[0] = add_where(points[0], upper, dwords(0x04000100), one);
    points[1] = add_where(points[1], upper, dwords(0x08000200), one);
    points[2] = add_where(points[2], upper, dwords(0x40001000), one);
    points[3] = add_where(points[3], upper, dwords(0x80002000u), one);
    look_up(loam__grid_iq3_s, 512, points, 4);
    put_iq3_sub(table, points, b->signs[i], &p);
    p.scale = VECTOR(mul_ps)(b->scale, VECTOR(cvtepi32_ps)(odd_scale(b->scales, 4 * i, 4)));
    set_center(&p, 16);
    emit(s, CENTERED, &p);
}

/* F16 scale; low bytes of points; their upper bits; signs; scales of 4 bits */
LOAM__INLINE void unpack_iq3_s(row_pointers rows, size_t at, sink *s)
{
    iq3_s_block b = {.scale = gather_f16(rows, at)};
    ints v[4];
    gather16(rows, at + 94, v);
    b.scales = v[3];
    gather16(rows, at + 58, v);
    b.upper[0] = v[2];
    b.upper[1] = v[3];
    gather16(rows, at + 74, b.signs);
    gather16(rows, at + 90, b.signs + 4);
    for (int pair = 0; pair < 4; pair++) {
        gather16(rows, at + 2 + 16 * (size_t)pair, v);
        unpack_iq3_s_sub(v, &b, 2 * pair, s);
        unpack_iq3_s_sub(v + 2, &b, 2 * pair + 1, s);
    }
}

/* ---- IQ1 ---- */

LOAM__INLINE void put_iq1_s(ints points, int word, ints w[2])
{
    const ints table = meanings(0, 1, 2, 0, 1, 2);
    ints digits[2];
    split_eight(points, word, digits);
    w[0] = VECTOR(shuffle_epi8)(table, digits[0]);
    w[1] = VECTOR(shuffle_epi8)(table, digits[1]);
}

/* Weights are the digits: 1 - delta above what they mean. Word i of `rest` has the upper bits of
 * the points, the scale and the sign of delta. */
LOAM__INLINE void unpack_iq1_s_sub(ints bytes, ints rest, int i, floats scale, sink *s)
{
    const ints word = repeat_word(rest, i);
    ints points[2];
    piece p;
    split_bytes(bytes, points);
    points[0] = bits_or(points[0], upper_bits(word, 0x00040100, 0x07000700));
    points[1] = bits_or(points[1], upper_bits(VECTOR(srli_epi16)(word, 1), 0x00010040, 0x07000700));
    look_up(loam__grid_iq1, 2048, points, 2);
    put_iq1_s(points[0], 0, p.w);
    put_iq1_s(points[1], 0, p.w + 2);
    put_iq1_s(points[0], 1, p.w + 4);
    put_iq1_s(points[1], 1, p.w + 6);
    p.scale = VECTOR(mul_ps)(scale, VECTOR(cvtepi32_ps)(odd_scale(word, 12, 3)));
    /* 8 * (delta - 1) is -7 or -9 */
    const ints minus = VECTOR(srli_epi32)(word, 31);
    const ints eighths = VECTOR(sub_epi32)(dwords((uint32_t)-7), VECTOR(add_epi32)(minus, minus));
    set_min(&p, VECTOR(mul_ps)(p.scale, scaled(VECTOR(cvtepi32_ps)(eighths), 0.125f)));
    emit(s, OFFSET, &p);
}

/* F16 scale; low bytes of points; words: upper bits of points, a scale of 3 bits, sign of delta */
LOAM__INLINE void unpack_iq1_s(row_pointers rows, size_t at, sink *s)
{
    const floats scale = gather_f16(rows, at);
    ints rest[4];
    gather16(rows, at + 34, rest);
    for (int half = 0; half < 2; half++) {
        ints v[4];
        gather16(rows, at + 2 + 16 * (size_t)half, v);
        unpack_iq1_s_sub(v[0], rest[2 * half], 0, scale, s);
        unpack_iq1_s_sub(v[1], rest[2 * half], 1, scale, s);
        unpack_iq1_s_sub(v[2], rest[2 * half + 1], 0, scale, s);
        unpack_iq1_s_sub(v[3], rest[2 * half + 1], 1, scale, s);
    }
}

/* Eight weights, 32 above eight times what they mean: -8, 0 or 8, and 1 or with a minus -1. */
LOAM__INLINE void put_iq1_m(ints points, int word, ints signs, uint32_t bit, ints w[2])
{
    const ints table = meanings(25, 33, 41, 23, 31, 39);
    put_eight(table, points, word, repeat_byte(signs, 2 * word), bit, bit, w);
}

/* Word i of `upper` has the upper bits of the points and the signs of their deltas; bit 6i of
 * `scales` and the following the two scales. */
LOAM__INLINE void unpack_iq1_m_sub(ints bytes, ints upper, int i, floats scale, ints scales,
                                   sink *s)
{
    const ints half = repeat_word(upper, i);
    const ints words = odd_words(half, VECTOR(srli_epi16)(half, 8));
    ints points[2];
    piece p;
    split_bytes(bytes, points);
    points[0] = bits_or(points[0], upper_bits(words, 0x01000100, 0x07000700));
    points[1] = bits_or(points[1], upper_bits(words, 0x00100010, 0x07000700));
    look_up(loam__grid_iq1, 2048, points, 2);
    put_iq1_m(points[0], 0, words, 0x08080808, p.w);
    put_iq1_m(points[1], 0, words, 0x80808080u, p.w + 2);
    put_iq1_m(points[0], 1, words, 0x08080808, p.w + 4);
    put_iq1_m(points[1], 1, words, 0x80808080u, p.w + 6);
    set_sixteens(&p, scale, odd_scale(scales, 6 * i, 3), odd_scale(scales, 6 * i + 3, 3));
    emit(s, SIX_BITS, &p);
}

/* The top nibbles of four words are the nibbles of an F16. */
LOAM__INLINE floats join_f16(ints first, ints second)
{
    floats scale, none;
    const ints low = bits_or(bits_and(VECTOR(srli_epi32)(first, 12), dwords(0x000f)),
                             bits_and(VECTOR(srli_epi32)(first, 24), dwords(0x00f0)));
    const ints high = bits_or(bits_and(VECTOR(srli_epi32)(second, 4), dwords(0x0f00)),
                              bits_and(VECTOR(srli_epi32)(second, 16), dwords(0xf000)));
    split_f16(bits_or(low, high), &scale, &none);
    return scale;
}

/* Low bytes of points; their upper bits and signs; scales of 3 bits and a nibble in each word */
LOAM__INLINE void unpack_iq1_m(row_pointers rows, size_t at, sink *s)
{
    ints upper[4], last[4];
    gather16(rows, at + 32, upper);
    gather16(rows, at + 40, last);
    const floats scale = scaled(join_f16(last[2], last[3]), 0.125f);
    for (int half = 0; half < 2; half++) {
        const ints scales = last[2 + half], others = VECTOR(srli_epi32)(scales, 16);
        ints v[4];
        gather16(rows, at + 16 * (size_t)half, v);
        unpack_iq1_m_sub(v[0], upper[2 * half], 0, scale, scales, s);
        unpack_iq1_m_sub(v[1], upper[2 * half], 1, scale, scales, s);
        unpack_iq1_m_sub(v[2], upper[2 * half + 1], 0, scale, others, s);
        unpack_iq1_m_sub(v[3], upper[2 * half + 1], 1, scale, others, s);
    }
}

PRODUCT(iq2_xxs, SEVEN_BITS, 256, 66, IN_ORDER)
PRODUCT(iq2_xs, SEVEN_BITS, 256, 74, IN_ORDER)
PRODUCT(iq2_s, SEVEN_BITS, 256, 82, JUMPING)
PRODUCT(iq3_xxs, SIX_BITS, 256, 98, JUMPING)
PRODUCT(iq3_s, CENTERED, 256, 110, JUMPING)
PRODUCT(iq1_s, OFFSET, 256, 50, IN_ORDER)
PRODUCT(iq1_m, SIX_BITS, 256, 56, IN_ORDER)

#endif
