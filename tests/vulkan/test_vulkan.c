/* The Vulkan module, op by op, on every device that it finds: against the CPU's scalar kernels. */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "rig.h"

static const loam_backend *backend; /* the module's */
static rig *devices[8];             /* a rig on each device of one opened backend */
static uint32_t n_devices;
static rig cpu;

static loam_hooks no_hooks(void)
{
    loam_hooks hooks;
    loam_hooks_init(&hooks);
    return hooks;
}

static int open_module(void **state)
{
    const loam_backend_core core = {.struct_size = sizeof core,
                                    .abi_oldest = LOAM_BACKEND_ABI_OLDEST,
                                    .abi_version = LOAM_BACKEND_ABI,
                                    .cpu = &loam__backend_cpu};
    static rig rigs[8];
    void *module = dlopen(LOAM_VULKAN_MODULE, RTLD_NOW | RTLD_LOCAL);
    (void)state;
    if (!module) fail_msg("%s", dlerror());
    loam_backend_module_fn *entry;
    *(void **)&entry = dlsym(module, LOAM_BACKEND_MODULE);
    assert_non_null(entry);
    backend = entry(&core);
    assert_non_null(backend);
    open_rig(&cpu, &loam__backend_cpu, "scalar", no_hooks());
    open_rig(&rigs[0], backend, "", no_hooks());
    n_devices = backend->device_count(rigs[0].self);
    for (uint32_t i = 0; i < n_devices; i++) {
        rigs[i] = rigs[0];
        rigs[i].device = i;
        devices[i] = &rigs[i];
    }
    return 0;
}

static int close_module(void **state)
{
    (void)state;
    backend->close(devices[0]->self);
    cpu.b->close(cpu.self);
    return 0;
}

static void compare(const rig *r, const sketch *s, loam__v value, uint32_t rows, double limit,
                    const char *what)
{
    const uint64_t n = rows * s->g.values[value].cols;
    float *want = take_rows(&cpu, s, value, rows), *got = take_rows(r, s, value, rows);
    double most = 1;
    for (uint64_t i = 0; i < n; i++)
        if (fabs((double)want[i]) > most) most = fabs((double)want[i]);
    for (uint64_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= limit * most))
            fail_msg("device %u, %s: number %llu of %llu is %.9g, scalar %.9g (most %g)", r->device,
                     what, (unsigned long long)i, (unsigned long long)n, (double)got[i],
                     (double)want[i], most);
    free(want);
    free(got);
}

/* Run steps of some widths on all devices and compare a value. */
static void check_widths(sketch *s, loam__v value, double limit, const char *what)
{
    static const uint32_t widths[] = {1, 2, 4, 5, 9, 33};
    end_sketch(s);
    load_sketch(&cpu, s);
    for (uint32_t i = 0; i < n_devices; i++)
        load_sketch(devices[i], s);
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        step_data d;
        begin_step(&d);
        if (widths[w] > s->g.max_tokens) break;
        add_tokens(&d, &s->random, 0, (int32_t)(7 * w), widths[w]);
        d.step.n_outputs = (widths[w] + 1) / 2;
        for (uint32_t i = 0; i < d.step.n_outputs; i++)
            d.outputs[i] = (int32_t)(2 * i);
        const bool outputs = s->g.values[value].row_count == LOAM_ROWS_OUTPUTS;
        run_rig(&cpu, &d.step);
        for (uint32_t i = 0; i < n_devices; i++) {
            run_rig(devices[i], &d.step);
            compare(devices[i], s, value, outputs ? d.step.n_outputs : d.step.n_tokens, limit,
                    what);
        }
    }
    for (uint32_t i = 0; i < n_devices; i++)
        unload_sketch(devices[i]);
    unload_sketch(&cpu);
    free_sketch(s);
}

/* ---- weights ---- */

static void test_embed__gives_the_rows_of_every_format(void **state)
{
    const loam__format *f;
    (void)state;
    for (size_t i = 0; (f = loam__format_at(i)); i++) {
        sketch s;
        begin_sketch(&s, i, 9);
        loam__v table = add_weight(&s, f->type, 131, f->block_values == 1 ? 75 : 256);
        check_widths(&s, loam__op_embed(&s.g, table, 3), 0, f->name);
    }
}

static void check_product(loam_format type, uint64_t rows, uint64_t cols, bool bias)
{
    const loam__format *f = loam__format_find(type);
    sketch s;
    begin_sketch(&s, (uint64_t)type + rows, 33);
    loam__v x = add_input(&s, cols), w = add_weight(&s, type, rows, cols);
    loam__v y = loam__op_matmul(&s.g, w, x, bias ? add_constant(&s, rows) : -1);
    check_widths(&s, y, 5e-6, f->name);
}

static void test_matmul__multiplies_every_format(void **state)
{
    const loam__format *f;
    (void)state;
    for (size_t i = 0; (f = loam__format_at(i)); i++)
        check_product(f->type, 77, f->block_values == 1 ? 300 : 768, i % 2);
}

static void test_matmul__takes_odd_shapes(void **state)
{
    static const loam_format types[] = {LOAM_TYPE_F32, LOAM_TYPE_F16, LOAM_TYPE_BF16};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        check_product(types[i], 1, 1, false);
        check_product(types[i], 3, 31, true);
        check_product(types[i], 65, 33, false);
        check_product(types[i], 128, 257, true);
    }
    check_product(LOAM_TYPE_Q4_0, 1, 32, false);
    check_product(LOAM_TYPE_Q8_0, 191, 96, true);
    check_product(LOAM_TYPE_MXFP4, 67, 64, true);
    check_product(LOAM_TYPE_Q6_K, 5, 256, false);
    check_product(LOAM_TYPE_Q4_1, 576, 1536, false);
}

/* ---- row by row ---- */

static void test_norm__norms_whole_rows_and_heads(void **state)
{
    (void)state;
    static const uint64_t shapes[][2] = {{576, 576}, {75, 75}, {256, 64}, {1, 1}, {1030, 1030}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        sketch s;
        begin_sketch(&s, i, 33);
        loam__v x = add_input(&s, shapes[i][0]), w = add_constant(&s, shapes[i][1]);
        check_widths(&s, loam__op_rms_norm(&s.g, x, w, 1e-3f), 1e-6, "norm");
    }
}

static void test_elementwise__adds_activates_and_caps(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        sketch s;
        begin_sketch(&s, (uint64_t)i, 33);
        loam__v a = add_input(&s, 301), b = add_input(&s, 301), y = -1;
        if (i == 0) y = loam__op_add(&s.g, a, b);
        if (i == 1) y = loam__op_glu(&s.g, a, b, LOAM_ACT_SILU);
        if (i == 2) y = loam__op_glu(&s.g, a, b, LOAM_ACT_GELU_TANH);
        if (i == 3) y = loam__op_softcap(&s.g, a, 2.5f);
        if (i == 4) y = loam__op_pick_rows(&s.g, b);
        check_widths(&s, y, i == 0 || i == 4 ? 0 : 2e-6, "elementwise");
    }
}

static void test_rope__turns_pairs_and_halves(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        sketch s;
        begin_sketch(&s, (uint64_t)i, 33);
        loam__rope_shape shape = {.style = i % 2 ? LOAM_ROPE_PAIRS : LOAM_ROPE_HALVES,
                                  .heads = 3,
                                  .head_values = 40,
                                  .rotary_values = i < 2 ? 40 : 26,
                                  .step = 0.7f,
                                  .magnitude = 1.25f};
        loam__v x = add_input(&s, 120), scales = add_constant(&s, shape.rotary_values / 2);
        check_widths(&s, loam__op_rope(&s.g, x, scales, shape), 1e-6, "rope");
    }
}

/* ---- the KV cache ---- */

typedef struct cache_case {
    loam_format k, v;
    bool transposed;
    uint32_t heads, kv_heads, k_values, v_values, block_tokens, window;
    float softcap;
} cache_case;

static loam__v add_cache(sketch *s, const cache_case *c)
{
    const loam__cells_shape k = {c->k,
                                 c->kv_heads,
                                 c->k_values,
                                 c->block_tokens,
                                 c->window != 0,
                                 c->transposed,
                                 STEP_TABLES * STEP_BLOCKS};
    const loam__cells_shape v = {c->v,
                                 c->kv_heads,
                                 c->v_values,
                                 c->block_tokens,
                                 c->window != 0,
                                 false,
                                 STEP_TABLES * STEP_BLOCKS};
    const loam__attention_shape shape = {c->heads,
                                         c->kv_heads,
                                         c->k_values,
                                         c->v_values,
                                         c->block_tokens,
                                         c->window,
                                         1 / sqrtf((float)c->k_values),
                                         c->softcap};
    loam__v q = add_input(s, (uint64_t)c->heads * c->k_values);
    loam__v keys = loam__graph_cells(&s->g, k), values = loam__graph_cells(&s->g, v);
    loam__op_kv_write(&s->g, add_input(s, (uint64_t)c->kv_heads * c->k_values), keys, c->kv_heads,
                      c->block_tokens);
    loam__op_kv_write(&s->g, add_input(s, (uint64_t)c->kv_heads * c->v_values), values, c->kv_heads,
                      c->block_tokens);
    return loam__op_attention(&s->g, q, keys, values, shape);
}

/* The cells that were written, bit by bit. */
static void compare_cells(const rig *r, const sketch *s, const char *what)
{
    const uint64_t n = s->arena_bytes[CELLS];
    uint8_t *want = malloc(n), *got = malloc(n);
    assert_true(want && got);
    good(cpu.b->download(cpu.self, cpu.arenas[CELLS], 0, want, n));
    good(r->b->download(r->self, r->arenas[CELLS], 0, got, n));
    for (uint64_t i = 0; i < n; i++)
        if (want[i] != got[i])
            fail_msg("device %u, %s: byte %llu of the cells is %u, scalar %u", r->device, what,
                     (unsigned long long)i, got[i], want[i]);
    free(want);
    free(got);
}

/* Two sequences side by side, over three steps. */
static void check_cache(const cache_case *c, const char *what)
{
    static const struct {
        uint32_t n;
        int32_t from;
    } parts[3][2] = {{{70, 0}, {9, 0}}, {{1, 70}, {40, 9}}, {{1, 71}, {1, 49}}};
    sketch s;
    begin_sketch(&s, 5, 128);
    loam__v y = add_cache(&s, c);
    end_sketch(&s);
    load_sketch(&cpu, &s);
    for (uint32_t i = 0; i < n_devices; i++)
        load_sketch(devices[i], &s);
    for (int part = 0; part < 3; part++) {
        step_data d;
        begin_step(&d);
        add_tokens(&d, &s.random, 2, parts[part][0].from, parts[part][0].n);
        add_tokens(&d, &s.random, 1, parts[part][1].from, parts[part][1].n);
        run_rig(&cpu, &d.step);
        for (uint32_t i = 0; i < n_devices; i++) {
            run_rig(devices[i], &d.step);
            compare(devices[i], &s, y, d.step.n_tokens, 5e-6, what);
        }
    }
    for (uint32_t i = 0; i < n_devices; i++) {
        compare_cells(devices[i], &s, what);
        unload_sketch(devices[i]);
    }
    unload_sketch(&cpu);
    free_sketch(&s);
}

static void test_attention__reads_every_type_of_cells(void **state)
{
    static const loam_format types[] = {LOAM_TYPE_F32, LOAM_TYPE_F16, LOAM_TYPE_BF16,
                                        LOAM_TYPE_Q8_0, LOAM_TYPE_Q4_0};
    (void)state;
    for (size_t i = 0; i < 5; i++)
        for (int transposed = 0; transposed < (i < 3 ? 2 : 1); transposed++) {
            const cache_case c = {types[i], types[(i + 2) % 5], transposed, 6, 2, 64, 32, 16, 0, 0};
            check_cache(&c, loam__format_find(types[i])->name);
        }
}

static void test_attention__takes_windows_caps_and_odd_heads(void **state)
{
    static const cache_case cases[] = {
        {LOAM_TYPE_F16, LOAM_TYPE_F16, true, 4, 1, 64, 64, 16, 20, 0},
        {LOAM_TYPE_F32, LOAM_TYPE_F32, false, 4, 4, 30, 18, 8, 7, 3.5f},
        {LOAM_TYPE_F16, LOAM_TYPE_Q8_0, true, 2, 1, 256, 256, 32, 0, 5},
        {LOAM_TYPE_BF16, LOAM_TYPE_F16, false, 3, 1, 16, 200, 16, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_cache(&cases[i], "a case of attention");
}

/* ---- what a step's result depends on ---- */

/* A token's result has the same bits alone and among others. */
static void test_matmul__gives_the_same_bits_at_every_width(void **state)
{
    static const loam_format types[] = {LOAM_TYPE_F32, LOAM_TYPE_Q4_1, LOAM_TYPE_Q4_K,
                                        LOAM_TYPE_Q6_K, LOAM_TYPE_Q8_0};
    (void)state;
    for (size_t f = 0; f < sizeof types / sizeof *types; f++) {
        sketch s;
        begin_sketch(&s, f, 40);
        loam__v x = add_input(&s, 768), w = add_weight(&s, types[f], 200, 768);
        loam__v y = loam__op_matmul(&s.g, w, x, -1);
        end_sketch(&s);
        for (uint32_t i = 0; i < n_devices; i++) {
            step_data d;
            rig *r = devices[i];
            load_sketch(r, &s);
            begin_step(&d);
            add_tokens(&d, &s.random, 0, 0, 37);
            run_rig(r, &d.step);
            float *all = take_rows(r, &s, y, 37);
            for (uint32_t t = 0; t < 37; t += 4) {
                d.step.n_tokens = 1 + t % 3;
                d.step.tokens = d.tokens + t;
                run_rig(r, &d.step);
                float *some = take_rows(r, &s, y, d.step.n_tokens);
                assert_memory_equal(some, all + t * 200, d.step.n_tokens * 200 * sizeof *some);
                free(some);
            }
            free(all);
            unload_sketch(r);
        }
        free_sketch(&s);
    }
}

/* ---- the device ---- */

static void test_device__tells_its_name_and_memory(void **state)
{
    (void)state;
    assert_true(n_devices > 0);
    for (uint32_t i = 0; i < n_devices; i++) {
        loam_device_info info = {.struct_size = sizeof info};
        good(backend->device_info(devices[i]->self, i, &info));
        assert_true(info.name[0] != 0 && info.memory_bytes > 0);
        assert_true(info.available_bytes <= info.memory_bytes);
        assert_int_equal(info.host_memory, 0);
        print_message("device %u: %s, %llu of %llu bytes\n", i, info.name,
                      (unsigned long long)info.available_bytes,
                      (unsigned long long)info.memory_bytes);
    }
}

/* ---- failures ---- */

static void test_open__survives_every_failed_allocation(void **state)
{
    loam_status st = LOAM_ERR_NOMEM;
    (void)state;
    for (size_t n = 1; st == LOAM_ERR_NOMEM; n++) {
        fault_heap heap = {.fail_at = n};
        loam_hooks hooks = no_hooks();
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = &heap;
        loam_backend_host host = {.struct_size = sizeof host,
                                  .threads = 1,
                                  .hooks = &hooks,
                                  .isa = "",
                                  .fail = take_failure};
        void *self = NULL;
        last_failure[0] = 0;
        st = backend->open(&host, &self);
        assert_true(st == LOAM_OK || (st == LOAM_ERR_NOMEM && last_failure[0]));
        backend->close(self);
        assert_int_equal(heap.live_bytes, 0);
    }
    assert_int_equal(st, LOAM_OK);
}

static void test_arena__that_is_too_large_is_refused_with_the_numbers(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < n_devices; i++) {
        loam_device_info before = {.struct_size = sizeof before}, after = before;
        void *arena = NULL;
        good(backend->device_info(devices[i]->self, i, &before));
        assert_int_equal(
            backend->arena_new(devices[i]->self, i, LOAM_ARENA_KV, (uint64_t)1 << 42, NULL, &arena),
            LOAM_ERR_NOMEM);
        assert_null(arena);
        assert_non_null(strstr(last_failure, "4398046511104"));
        good(backend->device_info(devices[i]->self, i, &after));
        assert_true(before.available_bytes == after.available_bytes);
    }
}

/* As where no memory of a device can be mapped: all goes by way of the staging memory. */
static void test_staging__moves_what_cannot_be_mapped(void **state)
{
    rig r;
    sketch s;
    step_data d;
    (void)state;
    begin_sketch(&s, 3, 9);
    loam__v x = add_input(&s, 96), w = add_weight(&s, LOAM_TYPE_Q8_0, 150, 96);
    loam__v y = loam__op_matmul(&s.g, w, x, add_constant(&s, 150));
    end_sketch(&s);
    begin_step(&d);
    add_tokens(&d, &s.random, 0, 0, 9);
    load_sketch(&cpu, &s);
    run_rig(&cpu, &d.step);
    open_rig(&r, backend, "staged", no_hooks());
    load_sketch(&r, &s);
    assert_null(backend->arena_memory(r.self, r.arenas[ACTIVATIONS]));
    run_rig(&r, &d.step);
    compare(&r, &s, y, 9, 5e-6, "staged");
    unload_sketch(&r);
    backend->close(r.self);
    unload_sketch(&cpu);
    free_sketch(&s);
}

static int32_t stop_at_once(void *ctx)
{
    ++*(int *)ctx;
    return LOAM_ERR_CANCELLED;
}

/* A step that is stopped goes on from where it was, to the same result. */
static void test_run__stops_when_asked_and_goes_on(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < n_devices; i++) {
        rig *r = devices[i];
        sketch s;
        step_data d;
        int asked = 0;
        uint64_t position = 0;
        begin_sketch(&s, 4, 9);
        loam__v x = add_input(&s, 64);
        loam__v y = loam__op_matmul(&s.g, add_weight(&s, LOAM_TYPE_F32, 64, 64), x, -1);
        end_sketch(&s);
        begin_step(&d);
        add_tokens(&d, &s.random, 0, 0, 9);
        load_sketch(&cpu, &s);
        run_rig(&cpu, &d.step);
        load_sketch(r, &s);
        d.step.should_stop = stop_at_once;
        d.step.stop_ctx = &asked;
        assert_int_equal(backend->run(r->self, r->program, &d.step, &position), LOAM_ERR_CANCELLED);
        assert_true(asked > 0);
        d.step.should_stop = NULL;
        good(backend->run(r->self, r->program, &d.step, &position));
        compare(r, &s, y, 9, 5e-6, "stopped");
        unload_sketch(r);
        unload_sketch(&cpu);
        free_sketch(&s);
    }
}

/* What is kept of compiled kernels opens again, and so do bytes that were spoilt. */
static void test_cache__is_taken_back_and_harmless_when_spoilt(void **state)
{
    uint64_t n = 0, wrote = 0;
    (void)state;
    good(backend->cache_get(devices[0]->self, NULL, 0, &n));
    uint8_t *bytes = malloc(n + 1);
    assert_non_null(bytes);
    good(backend->cache_get(devices[0]->self, bytes, n, &wrote));
    assert_true(wrote > 0 && wrote <= n);
    for (int spoilt = 0; spoilt < 3; spoilt++) {
        loam_hooks hooks = no_hooks();
        loam_backend_host host = {.struct_size = sizeof host,
                                  .threads = 1,
                                  .hooks = &hooks,
                                  .isa = "",
                                  .fail = take_failure,
                                  .cache = bytes,
                                  .cache_bytes = spoilt == 2 ? wrote / 2 : wrote};
        void *self = NULL;
        if (spoilt == 1) bytes[wrote / 2] ^= 0x55;
        good(backend->open(&host, &self));
        backend->close(self);
    }
    free(bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_open__survives_every_failed_allocation),
    cmocka_unit_test(test_arena__that_is_too_large_is_refused_with_the_numbers),
    cmocka_unit_test(test_staging__moves_what_cannot_be_mapped),
    cmocka_unit_test(test_run__stops_when_asked_and_goes_on),
    cmocka_unit_test(test_cache__is_taken_back_and_harmless_when_spoilt),
    cmocka_unit_test(test_device__tells_its_name_and_memory),
    cmocka_unit_test(test_embed__gives_the_rows_of_every_format),
    cmocka_unit_test(test_matmul__multiplies_every_format),
    cmocka_unit_test(test_matmul__takes_odd_shapes),
    cmocka_unit_test(test_matmul__gives_the_same_bits_at_every_width),
    cmocka_unit_test(test_norm__norms_whole_rows_and_heads),
    cmocka_unit_test(test_elementwise__adds_activates_and_caps),
    cmocka_unit_test(test_rope__turns_pairs_and_halves),
    cmocka_unit_test(test_attention__reads_every_type_of_cells),
    cmocka_unit_test(test_attention__takes_windows_caps_and_odd_heads),
};

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, open_module, close_module);
}
