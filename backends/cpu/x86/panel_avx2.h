/* Products of quantized weights and int8 activations.
 *
 * Eight rows go together: 32 values of each of them are unpacked and transposed into one `piece`,
 * in which vector j holds values 4j .. 4j+3 of all eight rows. So a lane belongs to a row: products
 * of unsigned weights and signed activations are summed exactly in integers over the 32 values, and
 * then scaled and added to the lane's float sum once, with no horizontal sum anywhere. One column
 * multiplies a piece where it is unpacked; many columns share a panel of pieces. Either way an
 * output sees the same additions in the same order, block after block. */
#ifndef LOAM__CPU_PANEL_AVX2_H
#define LOAM__CPU_PANEL_AVX2_H

#include "inline_avx2.h"

enum { ROWS = 8, BLOCK = 32, HALF = 16 };

/* 32 activations: value i is scale * m * q[i], with one m for each half. One scale for 32 values
 * alone would lose too much: on Gemma 3 the perplexity is off by 0.56 % with it, and by half of
 * that with an integer m up to HALF_MOST, which costs next to nothing, since products are summed by
 * a multiply-add in any case. */
enum { HALF_MOST = 16 };
typedef struct q8 {
    int8_t q[BLOCK];
    float scale;
    float sum;       /* of the values, for weights with an offset */
    int16_t half[2]; /* sums of m * q over each half: at most 16 * 127 * 16, which an int16 holds */
    int16_t m[2][2]; /* of each half, twice: as the multiply-add wants it */
} q8;

/* How weights multiply, by how many products an int16 takes: 4 j-vectors of 31 * 127 * 2 are below
 * 32768, and so on. */
enum {
    OFFSET = 4,   /* 0..31; weight = scale * w + min */
    SIX_BITS = 2, /* 0..63; weight = scale * s * (w - 32) with an integer s for each 16 values */
    SIGNED = 1    /* -128..127; weight = scale * w */
};

typedef struct piece {
    __m256i w[8];
    __m256 scale;
    __m256i extra[2]; /* min as floats; or for SIX_BITS the two s, each twice as int16 */
} piece;

/* Where unpacked pieces go: a panel, or at once into the dot product with one column. */
typedef struct sink {
    piece *panel; /* NULL: multiply */
    const q8 *x;
    __m256 sum;
} sink;

typedef const uint8_t *const *row_pointers; /* ROWS of them */

/* Unpack `units` units of a format, which begin `at` bytes into each row, to consecutive pieces. */
typedef void fill_fn(row_pointers rows, size_t row_bytes, size_t at, size_t units, piece *to);

void loam__avx2_multiply_panels(const loam__matmul_args *a, int kind, size_t unit_values,
                                size_t unit_bytes, fill_fn *fill);

LOAM__INLINE __m256i broadcast4(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

/* Keep a chain of sums a chain: GCC makes a tree of it, whose leaves do not fit into the registers.
 */
LOAM__INLINE __m256i in_order(__m256i v)
{
    __asm__("" : "+x"(v));
    return v;
}

/* What the products of a half are multiplied by as they are summed: m, and the row's own s. */
LOAM__INLINE __m256i multiplier(int kind, int half, const piece *p, const q8 *x)
{
    const __m256i m = broadcast4(x->m[half]);
    return kind == SIX_BITS ? _mm256_mullo_epi16(p->extra[half], m) : m;
}

/* One more j-vector: adds its products to sum16 and, when int16 is full, those to sum32. */
LOAM__INLINE void products(int kind, int j, __m256i w, __m256i x, __m256i m, __m256i *sum16,
                           __m256i *sum32)
{
    __m256i product;
    if (kind == SIGNED) product = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    else product = _mm256_maddubs_epi16(w, x);
    *sum16 = j % kind == 0 ? product : in_order(_mm256_add_epi16(*sum16, product));
    if (j % kind != kind - 1) return;
    const __m256i wide = _mm256_madd_epi16(*sum16, m);
    *sum32 = j < kind ? wide : in_order(_mm256_add_epi32(*sum32, wide));
}

/* The exact integer sum of a block becomes part of the float sum. */
LOAM__INLINE __m256 add_block(int kind, const piece *p, const q8 *x, __m256i sum32, __m256 sum)
{
    if (kind == SIX_BITS) { /* the offset of 32 */
        const __m256i s = _mm256_blend_epi16(p->extra[0], p->extra[1], 0xAA);
        const __m256i offset = _mm256_madd_epi16(s, broadcast4(x->half));
        sum32 = _mm256_sub_epi32(sum32, _mm256_slli_epi32(offset, 5));
    }
    const __m256 scale = _mm256_mul_ps(p->scale, _mm256_set1_ps(x->scale));
    sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum32), scale, sum);
    if (kind == OFFSET)
        sum = _mm256_fmadd_ps(_mm256_castsi256_ps(p->extra[0]), _mm256_set1_ps(x->sum), sum);
    return sum;
}

LOAM__INLINE void emit(sink *s, int kind, const piece *p)
{
    if (s->panel) {
        *s->panel++ = *p;
        return;
    }
    const __m256i m0 = multiplier(kind, 0, p, s->x), m1 = multiplier(kind, 1, p, s->x);
    __m256i sum16, sum32;
    products(kind, 0, p->w[0], broadcast4(s->x->q), m0, &sum16, &sum32);
    products(kind, 1, p->w[1], broadcast4(s->x->q + 4), m0, &sum16, &sum32);
    products(kind, 2, p->w[2], broadcast4(s->x->q + 8), m0, &sum16, &sum32);
    products(kind, 3, p->w[3], broadcast4(s->x->q + 12), m0, &sum16, &sum32);
    products(kind, 4, p->w[4], broadcast4(s->x->q + 16), m1, &sum16, &sum32);
    products(kind, 5, p->w[5], broadcast4(s->x->q + 20), m1, &sum16, &sum32);
    products(kind, 6, p->w[6], broadcast4(s->x->q + 24), m1, &sum16, &sum32);
    products(kind, 7, p->w[7], broadcast4(s->x->q + 28), m1, &sum16, &sum32);
    s->sum = add_block(kind, p, s->x, sum32, s->sum);
    s->x++;
}

/* ---- gathering from eight rows ---- */

/* Row pointers for rows r .. r+7; beyond the last row the last one again, whose results are thrown
 * away. */
LOAM__INLINE void find_rows(const loam__matmul_args *a, size_t r, const uint8_t *rows[ROWS])
{
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = (const uint8_t *)a->w + (r + i < a->rows ? r + i : a->rows - 1) * a->w_row_bytes;
}

LOAM__INLINE __m256i two_rows(row_pointers rows, int i, size_t at)
{
    const __m128i low = _mm_loadu_si128((const __m128i *)(rows[i] + at));
    const __m128i high = _mm_loadu_si128((const __m128i *)(rows[i + 4] + at));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* 16 bytes of each row, transposed: out[i] holds bytes 4i .. 4i+3 of the eight rows. */
LOAM__INLINE void gather16(row_pointers rows, size_t at, __m256i out[4])
{
    const __m256i a = two_rows(rows, 0, at), b = two_rows(rows, 1, at);
    const __m256i c = two_rows(rows, 2, at), d = two_rows(rows, 3, at);
    const __m256i ab0 = _mm256_unpacklo_epi32(a, b), ab1 = _mm256_unpackhi_epi32(a, b);
    const __m256i cd0 = _mm256_unpacklo_epi32(c, d), cd1 = _mm256_unpackhi_epi32(c, d);
    out[0] = _mm256_unpacklo_epi64(ab0, cd0);
    out[1] = _mm256_unpackhi_epi64(ab0, cd0);
    out[2] = _mm256_unpacklo_epi64(ab1, cd1);
    out[3] = _mm256_unpackhi_epi64(ab1, cd1);
}

LOAM__INLINE int load16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

LOAM__INLINE int load32(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* One F16 of each row. */
LOAM__INLINE __m256 gather_f16(row_pointers rows, size_t at)
{
    __m128i v = _mm_cvtsi32_si128(load16(rows[0] + at));
    v = _mm_insert_epi16(v, load16(rows[1] + at), 1);
    v = _mm_insert_epi16(v, load16(rows[2] + at), 2);
    v = _mm_insert_epi16(v, load16(rows[3] + at), 3);
    v = _mm_insert_epi16(v, load16(rows[4] + at), 4);
    v = _mm_insert_epi16(v, load16(rows[5] + at), 5);
    v = _mm_insert_epi16(v, load16(rows[6] + at), 6);
    v = _mm_insert_epi16(v, load16(rows[7] + at), 7);
    return _mm256_cvtph_ps(v);
}

/* Four bytes of each row. */
LOAM__INLINE __m256i gather4(row_pointers rows, size_t at)
{
    __m128i low = _mm_cvtsi32_si128(load32(rows[0] + at));
    __m128i high = _mm_cvtsi32_si128(load32(rows[4] + at));
    low = _mm_insert_epi32(low, load32(rows[1] + at), 1);
    high = _mm_insert_epi32(high, load32(rows[5] + at), 1);
    low = _mm_insert_epi32(low, load32(rows[2] + at), 2);
    high = _mm_insert_epi32(high, load32(rows[6] + at), 2);
    low = _mm_insert_epi32(low, load32(rows[3] + at), 3);
    high = _mm_insert_epi32(high, load32(rows[7] + at), 3);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
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

/* ---- the two ways through a format, made of its unpacker ---- */

typedef void unpack_fn(row_pointers rows, size_t at, sink *s);

LOAM__INLINE void store_rows(float *y, size_t n, __m256 v)
{
    if (n >= ROWS) _mm256_storeu_ps(y, v);
    else store_first(y, n, v);
}

/* Eight rows are too many streams for the hardware's prefetcher, above all when rows are short. So
 * while a unit of these rows is used, as many bytes are asked for of the rows two groups on, in the
 * order in which they lie. */
LOAM__INLINE void ask_ahead(const uint8_t *row, size_t row_bytes, size_t at, size_t unit_bytes)
{
    const uintptr_t next = (uintptr_t)row + 2 * ROWS * row_bytes + ROWS * at;
    for (size_t i = 0; i < ROWS * unit_bytes; i += 64)
        _mm_prefetch((const char *)(next + i), _MM_HINT_T1);
}

LOAM__INLINE void fill_panel(unpack_fn *unpack, size_t unit_bytes, row_pointers rows,
                             size_t row_bytes, size_t at, size_t units, piece *to)
{
    sink s = {.panel = to};
    for (size_t u = 0; u < units; u++, at += unit_bytes) {
        ask_ahead(rows[0], row_bytes, at, unit_bytes);
        unpack(rows, at, &s);
    }
}

/* One column: the weights stream by once. */
LOAM__INLINE void multiply_column(const loam__matmul_args *a, unpack_fn *unpack, size_t unit_values,
                                  size_t unit_bytes)
{
    const size_t bytes = a->k / unit_values * unit_bytes;
    for (size_t r = 0; r < a->rows; r += ROWS) {
        const uint8_t *rows[ROWS];
        sink s = {.panel = NULL, .x = a->x, .sum = _mm256_setzero_ps()};
        find_rows(a, r, rows);
        for (size_t at = 0; at < bytes; at += unit_bytes) {
            ask_ahead(rows[0], a->w_row_bytes, at, unit_bytes);
            unpack(rows, at, &s);
        }
        store_rows(a->y + r, a->rows - r, s.sum);
    }
}

#endif
