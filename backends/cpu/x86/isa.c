/* The tables of the AVX2 and AVX-512 kernels. Built without their flags: they are read on every
 * x86-64 CPU. */
#include "avx2.h"
#include "avx512.h"

#include <cpuid.h>

/* The system saves these parts of the registers; OSXSAVE is there. */
static bool saved(uint32_t wanted)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & wanted) == wanted;
}

/* The CPU has AVX2, FMA and F16C, and the system saves the registers that they use. */
static bool avx2_present(void)
{
    const unsigned wanted = bit_FMA | bit_F16C | bit_AVX | bit_OSXSAVE;
    const uint32_t sse_and_ymm = 0x06;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & wanted) != wanted || !saved(sse_and_ymm))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}

/* All of the above, and AVX-512 with VNNI: what server and many other CPUs since 2019 have. */
static bool avx512_present(void)
{
    const unsigned wanted = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    const uint32_t masks_and_zmm = 0xe0;
    unsigned a, b, c, d;
    return avx2_present() && saved(masks_and_zmm) && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b & wanted) == wanted && (c & bit_AVX512VNNI);
}

/* F32 sums in another order have shown errors of 2e-7. An int8 activation is off by up to 1/254 of
 * the largest in its 16; in rows of a single block, the worst case, random ones show half of this.
 */
static const loam__cpu_matmul avx2_matmuls[] = {
    {LOAM_TYPE_F32, 1e-6f, loam__avx2_f32_bytes, loam__avx2_f32_prepare, loam__avx2_multiply_f32},
    {LOAM_TYPE_F16, 1e-6f, loam__avx2_f32_bytes, loam__avx2_f32_prepare, loam__avx2_multiply_f16},
    {LOAM_TYPE_BF16, 1e-6f, loam__avx2_f32_bytes, loam__avx2_f32_prepare, loam__avx2_multiply_bf16},
    {LOAM_TYPE_Q4_0, 15e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_q4_0},
    {LOAM_TYPE_Q4_1, 15e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_q4_1},
    {LOAM_TYPE_Q5_0, 15e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_q5_0},
    {LOAM_TYPE_Q5_1, 15e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_q5_1},
    {LOAM_TYPE_Q8_0, 15e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_q8_0},
    {LOAM_TYPE_Q4_K, 5e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_q4_k},
    {LOAM_TYPE_Q5_K, 5e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_q5_k},
    {LOAM_TYPE_Q6_K, 5e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_q6_k},
    {LOAM_TYPE_IQ2_XXS, 5e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare,
     loam__avx2_multiply_iq2_xxs},
    {LOAM_TYPE_IQ2_XS, 5e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare,
     loam__avx2_multiply_iq2_xs},
    {LOAM_TYPE_IQ3_XXS, 5e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare,
     loam__avx2_multiply_iq3_xxs},
    {LOAM_TYPE_IQ1_S, 5e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_iq1_s},
    {LOAM_TYPE_IQ3_S, 5e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_iq3_s},
    {LOAM_TYPE_IQ2_S, 5e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_iq2_s},
    {LOAM_TYPE_IQ1_M, 5e-3f, loam__avx2_q8_bytes, loam__avx2_q8_prepare, loam__avx2_multiply_iq1_m},
    {0, 0, NULL, NULL, NULL},
};

const loam__cpu_isa loam__cpu_avx2 = {
    .name = "avx2",
    .present = avx2_present,
    .matmuls = avx2_matmuls,
    .rms_norm = loam__avx2_rms_norm,
    .add = loam__avx2_add,
    .glu = loam__avx2_glu,
    .rope = loam__avx2_rope,
    .kv_write = loam__avx2_kv_write,
    .attention = loam__avx2_attention,
    .digits_err = 6e-5f, /* 16 bits of a query: 1 in 65534 of its largest number; random ones show
                            half of it */
    .slice_macs = (size_t)1 << 21,
};

/* An int8 activation is off by up to 1/254 of the largest in its 16, as above. */
static const loam__cpu_matmul avx512_matmuls[] = {
    {LOAM_TYPE_Q4_0, 15e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_8,
     loam__avx512_multiply_q4_0},
    {LOAM_TYPE_Q4_1, 15e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_32,
     loam__avx512_multiply_q4_1},
    {LOAM_TYPE_Q5_0, 15e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_16,
     loam__avx512_multiply_q5_0},
    {LOAM_TYPE_Q5_1, 15e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_32,
     loam__avx512_multiply_q5_1},
    {LOAM_TYPE_Q8_0, 15e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_128,
     loam__avx512_multiply_q8_0},
    {LOAM_TYPE_Q4_K, 5e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_32,
     loam__avx512_multiply_q4_k},
    {LOAM_TYPE_Q5_K, 5e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_32,
     loam__avx512_multiply_q5_k},
    {LOAM_TYPE_Q6_K, 5e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_32,
     loam__avx512_multiply_q6_k},
    {LOAM_TYPE_IQ2_XXS, 5e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_64,
     loam__avx512_multiply_iq2_xxs},
    {LOAM_TYPE_IQ2_XS, 5e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_64,
     loam__avx512_multiply_iq2_xs},
    {LOAM_TYPE_IQ3_XXS, 5e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_32,
     loam__avx512_multiply_iq3_xxs},
    {LOAM_TYPE_IQ1_S, 5e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_32,
     loam__avx512_multiply_iq1_s},
    {LOAM_TYPE_IQ3_S, 5e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_16,
     loam__avx512_multiply_iq3_s},
    {LOAM_TYPE_IQ2_S, 5e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_64,
     loam__avx512_multiply_iq2_s},
    {LOAM_TYPE_IQ1_M, 5e-3f, loam__avx512_q8_bytes, loam__avx512_q8_prepare_32,
     loam__avx512_multiply_iq1_m},
    {0, 0, NULL, NULL, NULL},
};

const loam__cpu_isa loam__cpu_avx512 = {
    .name = "avx512",
    .present = avx512_present,
    .matmuls = avx512_matmuls,
    .slice_macs = (size_t)1 << 21,
};
