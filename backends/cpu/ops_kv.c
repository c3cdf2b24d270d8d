/* The KV cache: writing to it, and attention over it. */
#include "ops.h"

#include <string.h>

#include "backends/cpu/inline.h"

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

/* n numbers, each `step` bytes behind the last. The size is a constant. */
LOAM__INLINE void spread_out(const uint8_t *from, size_t n, size_t size, uint8_t *to, size_t step)
{
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * step, from + i * size, size);
}

/* One head of one position into cells that are transposed. */
static void write_transposed(const loam__cpu_isa *isa, loam_format type, const float *x, size_t n,
                             uint8_t *cells, size_t step)
{
    uint8_t piece[4 * 64];
    for (size_t at = 0, some; at < n; at += some, cells += some * step) {
        some = n - at < 64 ? n - at : 64;
        isa->kv_write(x + at, piece, type, some);
        if (type == LOAM_TYPE_F32) spread_out(piece, some, 4, cells, step);
        else spread_out(piece, some, 2, cells, step);
    }
}

static void run_kv_write(const cpu_run *r, uint32_t slice, uint32_t worker)
{
    const cpu_op *op = r->op;
    const loam__cpu_isa *isa = &r->cpu->isa;
    uint32_t heads = op->node.u.kv.heads, values = op->node.u.kv.head_values,
             block = op->node.u.kv.block_tokens;
    size_t head_bytes = op->dst.row_bytes / heads, row_bytes = head_bytes / block;
    size_t value_bytes = row_bytes / values; /* where cells are transposed */
    row_range rows = slice_rows(r, &op->src[0], slice);
    (void)worker;
    for (uint32_t t = rows.first; t < rows.end; t++) {
        uint32_t position = (uint32_t)r->step->positions[t];
        const int32_t *table = table_of(r->step, op->node.u.kv.group, t);
        uint8_t *cells = op->to + (uint64_t)table[position / block] * op->dst.row_bytes;
        const float *x = src_row(op, 0, t);
        for (uint32_t h = 0; h < heads; h++, x += values, cells += head_bytes)
            if (op->node.u.kv.transposed)
                write_transposed(isa, op->dst.type, x, values,
                                 cells + position % block * value_bytes, block * value_bytes);
            else isa->kv_write(x, cells + position % block * row_bytes, op->dst.type, values);
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

/* Of a slice. */
static uint32_t most_tokens(const loam_node *n)
{
    uint32_t most = ATTENTION_ROWS / heads_per_kv(n);
    return most < 1 ? 1 : most < ATTENTION_TOKENS ? most : ATTENTION_TOKENS;
}

size_t loam__attention_own(const loam_node *n)
{
    return loam__attention_padded(loam__attention_scratch(
        most_tokens(n), heads_per_kv(n), n->u.attention.k_values, n->u.attention.v_values));
}

/* Fewer slices than this for each worker leave some of them without work. */
#define SLICES_PER_WORKER 2u

static uint64_t most_parts(const loam_node *n, const loam_value *k, uint32_t threads)
{
    uint64_t positions = k->rows * n->u.attention.block_tokens;
    uint64_t segments = positions / LOAM__ATTENTION_SEGMENT + 1;
    return threads < 2 ? 0 : (uint64_t)threads * SLICES_PER_WORKER * segments;
}

uint64_t loam__attention_parts(const loam_node *n, const loam_value *k, uint32_t threads)
{
    return most_parts(n, k, threads) * part_floats(n);
}

/* What the step's tokens see at most. */
typedef struct most_seen {
    uint32_t positions, segments; /* of one */
} most_seen;

static most_seen find_most_seen(const cpu_run *r)
{
    most_seen most = {0};
    for (uint32_t t = 0; t < r->step->n_tokens; t++) {
        const loam_node *n = &r->op->node;
        uint32_t position = (uint32_t)r->step->positions[t];
        uint32_t positions = position - first_seen(n, position) + 1;
        uint32_t segments = segment_count(n, position);
        if (positions > most.positions) most.positions = positions;
        if (segments > most.segments) most.segments = segments;
    }
    return most;
}

static sharing share_attention(const cpu_run *r)
{
    const loam_node *n = &r->op->node;
    uint32_t threads = loam__pool_threads(r->cpu->pool), heads = heads_per_kv(n);
    uint64_t wanted = (uint64_t)threads * SLICES_PER_WORKER;
    uint64_t pairs = (uint64_t)r->step->n_tokens * n->u.attention.kv_heads;
    most_seen most = find_most_seen(r);
    if (pairs < wanted && most.segments > 1 && r->cpu->isa.attention_part &&
        pairs * most.segments <= most_parts(n, &r->op->src[1], threads))
        return (sharing){.tokens = 1, .segments = most.segments};
    uint64_t macs =
        (uint64_t)most.positions * heads * (n->u.attention.k_values + n->u.attention.v_values);
    uint32_t tokens = most_tokens(n);
    while (tokens > 1 && (tokens * macs > ATTENTION_MACS || pairs < tokens * wanted * 2))
        tokens /= 2;
    return (sharing){.tokens = tokens};
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
        .k_transposed = n->u.attention.k_transposed,
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

/* ---- how each is run ---- */

const op_kind loam__cpu_kv_write = {"kv write", kv_slices, run_kv_write};
const op_kind loam__cpu_attention = {"attention", attention_slices, run_attention};
const op_kind loam__cpu_joining = {"attention join", joining_slices, run_joining};
