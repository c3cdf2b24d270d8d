/* The ops of the CPU backend: what a program is a list of. Each is cut into slices that the workers
 * take in order, so that a run can stop after any slice and go on from there. */
#ifndef LOAM__CPU_OPS_H
#define LOAM__CPU_OPS_H

#include "cpu.h"
#include "lib/quant/quant.h"

typedef struct cpu_op cpu_op;

/* How a matrix product is cut. */
typedef struct tiling {
    uint32_t rows, cols;     /* of a tile */
    uint32_t n_rows, n_cols; /* tiles */
} tiling;

/* How the tokens of a step are shared out for attention. */
typedef struct sharing {
    uint32_t tokens;   /* of a slice */
    uint32_t segments; /* of a token's positions, each a slice; 0: not cut up */
} sharing;

typedef struct cpu_run {
    const loam__cpu *cpu;
    const cpu_op *op;
    const loam_step *step;
    tiling tiles;   /* of a matrix product */
    sharing shares; /* of attention */
} cpu_run;

/* How an op is cut and what a slice does. */
typedef struct op_kind {
    const char *name; /* in profiles */
    uint32_t (*slices)(cpu_run *r);
    void (*run)(const cpu_run *r, uint32_t slice, uint32_t worker);
} op_kind;

struct cpu_op {
    const op_kind *kind;
    loam_node node;
    loam_value dst, src[LOAM_NODE_SOURCES];
    uint8_t *to; /* where dst begins */
    const uint8_t *from[LOAM_NODE_SOURCES];
    const loam__cpu_matmul *matmul;
    const loam__format *format;
    loam__packing packing; /* of src[0], a weight */
    uint8_t *scratch;      /* prepared columns, a rope table, or the workers' attention space */
    size_t scratch_stride; /* bytes of a column or a token, floats of a worker */
    uint8_t *apart;        /* the scratch of loam__cpu_products */
};

/* How a backend that is this one but for its matrix products multiplies. */
typedef struct loam__cpu_products {
    /* Whether this product is one of them: always the same answer while the backend is open. */
    loam_status (*takes)(loam__cpu *cpu, const loam_value *w, const loam_value *x, bool *taken);
    uint64_t (*scratch_bytes)(const loam__cpu *cpu, const loam_value *x);
    const op_kind *steps[4]; /* what it is run as, NULL behind the last; the first prepares columns
                                and is left out where the same x has just been prepared */
} loam__cpu_products;

extern const op_kind loam__cpu_embed, loam__cpu_rms_norm, loam__cpu_add, loam__cpu_glu,
    loam__cpu_pick_rows, loam__cpu_softcap, loam__cpu_rope_table, loam__cpu_rope, loam__cpu_prepare,
    loam__cpu_matmul_op, loam__cpu_kv_write, loam__cpu_attention, loam__cpu_joining;

/* Parts of a matrix product by the CPU's kernels, for loam__cpu_products: how columns in this
 * number are cut; column t into the kernel's form; rows of tile `row`, columns that lie together.
 */
tiling loam__cpu_tile(const cpu_run *r, uint32_t cols);
void loam__cpu_prepare_column(const cpu_op *op, uint32_t t);
void loam__cpu_multiply(const cpu_run *r, uint32_t tile, uint32_t first_col, uint32_t n_cols);
void loam__cpu_add_bias(const cpu_op *op, uint32_t first_row, uint32_t n_rows, uint32_t first_col,
                        uint32_t n_cols);
/* Values [first, first + n), whole blocks, of a row of a weight as floats. */
void loam__cpu_decode(const cpu_op *op, uint32_t row, uint64_t first, uint64_t n, float *y);

/* The scratch of attention, in floats: of each worker, and of the sums of segments. */
size_t loam__attention_own(const loam_node *n);
uint64_t loam__attention_parts(const loam_node *n, const loam_value *k, uint32_t threads);

/* ---- tokens ---- */

/* So many of the step's tokens from t on follow each other in one sequence, at most `most`. */
static inline uint32_t tokens_in_line(const loam_step *step, uint32_t t, uint32_t most)
{
    uint32_t n = 1;
    while (n < most && t + n < step->n_tokens && step->tables[t + n] == step->tables[t] &&
           step->positions[t + n] == step->positions[t] + (int32_t)n)
        n++;
    return n;
}

/* ---- rows ---- */

#define ROW_VALUES (1u << 14) /* values that a slice of an element-wise op touches */

static inline uint32_t rows_now(const loam_value *v, const loam_step *step)
{
    if (v->row_count == LOAM_ROWS_TOKENS) return step->n_tokens;
    return v->row_count == LOAM_ROWS_OUTPUTS ? step->n_outputs : (uint32_t)v->rows;
}

static inline uint32_t divide_up(uint64_t a, uint64_t b)
{
    return (uint32_t)((a + b - 1) / b);
}

static inline uint32_t rows_per_slice(const loam_value *v)
{
    return v->cols >= ROW_VALUES ? 1 : (uint32_t)(ROW_VALUES / v->cols);
}

typedef struct row_range {
    uint32_t first, end;
} row_range;

static inline row_range slice_rows(const cpu_run *r, const loam_value *v, uint32_t slice)
{
    uint32_t n = rows_per_slice(v), rows = rows_now(v, r->step), first = slice * n;
    return (row_range){first, rows - first < n ? rows : first + n};
}

static inline float *dst_row(const cpu_op *op, uint32_t row)
{
    return (float *)(void *)(op->to + row * op->dst.row_bytes);
}

static inline const float *src_row(const cpu_op *op, int i, uint32_t row)
{
    return (const float *)(const void *)(op->from[i] + row * op->src[i].row_bytes);
}

#endif
