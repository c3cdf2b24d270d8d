/* The kernels for 64-bit ARM, for the tables in isa.c. Contracts: kernels.h. */
#ifndef LOAM__CPU_ARM_H
#define LOAM__CPU_ARM_H

#include "backends/cpu/kernels.h"

/* Activations in F32, padded with zeros to 64 bytes: for F32, F16 and BF16 weights. */
size_t loam__neon_f32_bytes(size_t k);
void loam__neon_f32_prepare(const float *x, size_t k, void *column);
void loam__neon_multiply_f32(const loam__matmul_args *a);
void loam__neon_multiply_f16(const loam__matmul_args *a);
void loam__neon_multiply_bf16(const loam__matmul_args *a);

/* Activations as int8 in blocks of 32: for the quantized formats of all three sets (panel_neon.h).
 */
size_t loam__neon_q8_bytes(size_t k);
void loam__neon_q8_prepare(const float *x, size_t k, void *column);

void loam__neon_multiply_q4_0(const loam__matmul_args *a);
void loam__neon_multiply_q4_1(const loam__matmul_args *a);
void loam__neon_multiply_q5_0(const loam__matmul_args *a);
void loam__neon_multiply_q5_1(const loam__matmul_args *a);
void loam__neon_multiply_q8_0(const loam__matmul_args *a);
void loam__neon_multiply_q2_k(const loam__matmul_args *a);
void loam__neon_multiply_q3_k(const loam__matmul_args *a);
void loam__neon_multiply_q4_k(const loam__matmul_args *a);
void loam__neon_multiply_q5_k(const loam__matmul_args *a);
void loam__neon_multiply_q6_k(const loam__matmul_args *a);

void loam__dotprod_multiply_q4_0(const loam__matmul_args *a);
void loam__dotprod_multiply_q4_1(const loam__matmul_args *a);
void loam__dotprod_multiply_q5_0(const loam__matmul_args *a);
void loam__dotprod_multiply_q5_1(const loam__matmul_args *a);
void loam__dotprod_multiply_q8_0(const loam__matmul_args *a);
void loam__dotprod_multiply_q2_k(const loam__matmul_args *a);
void loam__dotprod_multiply_q3_k(const loam__matmul_args *a);
void loam__dotprod_multiply_q4_k(const loam__matmul_args *a);
void loam__dotprod_multiply_q5_k(const loam__matmul_args *a);
void loam__dotprod_multiply_q6_k(const loam__matmul_args *a);

void loam__i8mm_multiply_q4_0(const loam__matmul_args *a);
void loam__i8mm_multiply_q4_1(const loam__matmul_args *a);
void loam__i8mm_multiply_q5_0(const loam__matmul_args *a);
void loam__i8mm_multiply_q5_1(const loam__matmul_args *a);
void loam__i8mm_multiply_q8_0(const loam__matmul_args *a);
void loam__i8mm_multiply_q2_k(const loam__matmul_args *a);
void loam__i8mm_multiply_q3_k(const loam__matmul_args *a);
void loam__i8mm_multiply_q4_k(const loam__matmul_args *a);
void loam__i8mm_multiply_q5_k(const loam__matmul_args *a);
void loam__i8mm_multiply_q6_k(const loam__matmul_args *a);

void loam__neon_rms_norm(const float *x, const float *weight, float *y, size_t n, float eps);
void loam__neon_add(const float *a, const float *b, float *y, size_t n);
void loam__neon_glu(int32_t act, const float *gate, const float *up, float *y, size_t n);
void loam__neon_rope(const float *x, const float *cos_sin, float *y, int32_t style, uint32_t heads,
                     uint32_t head_values, uint32_t rotary_values);
void loam__neon_kv_write(const float *x, void *cells, loam_format type, size_t n);
void loam__neon_attention(const loam__attention_args *a, float *parts);
void loam__neon_attention_part(const loam__attention_args *a, size_t segment, float *part);

#endif
