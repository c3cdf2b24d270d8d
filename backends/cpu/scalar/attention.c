/* Attention, query by query: online softmax, block after block (Milakov and Gimelshein 2018). After
 * each block y holds the sum of exp(score - max) * V over all positions so far, total the sum of
 * the factors, max the largest score. */
#include "backends/cpu/cells.h"
#include "lib/quant/quant.h"
#include "scalar.h"

#include <float.h>
#include <math.h>

/* One query of some: what it sees, and its heads. */
typedef struct query {
    const float *q;
    float *y;
    uint32_t first, last;
    float *max, *total; /* [heads] */
    float *scores;      /* [heads][POSITIONS] */
} query;

enum { POSITIONS = 32 }; /* at once */

static query find_query(const loam__attention_args *a, uint32_t token)
{
    uint32_t position = a->position + token;
    return (query){
        .q = a->q + token * a->q_stride,
        .y = a->y + token * a->y_stride,
        .first = a->window && position >= a->window ? position - a->window + 1 : 0,
        .last = position,
        .max = a->scratch,
        .total = a->scratch + a->heads,
        .scores = a->scratch + 2 * (size_t)a->heads,
    };
}

/* n values of a key, from value `at` on. */
static void decode_key(const loam__attention_args *a, const loam__format *f, const uint8_t *k,
                       size_t at, size_t n, float *values)
{
    if (!a->k_transposed) {
        f->decode(k + at / f->block_values * f->block_bytes, values, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        f->decode(k + (at + i) * a->block_tokens * f->block_bytes, values + i, 1);
}

/* dot(q, k) of all heads with one row of K, as a sum over pieces. */
static void dot_heads(const loam__attention_args *a, const query *s, const loam__format *f,
                      const uint8_t *k, float *scores)
{
    float piece[LOAM__PIECE];
    for (uint32_t h = 0; h < a->heads; h++)
        scores[(size_t)h * POSITIONS] = 0;
    for (size_t at = 0; at < a->k_values; at += LOAM__PIECE) {
        size_t n = a->k_values - at < LOAM__PIECE ? a->k_values - at : LOAM__PIECE;
        decode_key(a, f, k, at, n, piece);
        for (size_t h = 0; h < a->heads; h++)
            scores[h * POSITIONS] += loam__scalar_dot(s->q + h * a->k_values + at, piece, n);
    }
}

/* Scores become factors exp(score - max); what was summed under a smaller max is scaled down to the
 * new one. */
static void soften(const loam__attention_args *a, const query *s, size_t h, uint32_t positions)
{
    float *scores = s->scores + h * POSITIONS, *y = s->y + h * a->v_values;
    float max = s->max[h];
    for (uint32_t i = 0; i < positions; i++) {
        scores[i] *= a->scale;
        if (a->softcap > 0) scores[i] = a->softcap * tanhf(scores[i] / a->softcap);
        if (scores[i] > max) max = scores[i];
    }
    if (max > s->max[h]) {
        float shrink = expf(s->max[h] - max);
        s->total[h] *= shrink;
        for (size_t j = 0; j < a->v_values; j++)
            y[j] *= shrink;
        s->max[h] = max;
    }
    for (uint32_t i = 0; i < positions; i++) {
        scores[i] = expf(scores[i] - max);
        s->total[h] += scores[i];
    }
}

/* Add one row of V to all heads, each with its own factor. */
static void add_heads(const loam__attention_args *a, const query *s, const loam__format *f,
                      const uint8_t *v, const float *factors)
{
    float piece[LOAM__PIECE];
    for (size_t at = 0; at < a->v_values; at += LOAM__PIECE) {
        size_t n = a->v_values - at < LOAM__PIECE ? a->v_values - at : LOAM__PIECE;
        f->decode(v + at / f->block_values * f->block_bytes, piece, n);
        for (size_t h = 0; h < a->heads; h++) {
            float factor = factors[h * POSITIONS], *y = s->y + h * a->v_values + at;
            for (size_t j = 0; j < n; j++)
                y[j] += factor * piece[j];
        }
    }
}

static void attend(const loam__attention_args *a, const query *s)
{
    const loam__format *k = loam__format_find(a->k_type), *v = loam__format_find(a->v_type);
    for (size_t h = 0; h < a->heads; h++) {
        s->max[h] = -FLT_MAX; /* finite: a score of -infinity is a factor of 0, and not NaN */
        s->total[h] = 0;
    }
    for (size_t j = 0; j < (size_t)a->heads * a->v_values; j++)
        s->y[j] = 0;
    for (size_t done = 0, all = (size_t)(s->last - s->first) + 1; done < all;) {
        size_t first = s->first + done, left = all - done;
        cell_span part = find_cells(a, first, first + (left < POSITIONS ? left : POSITIONS));
        for (size_t i = 0; i < part.positions; i++)
            dot_heads(a, s, k, part.k + i * key_step(a), s->scores + i);
        for (size_t h = 0; h < a->heads; h++)
            soften(a, s, h, (uint32_t)part.positions);
        for (size_t i = 0; i < part.positions; i++)
            add_heads(a, s, v, part.v + i * a->v_row_bytes, s->scores + i);
        done += part.positions;
    }
    for (size_t h = 0; h < a->heads; h++)
        for (size_t j = 0; j < a->v_values; j++)
            s->y[h * a->v_values + j] /= s->total[h];
}

void loam__scalar_attention(const loam__attention_args *a, float *parts)
{
    (void)parts;
    for (uint32_t token = 0; token < a->tokens; token++) {
        query s = find_query(a, token);
        attend(a, &s);
    }
}
