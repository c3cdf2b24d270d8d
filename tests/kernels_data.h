/* Random numbers and blocks for tests of formats and kernels. The seed is fixed: every run sees the
 * same. */
#ifndef LOAM_TEST_KERNELS_DATA_H
#define LOAM_TEST_KERNELS_DATA_H

#include "lib/quant/quant.h"
#include "test.h"

typedef struct random_state {
    uint64_t x;
} random_state;

/* splitmix64 (Steele, Lea and Flood 2014) */
static inline uint64_t random_u64(random_state *r)
{
    uint64_t z = r->x += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* first .. last, both included */
static inline size_t random_size(random_state *r, size_t first, size_t last)
{
    return first + (size_t)(random_u64(r) % (last - first + 1));
}

/* Roughly normal, in (-3.5, 3.5): the sum of four uniform numbers has variance 1/3. */
static inline float random_float(random_state *r)
{
    uint64_t bits = random_u64(r);
    uint64_t sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
    return ((float)sum / 65536 - 2) * 1.7320508f;
}

static inline void random_floats(random_state *r, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = random_float(r);
}

/* Memory of exactly n bytes that starts at an address of remainder shift modulo 64, so that a
 * sanitizer sees the first byte read behind it. Free *memory. */
static inline void *shifted_memory(size_t n, size_t shift, void **memory)
{
    assert_int_equal(posix_memalign(memory, 64, n + shift + (n + shift == 0)), 0);
    return (char *)*memory + shift;
}

/* Where a format's blocks hold F16 scales; -1: none. The last nibble of each of IQ1_M's last four
 * words is a nibble of its scale. How many bytes at their start are scales in 8 bits, and what
 * these may be. */
enum { SPREAD = 48 };
typedef struct scales_of {
    loam_format type;
    int at[2];
    size_t bytes, least, most;
} scales_of;

/* clang-format off */
static const scales_of scale_places[] = {
    { LOAM_TYPE_Q4_0,    {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_Q4_1,    {   0,  2 }, 0, 0, 0 },
    { LOAM_TYPE_Q5_0,    {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_Q5_1,    {   0,  2 }, 0, 0, 0 },
    { LOAM_TYPE_Q8_0,    {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_Q2_K,    {  80, 82 }, 0, 0, 0 },
    { LOAM_TYPE_Q3_K,    { 108, -1 }, 0, 0, 0 },
    { LOAM_TYPE_Q4_K,    {   0,  2 }, 0, 0, 0 },
    { LOAM_TYPE_Q5_K,    {   0,  2 }, 0, 0, 0 },
    { LOAM_TYPE_Q6_K,    { 208, -1 }, 0, 0, 0 },
    { LOAM_TYPE_IQ4_NL,  {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_IQ4_XS,  {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_TQ1_0,   {  52, -1 }, 0, 0, 0 },
    { LOAM_TYPE_TQ2_0,   {  64, -1 }, 0, 0, 0 },
    { LOAM_TYPE_MXFP4,   {  -1, -1 }, 1, 117, 124 },
    { LOAM_TYPE_NVFP4,   {  -1, -1 }, 4, 0, 63 },
    { LOAM_TYPE_Q1_0,    {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_Q2_0,    {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_IQ2_XXS, {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_IQ2_XS,  {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_IQ3_XXS, {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_IQ1_S,   {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_IQ3_S,   {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_IQ2_S,   {   0, -1 }, 0, 0, 0 },
    { LOAM_TYPE_IQ1_M,   { SPREAD, -1 }, 0, 0, 0 },
};
/* clang-format on */

static inline void put_f16(uint8_t *p, float value)
{
    uint16_t h = loam__f32_to_f16(value);
    p[0] = (uint8_t)h;
    p[1] = (uint8_t)(h >> 8);
}

/* Scale j of a block. */
static inline void put_scale(const scales_of *s, int j, uint8_t *block, float value)
{
    uint16_t h = loam__f32_to_f16(value);
    if (s->type != LOAM_TYPE_IQ1_M) {
        put_f16(block + s->at[j], value);
        return;
    }
    for (int i = 0; i < 4; i++) {
        uint8_t *p = block + SPREAD + 2 * i + 1;
        *p = (uint8_t)((*p & 15) | (h >> 4 * i & 15) << 4);
    }
}

/* n valid blocks: any digits, scales of moderate size. */
static inline void random_blocks(random_state *r, const loam__format *f, uint8_t *p, size_t n)
{
    if (f->block_values == 1) {
        for (size_t i = 0; i < n; i++, p += f->block_bytes) {
            float x = random_float(r);
            uint16_t half = f->type == LOAM_TYPE_F16 ? loam__f32_to_f16(x) : loam__f32_to_bf16(x);
            memcpy(p, f->type == LOAM_TYPE_F32 ? (void *)&x : (void *)&half, f->block_bytes);
        }
        return;
    }
    const scales_of *s = scale_places;
    while (s->type != f->type)
        s++;
    for (size_t i = 0; i < n; i++, p += f->block_bytes) {
        for (size_t j = 0; j < f->block_bytes; j++)
            p[j] = (uint8_t)(random_u64(r) >> 32);
        for (size_t j = 0; j < s->bytes; j++)
            p[j] = (uint8_t)random_size(r, s->least, s->most);
        for (int j = 0; j < 2; j++)
            if (s->at[j] >= 0) put_scale(s, j, p, random_float(r) * 0.01f);
    }
}

#endif
