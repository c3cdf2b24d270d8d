/* F32, F16 and BF16 weights times F32 activations. */
#include <immintrin.h>

#include "avx512.h"
#include "backends/cpu/inline.h"

enum { STEP = 16, ROWS = 4, COLS = 6 };

typedef __m512 sums;
typedef __m512 factors;

LOAM__INLINE sums no_sum(void)
{
    return _mm512_setzero_ps();
}

LOAM__INLINE factors from_bf16(__m256i v)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

LOAM__INLINE factors load_weights(loam_format type, const uint8_t *p)
{
    if (type == LOAM_TYPE_F32) return _mm512_loadu_ps(p);
    const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
    return type == LOAM_TYPE_F16 ? _mm512_cvtph_ps(v) : from_bf16(v);
}

LOAM__INLINE factors load_last_weights(loam_format type, const uint8_t *p, size_t n)
{
    const __mmask16 some = (__mmask16)((1u << n) - 1);
    if (type == LOAM_TYPE_F32) return _mm512_maskz_loadu_ps(some, p);
    const __m256i v = _mm256_maskz_loadu_epi16(some, p);
    return type == LOAM_TYPE_F16 ? _mm512_cvtph_ps(v) : from_bf16(v);
}

LOAM__INLINE factors load_values(const uint8_t *column, size_t k)
{
    return _mm512_load_ps((const float *)(const void *)column + k);
}

LOAM__INLINE sums multiply_add(factors w, factors x, sums sum)
{
    return _mm512_fmadd_ps(w, x, sum);
}

LOAM__INLINE float add_sum(sums v)
{
    return _mm512_reduce_add_ps(v);
}

#include "backends/cpu/matmul_float.h"

void loam__avx512_multiply_f32(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F32, a);
}

void loam__avx512_multiply_f16(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F16, a);
}

void loam__avx512_multiply_bf16(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_BF16, a);
}
