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

enum { ROWS = 4, COLS = 4 };

#define LOAM__KERNEL(name) loam__neon_##name
#include "backends/cpu/matmul_f32.h"
