/* Formats with blocks of 32 values: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. */
#include "panel_avx2.h"

/* Sixteen bytes of each row: the low nibbles are values 0..15, the high ones 16..31. */
LOAM__INLINE void unpack_nibbles(row_pointers rows, size_t at, piece *p)
{
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i v[4];
    gather16(rows, at, v);
    p->w[0] = _mm256_and_si256(v[0], mask);
    p->w[1] = _mm256_and_si256(v[1], mask);
    p->w[2] = _mm256_and_si256(v[2], mask);
    p->w[3] = _mm256_and_si256(v[3], mask);
    p->w[4] = _mm256_and_si256(_mm256_srli_epi16(v[0], 4), mask);
    p->w[5] = _mm256_and_si256(_mm256_srli_epi16(v[1], 4), mask);
    p->w[6] = _mm256_and_si256(_mm256_srli_epi16(v[2], 4), mask);
    p->w[7] = _mm256_and_si256(_mm256_srli_epi16(v[3], 4), mask);
}

/* Bit 4j + i of each row's `bits` is the fifth bit of byte i in w[j]; here for j = 2 * byte and the
 * next. */
LOAM__INLINE void add_fifth_bits(__m256i bits, int byte, __m256i *even, __m256i *odd)
{
    const __m256i sixteen = _mm256_set1_epi8(16), own = _mm256_set1_epi32((int)0x80402010u);
    const __m256i rows = _mm256_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404,
                                           0x08080808, 0x0c0c0c0c);
    const __m256i high =
        _mm256_shuffle_epi8(bits, _mm256_add_epi8(rows, _mm256_set1_epi8((char)byte)));
    const __m256i low = _mm256_slli_epi16(high, 4);
    *even = _mm256_or_si256(*even, _mm256_min_epu8(_mm256_and_si256(low, own), sixteen));
    *odd = _mm256_or_si256(*odd, _mm256_min_epu8(_mm256_and_si256(high, own), sixteen));
}

LOAM__INLINE void add_all_fifth_bits(__m256i bits, piece *p)
{
    add_fifth_bits(bits, 0, &p->w[0], &p->w[1]);
    add_fifth_bits(bits, 1, &p->w[2], &p->w[3]);
    add_fifth_bits(bits, 2, &p->w[4], &p->w[5]);
    add_fifth_bits(bits, 3, &p->w[6], &p->w[7]);
}

LOAM__INLINE void set_scale_and_offset(__m256 scale, float offset, piece *p)
{
    p->scale = scale;
    p->extra[0] = _mm256_castps_si256(_mm256_mul_ps(p->scale, _mm256_set1_ps(offset)));
}

LOAM__INLINE void set_scale_and_min(__m256i pairs, piece *p)
{
    __m256 min;
    split_f16(pairs, &p->scale, &min);
    p->extra[0] = _mm256_castps_si256(min);
}

/* F16 scale; nibbles of w + 8 */
LOAM__INLINE void unpack_q4_0(row_pointers rows, size_t at, sink *s)
{
    piece p;
    set_scale_and_offset(gather_f16(rows, at), -8.0f, &p);
    unpack_nibbles(rows, at + 2, &p);
    emit(s, OFFSET, &p);
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
    set_scale_and_offset(gather_f16(rows, at), -16.0f, &p);
    unpack_nibbles(rows, at + 6, &p);
    add_all_fifth_bits(gather4(rows, at + 2), &p);
    emit(s, OFFSET, &p);
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
    emit(s, SIGNED, &p);
}

static void fill_q4_0(row_pointers rows, size_t row_bytes, size_t at, size_t units, piece *to)
{
    fill_panel(unpack_q4_0, 18, rows, row_bytes, at, units, to);
}

static void fill_q4_1(row_pointers rows, size_t row_bytes, size_t at, size_t units, piece *to)
{
    fill_panel(unpack_q4_1, 20, rows, row_bytes, at, units, to);
}

static void fill_q5_0(row_pointers rows, size_t row_bytes, size_t at, size_t units, piece *to)
{
    fill_panel(unpack_q5_0, 22, rows, row_bytes, at, units, to);
}

static void fill_q5_1(row_pointers rows, size_t row_bytes, size_t at, size_t units, piece *to)
{
    fill_panel(unpack_q5_1, 24, rows, row_bytes, at, units, to);
}

static void fill_q8_0(row_pointers rows, size_t row_bytes, size_t at, size_t units, piece *to)
{
    fill_panel(unpack_q8_0, 34, rows, row_bytes, at, units, to);
}

void loam__avx2_multiply_q4_0(const loam__matmul_args *a)
{
    if (a->cols == 1) multiply_column(a, unpack_q4_0, 32, 18);
    else loam__avx2_multiply_panels(a, OFFSET, 32, 18, fill_q4_0);
}

void loam__avx2_multiply_q4_1(const loam__matmul_args *a)
{
    if (a->cols == 1) multiply_column(a, unpack_q4_1, 32, 20);
    else loam__avx2_multiply_panels(a, OFFSET, 32, 20, fill_q4_1);
}

void loam__avx2_multiply_q5_0(const loam__matmul_args *a)
{
    if (a->cols == 1) multiply_column(a, unpack_q5_0, 32, 22);
    else loam__avx2_multiply_panels(a, OFFSET, 32, 22, fill_q5_0);
}

void loam__avx2_multiply_q5_1(const loam__matmul_args *a)
{
    if (a->cols == 1) multiply_column(a, unpack_q5_1, 32, 24);
    else loam__avx2_multiply_panels(a, OFFSET, 32, 24, fill_q5_1);
}

void loam__avx2_multiply_q8_0(const loam__matmul_args *a)
{
    if (a->cols == 1) multiply_column(a, unpack_q8_0, 32, 34);
    else loam__avx2_multiply_panels(a, SIGNED, 32, 34, fill_q8_0);
}
