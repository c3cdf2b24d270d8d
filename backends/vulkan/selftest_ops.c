/* The check of kernels that read no weights. */
#include <math.h>
#include <string.h>

#include "lib/quant/quant.h"
#include "selftest.h"

#define CLOSE 1e-5 /* of what is added up */

static void set_words(trial *t, const uint32_t *u, size_t n)
{
    memcpy(t->push.u, u, n * sizeof *u);
}

/* ---- norm ---- */

static loam_status check_norm(loam__vk_device *d, const loam__vk_pipeline *p, bool *right)
{
    enum { TOKENS = 3, GROUPS = 2, N = 40 };
    const uint32_t u[] = {N, GROUPS * N, GROUPS * N, 0, 0, 0, LOAM_ROWS_TOKENS};
    trial t;
    loam_status st = loam__vk_trial_new(d, TOKENS, 4096, &t);
    if (st != LOAM_OK) return st;
    const float *x = loam__vk_trial_numbers(&t, TOKENS * GROUPS * N, &t.push.src[0]);
    const float *weight = loam__vk_trial_numbers(&t, N, &t.push.src[1]);
    const float *y = loam__vk_trial_part(&t, TOKENS * GROUPS * N * sizeof *y, &t.push.dst);
    set_words(&t, u, sizeof u / sizeof *u);
    t.push.f[0] = 0.01f;
    st = loam__vk_trial_run(&t, p->pipeline, GROUPS, TOKENS);
    *right = st == LOAM_OK;
    for (uint32_t g = 0; *right && g < TOKENS * GROUPS; g++) {
        double squares = 0;
        for (uint32_t i = 0; i < N; i++)
            squares += (double)x[g * N + i] * (double)x[g * N + i];
        const double scale = 1 / sqrt(squares / N + (double)t.push.f[0]);
        for (uint32_t i = 0; i < N; i++)
            *right =
                *right && loam__vk_near((double)y[g * N + i],
                                        (double)x[g * N + i] * scale * (double)weight[i], CLOSE, 2);
    }
    loam__vk_trial_free(&t);
    return st;
}

/* ---- one number by itself ---- */

static double activated(double x, int32_t act)
{
    if (act == LOAM_ACT_SILU) return x / (1 + exp(-x));
    return x / (1 + exp(-1.5957691216 * x * (x * x * 0.044715 + 1)));
}

static double elementwise(int32_t op, int32_t act, double cap, double a, double b)
{
    if (op == LOAM_OP_ADD) return a + b;
    if (op == LOAM_OP_GLU) return activated(a, act) * b;
    return op == LOAM_OP_SOFTCAP ? cap * tanh(a / cap) : a;
}

static loam_status try_elementwise(loam__vk_device *d, const loam__vk_pipeline *p, int32_t act,
                                   bool *right)
{
    enum { TOKENS = 3, N = 270 };
    const int32_t op = (int32_t)p->constants[1];
    const bool picks = op == LOAM_OP_PICK_ROWS;
    const uint32_t u[] = {
        N, N, N, N, (uint32_t)act, 0, picks ? LOAM_ROWS_OUTPUTS : LOAM_ROWS_TOKENS};
    trial t;
    loam_status st = loam__vk_trial_new(d, TOKENS, 16384, &t);
    if (st != LOAM_OK) return st;
    const float *a = loam__vk_trial_numbers(&t, TOKENS * N, &t.push.src[0]);
    float *b = loam__vk_trial_numbers(&t, TOKENS * N + 7, &t.push.src[1]);
    const float *y = loam__vk_trial_part(&t, TOKENS * N * sizeof *y, &t.push.dst);
    memmove(b, b + 7, TOKENS * N * sizeof *b);
    for (uint32_t i = 0; i < TOKENS; i++)
        loam__vk_trial_array(&t, 3)[i] = TOKENS - 1 - i;
    set_words(&t, u, sizeof u / sizeof *u);
    t.push.f[0] = 0.5f;
    st = loam__vk_trial_run(&t, p->pipeline, (N + 4 * p->constants[0] - 1) / (4 * p->constants[0]),
                            TOKENS);
    *right = st == LOAM_OK;
    for (uint32_t i = 0; *right && i < TOKENS * N; i++) {
        const uint32_t from = picks ? (TOKENS - 1 - i / N) * N + i % N : i;
        *right = loam__vk_near((double)y[i],
                               elementwise(op, act, 0.5, (double)a[from], (double)b[i]), CLOSE, 1);
    }
    loam__vk_trial_free(&t);
    return st;
}

static loam_status check_elementwise(loam__vk_device *d, const loam__vk_pipeline *p, bool *right)
{
    loam_status st = try_elementwise(d, p, LOAM_ACT_SILU, right);
    if (st == LOAM_OK && *right && p->constants[1] == LOAM_OP_GLU)
        st = try_elementwise(d, p, LOAM_ACT_GELU_TANH, right);
    return st;
}

/* ---- rotation ---- */

static loam_status try_rope(loam__vk_device *d, const loam__vk_pipeline *p, int32_t style,
                            bool *right)
{
    enum { TOKENS = 2, HEADS = 2, N = 20, TURNED = 12 };
    const uint32_t u[] = {HEADS * N, N,         TURNED,          (uint32_t)style,
                          HEADS * N, HEADS * N, LOAM_ROWS_TOKENS};
    const bool pairs = style == LOAM_ROPE_PAIRS;
    trial t;
    loam_status st = loam__vk_trial_new(d, TOKENS, 4096, &t);
    if (st != LOAM_OK) return st;
    const float *x = loam__vk_trial_numbers(&t, TOKENS * HEADS * N, &t.push.src[0]);
    const float *table = loam__vk_trial_numbers(&t, TOKENS * TURNED, &t.push.src[1]);
    const float *y = loam__vk_trial_part(&t, TOKENS * HEADS * N * sizeof *y, &t.push.dst);
    set_words(&t, u, sizeof u / sizeof *u);
    st = loam__vk_trial_run(&t, p->pipeline, (HEADS * N + p->constants[0] - 1) / p->constants[0],
                            TOKENS);
    *right = st == LOAM_OK;
    for (uint32_t h = 0; *right && h < TOKENS * HEADS; h++, x += N, y += N) {
        const float *turns = table + h / HEADS * TURNED;
        for (uint32_t j = 0; j < TURNED / 2; j++) {
            const uint32_t first = pairs ? 2 * j : j, second = pairs ? 2 * j + 1 : j + TURNED / 2;
            const double a = (double)x[first], b = (double)x[second];
            const double c = (double)turns[2 * j], s = (double)turns[2 * j + 1];
            *right = *right && loam__vk_near((double)y[first], a * c - b * s, CLOSE, 1) &&
                     loam__vk_near((double)y[second], a * s + b * c, CLOSE, 1);
        }
        *right = *right && memcmp(x + TURNED, y + TURNED, (N - TURNED) * sizeof *x) == 0;
    }
    loam__vk_trial_free(&t);
    return st;
}

static loam_status check_rope(loam__vk_device *d, const loam__vk_pipeline *p, bool *right)
{
    loam_status st = try_rope(d, p, LOAM_ROPE_HALVES, right);
    return st == LOAM_OK && *right ? try_rope(d, p, LOAM_ROPE_PAIRS, right) : st;
}

/* ---- KV cells ---- */

enum { KV_HEADS = 2, POSITIONS = 16, BLOCKS = 2 }; /* positions of a block */
static const uint32_t block_table[BLOCKS] = {1, 0};

typedef struct cells {
    const loam__format *format;
    uint32_t values; /* of a head */
    bool transposed;
    uint8_t *bytes;
} cells;

static uint64_t bytes_of(const cells *c, uint64_t values)
{
    return values / c->format->block_values * c->format->block_bytes;
}

static uint64_t block_bytes_of(const cells *c)
{
    return KV_HEADS * POSITIONS * bytes_of(c, c->values);
}

/* The numbers of a head at a position. */
static void read_cells(const cells *c, uint32_t head, uint32_t position, float *values)
{
    const uint8_t *at = c->bytes + block_table[position / POSITIONS] * block_bytes_of(c) +
                        head * POSITIONS * bytes_of(c, c->values);
    const uint32_t within = position % POSITIONS;
    if (!c->transposed) c->format->decode(at + within * bytes_of(c, c->values), values, c->values);
    for (uint32_t j = 0; c->transposed && j < c->values; j++)
        c->format->decode(at + bytes_of(c, j * POSITIONS + within), &values[j], 1);
}

static void set_tables(trial *t, const uint32_t *positions, uint32_t n)
{
    uint64_t address;
    uint32_t *table = loam__vk_trial_part(t, sizeof block_table, &address);
    memcpy(table, block_table, sizeof block_table);
    t->step[2] = BLOCKS;
    t->step[3] = 1;
    t->step[4] = (uint32_t)address;
    t->step[5] = (uint32_t)(address >> 32);
    memcpy(loam__vk_trial_array(t, 1), positions, n * sizeof *positions);
}

/* How far a cell is from its number at most, relative to the largest of its block. */
static double step_of(loam_format type)
{
    if (type == LOAM_TYPE_Q4_0) return 1.0 / 7;
    if (type == LOAM_TYPE_Q8_0) return 1.0 / 127;
    return type == LOAM_TYPE_F32 ? 0 : type == LOAM_TYPE_F16 ? 1.0 / 1024 : 1.0 / 128;
}

enum { WRITTEN = 64 }; /* values of a head */

static bool cells_are_right(const cells *c, const float *x, const uint32_t *positions, uint32_t n)
{
    float values[WRITTEN];
    for (uint32_t i = 0; i < n * KV_HEADS; i++) {
        read_cells(c, i % KV_HEADS, positions[i / KV_HEADS], values);
        for (uint32_t j = 0; j < WRITTEN; j++)
            if (!loam__vk_near((double)values[j], (double)x[i * WRITTEN + j],
                               step_of(c->format->type), 1))
                return false;
        read_cells(c, i % KV_HEADS, positions[i / KV_HEADS] + 1, values); /* still empty */
        for (uint32_t j = 0; j < WRITTEN; j++)
            if (values[j] != 0) return false;
    }
    return true;
}

static loam_status check_kv_write(loam__vk_device *d, const loam__vk_pipeline *p, bool *right)
{
    enum { TOKENS = 2 };
    static const uint32_t positions[TOKENS] = {3, 22};
    cells c = {loam__format_find((loam_format)p->constants[1]), WRITTEN, p->constants[2], NULL};
    const bool blocks = c.format->block_values > 1;
    const uint32_t values = KV_HEADS * WRITTEN, each = p->constants[0] * (blocks ? 32 : 1);
    const uint32_t u[] = {KV_HEADS, WRITTEN, POSITIONS, 0, (uint32_t)(block_bytes_of(&c) / 2),
                          values};
    trial t;
    loam_status st = loam__vk_trial_new(d, TOKENS, BLOCKS * block_bytes_of(&c) + 4096, &t);
    if (st != LOAM_OK) return st;
    const float *x = loam__vk_trial_numbers(&t, TOKENS * values, &t.push.src[0]);
    set_tables(&t, positions, TOKENS);
    c.bytes = loam__vk_trial_part(&t, BLOCKS * block_bytes_of(&c), &t.push.dst);
    set_words(&t, u, sizeof u / sizeof *u);
    st = loam__vk_trial_run(&t, p->pipeline, (values + each - 1) / each, TOKENS);
    *right = st == LOAM_OK && cells_are_right(&c, x, positions, TOKENS);
    loam__vk_trial_free(&t);
    return st;
}

/* ---- attention ---- */

typedef struct attention_trial {
    cells k, v;
    uint32_t heads; /* that have one KV head */
    const float *q, *y;
    float *values; /* of a key or a value */
    double *sums;  /* of a head's result */
} attention_trial;

/* Head h of token t, at a position. The scale is 1. */
static bool head_is_right(const attention_trial *a, uint32_t t, uint32_t h, uint32_t position)
{
    const uint32_t kv_head = h / a->heads, at = t * KV_HEADS * a->heads + h;
    double total = 0, most = 0;
    memset(a->sums, 0, a->v.values * sizeof *a->sums);
    for (uint32_t i = 0; i <= position; i++) {
        double score = 0;
        read_cells(&a->k, kv_head, i, a->values);
        for (uint32_t j = 0; j < a->k.values; j++)
            score += (double)a->values[j] * (double)a->q[at * a->k.values + j];
        const double factor = exp(score);
        total += factor;
        read_cells(&a->v, kv_head, i, a->values);
        for (uint32_t j = 0; j < a->v.values; j++) {
            a->sums[j] += factor * (double)a->values[j];
            most = fmax(most, fabs((double)a->values[j]));
        }
    }
    for (uint32_t j = 0; j < a->v.values; j++)
        if (!loam__vk_near((double)a->y[at * a->v.values + j], a->sums[j] / total, 10 * CLOSE,
                           most))
            return false;
    return true;
}

/* Queries so small that their scores are moderate. */
static void shrink(float *q, uint32_t n, uint32_t values)
{
    for (uint32_t i = 0; i < n; i++)
        q[i] *= 4 / (float)values;
}

static loam_status try_attention(attention_trial *a, trial *t, VkPipeline pipeline, bool *right)
{
    enum { TOKENS = 2 };
    static const uint32_t positions[TOKENS] = {5, 20};
    const uint32_t heads = KV_HEADS * a->heads, q_n = TOKENS * heads * a->k.values;
    const uint32_t u[] = {heads,
                          KV_HEADS,
                          0,
                          POSITIONS,
                          0,
                          0,
                          (uint32_t)(block_bytes_of(&a->k) / 2),
                          (uint32_t)(block_bytes_of(&a->v) / 2),
                          heads * a->k.values,
                          heads * a->v.values};
    float *q = loam__vk_trial_numbers(t, q_n, &t->push.src[0]);
    a->q = q;
    shrink(q, q_n, a->k.values);
    a->k.bytes = loam__vk_trial_part(t, BLOCKS * block_bytes_of(&a->k), &t->push.src[1]);
    a->v.bytes = loam__vk_trial_part(t, BLOCKS * block_bytes_of(&a->v), &t->push.src[2]);
    loam__vk_some_bytes(a->k.bytes, BLOCKS * block_bytes_of(&a->k));
    loam__vk_some_bytes(a->v.bytes, BLOCKS * block_bytes_of(&a->v));
    a->y = loam__vk_trial_part(t, TOKENS * heads * a->v.values * sizeof(float), &t->push.dst);
    set_tables(t, positions, TOKENS);
    set_words(t, u, sizeof u / sizeof *u);
    t->push.f[0] = 1;
    loam_status st = loam__vk_trial_run(t, pipeline, KV_HEADS, TOKENS);
    *right = st == LOAM_OK;
    for (uint32_t i = 0; *right && i < TOKENS * heads; i++)
        *right = head_is_right(a, i / heads, i % heads, positions[i / heads]);
    return st;
}

static loam_status check_attention(loam__vk_device *d, const loam__vk_pipeline *p, bool *right)
{
    const uint32_t *c = p->constants;
    loam__base *b = &d->vk->base;
    attention_trial a = {{loam__format_find((loam_format)c[1]), c[4], c[3], NULL},
                         {loam__format_find((loam_format)c[2]), c[5], false, NULL},
                         c[6],
                         NULL,
                         NULL,
                         loam__alloc(b, (c[4] + c[5]) * sizeof(float)),
                         loam__alloc(b, c[5] * sizeof(double))};
    trial t = {.d = d};
    const uint64_t bytes = BLOCKS * (block_bytes_of(&a.k) + block_bytes_of(&a.v)) +
                           2 * KV_HEADS * c[6] * (c[4] + c[5]) * sizeof(float) + 4096;
    loam_status st = a.values && a.sums ? loam__vk_trial_new(d, 2, bytes, &t) : LOAM_ERR_NOMEM;
    if (st == LOAM_OK) st = try_attention(&a, &t, p->pipeline, right);
    loam__vk_trial_free(&t);
    loam__free(b, a.values);
    loam__free(b, a.sums);
    return st;
}

/* ---- all of them ---- */

loam_status loam__vk_check_op(loam__vk_device *d, const loam__vk_pipeline *p, bool *right)
{
    static const struct {
        const loam__vk_code *code;
        loam_status (*check)(loam__vk_device *d, const loam__vk_pipeline *p, bool *right);
    } checks[] = {{&loam__vk_rms_norm, check_norm},
                  {&loam__vk_elementwise, check_elementwise},
                  {&loam__vk_rope, check_rope},
                  {&loam__vk_kv_write, check_kv_write},
                  {&loam__vk_attention, check_attention}};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (p->code == checks[i].code) return checks[i].check(d, p, right);
    return loam__fail(&d->vk->base, LOAM_ERR_INTERNAL, "a kernel without a check");
}
