/* The tables of the kernels for 64-bit ARM. Built without their flags: they are read on every such
 * CPU. */
#include "arm.h"

#include "lib/base/os.h"

/* Every 64-bit ARM CPU that runs a hosted system has what these need. */
static bool neon_present(void)
{
    return true;
}

static bool dotprod_present(void)
{
    return loam__arm_features() & LOAM__CPU_DOTPROD;
}

static bool i8mm_present(void)
{
    return dotprod_present() && loam__arm_features() & LOAM__CPU_I8MM;
}

/* F32 sums in another order have shown errors of 3e-7. An int8 activation is off by up to 1/254 of
 * the largest in its 16; in rows of a single block, the worst case, random ones show half of this.
 */
static const loam__cpu_matmul neon_matmuls[] = {
    {LOAM_TYPE_F32, 1e-6f, loam__neon_f32_bytes, loam__neon_f32_prepare, loam__neon_multiply_f32},
    {LOAM_TYPE_F16, 1e-6f, loam__neon_f32_bytes, loam__neon_f32_prepare, loam__neon_multiply_f16},
    {LOAM_TYPE_BF16, 1e-6f, loam__neon_f32_bytes, loam__neon_f32_prepare, loam__neon_multiply_bf16},
    {LOAM_TYPE_Q4_0, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__neon_multiply_q4_0},
    {LOAM_TYPE_Q4_1, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__neon_multiply_q4_1},
    {LOAM_TYPE_Q5_0, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__neon_multiply_q5_0},
    {LOAM_TYPE_Q5_1, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__neon_multiply_q5_1},
    {LOAM_TYPE_Q8_0, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__neon_multiply_q8_0},
    {LOAM_TYPE_Q4_K, 5e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__neon_multiply_q4_k},
    {LOAM_TYPE_Q5_K, 5e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__neon_multiply_q5_k},
    {LOAM_TYPE_Q6_K, 5e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__neon_multiply_q6_k},
    {0, 0, NULL, NULL, NULL},
};

const loam__cpu_isa loam__cpu_neon = {
    .name = "neon",
    .present = neon_present,
    .matmuls = neon_matmuls,
    .rms_norm = loam__neon_rms_norm,
    .add = loam__neon_add,
    .glu = loam__neon_glu,
    .rope = loam__neon_rope,
    .kv_write = loam__neon_kv_write,
    .attention = loam__neon_attention,
    .slice_macs = (size_t)1 << 20,
};

/* The same sums by dot products of four bytes each: what most CPUs since 2018 have. */
static const loam__cpu_matmul dotprod_matmuls[] = {
    {LOAM_TYPE_Q4_0, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare,
     loam__dotprod_multiply_q4_0},
    {LOAM_TYPE_Q4_1, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare,
     loam__dotprod_multiply_q4_1},
    {LOAM_TYPE_Q5_0, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare,
     loam__dotprod_multiply_q5_0},
    {LOAM_TYPE_Q5_1, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare,
     loam__dotprod_multiply_q5_1},
    {LOAM_TYPE_Q8_0, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare,
     loam__dotprod_multiply_q8_0},
    {LOAM_TYPE_Q4_K, 5e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare,
     loam__dotprod_multiply_q4_k},
    {LOAM_TYPE_Q5_K, 5e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare,
     loam__dotprod_multiply_q5_k},
    {LOAM_TYPE_Q6_K, 5e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare,
     loam__dotprod_multiply_q6_k},
    {0, 0, NULL, NULL, NULL},
};

const loam__cpu_isa loam__cpu_dotprod = {
    .name = "dotprod",
    .present = dotprod_present,
    .matmuls = dotprod_matmuls,
    .slice_macs = (size_t)1 << 21,
};

/* And by products of small matrices where there are many columns. */
static const loam__cpu_matmul i8mm_matmuls[] = {
    {LOAM_TYPE_Q4_0, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__i8mm_multiply_q4_0},
    {LOAM_TYPE_Q4_1, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__i8mm_multiply_q4_1},
    {LOAM_TYPE_Q5_0, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__i8mm_multiply_q5_0},
    {LOAM_TYPE_Q5_1, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__i8mm_multiply_q5_1},
    {LOAM_TYPE_Q8_0, 15e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__i8mm_multiply_q8_0},
    {LOAM_TYPE_Q4_K, 5e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__i8mm_multiply_q4_k},
    {LOAM_TYPE_Q5_K, 5e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__i8mm_multiply_q5_k},
    {LOAM_TYPE_Q6_K, 5e-3f, loam__neon_q8_bytes, loam__neon_q8_prepare, loam__i8mm_multiply_q6_k},
    {0, 0, NULL, NULL, NULL},
};

const loam__cpu_isa loam__cpu_i8mm = {
    .name = "i8mm",
    .present = i8mm_present,
    .matmuls = i8mm_matmuls,
    .slice_macs = (size_t)1 << 21,
};
