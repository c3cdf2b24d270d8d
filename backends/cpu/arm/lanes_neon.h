/* Vectors whose 32-bit lanes belong to four rows of weights, for the unpackers that the instruction
 * sets share: see panel.h. */
#ifndef LOAM__CPU_LANES_NEON_H
#define LOAM__CPU_LANES_NEON_H

#include "floats_neon.h"

enum { ROWS = 4 };

typedef int32x4_t ints;
/* Where ROWS rows of weights lie: apart, or interleaved (loam__packing), where byte `at` of all of
 * them begins at packed + ROWS * at. */
typedef struct source {
    const uint8_t *packed; /* NULL: apart */
    const uint8_t *row[ROWS];
} source;

typedef const source *row_pointers;

/* The unpackers' operations, which have the names of x86's intrinsics. */
#define VECTOR(operation) lanes_##operation

LOAM__INLINE uint8x16_t as_bytes(ints v)
{
    return vreinterpretq_u8_s32(v);
}

LOAM__INLINE ints of_bytes(uint8x16_t v)
{
    return vreinterpretq_s32_u8(v);
}

LOAM__INLINE ints lanes_set1_epi8(char v)
{
    return of_bytes(vdupq_n_u8((uint8_t)v));
}

LOAM__INLINE ints lanes_set1_epi32(int v)
{
    return vdupq_n_s32(v);
}

LOAM__INLINE floats lanes_set1_ps(float v)
{
    return vdupq_n_f32(v);
}

LOAM__INLINE ints lanes_sub_epi8(ints a, ints b)
{
    return of_bytes(vsubq_u8(as_bytes(a), as_bytes(b)));
}

LOAM__INLINE ints lanes_add_epi8(ints a, ints b)
{
    return of_bytes(vaddq_u8(as_bytes(a), as_bytes(b)));
}

LOAM__INLINE ints lanes_add_epi32(ints a, ints b)
{
    return vaddq_s32(a, b);
}

LOAM__INLINE ints lanes_min_epu8(ints a, ints b)
{
    return of_bytes(vminq_u8(as_bytes(a), as_bytes(b)));
}

/* Shifts are operators, because their intrinsics want a constant before anything is inlined. */
LOAM__INLINE ints lanes_srli_epi16(ints v, int n)
{
    return vreinterpretq_s32_u16(vreinterpretq_u16_s32(v) >> n);
}

LOAM__INLINE ints lanes_slli_epi16(ints v, int n)
{
    return vreinterpretq_s32_u16(vreinterpretq_u16_s32(v) << n);
}

LOAM__INLINE ints lanes_slli_epi32(ints v, int n)
{
    return v << n;
}

LOAM__INLINE ints lanes_srai_epi32(ints v, int n)
{
    return v >> n;
}

/* Byte i is byte order[i] of v; 0 where that is 0xff. */
LOAM__INLINE ints lanes_shuffle_epi8(ints v, ints order)
{
    return of_bytes(vqtbl1q_u8(as_bytes(v), as_bytes(order)));
}

LOAM__INLINE floats lanes_cvtepi32_ps(ints v)
{
    return vcvtq_f32_s32(v);
}

LOAM__INLINE floats lanes_mul_ps(floats a, floats b)
{
    return vmulq_f32(a, b);
}

LOAM__INLINE floats lanes_sub_ps(floats a, floats b)
{
    return vsubq_f32(a, b);
}

LOAM__INLINE ints bits_and(ints a, ints b)
{
    return vandq_s32(a, b);
}

LOAM__INLINE ints bits_or(ints a, ints b)
{
    return vorrq_s32(a, b);
}

/* Four lanes, again and again: here once. */
LOAM__INLINE ints repeated(int a, int b, int c, int d)
{
    const int32_t lanes[] = {a, b, c, d};
    return vld1q_s32(lanes);
}

LOAM__INLINE void ask_for(uintptr_t address)
{
    LOAM__PREFETCH((const void *)address);
}

LOAM__INLINE floats load_rows(const float *y, size_t n)
{
    return n >= ROWS ? vld1q_f32(y) : load_first(y, n);
}

LOAM__INLINE void store_rows(float *y, size_t n, floats v)
{
    if (n >= ROWS) vst1q_f32(y, v);
    else store_first(y, n, v);
}

LOAM__INLINE ints load_bytes16(const uint8_t *p)
{
    return of_bytes(vld1q_u8(p));
}

/* Four bytes of each packed row. */
LOAM__INLINE ints load_packed(row_pointers rows, size_t at)
{
    return load_bytes16(rows->packed + ROWS * at);
}

LOAM__INLINE ints first_pairs(ints a, ints b)
{
    return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}

LOAM__INLINE ints second_pairs(ints a, ints b)
{
    return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
}

/* 16 bytes of each row, transposed: out[i] holds bytes 4i .. 4i+3 of the four rows. */
LOAM__INLINE void gather16(row_pointers rows, size_t at, ints out[4])
{
    if (rows->packed) {
        for (int i = 0; i < 4; i++)
            out[i] = load_packed(rows, at + 4 * (size_t)i);
        return;
    }
    const ints a = load_bytes16(rows->row[0] + at), b = load_bytes16(rows->row[1] + at);
    const ints c = load_bytes16(rows->row[2] + at), d = load_bytes16(rows->row[3] + at);
    const ints ab0 = vzip1q_s32(a, b), ab1 = vzip2q_s32(a, b);
    const ints cd0 = vzip1q_s32(c, d), cd1 = vzip2q_s32(c, d);
    out[0] = first_pairs(ab0, cd0);
    out[1] = second_pairs(ab0, cd0);
    out[2] = first_pairs(ab1, cd1);
    out[3] = second_pairs(ab1, cd1);
}

LOAM__INLINE uint16_t load16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

LOAM__INLINE int32_t load32(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* One F16 of each row. */
LOAM__INLINE floats gather_f16(row_pointers rows, size_t at)
{
    if (rows->packed) return load_typed(LOAM_TYPE_F16, rows->packed + ROWS * at);
    uint16x4_t v = vdup_n_u16(load16(rows->row[0] + at));
    v = vset_lane_u16(load16(rows->row[1] + at), v, 1);
    v = vset_lane_u16(load16(rows->row[2] + at), v, 2);
    v = vset_lane_u16(load16(rows->row[3] + at), v, 3);
    return vcvt_f32_f16(vreinterpret_f16_u16(v));
}

/* Four bytes of each row. */
LOAM__INLINE ints gather4(row_pointers rows, size_t at)
{
    if (rows->packed) return load_packed(rows, at);
    ints v = vdupq_n_s32(load32(rows->row[0] + at));
    v = vsetq_lane_s32(load32(rows->row[1] + at), v, 1);
    v = vsetq_lane_s32(load32(rows->row[2] + at), v, 2);
    return vsetq_lane_s32(load32(rows->row[3] + at), v, 3);
}

/* Two F16 in four bytes of each row. */
LOAM__INLINE void split_f16(ints pairs, floats *first, floats *second)
{
    const uint32x4_t v = vreinterpretq_u32_s32(pairs);
    *first = vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(v)));
    *second = vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32(v, 16)));
}

#endif
