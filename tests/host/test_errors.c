/* "Abort or exception kills the host", "null instead of a reason": bad input of every kind ends in
 * a status of its own and a sentence, and nothing is left behind. */
#define _POSIX_C_SOURCE 200809L
#include "models.h"

#include <sys/stat.h>
#include <unistd.h>

static const char *const model = OWN("tiny-llama.gguf");
static const char *const scratch = LOAM_TEST_TMP "/errors.gguf";

static void write_file(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* Load with a counting allocator; the status is the wanted one, the sentence holds a word, and all
 * memory comes back. */
static void expect_refusal(const char *path, loam_status wanted, const char *word)
{
    fault_heap heap = {0};
    loam_hooks hooks;
    loam_options options;
    loam *m = NULL;
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = &heap;
    loam_options_init(&options);
    options.hooks = &hooks;
    options.threads = 2;
    loam_status st = loam_load(path, &options, &m);
    if (st != wanted || !strstr(loam_error(m), word))
        fail_msg("%s: %s \"%s\", wanted %s with \"%s\"", path, loam_status_name(st), loam_error(m),
                 loam_status_name(wanted), word);
    loam_free(m);
    assert_int_equal(heap.live_bytes, 0);
}

/* The model's bytes with one piece of text replaced by another of the same length. */
static void write_changed(const char *old, const char *new)
{
    size_t n, length = strlen(old);
    char *bytes = read_file(model, &n);
    assert_int_equal(length, strlen(new));
    size_t at = 0;
    while (at + length <= n && memcmp(bytes + at, old, length) != 0)
        at++;
    assert_true(at + length <= n);
    memcpy(bytes + at, new, length);
    write_file(scratch, bytes, n);
    free(bytes);
}

static void test_load__each_bad_file_has_its_own_status(void **state)
{
    (void)state;
    expect_refusal(LOAM_TEST_TMP "/no such file.gguf", LOAM_ERR_NOT_FOUND, "no such file");
    expect_refusal(LOAM_TEST_TMP, LOAM_ERR_DIRECTORY, "directory");
    write_file(scratch, "", 0);
    expect_refusal(scratch, LOAM_ERR_EMPTY, "empty");
    write_file(scratch, "PK\3\4 this is a zip archive, not a model", 38);
    expect_refusal(scratch, LOAM_ERR_MAGIC, "GGUF");
    write_changed("llama.context_length", "lalma.context_length");
    expect_refusal(scratch, LOAM_ERR_METADATA, "context_length");
    write_changed("blk.1.ffn_down.weight", "blk.1.ffn_dawn.weight");
    expect_refusal(scratch, LOAM_ERR_TENSOR_MISSING, "blk.1.ffn_down.weight");
    write_changed("output_norm.weight", "blk.0.attn_q.scale");
    expect_refusal(scratch, LOAM_ERR_UNSUPPORTED, "blk.0.attn_q.scale");
    write_changed("tokenizer.ggml.model", "tokenizer.ggml.madel");
    expect_refusal(scratch, LOAM_ERR_TOKENIZER, "tokenizer");
}

static void test_load__wrong_architecture(void **state)
{
    size_t n;
    char *bytes = read_file(model, &n), *at = bytes;
    (void)state;
    while (memcmp(at, "general.architecture", 20) != 0)
        at++;
    memcpy(at + 20 + 4 + 8, "ollam", 5);
    write_file(scratch, bytes, n);
    free(bytes);
    expect_refusal(scratch, LOAM_ERR_ARCH, "ollam");
}

/* More heads than a step can cut into slices. */
static void test_load__heads_beyond_the_limit(void **state)
{
    static const char key[] = "llama.attention.head_count";
    size_t n;
    uint32_t heads = 4, too_many = 65536;
    (void)state;
    char *bytes = read_file(model, &n), *at = bytes;
    while (memcmp(at, key, sizeof key - 1) != 0)
        at++;
    at += sizeof key - 1 + 4; /* the name and the type */
    assert_memory_equal(at, &heads, 4);
    memcpy(at, &too_many, 4);
    write_file(scratch, bytes, n);
    free(bytes);
    expect_refusal(scratch, LOAM_ERR_METADATA, key);
}

static void test_load__tensor_of_wrong_shape(void **state)
{
    size_t n;
    uint64_t cols = 64, rows = 32;
    (void)state;
    char *bytes = read_file(model, &n), *at = bytes;
    while (memcmp(at, "blk.0.attn_k.weight", 19) != 0)
        at++;
    assert_memory_equal(at + 19 + 4, &cols, 8); /* after the name and the number of dimensions */
    memcpy(at + 19 + 4, &rows, 8);              /* the same bytes as 32 x 64 */
    memcpy(at + 19 + 12, &cols, 8);
    write_file(scratch, bytes, n);
    free(bytes);
    expect_refusal(scratch, LOAM_ERR_TENSOR_SHAPE, "blk.0.attn_k.weight");
}

/* "A partial download loads as if whole" */
static void test_load__a_partial_download_is_refused(void **state)
{
    size_t n;
    char *bytes = read_file(model, &n);
    (void)state;
    for (size_t i = 1; i < 64; i++) {
        write_file(scratch, bytes, n * i / 64);
        expect_refusal(scratch, LOAM_ERR_TRUNCATED, "");
    }
    free(bytes);
}

static void test_load__arguments(void **state)
{
    loam *m = NULL;
    loam_options options;
    (void)state;
    assert_int_equal(loam_load(NULL, NULL, &m), LOAM_ERR_ARG);
    assert_null(m);
    assert_int_equal(loam_load(model, NULL, NULL), LOAM_ERR_ARG);
    loam_options_init(&options);
    options.isa = "sparc";
    assert_int_equal(loam_load(model, &options, &m), LOAM_ERR_BACKEND);
    assert_non_null(strstr(loam_error(m), "sparc"));
    loam_free(m);
    loam_options_init(&options);
    options.backend = "tea leaves";
    assert_int_equal(loam_load(model, &options, &m), LOAM_ERR_BACKEND);
    loam_free(m);
    loam_options_init(&options);
    options.flags = 1u << 30;
    assert_int_equal(loam_load(model, &options, &m), LOAM_ERR_NEWER);
    loam_free(m);
    memset(&options, 0, sizeof options); /* never initialised */
    assert_int_equal(loam_load(model, &options, &m), LOAM_ERR_ARG);
    assert_non_null(strstr(loam_error(m), "loam_options_init"));
    loam_free(m);
    loam_options_init(&options);
    options.memory_limit_bytes = 1 << 16;
    assert_int_equal(loam_load(model, &options, &m), LOAM_ERR_NOFIT);
    assert_non_null(strstr(loam_error(m), "65536"));
    loam_free(m);
}

static void test_calls__null_and_out_of_range(void **state)
{
    loam *m = load_model(model, (model_options){.context = 20}); /* no whole number of blocks */
    loam_token tokens[32] = {0}, token;
    loam_seq zero = 0, both[2] = {0, 0}, seq;
    size_t n;
    (void)state;
    assert_int_equal(loam_prefill(NULL, 0, tokens, 1), LOAM_ERR_ARG);
    assert_int_equal(loam_prefill(m, 0, NULL, 1), LOAM_ERR_ARG);
    assert_int_equal(loam_prefill(m, 0, tokens, 0), LOAM_ERR_ARG);
    assert_int_equal(loam_decode(m, NULL, tokens, 1), LOAM_ERR_ARG);
    assert_int_equal(loam_sample(m, 0, NULL), LOAM_ERR_ARG);
    assert_int_equal(loam_sample(m, 0, &token), LOAM_ERR_STATE);
    assert_null(loam_logits(m, 0));
    assert_int_equal(loam_prefill(m, 0, tokens, 21), LOAM_ERR_FULL);
    assert_non_null(strstr(loam_error(m), "20"));
    tokens[3] = (loam_token)vocabulary_of(m);
    assert_int_equal(loam_prefill(m, 0, tokens, 4), LOAM_ERR_TOKEN);
    tokens[3] = -1;
    assert_int_equal(loam_prefill(m, 0, tokens, 4), LOAM_ERR_TOKEN);
    tokens[3] = 0;
    assert_int_equal(loam_prefill(m, 1, tokens, 4), LOAM_ERR_SEQ);
    assert_int_equal(loam_prefill(m, -5, tokens, 4), LOAM_ERR_SEQ);
    assert_int_equal(loam_seq_open(m, &seq), LOAM_ERR_FULL);
    assert_int_equal(loam_decode(m, both, tokens, 2), LOAM_ERR_ARG);
    assert_int_equal(loam_seq_truncate(m, 0, 1), LOAM_ERR_ARG);
    assert_int_equal(loam_seq_length(m, 0, &n), LOAM_OK);
    assert_int_equal(n, 0); /* nothing of all that changed it */
    assert_int_equal(loam_prefill(m, 0, tokens, 20), LOAM_OK);
    assert_int_equal(loam_decode(m, &zero, tokens, 1), LOAM_ERR_FULL);
    assert_int_equal(loam_seq_close(m, 0), LOAM_OK);
    assert_int_equal(loam_prefill(m, 0, tokens, 1), LOAM_ERR_SEQ);
    assert_int_equal(loam_seq_close(m, 0), LOAM_ERR_SEQ);
    assert_int_equal(loam_seq_open(m, &seq), LOAM_OK);
    assert_int_not_equal(seq, 0); /* an old number is never taken for a new sequence */
    assert_int_equal(loam_prefill(m, 0, tokens, 1), LOAM_ERR_SEQ);
    assert_int_equal(loam_prefill(m, seq, tokens, 1), LOAM_OK);
    loam_free(m);
    loam_free(NULL);
    loam_cancel(NULL);
    assert_non_null(loam_error(NULL));
}

static void test_text_calls__null_and_out_of_range(void **state)
{
    loam *m = load_model(model, (model_options){0});
    loam_token tokens[8], wrong = 100000;
    loam_stream stream;
    char text[64];
    size_t n;
    (void)state;
    assert_int_equal(loam_tokenize(m, NULL, 3, 0, tokens, 8, &n), LOAM_ERR_ARG);
    assert_int_equal(loam_tokenize(m, "abc", 3, 0, NULL, 8, &n), LOAM_ERR_ARG);
    assert_int_equal(loam_tokenize(m, "abc", 3, 1u << 20, tokens, 8, &n), LOAM_ERR_ARG);
    assert_int_equal(loam_tokenize(m, "the man in there", 16, 0, tokens, 1, &n), LOAM_ERR_BUFFER);
    assert_true(n > 1);
    assert_int_equal(loam_tokenize(m, NULL, 0, 0, NULL, 0, &n), LOAM_OK);
    assert_int_equal(loam_detokenize(m, &wrong, 1, 0, text, sizeof text, &n), LOAM_ERR_TOKEN);
    memset(&stream, 0xff, sizeof stream);
    assert_int_equal(loam_stream_push(m, &stream, 1, text, sizeof text, &n), LOAM_ERR_ARG);
    assert_int_equal(loam_token_is_end(m, wrong), 0);
    assert_int_equal(loam_token_is_end(NULL, 0), 0);
    assert_int_equal(loam_chat_render(m, "{", 1, text, sizeof text, &n), LOAM_ERR_JSON);
    assert_int_equal(loam_chat_render(m, "{\"messages\":[{}]}", 17, text, sizeof text, &n),
                     LOAM_ERR_TEMPLATE);
    loam_free(m);
}

static void test_vocabulary_only__computes_nothing(void **state)
{
    loam *m = NULL;
    loam_options options;
    loam_token token = 1;
    (void)state;
    loam_options_init(&options);
    options.flags = LOAM_LOAD_VOCAB;
    assert_int_equal(loam_load(model, &options, &m), LOAM_OK);
    assert_int_equal(loam_prefill(m, 0, &token, 1), LOAM_ERR_STATE);
    assert_int_equal(loam_sample(m, 0, &token), LOAM_ERR_STATE);
    loam_free(m);
}

/* A handle whose load failed answers every call. */
static void test_failed_handle__answers_every_call(void **state)
{
    loam *m = NULL;
    loam_token token = 0;
    loam_info info;
    size_t n;
    (void)state;
    assert_int_equal(loam_load(LOAM_TEST_TMP "/none.gguf", NULL, &m), LOAM_ERR_NOT_FOUND);
    loam_info_init(&info);
    assert_int_equal(loam_get_info(m, &info), LOAM_ERR_STATE);
    assert_int_equal(loam_tokenize(m, "a", 1, 0, &token, 1, &n), LOAM_ERR_STATE);
    assert_int_equal(loam_prefill(m, 0, &token, 1), LOAM_ERR_STATE);
    assert_int_equal(loam_seq_open(m, &token), LOAM_ERR_STATE);
    assert_null(loam_logits(m, 0));
    assert_non_null(strstr(loam_error(m), "none.gguf")); /* the reason is still there */
    loam_free(m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_load__each_bad_file_has_its_own_status),
    cmocka_unit_test(test_load__wrong_architecture),
    cmocka_unit_test(test_load__heads_beyond_the_limit),
    cmocka_unit_test(test_load__tensor_of_wrong_shape),
    cmocka_unit_test(test_load__a_partial_download_is_refused),
    cmocka_unit_test(test_load__arguments),
    cmocka_unit_test(test_calls__null_and_out_of_range),
    cmocka_unit_test(test_text_calls__null_and_out_of_range),
    cmocka_unit_test(test_vocabulary_only__computes_nothing),
    cmocka_unit_test(test_failed_handle__answers_every_call),
};

RUN(tests)
