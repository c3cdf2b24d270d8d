/* F32, F16 and BF16 weights times F32 activations. */
#include "floats_neon.h"

size_t loam__neon_f32_bytes(size_t k)
{
    return (k * sizeof(float) + 63) / 64 * 64;
}

void loam__neon_f32_prepare(const float *x, size_t k, void *column)
{
    memcpy(column, x, k * sizeof *x);
    memset((char *)column + k * sizeof *x, 0, loam__neon_f32_bytes(k) - k * sizeof *x);
}

enum { STEP = WIDTH, ROWS = 4, COLS = 4 };

typedef float32x4_t sums;
typedef float32x4_t factors;

LOAM__INLINE sums no_sum(void)
{
    return vdupq_n_f32(0);
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
    return vld1q_f32((const float *)(const void *)column + k);
}

LOAM__INLINE sums multiply_add(factors w, factors x, sums sum)
{
    return vfmaq_f32(sum, w, x);
}

LOAM__INLINE float add_sum(sums v)
{
    return vaddvq_f32(v);
}

#include "backends/cpu/matmul_float.h"

void loam__neon_multiply_f32(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F32, a);
}

void loam__neon_multiply_f16(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F16, a);
}

void loam__neon_multiply_bf16(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_BF16, a);
}
