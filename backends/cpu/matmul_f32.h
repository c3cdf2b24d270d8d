/* Products of F32, F16 and BF16 weights and F32 activations, for every instruction set. Before this
 * header a file includes its floats header and defines ROWS and COLS: see matmul_float.h. */
#ifndef LOAM__CPU_MATMUL_F32_H
#define LOAM__CPU_MATMUL_F32_H

enum { STEP = WIDTH };

typedef floats sums;
typedef floats factors;

LOAM__INLINE sums no_sum(void)
{
    return zeros();
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
    return load_floats((const float *)(const void *)column + k);
}

LOAM__INLINE sums multiply_add(factors w, factors x, sums sum)
{
    return times_plus(w, x, sum);
}

LOAM__INLINE float add_sum(sums v)
{
    return add_lanes(v);
}

#include "matmul_float.h"

void LOAM__KERNEL(multiply_f32)(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F32, a);
}

void LOAM__KERNEL(multiply_f16)(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F16, a);
}

void LOAM__KERNEL(multiply_bf16)(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_BF16, a);
}

#endif
