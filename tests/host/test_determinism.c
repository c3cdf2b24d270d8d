/* "Text that differs with the batch size": on one instruction set, logits have the same bits
 * whatever the number of threads, the batch that a sequence is in, and the pieces that its prompt
 * came in. */
#define _POSIX_C_SOURCE 200809L
#include "models.h"

#include <stdbool.h>

#define N_TOKENS 40

static uint32_t draw(uint64_t *state) /* a linear congruential generator: Knuth's MMIX constants */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static void random_tokens(uint64_t seed, loam_token *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tokens[i] = (loam_token)(draw(&seed) % 298);
}

typedef struct setting {
    const char *path;
    model_options options; /* the instruction set and the types of the KV cells */
    uint32_t vocab;
    float *expected; /* [N_TOKENS][vocab]: one thread, one piece, alone */
    loam_token tokens[N_TOKENS];
} setting;

static loam *load(const setting *s, uint32_t threads, uint32_t step, uint32_t sequences)
{
    model_options options = s->options;
    options.threads = threads;
    options.step = step;
    options.sequences = sequences;
    return load_model(s->path, options);
}

static void open_setting(setting *s, const char *path, model_options options)
{
    *s = (setting){.path = path, .options = options};
    loam *m = load(s, 1, 64, 1);
    s->vocab = vocabulary_of(m);
    random_tokens(11, s->tokens, N_TOKENS);
    s->expected = malloc(sizeof(float) * N_TOKENS * s->vocab);
    assert_int_equal(loam_prefill_logits(m, 0, s->tokens, N_TOKENS, s->expected), LOAM_OK);
    loam_free(m);
}

static void expect_row(const setting *s, const float *logits, size_t position, const char *how)
{
    if (memcmp(logits, s->expected + position * s->vocab, s->vocab * sizeof(float)) != 0)
        fail_msg("%s on %s, %s: other bits at position %zu", s->path, s->options.isa, how,
                 position);
}

/* Where the weights lie is no difference. */
static void check_mapped(const setting *s)
{
    model_options options = s->options;
    options.flags = LOAM_LOAD_MAP;
    options.threads = 2;
    loam *m = load_model(s->path, options);
    float *logits = malloc(sizeof(float) * N_TOKENS * s->vocab);
    assert_int_equal(loam_prefill_logits(m, 0, s->tokens, N_TOKENS, logits), LOAM_OK);
    for (size_t i = 0; i < N_TOKENS; i++)
        expect_row(s, logits + i * s->vocab, i, "mapped");
    free(logits);
    loam_free(m);
}

static void check_threads_and_steps(const setting *s)
{
    static const uint32_t threads[] = {1, 2, 3, 7}, steps[] = {1, 3, 16, 40, 64};
    float *logits = malloc(sizeof(float) * N_TOKENS * s->vocab);
    for (size_t t = 0; t < 4; t++) {
        for (size_t w = 0; w < 5; w++) {
            loam *m = load(s, threads[t], steps[w], 1);
            assert_int_equal(loam_prefill_logits(m, 0, s->tokens, N_TOKENS, logits), LOAM_OK);
            for (size_t i = 0; i < N_TOKENS; i++)
                expect_row(s, logits + i * s->vocab, i, "threads and step width");
            loam_free(m);
        }
    }
    free(logits);
}

static void check_chunks(const setting *s)
{
    uint64_t seed = 5;
    loam *m = load(s, 2, 0, 1);
    for (int round = 0; round < 10; round++) {
        assert_int_equal(loam_seq_truncate(m, 0, draw(&seed) % 2 ? 0 : draw(&seed) % (round + 1)),
                         LOAM_OK);
        size_t at;
        assert_int_equal(loam_seq_length(m, 0, &at), LOAM_OK);
        while (at < N_TOKENS) {
            size_t n = 1 + draw(&seed) % 9;
            if (n > N_TOKENS - at) n = N_TOKENS - at;
            assert_int_equal(loam_prefill(m, 0, s->tokens + at, n), LOAM_OK);
            at += n;
            expect_row(s, loam_logits(m, 0), at - 1, "prompt in pieces");
        }
    }
    loam_free(m);
}

/* Sequence 0 holds the tokens; others with their own come and go in the same calls. */
static void check_batches(const setting *s)
{
    uint64_t seed = 9;
    loam_seq seqs[5] = {0};
    loam *m = load(s, 2, 0, 5);
    assert_int_equal(loam_prefill(m, 0, s->tokens, 1), LOAM_OK);
    for (int i = 1; i < 5; i++)
        assert_int_equal(loam_seq_open(m, &seqs[i]), LOAM_OK);
    for (size_t at = 1; at < N_TOKENS; at++) {
        loam_token tokens[5];
        size_t n = 1 + draw(&seed) % 5, place = draw(&seed) % n;
        loam_seq batch[5];
        random_tokens(seed + at, tokens, 5);
        for (size_t i = 0; i < n; i++)
            batch[i] = i == place ? 0 : seqs[i < place ? i + 1 : i];
        tokens[place] = s->tokens[at];
        assert_int_equal(loam_decode(m, batch, tokens, n), LOAM_OK);
        expect_row(s, loam_logits(m, 0), at, "in a batch");
    }
    loam_free(m);
}

/* A fork goes on as its origin would have, and neither disturbs the other: one of the two follows
 * the tokens, the other writes different ones at the same positions in between. */
static void check_fork(const setting *s, loam *m, size_t cut, bool fork_follows)
{
    loam_seq fork;
    loam_token other = 3;
    assert_int_equal(loam_seq_truncate(m, 0, 0), LOAM_OK);
    assert_int_equal(loam_prefill(m, 0, s->tokens, cut), LOAM_OK);
    assert_int_equal(loam_seq_fork(m, 0, &fork), LOAM_OK);
    expect_row(s, loam_logits(m, fork), cut - 1, "forked");
    loam_seq follower = fork_follows ? fork : 0, stranger = fork_follows ? 0 : fork;
    for (size_t at = cut; at < N_TOKENS; at++) {
        assert_int_equal(loam_decode(m, &follower, &s->tokens[at], 1), LOAM_OK);
        expect_row(s, loam_logits(m, follower), at, "after a fork");
        assert_int_equal(loam_decode(m, &stranger, &other, 1), LOAM_OK);
    }
    assert_int_equal(loam_seq_close(m, fork), LOAM_OK);
}

static void check_forks(const setting *s)
{
    loam *m = load(s, 2, 0, 2);
    for (size_t cut = 1; cut < N_TOKENS; cut += 5) {
        check_fork(s, m, cut, true);
        check_fork(s, m, cut, false);
    }
    loam_free(m);
}

static void check(const char *isa)
{
    static const struct {
        const char *path;
        int32_t k, v;
    } models[] = {
        {OWN("tiny-llama.gguf"), LOAM_KV_F32, LOAM_KV_F32},
        {OWN("tiny-gemma3.gguf"), LOAM_KV_F32, LOAM_KV_BF16},
        {OWN("tiny-llama-wide.gguf"), LOAM_KV_Q8_0, LOAM_KV_Q4_0},
        {OWN("tiny-gemma3-wide.gguf"), LOAM_KV_Q4_0, LOAM_KV_Q8_0},
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        setting s;
        open_setting(&s, models[i].path,
                     (model_options){.isa = isa, .kv = models[i].k, .v = models[i].v});
        check_mapped(&s);
        check_threads_and_steps(&s);
        check_chunks(&s);
        check_batches(&s);
        check_forks(&s);
        free(s.expected);
    }
}

/* ---- long contexts, whose attention is shared out by pieces of the context ---- */

enum { LONG = 900, LAST = 6, SPREAD = 120 }; /* the other sequence is so much shorter */

/* Two sequences, decoded together or one after the other: the logits of the last tokens of each. */
static float *decode_long(const char *path, model_options options, bool together)
{
    loam_token tokens[LONG];
    loam *m = load_model(path, options);
    uint32_t vocab = vocabulary_of(m);
    float *logits = malloc(sizeof(float) * 2 * LAST * vocab);
    loam_seq seqs[2] = {0};
    const size_t starts[2] = {LONG - LAST, LONG - LAST - SPREAD};
    random_tokens(17, tokens, LONG);
    assert_int_equal(loam_seq_open(m, &seqs[1]), LOAM_OK);
    for (size_t s = 0; s < 2; s++)
        assert_int_equal(loam_prefill(m, seqs[s], tokens, starts[s]), LOAM_OK);
    for (size_t i = 0; i < LAST; i++) {
        const loam_token next[2] = {tokens[starts[0] + i], tokens[starts[1] + i]};
        if (together) assert_int_equal(loam_decode(m, seqs, next, 2), LOAM_OK);
        for (size_t s = 0; s < 2; s++) {
            if (!together) assert_int_equal(loam_decode(m, &seqs[s], &next[s], 1), LOAM_OK);
            memcpy(logits + (2 * i + s) * vocab, loam_logits(m, seqs[s]), vocab * sizeof(float));
        }
    }
    loam_free(m);
    return logits;
}

static void check_long(const char *isa)
{
    static const char *const paths[] = {OWN("tiny-llama.gguf"), OWN("tiny-gemma3-far.gguf")};
    for (size_t p = 0; p < sizeof paths / sizeof *paths; p++) {
        model_options options = {.isa = isa, .context = LONG, .step = 64, .sequences = 2};
        loam *m = load_model(paths[p], options);
        const size_t bytes = sizeof(float) * 2 * LAST * vocabulary_of(m);
        loam_free(m);
        float *expected = decode_long(paths[p], options, false);
        for (uint32_t threads = 1; threads <= 5; threads += 2) {
            for (int together = 0; together < 2; together++) {
                options.threads = threads;
                options.step = threads == 3 ? 500 : 7;
                float *got = decode_long(paths[p], options, together);
                if (memcmp(got, expected, bytes) != 0)
                    fail_msg("%s on %s, %u threads%s: other bits", paths[p], isa, threads,
                             together ? ", together" : "");
                free(got);
            }
        }
        free(expected);
    }
}

static void test_simd__same_bits_behind_long_contexts(void **state)
{
    (void)state;
    on_each_simd(check_long);
}

static void test_scalar__same_bits_for_any_threads_batch_and_pieces(void **state)
{
    (void)state;
    check("scalar");
}

static void test_simd__same_bits_for_any_threads_batch_and_pieces(void **state)
{
    (void)state;
    on_each_simd(check);
}

static void test_sampling__same_seed_same_text(void **state)
{
    loam_token first[30], again[30];
    loam_sampling how;
    (void)state;
    loam_sampling_init(&how);
    how.temperature = 1.0f;
    how.top_p = 0.95f;
    how.seed = 42;
    for (int round = 0; round < 3; round++) {
        loam_token *out = round ? again : first, prompt = 7;
        loam_seq zero = 0;
        loam *m =
            load_model(OWN("tiny-llama.gguf"), (model_options){.threads = 1 + (uint32_t)round});
        if (round == 2) how.seed = 43;
        assert_int_equal(loam_seq_sampling(m, 0, &how), LOAM_OK);
        assert_int_equal(loam_prefill(m, 0, &prompt, 1), LOAM_OK);
        for (int i = 0; i < 30; i++) {
            assert_int_equal(loam_sample(m, 0, &out[i]), LOAM_OK);
            assert_int_equal(loam_decode(m, &zero, &out[i], 1), LOAM_OK);
        }
        loam_free(m);
        if (round == 1) assert_memory_equal(first, again, sizeof first);
        if (round == 2) assert_memory_not_equal(first, again, sizeof first);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_scalar__same_bits_for_any_threads_batch_and_pieces),
    cmocka_unit_test(test_simd__same_bits_for_any_threads_batch_and_pieces),
    cmocka_unit_test(test_simd__same_bits_behind_long_contexts),
    cmocka_unit_test(test_sampling__same_seed_same_text),
};

RUN(tests)
