/* The kernels that the sets with VNNI have in common, each for its own width. Contracts: kernels.h.
 */
#ifndef LOAM__CPU_VNNI_H
#define LOAM__CPU_VNNI_H

#include "backends/cpu/kernels.h"

/* Activations as int8 in blocks of 32 (panel_vnni.h), for formats whose unsigned weights are by
 * this much above what they mean or have a minimum; without a number, for a minimum in each half.
 */
#define LOAM__VNNI_KERNELS(set)                                                                    \
    size_t loam__##set##_q8_bytes(size_t k);                                                       \
    void loam__##set##_q8_prepare(const float *x, size_t k, void *column);                         \
    void loam__##set##_q8_prepare_1(const float *x, size_t k, void *column);                       \
    void loam__##set##_q8_prepare_8(const float *x, size_t k, void *column);                       \
    void loam__##set##_q8_prepare_12(const float *x, size_t k, void *column);                      \
    void loam__##set##_q8_prepare_16(const float *x, size_t k, void *column);                      \
    void loam__##set##_q8_prepare_32(const float *x, size_t k, void *column);                      \
    void loam__##set##_q8_prepare_64(const float *x, size_t k, void *column);                      \
    void loam__##set##_q8_prepare_128(const float *x, size_t k, void *column);                     \
    void loam__##set##_multiply_q4_0(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_q4_1(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_q5_0(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_q5_1(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_q8_0(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_q4_k(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_q5_k(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_q6_k(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_q2_k(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_q3_k(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_iq4_nl(const loam__matmul_args *a);                                \
    void loam__##set##_multiply_iq4_xs(const loam__matmul_args *a);                                \
    void loam__##set##_multiply_tq1_0(const loam__matmul_args *a);                                 \
    void loam__##set##_multiply_tq2_0(const loam__matmul_args *a);                                 \
    void loam__##set##_multiply_mxfp4(const loam__matmul_args *a);                                 \
    void loam__##set##_multiply_nvfp4(const loam__matmul_args *a);                                 \
    void loam__##set##_multiply_q1_0(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_q2_0(const loam__matmul_args *a);                                  \
    void loam__##set##_multiply_iq2_xxs(const loam__matmul_args *a);                               \
    void loam__##set##_multiply_iq2_xs(const loam__matmul_args *a);                                \
    void loam__##set##_multiply_iq3_xxs(const loam__matmul_args *a);                               \
    void loam__##set##_multiply_iq1_s(const loam__matmul_args *a);                                 \
    void loam__##set##_multiply_iq3_s(const loam__matmul_args *a);                                 \
    void loam__##set##_multiply_iq2_s(const loam__matmul_args *a);                                 \
    void loam__##set##_multiply_iq1_m(const loam__matmul_args *a)

#endif
