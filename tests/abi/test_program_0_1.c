/* A program of version 0.1: it knows the structs and calls of then, from loam_0_1.h, and runs
 * against the shared library of today. */
#define _POSIX_C_SOURCE 200809L
#include "../test.h"
#include "loam_0_1.h"

#define MODEL LOAM_TEST_DATA "/tiny-llama.gguf"

static loam *load(const loam_hooks *hooks)
{
    loam_options options;
    loam *m;
    loam_options_init(&options);
    options.isa = "scalar";
    options.threads = 2;
    options.context_tokens = 64;
    options.sequences = 2;
    options.hooks = hooks;
    if (loam_load(MODEL, &options, &m) != LOAM_OK) fail_msg("%s", loam_error(m));
    return m;
}

typedef void init(void *s);

/* An initialiser must not write behind what the program of then made room for. */
static void test_init__writes_no_byte_behind_the_struct(void **state)
{
    const struct {
        const char *name;
        size_t size;
        init *start;
    } all[] = {
#define STRUCT(name) {#name, sizeof(name), (init *)name##_init}
        STRUCT(loam_options),      STRUCT(loam_hooks),         STRUCT(loam_device),
        STRUCT(loam_source),       STRUCT(loam_info),          STRUCT(loam_stream),
        STRUCT(loam_usage),        STRUCT(loam_profile),       STRUCT(loam_sampling),
        STRUCT(loam_gguf_meta),    STRUCT(loam_gguf_tensor),   STRUCT(loam_format_info),
        STRUCT(loam_quality),      STRUCT(loam_plan_geometry), STRUCT(loam_plan_target),
        STRUCT(loam_plan_machine), STRUCT(loam_plan_totals),   STRUCT(loam_plan_device),
        STRUCT(loam_plan_area),    STRUCT(loam_plan_bound),    STRUCT(loam_plan_change),
        STRUCT(loam_submission),   STRUCT(loam_queue_options), STRUCT(loam_queue_event),
        STRUCT(loam_queue_stats),
    };
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        union {
            max_align_t aligned;
            uint32_t struct_size;
            unsigned char bytes[512];
        } room;
        memset(&room, 0xaa, sizeof room);
        all[i].start(&room);
        if (room.struct_size != all[i].size)
            fail_msg("%s has %u bytes now", all[i].name, room.struct_size);
        for (size_t b = all[i].size; b < sizeof room; b++)
            assert_int_equal(room.bytes[b], 0xaa);
    }
}

static void test_generation__as_then(void **state)
{
    fault_heap heap = {0};
    loam_hooks hooks;
    loam_info info;
    loam_usage usage;
    loam_sampling sampling;
    loam_stream stream;
    loam_token tokens[64], next;
    loam_seq seqs[2] = {0};
    char text[64];
    size_t n, bytes;
    (void)state;
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = &heap;
    loam *m = load(&hooks);
    loam_info_init(&info);
    assert_int_equal(loam_get_info(m, &info), LOAM_OK);
    assert_int_equal(info.vocabulary_tokens, 298);
    assert_int_equal(info.context_tokens, 64);
    assert_int_equal(info.sequences, 2);
    assert_int_equal(info.bos, 1);
    assert_string_equal(info.architecture, "llama");
    assert_string_equal(info.isa, "scalar");
    assert_non_null(info.chat_template);

    assert_int_equal(loam_tokenize(m, "the rain", 8, LOAM_TOKENIZE_SPECIAL, tokens, 64, &n),
                     LOAM_OK);
    assert_int_equal(n, 8);
    assert_int_equal(loam_prefill(m, 0, tokens, n), LOAM_OK);
    loam_sampling_init(&sampling);
    sampling.temperature = 0.8f;
    sampling.seed = 42;
    assert_int_equal(loam_seq_sampling(m, 0, &sampling), LOAM_OK);
    assert_int_equal(loam_seq_fork(m, 0, &seqs[1]), LOAM_OK);
    assert_int_equal(loam_seq_sampling(m, seqs[1], &sampling), LOAM_OK);
    loam_stream_init(&stream);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(loam_sample(m, 0, &next), LOAM_OK);
        assert_int_equal(loam_sample(m, seqs[1], &tokens[1]), LOAM_OK);
        assert_int_equal(next, tokens[1]);
        tokens[0] = next;
        assert_int_equal(loam_decode(m, seqs, tokens, 2), LOAM_OK);
        assert_int_equal(loam_stream_push(m, &stream, next, text, sizeof text, &bytes), LOAM_OK);
    }
    assert_non_null(loam_logits(m, 0));
    loam_usage_init(&usage);
    assert_int_equal(loam_get_usage(m, &usage), LOAM_OK);
    assert_int_equal(usage.sequences, 2);
    assert_int_equal(usage.tokens_computed, n + 16);
    assert_int_equal(loam_seq_close(m, seqs[1]), LOAM_OK);
    assert_int_equal(loam_prefill(m, 1, tokens, 1), LOAM_ERR_SEQ);
    assert_string_equal(loam_status_name(LOAM_ERR_SEQ), "LOAM_ERR_SEQ");
    loam_free(m);
    assert_int_equal(heap.live_bytes, 0);
}

static int32_t read_model(void *file, uint64_t offset, void *buffer, size_t n)
{
    return fseek(file, (long)offset, SEEK_SET) != 0 || fread(buffer, 1, n, file) != n;
}

static void test_source_and_profile__as_then(void **state)
{
    loam_source source;
    loam_device device;
    loam_options options;
    loam_profile profile;
    loam *m;
    (void)state;
    FILE *f = fopen(MODEL, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    loam_source_init(&source);
    source.size_bytes = (uint64_t)ftell(f);
    source.ctx = f;
    source.read = read_model;
    loam_device_init(&device);
    device.backend = "cpu";
    loam_options_init(&options);
    options.flags = LOAM_LOAD_PROFILE;
    options.devices = &(const loam_device *){&device};
    options.n_devices = 1;
    assert_int_equal(loam_load_sources(&(const loam_source *){&source}, 1, &options, &m), LOAM_OK);
    assert_int_equal(loam_prefill(m, 0, &(loam_token){1}, 1), LOAM_OK);
    loam_profile_init(&profile);
    assert_true(loam_profile_count(m) > 0);
    assert_int_equal(loam_profile_get(m, 0, &profile), LOAM_OK);
    assert_true(profile.runs > 0 && profile.name[0]);
    loam_free(m);
    fclose(f);
}

static void test_queue__as_then(void **state)
{
    static const loam_token prompt[] = {1, 20, 30, 40};
    loam_queue_options options;
    loam_submission submission;
    loam_queue_event event;
    loam_queue_stats stats;
    loam_queue *q;
    uint64_t request;
    uint32_t answered = 0;
    (void)state;
    loam *m = load(NULL);
    loam_queue_options_init(&options);
    options.requests = 4;
    assert_int_equal(loam_queue_open(m, &options, &q), LOAM_OK);
    assert_int_equal(loam_seq_close(m, 0), LOAM_OK);
    loam_submission_init(&submission);
    submission.tag = 77;
    submission.flags = LOAM_SUBMIT_IGNORE_END;
    submission.tokens = prompt;
    submission.n_tokens = 4;
    submission.max_tokens = 6;
    assert_int_equal(loam_queue_submit(q, &submission, &request), LOAM_OK);
    loam_queue_event_init(&event);
    while (!loam_queue_idle(q)) {
        assert_int_equal(loam_queue_step(q), LOAM_OK);
        while (loam_queue_next(q, &event) == LOAM_OK && event.kind != LOAM_EVENT_NONE) {
            assert_int_equal(event.tag, 77);
            assert_int_equal(event.request, request);
            answered += event.kind == LOAM_EVENT_TOKEN;
            if (event.kind == LOAM_EVENT_FINISHED)
                assert_int_equal(event.finish, LOAM_FINISH_LENGTH);
        }
    }
    assert_int_equal(answered, 6);
    loam_queue_stats_init(&stats);
    assert_int_equal(loam_queue_get_stats(q, &stats), LOAM_OK);
    assert_int_equal(stats.answer_tokens, 6);
    loam_queue_close(q);
    loam_free(m);
}

static void test_container__as_then(void **state)
{
    loam_gguf *g;
    loam_gguf_meta meta;
    loam_gguf_tensor tensor;
    loam_format_info format;
    const char *text;
    size_t n;
    (void)state;
    assert_int_equal(loam_gguf_open(MODEL, NULL, &g), LOAM_OK);
    loam_gguf_meta_init(&meta);
    loam_gguf_tensor_init(&tensor);
    loam_format_info_init(&format);
    size_t key = (size_t)loam_gguf_find_meta(g, "general.name");
    assert_int_equal(loam_gguf_get_meta(g, key, &meta), LOAM_OK);
    assert_int_equal(meta.type, LOAM_META_STRING);
    assert_int_equal(meta.count, 1);
    assert_string_equal(meta.key, "general.name");
    assert_int_equal(loam_gguf_get_string(g, key, 0, &text, &n), LOAM_OK);
    assert_memory_equal(text, "tiny llama", n);
    size_t head = (size_t)loam_gguf_find_tensor(g, "output.weight");
    assert_int_equal(loam_gguf_get_tensor(g, head, &tensor), LOAM_OK);
    assert_int_equal(tensor.type, LOAM_TYPE_Q8_0);
    assert_int_equal(tensor.dims[0], 64);
    assert_int_equal(tensor.dims[1], 298);
    assert_int_equal(tensor.size_bytes, 298 * 2 * 34);
    assert_int_equal(loam_format_describe(tensor.type, &format), LOAM_OK);
    assert_int_equal(format.block_bytes, 34);
    loam_gguf_close(g);
}

static void test_plan__as_then(void **state)
{
    loam_plan *plan;
    loam_plan_target target;
    loam_plan_machine machine;
    loam_plan_geometry geometry;
    loam_plan_totals totals;
    loam_plan_device device;
    loam_plan_bound bound;
    (void)state;
    loam_plan_geometry_init(&geometry);
    geometry.layers = 32;
    geometry.parameters = 7e9;
    geometry.bits_per_weight = 4;
    loam_plan_target_init(&target);
    target.name = "a card";
    target.memory_bytes = (uint64_t)8e9;
    target.bandwidth_bytes_s = 350e9;
    loam_plan_machine_init(&machine);
    machine.targets = &(const loam_plan_target *){&target};
    machine.n_targets = 1;
    assert_int_equal(loam_plan_place_describe(&geometry, NULL, &machine, &plan), LOAM_OK);
    loam_plan_totals_init(&totals);
    assert_int_equal(loam_plan_get_totals(plan, &totals), LOAM_OK);
    assert_int_equal(totals.fits, 1);
    assert_int_equal(totals.weights_bytes, 3500000000u);
    loam_plan_device_init(&device);
    assert_int_equal(loam_plan_get_device(plan, 0, &device), LOAM_OK);
    assert_int_equal(device.layers, 32);
    assert_string_equal(device.name, "a card");
    loam_plan_bound_init(&bound);
    assert_int_equal(loam_plan_get_bound(plan, 0, 0, &bound), LOAM_OK);
    assert_true(bound.tok_s > 99 && bound.tok_s < 101);
    loam_plan_free(plan);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_init__writes_no_byte_behind_the_struct),
    cmocka_unit_test(test_generation__as_then),
    cmocka_unit_test(test_source_and_profile__as_then),
    cmocka_unit_test(test_queue__as_then),
    cmocka_unit_test(test_container__as_then),
    cmocka_unit_test(test_plan__as_then),
};

RUN(tests)
