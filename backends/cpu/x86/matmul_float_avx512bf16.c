/* BF16 weights times activations rounded to BF16: exact products of pairs, summed in F32. */
#include <immintrin.h>
#include <string.h>

#include "avx512.h"
#include "backends/cpu/inline.h"

enum { STEP = 32, ROWS = 4, COLS = 6 };

typedef __m512 sums;
typedef __m512bh factors;

size_t loam__avx512bf16_bf16_bytes(size_t k)
{
    return (k * sizeof(uint16_t) + 63) / 64 * 64;
}

void loam__avx512bf16_bf16_prepare(const float *x, size_t k, void *column)
{
    uint16_t *out = column;
    memset(column, 0, loam__avx512bf16_bf16_bytes(k));
    for (size_t i = 0; i < k; i += 16) {
        const __mmask16 some = (__mmask16)(k - i >= 16 ? 0xffff : (1u << (k - i)) - 1);
        const __m256bh v = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, x + i));
        _mm256_mask_storeu_epi16(out + i, some, (__m256i)v);
    }
}

LOAM__INLINE sums no_sum(void)
{
    return _mm512_setzero_ps();
}

LOAM__INLINE factors load_weights(loam_format type, const uint8_t *p)
{
    (void)type;
    return (__m512bh)_mm512_loadu_si512(p);
}

LOAM__INLINE factors load_last_weights(loam_format type, const uint8_t *p, size_t n)
{
    (void)type;
    return (__m512bh)_mm512_maskz_loadu_epi16((__mmask32)((1u << n) - 1), p);
}

LOAM__INLINE factors load_values(const uint8_t *column, size_t k)
{
    return (__m512bh)_mm512_load_si512(column + k * sizeof(uint16_t));
}

LOAM__INLINE sums multiply_add(factors w, factors x, sums sum)
{
    return _mm512_dpbf16_ps(sum, w, x);
}

LOAM__INLINE float add_sum(sums v)
{
    return _mm512_reduce_add_ps(v);
}

#include "backends/cpu/matmul_float.h"

void loam__avx512bf16_multiply_bf16(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_BF16, a);
}
