/* Structs of hosts that are newer than the library: larger, so with a tail that it does not know.
 * "A field moves and every binding breaks". What goes in is taken when the tail is zero, and
 * refused when something is set there; what comes out has a tail of zeros. tests/house/check.py
 * sees that each struct with an initialiser stands here. */
#define _POSIX_C_SOURCE 200809L
#include "models.h"

#include <loam/gguf.h>
#include <loam/plan.h>
#include <loam/quant.h>
#include <loam/queue.h>

#define MODEL OWN("tiny-llama.gguf")

enum { TAIL = 24, MOST = 512 };

static loam *m;
static loam_queue *q;
static loam_reader *reader;
static loam_gguf *gguf;
static loam_plan *plan; /* that does not fit, so that it has changes too */

static int open_all(void **state)
{
    loam_options options;
    (void)state;
    m = load_model(MODEL, (model_options){.flags = LOAM_LOAD_PROFILE});
    assert_int_equal(loam_prefill(m, 0, &(loam_token){1}, 1), LOAM_OK);
    assert_int_equal(loam_queue_open(m, NULL, &q), LOAM_OK);
    assert_int_equal(loam_reader_open(m, "{\"messages\": []}", 16, &reader), LOAM_OK);
    assert_int_equal(loam_gguf_open(MODEL, NULL, &gguf), LOAM_OK);
    loam_options_init(&options);
    options.sequences = 64; /* fewer would fit */
    options.memory_limit_bytes = 2000000;
    assert_int_equal(loam_plan_file(MODEL, &options, &plan), LOAM_ERR_NOFIT);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    loam_plan_free(plan);
    loam_gguf_close(gguf);
    loam_reader_close(reader);
    loam_queue_close(q);
    loam_free(m);
    return 0;
}

/* Use a struct as one of its kind is used; what the call says of it. */
typedef loam_status use(void *s);
typedef void init(void *s);

static loam_status load_with(loam_options *options)
{
    loam *other;
    loam_status st = loam_load(MODEL, options, &other);
    loam_free(other);
    return st;
}

static loam_status use_options(void *s)
{
    return load_with(s);
}

static loam_status use_hooks(void *s)
{
    loam_options options;
    loam_options_init(&options);
    options.hooks = s;
    return load_with(&options);
}

static loam_status use_device(void *s)
{
    const loam_device *device = s;
    loam_options options;
    ((loam_device *)s)->backend = "cpu";
    loam_options_init(&options);
    options.devices = &device;
    options.n_devices = 1;
    return load_with(&options);
}

static loam_status use_source(void *s)
{
    loam_source *source = s;
    size_t n;
    loam *other;
    char *bytes = read_file(MODEL, &n);
    source->data = bytes;
    source->size_bytes = n;
    loam_status st = loam_load_sources(&(const loam_source *){source}, 1, NULL, &other);
    loam_free(other);
    free(bytes);
    return st;
}

static loam_status use_sampling(void *s)
{
    return loam_seq_sampling(m, 0, s);
}

static loam_status use_stream(void *s)
{
    char text[64];
    size_t n;
    return loam_stream_push(m, s, 20, text, sizeof text, &n);
}

static loam_status use_queue_options(void *s)
{
    loam_queue *other;
    loam_status st = loam_queue_open(m, s, &other);
    loam_queue_close(other);
    return st;
}

static loam_status use_submission(void *s)
{
    loam_submission *submission = s;
    uint64_t request;
    submission->tokens = &(loam_token){1};
    submission->n_tokens = 1;
    return loam_queue_submit(q, submission, &request);
}

static loam_status use_geometry(void *s)
{
    loam_plan_geometry *geometry = s;
    loam_plan *other;
    geometry->layers = 2;
    geometry->parameters = 1e6;
    geometry->bits_per_weight = 4;
    loam_status st = loam_plan_describe(geometry, NULL, &other);
    loam_plan_free(other);
    return st;
}

static loam_status use_machine(void *s)
{
    loam_plan *other;
    loam_status st = loam_plan_place_file(MODEL, NULL, s, &other);
    loam_plan_free(other);
    return st;
}

static loam_status use_target(void *s)
{
    loam_plan_target *target = s;
    loam_plan_machine machine;
    target->memory_bytes = (uint64_t)1 << 30;
    target->bandwidth_bytes_s = 1e9;
    target->name = "a card";
    loam_plan_machine_init(&machine);
    machine.targets = &(const loam_plan_target *){target};
    machine.n_targets = 1;
    return use_machine(&machine);
}

static loam_status use_info(void *s)
{
    return loam_get_info(m, s);
}

static loam_status use_usage(void *s)
{
    return loam_get_usage(m, s);
}

static loam_status use_profile(void *s)
{
    return loam_profile_get(m, 0, s);
}

static loam_status use_event(void *s)
{
    return loam_queue_next(q, s);
}

static loam_status use_stats(void *s)
{
    return loam_queue_get_stats(q, s);
}

static loam_status use_read_event(void *s)
{
    return loam_reader_next(reader, s);
}

static loam_status use_meta(void *s)
{
    return loam_gguf_get_meta(gguf, 0, s);
}

static loam_status use_tensor(void *s)
{
    return loam_gguf_get_tensor(gguf, 0, s);
}

static loam_status use_format_info(void *s)
{
    return loam_format_describe(LOAM_TYPE_Q4_K, s);
}

static loam_status use_quality(void *s)
{
    return loam_quality_get(0, s);
}

static loam_status use_totals(void *s)
{
    return loam_plan_get_totals(plan, s);
}

static loam_status use_plan_device(void *s)
{
    return loam_plan_get_device(plan, 0, s);
}

static loam_status use_area(void *s)
{
    return loam_plan_get_area(plan, 0, s);
}

static loam_status use_bound(void *s)
{
    return loam_plan_get_bound(plan, 0, 1e9, s);
}

static loam_status use_change(void *s)
{
    return loam_plan_get_change(plan, 0, s);
}

typedef struct row {
    const char *name;
    size_t size;
    init *start;
    use *call;
} row;

#define ROW(name, call)                                                                            \
    {                                                                                              \
#name, sizeof(name), (init *)name##_init, call                                             \
    }

static const row inputs[] = {
    ROW(loam_options, use_options),
    ROW(loam_hooks, use_hooks),
    ROW(loam_device, use_device),
    ROW(loam_source, use_source),
    ROW(loam_sampling, use_sampling),
    ROW(loam_stream, use_stream),
    ROW(loam_queue_options, use_queue_options),
    ROW(loam_submission, use_submission),
    ROW(loam_plan_geometry, use_geometry),
    ROW(loam_plan_machine, use_machine),
    ROW(loam_plan_target, use_target),
};

static const row outputs[] = {
    ROW(loam_info, use_info),
    ROW(loam_usage, use_usage),
    ROW(loam_profile, use_profile),
    ROW(loam_queue_event, use_event),
    ROW(loam_queue_stats, use_stats),
    ROW(loam_read_event, use_read_event),
    ROW(loam_gguf_meta, use_meta),
    ROW(loam_gguf_tensor, use_tensor),
    ROW(loam_format_info, use_format_info),
    ROW(loam_quality, use_quality),
    ROW(loam_plan_totals, use_totals),
    ROW(loam_plan_device, use_plan_device),
    ROW(loam_plan_area, use_area),
    ROW(loam_plan_bound, use_bound),
    ROW(loam_plan_change, use_change),
};

/* The struct as a newer host has it: with a tail of these bytes. */
typedef union future {
    max_align_t aligned;
    uint32_t struct_size;
    unsigned char bytes[MOST];
} future;

static future grown(const row *r, int tail)
{
    future f;
    assert_true(r->size + TAIL <= MOST);
    memset(&f, 0, sizeof f);
    r->start(&f);
    assert_int_equal(f.struct_size, r->size);
    f.struct_size = (uint32_t)(r->size + TAIL);
    memset(f.bytes + r->size, tail, TAIL);
    return f;
}

static void expect(const row *r, loam_status st, loam_status wanted)
{
    if (st != wanted)
        fail_msg("%s: %s, wanted %s", r->name, loam_status_name(st), loam_status_name(wanted));
}

static void test_input__tail_of_zeros_is_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        future f = grown(&inputs[i], 0);
        expect(&inputs[i], inputs[i].call(&f), LOAM_OK);
    }
}

static void test_input__tail_that_is_set_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        future f = grown(&inputs[i], 0);
        f.bytes[inputs[i].size + TAIL - 1] = 1;
        expect(&inputs[i], inputs[i].call(&f), LOAM_ERR_NEWER);
    }
}

static void test_output__tail_becomes_zeros(void **state)
{
    static const unsigned char zeros[TAIL];
    (void)state;
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        const row *r = &outputs[i];
        future f = grown(r, 0xff);
        expect(r, r->call(&f), LOAM_OK);
        assert_int_equal(f.struct_size, r->size + TAIL);
        assert_memory_equal(f.bytes + r->size, zeros, TAIL);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_input__tail_of_zeros_is_taken),
    cmocka_unit_test(test_input__tail_that_is_set_is_refused),
    cmocka_unit_test(test_output__tail_becomes_zeros),
};

int main(void)
{
    return cmocka_run_group_tests(tests, open_all, close_all);
}
