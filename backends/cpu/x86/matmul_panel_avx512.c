#include "panel_avx512.h"

/* The bits of the largest |x| of a half; NaN is above infinity. */
LOAM__INLINE uint32_t largest_bits(const float *x)
{
    const __m512 v = _mm512_abs_ps(_mm512_loadu_ps(x));
    return (uint32_t)_mm512_reduce_max_epi32(_mm512_castps_si512(v));
}

/* Round a half to int8; gives the sum. */
LOAM__INLINE int round_half(const float *x, float inverse, int8_t *to)
{
    const __m512 v = _mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(inverse));
    const __m512i whole = _mm512_cvtps_epi32(v);
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtsepi32_epi8(whole));
    return _mm512_reduce_add_epi32(whole);
}

#include "quantize_vnni.h"

/* The largest lane of each of four vectors, in every lane of a quarter of the result. */
LOAM__INLINE __m512i largest_of_four(const __m512i v[4])
{
    const __m512i ab = _mm512_max_epi32(_mm512_shuffle_i32x4(v[0], v[1], 0x88),
                                        _mm512_shuffle_i32x4(v[0], v[1], 0xDD));
    const __m512i cd = _mm512_max_epi32(_mm512_shuffle_i32x4(v[2], v[3], 0x88),
                                        _mm512_shuffle_i32x4(v[2], v[3], 0xDD));
    __m512i m =
        _mm512_max_epi32(_mm512_shuffle_i32x4(ab, cd, 0x88), _mm512_shuffle_i32x4(ab, cd, 0xDD));
    m = _mm512_max_epi32(m, _mm512_shuffle_epi32(m, 0x4E));
    return _mm512_max_epi32(m, _mm512_shuffle_epi32(m, 0xB1));
}

/* Two blocks at once, as two halves each by themselves; false: some numbers in them are not usual.
 */
LOAM__INLINE bool quantize_two(const float *x, int center, q8 *out)
{
    __m512 v[4];
    __m512i magnitudes[4];
    for (int h = 0; h < 4; h++) {
        v[h] = _mm512_loadu_ps(x + h * HALF);
        magnitudes[h] = _mm512_castps_si512(_mm512_abs_ps(v[h]));
    }
    const __m512 most = _mm512_castsi512_ps(largest_of_four(magnitudes));
    const __mmask16 usual = _mm512_cmp_ps_mask(most, _mm512_set1_ps(FLT_MAX), _CMP_LE_OQ) &
                            _mm512_cmp_ps_mask(most, _mm512_set1_ps(0x1p-100f), _CMP_GE_OQ);
    if (usual != 0xffff) return false;
    const __m512 all = _mm512_set1_ps(127.0f), steps = _mm512_div_ps(all, most);
    const __m512 quarters[4] = {
        _mm512_shuffle_f32x4(steps, steps, 0x00), _mm512_shuffle_f32x4(steps, steps, 0x55),
        _mm512_shuffle_f32x4(steps, steps, 0xAA), _mm512_shuffle_f32x4(steps, steps, 0xFF)};
    float scales[16];
    int32_t sums[16];
    __m128i bytes[4];
    for (int h = 0; h < 4; h++) {
        bytes[h] = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(v[h], quarters[h])));
        _mm_store_si128((__m128i *)(void *)(out[h / 2].q + h % 2 * HALF), bytes[h]);
    }
    __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1),
                                      join(bytes[0], bytes[1], bytes[2], bytes[3]));
    sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, 0x4E));
    sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, 0xB1));
    _mm512_storeu_ps(scales, _mm512_div_ps(most, all));
    _mm512_storeu_si512(sums, sum);
    for (int h = 0; h < 4; h++)
        describe_half(out + h / 2, h % 2, center, scales[4 * h], sums[4 * h]);
    return true;
}

LOAM__INLINE void quantize(const float *x, size_t blocks, int center, q8 *out)
{
    for (size_t b = 0, n; b < blocks; b += n) {
        n = b + 1 < blocks && quantize_two(x + b * BLOCK, center, out + b) ? 2 : 1;
        if (n == 1) quantize_block(x + b * BLOCK, center, out + b);
    }
}

enum { GROUPS = 1, COLS = 8 };

#include "matmul_vnni.h"
