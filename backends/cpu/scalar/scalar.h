/* The scalar kernels: plain C that defines what is right. */
#ifndef LOAM__CPU_SCALAR_H
#define LOAM__CPU_SCALAR_H

#include "backends/cpu/kernels.h"
#include "lib/base/compiler.h"

extern const loam__cpu_matmul loam__scalar_matmuls[];

void loam__scalar_rms_norm(const float *x, const float *weight, float *y, size_t n, float eps);
void loam__scalar_add(const float *a, const float *b, float *y, size_t n);
void loam__scalar_glu(int32_t act, const float *gate, const float *up, float *y, size_t n);
void loam__scalar_rope(const float *x, const float *cos_sin, float *y, int32_t style,
                       uint32_t heads, uint32_t head_values, uint32_t rotary_values);
void loam__scalar_kv_write(const float *x, void *cells, loam_format type, size_t n);
void loam__scalar_attention(const loam__attention_args *a, float *parts);

/* Rows of weights and cells are decoded in pieces of this many numbers, a multiple of every block.
 */
enum { LOAM__PIECE = 256 };

/* Eight sums, joined in a fixed tree: short chains of additions lose less and keep a processor
 * busy. */
LOAM__INLINE float loam__scalar_dot(const float *a, const float *b, size_t n)
{
    float s[8] = {0};
    size_t i = 0;
    for (; n - i >= 8; i += 8)
        for (size_t j = 0; j < 8; j++)
            s[j] += a[i + j] * b[i + j];
    for (size_t j = 0; i + j < n; j++)
        s[j] += a[i + j] * b[i + j];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

#endif
