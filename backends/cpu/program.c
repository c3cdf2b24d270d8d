/* A piece of a graph as a list of CPU ops, and their run: each op is cut into slices that the
 * workers take in order, so that a run can stop after any slice and go on from there. */
#include <math.h>
#include <string.h>

#include "cpu.h"
#include "lib/base/os.h"
#include "lib/quant/quant.h"

/* A slice of a matrix product has rows in multiples of what the widest kernels take at once, and at
 * most so many columns: a panel of weights is unpacked once for them. */
#define TILE_ROWS       16u
#define MATMUL_MAX_COLS 128u
#define ROW_VALUES      (1u << 14) /* values that a slice of an element-wise op touches */

typedef struct cpu_op cpu_op;

typedef struct cpu_program {
    loam__cpu *cpu;
    uint32_t n_ops;
    cpu_op *ops; /* behind this struct */
} cpu_program;

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
};

/* ---- rows ---- */

static uint32_t rows_now(const loam_value *v, const loam_step *step)
{
    if (v->row_count == LOAM_ROWS_TOKENS) return step->n_tokens;
    return v->row_count == LOAM_ROWS_OUTPUTS ? step->n_outputs : (uint32_t)v->rows;
}

static uint32_t divide_up(uint64_t a, uint64_t b)
{
    return (uint32_t)((a + b - 1) / b);
}

static uint32_t rows_per_slice(const loam_value *v)
{
    return v->cols >= ROW_VALUES ? 1 : (uint32_t)(ROW_VALUES / v->cols);
}

static uint32_t row_slices(cpu_run *r)
{
    return divide_up(rows_now(&r->op->dst, r->step), rows_per_slice(&r->op->dst));
}

typedef struct row_range {
    uint32_t first, end;
} row_range;

static row_range slice_rows(const cpu_run *r, const loam_value *v, uint32_t slice)
{
    uint32_t n = rows_per_slice(v), rows = rows_now(v, r->step), first = slice * n;
    return (row_range){first, rows - first < n ? rows : first + n};
}

static float *dst_row(const cpu_op *op, uint32_t row)
{
    return (float *)(void *)(op->to + row * op->dst.row_bytes);
}

static const float *src_row(const cpu_op *op, int i, uint32_t row)
{
    return (const float *)(const void *)(op->from[i] + row * op->src[i].row_bytes);
}

/* ---- element-wise ops ---- */

/* A row of a weight as floats. */
static void decode_row(const cpu_op *op, uint32_t row, float *y)
{
    const loam__format *f = op->format;
    const uint64_t row_bytes = op->src[0].row_bytes;
    const uint32_t group = op->packing.rows ? row / op->packing.rows * op->packing.rows : row;
    const uint8_t *from = op->from[0] + group * row_bytes;
    if (!op->packing.rows || op->src[0].rows - group < op->packing.rows) {
        f->decode(op->from[0] + row * row_bytes, y, op->src[0].cols);
        return;
    }
    for (uint64_t at = 0; at < row_bytes; at += f->block_bytes, y += f->block_values) {
        uint8_t block[LOAM__MAX_BLOCK_BYTES];
        loam__unpack_block(op->packing, f->block_bytes, from, row - group, (size_t)at, block);
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
        decode_row(op, (uint32_t)r->step->tokens[t], y);
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

static uint32_t prepare_slices(cpu_run *r)
{
    return divide_up(rows_now(&r->op->src[1], r->step), rows_per_slice(&r->op->src[1]));
}

static void run_prepare(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    row_range rows = slice_rows(r, &op->src[1], slice);
    (void)worker;
    for (uint32_t t = rows.first; t < rows.end; t++)
        op->matmul->prepare(src_row(op, 1, t), op->src[1].cols,
                            op->scratch + t * op->scratch_stride);
}

/* Tiles of about slice_macs products, but enough of them for all workers to share. Never more than
 * the op has. */
static tiling tile_matmul(const cpu_run *r)
{
    const loam_value *w = &r->op->src[0];
    uint32_t cols = rows_now(&r->op->dst, r->step), threads = loam__pool_threads(r->cpu->pool);
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
    r->tiles = tile_matmul(r);
    return r->tiles.n_rows * r->tiles.n_cols;
}

static void add_bias(const loam__matmul_args *a, const float *bias)
{
    for (size_t c = 0; c < a->cols; c++)
        for (size_t i = 0; i < a->rows; i++)
            a->y[c * a->y_stride + i] += bias[i];
}

static void run_matmul(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    tiling t = r->tiles;
    uint32_t row = slice / t.n_cols * t.rows, col = slice % t.n_cols * t.cols;
    uint32_t cols = rows_now(&op->dst, r->step);
    (void)worker;
    loam__matmul_args a = {
        .w = op->from[0] + row * op->src[0].row_bytes,
        .w_row_bytes = op->src[0].row_bytes,
        .packed = op->packing.rows != 0,
        .rows = op->src[0].rows - row < t.rows ? op->src[0].rows - row : t.rows,
        .k = op->src[0].cols,
        .x = op->scratch + col * op->scratch_stride,
        .x_row_bytes = op->scratch_stride,
        .cols = cols - col < t.cols ? cols - col : t.cols,
        .y = dst_row(op, col) + row,
        .y_stride = op->dst.row_bytes / sizeof(float),
    };
    op->matmul->multiply(&a);
    if (op->from[2]) add_bias(&a, src_row(op, 2, 0) + row);
}

/* ---- KV cache ---- */

static const int32_t *table_of(const loam_step *step, uint32_t group, uint32_t t)
{
    size_t table = (size_t)group * step->n_tables + (uint32_t)step->tables[t];
    return step->block_tables + table * step->blocks_per_table;
}

static uint32_t kv_slices(cpu_run *r)
{
    return divide_up(r->step->n_tokens, rows_per_slice(&r->op->src[0]));
}

static void run_kv_write(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    uint32_t heads = op->node.u.kv.heads, values = op->node.u.kv.head_values,
             block = op->node.u.kv.block_tokens;
    size_t cell_bytes = op->dst.row_bytes / ((size_t)heads * block); /* one head at one position */
    row_range rows = slice_rows(r, &op->src[0], slice);
    (void)worker;
    for (uint32_t t = rows.first; t < rows.end; t++) {
        uint32_t position = (uint32_t)r->step->positions[t];
        const int32_t *table = table_of(r->step, op->node.u.kv.group, t);
        uint8_t *cells = op->to + (uint64_t)table[position / block] * op->dst.row_bytes;
        for (uint32_t h = 0; h < heads; h++)
            r->cpu->isa.kv_write(src_row(op, 0, t) + (size_t)h * values,
                                 cells + ((size_t)h * block + position % block) * cell_bytes,
                                 op->dst.type, values);
    }
}

/* ---- attention: some tokens and one KV head; or one token of few and a segment of what it sees,
 * and then the segments together ---- */

#define ATTENTION_ROWS   64u          /* of a slice, a head of a token each */
#define ATTENTION_TOKENS 32u          /* of a slice */
#define ATTENTION_MACS   (1ull << 25) /* of a slice: it cannot be interrupted */

static uint32_t heads_per_kv(const loam_node *n)
{
    return n->u.attention.heads / n->u.attention.kv_heads;
}

static uint32_t first_seen(const loam_node *n, uint32_t position)
{
    uint32_t window = n->u.attention.window;
    return window && position >= window ? position - window + 1 : 0;
}

/* Those that a token sees. */
static uint32_t first_segment(const loam_node *n, uint32_t position)
{
    return first_seen(n, position) / LOAM__ATTENTION_SEGMENT;
}

static uint32_t segment_count(const loam_node *n, uint32_t position)
{
    return position / LOAM__ATTENTION_SEGMENT - first_segment(n, position) + 1;
}

/* Of one token and KV head. */
static size_t part_floats(const loam_node *n)
{
    return loam__attention_part(1, heads_per_kv(n), n->u.attention.v_values);
}

static size_t own_floats(const loam_node *n)
{
    uint32_t heads = heads_per_kv(n), most = ATTENTION_ROWS / heads;
    uint32_t tokens = most < 1 ? 1 : most < ATTENTION_TOKENS ? most : ATTENTION_TOKENS;
    return loam__attention_padded(
        loam__attention_scratch(tokens, heads, n->u.attention.k_values, n->u.attention.v_values));
}

/* Fewer slices than this for each worker leave some of them without work. */
#define SLICES_PER_WORKER 2u

static uint64_t most_parts(const loam_node *n, const loam_value *k, uint32_t threads)
{
    uint64_t positions = k->rows * n->u.attention.block_tokens;
    return threads < 2
               ? 0
               : (uint64_t)threads * SLICES_PER_WORKER * (positions / LOAM__ATTENTION_SEGMENT + 1);
}

static sharing share_attention(const cpu_run *r)
{
    const loam_node *n = &r->op->node;
    const loam_step *step = r->step;
    uint32_t threads = loam__pool_threads(r->cpu->pool), kv_heads = n->u.attention.kv_heads;
    uint32_t heads = heads_per_kv(n), longest = 0;
    uint64_t pairs = (uint64_t)step->n_tokens * kv_heads;
    sharing s = {.tokens = ATTENTION_ROWS / heads};
    for (uint32_t t = 0; t < step->n_tokens; t++)
        if ((uint32_t)step->positions[t] > longest) longest = (uint32_t)step->positions[t];
    uint32_t segments = segment_count(n, longest);
    if (pairs < threads * SLICES_PER_WORKER && segments > 1 && r->cpu->isa.attention_part &&
        pairs * segments <= most_parts(n, &r->op->src[1], threads)) {
        s.tokens = 1;
        s.segments = segments;
        return s;
    }
    uint64_t seen = longest - first_seen(n, longest) + 1;
    uint64_t macs = seen * heads * (n->u.attention.k_values + n->u.attention.v_values);
    if (s.tokens > ATTENTION_TOKENS) s.tokens = ATTENTION_TOKENS;
    while (s.tokens > 1 && (s.tokens * macs > ATTENTION_MACS ||
                            pairs < (uint64_t)s.tokens * threads * 2 * SLICES_PER_WORKER))
        s.tokens /= 2;
    if (s.tokens < 1) s.tokens = 1;
    return s;
}

static uint32_t attention_slices(cpu_run *r)
{
    sharing s = r->shares = share_attention(r);
    uint32_t kv_heads = r->op->node.u.attention.kv_heads;
    return divide_up(r->step->n_tokens, s.tokens) * kv_heads * (s.segments ? s.segments : 1);
}

static uint32_t joining_slices(cpu_run *r)
{
    r->shares = share_attention(r);
    return r->shares.segments ? r->step->n_tokens * r->op->node.u.attention.kv_heads : 0;
}

static loam__attention_args attention_of(const cpu_run *r, uint32_t t, uint32_t tokens,
                                         uint32_t head, uint32_t worker)
{
    const cpu_op *op = r->op;
    const loam_node *n = &op->node;
    uint32_t kv_heads = n->u.attention.kv_heads, group = heads_per_kv(n);
    size_t k_row = op->src[1].row_bytes / ((size_t)kv_heads * n->u.attention.block_tokens);
    size_t v_row = op->src[2].row_bytes / ((size_t)kv_heads * n->u.attention.block_tokens);
    return (loam__attention_args){
        .q = src_row(op, 0, t) + (size_t)head * group * n->u.attention.k_values,
        .y = dst_row(op, t) + (size_t)head * group * n->u.attention.v_values,
        .q_stride = op->src[0].row_bytes / sizeof(float),
        .y_stride = op->dst.row_bytes / sizeof(float),
        .k = op->from[1],
        .v = op->from[2],
        .table = table_of(r->step, n->u.attention.group, t),
        .k_block_bytes = op->src[1].row_bytes,
        .v_block_bytes = op->src[2].row_bytes,
        .k_head_offset = k_row * n->u.attention.block_tokens * head,
        .v_head_offset = v_row * n->u.attention.block_tokens * head,
        .k_row_bytes = k_row,
        .v_row_bytes = v_row,
        .tokens = tokens,
        .heads = group,
        .k_values = n->u.attention.k_values,
        .v_values = n->u.attention.v_values,
        .block_tokens = n->u.attention.block_tokens,
        .position = (uint32_t)r->step->positions[t],
        .window = n->u.attention.window,
        .k_type = op->src[1].type,
        .v_type = op->src[2].type,
        .scale = n->u.attention.scale,
        .softcap = n->u.attention.softcap,
        .scratch = (float *)(void *)op->scratch + worker * op->scratch_stride,
    };
}

/* Where the sums of a token's segments begin, for a KV head: behind the workers' own room. */
static float *parts_of(const cpu_run *r, uint32_t segments, uint32_t t, uint32_t head)
{
    const loam_node *n = &r->op->node;
    size_t i = ((size_t)t * n->u.attention.kv_heads + head) * segments;
    float *parts =
        (float *)(void *)r->op->scratch + loam__pool_threads(r->cpu->pool) * r->op->scratch_stride;
    return parts + i * part_floats(n);
}

/* So many of the step's tokens from t on follow each other in one sequence, at most `most`. */
static uint32_t tokens_in_line(const loam_step *step, uint32_t t, uint32_t most)
{
    uint32_t n = 1;
    while (n < most && t + n < step->n_tokens && step->tables[t + n] == step->tables[t] &&
           step->positions[t + n] == step->positions[t] + (int32_t)n)
        n++;
    return n;
}

static void run_attention(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const loam_node *n = &r->op->node;
    sharing s = r->shares;
    uint32_t each = s.segments ? s.segments : 1, pair = slice / each;
    uint32_t head = pair % n->u.attention.kv_heads, t = pair / n->u.attention.kv_heads * s.tokens;
    if (s.segments) {
        loam__attention_args a = attention_of(r, t, 1, head, worker);
        uint32_t segment = slice % each;
        if (segment >= segment_count(n, a.position)) return;
        r->cpu->isa.attention_part(&a, first_segment(n, a.position) + segment,
                                   parts_of(r, s.segments, t, head) + segment * part_floats(n));
        return;
    }
    uint32_t end = r->step->n_tokens - t < s.tokens ? r->step->n_tokens : t + s.tokens;
    for (uint32_t tokens; t < end; t += tokens) {
        tokens = tokens_in_line(r->step, t, end - t);
        loam__attention_args a = attention_of(r, t, tokens, head, worker);
        r->cpu->isa.attention(&a, NULL);
    }
}

static void run_joining(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    uint32_t kv_heads = r->op->node.u.attention.kv_heads, t = slice / kv_heads;
    loam__attention_args a = attention_of(r, t, 1, slice % kv_heads, worker);
    r->cpu->isa.attention(&a, parts_of(r, r->shares.segments, t, slice % kv_heads));
}

/* ---- compile ---- */

static const op_kind embed_kind = {"embed", row_slices, run_embed};
static const op_kind rms_norm_kind = {"norm", row_slices, run_rms_norm};
static const op_kind add_kind = {"add", row_slices, run_add};
static const op_kind glu_kind = {"glu", row_slices, run_glu};
static const op_kind pick_rows_kind = {"pick rows", row_slices, run_pick_rows};
static const op_kind softcap_kind = {"softcap", row_slices, run_softcap};
static const op_kind rope_table_kind = {"rope table", row_slices, run_rope_table};
static const op_kind rope_kind = {"rope", row_slices, run_rope};
static const op_kind prepare_kind = {"prepare", prepare_slices, run_prepare};
static const op_kind matmul_kind = {"matmul", matmul_slices, run_matmul};
static const op_kind kv_write_kind = {"kv write", kv_slices, run_kv_write};
static const op_kind attention_kind = {"attention", attention_slices, run_attention};
static const op_kind joining_kind = {"attention join", joining_slices, run_joining};

static const op_kind *const kinds[] = {
    [LOAM_OP_EMBED] = &embed_kind,
    [LOAM_OP_MATMUL] = &matmul_kind,
    [LOAM_OP_RMS_NORM] = &rms_norm_kind,
    [LOAM_OP_ADD] = &add_kind,
    [LOAM_OP_GLU] = &glu_kind,
    [LOAM_OP_ROPE] = &rope_kind,
    [LOAM_OP_KV_WRITE] = &kv_write_kind,
    [LOAM_OP_ATTENTION] = &attention_kind,
    [LOAM_OP_PICK_ROWS] = &pick_rows_kind,
    [LOAM_OP_SOFTCAP] = &softcap_kind,
};

static const loam_value *value_of(const loam_graph *g, int32_t i)
{
    return i < 0 ? NULL : loam_graph_value(g, i);
}

int32_t loam__cpu_supports(const loam__cpu *cpu, const loam_graph *g, const loam_node *node)
{
    if (node->op <= 0 || (size_t)node->op >= sizeof kinds / sizeof *kinds || !kinds[node->op])
        return 0;
    if (node->op == LOAM_OP_MATMUL)
        return loam__cpu_find_matmul(cpu->set, value_of(g, node->src[0])->type) != NULL;
    if (node->op == LOAM_OP_EMBED)
        return loam__format_find(value_of(g, node->src[0])->type) != NULL;
    if (node->op == LOAM_OP_KV_WRITE) return loam__cpu_has_cells(value_of(g, node->dst)->type);
    if (node->op == LOAM_OP_ATTENTION)
        return loam__cpu_has_cells(value_of(g, node->src[1])->type) &&
               loam__cpu_has_cells(value_of(g, node->src[2])->type);
    return 1;
}

#define ROPE_TABLES 4 /* different rotations that a model may have */

/* What emitting learns as it goes: once to measure (ops NULL), once to compile. */
typedef struct emitter {
    loam__cpu *cpu;
    const loam_graph *g;
    loam__cpu_arena *const *arenas;
    cpu_op *ops;
    uint32_t n_ops;
    uint64_t prepared_bytes, attention_bytes, table_bytes; /* the scratch, in this order */
    uint64_t attention_at, table_at;                       /* known when compiling */
    uint8_t *scratch;
    int32_t prepared_value; /* what the prepared columns hold now */
    void (*prepared_by)(const float *x, size_t k, void *column);
    struct {
        const loam_node *rope;
        uint64_t at;
    } tables[ROPE_TABLES]; /* the first node that needs each */
    uint32_t n_tables;
} emitter;

static void place(const emitter *e, cpu_op *op)
{
    op->dst = *value_of(e->g, op->node.dst);
    op->to = e->arenas[op->dst.arena]->memory + op->dst.offset;
    for (int i = 0; i < LOAM_NODE_SOURCES; i++) {
        if (op->node.src[i] < 0) continue;
        op->src[i] = *value_of(e->g, op->node.src[i]);
        op->from[i] = e->arenas[op->src[i].arena]->memory + op->src[i].offset;
    }
}

/* How src[0], a weight, lies: mapped ones are as the file has them. */
static void set_packing(const emitter *e, cpu_op *op)
{
    const loam__cpu_arena *arena = e->arenas[op->src[0].arena];
    if (arena->owned) op->packing = loam__cpu_packing(e->cpu, &op->src[0]);
}

static cpu_op *emit(emitter *e, const op_kind *kind, const loam_node *node)
{
    uint32_t i = e->n_ops++;
    if (!e->ops) return NULL;
    cpu_op *op = &e->ops[i];
    *op = (cpu_op){.kind = kind, .node = *node};
    place(e, op);
    return op;
}

static void emit_matmul(emitter *e, const loam_node *node)
{
    const loam_value *w = value_of(e->g, node->src[0]), *x = value_of(e->g, node->src[1]);
    const loam__cpu_matmul *m = loam__cpu_find_matmul(e->cpu->set, w->type);
    size_t column = m->prepared_bytes(w->cols);
    const op_kind *steps[] = {&prepare_kind, &matmul_kind};
    bool ready = e->prepared_value == node->src[1] && e->prepared_by == m->prepare;
    if (x->rows * column > e->prepared_bytes) e->prepared_bytes = x->rows * column;
    for (int i = ready; i < 2; i++) {
        cpu_op *op = emit(e, steps[i], node);
        if (!op) continue;
        op->matmul = m;
        set_packing(e, op);
        op->scratch = e->scratch;
        op->scratch_stride = column;
    }
    e->prepared_value = node->src[1];
    e->prepared_by = m->prepare;
}

static bool same_table(const loam_node *a, const loam_node *b)
{
    return a->src[1] == b->src[1] && a->u.rope.step == b->u.rope.step &&
           a->u.rope.magnitude == b->u.rope.magnitude &&
           a->u.rope.rotary_values == b->u.rope.rotary_values;
}

/* The table of this rotation, made by an op of its own where it is first needed. */
static loam_status emit_rope(emitter *e, const loam_node *node)
{
    size_t row = loam__align_up(node->u.rope.rotary_values * sizeof(float));
    uint32_t i = 0;
    while (i < e->n_tables && !same_table(e->tables[i].rope, node))
        i++;
    if (i == ROPE_TABLES)
        return loam__fail(&e->cpu->base, LOAM_ERR_UNSUPPORTED,
                          "more than %d different rotations in a model", ROPE_TABLES);
    const op_kind *steps[] = {&rope_table_kind, &rope_kind};
    bool ready = i < e->n_tables;
    if (!ready) {
        e->tables[i].rope = node;
        e->tables[i].at = e->table_bytes;
        e->table_bytes += value_of(e->g, node->dst)->rows * row;
        e->n_tables++;
    }
    for (int s = ready; s < 2; s++) {
        cpu_op *op = emit(e, steps[s], node);
        if (!op) continue;
        op->scratch = e->scratch + e->table_at + e->tables[i].at;
        op->scratch_stride = row;
    }
    return LOAM_OK;
}

static void emit_attention(emitter *e, const loam_node *node)
{
    const op_kind *steps[] = {&attention_kind, &joining_kind};
    uint32_t threads = loam__pool_threads(e->cpu->pool);
    size_t own = own_floats(node);
    uint64_t parts = most_parts(node, value_of(e->g, node->src[1]), threads) * part_floats(node);
    uint64_t all = loam__align_up((own * threads + parts) * sizeof(float));
    if (all > e->attention_bytes) e->attention_bytes = all;
    for (int i = 0; i < (threads > 1 ? 2 : 1); i++) {
        cpu_op *op = emit(e, steps[i], node);
        if (!op) continue;
        op->scratch = e->scratch + e->attention_at;
        op->scratch_stride = own;
    }
}

static loam_status emit_piece(emitter *e, uint32_t first, uint32_t n)
{
    loam_status st = LOAM_OK;
    e->n_ops = e->n_tables = 0;
    e->prepared_value = -1;
    e->table_bytes = 0;
    for (uint32_t i = first; i < first + n && st == LOAM_OK; i++) {
        const loam_node *node = loam_graph_node(e->g, i);
        if (!loam__cpu_supports(e->cpu, e->g, node))
            return loam__fail(&e->cpu->base, LOAM_ERR_BACKEND,
                              "op %d of layer %d is not one of the CPU backend's", node->op,
                              node->layer);
        if (node->op == LOAM_OP_MATMUL) emit_matmul(e, node);
        else if (node->op == LOAM_OP_ROPE) st = emit_rope(e, node);
        else if (node->op == LOAM_OP_ATTENTION) emit_attention(e, node);
        else {
            cpu_op *op = emit(e, kinds[node->op], node);
            if (!op || node->op != LOAM_OP_EMBED) continue;
            op->format = loam__format_find(op->src[0].type);
            set_packing(e, op);
        }
    }
    return st;
}

static loam_status measure(emitter *e, uint32_t first, uint32_t n, loam_piece_memory *memory)
{
    loam_status st = emit_piece(e, first, n);
    e->attention_at = loam__align_up(e->prepared_bytes);
    e->table_at = e->attention_at + e->attention_bytes;
    memory->scratch_bytes = e->table_at + e->table_bytes;
    memory->program_bytes = loam__align_up(sizeof(cpu_program)) + e->n_ops * sizeof(cpu_op);
    return st;
}

loam__packing loam__cpu_packing(const loam__cpu *cpu, const loam_value *weight)
{
    const loam__cpu_matmul *m = loam__cpu_find_matmul(cpu->set, weight->type);
    return m ? m->packing : (loam__packing){0};
}

loam_status loam__cpu_measure(loam__cpu *cpu, const loam_graph *g, uint32_t first, uint32_t n,
                              loam_piece_memory *memory)
{
    emitter e = {.cpu = cpu, .g = g};
    loam_status st = measure(&e, first, n, memory);
    memory->program_bytes = loam__alloc_cost((size_t)memory->program_bytes, 16);
    return st;
}

loam_status loam__cpu_compile(loam__cpu *cpu, const loam_graph *g, uint32_t first, uint32_t n,
                              loam__cpu_arena *const *arenas, loam__cpu_arena *scratch,
                              void **program)
{
    emitter e = {.cpu = cpu, .g = g, .arenas = arenas, .scratch = scratch ? scratch->memory : NULL};
    loam_piece_memory memory = {0};
    loam_status st = loam__pool_start(cpu->pool);
    *program = NULL;
    if (st != LOAM_OK || (st = measure(&e, first, n, &memory)) != LOAM_OK) return st;
    if (memory.scratch_bytes > (scratch ? scratch->bytes : 0))
        return loam__fail(&cpu->base, LOAM_ERR_INTERNAL,
                          "the scratch arena is smaller than was measured");
    cpu_program *p = loam__alloc(&cpu->base, memory.program_bytes);
    if (!p) return LOAM_ERR_NOMEM;
    p->cpu = cpu;
    p->ops = e.ops = (cpu_op *)(void *)((char *)p + loam__align_up(sizeof *p));
    st = emit_piece(&e, first, n);
    p->n_ops = e.n_ops;
    *program = p;
    return st;
}

/* ---- run ---- */

static void run_slice(void *ctx, uint32_t slice, uint32_t worker)
{
    const cpu_run *r = ctx;
    r->op->kind->run(r, slice, worker);
}

/* The format of the weights or KV cells that an op touches; -1: none. */
static loam_format stored_type(const cpu_op *op)
{
    const loam_value *const values[] = {&op->src[0], &op->src[1], &op->dst};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (values[i]->kind == LOAM_VALUE_WEIGHT || values[i]->kind == LOAM_VALUE_KV)
            return values[i]->type;
    return -1;
}

static loam_status run_op(loam__cpu *cpu, const cpu_op *op, const loam_step *step, uint32_t *next)
{
    cpu_run r = {.cpu = cpu, .op = op, .step = step};
    loam__job job = {
        .fn = run_slice,
        .ctx = &r,
        .n_slices = op->kind->slices(&r),
        .should_stop = step->should_stop,
        .stop_ctx = step->stop_ctx,
    };
    if (job.n_slices == 0) return LOAM_OK;
    if (!step->took) return loam__pool_run(cpu->pool, &job, next);
    uint64_t start = loam__now_ns();
    loam_status st = loam__pool_run(cpu->pool, &job, next);
    step->took(step->took_ctx, op->kind->name, stored_type(op), loam__now_ns() - start);
    return st;
}

/* A position is an op (upper 32 bits) and the slices of it that are done. */
loam_status loam__cpu_run(loam__cpu *cpu, void *program, const loam_step *step, uint64_t *position)
{
    const cpu_program *p = program;
    for (uint32_t i = (uint32_t)(*position >> 32); i < p->n_ops; i++) {
        uint32_t next = (uint32_t)*position;
        loam_status st = run_op(cpu, &p->ops[i], step, &next);
        if (st != LOAM_OK) {
            *position = (uint64_t)i << 32 | next;
            return st;
        }
        *position = (uint64_t)(i + 1) << 32;
    }
    return LOAM_OK;
}
