/* Ops that are done row by row, and products of matrices. */
#include <math.h>
#include <string.h>

#include "ops.h"

static inline uint32_t row_slices(cpu_run *r)
{
    return divide_up(rows_now(&r->op->dst, r->step), rows_per_slice(&r->op->dst));
}

/* ---- element-wise ops ---- */

void loam__cpu_decode(const cpu_op *op, uint32_t row, uint64_t first, uint64_t n, float *y)
{
    const loam__format *f = op->format;
    const uint64_t row_bytes = op->src[0].row_bytes;
    const uint64_t at = first / f->block_values * f->block_bytes;
    const uint32_t group = op->packing.rows ? row / op->packing.rows * op->packing.rows : row;
    const uint8_t *from = op->from[0] + group * row_bytes;
    if (!op->packing.rows || op->src[0].rows - group < op->packing.rows) {
        f->decode(op->from[0] + row * row_bytes + at, y, n);
        return;
    }
    for (uint64_t i = 0; i < n / f->block_values; i++, y += f->block_values) {
        uint8_t block[LOAM__MAX_BLOCK_BYTES];
        loam__unpack_block(op->packing, f->block_bytes, from, row - group,
                           (size_t)(at + i * f->block_bytes), block);
        f->decode(block, y, f->block_values);
    }
}

static void run_embed(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    row_range rows = slice_rows(r, &op->dst, slice);
    float scale = op->node.u.embed.scale;
    (void)worker;
    for (uint32_t t = rows.first; t < rows.end; t++) {
        float *y = dst_row(op, t);
        loam__cpu_decode(op, (uint32_t)r->step->tokens[t], 0, op->dst.cols, y);
        for (uint64_t i = 0; scale != 1.0f && i < op->dst.cols; i++)
            y[i] *= scale;
    }
}

static void run_rms_norm(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    row_range rows = slice_rows(r, &op->dst, slice);
    size_t group = op->src[1].cols;
    (void)worker;
    for (uint32_t t = rows.first; t < rows.end; t++)
        for (size_t i = 0; i < op->dst.cols; i += group)
            r->cpu->isa.rms_norm(src_row(op, 0, t) + i, src_row(op, 1, 0), dst_row(op, t) + i,
                                 group, op->node.u.norm.eps);
}

static void run_add(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    row_range rows = slice_rows(r, &op->dst, slice);
    (void)worker;
    for (uint32_t t = rows.first; t < rows.end; t++)
        r->cpu->isa.add(src_row(op, 0, t), src_row(op, 1, t), dst_row(op, t), op->dst.cols);
}

static void run_glu(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    row_range rows = slice_rows(r, &op->dst, slice);
    (void)worker;
    for (uint32_t t = rows.first; t < rows.end; t++)
        r->cpu->isa.glu(op->node.u.glu.act, src_row(op, 0, t), src_row(op, 1, t), dst_row(op, t),
                        op->dst.cols);
}

static void run_pick_rows(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    row_range rows = slice_rows(r, &op->dst, slice);
    (void)worker;
    for (uint32_t j = rows.first; j < rows.end; j++)
        memcpy(dst_row(op, j), src_row(op, 0, (uint32_t)r->step->output_rows[j]),
               op->dst.row_bytes);
}

static void run_softcap(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    row_range rows = slice_rows(r, &op->dst, slice);
    float cap = op->node.u.softcap.cap;
    (void)worker;
    for (uint32_t t = rows.first; t < rows.end; t++)
        for (uint64_t i = 0; i < op->dst.cols; i++)
            dst_row(op, t)[i] = cap * tanhf(src_row(op, 0, t)[i] / cap);
}

/* ---- rotary embedding: a table of cosines and sines for the step, then the rotation ---- */

static void run_rope_table(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    row_range rows = slice_rows(r, &op->dst, slice);
    float magnitude = op->node.u.rope.magnitude;
    (void)worker;
    for (uint32_t t = rows.first; t < rows.end; t++) {
        float *table = (float *)(void *)(op->scratch + t * op->scratch_stride);
        float turn = (float)r->step->positions[t];
        for (uint32_t i = 0; i < op->node.u.rope.rotary_values / 2;
             i++, turn *= op->node.u.rope.step) {
            float angle = turn * src_row(op, 1, 0)[i];
            table[2 * i] = cosf(angle) * magnitude;
            table[2 * i + 1] = sinf(angle) * magnitude;
        }
    }
}

static void run_rope(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    row_range rows = slice_rows(r, &op->dst, slice);
    (void)worker;
    for (uint32_t t = rows.first; t < rows.end; t++)
        r->cpu->isa.rope(src_row(op, 0, t),
                         (const float *)(const void *)(op->scratch + t * op->scratch_stride),
                         dst_row(op, t), op->node.u.rope.style, op->node.u.rope.heads,
                         op->node.u.rope.head_values, op->node.u.rope.rotary_values);
}

/* ---- matrix product: columns into the kernel's form, then tiles ---- */

/* A slice of a matrix product has rows in multiples of what the widest kernels take at once, and at
 * most so many columns: a panel of weights is unpacked once for them. */
#define TILE_ROWS       16u
#define MATMUL_MAX_COLS 128u

static uint32_t prepare_slices(cpu_run *r)
{
    return divide_up(rows_now(&r->op->src[1], r->step), rows_per_slice(&r->op->src[1]));
}

void loam__cpu_prepare_column(const cpu_op *op, uint32_t t)
{
    op->matmul->prepare(src_row(op, 1, t), op->src[1].cols, op->scratch + t * op->scratch_stride);
}

static void run_prepare(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    row_range rows = slice_rows(r, &op->src[1], slice);
    (void)worker;
    for (uint32_t t = rows.first; t < rows.end; t++)
        loam__cpu_prepare_column(op, t);
}

/* Tiles of about slice_macs products, but enough of them for all workers to share. Never more than
 * the op has. */
tiling loam__cpu_tile(const cpu_run *r, uint32_t cols)
{
    const loam_value *w = &r->op->src[0];
    uint32_t threads = loam__pool_threads(r->cpu->pool);
    uint64_t macs = r->cpu->isa.slice_macs;
    tiling t = {0};
    if (cols == 0) return t;
    uint64_t widest = macs / (TILE_ROWS * w->cols);
    widest = widest < 8 ? 8 : widest > MATMUL_MAX_COLS ? MATMUL_MAX_COLS : widest;
    t.cols = cols < widest ? cols : (uint32_t)widest;
    t.n_cols = divide_up(cols, t.cols);
    uint64_t rows = macs / (w->cols * t.cols), share = w->rows * t.n_cols / (threads * 4);
    if (threads > 1 && rows > share) rows = share;
    rows = (rows + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    t.rows = (uint32_t)(rows < TILE_ROWS ? TILE_ROWS : rows > w->rows ? w->rows : rows);
    t.n_rows = divide_up(w->rows, t.rows);
    return t;
}

static uint32_t matmul_slices(cpu_run *r)
{
    r->tiles = loam__cpu_tile(r, rows_now(&r->op->dst, r->step));
    return r->tiles.n_rows * r->tiles.n_cols;
}

void loam__cpu_add_bias(const cpu_op *op, uint32_t first_row, uint32_t n_rows, uint32_t first_col,
                        uint32_t n_cols)
{
    const float *bias = src_row(op, 2, 0) + first_row;
    for (uint32_t c = first_col; c < first_col + n_cols; c++)
        for (uint32_t i = 0; i < n_rows; i++)
            dst_row(op, c)[first_row + i] += bias[i];
}

void loam__cpu_multiply(const cpu_run *r, uint32_t tile, uint32_t first_col, uint32_t n_cols)
{
    const cpu_op *op = r->op;
    const uint32_t row = tile * r->tiles.rows;
    loam__matmul_args a = {
        .w = op->from[0] + row * op->src[0].row_bytes,
        .w_row_bytes = op->src[0].row_bytes,
        .packed = op->packing.rows != 0,
        .rows = op->src[0].rows - row < r->tiles.rows ? op->src[0].rows - row : r->tiles.rows,
        .k = op->src[0].cols,
        .x = op->scratch + first_col * op->scratch_stride,
        .x_row_bytes = op->scratch_stride,
        .cols = n_cols,
        .y = dst_row(op, first_col) + row,
        .y_stride = op->dst.row_bytes / sizeof(float),
    };
    op->matmul->multiply(&a);
    if (op->from[2]) loam__cpu_add_bias(op, row, (uint32_t)a.rows, first_col, n_cols);
}

static void run_matmul(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    tiling t = r->tiles;
    uint32_t col = slice % t.n_cols * t.cols, cols = rows_now(&r->op->dst, r->step);
    (void)worker;
    loam__cpu_multiply(r, slice / t.n_cols, col, cols - col < t.cols ? cols - col : t.cols);
}

/* ---- how each is run ---- */

const op_kind loam__cpu_embed = {"embed", row_slices, run_embed};
const op_kind loam__cpu_rms_norm = {"norm", row_slices, run_rms_norm};
const op_kind loam__cpu_add = {"add", row_slices, run_add};
const op_kind loam__cpu_glu = {"glu", row_slices, run_glu};
const op_kind loam__cpu_pick_rows = {"pick rows", row_slices, run_pick_rows};
const op_kind loam__cpu_softcap = {"softcap", row_slices, run_softcap};
const op_kind loam__cpu_rope_table = {"rope table", row_slices, run_rope_table};
const op_kind loam__cpu_rope = {"rope", row_slices, run_rope};
const op_kind loam__cpu_prepare = {"prepare", prepare_slices, run_prepare};
const op_kind loam__cpu_matmul_op = {"matmul", matmul_slices, run_matmul};
