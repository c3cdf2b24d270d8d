/* Matrix products whose tokens are shared out between OpenBLAS and the CPU's kernels. */
#include <cblas.h>

#include "openblas.h"

/* Products of a slice, so that it takes about a millisecond. */
#define SLICE_MACS ((uint64_t)1 << 25)

/* The tokens of a step: where the runs begin, and behind room for all runs those that are in none.
 * At the start of a product's scratch; the workers' tiles follow. */
typedef struct shares {
    uint32_t n_runs, n_rest;
    uint32_t at[];
} shares;

static size_t shares_bytes(const loam_value *x)
{
    size_t rows = (size_t)x->rows;
    return (size_t)loam__align_up(sizeof(shares) + (rows / OPENBLAS_RUN + rows) * sizeof(uint32_t));
}

#define TILE_BYTES (OPENBLAS_TILE_ROWS * OPENBLAS_TILE_VALUES * sizeof(float))

static uint64_t scratch_bytes(const loam__cpu *cpu, const loam_value *x)
{
    return shares_bytes(x) + (uint64_t)loam__pool_threads(cpu->pool) * TILE_BYTES;
}

static shares *shares_of(const cpu_op *op)
{
    return (shares *)(void *)op->apart;
}

static uint32_t *rest_of(const cpu_op *op)
{
    return shares_of(op)->at + op->src[1].rows / OPENBLAS_RUN;
}

static bool run_begins(const loam_step *step, uint32_t t)
{
    return step->positions[t] % OPENBLAS_RUN == 0 &&
           tokens_in_line(step, t, OPENBLAS_RUN) == OPENBLAS_RUN;
}

static const shares *share_out(const cpu_run *r)
{
    shares *s = shares_of(r->op);
    uint32_t *rest = rest_of(r->op);
    s->n_runs = s->n_rest = 0;
    for (uint32_t t = 0; t < r->step->n_tokens;) {
        if (run_begins(r->step, t)) {
            s->at[s->n_runs++] = t;
            t += OPENBLAS_RUN;
        } else {
            rest[s->n_rest++] = t++;
        }
    }
    return s;
}

/* ---- the rest, by the CPU's kernels ---- */

static uint32_t prepare_slices(cpu_run *r)
{
    return divide_up(share_out(r)->n_rest, rows_per_slice(&r->op->src[1]));
}

static void run_prepare(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const uint32_t n = rows_per_slice(&r->op->src[1]), all = shares_of(r->op)->n_rest;
    const uint32_t first = slice * n, end = all - first < n ? all : first + n;
    (void)worker;
    for (uint32_t i = first; i < end; i++)
        loam__cpu_prepare_column(r->op, rest_of(r->op)[i]);
}

static uint32_t rest_slices(cpu_run *r)
{
    r->tiles = loam__cpu_tile(r, share_out(r)->n_rest);
    return r->tiles.n_rows * r->tiles.n_cols;
}

/* A tile of the rest, in as many calls as it has stretches of neighbours. */
static void run_rest(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const uint32_t *rest = rest_of(r->op), all = shares_of(r->op)->n_rest;
    const uint32_t first = slice % r->tiles.n_cols * r->tiles.cols;
    const uint32_t end = all - first < r->tiles.cols ? all : first + r->tiles.cols;
    (void)worker;
    for (uint32_t i = first, n; i < end; i += n) {
        n = 1;
        while (i + n < end && rest[i + n] == rest[i] + n)
            n++;
        loam__cpu_multiply(r, slice / r->tiles.n_cols, rest[i], n);
    }
}

/* ---- runs of tokens, by OpenBLAS ---- */

/* Whole runs share a tile of weights while it is unpacked; a tile has fewer of them where workers
 * would else find no slice. Tiles of rows are always cut alike. */
static uint32_t runs_slices(cpu_run *r)
{
    const loam_value *w = &r->op->src[0];
    const uint32_t n_runs = share_out(r)->n_runs, threads = loam__pool_threads(r->cpu->pool);
    if (n_runs == 0) return 0;
    tiling t = {.rows = OPENBLAS_TILE_ROWS, .n_rows = divide_up(w->rows, OPENBLAS_TILE_ROWS)};
    uint64_t runs = SLICE_MACS / (OPENBLAS_TILE_ROWS * OPENBLAS_RUN * w->cols);
    uint64_t share = (uint64_t)t.n_rows * n_runs / (threads * 4);
    if (threads > 1 && runs > share) runs = share;
    t.cols = runs < 1 ? 1 : runs < n_runs ? (uint32_t)runs : n_runs;
    t.n_cols = divide_up(n_runs, t.cols);
    r->tiles = t;
    return t.n_rows * t.n_cols;
}

/* A gate that most pools are too small to need. */
static void enter(openblas *self)
{
    if (loam__pool_threads(self->cpu.pool) <= self->most_inside) return;
    loam__mutex_lock(&self->mutex);
    while (self->inside == self->most_inside)
        loam__cond_wait(&self->left, &self->mutex);
    self->inside++;
    loam__mutex_unlock(&self->mutex);
}

static void leave(openblas *self)
{
    if (loam__pool_threads(self->cpu.pool) <= self->most_inside) return;
    loam__mutex_lock(&self->mutex);
    self->inside--;
    loam__cond_wake_one(&self->left);
    loam__mutex_unlock(&self->mutex);
}

void loam__openblas_sgemm(const float *tile, size_t rows, size_t n, const float *x, size_t x_stride,
                          bool first, float *y, size_t y_stride)
{
    cblas_sgemm(CblasColMajor, CblasTrans, CblasNoTrans, (blasint)rows, OPENBLAS_RUN, (blasint)n,
                1.0f, tile, (blasint)n, x, (blasint)x_stride, first ? 0.0f : 1.0f, y,
                (blasint)y_stride);
}

static void run_runs(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    const tiling *t = &r->tiles;
    const shares *s = shares_of(op);
    const uint32_t row = slice / t->n_cols * t->rows, first = slice % t->n_cols * t->cols;
    const uint32_t end = s->n_runs - first < t->cols ? s->n_runs : first + t->cols;
    const uint32_t rows =
        op->src[0].rows - row < t->rows ? (uint32_t)op->src[0].rows - row : t->rows;
    const uint64_t values = op->src[0].cols;
    float *tile = (float *)(void *)(op->apart + shares_bytes(&op->src[1]) + worker * TILE_BYTES);
    enter((openblas *)(void *)(uintptr_t)r->cpu);
    for (uint64_t at = 0, n; at < values; at += n) {
        n = values - at < OPENBLAS_TILE_VALUES ? values - at : OPENBLAS_TILE_VALUES;
        for (uint32_t i = 0; i < rows; i++)
            loam__cpu_decode(op, row + i, at, n, tile + i * n);
        for (uint32_t i = first; i < end; i++)
            loam__openblas_sgemm(tile, rows, (size_t)n, src_row(op, 1, s->at[i]) + at,
                                 op->src[1].row_bytes / sizeof(float), at == 0,
                                 dst_row(op, s->at[i]) + row, op->dst.row_bytes / sizeof(float));
    }
    leave((openblas *)(void *)(uintptr_t)r->cpu);
    for (uint32_t i = first; op->from[2] && i < end; i++)
        loam__cpu_add_bias(op, row, rows, s->at[i], OPENBLAS_RUN);
}

/* ---- which products ---- */

static loam_status takes(loam__cpu *cpu, const loam_value *w, const loam_value *x, bool *taken)
{
    *taken = false;
    if (x->row_count != LOAM_ROWS_TOKENS || x->rows < OPENBLAS_RUN) return LOAM_OK;
    return loam__openblas_wins((openblas *)(void *)cpu, w->type, taken);
}

static const op_kind prepare = {"prepare", prepare_slices, run_prepare};
static const op_kind multiply_rest = {"matmul", rest_slices, run_rest};
static const op_kind multiply_runs = {"matmul by OpenBLAS", runs_slices, run_runs};

const loam__cpu_products loam__openblas_products = {
    .takes = takes,
    .scratch_bytes = scratch_bytes,
    .steps = {&prepare, &multiply_rest, &multiply_runs},
};
