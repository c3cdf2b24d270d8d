/* Before a kernel is used, what it gives on small data is held against what the host computes:
 * there are drivers that compile one of them wrongly. Here are the kernels that read weights. */
#include "selftest.h"

#include <math.h>
#include <string.h>

#include "lib/quant/quant.h"

/* ---- trials ---- */

enum { STEP_WORDS = 64 };

loam_status loam__vk_trial_new(loam__vk_device *d, uint32_t n, uint64_t bytes, trial *t)
{
    *t = (trial){.d = d, .used = STEP_WORDS * 4, .set = d->no_texels};
    loam_status st = loam__vk_block_new(d, t->used + bytes, LOAM__VK_SHARED, &t->block);
    if (st != LOAM_OK) return st;
    t->step = (uint32_t *)(void *)t->block.mapped;
    t->step[0] = t->step[1] = n;
    t->step[6] = TRIAL_TOKENS;
    t->push.step = t->block.address;
    t->push.extra = d->grids.address;
    return LOAM_OK;
}

void loam__vk_trial_free(trial *t)
{
    loam__vk_sets_free(t->d, &t->sets);
    if (t->block.buffer) loam__vk_block_free(t->d, &t->block);
}

void *loam__vk_trial_part(trial *t, uint64_t bytes, uint64_t *address)
{
    uint8_t *part = t->block.mapped + t->used;
    *address = t->block.address + t->used;
    t->used += loam__align_up(bytes);
    return part;
}

void *loam__vk_trial_numbers(trial *t, uint32_t n, uint64_t *address)
{
    float *x = loam__vk_trial_part(t, n * sizeof *x, address);
    for (uint32_t i = 0; i < n; i++)
        x[i] = (float)((i * 40503u >> 4) & 255) / 128 - 1;
    return x;
}

uint32_t *loam__vk_trial_array(trial *t, uint32_t array)
{
    return t->step + 8 + array * TRIAL_TOKENS;
}

loam_status loam__vk_trial_run(trial *t, VkPipeline pipeline, uint32_t x, uint32_t y)
{
    loam__vk_device *d = t->d;
    loam_status st = loam__vk_begin(d, d->once);
    if (st != LOAM_OK) return st;
    d->f.CmdBindPipeline(d->once, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    d->f.CmdBindDescriptorSets(d->once, VK_PIPELINE_BIND_POINT_COMPUTE, d->layout, 0, 1, &t->set, 0,
                               NULL);
    d->f.CmdPushConstants(d->once, d->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof t->push,
                          &t->push);
    d->f.CmdDispatch(d->once, x, y, 1);
    return loam__vk_finish_once(d);
}

bool loam__vk_near(double a, double b, double part, double size)
{
    return fabs(a - b) <= part * size;
}

void loam__vk_some_bytes(uint8_t *bytes, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(((uint32_t)i * 2654435761u >> 13) & 0x3f);
}

/* ---- kernels that read weights ---- */

/* A weight of a few rows, the last group of which is not full, and tokens for it. */
enum { ROWS = 71, MOST_COLS = 512, TOKENS = TRIAL_TOKENS };

typedef struct weight_trial {
    trial t;
    loam_value weight;
    const loam__format *format;
    uint32_t cols;
    uint8_t *rows; /* as a file has them */
    float *values; /* of one row */
    float *x, *y;
} weight_trial;

static loam_status add_set(weight_trial *w)
{
    trial *t = &w->t;
    const uint64_t start = t->block.address, end = start + t->used;
    const loam__vk_window weight = {t->block.buffer, t->push.src[0] - start,
                                    t->push.src[1] - t->push.src[0]};
    const loam__vk_window x = {t->block.buffer, t->push.src[1] - start, end - t->push.src[1]};
    if (!t->d->texels) return LOAM_OK;
    loam_status st = loam__vk_sets_new(t->d, &t->own_set, 1, &t->sets);
    return st == LOAM_OK ? loam__vk_sets_add(t->d, &t->sets, weight, x, &t->set) : st;
}

/* Rows of both groups. */
static uint32_t token(uint32_t i)
{
    return i * 8 + 5;
}

static void fill(weight_trial *w)
{
    const uint64_t row_bytes = w->weight.row_bytes;
    trial *t = &w->t;
    uint8_t *to = loam__vk_trial_part(t, ROWS * row_bytes, &t->push.src[0]);
    for (uint32_t i = 0; i < TOKENS; i++)
        loam__vk_trial_array(t, 0)[i] = token(i);
    w->x = loam__vk_trial_numbers(t, TOKENS * w->cols, &t->push.src[1]);
    loam__vk_some_bytes(w->rows, ROWS * row_bytes);
    for (uint32_t first = 0; first < ROWS; first += LOAM__VK_GROUP)
        loam__vk_order_group(&w->weight, w->rows + first * row_bytes,
                             ROWS - first < LOAM__VK_GROUP ? ROWS - first : LOAM__VK_GROUP,
                             to + first * row_bytes);
}

static loam_status begin(loam__vk_device *d, loam_format type, bool whole, weight_trial *w)
{
    const uint32_t cols = whole ? 512 : 45; /* two blocks or more; not a whole unit */
    uint64_t row_bytes;
    *w = (weight_trial){.t = {.d = d}, .format = loam__format_find(type), .cols = cols};
    if (!loam__format_row_bytes(w->format, cols, &row_bytes)) return LOAM_ERR_INTERNAL;
    w->weight = (loam_value){.type = type, .cols = cols, .rows = ROWS, .row_bytes = row_bytes};
    const uint64_t y_bytes = TOKENS * (cols > ROWS ? cols : ROWS) * sizeof(float);
    w->rows = loam__alloc(&d->vk->base, (size_t)(ROWS * row_bytes));
    w->values = loam__alloc(&d->vk->base, MOST_COLS * sizeof(float));
    if (!w->rows || !w->values) return LOAM_ERR_NOMEM;
    loam_status st = loam__vk_trial_new(
        d, TOKENS, ROWS * row_bytes + TOKENS * cols * sizeof(float) + y_bytes + 256, &w->t);
    if (st != LOAM_OK) return st;
    fill(w);
    if ((st = add_set(w)) != LOAM_OK) return st;
    w->y = loam__vk_trial_part(&w->t, y_bytes, &w->t.push.dst);
    return LOAM_OK;
}

static void end(weight_trial *w)
{
    loam__base *b = &w->t.d->vk->base;
    loam__vk_trial_free(&w->t);
    loam__free(b, w->rows);
    loam__free(b, w->values);
}

static loam_status run(weight_trial *w, VkPipeline pipeline, uint32_t y_stride, uint32_t x,
                       uint32_t y)
{
    const uint32_t u[] = {ROWS,
                          (uint32_t)w->weight.row_bytes,
                          loam__vk_row_quads(&w->weight),
                          w->cols,
                          w->cols,
                          y_stride,
                          LOAM_ROWS_TOKENS,
                          0,
                          ROWS,
                          0,
                          0,
                          loam__vk_row_singles(&w->weight)};
    memcpy(w->t.push.u, u, sizeof u);
    w->t.push.f[0] = 1;
    return loam__vk_trial_run(&w->t, pipeline, x, y);
}

static void decode_row(const weight_trial *w, uint32_t row)
{
    w->format->decode(w->rows + row * w->weight.row_bytes, w->values, w->cols);
}

static bool products_are_right(const weight_trial *w)
{
    for (uint32_t r = 0; r < ROWS; r++) {
        decode_row(w, r);
        for (uint32_t c = 0; c < TOKENS; c++) {
            double sum = 0, size = 0;
            for (uint32_t k = 0; k < w->cols; k++) {
                const double product = (double)w->values[k] * (double)w->x[c * w->cols + k];
                sum += product;
                size += fabs(product);
            }
            if (!loam__vk_near((double)w->y[c * ROWS + r], sum, 1e-5, size)) return false;
        }
    }
    return true;
}

static bool rows_are_right(const weight_trial *w)
{
    for (uint32_t c = 0; c < TOKENS; c++) {
        double most = 0;
        decode_row(w, token(c));
        for (uint32_t k = 0; k < w->cols; k++)
            most = fmax(most, fabs((double)w->values[k]));
        for (uint32_t k = 0; k < w->cols; k++)
            if (!loam__vk_near((double)w->y[c * w->cols + k], (double)w->values[k], 1e-6, most))
                return false;
    }
    return true;
}

static loam_status check_matmul(weight_trial *w, const loam__vk_pipeline *p, bool *right)
{
    const uint32_t rows = p->constants[1] * p->constants[2], tokens = p->constants[3];
    loam_status st =
        run(w, p->pipeline, ROWS, (ROWS + rows - 1) / rows, (TOKENS + tokens - 1) / tokens);
    *right = st == LOAM_OK && products_are_right(w);
    return st;
}

static loam_status check_embed(weight_trial *w, const loam__vk_pipeline *p, bool *right)
{
    loam_status st = run(w, p->pipeline, w->cols, TOKENS, 1);
    *right = st == LOAM_OK && rows_are_right(w);
    return st;
}

/* ---- all kernels ---- */

loam_status loam__vk_check(loam__vk_device *d, const loam__vk_pipeline *p, bool *right)
{
    const loam__vk_format_code *f = loam__vk_formats;
    while (f->embed.words && p->code != &f->matmul && p->code != &f->embed)
        f++;
    if (!f->embed.words) return loam__vk_check_op(d, p, right);
    weight_trial w;
    loam_status st = begin(d, f->type, p->constants[LOAM__VK_WHOLE], &w);
    if (st == LOAM_OK)
        st = p->code == &f->matmul ? check_matmul(&w, p, right) : check_embed(&w, p, right);
    end(&w);
    return st;
}
