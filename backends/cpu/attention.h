/* Attention, for every instruction set: online softmax (Milakov and Gimelshein 2018) over runs of
 * positions, several queries to each run.
 *
 * A vector of K has one value of some positions, a vector of V some values of one position; a few
 * rows, each one head of one query, are multiplied with both at once. Where there are more rows
 * than that, or cells lie otherwise, a run of them is unpacked into floats first. Runs and segments
 * begin at fixed positions, and each number of a row is summed up in the
 * order of the values or positions: what a row gets does not depend on its companions.
 *
 * Before this header a file defines floats, a vector of WIDTH; TILE_VECTORS, for which
 * (TILE_ROWS + 1) * TILE_VECTORS vectors are few enough for the registers; zeros(), spread(),
 * load_floats(), store_floats(), store_first(), plus(), times(), over(), times_plus(),
 * larger(), which gives its second operand if one is NaN; exp_lanes(), add_lanes(), largest_lane();
 * transpose() of WIDTH vectors; load_cells(), WIDTH cells from a value of a row on, and
 * load_first_typed(), the last few of them. */
#ifndef LOAM__CPU_ATTENTION_H
#define LOAM__CPU_ATTENTION_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "cells.h"

enum { RUN = LOAM__ATTENTION_RUN, SEGMENT = LOAM__ATTENTION_SEGMENT };
enum { TILE_ROWS = LOAM__ATTENTION_TILE };

_Static_assert(RUN % (WIDTH * TILE_VECTORS) == 0 && SEGMENT % RUN == 0, "tiles fill a run");
_Static_assert(WIDTH <= LOAM__ATTENTION_WIDTH, "rows are padded to whole vectors");

typedef struct range { /* of positions */
    size_t first, end;
} range;

/* Of each row, over some positions: the largest score, the sum of exp(score - max), and of that
 * times V. */
typedef struct sums {
    float *max, *total; /* [rows] */
    float *y;           /* [rows][width] */
} sums;

/* A run as tiles read it, from the cells or unpacked. */
typedef struct source {
    loam_format k_type, v_type;    /* F32, F16 or BF16 */
    const uint8_t *k[RUN / WIDTH]; /* the first value of WIDTH positions, */
    size_t k_step;                 /* so many bytes before their next one */
    const uint8_t *v[RUN];         /* the values of a position */
} source;

typedef struct space {
    size_t width;          /* v_values and what is missing to whole vectors */
    float *keys;           /* [k_values][RUN] */
    float *values;         /* [RUN][width] */
    float *scores;         /* [TILE_ROWS][RUN], then the factors */
    sums part, all;        /* of a segment and of those up to it */
    const uint8_t *k[RUN]; /* cells of each position seen: its first value */
    const uint8_t *v[RUN];
    source from; /* the run as tiles read it */
} space;

/* ---- where things are ---- */

static size_t row_count(const loam__attention_args *a)
{
    return (size_t)a->tokens * a->heads;
}

static sums lay_out_sums(const loam__attention_args *a, float *at)
{
    const size_t rows = loam__attention_padded(row_count(a));
    return (sums){.max = at, .total = at + rows, .y = at + 2 * rows};
}

static void lay_out(const loam__attention_args *a, space *s)
{
    const size_t part = loam__attention_part(a->tokens, a->heads, a->v_values);
    s->width = (a->v_values + WIDTH - 1) / WIDTH * WIDTH;
    s->keys = a->scratch;
    s->values = s->keys + loam__attention_padded(a->k_values) * RUN;
    s->scores = s->values + s->width * RUN;
    s->part = lay_out_sums(a, s->scores + (size_t)TILE_ROWS * RUN);
    s->all = lay_out_sums(a, s->part.max + part);
}

static range common(range a, range b)
{
    return (range){a.first > b.first ? a.first : b.first, a.end < b.end ? a.end : b.end};
}

/* What a row sees. */
static range seen_by(const loam__attention_args *a, size_t row)
{
    const size_t position = a->position + row / a->heads;
    const bool all = !a->window || position < a->window;
    return (range){all ? 0 : position - a->window + 1, position + 1};
}

/* What one of the rows sees. */
static range seen_by_some(const loam__attention_args *a, size_t first, size_t n)
{
    return (range){seen_by(a, first).first, seen_by(a, first + n - 1).end};
}

static range seen_by_all(const loam__attention_args *a, size_t first, size_t n)
{
    return (range){seen_by(a, first + n - 1).first, seen_by(a, first).end};
}

static const float *query(const loam__attention_args *a, size_t row)
{
    return a->q + row / a->heads * a->q_stride + row % a->heads * a->k_values;
}

/* ---- a run of cells as floats ---- */

static void find_rows(const loam__attention_args *a, range p, space *s)
{
    for (size_t i = p.first; i < p.end;) {
        const cell_span part = find_cells(a, i, p.end);
        for (size_t j = 0; j < part.positions; j++, i++) {
            s->k[i % RUN] = part.k + j * key_step(a);
            s->v[i % RUN] = part.v + j * a->v_row_bytes;
        }
    }
}

/* Rows of a head lie together in short pieces only, which the hardware's prefetcher does not
 * foresee: ask for those of a run that is soon needed. */
static void ask_for_cells(const loam__attention_args *a, range p)
{
    while (p.first < p.end) {
        const cell_span part = find_cells(a, p.first, p.end);
        for (size_t at = 0; at < part.positions * a->k_row_bytes; at += 64)
            LOAM__PREFETCH_L2(part.k + at);
        for (size_t at = 0; at < part.positions * a->v_row_bytes; at += 64)
            LOAM__PREFETCH_L2(part.v + at);
        p.first += part.positions;
    }
}

/* Whole vectors of positions, of which the first or the last may not be seen. */
LOAM__INLINE void unpack_transposed(loam_format type, const loam__attention_args *a, range p,
                                    const space *s)
{
    for (size_t i = p.first / WIDTH * WIDTH; i < p.end; i += WIDTH) {
        const uint8_t *from = s->from.k[i % RUN / WIDTH];
        float *to = s->keys + i % RUN;
        for (size_t at = 0; at < a->k_values; at++, from += s->from.k_step, to += RUN)
            store_floats(to, load_cells(type, from, 0));
    }
}

/* In whole vectors of positions; in the place of one that is not seen lies one that is. */
LOAM__INLINE void unpack_keys(loam_format type, const loam__attention_args *a, range p,
                              const space *s)
{
    const size_t n = a->k_values;
    for (size_t i = p.first / WIDTH * WIDTH; i < p.end; i += WIDTH) {
        float *to = s->keys + i % RUN;
        const uint8_t *row[WIDTH];
        floats v[WIDTH];
        for (size_t j = 0; j < WIDTH; j++) {
            const size_t position = i + j < p.first ? p.first : i + j < p.end ? i + j : p.end - 1;
            row[j] = s->k[position % RUN];
        }
        size_t at = 0;
        for (; at + WIDTH <= n; at += WIDTH) {
            for (size_t j = 0; j < WIDTH; j++)
                v[j] = load_cells(type, row[j], at);
            transpose(v);
            for (size_t j = 0; j < WIDTH; j++)
                store_floats(to + (at + j) * RUN, v[j]);
        }
        if (at == n || in_blocks(type)) continue;
        for (size_t j = 0; j < WIDTH; j++)
            v[j] = load_first_typed(type, row[j] + cell_bytes(type, at), n - at);
        transpose(v);
        for (size_t j = 0; j < WIDTH; j++)
            store_floats(to + (at + j) * RUN, v[j]);
    }
}

LOAM__INLINE void unpack_values(loam_format type, const loam__attention_args *a, range p,
                                const space *s)
{
    const size_t n = a->v_values;
    for (size_t i = p.first; i < p.end; i++) {
        const uint8_t *row = s->v[i % RUN];
        float *to = s->values + i % RUN * s->width;
        size_t at = 0;
        for (; at + WIDTH <= n; at += WIDTH)
            store_floats(to + at, load_cells(type, row, at));
        if (at < n && !in_blocks(type))
            store_floats(to + at, load_first_typed(type, row + cell_bytes(type, at), n - at));
    }
}

/* A loop of its own for each type, in which the type is a constant. */
#define FOR_FLOATS(type, work, ...)                                                                \
    do {                                                                                           \
        if ((type) == LOAM_TYPE_F32) work(LOAM_TYPE_F32, __VA_ARGS__);                             \
        else if ((type) == LOAM_TYPE_F16) work(LOAM_TYPE_F16, __VA_ARGS__);                        \
        else work(LOAM_TYPE_BF16, __VA_ARGS__);                                                    \
    } while (0)

#define FOR_TYPE(type, work, ...)                                                                  \
    do {                                                                                           \
        if ((type) == LOAM_TYPE_Q8_0) work(LOAM_TYPE_Q8_0, __VA_ARGS__);                           \
        else if ((type) == LOAM_TYPE_Q4_0) work(LOAM_TYPE_Q4_0, __VA_ARGS__);                      \
        else FOR_FLOATS(type, work, __VA_ARGS__);                                                  \
    } while (0)

static void find_keys(const loam__attention_args *a, range p, bool few, space *s)
{
    source *f = &s->from;
    f->k_type = a->k_type;
    f->k_step = a->block_tokens * type_bytes(a->k_type);
    for (size_t i = p.first / WIDTH * WIDTH; i < p.end && a->k_transposed; i += WIDTH) {
        const size_t seen = i < p.first ? p.first : i;
        f->k[i % RUN / WIDTH] = s->k[seen % RUN] - (seen - i) * type_bytes(a->k_type);
    }
    if (a->k_transposed && (few || a->k_type == LOAM_TYPE_F32)) return;
    if (a->k_transposed) FOR_FLOATS(a->k_type, unpack_transposed, a, p, s);
    else FOR_TYPE(a->k_type, unpack_keys, a, p, s);
    f->k_type = LOAM_TYPE_F32;
    f->k_step = RUN * sizeof *s->keys;
    for (size_t i = 0; i < RUN / WIDTH; i++)
        f->k[i] = (const uint8_t *)(s->keys + i * WIDTH);
}

static void find_values(const loam__attention_args *a, range p, bool few, space *s)
{
    source *f = &s->from;
    const bool whole = a->v_values == s->width && !in_blocks(a->v_type);
    f->v_type = a->v_type;
    memcpy(f->v, s->v, sizeof f->v);
    if (whole && (few || a->v_type == LOAM_TYPE_F32)) return;
    f->v_type = LOAM_TYPE_F32;
    FOR_TYPE(a->v_type, unpack_values, a, p, s);
    for (size_t i = 0; i < RUN; i++)
        f->v[i] = (const uint8_t *)(s->values + i * s->width);
}

/* Few rows: a tile, which loads each cell only once. */
static void find_run(const loam__attention_args *a, range p, space *s)
{
    const bool few = row_count(a) <= TILE_ROWS;
    find_rows(a, p, s);
    find_keys(a, p, few, s);
    find_values(a, p, few, s);
}

/* ---- tiles ---- */

enum { MOST_VECTORS = RUN / WIDTH };

/* Vectors of sums for each row of a tile: fewer rows have more of them, so that there are enough
 * to hide the time that each takes. */
LOAM__INLINE size_t tile_vectors(size_t rows)
{
    size_t n = TILE_VECTORS;
    while (n < MOST_VECTORS && (rows + 1) * n * 2 <= (TILE_ROWS + 1) * TILE_VECTORS)
        n *= 2;
    return n;
}

/* ---- scores: rows of queries times keys ---- */

/* The type and both numbers are constants; k is that of the first vector. */
LOAM__INLINE void score_tile(loam_format type, size_t rows, size_t vectors,
                             const float *const q[TILE_ROWS], const uint8_t *const *k, size_t step,
                             size_t n, float *scores)
{
    floats sum[TILE_ROWS][MOST_VECTORS];
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++)
            sum[r][v] = zeros();
    for (size_t i = 0; i < n; i++) {
        floats key[MOST_VECTORS];
        for (size_t v = 0; v < vectors; v++)
            key[v] = load_cells(type, k[v] + i * step, 0);
        for (size_t r = 0; r < rows; r++) {
            const floats factor = spread(q[r][i]);
            for (size_t v = 0; v < vectors; v++)
                sum[r][v] = times_plus(factor, key[v], sum[r][v]);
        }
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++)
            store_floats(scores + r * RUN + v * WIDTH, sum[r][v]);
}

/* At least for positions p, of one run. */
LOAM__INLINE void score_rows(loam_format type, size_t rows, const loam__attention_args *a,
                             const space *s, size_t first, range p)
{
    const size_t end = (p.end - 1) % RUN / WIDTH + 1, vectors = tile_vectors(rows);
    const float *q[TILE_ROWS];
    const source *f = &s->from;
    size_t i = p.first % RUN / WIDTH;
    for (size_t r = 0; r < rows; r++)
        q[r] = query(a, first + r);
    for (; i + vectors <= end; i += vectors)
        score_tile(type, rows, vectors, q, f->k + i, f->k_step, a->k_values, s->scores + i * WIDTH);
    for (; i < end; i++)
        score_tile(type, rows, 1, q, f->k + i, f->k_step, a->k_values, s->scores + i * WIDTH);
}

/* ---- softmax ---- */

/* -infinity in lanes first .. end - 1. */
LOAM__INLINE floats without(floats v, size_t first, size_t end)
{
    float lanes[WIDTH];
    store_floats(lanes, v);
    for (size_t i = first; i < end; i++)
        lanes[i] = -INFINITY;
    return load_floats(lanes);
}

/* cap * tanh(x / cap), with tanh t = 1 - 2 / (e^2t + 1) */
LOAM__INLINE floats soft_cap(floats x, float cap)
{
    const floats e = exp_lanes(times(spread(2), over(x, spread(cap))));
    const floats rest = over(spread(-2), plus(e, spread(1)));
    return times(spread(cap), plus(spread(1), rest));
}

/* What was summed under a smaller max is scaled down to the new one. */
static void shrink(const space *s, size_t row, float max)
{
    const floats factor = exp_lanes(spread(s->part.max[row] - max));
    float *y = s->part.y + row * s->width, lanes[WIDTH];
    store_floats(lanes, factor);
    s->part.total[row] *= lanes[0];
    for (size_t i = 0; i < s->width; i += WIDTH)
        store_floats(y + i, times(load_floats(y + i), factor));
    s->part.max[row] = max;
}

/* Scores of positions first .. end - 1 of a run become factors exp(score - max), the others of
 * their vectors 0. For a whole run both are constants, and the scores stay in registers. */
LOAM__INLINE void soften(const loam__attention_args *a, const space *s, float *scores, size_t first,
                         size_t end, size_t row)
{
    const size_t from = first / WIDTH, to = (end + WIDTH - 1) / WIDTH;
    floats v[RUN / WIDTH], most = spread(s->part.max[row]), sum = zeros();
    for (size_t i = from; i < to; i++) {
        v[i] = times(load_floats(scores + i * WIDTH), spread(a->scale));
        if (a->softcap > 0) v[i] = soft_cap(v[i], a->softcap);
    }
    if (first % WIDTH) v[from] = without(v[from], 0, first % WIDTH);
    if (end % WIDTH) v[to - 1] = without(v[to - 1], end % WIDTH, WIDTH);
    for (size_t i = from; i < to; i++)
        most = larger(v[i], most);
    const float max = largest_lane(most);
    if (max > s->part.max[row]) shrink(s, row, max);
    for (size_t i = from; i < to; i++) {
        v[i] = exp_lanes(plus(v[i], spread(-max)));
        store_floats(scores + i * WIDTH, v[i]);
        sum = plus(sum, v[i]);
    }
    s->part.total[row] += add_lanes(sum);
}

static void soften_row(const loam__attention_args *a, const space *s, float *scores, range p,
                       size_t row)
{
    const size_t first = p.first % RUN, end = (p.end - 1) % RUN + 1;
    if (end - first == RUN) soften(a, s, scores, 0, RUN, row);
    else soften(a, s, scores, first, end, row);
}

/* ---- values, each times its factor ---- */

/* The type and both numbers are constants; from value `at` of n positions on. */
LOAM__INLINE void add_tile(loam_format type, size_t rows, size_t vectors, const float *factors,
                           const uint8_t *const *values, size_t at, size_t width, size_t n,
                           float *y)
{
    floats sum[TILE_ROWS][MOST_VECTORS];
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++)
            sum[r][v] = load_floats(y + r * width + at + v * WIDTH);
    for (size_t i = 0; i < n; i++) {
        floats value[MOST_VECTORS];
        for (size_t v = 0; v < vectors; v++)
            value[v] = load_cells(type, values[i], at + v * WIDTH);
        for (size_t r = 0; r < rows; r++) {
            const floats factor = spread(factors[r * RUN + i]);
            for (size_t v = 0; v < vectors; v++)
                sum[r][v] = times_plus(factor, value[v], sum[r][v]);
        }
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++)
            store_floats(y + r * width + at + v * WIDTH, sum[r][v]);
}

/* Rows i .. of a tile, which begins at row `first`, over positions that all of them see. */
LOAM__INLINE void add_rows(loam_format type, size_t rows, const space *s, size_t first, size_t i,
                           range p)
{
    const size_t n = p.end - p.first, at = p.first % RUN, vectors = tile_vectors(rows);
    const float *factors = s->scores + i * RUN + at;
    const uint8_t *const *values = s->from.v + at;
    float *y = s->part.y + (first + i) * s->width;
    size_t w = 0;
    for (; w + vectors * WIDTH <= s->width; w += vectors * WIDTH)
        add_tile(type, rows, vectors, factors, values, w, s->width, n, y);
    for (; w < s->width; w += WIDTH)
        add_tile(type, rows, 1, factors, values, w, s->width, n, y);
}

/* A position that a row does not see may hold anything, so its factor of 0 is not enough. */
LOAM__INLINE void add_seen(loam_format type, size_t rows, const loam__attention_args *a,
                           const space *s, size_t first, range p)
{
    const range shared = common(seen_by_all(a, first, rows), p);
    const bool some = shared.first < shared.end;
    for (size_t i = 0; i < rows; i++) {
        const range own = common(seen_by(a, first + i), p);
        const range before = {own.first, some ? shared.first : own.end};
        if (before.first < before.end) add_rows(type, 1, s, first, i, before);
    }
    if (!some) return;
    add_rows(type, rows, s, first, 0, shared);
    for (size_t i = 0; i < rows; i++) {
        const range after = {shared.end, common(seen_by(a, first + i), p).end};
        if (after.first < after.end) add_rows(type, 1, s, first, i, after);
    }
}

/* ---- all of it ---- */

LOAM__INLINE void tile(size_t rows, const loam__attention_args *a, const space *s, size_t first,
                       range run)
{
    const range p = common(seen_by_some(a, first, rows), run);
    if (p.first >= p.end) return;
    FOR_FLOATS(s->from.k_type, score_rows, rows, a, s, first, p);
    for (size_t i = 0; i < rows; i++) {
        const range own = common(seen_by(a, first + i), p);
        if (own.first < own.end) soften_row(a, s, s->scores + i * RUN, own, first + i);
    }
    FOR_FLOATS(s->from.v_type, add_seen, rows, a, s, first, p);
}

/* Rows from `first` on, a constant number of them. */
static void some_rows(size_t rows, const loam__attention_args *a, const space *s, size_t first,
                      range run)
{
    _Static_assert(TILE_ROWS == 6, "a case for each number of rows");
    switch (rows) {
    case 1:
        tile(1, a, s, first, run);
        break;
    case 2:
        tile(2, a, s, first, run);
        break;
    case 3:
        tile(3, a, s, first, run);
        break;
    case 4:
        tile(4, a, s, first, run);
        break;
    case 5:
        tile(5, a, s, first, run);
        break;
    default:
        tile(6, a, s, first, run);
    }
}

static range segment_range(size_t segment)
{
    return (range){segment * SEGMENT, (segment + 1) * SEGMENT};
}

static void begin_sums(const sums *to, size_t rows, size_t width)
{
    for (size_t row = 0; row < rows; row++) {
        to->max[row] = -FLT_MAX; /* finite: a score of -infinity is a factor of 0, not NaN */
        to->total[row] = 0;
    }
    memset(to->y, 0, rows * width * sizeof *to->y);
}

static void attend(const loam__attention_args *a, size_t segment, space *s)
{
    const size_t rows = row_count(a);
    const range p = common(seen_by_some(a, 0, rows), segment_range(segment));
    begin_sums(&s->part, rows, s->width);
    for (size_t at = p.first / RUN * RUN; at < p.end; at += RUN) {
        const range run = common(p, (range){at, at + RUN});
        if (run.end < p.end) ask_for_cells(a, common(p, (range){at + RUN, at + 2 * RUN}));
        find_run(a, run, s);
        for (size_t row = 0, n; row < rows; row += n) {
            n = rows - row < TILE_ROWS ? rows - row : TILE_ROWS;
            some_rows(n, a, s, row, run);
        }
    }
}

/* Take the sums of the next segment into those of all up to it. */
static void join(const sums *part, const space *s, size_t row)
{
    const float *from = part->y + row * s->width;
    float *y = s->all.y + row * s->width, lanes[WIDTH];
    const float was = s->all.max[row], is = part->max[row];
    const float max = was > is ? was : is;
    const floats old = exp_lanes(spread(was - max)), new = exp_lanes(spread(is - max));
    s->all.max[row] = max;
    store_floats(lanes, old);
    const float kept = s->all.total[row] * lanes[0];
    store_floats(lanes, new);
    s->all.total[row] = kept + part->total[row] * lanes[0];
    for (size_t i = 0; i < s->width; i += WIDTH)
        store_floats(y + i, times_plus(load_floats(from + i), new, times(load_floats(y + i), old)));
}

static void finish(const loam__attention_args *a, const space *s, size_t row)
{
    const float *from = s->all.y + row * s->width;
    float *y = a->y + row / a->heads * a->y_stride + row % a->heads * a->v_values;
    for (size_t i = 0; i < a->v_values; i += WIDTH) {
        const floats v = over(load_floats(from + i), spread(s->all.total[row]));
        if (a->v_values - i >= WIDTH) store_floats(y + i, v);
        else store_first(y + i, a->v_values - i, v);
    }
}

void LOAM__KERNEL(attention_part)(const loam__attention_args *a, size_t segment, float *part)
{
    space s;
    lay_out(a, &s);
    s.part = lay_out_sums(a, part);
    attend(a, segment, &s);
}

void LOAM__KERNEL(attention)(const loam__attention_args *a, float *parts)
{
    const size_t rows = row_count(a);
    const range p = seen_by_some(a, 0, rows);
    space s;
    lay_out(a, &s);
    begin_sums(&s.all, rows, s.width);
    for (size_t segment = p.first / SEGMENT; segment * SEGMENT < p.end; segment++) {
        if (parts) s.part = lay_out_sums(a, parts);
        else attend(a, segment, &s);
        for (size_t row = 0; row < rows; row++) {
            const range own = common(seen_by(a, row), segment_range(segment));
            if (own.first < own.end) join(&s.part, &s, row);
        }
        if (parts) parts += loam__attention_part(a->tokens, a->heads, a->v_values);
    }
    for (size_t row = 0; row < rows; row++)
        finish(a, &s, row);
}

#endif
