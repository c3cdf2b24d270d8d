/* "A saved conversation comes back as another": a generation goes on with the same bits from its
 * saved bytes, in another handle and another process; damaged and foreign bytes are refused and
 * change nothing. */
#define _POSIX_C_SOURCE 200809L
#include <sys/wait.h>
#include <unistd.h>

#include "lib/run/run.h"
#include "models.h"

#define LLAMA OWN("tiny-llama.gguf")
#define GEMMA OWN("tiny-gemma3.gguf")

static loam *open_sized(const char *path, uint32_t context, uint32_t sequences, int32_t kv)
{
    return load_model(path, (model_options){.context = context, .sequences = sequences, .kv = kv});
}

static void start(loam *m, loam_seq seq, uint32_t n, float temperature)
{
    loam_token tokens[200];
    loam_sampling how;
    loam_sampling_init(&how);
    how.temperature = temperature;
    how.repeat_penalty = 1.2f;
    how.seed = 77;
    for (uint32_t i = 0; i < n; i++)
        tokens[i] = (loam_token)((i * i * 5 + 3) % 290);
    assert_int_equal(loam_seq_sampling(m, seq, &how), LOAM_OK);
    assert_int_equal(loam_prefill(m, seq, tokens, n), LOAM_OK);
}

static void generate(loam *m, loam_seq seq, loam_token *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(loam_sample(m, seq, &out[i]), LOAM_OK);
        assert_int_equal(loam_decode(m, &seq, &out[i], 1), LOAM_OK);
    }
}

static char *save(loam *m, loam_seq seq, size_t *n)
{
    assert_int_equal(loam_seq_save(m, seq, NULL, 0, n), LOAM_ERR_BUFFER);
    char *state = malloc(*n);
    if (loam_seq_save(m, seq, state, *n, n) != LOAM_OK) fail_msg("%s", loam_error(m));
    return state;
}

#define MORE 30

static void check_goes_on(const char *path, uint32_t n, int32_t kv)
{
    loam_token expected[MORE], got[MORE];
    size_t n_state, n_again;
    loam_seq seq, third;
    loam *m = open_sized(path, 256, 1, kv);
    start(m, 0, n, 0.8f);
    generate(m, 0, got, 7);
    char *state = save(m, 0, &n_state);
    generate(m, 0, expected, MORE);
    loam_free(m);

    m = open_sized(path, 240, 3, kv); /* other sizes, other blocks */
    start(m, 0, 50, 0);
    if (loam_seq_restore(m, state, n_state, &seq) != LOAM_OK) fail_msg("%s", loam_error(m));
    char *again = save(m, seq, &n_again);
    assert_int_equal(n_again, n_state);
    assert_memory_equal(again, state, n_state);
    assert_int_equal(loam_seq_restore(m, again, n_again, &third), LOAM_OK);
    generate(m, third, got, 11);
    generate(m, seq, got, MORE);
    assert_memory_equal(got, expected, sizeof got);
    loam_free(m);
    free(again);
    free(state);
}

static void test_state__goes_on_with_the_same_bits(void **state)
{
    (void)state;
    check_goes_on(LLAMA, 1, LOAM_KV_F16);
    check_goes_on(LLAMA, 100, LOAM_KV_F32);
    check_goes_on(GEMMA, 3, LOAM_KV_F16);
    check_goes_on(GEMMA, 180, LOAM_KV_F16);
    check_goes_on(OWN("tiny-llama-wide.gguf"), 70, LOAM_KV_Q8_0);
    check_goes_on(OWN("tiny-gemma3-wide.gguf"), 70, LOAM_KV_Q4_0);
}

static void test_state__of_an_empty_sequence_is_one_too(void **state)
{
    size_t n, length = 9;
    loam_seq seq;
    loam *m = open_sized(LLAMA, 64, 2, 0);
    (void)state;
    char *bytes = save(m, 0, &n);
    assert_int_equal(loam_seq_restore(m, bytes, n, &seq), LOAM_OK);
    assert_int_equal(loam_seq_length(m, seq, &length), LOAM_OK);
    assert_int_equal(length, 0);
    assert_null(loam_logits(m, seq));
    loam_free(m);
    free(bytes);
}

static void test_state__goes_on_in_another_process(void **state)
{
    loam_token expected[MORE], got[MORE];
    size_t n;
    int pipes[2], status;
    loam *m = open_sized(GEMMA, 256, 1, 0);
    (void)state;
    start(m, 0, 90, 1.0f);
    char *bytes = save(m, 0, &n);
    generate(m, 0, expected, MORE);
    loam_free(m);
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        loam_seq seq;
        m = open_sized(GEMMA, 256, 2, 0);
        if (loam_seq_restore(m, bytes, n, &seq) != LOAM_OK) _exit(1);
        generate(m, seq, got, MORE);
        _exit(write(pipes[1], got, sizeof got) == sizeof got ? 0 : 2);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(pipes[0], got, sizeof got), sizeof got);
    assert_memory_equal(got, expected, sizeof got);
    close(pipes[0]);
    close(pipes[1]);
    free(bytes);
}

/* The handle is as before: one open sequence with its logits, all blocks but its own free. */
static void expect_unchanged(loam *m, const float *logits, size_t n_logits)
{
    loam_usage u;
    loam_usage_init(&u);
    assert_int_equal(loam_get_usage(m, &u), LOAM_OK);
    assert_int_equal(u.sequences, 1);
    assert_int_equal(u.kv_blocks_used, 3);
    assert_memory_equal(loam_logits(m, 0), logits, n_logits * sizeof *logits);
}

static void test_state__damaged_is_refused_and_changes_nothing(void **state)
{
    size_t n;
    loam_seq seq;
    loam *m = open_sized(LLAMA, 64, 2, 0);
    size_t vocab = vocabulary_of(m);
    float *logits = malloc(vocab * sizeof *logits);
    (void)state;
    start(m, 0, 40, 0);
    memcpy(logits, loam_logits(m, 0), vocab * sizeof *logits);
    char *bytes = save(m, 0, &n);
    for (size_t at = 0; at < n; at += at < 400 ? 1 : 97) {
        bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
        assert_in_range(-loam_seq_restore(m, bytes, n, &seq), 1, 40);
        assert_int_not_equal(loam_error(m)[0], 0);
        bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
        char *part = malloc(at); /* its end is watched by the sanitizer */
        memcpy(part, bytes, at);
        assert_int_not_equal(loam_seq_restore(m, part, at, &seq), LOAM_OK);
        free(part);
        expect_unchanged(m, logits, vocab);
    }
    assert_int_equal(loam_seq_restore(m, bytes, n - 1, &seq), LOAM_ERR_TRUNCATED);
    assert_int_equal(loam_seq_restore(m, "GGUF and so on, longer than a magic", 36, &seq),
                     LOAM_ERR_MAGIC);
    assert_int_equal(loam_seq_restore(m, bytes, n, &seq), LOAM_OK);
    free(bytes);
    free(logits);
    loam_free(m);
}

/* What a forger could make of a good state: any word changed, and the checksum right again. */
static void test_state__forged_does_no_harm(void **state)
{
    static const uint32_t words[] = {0, 1, 41, 64, 0x7fffffff, 0x80000000, 0xffffffff};
    size_t n, accepted = 0;
    loam *m = open_sized(GEMMA, 64, 2, 0);
    (void)state;
    start(m, 0, 40, 0.5f);
    char *bytes = save(m, 0, &n);
    for (size_t i = 0; i < n / 4 * 7 && i < 7 * 1200; i++) {
        size_t at = i / 7 < 120 ? i / 7 * 4 : n - (i / 7 + 20) * 4;
        loam_seq seq;
        loam_token token;
        char *forged = malloc(n);
        memcpy(forged, bytes, n);
        memcpy(forged + at, &words[i % 7], 4);
        uint64_t sum = loam__state_hash(0, forged, n - 8);
        memcpy(forged + n - 8, &sum, 8);
        if (loam_seq_restore(m, forged, n, &seq) == LOAM_OK) {
            accepted++;
            if (loam_sample(m, seq, &token) == LOAM_OK) loam_decode(m, &seq, &token, 1);
            assert_int_equal(loam_seq_close(m, seq), LOAM_OK);
        }
        free(forged);
    }
    assert_true(accepted > 100); /* tokens, cells and logits may be anything */
    free(bytes);
    loam_free(m);
}

static void test_state__foreign_is_refused_with_its_reason(void **state)
{
    size_t n;
    loam_seq seq;
    loam *m = open_sized(LLAMA, 128, 1, LOAM_KV_F16);
    (void)state;
    start(m, 0, 100, 0);
    char *bytes = save(m, 0, &n);
    assert_int_equal(loam_seq_restore(m, bytes, n, &seq), LOAM_ERR_FULL); /* no free sequence */
    loam_free(m);
    m = open_sized(GEMMA, 128, 2, LOAM_KV_F16);
    assert_int_equal(loam_seq_restore(m, bytes, n, &seq), LOAM_ERR_FOREIGN);
    assert_non_null(strstr(loam_error(m), "another model"));
    loam_free(m);
    m = open_sized(LLAMA, 128, 2, LOAM_KV_F32);
    assert_int_equal(loam_seq_restore(m, bytes, n, &seq), LOAM_ERR_FOREIGN);
    assert_non_null(strstr(loam_error(m), "KV cells"));
    loam_free(m);
    m = open_sized(LLAMA, 64, 2, LOAM_KV_F16);
    assert_int_equal(loam_seq_restore(m, bytes, n, &seq), LOAM_ERR_FULL);
    assert_non_null(strstr(loam_error(m), "context_tokens"));
    loam_free(m);
    free(bytes);
}

/* What a saved state brings in is its own: a prompt that has the same tokens does not get it. */
static void test_state__is_not_shared_with_others(void **state)
{
    size_t n;
    loam_seq seq, other;
    loam_token token;
    loam_usage u;
    loam *m = open_sized(LLAMA, 128, 1, 0);
    (void)state;
    start(m, 0, 100, 0);
    char *bytes = save(m, 0, &n);
    loam_free(m);
    m = open_sized(LLAMA, 128, 3, 0);
    assert_int_equal(loam_seq_restore(m, bytes, n, &seq), LOAM_OK);
    generate(m, seq, &token, 1);
    assert_int_equal(loam_seq_open(m, &other), LOAM_OK);
    start(m, other, 100, 0);
    loam_usage_init(&u);
    assert_int_equal(loam_get_usage(m, &u), LOAM_OK);
    assert_int_equal(u.tokens_shared, 0);
    loam_free(m);
    free(bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_state__goes_on_with_the_same_bits),
    cmocka_unit_test(test_state__of_an_empty_sequence_is_one_too),
    cmocka_unit_test(test_state__goes_on_in_another_process),
    cmocka_unit_test(test_state__damaged_is_refused_and_changes_nothing),
    cmocka_unit_test(test_state__forged_does_no_harm),
    cmocka_unit_test(test_state__foreign_is_refused_with_its_reason),
    cmocka_unit_test(test_state__is_not_shared_with_others),
};

RUN(tests)
