/* The AVX-512 kernels, for the table in isa.c. Contracts: kernels.h. */
#ifndef LOAM__CPU_AVX512_H
#define LOAM__CPU_AVX512_H

#include "backends/cpu/kernels.h"

/* Activations as int8 in blocks of 32 (panel_avx512.h), for formats whose unsigned weights are by
 * this much above what they mean or have a minimum; without a number, for a minimum in each half.
 */
size_t loam__avx512_q8_bytes(size_t k);
void loam__avx512_q8_prepare(const float *x, size_t k, void *column);
void loam__avx512_q8_prepare_1(const float *x, size_t k, void *column);
void loam__avx512_q8_prepare_8(const float *x, size_t k, void *column);
void loam__avx512_q8_prepare_12(const float *x, size_t k, void *column);
void loam__avx512_q8_prepare_16(const float *x, size_t k, void *column);
void loam__avx512_q8_prepare_32(const float *x, size_t k, void *column);
void loam__avx512_q8_prepare_64(const float *x, size_t k, void *column);
void loam__avx512_q8_prepare_128(const float *x, size_t k, void *column);
void loam__avx512_multiply_q4_0(const loam__matmul_args *a);
void loam__avx512_multiply_q4_1(const loam__matmul_args *a);
void loam__avx512_multiply_q5_0(const loam__matmul_args *a);
void loam__avx512_multiply_q5_1(const loam__matmul_args *a);
void loam__avx512_multiply_q8_0(const loam__matmul_args *a);
void loam__avx512_multiply_q4_k(const loam__matmul_args *a);
void loam__avx512_multiply_q5_k(const loam__matmul_args *a);
void loam__avx512_multiply_q6_k(const loam__matmul_args *a);
void loam__avx512_multiply_q2_k(const loam__matmul_args *a);
void loam__avx512_multiply_q3_k(const loam__matmul_args *a);
void loam__avx512_multiply_iq4_nl(const loam__matmul_args *a);
void loam__avx512_multiply_iq4_xs(const loam__matmul_args *a);
void loam__avx512_multiply_tq1_0(const loam__matmul_args *a);
void loam__avx512_multiply_tq2_0(const loam__matmul_args *a);
void loam__avx512_multiply_mxfp4(const loam__matmul_args *a);
void loam__avx512_multiply_nvfp4(const loam__matmul_args *a);
void loam__avx512_multiply_q1_0(const loam__matmul_args *a);
void loam__avx512_multiply_q2_0(const loam__matmul_args *a);
void loam__avx512_multiply_iq2_xxs(const loam__matmul_args *a);
void loam__avx512_multiply_iq2_xs(const loam__matmul_args *a);
void loam__avx512_multiply_iq3_xxs(const loam__matmul_args *a);
void loam__avx512_multiply_iq1_s(const loam__matmul_args *a);
void loam__avx512_multiply_iq3_s(const loam__matmul_args *a);
void loam__avx512_multiply_iq2_s(const loam__matmul_args *a);
void loam__avx512_multiply_iq1_m(const loam__matmul_args *a);

/* Activations as they are (loam__avx2_f32_prepare), and as BF16 where the CPU multiplies these. */
void loam__avx512_multiply_f32(const loam__matmul_args *a);
void loam__avx512_multiply_f16(const loam__matmul_args *a);
void loam__avx512_multiply_bf16(const loam__matmul_args *a);
size_t loam__avx512bf16_bf16_bytes(size_t k);
void loam__avx512bf16_bf16_prepare(const float *x, size_t k, void *column);
void loam__avx512bf16_multiply_bf16(const loam__matmul_args *a);

void loam__avx512_add(const float *a, const float *b, float *y, size_t n);
void loam__avx512_glu(int32_t act, const float *gate, const float *up, float *y, size_t n);
void loam__avx512_attention(const loam__attention_args *a, float *parts);
void loam__avx512_attention_part(const loam__attention_args *a, size_t segment, float *part);

#endif
