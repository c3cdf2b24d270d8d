/* "The cache remembers something else": whatever the KV cache shares, gives up and computes again,
 * logits have the bits of a sequence that was computed alone and whole. */
#define _POSIX_C_SOURCE 200809L
#include "models.h"

#define N_TOKENS 200u

typedef struct setting {
    const char *path;
    uint32_t vocab, flags, block_tokens;
    loam_token tokens[N_TOKENS];
    float *expected; /* [N_TOKENS][vocab] */
} setting;

static loam *open_model(const setting *s, uint32_t sequences, uint64_t kv_tokens, uint32_t step)
{
    loam *m = NULL;
    loam_options options;
    loam_options_init(&options);
    options.flags = s->flags;
    options.threads = 2;
    options.context_tokens = N_TOKENS;
    options.sequences = sequences;
    options.kv_tokens = kv_tokens;
    options.step_tokens = step;
    options.kv_block_tokens = s->block_tokens;
    if (loam_load(s->path, &options, &m) != LOAM_OK) fail_msg("%s: %s", s->path, loam_error(m));
    return m;
}

static void open_blocks(setting *s, const char *path, uint32_t block_tokens)
{
    *s = (setting){.path = path, .flags = LOAM_LOAD_NO_SHARING, .block_tokens = block_tokens};
    loam *m = open_model(s, 1, 0, 64);
    s->vocab = vocabulary_of(m);
    for (uint32_t i = 0; i < N_TOKENS; i++)
        s->tokens[i] = (loam_token)((17 + i * i * 31 + i) % (s->vocab < 290 ? s->vocab : 290));
    s->expected = malloc(sizeof(float) * N_TOKENS * s->vocab);
    assert_int_equal(loam_prefill_logits(m, 0, s->tokens, N_TOKENS, s->expected), LOAM_OK);
    loam_free(m);
    s->flags = 0;
}

static void open_setting(setting *s, const char *path)
{
    open_blocks(s, path, 0);
}

static void expect_at(const setting *s, loam *m, loam_seq seq, uint32_t n, const char *how)
{
    const float *logits = loam_logits(m, seq);
    assert_non_null(logits);
    if (memcmp(logits, s->expected + (n - 1) * s->vocab, s->vocab * sizeof *logits) != 0)
        fail_msg("%s, %s: other bits behind %u tokens", s->path, how, n);
}

static void prefill(loam *m, loam_seq seq, const loam_token *tokens, size_t n)
{
    if (loam_prefill(m, seq, tokens, n) != LOAM_OK) fail_msg("%s", loam_error(m));
}

static loam_usage usage_of(loam *m)
{
    loam_usage u;
    loam_usage_init(&u);
    assert_int_equal(loam_get_usage(m, &u), LOAM_OK);
    return u;
}

static void check_prefix_of_another(const setting *s)
{
    loam_seq second, third;
    loam *m = open_model(s, 3, 0, 64);
    prefill(m, 0, s->tokens, 100);
    assert_int_equal(loam_seq_open(m, &second), LOAM_OK);
    prefill(m, second, s->tokens, 130);
    expect_at(s, m, second, 130, "shared with an open sequence");
    assert_int_equal(usage_of(m).tokens_shared, 96);
    assert_int_equal(usage_of(m).tokens_computed, 100 + 34);
    loam_seq_close(m, 0);
    loam_seq_close(m, second);
    assert_int_equal(usage_of(m).kv_blocks_used, 0);
    assert_int_equal(loam_seq_open(m, &third), LOAM_OK);
    prefill(m, third, s->tokens, 128); /* the last token is computed, so not its whole block */
    expect_at(s, m, third, 128, "shared with a closed sequence");
    assert_int_equal(usage_of(m).tokens_shared, 96 + 112);
    loam_free(m);
}

static void test_prefix__of_open_and_closed_sequences_is_shared(void **state)
{
    setting s;
    (void)state;
    open_setting(&s, OWN("tiny-llama.gguf"));
    check_prefix_of_another(&s);
    free(s.expected);
}

static void test_prefix__is_computed_where_all_logits_are_wanted(void **state)
{
    setting s;
    (void)state;
    open_setting(&s, OWN("tiny-llama.gguf"));
    float *logits = calloc((size_t)N_TOKENS * s.vocab, sizeof *logits);
    loam *m = open_model(&s, 1, 0, 64);
    prefill(m, 0, s.tokens, 100);
    loam_seq_truncate(m, 0, 48);
    assert_int_equal(loam_prefill_logits(m, 0, s.tokens + 48, 100, logits), LOAM_OK);
    assert_memory_equal(logits, s.expected + 48 * s.vocab, 100 * s.vocab * sizeof *logits);
    loam_free(m);
    free(logits);
    free(s.expected);
}

static void test_prefix__is_not_shared_when_the_host_forbids_it(void **state)
{
    setting s;
    (void)state;
    open_setting(&s, OWN("tiny-llama.gguf"));
    s.flags = LOAM_LOAD_NO_SHARING;
    loam *m = open_model(&s, 1, 0, 64);
    prefill(m, 0, s.tokens, 100);
    loam_seq_truncate(m, 0, 0);
    assert_int_equal(usage_of(m).kv_blocks_idle, 0);
    prefill(m, 0, s.tokens, 100);
    expect_at(&s, m, 0, 100, "computed again");
    assert_int_equal(usage_of(m).tokens_computed, 200);
    assert_int_equal(usage_of(m).tokens_shared, 0);
    loam_free(m);
    free(s.expected);
}

/* Truncation behind which a window has passed: what is gone is computed again. */
static void check_truncation(const setting *s, uint32_t step)
{
    loam *m = open_model(s, 2, 0, step);
    loam_seq other;
    assert_int_equal(loam_seq_open(m, &other), LOAM_OK);
    for (uint32_t n = 190; n > 3; n = n * 3 / 4) {
        loam_token junk[60];
        size_t length;
        for (uint32_t i = 0; i < 60; i++)
            junk[i] = (loam_token)((i * 7 + n) % 290);
        assert_int_equal(loam_seq_truncate(m, 0, 0), LOAM_OK);
        prefill(m, 0, s->tokens, 190);
        assert_int_equal(loam_seq_truncate(m, other, 0), LOAM_OK);
        prefill(m, other, junk, 60); /* takes what is idle */
        assert_int_equal(loam_seq_truncate(m, 0, n), LOAM_OK);
        assert_int_equal(loam_seq_length(m, 0, &length), LOAM_OK);
        assert_int_equal(length, n);
        prefill(m, 0, s->tokens + n, 3);
        expect_at(s, m, 0, n + 3, "after truncation");
    }
    loam_free(m);
}

static void test_truncate__computes_again_what_a_window_has_passed(void **state)
{
    static const char *const paths[] = {OWN("tiny-llama.gguf"), OWN("tiny-gemma3.gguf")};
    (void)state;
    for (int i = 0; i < 2; i++) {
        setting s;
        open_setting(&s, paths[i]);
        check_truncation(&s, 64);
        check_truncation(&s, 5);
        free(s.expected);
    }
}

static void test_small_pool__refuses_and_changes_nothing(void **state)
{
    setting s;
    loam_seq second;
    size_t length;
    (void)state;
    open_setting(&s, OWN("tiny-llama.gguf"));
    loam *m = open_model(&s, 2, 208, 64);
    prefill(m, 0, s.tokens, 150);
    assert_int_equal(loam_seq_open(m, &second), LOAM_OK);
    assert_int_equal(loam_prefill(m, second, s.tokens + 1, 60), LOAM_ERR_FULL);
    assert_non_null(strstr(loam_error(m), "kv_tokens"));
    assert_int_equal(loam_seq_length(m, second, &length), LOAM_OK);
    assert_int_equal(length, 0);
    expect_at(&s, m, 0, 150, "after a refusal");
    prefill(m, second, s.tokens, 150); /* shares nearly all of it */
    expect_at(&s, m, second, 150, "in a small pool");
    loam_seq_close(m, second);
    prefill(m, 0, s.tokens + 150, 50);
    expect_at(&s, m, 0, 200, "in a small pool");
    loam_free(m);
    free(s.expected);
}

/* There is room for a whole context of each sequence, whatever they share. */
static void check_forks(const setting *s, uint32_t context, uint32_t n)
{
    loam_seq seqs[2] = {0};
    loam *m = NULL;
    loam_options options;
    loam_options_init(&options);
    options.context_tokens = context;
    options.sequences = 2;
    assert_int_equal(loam_load(s->path, &options, &m), LOAM_OK);
    prefill(m, 0, s->tokens, n);
    assert_int_equal(loam_seq_fork(m, 0, &seqs[1]), LOAM_OK);
    for (; n < context; n++) {
        loam_token tokens[2] = {s->tokens[n], s->tokens[n]};
        if (loam_decode(m, seqs, tokens, 2) != LOAM_OK) fail_msg("%s", loam_error(m));
        expect_at(s, m, seqs[1], n + 1, "forked");
    }
    loam_free(m);
}

static void test_forks__have_room_of_their_own(void **state)
{
    setting s;
    (void)state;
    open_setting(&s, OWN("tiny-llama.gguf"));
    check_forks(&s, 16, 5);
    check_forks(&s, 100, 97);
    free(s.expected);
}

/* Sequences come and go at random in a pool that is too small for all; whatever a call does, the
 * logits it leaves are the right ones. */
static void use_at_random(const setting *s, uint64_t seed, uint64_t kv_tokens)
{
    loam *m = open_model(s, 4, kv_tokens, 24);
    loam_seq seqs[4] = {0};
    uint32_t n[4] = {0};
    for (int i = 1; i < 4; i++)
        assert_int_equal(loam_seq_open(m, &seqs[i]), LOAM_OK);
    for (int round = 0; round < 400; round++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t i = (uint32_t)(seed >> 33) % 4, what = (uint32_t)(seed >> 40) % 6;
        uint32_t more = 1 + (uint32_t)(seed >> 45) % (what < 3 ? 3 : 60);
        if (what == 5) {
            n[i] = more % (n[i] + 1);
            assert_int_equal(loam_seq_truncate(m, seqs[i], n[i]), LOAM_OK);
            continue;
        }
        if (n[i] + more > N_TOKENS) more = N_TOKENS - n[i];
        if (more == 0) continue;
        loam_status st = loam_prefill(m, seqs[i], s->tokens + n[i], more);
        assert_true(st == LOAM_OK || st == LOAM_ERR_FULL);
        if (st != LOAM_OK) {
            n[i] = 0;
            assert_int_equal(loam_seq_truncate(m, seqs[i], 0), LOAM_OK);
            continue;
        }
        n[i] += more;
        expect_at(s, m, seqs[i], n[i], "at random");
    }
    loam_free(m);
}

static void test_random_use__leaves_the_right_bits(void **state)
{
    static const char *const paths[] = {OWN("tiny-llama.gguf"), OWN("tiny-gemma3.gguf")};
    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        static const uint32_t block_tokens[] = {16, 8, 64};
        setting s;
        open_blocks(&s, paths[i % 2], block_tokens[i / 2]);
        for (uint64_t seed = 1; seed < 4; seed++) {
            use_at_random(&s, seed, 0);
            use_at_random(&s, seed, 208 + 32 * seed);
        }
        free(s.expected);
    }
}

/* ---- cancel and deadline between steps ---- */

static void test_interrupted_prompt__goes_on_or_leaves_what_was(void **state)
{
    static const char *const paths[] = {OWN("tiny-llama.gguf"), OWN("tiny-gemma3.gguf")};
    (void)state;
    for (int i = 0; i < 2; i++) {
        setting s;
        loam_status st;
        int interruptions = 0;
        open_setting(&s, paths[i]);
        loam *m = open_model(&s, 1, 0, 8);
        prefill(m, 0, s.tokens, 70);
        assert_int_equal(loam_set_budget(m, 1), LOAM_OK);
        for (int n = 0; n < 20; n++) /* some steps of the way */
            assert_int_equal(loam_prefill(m, 0, s.tokens + 70, 130), LOAM_ERR_DEADLINE);
        assert_int_equal(loam_set_budget(m, 0), LOAM_OK);
        prefill(m, 0, s.tokens + 70, 2); /* another call: the first is dropped */
        expect_at(&s, m, 0, 72, "after a dropped call");
        assert_int_equal(loam_set_budget(m, 1), LOAM_OK);
        while ((st = loam_prefill(m, 0, s.tokens + 72, 100)) == LOAM_ERR_DEADLINE)
            interruptions++;
        assert_int_equal(st, LOAM_OK);
        assert_true(interruptions > 10);
        expect_at(&s, m, 0, 172, "in many pieces");
        loam_free(m);
        free(s.expected);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_prefix__of_open_and_closed_sequences_is_shared),
    cmocka_unit_test(test_prefix__is_computed_where_all_logits_are_wanted),
    cmocka_unit_test(test_prefix__is_not_shared_when_the_host_forbids_it),
    cmocka_unit_test(test_truncate__computes_again_what_a_window_has_passed),
    cmocka_unit_test(test_small_pool__refuses_and_changes_nothing),
    cmocka_unit_test(test_forks__have_room_of_their_own),
    cmocka_unit_test(test_random_use__leaves_the_right_bits),
    cmocka_unit_test(test_interrupted_prompt__goes_on_or_leaves_what_was),
};

RUN(tests)
