/* The tables of the AVX2, AVX-VNNI and AVX-512 kernels. Built without their flags: they are read on
 * every x86-64 CPU. */
#include "avx2.h"
#include "avx512.h"
#include "avxvnni.h"

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
/* clang-format off */
#define ROW(set, type, err, form, prepare, name, ...) \
    { LOAM_TYPE_##type, err, loam__##set##_##form##_bytes, loam__##set##_##form##_##prepare, \
      loam__##set##_multiply_##name, __VA_ARGS__ }

static const loam__cpu_matmul avx2_matmuls[] = {
    ROW(avx2, F32,  1e-6f, f32, prepare, f32, {0}),
    ROW(avx2, F16,  1e-6f, f32, prepare, f16, {0}),
    ROW(avx2, BF16, 1e-6f, f32, prepare, bf16, {0}),
    ROW(avx2, Q4_0, 15e-3f, q8, prepare,     q4_0, {8, 0}),
    ROW(avx2, Q4_1, 15e-3f, q8, prepare,     q4_1, {8, LOAM__NO_PAIR}),
    ROW(avx2, Q5_0, 15e-3f, q8, prepare,     q5_0, {8, 0}),
    ROW(avx2, Q5_1, 15e-3f, q8, prepare,     q5_1, {8, LOAM__NO_PAIR}),
    ROW(avx2, Q8_0, 15e-3f, q8, prepare,     q8_0, {8, 0}),
    ROW(avx2, Q4_K, 5e-3f, q8, prepare,     q4_k, {8, LOAM__NO_PAIR}),
    ROW(avx2, Q5_K, 5e-3f, q8, prepare,     q5_k, {8, LOAM__NO_PAIR}),
    ROW(avx2, Q6_K, 5e-3f, q8, prepare,     q6_k, {8, 208}),
    ROW(avx2, Q2_K,   5e-3f, q8, prepare,     q2_k,   {8, LOAM__NO_PAIR}),
    ROW(avx2, Q3_K,   5e-3f, q8, prepare,     q3_k,   {8, 108}),
    ROW(avx2, IQ4_NL, 15e-3f, q8, prepare,     iq4_nl, {8, 0}),
    ROW(avx2, IQ4_XS, 5e-3f, q8, prepare,     iq4_xs, {8, LOAM__NO_PAIR}),
    ROW(avx2, TQ1_0,  5e-3f, q8, prepare,     tq1_0,  {8, 52}),
    ROW(avx2, TQ2_0,  5e-3f, q8, prepare,     tq2_0,  {8, 64}),
    ROW(avx2, MXFP4,  15e-3f, q8, prepare,     mxfp4,  {8, 0}),
    ROW(avx2, NVFP4,  15e-3f, q8, prepare,     nvfp4,  {8, LOAM__NO_PAIR}),
    ROW(avx2, Q1_0,   15e-3f, q8, prepare,     q1_0,   {8, 0}),
    ROW(avx2, Q2_0,   15e-3f, q8, prepare,     q2_0,   {8, 0}),
    ROW(avx2, IQ2_XXS, 5e-3f, q8, prepare,    iq2_xxs, {8, 0}),
    ROW(avx2, IQ2_XS, 5e-3f, q8, prepare,    iq2_xs,  {8, 0}),
    ROW(avx2, IQ3_XXS, 5e-3f, q8, prepare,    iq3_xxs, {8, 0}),
    ROW(avx2, IQ1_S, 5e-3f, q8, prepare,    iq1_s,   {8, 0}),
    ROW(avx2, IQ3_S, 5e-3f, q8, prepare,    iq3_s,   {8, 0}),
    ROW(avx2, IQ2_S, 5e-3f, q8, prepare,    iq2_s,   {8, 0}),
    ROW(avx2, IQ1_M, 5e-3f, q8, prepare,    iq1_m,   {8, LOAM__NO_PAIR}),
    {0},
};
/* clang-format on */

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
    .attention_part = loam__avx2_attention_part,
    .slice_macs = (size_t)1 << 24,
};

/* An int8 activation is off by up to 1/254 of the largest in its 16, as above. One list for every
 * width: a set without VNNI_ROWS would find those of a lower one, which its CPU may not run. */
/* clang-format off */
#define VNNI_ROWS(set, rows) \
    ROW(set, Q4_0, 15e-3f, q8, prepare_8,   q4_0, {rows, 0}), \
    ROW(set, Q4_1, 15e-3f, q8, prepare_32,  q4_1, {rows, LOAM__NO_PAIR}), \
    ROW(set, Q5_0, 15e-3f, q8, prepare_16,  q5_0, {rows, 0}), \
    ROW(set, Q5_1, 15e-3f, q8, prepare_32,  q5_1, {rows, LOAM__NO_PAIR}), \
    ROW(set, Q8_0, 15e-3f, q8, prepare_128, q8_0, {rows, 0}), \
    ROW(set, Q4_K, 5e-3f, q8, prepare_32,  q4_k, {rows, LOAM__NO_PAIR}), \
    ROW(set, Q5_K, 5e-3f, q8, prepare_32,  q5_k, {rows, LOAM__NO_PAIR}), \
    ROW(set, Q6_K, 5e-3f, q8, prepare_32,  q6_k, {rows, 208}), \
    ROW(set, Q2_K,   5e-3f, q8, prepare,     q2_k,   {rows, LOAM__NO_PAIR}), \
    ROW(set, Q3_K,   5e-3f, q8, prepare_32,  q3_k,   {rows, 108}), \
    ROW(set, IQ4_NL, 15e-3f, q8, prepare_128, iq4_nl, {rows, 0}), \
    ROW(set, IQ4_XS, 5e-3f, q8, prepare_128, iq4_xs, {rows, LOAM__NO_PAIR}), \
    ROW(set, TQ1_0,  5e-3f, q8, prepare_1,   tq1_0,  {rows, 52}), \
    ROW(set, TQ2_0,  5e-3f, q8, prepare_1,   tq2_0,  {rows, 64}), \
    ROW(set, MXFP4,  15e-3f, q8, prepare_12,  mxfp4,  {rows, 0}), \
    ROW(set, NVFP4,  15e-3f, q8, prepare_12,  nvfp4,  {rows, LOAM__NO_PAIR}), \
    ROW(set, Q1_0,   15e-3f, q8, prepare_1,   q1_0,   {rows, 0}), \
    ROW(set, Q2_0,   15e-3f, q8, prepare_1,   q2_0,   {rows, 0}), \
    ROW(set, IQ2_XXS, 5e-3f, q8, prepare_64, iq2_xxs, {rows, 0}), \
    ROW(set, IQ2_XS, 5e-3f, q8, prepare_64, iq2_xs,  {rows, 0}), \
    ROW(set, IQ3_XXS, 5e-3f, q8, prepare_32, iq3_xxs, {rows, 0}), \
    ROW(set, IQ1_S, 5e-3f, q8, prepare_32, iq1_s,   {rows, 0}), \
    ROW(set, IQ3_S, 5e-3f, q8, prepare_16, iq3_s,   {rows, 0}), \
    ROW(set, IQ2_S, 5e-3f, q8, prepare_64, iq2_s,   {rows, 0}), \
    ROW(set, IQ1_M, 5e-3f, q8, prepare_32, iq1_m,   {rows, LOAM__NO_PAIR})

static const loam__cpu_matmul avxvnni_matmuls[] = {
    VNNI_ROWS(avxvnni, 8),
    {0},
};

static const loam__cpu_matmul avx512_matmuls[] = {
    {LOAM_TYPE_F32, 1e-6f, loam__avx2_f32_bytes, loam__avx2_f32_prepare,
     loam__avx512_multiply_f32, {0}},
    {LOAM_TYPE_F16, 1e-6f, loam__avx2_f32_bytes, loam__avx2_f32_prepare,
     loam__avx512_multiply_f16, {0}},
    {LOAM_TYPE_BF16, 1e-6f, loam__avx2_f32_bytes, loam__avx2_f32_prepare,
     loam__avx512_multiply_bf16, {0}},
    VNNI_ROWS(avx512, 16),
    {0},
};
/* clang-format on */

const loam__cpu_isa loam__cpu_avxvnni = {
    .name = "avxvnni",
    .present = loam__avxvnni_present,
    .matmuls = avxvnni_matmuls,
    .slice_macs = (size_t)1 << 24,
};

const loam__cpu_isa loam__cpu_avx512 = {
    .name = "avx512",
    .present = avx512_present,
    .matmuls = avx512_matmuls,
    .add = loam__avx512_add,
    .glu = loam__avx512_glu,
    .attention = loam__avx512_attention,
    .attention_part = loam__avx512_attention_part,
    .slice_macs = (size_t)1 << 24,
};

static bool avx512bf16_present(void)
{
    unsigned a, b, c, d;
    return avx512_present() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & bit_AVX512BF16);
}

/* An activation is off by up to 1/256 of itself. */
static const loam__cpu_matmul avx512bf16_matmuls[] = {
    ROW(avx512bf16, BF16, 4e-3f, bf16, prepare, bf16, {0}),
    {0},
};

const loam__cpu_isa loam__cpu_avx512bf16 = {
    .name = "avx512bf16",
    .present = avx512bf16_present,
    .matmuls = avx512bf16_matmuls,
    .slice_macs = (size_t)1 << 24,
};
