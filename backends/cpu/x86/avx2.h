/* The AVX2 kernels, for the table in isa.c. Contracts: kernels.h. */
#ifndef LOAM__CPU_AVX2_H
#define LOAM__CPU_AVX2_H

#include "backends/cpu/kernels.h"

/* Activations in F32, padded with zeros to 64 bytes: for F32, F16 and BF16 weights. */
size_t loam__avx2_f32_bytes(size_t k);
void loam__avx2_f32_prepare(const float *x, size_t k, void *column);
void loam__avx2_multiply_f32(const loam__matmul_args *a);
void loam__avx2_multiply_f16(const loam__matmul_args *a);
void loam__avx2_multiply_bf16(const loam__matmul_args *a);

/* Activations as int8 in blocks of 32: for the quantized formats (panel_avx2.h). */
size_t loam__avx2_q8_bytes(size_t k);
void loam__avx2_q8_prepare(const float *x, size_t k, void *column);
void loam__avx2_multiply_q4_0(const loam__matmul_args *a);
void loam__avx2_multiply_q4_1(const loam__matmul_args *a);
void loam__avx2_multiply_q5_0(const loam__matmul_args *a);
void loam__avx2_multiply_q5_1(const loam__matmul_args *a);
void loam__avx2_multiply_q8_0(const loam__matmul_args *a);
void loam__avx2_multiply_q4_k(const loam__matmul_args *a);
void loam__avx2_multiply_q5_k(const loam__matmul_args *a);
void loam__avx2_multiply_q6_k(const loam__matmul_args *a);
void loam__avx2_multiply_q2_k(const loam__matmul_args *a);
void loam__avx2_multiply_q3_k(const loam__matmul_args *a);
void loam__avx2_multiply_iq4_nl(const loam__matmul_args *a);
void loam__avx2_multiply_iq4_xs(const loam__matmul_args *a);
void loam__avx2_multiply_tq1_0(const loam__matmul_args *a);
void loam__avx2_multiply_tq2_0(const loam__matmul_args *a);
void loam__avx2_multiply_mxfp4(const loam__matmul_args *a);
void loam__avx2_multiply_nvfp4(const loam__matmul_args *a);
void loam__avx2_multiply_q1_0(const loam__matmul_args *a);
void loam__avx2_multiply_q2_0(const loam__matmul_args *a);
void loam__avx2_multiply_iq2_xxs(const loam__matmul_args *a);
void loam__avx2_multiply_iq2_xs(const loam__matmul_args *a);
void loam__avx2_multiply_iq3_xxs(const loam__matmul_args *a);
void loam__avx2_multiply_iq1_s(const loam__matmul_args *a);
void loam__avx2_multiply_iq3_s(const loam__matmul_args *a);
void loam__avx2_multiply_iq2_s(const loam__matmul_args *a);
void loam__avx2_multiply_iq1_m(const loam__matmul_args *a);

void loam__avx2_rms_norm(const float *x, const float *weight, float *y, size_t n, float eps);
void loam__avx2_add(const float *a, const float *b, float *y, size_t n);
void loam__avx2_glu(int32_t act, const float *gate, const float *up, float *y, size_t n);
void loam__avx2_rope(const float *x, const float *cos_sin, float *y, int32_t style, uint32_t heads,
                     uint32_t head_values, uint32_t rotary_values);
void loam__avx2_kv_write(const float *x, void *cells, loam_format type, size_t n);
void loam__avx2_attention(const loam__attention_args *a, float *parts);
void loam__avx2_attention_part(const loam__attention_args *a, size_t segment, float *part);

#endif
