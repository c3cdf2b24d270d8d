/* A piece of a graph as a list of dispatches. */
#include "program.h"

#include <string.h>

/* What emitting learns as it goes: once to measure (ops NULL), once to compile. */
typedef struct emitter {
    loam__vk_device *d;
    const loam_graph *g;
    void *const *arenas;
    loam__vk_arena *scratch;
    op *ops;
    loam__vk_sets *sets;
    uint32_t n_ops, groups, n_ropes;
    uint64_t scratch_bytes, scale_values, tables_at;
    rope_table ropes[ROPE_TABLES];
    loam_status status;
} emitter;

static const loam_value *value_of(const loam_graph *g, int32_t i)
{
    return i < 0 ? NULL : loam_graph_value(g, i);
}

static uint32_t divide_up(uint64_t a, uint64_t b)
{
    return (uint32_t)((a + b - 1) / b);
}

/* ---- what the device runs ---- */

#define MOST_VALUES 0x7fffffffu

static bool is_cell(loam_format type)
{
    return type == LOAM_TYPE_F32 || type == LOAM_TYPE_F16 || type == LOAM_TYPE_BF16 ||
           type == LOAM_TYPE_Q8_0 || type == LOAM_TYPE_Q4_0;
}

static bool fits_cells(const loam_value *v, uint32_t values, bool transposed)
{
    const bool block = v->type == LOAM_TYPE_Q8_0 || v->type == LOAM_TYPE_Q4_0;
    if (!is_cell(v->type) || (block && (values % 32 != 0 || transposed))) return false;
    return v->row_bytes % 4 == 0 && v->rows * (v->row_bytes / 2) <= UINT32_MAX;
}

static bool fits_weight(loam__vk_device *d, const loam_value *w)
{
    const loam__vk_format_kernels *k;
    loam_status st = loam__vk_format_kernels_get(d, w, &k);
    if (st == LOAM_ERR_TENSOR_TYPE || (st == LOAM_OK && !k->works)) return false;
    /* any other failure is met again, and told, while measuring */
    return w->cols <= MOST_VALUES && w->rows <= MOST_VALUES &&
           w->row_bytes * LOAM__VK_GROUP <= LOAM__VK_STAGING &&
           w->rows * (w->row_bytes / 4 + 1) <= UINT32_MAX;
}

#define MOST_HEAD_VALUES 512u /* in registers */
#define LANES            64u
#define MOST_HEADS       4u /* of a subgroup */

/* Heads that are computed together: as many as divide those of a KV head evenly. */
static uint32_t heads_together(const loam_node *node)
{
    const uint32_t all = node->u.attention.heads / node->u.attention.kv_heads;
    uint32_t n = MOST_HEADS;
    while (all % n != 0)
        n--;
    return n;
}

/* The kernel of an op that reads no weights. */
static const loam__vk_code *kernel_of(const loam__vk_device *d, const loam_graph *g,
                                      const loam_node *node, uint32_t c[LOAM__VK_CONSTANTS])
{
    memset(c, 0, LOAM__VK_CONSTANTS * sizeof *c);
    c[0] = LANES;
    switch (node->op) {
    case LOAM_OP_RMS_NORM:
        return &loam__vk_rms_norm;
    case LOAM_OP_ROPE:
        return &loam__vk_rope;
    case LOAM_OP_KV_WRITE:
        c[1] = (uint32_t)value_of(g, node->dst)->type;
        c[2] = node->u.kv.transposed;
        return &loam__vk_kv_write;
    case LOAM_OP_ATTENTION:
        c[0] = d->subgroup;
        c[1] = (uint32_t)value_of(g, node->src[1])->type;
        c[2] = (uint32_t)value_of(g, node->src[2])->type;
        c[3] = node->u.attention.k_transposed;
        c[4] = node->u.attention.k_values;
        c[5] = node->u.attention.v_values;
        c[6] = heads_together(node);
        return &loam__vk_attention;
    default:
        c[1] = (uint32_t)node->op;
        return &loam__vk_elementwise;
    }
}

static loam_status get_kernel(loam__vk_device *d, const loam_graph *g, const loam_node *node,
                              VkPipeline *pipeline)
{
    uint32_t constants[LOAM__VK_CONSTANTS];
    const loam__vk_code *code = kernel_of(d, g, node, constants);
    return loam__vk_pipeline_get(d, code, constants, pipeline);
}

/* A failure of another kind is met again, and told, while measuring. */
static bool works(loam__vk_device *d, const loam_graph *g, const loam_node *node)
{
    VkPipeline pipeline;
    return get_kernel(d, g, node, &pipeline) != LOAM_ERR_BACKEND;
}

int32_t loam__vk_supports(loam__vk_device *d, const loam_graph *g, const loam_node *node)
{
    const loam_value *dst = value_of(g, node->dst);
    switch (node->op) {
    case LOAM_OP_EMBED:
    case LOAM_OP_MATMUL:
        return fits_weight(d, value_of(g, node->src[0]));
    case LOAM_OP_RMS_NORM:
    case LOAM_OP_ADD:
    case LOAM_OP_GLU:
    case LOAM_OP_ROPE:
    case LOAM_OP_PICK_ROWS:
    case LOAM_OP_SOFTCAP:
        return dst->rows * dst->cols <= UINT32_MAX && works(d, g, node);
    case LOAM_OP_KV_WRITE:
        return fits_cells(dst, node->u.kv.head_values, node->u.kv.transposed) && works(d, g, node);
    case LOAM_OP_ATTENTION:
        return node->u.attention.k_values <= MOST_HEAD_VALUES &&
               node->u.attention.v_values <= MOST_HEAD_VALUES &&
               fits_cells(value_of(g, node->src[1]), node->u.attention.k_values,
                          node->u.attention.k_transposed) &&
               fits_cells(value_of(g, node->src[2]), node->u.attention.v_values, false) &&
               works(d, g, node);
    default:
        return 0;
    }
}

/* ---- emitting ---- */

static loam__vk_arena *arena_of(const emitter *e, const loam_value *v)
{
    return e->arenas[v->arena];
}

static uint64_t address_of(const emitter *e, const loam_value *v)
{
    return loam__vk_arena_base(arena_of(e, v), v->offset) + v->offset;
}

static range range_of(const emitter *e, const loam_value *v)
{
    return (range){arena_of(e, v), v->offset, v->offset + v->rows * v->row_bytes};
}

static uint32_t stride_of(const loam_value *v)
{
    return (uint32_t)(v->row_bytes / 4);
}

/* The next op, with what all have in common; NULL while measuring. */
static op *emit(emitter *e, const loam_node *node, const char *name)
{
    uint32_t i = e->n_ops++;
    if (!e->ops || e->status != LOAM_OK) return NULL;
    op *o = &e->ops[i];
    const loam_value *dst = value_of(e->g, node->dst);
    *o = (op){.name = name, .type = -1, .rows = dst->row_count};
    o->push.dst = address_of(e, dst);
    o->push.step = loam__vk_arena_base(e->scratch, 0);
    o->push.extra = e->d->grids.address;
    o->write = range_of(e, dst);
    for (int s = 0; s < LOAM_NODE_SOURCES; s++) {
        const loam_value *v = value_of(e->g, node->src[s]);
        if (!v) continue;
        if (s < 3) o->push.src[s] = address_of(e, v);
        if (v->kind != LOAM_VALUE_WEIGHT && v->kind != LOAM_VALUE_CONSTANT)
            o->reads[s] = range_of(e, v);
    }
    return o;
}

/* All variants are this one, of the op's kernel. */
static void use(emitter *e, op *o, const loam_node *node, variant v)
{
    loam_status st = get_kernel(e->d, e->g, node, &v.pipeline);
    if (e->status == LOAM_OK) e->status = st;
    for (uint32_t i = 0; i < VARIANTS; i++)
        o->variants[i] = v;
}

/* A weight's rows may begin in several chunks of its arena: an op for each. */
typedef struct chunk_rows {
    uint64_t first, end;
    uint64_t offset; /* of the first in the arena */
} chunk_rows;

/* Of words, the smallest texels that kernels fetch. */
static uint64_t view_bytes(const emitter *e)
{
    return e->d->texels ? e->d->texels * 4 : UINT64_MAX;
}

static uint32_t most_chunks(const emitter *e, const loam_value *w)
{
    const uint64_t bytes = w->rows * w->row_bytes, group_bytes = LOAM__VK_GROUP * w->row_bytes;
    return 2 +
           (uint32_t)(bytes / loam__vk_chunk_bytes(e->d) + bytes / (view_bytes(e) - group_bytes));
}

/* The rows from `first` on that begin in one chunk, and that one view shows. */
static chunk_rows find_rows(const emitter *e, const loam_value *w, uint64_t first)
{
    const loam__vk_arena *a = arena_of(e, w);
    const uint64_t chunk = loam__vk_chunk_bytes(e->d), group_bytes = LOAM__VK_GROUP * w->row_bytes;
    const uint64_t offset = w->offset + first * w->row_bytes;
    const uint64_t shown = view_bytes(e) / group_bytes;
    chunk_rows r = {first, w->rows, offset};
    if (shown < (w->rows - first) / LOAM__VK_GROUP + 1) r.end = first + shown * LOAM__VK_GROUP;
    if (a->n_chunks == 1) return r;
    uint64_t end = (offset / chunk + 1) * chunk; /* groups that begin before it are here */
    uint64_t groups = (end - w->offset + group_bytes - 1) / group_bytes;
    if (groups * LOAM__VK_GROUP < r.end) r.end = groups * LOAM__VK_GROUP;
    return r;
}

static void set_views(emitter *e, op *o, const loam_value *w, const loam_value *x, chunk_rows rows)
{
    o->set = e->d->no_texels;
    if (!e->d->texels) return;
    const loam__vk_window none = {0};
    loam_status st = loam__vk_sets_add(
        e->d, e->sets,
        loam__vk_arena_window(arena_of(e, w), rows.offset, (rows.end - rows.first) * w->row_bytes),
        x ? loam__vk_arena_window(arena_of(e, x), x->offset, x->rows * x->row_bytes) : none,
        &o->set);
    if (e->status == LOAM_OK) e->status = st;
}

/* x: NULL with a table that only is looked up */
static void set_weight(emitter *e, op *o, const loam_value *w, const loam_value *x,
                       const loam_value *dst, chunk_rows rows)
{
    set_views(e, o, w, x, rows);
    o->type = w->type;
    o->push.src[0] = loam__vk_arena_base(arena_of(e, w), rows.offset) + rows.offset;
    o->push.u[0] = (uint32_t)w->rows;
    o->push.u[1] = (uint32_t)w->row_bytes;
    o->push.u[2] = loam__vk_row_quads(w);
    o->push.u[3] = (uint32_t)w->cols;
    o->push.u[5] = stride_of(dst);
    o->push.u[6] = (uint32_t)dst->row_count;
    o->push.u[7] = (uint32_t)rows.first;
    o->push.u[8] = (uint32_t)rows.end;
    o->push.u[11] = loam__vk_row_singles(w);
    o->push.u[12] = (uint32_t)rows.first;
}

static void emit_embed(emitter *e, const loam_node *node, const loam_value *dst)
{
    const loam_value *w = value_of(e->g, node->src[0]);
    const loam__vk_format_kernels *k = NULL;
    if (e->status == LOAM_OK) e->status = loam__vk_format_kernels_get(e->d, w, &k);
    for (uint64_t first = 0, end; first < w->rows; first = end) {
        op *o = emit(e, node, "embed");
        if (!o) return;
        chunk_rows rows = find_rows(e, w, first);
        end = rows.end;
        set_weight(e, o, w, NULL, dst, rows);
        o->row_macs = w->cols;
        o->push.f[0] = node->u.embed.scale;
        for (uint32_t i = 0; i < VARIANTS; i++)
            o->variants[i] = (variant){.pipeline = k->embed, .group_rows = 1};
    }
}

static void use_matmul(emitter *e, op *o, const loam_value *w, uint32_t rows)
{
    const loam__vk_format_kernels *k = NULL;
    loam_status st = loam__vk_format_kernels_get(e->d, w, &k);
    if (e->status == LOAM_OK) e->status = st;
    for (uint32_t i = 0; st == LOAM_OK && i < VARIANTS; i++)
        o->variants[i] = (variant){.pipeline = k->matmul[i].pipeline,
                                   .groups = divide_up(rows, k->matmul[i].rows),
                                   .group_rows = k->matmul[i].tokens,
                                   .group_items = k->matmul[i].rows};
}

static void emit_matmul(emitter *e, const loam_node *node, const loam_value *dst)
{
    const loam_value *w = value_of(e->g, node->src[0]), *x = value_of(e->g, node->src[1]);
    for (uint64_t first = 0, end; first < w->rows; first = end) {
        op *o = emit(e, node, "matmul");
        if (!o) return;
        chunk_rows rows = find_rows(e, w, first);
        end = rows.end;
        set_weight(e, o, w, x, dst, rows);
        o->row_macs = w->cols * (end - first);
        o->cut = CUT_ITEMS;
        o->push.u[4] = stride_of(x);
        o->push.u[9] = node->src[2] >= 0;
        use_matmul(e, o, w, (uint32_t)(end - first));
    }
}

static void emit_rms_norm(emitter *e, const loam_node *node, const loam_value *dst)
{
    const loam_value *x = value_of(e->g, node->src[0]), *weight = value_of(e->g, node->src[1]);
    op *o = emit(e, node, "norm");
    if (!o) return;
    o->row_macs = dst->cols;
    o->push.u[0] = (uint32_t)weight->cols;
    o->push.u[1] = stride_of(x);
    o->push.u[2] = stride_of(dst);
    o->push.u[6] = (uint32_t)dst->row_count;
    o->push.f[0] = node->u.norm.eps;
    use(e, o, node, (variant){.groups = (uint32_t)(dst->cols / weight->cols), .group_rows = 1});
}

static const char *elementwise_name(int32_t kind)
{
    if (kind == LOAM_OP_ADD) return "add";
    if (kind == LOAM_OP_GLU) return "glu";
    return kind == LOAM_OP_SOFTCAP ? "softcap" : "pick rows";
}

#define EACH 4u /* numbers of an invocation, as in elementwise.comp */

static void emit_elementwise(emitter *e, const loam_node *node, const loam_value *dst)
{
    const loam_value *a = value_of(e->g, node->src[0]), *b = value_of(e->g, node->src[1]);
    op *o = emit(e, node, elementwise_name(node->op));
    if (!o) return;
    o->row_macs = dst->cols;
    o->push.u[0] = (uint32_t)dst->cols;
    o->push.u[1] = stride_of(a);
    o->push.u[2] = b ? stride_of(b) : 0;
    o->push.u[3] = stride_of(dst);
    if (node->op == LOAM_OP_GLU) o->push.u[4] = (uint32_t)node->u.glu.act;
    if (node->op == LOAM_OP_SOFTCAP) o->push.f[0] = node->u.softcap.cap;
    o->push.u[6] = (uint32_t)dst->row_count;
    use(e, o, node, (variant){.groups = divide_up(dst->cols, LANES * EACH), .group_rows = 1});
}

static bool same_table(const rope_table *t, const loam_node *node)
{
    return t->node->src[1] == node->src[1] && t->step == node->u.rope.step &&
           t->magnitude == node->u.rope.magnitude && t->rotary_values == node->u.rope.rotary_values;
}

/* The table of this rotation; UINT32_MAX: there are too many. */
static uint32_t find_table(emitter *e, const loam_node *node)
{
    for (uint32_t i = 0; i < e->n_ropes; i++)
        if (same_table(&e->ropes[i], node)) return i;
    if (e->n_ropes == ROPE_TABLES) return UINT32_MAX;
    const uint32_t rotary = node->u.rope.rotary_values;
    e->ropes[e->n_ropes] = (rope_table){.node = node,
                                        .step = node->u.rope.step,
                                        .magnitude = node->u.rope.magnitude,
                                        .rotary_values = rotary,
                                        .at = e->scratch_bytes};
    e->scratch_bytes += loam__align_up((uint64_t)e->g->max_tokens * rotary * sizeof(float));
    e->scale_values += rotary / 2;
    return e->n_ropes++;
}

static void emit_rope(emitter *e, const loam_node *node, const loam_value *dst)
{
    const uint32_t table = find_table(e, node);
    if (table == UINT32_MAX) {
        e->status = loam__fail(&e->d->vk->base, LOAM_ERR_UNSUPPORTED,
                               "more than %u different rotations in a model", ROPE_TABLES);
        return;
    }
    op *o = emit(e, node, "rope");
    if (!o) return;
    o->row_macs = dst->cols;
    o->push.src[1] = o->push.step + e->ropes[table].at;
    o->push.u[0] = (uint32_t)dst->cols;
    o->push.u[1] = node->u.rope.head_values;
    o->push.u[2] = node->u.rope.rotary_values;
    o->push.u[3] = (uint32_t)node->u.rope.style;
    o->push.u[4] = stride_of(value_of(e->g, node->src[0]));
    o->push.u[5] = stride_of(dst);
    o->push.u[6] = (uint32_t)dst->row_count;
    use(e, o, node, (variant){.groups = divide_up(dst->cols, LANES), .group_rows = 1});
}

static void need_group(emitter *e, uint32_t group)
{
    if (group >= e->groups) e->groups = group + 1;
}

static void emit_kv_write(emitter *e, const loam_node *node, const loam_value *dst)
{
    const bool blocks = dst->type == LOAM_TYPE_Q8_0 || dst->type == LOAM_TYPE_Q4_0;
    const uint32_t values = node->u.kv.heads * node->u.kv.head_values;
    need_group(e, node->u.kv.group);
    op *o = emit(e, node, "kv write");
    if (!o) return;
    o->type = dst->type;
    o->rows = LOAM_ROWS_TOKENS;
    o->row_macs = values;
    o->push.u[0] = node->u.kv.heads;
    o->push.u[1] = node->u.kv.head_values;
    o->push.u[2] = node->u.kv.block_tokens;
    o->push.u[3] = node->u.kv.group;
    o->push.u[4] = (uint32_t)(dst->row_bytes / 2);
    o->push.u[5] = stride_of(value_of(e->g, node->src[0]));
    use(e, o, node,
        (variant){.groups = divide_up(values, LANES * (blocks ? 32 : 1)), .group_rows = 1});
}

/* Positions that a token is taken to see, where the work of attention is reckoned. */
#define SEEN 512u

static void emit_attention(emitter *e, const loam_node *node, const loam_value *dst)
{
    const loam_value *q = value_of(e->g, node->src[0]), *k = value_of(e->g, node->src[1]),
                     *v = value_of(e->g, node->src[2]);
    const uint32_t heads = node->u.attention.heads, k_values = node->u.attention.k_values,
                   v_values = node->u.attention.v_values, together = heads_together(node);
    need_group(e, node->u.attention.group);
    op *o = emit(e, node, "attention");
    if (!o) return;
    const uint32_t u[] = {heads,
                          node->u.attention.kv_heads,
                          0,
                          node->u.attention.block_tokens,
                          node->u.attention.window,
                          node->u.attention.group,
                          (uint32_t)(k->row_bytes / 2),
                          (uint32_t)(v->row_bytes / 2),
                          stride_of(q),
                          stride_of(dst)};
    memcpy(o->push.u, u, sizeof u);
    o->type = k->type;
    o->cut = CUT_ROWS;
    o->row_macs = (uint64_t)heads * (k_values + v_values) * SEEN;
    o->push.f[0] = node->u.attention.scale;
    o->push.f[1] = node->u.attention.softcap;
    use(e, o, node, (variant){.groups = heads / together, .group_rows = 1});
}

typedef void emit_fn(emitter *e, const loam_node *node, const loam_value *dst);

static emit_fn *const emitters[] = {
    [LOAM_OP_EMBED] = emit_embed,           [LOAM_OP_MATMUL] = emit_matmul,
    [LOAM_OP_RMS_NORM] = emit_rms_norm,     [LOAM_OP_ADD] = emit_elementwise,
    [LOAM_OP_GLU] = emit_elementwise,       [LOAM_OP_ROPE] = emit_rope,
    [LOAM_OP_KV_WRITE] = emit_kv_write,     [LOAM_OP_ATTENTION] = emit_attention,
    [LOAM_OP_PICK_ROWS] = emit_elementwise, [LOAM_OP_SOFTCAP] = emit_elementwise,
};

/* While measuring no arena is there: a weight counts with as many ops as it can have. */
static void count_weight(emitter *e, const loam_node *node)
{
    const loam_value *w = value_of(e->g, node->src[0]);
    const loam__vk_format_kernels *k;
    e->n_ops += most_chunks(e, w);
    e->status = loam__vk_format_kernels_get(e->d, w, &k);
}

static loam_status emit_piece(emitter *e, uint32_t first, uint32_t n)
{
    e->n_ops = e->n_ropes = e->groups = 0;
    e->scale_values = 0;
    e->scratch_bytes = loam__align_up((STEP_HEAD + (uint64_t)STEP_ARRAYS * e->g->max_tokens) * 4);
    for (uint32_t i = first; i < first + n && e->status == LOAM_OK; i++) {
        const loam_node *node = loam_graph_node(e->g, i);
        if (!loam__vk_supports(e->d, e->g, node))
            return loam__fail(&e->d->vk->base, LOAM_ERR_BACKEND,
                              "op %d of layer %d is not one that %s runs", node->op, node->layer,
                              e->d->name);
        const bool weight = node->op == LOAM_OP_EMBED || node->op == LOAM_OP_MATMUL;
        VkPipeline pipeline;
        if (weight && !e->ops) count_weight(e, node);
        else emitters[node->op](e, node, value_of(e->g, node->dst));
        if (!weight && !e->ops && e->status == LOAM_OK)
            e->status = get_kernel(e->d, e->g, node, &pipeline);
    }
    e->tables_at = e->scratch_bytes;
    e->scratch_bytes += loam__align_up((uint64_t)e->groups * e->g->n_tables *
                                       e->g->blocks_per_table * sizeof(int32_t));
    return e->status;
}

static uint32_t most_sets(const emitter *e)
{
    return e->d->texels ? e->n_ops : 0;
}

/* A program's record, its ops, their views and the scales of its rotations are one allocation. */
static uint64_t program_bytes(const emitter *e)
{
    return loam__align_up(sizeof(program)) + e->n_ops * sizeof(op) +
           most_sets(e) * sizeof(loam__vk_set) + e->scale_values * sizeof(float);
}

loam_status loam__vk_measure(loam__vk_device *d, const loam_graph *g, uint32_t first, uint32_t n,
                             loam_piece_memory *memory)
{
    emitter e = {.d = d, .g = g};
    loam_status st = emit_piece(&e, first, n);
    memory->scratch_bytes = e.scratch_bytes;
    memory->program_bytes = loam__alloc_cost((size_t)program_bytes(&e), 16);
    return st;
}

/* The scales of the angles, which are the host's to multiply. */
static loam_status read_scales(emitter *e, program *p, float *scales)
{
    loam_status st = LOAM_OK;
    for (uint32_t i = 0; i < e->n_ropes && st == LOAM_OK; i++) {
        const loam_value *v = value_of(e->g, e->ropes[i].node->src[1]);
        const uint32_t n = e->ropes[i].rotary_values / 2;
        p->ropes[i] = e->ropes[i];
        p->ropes[i].node = NULL;
        p->ropes[i].scales = scales;
        st = loam__vk_read(arena_of(e, v), v->offset, scales, n * sizeof *scales);
        scales += n;
    }
    return st;
}

loam_status loam__vk_compile(loam__vk_device *d, const loam_graph *g, uint32_t first, uint32_t n,
                             void *const *arenas, loam__vk_arena *scratch, void **out)
{
    emitter e = {.d = d, .g = g, .arenas = arenas, .scratch = scratch};
    loam_status st = emit_piece(&e, first, n);
    if (st != LOAM_OK) return st;
    if (!scratch || scratch->bytes < e.scratch_bytes)
        return loam__fail(&d->vk->base, LOAM_ERR_INTERNAL,
                          "the scratch arena is smaller than was measured");
    const uint32_t most_ops = e.n_ops, n_sets = most_sets(&e);
    program *p = loam__alloc(&d->vk->base, (size_t)program_bytes(&e));
    if (!p) return LOAM_ERR_NOMEM;
    p->device = d;
    p->scratch = scratch;
    p->max_tokens = g->max_tokens;
    p->max_outputs = g->max_outputs;
    p->ops = e.ops = (op *)(void *)((char *)p + loam__align_up(sizeof *p));
    e.sets = &p->sets;
    loam__vk_set *sets = (loam__vk_set *)(void *)(p->ops + most_ops);
    float *scales = (float *)(void *)(sets + n_sets);
    st = loam__vk_sets_new(d, sets, n_sets, &p->sets);
    if (st == LOAM_OK) st = emit_piece(&e, first, n);
    p->n_ops = e.n_ops;
    p->n_ropes = e.n_ropes;
    p->groups = e.groups;
    p->n_tables = g->n_tables;
    p->blocks_per_table = g->blocks_per_table;
    p->tables_at = e.tables_at;
    if (st == LOAM_OK) st = read_scales(&e, p, scales);
    if (st == LOAM_OK) *out = p;
    else loam__vk_program_free(d->vk, p);
    return st;
}

void loam__vk_program_free(loam__vk *vk, void *self)
{
    program *p = self;
    if (!p) return;
    for (uint32_t i = 0; i < RECORDINGS; i++)
        loam__vk_recording_free(p, &p->recordings[i]);
    loam__vk_sets_free(p->device, &p->sets);
    loam__free(&vk->base, p);
}
