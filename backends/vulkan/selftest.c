/* Before a kernel that reads weights is used, what it gives on small data is held against what the
 * host decodes: there are drivers that compile one of them wrongly. */
#include "vulkan.h"

#include <math.h>
#include <string.h>

#include "lib/quant/quant.h"

/* A weight of a few rows, the last group of which is not full, and tokens for it. */
enum { ROWS = 71, MOST_COLS = 512, TOKENS = 9, STEP_WORDS = 64 };

typedef struct trial {
    loam_value weight;
    const loam__format *format;
    uint32_t cols;
    loam__vk_block block; /* the step, the weight, x, and the results, from these bytes on: */
    uint64_t weight_at, x_at, y_at;
    loam__vk_set own_set;
    loam__vk_sets sets; /* that one */
    VkDescriptorSet set;
    uint8_t *rows; /* as a file has them */
    float *values; /* of one row */
} trial;

/* Bytes whose halves are finite numbers of moderate size, whatever a format takes them for. */
static uint8_t some_byte(uint32_t i)
{
    return (uint8_t)((i * 2654435761u >> 13) & 0x3f);
}

/* Rows of both groups. */
static uint32_t token(uint32_t i)
{
    return i * 8 + 5;
}

static float some_number(uint32_t i)
{
    return (float)((i * 40503u >> 4) & 255) / 128 - 1;
}

static void fill(trial *t)
{
    uint32_t *step = (uint32_t *)(void *)t->block.mapped;
    float *x = (float *)(void *)(t->block.mapped + t->x_at);
    step[0] = step[1] = TOKENS;
    step[6] = TOKENS;
    for (uint32_t i = 0; i < TOKENS; i++)
        step[8 + i] = token(i);
    for (uint32_t i = 0; i < TOKENS * t->cols; i++)
        x[i] = some_number(i);
    for (uint32_t i = 0; i < ROWS * t->weight.row_bytes; i++)
        t->rows[i] = some_byte(i);
    for (uint32_t first = 0; first < ROWS; first += LOAM__VK_GROUP)
        loam__vk_order_group(&t->weight, t->rows + first * t->weight.row_bytes,
                             ROWS - first < LOAM__VK_GROUP ? ROWS - first : LOAM__VK_GROUP,
                             t->block.mapped + t->weight_at + first * t->weight.row_bytes);
}

static loam_status add_set(loam__vk_device *d, trial *t)
{
    const loam__vk_block *b = &t->block;
    const loam__vk_window weight = {b->buffer, t->weight_at, t->x_at - t->weight_at};
    const loam__vk_window x = {b->buffer, t->x_at, t->y_at - t->x_at};
    t->set = d->no_texels;
    if (!d->texels) return LOAM_OK;
    loam_status st = loam__vk_sets_new(d, &t->own_set, 1, &t->sets);
    return st == LOAM_OK ? loam__vk_sets_add(d, &t->sets, weight, x, &t->set) : st;
}

static loam_status begin(loam__vk_device *d, loam_format type, bool whole, trial *t)
{
    const loam__format *f = loam__format_find(type);
    uint64_t row_bytes;
    t->format = f;
    t->cols = whole ? 512 : 45; /* two blocks or more; not a whole unit */
    if (!loam__format_row_bytes(f, t->cols, &row_bytes)) return LOAM_ERR_INTERNAL;
    t->weight = (loam_value){.type = type, .cols = t->cols, .rows = ROWS, .row_bytes = row_bytes};
    t->weight_at = STEP_WORDS * 4;
    t->x_at = loam__align_up(t->weight_at + ROWS * row_bytes);
    t->y_at = t->x_at + loam__align_up(TOKENS * t->cols * sizeof(float));
    t->rows = loam__alloc(&d->vk->base, (size_t)(ROWS * row_bytes));
    t->values = loam__alloc(&d->vk->base, MOST_COLS * sizeof(float));
    if (!t->rows || !t->values) return LOAM_ERR_NOMEM;
    uint64_t results = TOKENS * (t->cols > ROWS ? t->cols : ROWS) * sizeof(float);
    loam_status st = loam__vk_block_new(d, t->y_at + results, LOAM__VK_SHARED, &t->block);
    if (st != LOAM_OK) return st;
    fill(t);
    return add_set(d, t);
}

static void end(loam__vk_device *d, trial *t)
{
    loam__vk_sets_free(d, &t->sets);
    if (t->block.buffer) loam__vk_block_free(d, &t->block);
    loam__free(&d->vk->base, t->rows);
    loam__free(&d->vk->base, t->values);
}

static loam_status run(loam__vk_device *d, const trial *t, VkPipeline pipeline, uint32_t y_stride,
                       uint32_t groups, uint32_t tokens_each)
{
    const uint64_t base = t->block.address;
    loam__vk_push push = {.dst = base + t->y_at,
                          .src = {base + t->weight_at, base + t->x_at},
                          .step = base,
                          .extra = d->grids.address};
    const uint32_t u[] = {ROWS,
                          (uint32_t)t->weight.row_bytes,
                          loam__vk_row_quads(&t->weight),
                          t->cols,
                          t->cols,
                          y_stride,
                          LOAM_ROWS_TOKENS,
                          0,
                          ROWS,
                          0,
                          0,
                          loam__vk_row_singles(&t->weight)};
    memcpy(push.u, u, sizeof u);
    push.f[0] = 1;
    loam_status st = loam__vk_begin(d, d->once);
    if (st != LOAM_OK) return st;
    d->f.CmdBindPipeline(d->once, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    d->f.CmdBindDescriptorSets(d->once, VK_PIPELINE_BIND_POINT_COMPUTE, d->layout, 0, 1, &t->set, 0,
                               NULL);
    d->f.CmdPushConstants(d->once, d->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof push, &push);
    d->f.CmdDispatch(d->once, groups, (TOKENS + tokens_each - 1) / tokens_each, 1);
    return loam__vk_finish_once(d);
}

static void decode_row(const trial *t, uint32_t row)
{
    t->format->decode(t->rows + row * t->weight.row_bytes, t->values, t->cols);
}

static bool products_are_right(const trial *t)
{
    const float *x = (const float *)(const void *)(t->block.mapped + t->x_at);
    const float *y = (const float *)(const void *)(t->block.mapped + t->y_at);
    for (uint32_t r = 0; r < ROWS; r++) {
        decode_row(t, r);
        for (uint32_t c = 0; c < TOKENS; c++) {
            double sum = 0, size = 0;
            for (uint32_t k = 0; k < t->cols; k++) {
                const double product = (double)t->values[k] * (double)x[c * t->cols + k];
                sum += product;
                size += fabs(product);
            }
            if (!(fabs((double)y[c * ROWS + r] - sum) <= 1e-5 * size)) return false;
        }
    }
    return true;
}

static bool rows_are_right(const trial *t)
{
    const float *y = (const float *)(const void *)(t->block.mapped + t->y_at);
    for (uint32_t c = 0; c < TOKENS; c++, y += t->cols) {
        double most = 0;
        decode_row(t, token(c));
        for (uint32_t k = 0; k < t->cols; k++)
            most = fabs((double)t->values[k]) > most ? fabs((double)t->values[k]) : most;
        for (uint32_t k = 0; k < t->cols; k++)
            if (!(fabs((double)y[k] - (double)t->values[k]) <= 1e-6 * most)) return false;
    }
    return true;
}

loam_status loam__vk_check_product(loam__vk_device *d, loam_format type, bool whole,
                                   const loam__vk_tile *tile, bool *right)
{
    trial t = {0};
    loam_status st = begin(d, type, whole, &t);
    if (st == LOAM_OK)
        st = run(d, &t, tile->pipeline, ROWS, (ROWS + tile->rows - 1) / tile->rows, tile->tokens);
    *right = st == LOAM_OK && products_are_right(&t);
    end(d, &t);
    return st;
}

loam_status loam__vk_check_embed(loam__vk_device *d, loam_format type, bool whole,
                                 VkPipeline pipeline, bool *right)
{
    trial t = {0};
    loam_status st = begin(d, type, whole, &t);
    if (st == LOAM_OK) st = run(d, &t, pipeline, t.cols, TOKENS, TOKENS);
    *right = st == LOAM_OK && rows_are_right(&t);
    end(d, &t);
    return st;
}
