/* Vectors whose 32-bit lanes belong to eight rows of weights, for the unpackers that the
 * instruction sets share: see panel.h. */
#ifndef LOAM__CPU_LANES_AVX2_H
#define LOAM__CPU_LANES_AVX2_H

#include "floats_avx2.h"
#include "lanes.h"

enum { ROWS = 8 };

typedef __m256i ints;
/* Where ROWS rows of weights lie: apart, or interleaved (loam__packing), where byte `at` of all of
 * them begins at packed + ROWS * at. */
typedef struct source {
    const uint8_t *packed; /* NULL: apart */
    const uint8_t *row[ROWS];
} source;

typedef const source *row_pointers;

#define VECTOR(operation) _mm256_##operation /* an intrinsic of this width */

LOAM__INLINE ints bits_and(ints a, ints b)
{
    return _mm256_and_si256(a, b);
}

LOAM__INLINE ints bits_or(ints a, ints b)
{
    return _mm256_or_si256(a, b);
}

LOAM__INLINE ints bits_xor(ints a, ints b)
{
    return _mm256_xor_si256(a, b);
}

/* a + value in each byte where v has the one bit in `bit`; value is 0 where there is none. */
LOAM__INLINE ints add_where(ints a, ints v, ints bit, ints value)
{
    const ints has = _mm256_cmpeq_epi8(_mm256_and_si256(v, bit), bit);
    return _mm256_add_epi8(a, _mm256_and_si256(has, value));
}

/* The low word of each lane of a, the high word of b. */
LOAM__INLINE ints odd_words(ints a, ints b)
{
    return _mm256_blend_epi16(a, b, 0xAA);
}

/* Four lanes, again and again. */
LOAM__INLINE ints repeated(int a, int b, int c, int d)
{
    return _mm256_broadcastsi128_si256(_mm_setr_epi32(a, b, c, d));
}

/* Sixteen bytes, again and again: a table for shuffle_epi8. */
LOAM__INLINE ints table_of(const int8_t bytes[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)bytes));
}

LOAM__INLINE floats as_floats(ints bits)
{
    return _mm256_castsi256_ps(bits);
}

/* A cache line that is needed soon. */
LOAM__INLINE void ask_for(uintptr_t address)
{
    _mm_prefetch((const char *)address, _MM_HINT_T1);
}

LOAM__INLINE floats load_rows(const float *y, size_t n)
{
    return n >= ROWS ? _mm256_loadu_ps(y) : load_first(y, n);
}

LOAM__INLINE void store_rows(float *y, size_t n, floats v)
{
    if (n >= ROWS) _mm256_storeu_ps(y, v);
    else store_first(y, n, v);
}

/* Four bytes of each packed row. */
LOAM__INLINE __m256i load_packed(row_pointers rows, size_t at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)(rows->packed + ROWS * at));
}

LOAM__INLINE __m256i two_rows(row_pointers rows, int i, size_t at)
{
    const __m128i low = _mm_loadu_si128((const __m128i *)(rows->row[i] + at));
    const __m128i high = _mm_loadu_si128((const __m128i *)(rows->row[i + 4] + at));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* 16 bytes of each row, transposed: out[i] holds bytes 4i .. 4i+3 of the eight rows. */
LOAM__INLINE void gather16(row_pointers rows, size_t at, __m256i out[4])
{
    if (rows->packed) {
        for (int i = 0; i < 4; i++)
            out[i] = load_packed(rows, at + 4 * (size_t)i);
        return;
    }
    const __m256i a = two_rows(rows, 0, at), b = two_rows(rows, 1, at);
    const __m256i c = two_rows(rows, 2, at), d = two_rows(rows, 3, at);
    const __m256i ab0 = _mm256_unpacklo_epi32(a, b), ab1 = _mm256_unpackhi_epi32(a, b);
    const __m256i cd0 = _mm256_unpacklo_epi32(c, d), cd1 = _mm256_unpackhi_epi32(c, d);
    out[0] = _mm256_unpacklo_epi64(ab0, cd0);
    out[1] = _mm256_unpackhi_epi64(ab0, cd0);
    out[2] = _mm256_unpacklo_epi64(ab1, cd1);
    out[3] = _mm256_unpackhi_epi64(ab1, cd1);
}

/* One F16 of each row. */
LOAM__INLINE __m256 gather_f16(row_pointers rows, size_t at)
{
    if (rows->packed)
        return _mm256_cvtph_ps(
            _mm_loadu_si128((const __m128i *)(const void *)(rows->packed + ROWS * at)));
    __m128i v = _mm_cvtsi32_si128(load16(rows->row[0] + at));
    v = _mm_insert_epi16(v, load16(rows->row[1] + at), 1);
    v = _mm_insert_epi16(v, load16(rows->row[2] + at), 2);
    v = _mm_insert_epi16(v, load16(rows->row[3] + at), 3);
    v = _mm_insert_epi16(v, load16(rows->row[4] + at), 4);
    v = _mm_insert_epi16(v, load16(rows->row[5] + at), 5);
    v = _mm_insert_epi16(v, load16(rows->row[6] + at), 6);
    v = _mm_insert_epi16(v, load16(rows->row[7] + at), 7);
    return _mm256_cvtph_ps(v);
}

/* Four bytes of each row. */
LOAM__INLINE __m256i gather4(row_pointers rows, size_t at)
{
    if (rows->packed) return load_packed(rows, at);
    __m128i low = _mm_cvtsi32_si128(load32(rows->row[0] + at));
    __m128i high = _mm_cvtsi32_si128(load32(rows->row[4] + at));
    low = _mm_insert_epi32(low, load32(rows->row[1] + at), 1);
    high = _mm_insert_epi32(high, load32(rows->row[5] + at), 1);
    low = _mm_insert_epi32(low, load32(rows->row[2] + at), 2);
    high = _mm_insert_epi32(high, load32(rows->row[6] + at), 2);
    low = _mm_insert_epi32(low, load32(rows->row[3] + at), 3);
    high = _mm_insert_epi32(high, load32(rows->row[7] + at), 3);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* One byte of each row, of four that can be read. */
LOAM__INLINE __m256i gather_byte(row_pointers rows, size_t at)
{
    if (rows->packed)
        return _mm256_cvtepu8_epi32(
            _mm_loadl_epi64((const __m128i *)(const void *)(rows->packed + ROWS * at)));
    return _mm256_and_si256(gather4(rows, at), _mm256_set1_epi32(255));
}

/* Each word of the index becomes that entry of a table. With gathers a product is slower, by up to
 * an eighth (Zen 4). */
LOAM__INLINE __m256i lookup(const uint16_t *table, int entries, __m256i index)
{
    uint64_t i[4];
    (void)entries;
    _mm256_storeu_si256((__m256i *)(void *)i, index);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(eight_words(table, i[0], i[1])),
                                   eight_words(table, i[2], i[3]), 1);
}

/* Two F16 in four bytes of each row. */
LOAM__INLINE void split_f16(__m256i pairs, __m256 *first, __m256 *second)
{
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    const __m256i v = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(pairs, order), 0xD8);
    *first = _mm256_cvtph_ps(_mm256_castsi256_si128(v));
    *second = _mm256_cvtph_ps(_mm256_extracti128_si256(v, 1));
}

#endif
