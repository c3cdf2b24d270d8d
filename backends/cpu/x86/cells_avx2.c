/* F32 into KV cells: the bits of the reference encoders in lib/quant. */
#include "cells_avx2.h"

/* Eight numbers as BF16: to nearest, ties to even; a NaN stays one, quieted. */
LOAM__INLINE __m128i to_bf16(__m256 v)
{
    const __m256i bits = _mm256_castps_si256(v), upper = _mm256_srli_epi32(bits, 16);
    const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, up), 16);
    const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    const __m256i halves = _mm256_blendv_epi8(rounded, quiet, nan);
    return _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

LOAM__INLINE __m128i to_half(loam_format type, __m256 v)
{
    return type == LOAM_TYPE_F16 ? _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT) : to_bf16(v);
}

LOAM__INLINE void write_halves(loam_format type, const float *x, uint8_t *out, size_t n)
{
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        _mm_storeu_si128((__m128i *)(out + 2 * i), to_half(type, _mm256_loadu_ps(x + i)));
    if (i < n) {
        uint16_t last[WIDTH];
        _mm_storeu_si128((__m128i *)last, to_half(type, load_first(x + i, n - i)));
        memcpy(out + 2 * i, last, 2 * (n - i));
    }
}

typedef struct block { /* 32 numbers */
    __m256 v[4];
    float peak; /* of largest magnitude, the first of equals; a NaN is larger than all */
} block;

LOAM__INLINE block load_block(const float *x)
{
    block b;
    __m256i most = _mm256_setzero_si256();
    for (size_t w = 0; w < 4; w++) {
        b.v[w] = _mm256_loadu_ps(x + w * WIDTH);
        most = _mm256_max_epi32(most, magnitudes(b.v[w]));
    }
    most = spread_largest(most);
    uint32_t equal = 0;
    for (size_t w = 0; w < 4; w++) {
        const __m256i same = _mm256_cmpeq_epi32(magnitudes(b.v[w]), most);
        equal |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(same)) << w * WIDTH;
    }
    const uint32_t before_first = (equal - 1) & ~equal;
    b.peak = x[_mm_popcnt_u32(before_first)] + 0.0f; /* -0 becomes 0 */
    return b;
}

static void write_scale(uint8_t *out, float d)
{
    const uint16_t scale = _cvtss_sh(d, _MM_FROUND_TO_NEAREST_INT);
    memcpy(out, &scale, sizeof scale);
}

/* To the nearest whole number, halves away from zero. */
LOAM__INLINE __m256i round_away(__m256 v)
{
    const __m256 sign = _mm256_and_ps(v, _mm256_set1_ps(-0.0f));
    const __m256 whole = _mm256_round_ps(v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    const __m256 rest = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), _mm256_sub_ps(v, whole));
    const __m256 far = _mm256_cmp_ps(rest, _mm256_set1_ps(0.5f), _CMP_GE_OQ);
    const __m256 one = _mm256_or_ps(_mm256_and_ps(far, _mm256_set1_ps(1.0f)), sign);
    return _mm256_cvttps_epi32(_mm256_add_ps(whole, one));
}

/* The low bytes of 32 numbers that fit into them, in order. */
LOAM__INLINE __m256i to_bytes(const __m256i q[4])
{
    const __m256i words =
        _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    return _mm256_permutevar8x32_epi32(words, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

static void write_q8_0(const float *x, uint8_t *out)
{
    const block b = load_block(x);
    const float d = fabsf(b.peak) / 127, steps = inverse(d);
    __m256i q[4];
    write_scale(out, d);
    for (size_t w = 0; w < 4; w++)
        q[w] = round_away(_mm256_mul_ps(b.v[w], _mm256_set1_ps(steps)));
    const __m256i bytes = steps != 0 ? to_bytes(q) : _mm256_setzero_si256();
    _mm256_storeu_si256((__m256i *)(out + 2), bytes);
}

static void write_q4_0(const float *x, uint8_t *out)
{
    const block b = load_block(x);
    const float d = b.peak / -8, steps = inverse(d);
    __m256i q[4];
    write_scale(out, d);
    for (size_t w = 0; w < 4; w++) {
        const __m256 scaled = _mm256_mul_ps(b.v[w], _mm256_set1_ps(steps));
        q[w] = _mm256_cvttps_epi32(_mm256_add_ps(scaled, _mm256_set1_ps(8.5f)));
        q[w] = _mm256_min_epi32(q[w], _mm256_set1_epi32(15));
    }
    const __m256i bytes = steps != 0 ? to_bytes(q) : _mm256_set1_epi8(8);
    const __m128i high = _mm_slli_epi16(_mm256_extracti128_si256(bytes, 1), 4);
    _mm_storeu_si128((__m128i *)(out + 2), _mm_or_si128(_mm256_castsi256_si128(bytes), high));
}

void loam__avx2_kv_write(const float *x, void *cells, loam_format type, size_t n)
{
    uint8_t *out = cells;
    if (type == LOAM_TYPE_F32) memcpy(cells, x, n * sizeof *x);
    else if (type == LOAM_TYPE_F16) write_halves(LOAM_TYPE_F16, x, out, n);
    else if (type == LOAM_TYPE_BF16) write_halves(LOAM_TYPE_BF16, x, out, n);
    for (size_t at = 0; at < n && in_blocks(type); at += CELL_BLOCK) {
        if (type == LOAM_TYPE_Q8_0) write_q8_0(x + at, out + cell_bytes(type, at));
        else write_q4_0(x + at, out + cell_bytes(type, at));
    }
}
