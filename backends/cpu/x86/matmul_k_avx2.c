/* Formats with blocks of 256 values: Q4_K, Q5_K, Q6_K. */
#include "panel_avx2.h"

enum { SUB_BLOCKS = 8 }; /* of 32 values in a block */

/* ---- Q4_K, Q5_K: F16 scale and min, then for each sub-block a 6-bit scale and a 6-bit min ---- */

/* Byte i of a row's dword is for sub-block i, and in the second vector for sub-block 4 + i. */
typedef struct k_header {
    __m256 scale, min; /* min is negated: a weight is scale * s * w - min * m */
    __m256i scales[2], mins[2];
} k_header;

LOAM__INLINE k_header unpack_header(row_pointers rows, size_t at)
{
    const __m256i six = _mm256_set1_epi8(0x3f), four = _mm256_set1_epi8(0x0f),
                  two = _mm256_set1_epi8(0x30);
    __m256i v[4]; /* F16 pair; scales, mins of the first four and the top bits of the last four; the
                     rest of those */
    k_header h;
    gather16(rows, at, v);
    split_f16(v[0], &h.scale, &h.min);
    h.min = _mm256_sub_ps(_mm256_setzero_ps(), h.min);
    h.scales[0] = _mm256_and_si256(v[1], six);
    h.mins[0] = _mm256_and_si256(v[2], six);
    h.scales[1] = _mm256_or_si256(_mm256_and_si256(v[3], four),
                                  _mm256_and_si256(_mm256_srli_epi16(v[1], 2), two));
    h.mins[1] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(v[3], 4), four),
                                _mm256_and_si256(_mm256_srli_epi16(v[2], 2), two));
    return h;
}

/* A byte of each lane, as a number. */
LOAM__INLINE __m256 byte_as_float(__m256i v, int byte)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12);
    const __m256i one_byte = _mm256_or_si256(_mm256_add_epi32(order, _mm256_set1_epi32(byte)),
                                             _mm256_set1_epi32((int)0xffffff00u));
    return _mm256_cvtepi32_ps(_mm256_shuffle_epi8(v, one_byte));
}

LOAM__INLINE void set_sub_block(const k_header *h, int i, piece *p)
{
    p->scale = _mm256_mul_ps(h->scale, byte_as_float(h->scales[i / 4], i % 4));
    p->extra[0] = _mm256_castps_si256(_mm256_mul_ps(h->min, byte_as_float(h->mins[i / 4], i % 4)));
}

LOAM__INLINE void low_nibbles(const __m256i v[8], __m256i w[8])
{
    const __m256i mask = _mm256_set1_epi8(15);
    for (int j = 0; j < 8; j++)
        w[j] = _mm256_and_si256(v[j], mask);
}

LOAM__INLINE void high_nibbles(const __m256i v[8], __m256i w[8])
{
    const __m256i mask = _mm256_set1_epi8(15);
    for (int j = 0; j < 8; j++)
        w[j] = _mm256_and_si256(_mm256_srli_epi16(v[j], 4), mask);
}

/* Sub-blocks 2i and 2i + 1 are the nibbles of 32 bytes. */
LOAM__INLINE void unpack_q4_k_pair(row_pointers rows, size_t at, const k_header *h, int i, sink *s)
{
    __m256i v[8];
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
LOAM__INLINE void fifth_bits(const __m256i high[8], int i, __m256i w[8])
{
    const __m256i sixteen = _mm256_set1_epi8(16);
    for (int j = 0; j < 8; j++) {
        const __m256i bit =
            i < 4 ? _mm256_slli_epi16(high[j], 4 - i) : _mm256_srli_epi16(high[j], i - 4);
        w[j] = _mm256_or_si256(w[j], _mm256_and_si256(bit, sixteen));
    }
}

LOAM__INLINE void unpack_q5_k_pair(row_pointers rows, size_t at, const k_header *h,
                                   const __m256i high[8], int i, sink *s)
{
    __m256i v[8];
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
    __m256i high[8];
    gather16(rows, at + 16, high);
    gather16(rows, at + 32, high + 4);
    unpack_q5_k_pair(rows, at, &h, high, 0, s);
    unpack_q5_k_pair(rows, at, &h, high, 1, s);
    unpack_q5_k_pair(rows, at, &h, high, 2, s);
    unpack_q5_k_pair(rows, at, &h, high, 3, s);
}

/* ---- Q6_K: 128 bytes of nibbles, 64 of high bits, 16 int8 scales, F16 scale ---- */

/* Bits 2i and 2i + 1 of `high` belong to sub-block i of a half. */
LOAM__INLINE void high_pairs(const __m256i high[8], int i, __m256i w[8])
{
    const __m256i mask = _mm256_set1_epi8(0x30);
    for (int j = 0; j < 8; j++) {
        const __m256i bits =
            i < 2 ? _mm256_slli_epi16(high[j], 4 - 2 * i) : _mm256_srli_epi16(high[j], 2 * i - 4);
        w[j] = _mm256_or_si256(w[j], _mm256_and_si256(bits, mask));
    }
}

/* Bytes 2i and 2i + 1 of each row's four are the scales of a sub-block's two sixteens. */
LOAM__INLINE void set_six_bit_scales(__m256i scales, int i, piece *p)
{
    const __m256i first = _mm256_srai_epi32(_mm256_slli_epi32(scales, 24 - 16 * i), 24);
    const __m256i second = _mm256_srai_epi32(_mm256_slli_epi32(scales, 16 - 16 * i), 24);
    p->extra[0] = _mm256_blend_epi16(first, _mm256_slli_epi32(first, 16), 0xAA);
    p->extra[1] = _mm256_blend_epi16(second, _mm256_slli_epi32(second, 16), 0xAA);
}

/* Sub-block i of a half of 128 values, whose nibbles are low or high ones of v. */
LOAM__INLINE void unpack_q6_k_sub(const __m256i v[8], const __m256i high[8],
                                  const __m256i scales[2], int i, piece *p, sink *s)
{
    if (i < 2) low_nibbles(v, p->w);
    else high_nibbles(v, p->w);
    high_pairs(high, i, p->w);
    set_six_bit_scales(scales[i / 2], i % 2, p);
    emit(s, SIX_BITS, p);
}

LOAM__INLINE void unpack_q6_k(row_pointers rows, size_t at, sink *s)
{
    __m256i all_scales[4];
    piece p;
    p.scale = gather_f16(rows, at + 208);
    gather16(rows, at + 192, all_scales);
    for (size_t half = 0; half < 2; half++) {
        const __m256i *scales = all_scales + 2 * half;
        __m256i high[8], first[8], second[8];
        gather16(rows, at + 128 + 32 * half, high);
        gather16(rows, at + 144 + 32 * half, high + 4);
        gather16(rows, at + 64 * half, first);
        gather16(rows, at + 16 + 64 * half, first + 4);
        unpack_q6_k_sub(first, high, scales, 0, &p, s);
        gather16(rows, at + 32 + 64 * half, second);
        gather16(rows, at + 48 + 64 * half, second + 4);
        unpack_q6_k_sub(second, high, scales, 1, &p, s);
        unpack_q6_k_sub(first, high, scales, 2, &p, s);
        unpack_q6_k_sub(second, high, scales, 3, &p, s);
    }
}

static void fill_q4_k(row_pointers rows, size_t row_bytes, size_t at, size_t units, piece *to)
{
    fill_panel(unpack_q4_k, 144, rows, row_bytes, at, units, to);
}

static void fill_q5_k(row_pointers rows, size_t row_bytes, size_t at, size_t units, piece *to)
{
    fill_panel(unpack_q5_k, 176, rows, row_bytes, at, units, to);
}

static void fill_q6_k(row_pointers rows, size_t row_bytes, size_t at, size_t units, piece *to)
{
    fill_panel(unpack_q6_k, 210, rows, row_bytes, at, units, to);
}

void loam__avx2_multiply_q4_k(const loam__matmul_args *a)
{
    if (a->cols == 1) multiply_column(a, unpack_q4_k, 256, 144);
    else loam__avx2_multiply_panels(a, OFFSET, 256, 144, fill_q4_k);
}

void loam__avx2_multiply_q5_k(const loam__matmul_args *a)
{
    if (a->cols == 1) multiply_column(a, unpack_q5_k, 256, 176);
    else loam__avx2_multiply_panels(a, OFFSET, 256, 176, fill_q5_k);
}

void loam__avx2_multiply_q6_k(const loam__matmul_args *a)
{
    if (a->cols == 1) multiply_column(a, unpack_q6_k, 256, 210);
    else loam__avx2_multiply_panels(a, SIX_BITS, 256, 210, fill_q6_k);
}
