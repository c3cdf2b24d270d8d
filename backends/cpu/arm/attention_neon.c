/* Attention of one token: online softmax, a run of blocks after the other (Milakov and Gimelshein
 * 2018). The heads share what is loaded of K and V; what a head gets does not depend on its
 * companions. Its y is the sum of exp(score - max) * V over the positions so far, total the sum of
 * the factors, max the largest score. */
#include "inline_neon.h"

#include <math.h>

enum { CELL_BLOCK = 32 }; /* values in a block of Q8_0 and Q4_0: an F16 scale, then the digits */

enum { MAX_HEADS = 4, POSITIONS = 4, VECTORS = 4 }; /* of a tile */

_Static_assert(VECTORS *WIDTH * 2 == CELL_BLOCK, "a tile is as wide as half a block of cells");

typedef struct span { /* the part of a KV block that is seen */
    const uint8_t *k, *v;
    size_t first, positions; /* in the run */
} span;

typedef struct run { /* some blocks, one after the other: the softmax is done for all at once */
    span spans[LOAM__ATTENTION_BLOCKS];
    size_t n_spans, positions;
    size_t stride;      /* of the scores of a head */
    float *max, *total; /* [heads] */
    float *scores;      /* [heads][stride], then the factors */
} run;

static void find_run(const loam__attention_args *a, size_t first, run *r)
{
    r->n_spans = r->positions = 0;
    while (r->n_spans < LOAM__ATTENTION_BLOCKS && first <= a->last) {
        const size_t row = first % a->block_tokens, left = a->block_tokens - row;
        const size_t block = (size_t)a->table[first / a->block_tokens];
        const size_t wanted = a->last - first + 1;
        span *s = &r->spans[r->n_spans++];
        s->k = a->k + block * a->k_block_bytes + a->k_head_offset + row * a->k_row_bytes;
        s->v = a->v + block * a->v_block_bytes + a->v_head_offset + row * a->v_row_bytes;
        s->first = r->positions;
        s->positions = wanted < left ? wanted : left;
        r->positions += s->positions;
        first += s->positions;
    }
}

/* ---- cells ---- */

LOAM__INLINE bool in_blocks(loam_format type)
{
    return type == LOAM_TYPE_Q8_0 || type == LOAM_TYPE_Q4_0;
}

/* Of the first n cells of a row, whole blocks of them. */
LOAM__INLINE size_t cell_bytes(loam_format type, size_t n)
{
    if (type == LOAM_TYPE_Q8_0) return n / CELL_BLOCK * 34;
    if (type == LOAM_TYPE_Q4_0) return n / CELL_BLOCK * 18;
    return n * type_bytes(type);
}

/* The scale of a block, in every lane. */
LOAM__INLINE float32x4_t cell_scale(const uint8_t *block)
{
    uint16_t scale;
    memcpy(&scale, block, sizeof scale);
    return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(scale)));
}

/* 16 bytes as vectors of floats. */
LOAM__INLINE void widen(int8x16_t q, float32x4_t v[VECTORS])
{
    const int16x8_t low = vmovl_s8(vget_low_s8(q)), high = vmovl_high_s8(q);
    v[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
    v[1] = vcvtq_f32_s32(vmovl_high_s16(low));
    v[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
    v[3] = vcvtq_f32_s32(vmovl_high_s16(high));
}

/* The first or second 16 values of a block, without its scale; of a plain type, those that begin
 * there. */
LOAM__INLINE void load_half(loam_format type, const uint8_t *cells, int half,
                            float32x4_t v[VECTORS])
{
    const uint8_t *digits = cells + 2;
    if (!in_blocks(type)) {
        for (size_t w = 0; w < VECTORS; w++)
            v[w] = load_typed(type, cells + w * WIDTH * type_bytes(type));
    } else if (type == LOAM_TYPE_Q8_0) {
        widen(vreinterpretq_s8_u8(vld1q_u8(digits + 16 * half)), v);
    } else { /* low nibbles, or high ones */
        const uint8x16_t both = vld1q_u8(digits);
        const uint8x16_t q = half ? vshrq_n_u8(both, 4) : vandq_u8(both, vdupq_n_u8(15));
        widen(vsubq_s8(vreinterpretq_s8_u8(q), vdupq_n_s8(8)), v);
    }
}

/* ---- scores ---- */

/* Add the products of half a block of digits and of the heads' numbers from q on. */
LOAM__INLINE void dot_half(size_t n_heads, const float *q, size_t n, const float32x4_t v[VECTORS],
                           float32x4_t sum[MAX_HEADS])
{
    for (size_t j = 0; j < n_heads; j++)
        for (size_t w = 0; w < VECTORS; w++)
            sum[j] = vfmaq_f32(sum[j], vld1q_f32(q + j * n + w * WIDTH), v[w]);
}

/* Add the products of a block of each q, from value at on, and of the rows of K: the digits first,
 * then their scale. */
LOAM__INLINE void dot_block(loam_format type, size_t n_heads, const float *q, size_t n,
                            const uint8_t *const k[POSITIONS], size_t at,
                            float32x4_t sum[MAX_HEADS][POSITIONS])
{
    for (size_t p = 0; p < POSITIONS; p++) {
        const uint8_t *cells = k[p] + cell_bytes(type, at);
        float32x4_t block[MAX_HEADS], v[VECTORS];
        for (size_t j = 0; j < n_heads; j++)
            block[j] = vdupq_n_f32(0);
        load_half(type, cells, 0, v);
        dot_half(n_heads, q + at, n, v, block);
        load_half(type, cells, 1, v);
        dot_half(n_heads, q + at + CELL_BLOCK / 2, n, v, block);
        for (size_t j = 0; j < n_heads; j++)
            sum[j][p] = vfmaq_f32(sum[j][p], block[j], cell_scale(cells));
    }
}

/* The same for a vector of plain cells. */
LOAM__INLINE void dot_vector(loam_format type, size_t n_heads, const float *q, size_t n,
                             const uint8_t *const k[POSITIONS], size_t at,
                             float32x4_t sum[MAX_HEADS][POSITIONS])
{
    float32x4_t v[POSITIONS];
    for (size_t p = 0; p < POSITIONS; p++)
        v[p] = load_typed(type, k[p] + cell_bytes(type, at));
    for (size_t j = 0; j < n_heads; j++) {
        const float32x4_t qj = vld1q_f32(q + j * n + at);
        for (size_t p = 0; p < POSITIONS; p++)
            sum[j][p] = vfmaq_f32(sum[j][p], qj, v[p]);
    }
}

/* The same for the last cells, fewer than a vector. */
LOAM__INLINE void dot_last(loam_format type, size_t n_heads, const float *q, size_t n,
                           const uint8_t *const k[POSITIONS], size_t at,
                           float32x4_t sum[MAX_HEADS][POSITIONS])
{
    float last_k[POSITIONS][WIDTH] = {0}, last_q[MAX_HEADS][WIDTH] = {0};
    for (size_t p = 0; p < POSITIONS; p++)
        vst1q_f32(last_k[p], load_first_typed(type, k[p] + cell_bytes(type, at), n - at));
    for (size_t j = 0; j < n_heads; j++)
        memcpy(last_q[j], q + j * n + at, (n - at) * sizeof *q);
    for (size_t j = 0; j < n_heads; j++)
        for (size_t p = 0; p < POSITIONS; p++)
            sum[j][p] = vfmaq_f32(sum[j][p], vld1q_f32(last_q[j]), vld1q_f32(last_k[p]));
}

/* The sum of each vector's lanes, all in the same order. */
LOAM__INLINE float32x4_t add_lanes_of_four(const float32x4_t v[POSITIONS])
{
    return vpaddq_f32(vpaddq_f32(v[0], v[1]), vpaddq_f32(v[2], v[3]));
}

/* Dot products of heads h .. h + n_heads - 1 (a constant number) with rows i .. i + 3 of K; beyond
 * the last row that row again, and nothing stored. */
LOAM__INLINE void dot_tile(loam_format type, size_t n_heads, const loam__attention_args *a,
                           const run *r, const span *s, size_t h, size_t i)
{
    const size_t n = a->k_values;
    const float *q = a->q + h * n;
    const uint8_t *k[POSITIONS];
    float32x4_t sum[MAX_HEADS][POSITIONS];
    size_t at = 0;
    for (size_t p = 0; p < POSITIONS; p++) {
        k[p] = s->k + (i + p < s->positions ? i + p : s->positions - 1) * a->k_row_bytes;
        for (size_t j = 0; j < n_heads; j++)
            sum[j][p] = vdupq_n_f32(0);
    }
    for (; at < n && in_blocks(type); at += CELL_BLOCK)
        dot_block(type, n_heads, q, n, k, at, sum);
    for (; at + WIDTH <= n && !in_blocks(type); at += WIDTH)
        dot_vector(type, n_heads, q, n, k, at, sum);
    if (at < n && !in_blocks(type)) dot_last(type, n_heads, q, n, k, at, sum);
    float32x4_t totals[MAX_HEADS];
    for (size_t j = 0; j < n_heads; j++)
        totals[j] = add_lanes_of_four(sum[j]);
    const size_t wanted = s->positions - i < POSITIONS ? s->positions - i : POSITIONS;
    for (size_t j = 0; j < n_heads; j++) {
        float lanes[POSITIONS];
        vst1q_f32(lanes, totals[j]);
        memcpy(r->scores + (h + j) * r->stride + s->first + i, lanes, wanted * sizeof *lanes);
    }
}

/* ---- softmax ---- */

/* cap * tanh(x / cap), with tanh t = 1 - 2 / (e^2t + 1) */
LOAM__INLINE float32x4_t soft_cap(float32x4_t x, float cap)
{
    const float32x4_t one = vdupq_n_f32(1.0f), two = vdupq_n_f32(2.0f), caps = vdupq_n_f32(cap);
    const float32x4_t e = exp_lanes(vmulq_f32(two, vdivq_f32(x, caps)));
    return vmulq_f32(caps, vsubq_f32(one, vdivq_f32(two, vaddq_f32(e, one))));
}

/* Four scores from i on; where there are fewer, what makes a factor of 0 stands behind them. */
LOAM__INLINE float32x4_t load_scores(const float *scores, size_t n, size_t i)
{
    float lanes[WIDTH];
    if (n - i >= WIDTH) return vld1q_f32(scores + i);
    for (size_t j = 0; j < WIDTH; j++)
        lanes[j] = i + j < n ? scores[i + j] : -INFINITY;
    return vld1q_f32(lanes);
}

LOAM__INLINE void store_scores(float *scores, size_t n, size_t i, float32x4_t v)
{
    if (n - i >= WIDTH) vst1q_f32(scores + i, v);
    else store_first(scores + i, n - i, v);
}

/* Scale the scores; gives the largest of them and of max. A NaN is no largest. */
static float scale_scores(const loam__attention_args *a, float *scores, size_t n, float max)
{
    float32x4_t most = vdupq_n_f32(max);
    for (size_t i = 0; i < n; i += WIDTH) {
        float32x4_t v = vmulq_n_f32(load_scores(scores, n, i), a->scale);
        if (a->softcap > 0) v = soft_cap(v, a->softcap);
        store_scores(scores, n, i, v);
        most = vmaxnmq_f32(most, load_scores(scores, n, i));
    }
    return vmaxnmvq_f32(most);
}

/* Scores become factors exp(score - max); what was summed under a smaller max is scaled down to the
 * new one. */
static void soften(const loam__attention_args *a, const run *r, size_t h)
{
    float *scores = r->scores + h * r->stride, *y = a->y + h * a->v_values;
    const float max = scale_scores(a, scores, r->positions, r->max[h]);
    float32x4_t sum = vdupq_n_f32(0);
    if (max > r->max[h]) {
        const float shrink = vgetq_lane_f32(exp_lanes(vdupq_n_f32(r->max[h] - max)), 0);
        r->total[h] *= shrink;
        for (size_t j = 0; j < a->v_values; j++)
            y[j] *= shrink;
        r->max[h] = max;
    }
    for (size_t i = 0; i < r->positions; i += WIDTH) {
        const float32x4_t v = load_scores(scores, r->positions, i);
        const float32x4_t e = exp_lanes(vsubq_f32(v, vdupq_n_f32(max)));
        store_scores(scores, r->positions, i, e);
        sum = vaddq_f32(sum, e);
    }
    r->total[h] += vaddvq_f32(sum);
}

/* ---- values ---- */

/* Add the rows of V, each times its factor, to 16 values of n_heads heads (a constant number):
 * those from `at` on, or for the second half of a block the next. */
LOAM__INLINE void add_tile(loam_format type, size_t n_heads, const loam__attention_args *a,
                           const run *r, size_t h, size_t at, int half)
{
    const size_t n = a->v_values;
    float *y = a->y + h * n + at + (size_t)half * VECTORS * WIDTH;
    float32x4_t sum[MAX_HEADS][VECTORS];
    for (size_t j = 0; j < n_heads; j++)
        for (size_t w = 0; w < VECTORS; w++)
            sum[j][w] = vld1q_f32(y + j * n + w * WIDTH);
    for (const span *s = r->spans; s < r->spans + r->n_spans; s++) {
        const float *factors = r->scores + h * r->stride + s->first;
        for (size_t i = 0; i < s->positions; i++) {
            const uint8_t *cells = s->v + i * a->v_row_bytes + cell_bytes(type, at);
            float32x4_t v[VECTORS];
            load_half(type, cells, half, v);
            for (size_t j = 0; j < n_heads; j++) {
                float32x4_t factor = vdupq_n_f32(factors[j * r->stride + i]);
                if (in_blocks(type)) factor = vmulq_f32(factor, cell_scale(cells));
                for (size_t w = 0; w < VECTORS; w++)
                    sum[j][w] = vfmaq_f32(sum[j][w], factor, v[w]);
            }
        }
    }
    for (size_t j = 0; j < n_heads; j++)
        for (size_t w = 0; w < VECTORS; w++)
            vst1q_f32(y + j * n + w * WIDTH, sum[j][w]);
}

/* The same for the last values of one head, at most a vector of a plain type. */
LOAM__INLINE void add_last(loam_format type, const loam__attention_args *a, const run *r, size_t h,
                           size_t at)
{
    const size_t left = a->v_values - at, some = left < WIDTH ? left : WIDTH;
    float *y = a->y + h * a->v_values + at;
    float32x4_t sum = load_first(y, some);
    for (const span *s = r->spans; s < r->spans + r->n_spans; s++)
        for (size_t i = 0; i < s->positions; i++) {
            const uint8_t *cells = s->v + i * a->v_row_bytes + cell_bytes(type, at);
            const float factor = r->scores[h * r->stride + s->first + i];
            sum = vfmaq_n_f32(sum, load_first_typed(type, cells, some), factor);
        }
    store_first(y, some, sum);
}

/* ---- a loop of its own for each type and number of heads, in which they are constants ---- */

LOAM__INLINE void dot_heads(loam_format type, size_t n_heads, const loam__attention_args *a,
                            const run *r, size_t h)
{
    for (const span *s = r->spans; s < r->spans + r->n_spans; s++)
        for (size_t i = 0; i < s->positions; i += POSITIONS)
            dot_tile(type, n_heads, a, r, s, h, i);
}

LOAM__INLINE void add_heads(loam_format type, size_t n_heads, const loam__attention_args *a,
                            const run *r, size_t h)
{
    const size_t width = in_blocks(type) ? CELL_BLOCK : CELL_BLOCK / 2;
    size_t at = 0;
    for (; at + width <= a->v_values; at += width) {
        add_tile(type, n_heads, a, r, h, at, 0);
        if (in_blocks(type)) add_tile(type, n_heads, a, r, h, at, 1);
    }
    for (; at < a->v_values && !in_blocks(type); at += WIDTH)
        for (size_t j = 0; j < n_heads; j++)
            add_last(type, a, r, h + j, at);
}

typedef enum phase { DOT, ADD } phase; /* scores from K; V into y */

LOAM__INLINE void some_heads(phase what, loam_format type, size_t n_heads,
                             const loam__attention_args *a, const run *r, size_t h)
{
    if (what == DOT) dot_heads(type, n_heads, a, r, h);
    else add_heads(type, n_heads, a, r, h);
}

LOAM__INLINE void all_heads(phase what, loam_format type, const loam__attention_args *a,
                            const run *r)
{
    for (size_t h = 0; h < a->heads; h += MAX_HEADS) {
        const size_t left = a->heads - h;
        if (left >= MAX_HEADS) some_heads(what, type, MAX_HEADS, a, r, h);
        else if (left == 3) some_heads(what, type, 3, a, r, h);
        else if (left == 2) some_heads(what, type, 2, a, r, h);
        else some_heads(what, type, 1, a, r, h);
    }
}

LOAM__INLINE void all_of_type(phase what, loam_format type, const loam__attention_args *a,
                              const run *r)
{
    switch (type) {
    case LOAM_TYPE_F32:
        all_heads(what, LOAM_TYPE_F32, a, r);
        break;
    case LOAM_TYPE_F16:
        all_heads(what, LOAM_TYPE_F16, a, r);
        break;
    case LOAM_TYPE_BF16:
        all_heads(what, LOAM_TYPE_BF16, a, r);
        break;
    case LOAM_TYPE_Q8_0:
        all_heads(what, LOAM_TYPE_Q8_0, a, r);
        break;
    default:
        all_heads(what, LOAM_TYPE_Q4_0, a, r);
        break;
    }
}

static void dot_run(const loam__attention_args *a, const run *r)
{
    all_of_type(DOT, a->k_type, a, r);
}

static void add_run(const loam__attention_args *a, const run *r)
{
    all_of_type(ADD, a->v_type, a, r);
}

void loam__neon_attention(const loam__attention_args *a)
{
    run r = {
        .stride = (size_t)LOAM__ATTENTION_BLOCKS * a->block_tokens,
        .max = a->scratch,
        .total = a->scratch + a->heads,
        .scores = a->scratch + 2 * (size_t)a->heads,
    };
    for (size_t h = 0; h < a->heads; h++) {
        r.max[h] = -FLT_MAX; /* finite, so that a score of -infinity is a factor of 0 and not NaN */
        r.total[h] = 0;
    }
    memset(a->y, 0, (size_t)a->heads * a->v_values * sizeof *a->y);
    for (size_t first = a->first; first <= a->last; first += r.positions) {
        find_run(a, first, &r);
        dot_run(a, &r);
        for (size_t h = 0; h < a->heads; h++)
            soften(a, &r, h);
        add_run(a, &r);
    }
    for (size_t h = 0; h < a->heads; h++)
        for (size_t j = 0; j < a->v_values; j++)
            a->y[h * a->v_values + j] /= r.total[h];
}
