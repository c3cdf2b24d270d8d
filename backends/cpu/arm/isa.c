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
/* clang-format off */
#define FLOATS(type, name) \
    { LOAM_TYPE_##type, 1e-6f, loam__neon_f32_bytes, loam__neon_f32_prepare, \
      loam__neon_multiply_##name, {0} }
#define ROW(set, type, err, name, pair) \
    { LOAM_TYPE_##type, err, loam__neon_q8_bytes, loam__neon_q8_prepare, \
      loam__##set##_multiply_##name, {4, pair} }
#define QUANTIZED(set) \
    ROW(set, Q4_0, 15e-3f, q4_0, 0), \
    ROW(set, Q4_1, 15e-3f, q4_1, LOAM__NO_PAIR), \
    ROW(set, Q5_0, 15e-3f, q5_0, 0), \
    ROW(set, Q5_1, 15e-3f, q5_1, LOAM__NO_PAIR), \
    ROW(set, Q8_0, 15e-3f, q8_0, 0), \
    ROW(set, Q2_K, 5e-3f, q2_k, LOAM__NO_PAIR), \
    ROW(set, Q3_K, 5e-3f, q3_k, 108), \
    ROW(set, Q4_K, 5e-3f, q4_k, LOAM__NO_PAIR), \
    ROW(set, Q5_K, 5e-3f, q5_k, LOAM__NO_PAIR), \
    ROW(set, Q6_K, 5e-3f, q6_k, 208)

static const loam__cpu_matmul neon_matmuls[] = {
    FLOATS(F32, f32), FLOATS(F16, f16), FLOATS(BF16, bf16), QUANTIZED(neon), {0},
};

/* The same sums by dot products of four bytes each: what most CPUs since 2018 have. */
static const loam__cpu_matmul dotprod_matmuls[] = { QUANTIZED(dotprod), {0} };

/* And by products of small matrices where there are many columns. */
static const loam__cpu_matmul i8mm_matmuls[] = { QUANTIZED(i8mm), {0} };
/* clang-format on */

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
    .attention_part = loam__neon_attention_part,
    .slice_macs = (size_t)1 << 20,
};

const loam__cpu_isa loam__cpu_dotprod = {
    .name = "dotprod",
    .present = dotprod_present,
    .matmuls = dotprod_matmuls,
    .slice_macs = (size_t)1 << 21,
};

const loam__cpu_isa loam__cpu_i8mm = {
    .name = "i8mm",
    .present = i8mm_present,
    .matmuls = i8mm_matmuls,
    .slice_macs = (size_t)1 << 21,
};
