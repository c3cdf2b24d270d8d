/* Attention of one token: online softmax, a run of blocks after the other (Milakov and Gimelshein
 * 2018). The heads share what is loaded of K and V; what a head gets does not depend on its
 * companions. Its y is the sum of exp(score - max) * V over the positions so far, total the sum of
 * the factors, max the largest score. */
#include "cells_avx2.h"

enum { MAX_HEADS = 3, POSITIONS = 4, VECTORS = 4 }; /* of a tile */

_Static_assert(VECTORS *WIDTH == CELL_BLOCK, "a tile is as wide as a block of cells");
_Static_assert(POSITIONS <= LOAM__ATTENTION_SLACK, "scores are stored POSITIONS at a time");

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
    float *steps;       /* [heads] where K has digits: what 1 in q_digits means */
    int16_t *q_digits;  /* [heads][k_values] */
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

LOAM__INLINE __m256i to_digits(const float *q, float per_step)
{
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(q), _mm256_set1_ps(per_step)));
}

/* A query as 16-bit digits, which are multiplied with those of K as they are: its largest number
 * becomes 32767. One that has an infinity or NaN gets a step of that kind, and so such scores. */
static void prepare_query(const float *q, size_t n, float *step, int16_t *digits)
{
    __m256i most = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += WIDTH)
        most = _mm256_max_epi32(most, magnitudes(_mm256_loadu_ps(q + i)));
    *step = largest_of(most) / 32767;
    const float per_step = inverse(*step);
    memset(digits, 0, n * sizeof *digits);
    for (size_t i = 0; i < n && per_step != 0; i += 2 * WIDTH) {
        const __m256i lanes =
            _mm256_packs_epi32(to_digits(q + i, per_step), to_digits(q + i + WIDTH, per_step));
        _mm256_storeu_si256((__m256i *)(digits + i), _mm256_permute4x64_epi64(lanes, 0xD8));
    }
}

/* The sum of each vector's lanes, all in the same order. */
LOAM__INLINE __m128 add_lanes_of_four(const __m256 v[POSITIONS])
{
    const __m256 s = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
    return _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
}

/* Add the products of a vector of each q, from value at on, and of the rows of K, in floats. */
LOAM__INLINE void dot_vector(loam_format type, size_t n_heads, const float *q, size_t n,
                             const uint8_t *const k[POSITIONS], size_t at,
                             __m256 sum[MAX_HEADS][POSITIONS])
{
    for (size_t p = 0; p < POSITIONS; p++) {
        const __m256 v = load_typed(type, k[p] + cell_bytes(type, at));
        for (size_t j = 0; j < n_heads; j++)
            sum[j][p] = _mm256_fmadd_ps(_mm256_loadu_ps(q + j * n + at), v, sum[j][p]);
    }
}

/* The same for a block of digits, in whole numbers but for its scale. */
LOAM__INLINE void dot_digits(loam_format type, size_t n_heads, const int16_t *q, size_t n,
                             const uint8_t *const k[POSITIONS], size_t at,
                             __m256 sum[MAX_HEADS][POSITIONS])
{
    for (size_t p = 0; p < POSITIONS; p++) {
        const uint8_t *cells = k[p] + cell_bytes(type, at);
        const __m256 scale = cell_scale(cells);
        const __m256i k0 = load_digits(type, cells, 0), k1 = load_digits(type, cells, 1);
        for (size_t j = 0; j < n_heads; j++) {
            const __m256i *qj = (const __m256i *)(q + j * n + at);
            const __m256i products =
                _mm256_add_epi32(_mm256_madd_epi16(_mm256_loadu_si256(qj), k0),
                                 _mm256_madd_epi16(_mm256_loadu_si256(qj + 1), k1));
            sum[j][p] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), scale, sum[j][p]);
        }
    }
}

/* Dot products of heads h .. h + n_heads - 1 (a constant number) with rows i .. i + 3 of K. Beyond
 * the last row that row again, whose scores the next span overwrites or nobody uses. */
LOAM__INLINE void dot_tile(loam_format type, size_t n_heads, const loam__attention_args *a,
                           const run *r, const span *s, size_t h, size_t i)
{
    const size_t n = a->k_values;
    const float *q = a->q + h * n;
    const uint8_t *k[POSITIONS];
    __m256 sum[MAX_HEADS][POSITIONS];
    size_t at = 0;
    for (size_t p = 0; p < POSITIONS; p++) {
        k[p] = s->k + (i + p < s->positions ? i + p : s->positions - 1) * a->k_row_bytes;
        for (size_t j = 0; j < n_heads; j++)
            sum[j][p] = _mm256_setzero_ps();
    }
    for (; at < n && in_blocks(type); at += CELL_BLOCK)
        dot_digits(type, n_heads, r->q_digits + h * n, n, k, at, sum);
    for (; at + WIDTH <= n; at += WIDTH)
        dot_vector(type, n_heads, q, n, k, at, sum);
    for (size_t p = 0; p < POSITIONS && at < n; p++) {
        const __m256 v = load_first_typed(type, k[p] + cell_bytes(type, at), n - at);
        for (size_t j = 0; j < n_heads; j++)
            sum[j][p] = _mm256_fmadd_ps(load_first(q + j * n + at, n - at), v, sum[j][p]);
    }
#pragma GCC unroll 3
    for (size_t j = 0; j < n_heads; j++) { /* an array walked by a loop would be in memory */
        __m128 score = add_lanes_of_four(sum[j]);
        if (in_blocks(type)) score = _mm_mul_ps(score, _mm_set1_ps(r->steps[h + j]));
        _mm_storeu_ps(r->scores + (h + j) * r->stride + s->first + i, score);
    }
}

/* cap * tanh(x / cap), with tanh t = 1 - 2 / (e^2t + 1) */
LOAM__INLINE __m256 soft_cap(__m256 x, float cap)
{
    const __m256 one = _mm256_set1_ps(1.0f), two = _mm256_set1_ps(2.0f), caps = _mm256_set1_ps(cap);
    const __m256 e = exp_lanes(_mm256_mul_ps(two, _mm256_div_ps(x, caps)));
    return _mm256_mul_ps(caps, _mm256_sub_ps(one, _mm256_div_ps(two, _mm256_add_ps(e, one))));
}

LOAM__INLINE float largest_lane(__m256 v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* Eight scores from i on; where there are fewer, what makes a factor of 0 stands behind them. */
LOAM__INLINE __m256 load_scores(const float *scores, size_t n, size_t i)
{
    float lanes[WIDTH];
    if (n - i >= WIDTH) return _mm256_loadu_ps(scores + i);
    for (size_t j = 0; j < WIDTH; j++)
        lanes[j] = i + j < n ? scores[i + j] : -INFINITY;
    return _mm256_loadu_ps(lanes);
}

LOAM__INLINE void store_scores(float *scores, size_t n, size_t i, __m256 v)
{
    if (n - i >= WIDTH) _mm256_storeu_ps(scores + i, v);
    else store_first(scores + i, n - i, v);
}

/* Scale the scores; gives the largest of them and of max. A NaN is no largest. */
static float scale_scores(const loam__attention_args *a, float *scores, size_t n, float max)
{
    __m256 most = _mm256_set1_ps(max);
    for (size_t i = 0; i < n; i += WIDTH) {
        __m256 v = _mm256_mul_ps(load_scores(scores, n, i), _mm256_set1_ps(a->scale));
        if (a->softcap > 0) v = soft_cap(v, a->softcap);
        store_scores(scores, n, i, v);
        most = _mm256_max_ps(load_scores(scores, n, i), most);
    }
    return largest_lane(most);
}

/* Scores become factors exp(score - max); what was summed under a smaller max is scaled down to the
 * new one. */
static void soften(const loam__attention_args *a, const run *r, size_t h)
{
    float *scores = r->scores + h * r->stride, *y = a->y + h * a->v_values;
    const float max = scale_scores(a, scores, r->positions, r->max[h]);
    __m256 sum = _mm256_setzero_ps();
    if (max > r->max[h]) {
        const float shrink = _mm256_cvtss_f32(exp_lanes(_mm256_set1_ps(r->max[h] - max)));
        r->total[h] *= shrink;
        for (size_t j = 0; j < a->v_values; j++)
            y[j] *= shrink;
        r->max[h] = max;
    }
    for (size_t i = 0; i < r->positions; i += WIDTH) {
        const __m256 v = load_scores(scores, r->positions, i);
        const __m256 e = exp_lanes(_mm256_sub_ps(v, _mm256_set1_ps(max)));
        store_scores(scores, r->positions, i, e);
        sum = _mm256_add_ps(sum, e);
    }
    r->total[h] += add_lanes(sum);
}

/* Add the rows of V, each times its factor, to n_vectors vectors of n_heads heads; both are
 * constants. */
LOAM__INLINE void add_tile(loam_format type, size_t n_heads, size_t n_vectors,
                           const loam__attention_args *a, const run *r, size_t h, size_t at)
{
    const size_t n = a->v_values;
    float *y = a->y + h * n + at;
    __m256 sum[MAX_HEADS][VECTORS];
    for (size_t j = 0; j < n_heads; j++)
        for (size_t w = 0; w < n_vectors; w++)
            sum[j][w] = _mm256_loadu_ps(y + j * n + w * WIDTH);
    for (const span *s = r->spans; s < r->spans + r->n_spans; s++) {
        const float *factors = r->scores + h * r->stride + s->first;
        for (size_t i = 0; i < s->positions; i++) {
            const uint8_t *cells = s->v + i * a->v_row_bytes + cell_bytes(type, at);
            __m256 factor[MAX_HEADS];
            for (size_t j = 0; j < n_heads; j++) {
                factor[j] = _mm256_set1_ps(factors[j * r->stride + i]);
                if (in_blocks(type)) factor[j] = _mm256_mul_ps(factor[j], cell_scale(cells));
            }
            for (size_t w = 0; w < n_vectors; w++) {
                const __m256 v = load_cells(type, cells, w);
                for (size_t j = 0; j < n_heads; j++)
                    sum[j][w] = _mm256_fmadd_ps(factor[j], v, sum[j][w]);
            }
        }
    }
    for (size_t j = 0; j < n_heads; j++)
        for (size_t w = 0; w < n_vectors; w++)
            _mm256_storeu_ps(y + j * n + w * WIDTH, sum[j][w]);
}

/* The same for the last values of one head, fewer than a vector. */
LOAM__INLINE void add_last(loam_format type, const loam__attention_args *a, const run *r, size_t h,
                           size_t at)
{
    const size_t n = a->v_values, some = n - at;
    float *y = a->y + h * n + at;
    __m256 sum = load_first(y, some);
    for (const span *s = r->spans; s < r->spans + r->n_spans; s++)
        for (size_t i = 0; i < s->positions; i++) {
            const uint8_t *cells = s->v + i * a->v_row_bytes + cell_bytes(type, at);
            const float factor = r->scores[h * r->stride + s->first + i];
            sum = _mm256_fmadd_ps(_mm256_set1_ps(factor), load_first_typed(type, cells, some), sum);
        }
    store_first(y, some, sum);
}

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
    size_t at = 0;
    for (; at + CELL_BLOCK <= a->v_values; at += CELL_BLOCK)
        add_tile(type, n_heads, VECTORS, a, r, h, at);
    for (; at + WIDTH <= a->v_values && !in_blocks(type); at += WIDTH)
        add_tile(type, n_heads, 1, a, r, h, at);
    for (size_t j = 0; j < n_heads && at < a->v_values && !in_blocks(type); j++)
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
    for (size_t h = 0; h < a->heads;) {
        const size_t left = a->heads - h;
        const size_t n = left == 4 ? 2 : left < MAX_HEADS ? left : MAX_HEADS;
        if (n == 3) some_heads(what, type, 3, a, r, h);
        else if (n == 2) some_heads(what, type, 2, a, r, h);
        else some_heads(what, type, 1, a, r, h);
        h += n;
    }
}

/* A loop of its own for each type, in which the type is a constant. */
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

static run lay_out(const loam__attention_args *a)
{
    const size_t stride = (size_t)LOAM__ATTENTION_BLOCKS * a->block_tokens + LOAM__ATTENTION_SLACK;
    float *scores = a->scratch + 2 * (size_t)a->heads;
    float *steps = scores + a->heads * stride;
    return (run){
        .stride = stride,
        .max = a->scratch,
        .total = a->scratch + a->heads,
        .scores = scores,
        .steps = steps,
        .q_digits = (int16_t *)(void *)(steps + a->heads),
    };
}

void loam__avx2_attention(const loam__attention_args *a)
{
    run r = lay_out(a);
    for (size_t h = 0; h < a->heads; h++) {
        r.max[h] = -FLT_MAX; /* finite, so that a score of -infinity is a factor of 0 and not NaN */
        r.total[h] = 0;
        if (in_blocks(a->k_type))
            prepare_query(a->q + h * a->k_values, a->k_values, r.steps + h,
                          r.q_digits + h * a->k_values);
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
