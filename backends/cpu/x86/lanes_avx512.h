/* Vectors whose 32-bit lanes belong to sixteen rows of weights: see panel.h. */
#ifndef LOAM__CPU_LANES_AVX512_H
#define LOAM__CPU_LANES_AVX512_H

#include "floats_avx512.h"
#include "lanes.h"

enum { ROWS = 16 };

typedef __m512i ints;
/* Where ROWS rows of weights lie: apart, or interleaved (loam__packing), where byte `at` of all of
 * them begins at packed + ROWS * at. */
typedef struct source {
    const uint8_t *packed; /* NULL: apart */
    const uint8_t *row[ROWS];
} source;

typedef const source *row_pointers;

#define VECTOR(operation) _mm512_##operation /* an intrinsic of this width */

LOAM__INLINE ints bits_and(ints a, ints b)
{
    return _mm512_and_si512(a, b);
}

LOAM__INLINE ints bits_or(ints a, ints b)
{
    return _mm512_or_si512(a, b);
}

LOAM__INLINE ints bits_xor(ints a, ints b)
{
    return _mm512_xor_si512(a, b);
}

/* a + value in each byte where v has a bit of `bits`. */
LOAM__INLINE ints add_where(ints a, ints v, ints bits, ints value)
{
    return _mm512_mask_add_epi8(a, _mm512_test_epi8_mask(v, bits), a, value);
}

/* The low word of each lane of a, the high word of b. */
LOAM__INLINE ints odd_words(ints a, ints b)
{
    return _mm512_mask_mov_epi16(a, 0xaaaaaaaau, b);
}

/* Four lanes, again and again. */
LOAM__INLINE ints repeated(int a, int b, int c, int d)
{
    return _mm512_broadcast_i32x4(_mm_setr_epi32(a, b, c, d));
}

/* Sixteen bytes, again and again: a table for shuffle_epi8. */
LOAM__INLINE ints table_of(const int8_t bytes[16])
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}

LOAM__INLINE floats as_floats(ints bits)
{
    return _mm512_castsi512_ps(bits);
}

/* A cache line that is needed soon. */
LOAM__INLINE void ask_for(uintptr_t address)
{
    _mm_prefetch((const char *)address, _MM_HINT_T1);
}

LOAM__INLINE __mmask16 first_rows(size_t n)
{
    return (__mmask16)(n >= ROWS ? 0xffff : (1u << n) - 1);
}

LOAM__INLINE floats load_rows(const float *y, size_t n)
{
    return _mm512_maskz_loadu_ps(first_rows(n), y);
}

LOAM__INLINE void store_rows(float *y, size_t n, floats v)
{
    _mm512_mask_storeu_ps(y, first_rows(n), v);
}

LOAM__INLINE __m128i load_bytes16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Four bytes of each packed row. */
LOAM__INLINE ints load_packed(row_pointers rows, size_t at)
{
    return _mm512_loadu_si512(rows->packed + ROWS * at);
}

LOAM__INLINE ints join(__m128i a, __m128i b, __m128i c, __m128i d)
{
    const __m512i ab = _mm512_inserti64x2(_mm512_castsi128_si512(a), b, 1);
    return _mm512_inserti64x2(_mm512_inserti64x2(ab, c, 2), d, 3);
}

LOAM__INLINE ints four_rows(row_pointers rows, int i, size_t at)
{
    return join(load_bytes16(rows->row[i] + at), load_bytes16(rows->row[i + 4] + at),
                load_bytes16(rows->row[i + 8] + at), load_bytes16(rows->row[i + 12] + at));
}

/* 16 bytes of each row, transposed: out[i] holds bytes 4i .. 4i+3 of the sixteen rows. */
LOAM__INLINE void gather16(row_pointers rows, size_t at, ints out[4])
{
    if (rows->packed) {
        for (int i = 0; i < 4; i++)
            out[i] = load_packed(rows, at + 4 * (size_t)i);
        return;
    }
    const ints a = four_rows(rows, 0, at), b = four_rows(rows, 1, at);
    const ints c = four_rows(rows, 2, at), d = four_rows(rows, 3, at);
    const ints ab0 = _mm512_unpacklo_epi32(a, b), ab1 = _mm512_unpackhi_epi32(a, b);
    const ints cd0 = _mm512_unpacklo_epi32(c, d), cd1 = _mm512_unpackhi_epi32(c, d);
    out[0] = _mm512_unpacklo_epi64(ab0, cd0);
    out[1] = _mm512_unpackhi_epi64(ab0, cd0);
    out[2] = _mm512_unpacklo_epi64(ab1, cd1);
    out[3] = _mm512_unpackhi_epi64(ab1, cd1);
}

/* From row i on. */
LOAM__INLINE __m128i eight_f16(row_pointers rows, int i, size_t at)
{
    __m128i v = _mm_cvtsi32_si128(load16(rows->row[i] + at));
    v = _mm_insert_epi16(v, load16(rows->row[i + 1] + at), 1);
    v = _mm_insert_epi16(v, load16(rows->row[i + 2] + at), 2);
    v = _mm_insert_epi16(v, load16(rows->row[i + 3] + at), 3);
    v = _mm_insert_epi16(v, load16(rows->row[i + 4] + at), 4);
    v = _mm_insert_epi16(v, load16(rows->row[i + 5] + at), 5);
    v = _mm_insert_epi16(v, load16(rows->row[i + 6] + at), 6);
    return _mm_insert_epi16(v, load16(rows->row[i + 7] + at), 7);
}

/* One F16 of each row. */
LOAM__INLINE floats gather_f16(row_pointers rows, size_t at)
{
    if (rows->packed)
        return _mm512_cvtph_ps(
            _mm256_loadu_si256((const __m256i *)(const void *)(rows->packed + ROWS * at)));
    return _mm512_cvtph_ps(_mm256_set_m128i(eight_f16(rows, 8, at), eight_f16(rows, 0, at)));
}

/* From row i on. */
LOAM__INLINE __m128i four_dwords(row_pointers rows, int i, size_t at)
{
    __m128i v = _mm_cvtsi32_si128(load32(rows->row[i] + at));
    v = _mm_insert_epi32(v, load32(rows->row[i + 1] + at), 1);
    v = _mm_insert_epi32(v, load32(rows->row[i + 2] + at), 2);
    return _mm_insert_epi32(v, load32(rows->row[i + 3] + at), 3);
}

/* Four bytes of each row. */
LOAM__INLINE ints gather4(row_pointers rows, size_t at)
{
    if (rows->packed) return load_packed(rows, at);
    return join(four_dwords(rows, 0, at), four_dwords(rows, 4, at), four_dwords(rows, 8, at),
                four_dwords(rows, 12, at));
}

/* One byte of each row, of four that can be read. */
LOAM__INLINE ints gather_byte(row_pointers rows, size_t at)
{
    if (rows->packed) return _mm512_cvtepu8_epi32(load_bytes16(rows->packed + ROWS * at));
    return _mm512_and_si512(gather4(rows, at), _mm512_set1_epi32(255));
}

/* Words of a table of 64: the low six bits of each index. */
LOAM__INLINE ints lookup_64(const uint16_t *table, ints index)
{
    return _mm512_permutex2var_epi16(_mm512_loadu_si512(table), index,
                                     _mm512_loadu_si512(table + 32));
}

/* One of two words, as a bit of the index says. */
LOAM__INLINE ints choose(ints index, short bit, ints without, ints with)
{
    const __mmask32 set = _mm512_test_epi16_mask(index, _mm512_set1_epi16(bit));
    return _mm512_mask_mov_epi16(without, set, with);
}

LOAM__INLINE ints lookup_256(const uint16_t *table, ints index)
{
    const ints low = choose(index, 64, lookup_64(table, index), lookup_64(table + 64, index));
    const ints high =
        choose(index, 64, lookup_64(table + 128, index), lookup_64(table + 192, index));
    return choose(index, 128, low, high);
}

LOAM__INLINE ints lookup_512(const uint16_t *table, ints index)
{
    return choose(index, 256, lookup_256(table, index), lookup_256(table + 256, index));
}

/* Each word of the index becomes that entry of a table. With permutations of registers a product is
 * 1.6 times as fast as with loads of the words if there are 256, 1.15 times with 1024, and slower
 * with 2048; gathers are no faster than loads (Zen 4). */
LOAM__INLINE ints lookup(const uint16_t *table, int entries, ints index)
{
    uint64_t i[8];
    if (entries == 256) return lookup_256(table, index);
    if (entries == 512) return lookup_512(table, index);
    if (entries == 1024)
        return choose(index, 512, lookup_512(table, index), lookup_512(table + 512, index));
    _mm512_storeu_si512(i, index);
    return join(eight_words(table, i[0], i[1]), eight_words(table, i[2], i[3]),
                eight_words(table, i[4], i[5]), eight_words(table, i[6], i[7]));
}

/* Two F16 in four bytes of each row. */
LOAM__INLINE void split_f16(ints pairs, floats *first, floats *second)
{
    *first = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(pairs));
    *second = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(pairs, 16)));
}

#endif
