/* Small graphs run on a device and on the CPU's scalar kernels, which define what is right. */
#ifndef LOAM_TEST_VULKAN_RIG_H
#define LOAM_TEST_VULKAN_RIG_H

#include <math.h>

#include "backends/cpu/cpu.h"
#include "kernels_data.h"
#include "lib/graph/graph.h"

enum { WEIGHTS, CONSTANTS, CELLS, ACTIVATIONS, LOGITS, ARENAS, MOST_VALUES = 64 };

/* The most of a step. */
enum { STEP_TOKENS = 600, STEP_BLOCKS = 64, STEP_TABLES = 4, STEP_GROUPS = 2 };

/* A graph with the data of its weights and constants. */
typedef struct sketch {
    loam__base base;
    loam__graph g;
    random_state random;
    void *data[MOST_VALUES];
    uint64_t arena_bytes[ARENAS];
} sketch;

/* A sketch on one device. */
typedef struct rig {
    const loam_backend *b;
    void *self;
    uint32_t device;
    void *arenas[ARENAS], *scratch, *program;
    loam_hooks hooks; /* kept by the backend */
} rig;

static char last_failure[512];

static void take_failure(void *ctx, const char *text)
{
    (void)ctx;
    snprintf(last_failure, sizeof last_failure, "%s", text);
}

/* ---- sketches ---- */

static inline void begin_sketch(sketch *s, uint64_t seed, uint32_t max_tokens)
{
    memset(s, 0, sizeof *s);
    assert_int_equal(loam__base_init(&s->base, NULL), LOAM_OK);
    loam__graph_init(&s->g, &s->base, max_tokens, max_tokens);
    s->g.n_tables = STEP_TABLES;
    s->g.blocks_per_table = STEP_BLOCKS;
    s->random.x = seed;
}

static inline loam__v add_weight(sketch *s, loam_format type, uint64_t rows, uint64_t cols)
{
    const loam__format *f = loam__format_find(type);
    loam__v v = loam__graph_weight(&s->g, type, rows, cols, 0);
    assert_true(v >= 0 && v < MOST_VALUES);
    size_t n = (size_t)(rows * cols / f->block_values);
    s->data[v] = malloc(n * f->block_bytes);
    assert_non_null(s->data[v]);
    random_blocks(&s->random, f, s->data[v], n);
    return v;
}

static inline loam__v add_constant(sketch *s, uint64_t cols)
{
    loam__v v = loam__graph_constant(&s->g, cols, 0, -1);
    assert_true(v >= 0 && v < MOST_VALUES);
    s->data[v] = malloc(cols * sizeof(float));
    assert_non_null(s->data[v]);
    random_floats(&s->random, s->data[v], cols);
    return v;
}

/* Rows of random numbers, chosen by the step's tokens out of ROWS. */
enum { ROWS = 29 };
static inline loam__v add_input(sketch *s, uint64_t cols)
{
    return loam__op_embed(&s->g, add_weight(s, LOAM_TYPE_F32, ROWS, cols), 1);
}

static inline uint32_t arena_of_kind(int32_t kind)
{
    return kind == LOAM_VALUE_WEIGHT     ? WEIGHTS
           : kind == LOAM_VALUE_CONSTANT ? CONSTANTS
           : kind == LOAM_VALUE_KV       ? CELLS
           : kind == LOAM_VALUE_LOGITS   ? LOGITS
                                         : ACTIVATIONS;
}

static inline void end_sketch(sketch *s)
{
    assert_int_equal(s->g.status, LOAM_OK);
    for (uint32_t i = 0; i < s->g.n_values; i++) {
        loam_value *v = &s->g.values[i];
        v->arena = arena_of_kind(v->kind);
        v->offset = s->arena_bytes[v->arena];
        s->arena_bytes[v->arena] += loam__align_up(v->rows * v->row_bytes);
    }
}

static inline void free_sketch(sketch *s)
{
    for (int i = 0; i < MOST_VALUES; i++)
        free(s->data[i]);
    loam__graph_free(&s->g);
}

/* ---- rigs ---- */

static inline void good(loam_status st)
{
    if (st != LOAM_OK) fail_msg("status %d: %s", st, last_failure);
}

static inline void open_rig(rig *r, const loam_backend *b, const char *isa, loam_hooks hooks)
{
    loam_backend_host host = {
        .struct_size = sizeof host, .threads = 1, .isa = isa, .fail = take_failure};
    memset(r, 0, sizeof *r);
    r->b = b;
    r->hooks = hooks;
    host.hooks = &r->hooks;
    good(b->open(&host, &r->self));
}

static inline void upload_values(const rig *r, const sketch *s)
{
    for (uint32_t i = 0; i < s->g.n_values; i++) {
        const loam_value *v = &s->g.values[i];
        void *arena = r->arenas[v->arena];
        if (v->kind == LOAM_VALUE_CONSTANT)
            good(r->b->upload(r->self, arena, v->offset, s->data[i], v->row_bytes));
        if (v->kind != LOAM_VALUE_WEIGHT) continue;
        for (uint64_t row = 0, n; row < v->rows; row += n) { /* not all at once */
            n = v->rows - row < 2 * LOAM_UPLOAD_ROWS ? v->rows - row : 2 * LOAM_UPLOAD_ROWS;
            good(r->b->upload_rows(r->self, v, arena, row, n,
                                   (char *)s->data[i] + row * v->row_bytes));
        }
    }
}

static inline void load_sketch(rig *r, const sketch *s)
{
    static const int32_t kinds[ARENAS] = {LOAM_ARENA_WEIGHTS, LOAM_ARENA_CONSTANTS, LOAM_ARENA_KV,
                                          LOAM_ARENA_ACTIVATIONS, LOAM_ARENA_LOGITS};
    loam_graph view = loam__graph_view(&s->g);
    loam_piece_memory memory = {.struct_size = sizeof memory};
    for (uint32_t i = 0; i < s->g.n_nodes; i++)
        assert_true(r->b->supports(r->self, r->device, &view, &s->g.nodes[i]));
    good(r->b->measure(r->self, r->device, &view, 0, view.n_nodes, &memory));
    for (int i = 0; i < ARENAS; i++)
        if (s->arena_bytes[i])
            good(r->b->arena_new(r->self, r->device, kinds[i], s->arena_bytes[i], NULL,
                                 &r->arenas[i]));
    if (memory.scratch_bytes)
        good(r->b->arena_new(r->self, r->device, LOAM_ARENA_SCRATCH, memory.scratch_bytes, NULL,
                             &r->scratch));
    upload_values(r, s);
    good(r->b->compile(r->self, r->device, &view, 0, view.n_nodes, r->arenas, ARENAS, r->scratch,
                       &r->program));
}

static inline void unload_sketch(rig *r)
{
    r->b->program_free(r->self, r->program);
    for (int i = 0; i < ARENAS; i++)
        if (r->arenas[i]) r->b->arena_free(r->self, r->arenas[i]);
    if (r->scratch) r->b->arena_free(r->self, r->scratch);
    memset(r->arenas, 0, sizeof r->arenas);
    r->scratch = r->program = NULL;
}

static inline void run_rig(rig *r, const loam_step *step)
{
    uint64_t position = 0;
    good(r->b->run(r->self, r->program, step, &position));
}

/* The first rows of a value. */
static inline float *take_rows(const rig *r, const sketch *s, loam__v value, uint32_t rows)
{
    const loam_value *v = &s->g.values[value];
    float *y = malloc(rows * v->row_bytes + 1);
    assert_non_null(y);
    if (r->b->download)
        good(r->b->download(r->self, r->arenas[v->arena], v->offset, y, rows * v->row_bytes));
    return y;
}

/* ---- steps ---- */

typedef struct step_data {
    int32_t tokens[STEP_TOKENS], positions[STEP_TOKENS], tables[STEP_TOKENS], outputs[STEP_TOKENS];
    int32_t blocks[STEP_GROUPS * STEP_TABLES * STEP_BLOCKS];
    loam_step step;
} step_data;

/* No block twice, and not in order. */
static inline void begin_step(step_data *d)
{
    memset(d, 0, sizeof *d);
    for (int i = 0; i < STEP_GROUPS * STEP_TABLES * STEP_BLOCKS; i++)
        d->blocks[i] = i % (STEP_TABLES * STEP_BLOCKS) * 5 % (STEP_TABLES * STEP_BLOCKS);
    d->step = (loam_step){.struct_size = sizeof d->step,
                          .blocks_per_table = STEP_BLOCKS,
                          .n_tables = STEP_TABLES,
                          .tokens = d->tokens,
                          .positions = d->positions,
                          .tables = d->tables,
                          .output_rows = d->outputs,
                          .block_tables = d->blocks};
}

/* n more tokens of one sequence. */
static inline void add_tokens(step_data *d, random_state *r, int32_t table, int32_t position,
                              uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t t = d->step.n_tokens++;
        d->tokens[t] = (int32_t)random_size(r, 0, ROWS - 1);
        d->positions[t] = position + (int32_t)i;
        d->tables[t] = table;
    }
}

#endif
