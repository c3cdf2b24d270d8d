/* The AVX-512 kernels, for the table in isa.c. Contracts: kernels.h. */
#ifndef LOAM__CPU_AVX512_H
#define LOAM__CPU_AVX512_H

#include "vnni.h"

LOAM__VNNI_KERNELS(avx512);

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
