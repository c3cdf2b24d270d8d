/* A piece of a graph as a list of CPU ops, and their run. */
#include <string.h>

#include "lib/base/os.h"
#include "ops.h"

typedef struct cpu_program {
    loam__cpu *cpu;
    uint32_t n_ops;
    cpu_op *ops; /* behind this struct */
} cpu_program;

/* ---- compile ---- */

static const op_kind *const kinds[] = {
    [LOAM_OP_EMBED] = &loam__cpu_embed,
    [LOAM_OP_MATMUL] = &loam__cpu_matmul_op,
    [LOAM_OP_RMS_NORM] = &loam__cpu_rms_norm,
    [LOAM_OP_ADD] = &loam__cpu_add,
    [LOAM_OP_GLU] = &loam__cpu_glu,
    [LOAM_OP_ROPE] = &loam__cpu_rope,
    [LOAM_OP_KV_WRITE] = &loam__cpu_kv_write,
    [LOAM_OP_ATTENTION] = &loam__cpu_attention,
    [LOAM_OP_PICK_ROWS] = &loam__cpu_pick_rows,
    [LOAM_OP_SOFTCAP] = &loam__cpu_softcap,
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
    uint64_t prepared_bytes, attention_bytes, apart_bytes, table_bytes; /* the scratch, in this
                                                                           order */
    uint64_t attention_at, apart_at, table_at;                          /* known when compiling */
    uint8_t *scratch;
    int32_t prepared_value; /* what the prepared columns hold now */
    void (*prepared_by)(const float *x, size_t k, void *column);
    const op_kind *prepared_as;
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

/* What a product is run as, NULL behind the last. */
static loam_status steps_of_matmul(emitter *e, const loam_value *w, const loam_value *x,
                                   const op_kind *const **steps)
{
    static const op_kind *const own[] = {&loam__cpu_prepare, &loam__cpu_matmul_op, NULL};
    const loam__cpu_products *products = e->cpu->products;
    bool taken = false;
    *steps = own;
    if (!products) return LOAM_OK;
    loam_status st = products->takes(e->cpu, w, x, &taken);
    if (st != LOAM_OK || !taken) return st;
    uint64_t bytes = loam__align_up(products->scratch_bytes(e->cpu, x));
    if (bytes > e->apart_bytes) e->apart_bytes = bytes;
    *steps = products->steps;
    return LOAM_OK;
}

static loam_status emit_matmul(emitter *e, const loam_node *node)
{
    const loam_value *w = value_of(e->g, node->src[0]), *x = value_of(e->g, node->src[1]);
    const loam__cpu_matmul *m = loam__cpu_find_matmul(e->cpu->set, w->type);
    size_t column = m->prepared_bytes(w->cols);
    const op_kind *const *steps;
    loam_status st = steps_of_matmul(e, w, x, &steps);
    if (st != LOAM_OK) return st;
    bool ready = e->prepared_value == node->src[1] && e->prepared_by == m->prepare &&
                 e->prepared_as == steps[0];
    if (x->rows * column > e->prepared_bytes) e->prepared_bytes = x->rows * column;
    for (int i = ready; steps[i]; i++) {
        cpu_op *op = emit(e, steps[i], node);
        if (!op) continue;
        op->matmul = m;
        op->format = loam__format_find(w->type);
        set_packing(e, op);
        op->scratch = e->scratch;
        op->scratch_stride = column;
        op->apart = e->scratch + e->apart_at;
    }
    e->prepared_value = node->src[1];
    e->prepared_by = m->prepare;
    e->prepared_as = steps[0];
    return LOAM_OK;
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
    const op_kind *steps[] = {&loam__cpu_rope_table, &loam__cpu_rope};
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
    const op_kind *steps[] = {&loam__cpu_attention, &loam__cpu_joining};
    uint32_t threads = loam__pool_threads(e->cpu->pool);
    size_t own = loam__attention_own(node);
    uint64_t parts = loam__attention_parts(node, value_of(e->g, node->src[1]), threads);
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
        if (node->op == LOAM_OP_MATMUL) st = emit_matmul(e, node);
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
    e->apart_at = e->attention_at + e->attention_bytes;
    e->table_at = e->apart_at + e->apart_bytes;
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
