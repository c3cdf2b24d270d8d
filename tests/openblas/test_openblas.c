/* The OpenBLAS module, opened as the core opens it, beside the built-in CPU backend. */
#define _POSIX_C_SOURCE 200809L
#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>

#include "backends/cpu/cpu.h"
#include "kernels_data.h"

#define RUN_TOKENS 64u /* of consecutive positions, multiplied by OpenBLAS together */
#define MOST       320u

static const loam_backend_core this_core = {
    .struct_size = sizeof(loam_backend_core),
    .abi_oldest = LOAM_BACKEND_ABI_OLDEST,
    .abi_version = LOAM_BACKEND_ABI,
    .cpu = &loam__backend_cpu,
};

/* The module stays open until the program ends, as its table does. */
static const loam_backend *backend_for(const loam_backend_core *core)
{
    void *module = dlopen(LOAM_OPENBLAS, RTLD_NOW | RTLD_LOCAL);
    loam_backend_module_fn *entry = NULL;
    if (!module) fail_msg("%s", dlerror());
    *(void **)&entry = dlsym(module, LOAM_BACKEND_MODULE);
    assert_non_null(entry);
    return entry(core);
}

static const loam_backend *openblas(void)
{
    const loam_backend *backend = backend_for(&this_core);
    assert_non_null(backend);
    return backend;
}

/* ---- a graph of one product ---- */

enum { W, X, BIAS, Y, N_VALUES };

typedef struct product {
    loam_format type;
    size_t rows, cols;
    bool bias, mapped;
    uint8_t *w; /* as a file has it */
    float *x, *bias_values;
    uint64_t w_row_bytes;
    loam_value values[N_VALUES];
    loam_node node;
    loam_graph graph;
} product;

static void make_product(product *p, loam_format type, size_t rows, size_t cols, uint64_t seed)
{
    const loam__format *f = loam__format_find(type);
    random_state r = {seed};
    *p = (product){.type = type, .rows = rows, .cols = cols};
    assert_true(loam__format_row_bytes(f, cols, &p->w_row_bytes));
    p->w = malloc(rows * p->w_row_bytes);
    p->x = malloc(MOST * cols * sizeof(float));
    p->bias_values = malloc(rows * sizeof(float));
    random_blocks(&r, f, p->w, rows * cols / f->block_values);
    random_floats(&r, p->x, MOST * cols);
    random_floats(&r, p->bias_values, rows);
}

static void free_product(product *p)
{
    free(p->w);
    free(p->x);
    free(p->bias_values);
}

static void make_graph(product *p)
{
    p->values[W] = (loam_value){.kind = LOAM_VALUE_WEIGHT,
                                .type = p->type,
                                .arena = W,
                                .cols = p->cols,
                                .rows = p->rows,
                                .row_bytes = p->w_row_bytes};
    p->values[X] = (loam_value){.kind = LOAM_VALUE_ACTIVATION,
                                .row_count = LOAM_ROWS_TOKENS,
                                .arena = X,
                                .cols = p->cols,
                                .rows = MOST,
                                .row_bytes = p->cols * sizeof(float)};
    p->values[BIAS] = (loam_value){.kind = LOAM_VALUE_CONSTANT,
                                   .arena = BIAS,
                                   .cols = p->rows,
                                   .rows = 1,
                                   .row_bytes = p->rows * sizeof(float)};
    p->values[Y] = p->values[X];
    p->values[Y].arena = Y;
    p->values[Y].cols = p->rows;
    p->values[Y].row_bytes = p->rows * sizeof(float);
    p->node = (loam_node){.op = LOAM_OP_MATMUL, .dst = Y, .src = {W, X, p->bias ? BIAS : -1, -1}};
    p->graph = (loam_graph){.struct_size = sizeof p->graph,
                            .n_values = N_VALUES,
                            .n_nodes = 1,
                            .value_bytes = sizeof(loam_value),
                            .node_bytes = sizeof(loam_node),
                            .max_tokens = MOST,
                            .values = p->values,
                            .nodes = &p->node};
}

/* ---- its run on a backend ---- */

typedef struct machine {
    const loam_backend *backend;
    loam_hooks hooks;
    loam_backend_host host;
    char sentence[512];
    void *self, *arenas[N_VALUES], *scratch, *program;
} machine;

static void keep_sentence(void *ctx, const char *text)
{
    snprintf(((machine *)ctx)->sentence, sizeof((machine *)ctx)->sentence, "%s", text);
}

static void init_machine(machine *m, const loam_backend *backend, const char *isa, uint32_t threads)
{
    *m = (machine){.backend = backend};
    loam_hooks_init(&m->hooks);
    m->host = (loam_backend_host){.struct_size = sizeof m->host,
                                  .threads = threads,
                                  .hooks = &m->hooks,
                                  .isa = isa,
                                  .fail = keep_sentence,
                                  .fail_ctx = m};
}

static loam_status open_arenas(machine *m, const product *p)
{
    static const int32_t kinds[] = {LOAM_ARENA_WEIGHTS, LOAM_ARENA_ACTIVATIONS,
                                    LOAM_ARENA_CONSTANTS, LOAM_ARENA_ACTIVATIONS};
    const loam_backend *b = m->backend;
    for (int i = 0; i < N_VALUES; i++) {
        const loam_value *v = &p->values[i];
        const bool mapped = i == W && p->mapped;
        loam_status st = b->arena_new(m->self, 0, mapped ? LOAM_ARENA_WEIGHTS_MAPPED : kinds[i],
                                      v->rows * v->row_bytes, mapped ? p->w : NULL, &m->arenas[i]);
        if (st != LOAM_OK) return st;
    }
    if (!p->mapped)
        assert_int_equal(b->upload_rows(m->self, &p->values[W], m->arenas[W], 0, p->rows, p->w),
                         LOAM_OK);
    return b->upload(m->self, m->arenas[BIAS], 0, p->bias_values, p->rows * sizeof(float));
}

static loam_status open_machine(machine *m, product *p)
{
    const loam_backend *b = m->backend;
    loam_piece_memory memory = {.struct_size = sizeof memory};
    loam_status st = b->open(&m->host, &m->self);
    make_graph(p);
    if (st != LOAM_OK) return st;
    assert_true(b->supports(m->self, 0, &p->graph, &p->node));
    if ((st = b->measure(m->self, 0, &p->graph, 0, 1, &memory)) != LOAM_OK ||
        (st = open_arenas(m, p)) != LOAM_OK)
        return st;
    if (memory.scratch_bytes > 0 && (st = b->arena_new(m->self, 0, LOAM_ARENA_SCRATCH,
                                                       memory.scratch_bytes, NULL, &m->scratch)))
        return st;
    return b->compile(m->self, 0, &p->graph, 0, 1, m->arenas, N_VALUES, m->scratch, &m->program);
}

static void close_machine(machine *m)
{
    if (!m->self) return;
    if (m->program) m->backend->program_free(m->self, m->program);
    if (m->scratch) m->backend->arena_free(m->self, m->scratch);
    for (int i = 0; i < N_VALUES; i++)
        if (m->arenas[i]) m->backend->arena_free(m->self, m->arenas[i]);
    m->backend->close(m->self);
}

/* Which rows of p->x a step has: consecutive ones of one sequence after the other. */
typedef struct piece {
    int32_t table;
    uint32_t first_row, position, n;
} piece;

typedef struct stopper {
    uint32_t left; /* questions until it says stop; 0: never */
} stopper;

static int32_t stop_now(void *ctx)
{
    stopper *s = ctx;
    return s->left > 0 && --s->left == 0 ? LOAM_ERR_CANCELLED : LOAM_OK;
}

/* One step over these pieces; row r of p->x leaves its product at y + r * p->rows. */
static void run_pieces(machine *m, const product *p, const piece *pieces, size_t n, uint32_t stops,
                       float *y)
{
    int32_t positions[MOST], tables[MOST];
    stopper stop = {0};
    loam_step step = {.struct_size = sizeof step,
                      .positions = positions,
                      .tables = tables,
                      .should_stop = stop_now,
                      .stop_ctx = &stop};
    uint64_t at = 0;
    loam_status st;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(m->backend->upload(m->self, m->arenas[X],
                                            step.n_tokens * p->values[X].row_bytes,
                                            p->x + pieces[i].first_row * p->cols,
                                            pieces[i].n * p->values[X].row_bytes),
                         LOAM_OK);
        for (uint32_t j = 0; j < pieces[i].n; j++, step.n_tokens++) {
            positions[step.n_tokens] = (int32_t)(pieces[i].position + j);
            tables[step.n_tokens] = pieces[i].table;
        }
    }
    do {
        stop.left = stops;
        st = m->backend->run(m->self, m->program, &step, &at);
    } while (st == LOAM_ERR_CANCELLED);
    assert_int_equal(st, LOAM_OK);
    const uint64_t row = p->values[Y].row_bytes;
    for (size_t i = 0, from = 0; i < n; from += pieces[i++].n)
        assert_int_equal(m->backend->download(m->self, m->arenas[Y], from * row,
                                              y + pieces[i].first_row * p->rows, pieces[i].n * row),
                         LOAM_OK);
}

static float *outputs(const product *p)
{
    float *y = calloc(MOST * p->rows, sizeof *y);
    assert_non_null(y);
    return y;
}

/* All steps, one after the other; each ends with a piece of n 0. */
static float *run_steps(const loam_backend *backend, const char *isa, uint32_t threads,
                        uint32_t stops, product *p, const piece *pieces, size_t n)
{
    machine m;
    float *y = outputs(p);
    init_machine(&m, backend, isa, threads);
    if (open_machine(&m, p) != LOAM_OK) fail_msg("%s", m.sentence);
    for (size_t first = 0, i = 0; i < n; i++)
        if (pieces[i].n == 0) {
            run_pieces(&m, p, pieces + first, i - first, stops, y);
            first = i + 1;
        }
    close_machine(&m);
    return y;
}

static bool same_row(const product *p, const float *a, const float *b, size_t row)
{
    return memcmp(a + row * p->rows, b + row * p->rows, p->rows * sizeof *a) == 0;
}

/* ---- the module ---- */

static void test_module__gives_its_backend(void **state)
{
    (void)state;
    const loam_backend *backend = openblas();
    assert_string_equal(backend->name, "openblas");
    assert_int_equal(backend->abi_version, LOAM_BACKEND_ABI);
    assert_ptr_equal(backend, openblas());
}

static void test_module__leaves_a_core_of_another_abi_alone(void **state)
{
    (void)state;
    loam_backend_core other = this_core;
    other.abi_oldest = other.abi_version = LOAM_BACKEND_ABI + 1;
    assert_null(backend_for(&other));
}

static void test_open__says_which_instruction_sets_there_are(void **state)
{
    static const char *const wrong[] = {"blas:mmx", "mmx", "blasphemous"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        machine m;
        init_machine(&m, openblas(), wrong[i], 1);
        assert_int_equal(m.backend->open(&m.host, &m.self), LOAM_ERR_BACKEND);
        assert_non_null(strstr(m.sentence, "scalar"));
        assert_null(m.self);
    }
}

static void test_device__says_what_is_in_use(void **state)
{
    (void)state;
    machine m;
    loam_device_info info = {.struct_size = sizeof info};
    init_machine(&m, openblas(), "blas:scalar", 1);
    assert_int_equal(m.backend->open(&m.host, &m.self), LOAM_OK);
    assert_int_equal(m.backend->device_info(m.self, 0, &info), LOAM_OK);
    assert_string_equal(info.name, "openblas");
    assert_string_equal(info.isa, "scalar");
    assert_int_equal(info.host_memory, 1);
    close_machine(&m);
}

/* ---- the numbers ---- */

/* Sums of so many products of F32: Higham, Accuracy and Stability of Numerical Algorithms (2002),
 * section 4.2, with the square root of their number that random signs leave of it. */
static double allowed(size_t cols)
{
    return 4 * sqrt((double)cols) * 6e-8;
}

static void expect_near(const product *p, const float *y, uint32_t token)
{
    const loam__format *f = loam__format_find(p->type);
    float *row = malloc(p->cols * sizeof *row);
    for (size_t r = 0; r < p->rows; r++) {
        double sum = p->bias ? (double)p->bias_values[r] : 0, size = fabs(sum);
        f->decode(p->w + r * p->w_row_bytes, row, p->cols);
        for (size_t i = 0; i < p->cols; i++) {
            const double term = (double)row[i] * (double)p->x[token * p->cols + i];
            sum += term;
            size += fabs(term);
        }
        const double off = fabs(sum - (double)y[token * p->rows + r]);
        if (!(off <= allowed(p->cols) * size))
            fail_msg("%s, %zu x %zu, row %zu of token %u is off by %g of %g", f->name, p->rows,
                     p->cols, r, token, off, size);
    }
    free(row);
}

/* 64 tokens of a run and 21 that are none, on the best set, the weights packed and mapped. */
static void check_product(loam_format type, size_t rows, size_t cols, bool bias)
{
    static const piece step[] = {{0, 0, 0, RUN_TOKENS + 21}, {0}};
    product p;
    make_product(&p, type, rows, cols, rows * 1000 + cols);
    p.bias = bias;
    float *own = run_steps(&loam__backend_cpu, "", 1, 0, &p, step, 2);
    for (int mapped = 0; mapped < 2; mapped++) {
        p.mapped = mapped;
        float *y = run_steps(openblas(), "blas", 2, 0, &p, step, 2);
        for (uint32_t t = 0; t < RUN_TOKENS; t++)
            expect_near(&p, y, t);
        for (uint32_t t = RUN_TOKENS; t < step[0].n; t++)
            assert_true(same_row(&p, y, own, t));
        free(y);
    }
    free(own);
    free_product(&p);
}

static void test_products__are_right_in_every_format(void **state)
{
    (void)state;
    for (size_t i = 0; loam__format_at(i); i++) {
        const loam__format *f = loam__format_at(i);
        check_product(f->type, 1, f->block_values, false);
        check_product(f->type, 70, 512, true);
    }
}

static void test_products__are_right_where_a_row_has_several_tiles(void **state)
{
    (void)state;
    check_product(LOAM_TYPE_Q4_K, 130, 2304, false);
    check_product(LOAM_TYPE_Q8_0, 64, 1056, true);
    check_product(LOAM_TYPE_F16, 65, 1025, false);
    check_product(LOAM_TYPE_BF16, 128, 2048, false);
}

/* The kernels of the lowest set keep activations in F32; all others round those of Q4_0 to 8 bits,
 * so that what goes through OpenBLAS is told by its bits. */
static void test_products__of_whole_runs_go_through_openblas(void **state)
{
    static const piece step[] = {{0, 0, 10, 170}, {0}};
    product p;
    (void)state;
    make_product(&p, LOAM_TYPE_Q4_0, 128, 256, 3);
    float *own = run_steps(&loam__backend_cpu, "", 1, 0, &p, step, 2);
    float *y = run_steps(openblas(), "blas", 1, 0, &p, step, 2);
    for (uint32_t t = 0; t < step[0].n; t++)
        assert_int_equal(same_row(&p, y, own, t), t < 54 || t >= 118); /* not positions 64 to 127 */
    free(own);
    free(y);
    free_product(&p);
}

/* ---- the same bits ---- */

/* Rows 0 to 255 are the positions of one sequence, those behind belong to others. */
static const piece whole[] = {{0, 0, 0, 256}, {0}};
static const piece cut[] = {{0, 0, 0, 64}, {0}, {0, 64, 64, 128}, {0}, {0, 192, 192, 64}, {0}};
static const piece batched[] = {{1, 256, 7, 1},
                                {0, 0, 0, 128},
                                {2, 257, 63, 3},
                                {0},
                                {0, 128, 128, 128},
                                {3, 260, 1000, 40},
                                {0}};

static void expect_bits(const char *isa, product *p, const float *expected, const piece *pieces,
                        size_t n)
{
    static const uint32_t threads[] = {1, 2, 5, 20};
    for (size_t i = 0; i < 4; i++)
        for (uint32_t stops = 0; stops < 2; stops++) {
            float *y = run_steps(openblas(), isa, threads[i], stops, p, pieces, n);
            for (uint32_t t = 0; t < 256; t++)
                if (!same_row(p, y, expected, t))
                    fail_msg("%u threads, stops %u: other bits at token %u", threads[i], stops, t);
            free(y);
        }
}

static void test_bits__do_not_depend_on_threads_batch_or_cuts_between_runs(void **state)
{
    static const loam_format types[] = {LOAM_TYPE_Q4_0, LOAM_TYPE_F16};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        product p;
        make_product(&p, types[i], 200, 1280, 5);
        float *y = run_steps(openblas(), "blas", 1, 0, &p, whole, 2);
        expect_bits("blas", &p, y, whole, 2);
        expect_bits("blas", &p, y, cut, 6);
        expect_bits("blas", &p, y, batched, 7);
        free(y);
        free_product(&p);
    }
}

/* A cut run is the kernels', so its tokens have their bits. */
static void test_bits__of_a_run_that_is_cut_are_the_kernels(void **state)
{
    static const piece pieces[] = {{0, 0, 0, 100}, {0}, {0, 100, 100, 156}, {0}};
    product p;
    (void)state;
    make_product(&p, LOAM_TYPE_Q4_0, 128, 256, 6);
    float *own = run_steps(&loam__backend_cpu, "", 1, 0, &p, whole, 2);
    float *all = run_steps(openblas(), "blas", 1, 0, &p, whole, 2);
    float *y = run_steps(openblas(), "blas", 2, 0, &p, pieces, 4);
    for (uint32_t t = 0; t < 256; t++)
        assert_true(same_row(&p, y, t / RUN_TOKENS == 1 ? own : all, t));
    free(own);
    free(all);
    free(y);
    free_product(&p);
}

/* ---- the contest ---- */

typedef struct lines {
    int verdicts, others;
} lines;

static void count_lines(void *ctx, int32_t level, const char *text)
{
    lines *l = ctx;
    (void)level;
    *(strstr(text, "multiplies") ? &l->verdicts : &l->others) += 1;
}

static void test_contest__is_held_once_for_a_format_and_told_to_the_log(void **state)
{
    lines said = {0};
    loam_piece_memory memory = {.struct_size = sizeof memory}, again = memory;
    product p;
    machine m;
    (void)state;
    make_product(&p, LOAM_TYPE_Q4_0, 64, 256, 7);
    make_graph(&p);
    init_machine(&m, openblas(), "", 1);
    m.hooks.log = count_lines;
    m.hooks.log_ctx = &said;
    assert_int_equal(m.backend->open(&m.host, &m.self), LOAM_OK);
    assert_int_equal(said.verdicts, 0);
    assert_int_equal(m.backend->measure(m.self, 0, &p.graph, 0, 1, &memory), LOAM_OK);
    assert_int_equal(said.verdicts, 1);
    assert_int_equal(m.backend->measure(m.self, 0, &p.graph, 0, 1, &again), LOAM_OK);
    assert_int_equal(said.verdicts, 1);
    assert_int_equal(said.others, 1);
    assert_int_equal(memory.scratch_bytes, again.scratch_bytes);
    uint64_t n = 0;
    char kept[256];
    assert_int_equal(m.backend->cache_get(m.self, NULL, 0, &n), LOAM_OK);
    assert_in_range(n, 1, sizeof kept);
    assert_int_equal(m.backend->cache_get(m.self, kept, sizeof kept, &n), LOAM_OK);
    close_machine(&m);
    for (uint64_t bytes = n + 1; bytes-- > n - 1;) { /* whole: it is known; cut: held again */
        m.self = NULL;
        m.host.cache = kept;
        m.host.cache_bytes = bytes;
        said.verdicts = 0;
        assert_int_equal(m.backend->open(&m.host, &m.self), LOAM_OK);
        assert_int_equal(m.backend->measure(m.self, 0, &p.graph, 0, 1, &again), LOAM_OK);
        assert_int_equal(said.verdicts, bytes == n ? 0 : 1);
        close_machine(&m);
    }
    free_product(&p);
}

/* Whoever wins: the runs are all OpenBLAS's or all the kernels'. */
static void test_contest__decides_for_all_runs(void **state)
{
    static const char *const sets[] = {"", "scalar"};
    static const char *const forced[] = {"blas", "blas:scalar"};
    product p;
    (void)state;
    make_product(&p, LOAM_TYPE_Q4_0, 128, 256, 8);
    for (size_t i = 0; i < 2; i++) {
        float *own = run_steps(&loam__backend_cpu, sets[i], 1, 0, &p, whole, 2);
        float *all = run_steps(openblas(), forced[i], 1, 0, &p, whole, 2);
        float *y = run_steps(openblas(), sets[i], 2, 0, &p, whole, 2);
        assert_true(memcmp(y, own, 256 * p.rows * sizeof *y) == 0 ||
                    memcmp(y, all, 256 * p.rows * sizeof *y) == 0);
        free(own);
        free(all);
        free(y);
    }
    free_product(&p);
}

/* ---- memory ---- */

static void test_open__survives_every_failed_allocation(void **state)
{
    static const char *const sets[] = {"", "blas"};
    product p;
    (void)state;
    make_product(&p, LOAM_TYPE_Q4_0, 64, 256, 9);
    for (size_t i = 0; i < 2; i++) {
        loam_status st = LOAM_ERR_NOMEM;
        for (size_t n = 1; st == LOAM_ERR_NOMEM; n++) {
            fault_heap heap = {.fail_at = n};
            machine m;
            init_machine(&m, openblas(), sets[i], 2);
            m.hooks.alloc = fault_alloc;
            m.hooks.alloc_ctx = &heap;
            st = open_machine(&m, &p);
            assert_true(st == LOAM_OK || st == LOAM_ERR_NOMEM);
            close_machine(&m);
            assert_int_equal(heap.live_bytes, 0);
        }
    }
    free_product(&p);
}

static void test_run__allocates_nothing(void **state)
{
    fault_heap heap = {0};
    product p;
    machine m;
    (void)state;
    make_product(&p, LOAM_TYPE_Q4_0, 64, 256, 10);
    init_machine(&m, openblas(), "blas", 2);
    m.hooks.alloc = fault_alloc;
    m.hooks.alloc_ctx = &heap;
    assert_int_equal(open_machine(&m, &p), LOAM_OK);
    const size_t calls = heap.calls;
    float *y = outputs(&p);
    heap.fail_at = 1;
    run_pieces(&m, &p, whole, 1, 0, y);
    assert_int_equal(heap.calls, calls);
    close_machine(&m);
    free(y);
    free_product(&p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_module__gives_its_backend),
    cmocka_unit_test(test_module__leaves_a_core_of_another_abi_alone),
    cmocka_unit_test(test_open__says_which_instruction_sets_there_are),
    cmocka_unit_test(test_device__says_what_is_in_use),
    cmocka_unit_test(test_products__are_right_in_every_format),
    cmocka_unit_test(test_products__are_right_where_a_row_has_several_tiles),
    cmocka_unit_test(test_products__of_whole_runs_go_through_openblas),
    cmocka_unit_test(test_bits__do_not_depend_on_threads_batch_or_cuts_between_runs),
    cmocka_unit_test(test_bits__of_a_run_that_is_cut_are_the_kernels),
    cmocka_unit_test(test_contest__is_held_once_for_a_format_and_told_to_the_log),
    cmocka_unit_test(test_contest__decides_for_all_runs),
    cmocka_unit_test(test_open__survives_every_failed_allocation),
    cmocka_unit_test(test_run__allocates_nothing),
};

RUN(tests)
