/* F32, F16 and BF16 weights times F32 activations. */
#include "floats_avx2.h"

size_t loam__avx2_f32_bytes(size_t k)
{
    return (k * sizeof(float) + 63) / 64 * 64;
}

void loam__avx2_f32_prepare(const float *x, size_t k, void *column)
{
    memcpy(column, x, k * sizeof *x);
    memset((char *)column + k * sizeof *x, 0, loam__avx2_f32_bytes(k) - k * sizeof *x);
}

enum { STEP = WIDTH, ROWS = 4, COLS = 3 };

typedef __m256 sums;
typedef __m256 factors;

LOAM__INLINE sums no_sum(void)
{
    return _mm256_setzero_ps();
}

LOAM__INLINE factors load_weights(loam_format type, const uint8_t *p)
{
    return load_typed(type, p);
}

LOAM__INLINE factors load_last_weights(loam_format type, const uint8_t *p, size_t n)
{
    return load_first_typed(type, p, n);
}

LOAM__INLINE factors load_values(const uint8_t *column, size_t k)
{
    return _mm256_load_ps((const float *)(const void *)column + k);
}

LOAM__INLINE sums multiply_add(factors w, factors x, sums sum)
{
    return _mm256_fmadd_ps(w, x, sum);
}

LOAM__INLINE float add_sum(sums v)
{
    return add_lanes(v);
}

#include "backends/cpu/matmul_float.h"

void loam__avx2_multiply_f32(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F32, a);
}

void loam__avx2_multiply_f16(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F16, a);
}

void loam__avx2_multiply_bf16(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_BF16, a);
}
