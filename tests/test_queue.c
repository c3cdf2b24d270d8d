/* Continuous batching: whatever runs beside a request, its answer is the one that it gets alone. */
#define _POSIX_C_SOURCE 200809L
#include <loam/queue.h>

#include <stdbool.h>

#include "models.h"

enum { REQUESTS = 24, MOST_PROMPT = 120, MOST_ANSWER = 40, CONTEXT = 160, TEXT = 1024 };

static const char *const models[] = {OWN("tiny-llama.gguf"), OWN("tiny-gemma3.gguf")};

static uint32_t draw(uint64_t *state) /* a linear congruential generator: Knuth's MMIX constants */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* ---- requests, and what comes out ---- */

typedef struct answer {
    loam_token tokens[MOST_ANSWER];
    size_t n_tokens;
    char text[TEXT];
    size_t n_text;
    int32_t finish;
    uint32_t suspensions, shared;
} answer;

typedef struct request {
    loam_token prompt[MOST_PROMPT];
    size_t n_prompt;
    uint32_t max_tokens, flags;
    int32_t priority;
    loam_sampling sampling;
    const char *stop; /* NULL: none */
    uint64_t id;
    answer alone, queued;
} request;

/* Prompts that begin like others, of all lengths, with every kind of sampling. */
static void make_request(request *r, uint64_t *seed)
{
    uint64_t text = draw(seed) % 3; /* one of three texts, as far as a random place */
    size_t common = draw(seed) % 80;
    memset(r, 0, sizeof *r);
    r->n_prompt = common + 1 + draw(seed) % 40;
    for (size_t i = 0; i < r->n_prompt; i++)
        r->prompt[i] = (loam_token)(draw(i < common ? &text : seed) % 298);
    r->max_tokens = 1 + draw(seed) % MOST_ANSWER;
    r->flags = draw(seed) % 2 ? LOAM_SUBMIT_IGNORE_END : 0;
    r->priority = (int32_t)(draw(seed) % 3) - 1;
    loam_sampling_init(&r->sampling);
    if (draw(seed) % 3 == 0) return;
    r->sampling.temperature = 0.9f;
    r->sampling.seed = draw(seed);
    r->sampling.top_p = 0.95f;
    if (draw(seed) % 2) r->sampling.repeat_penalty = 1.3f;
    r->sampling.frequency_penalty = 0.1f;
}

static void make_requests(request *requests, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++)
        make_request(&requests[i], &seed);
}

/* Answer a request with the plain verbs, without the queue. */
static void answer_alone(loam *m, request *r)
{
    loam_seq zero = 0;
    loam_token t;
    loam_stream stream;
    answer *a = &r->alone;
    loam_stream_init(&stream);
    *a = (answer){0};
    assert_int_equal(loam_seq_truncate(m, 0, 0), LOAM_OK);
    assert_int_equal(loam_seq_sampling(m, 0, &r->sampling), LOAM_OK);
    assert_int_equal(loam_prefill(m, 0, r->prompt, r->n_prompt), LOAM_OK);
    while (a->finish == LOAM_FINISH_NONE) {
        size_t n;
        assert_int_equal(loam_sample(m, 0, &t), LOAM_OK);
        bool ends = loam_token_is_end(m, t) && !(r->flags & LOAM_SUBMIT_IGNORE_END);
        assert_int_equal(loam_stream_push(m, &stream, ends ? -1 : t, a->text + a->n_text,
                                          TEXT - a->n_text, &n),
                         LOAM_OK);
        a->n_text += n;
        if (ends) {
            a->finish = LOAM_FINISH_END;
            break;
        }
        a->tokens[a->n_tokens++] = t;
        assert_int_equal(loam_decode(m, &zero, &t, 1), LOAM_OK);
        if (a->n_tokens < r->max_tokens) continue;
        a->finish = LOAM_FINISH_LENGTH;
        assert_int_equal(
            loam_stream_push(m, &stream, -1, a->text + a->n_text, TEXT - a->n_text, &n), LOAM_OK);
        a->n_text += n;
    }
}

static void answer_all_alone(const char *path, request *requests, size_t n)
{
    loam *m = load_model(path, (model_options){.context = CONTEXT});
    for (size_t i = 0; i < n; i++)
        answer_alone(m, &requests[i]);
    loam_free(m);
}

static uint64_t submit(loam_queue *q, request *r)
{
    loam_submission s;
    loam_submission_init(&s);
    s.flags = r->flags;
    s.tag = (uint64_t)(uintptr_t)r;
    s.priority = r->priority;
    s.max_tokens = r->max_tokens;
    s.tokens = r->prompt;
    s.n_tokens = r->n_prompt;
    s.sampling = &r->sampling;
    size_t stop_bytes = r->stop ? strlen(r->stop) : 0;
    s.stops = &r->stop;
    s.stop_bytes = &stop_bytes;
    s.n_stops = r->stop != NULL;
    r->queued = (answer){0};
    assert_int_equal(loam_queue_submit(q, &s, &r->id), LOAM_OK);
    assert_true(r->id > 0);
    return r->id;
}

static void submit_all(loam_queue *q, request *requests, size_t n)
{
    for (size_t i = 0; i < n; i++)
        submit(q, &requests[i]);
}

static void take_event(const loam_queue_event *e)
{
    request *r = (request *)(uintptr_t)e->tag;
    answer *a = &r->queued;
    assert_true(e->request == r->id);
    assert_int_equal(a->finish, LOAM_FINISH_NONE); /* nothing comes after the last */
    assert_true(a->n_text + e->text_bytes <= TEXT);
    if (e->text_bytes) memcpy(a->text + a->n_text, e->text, e->text_bytes);
    a->n_text += e->text_bytes;
    a->suspensions = e->suspensions;
    a->shared = e->shared_tokens;
    assert_int_equal(e->prompt_tokens, r->n_prompt);
    if (e->kind == LOAM_EVENT_TOKEN) {
        assert_true(a->n_tokens < r->max_tokens);
        a->tokens[a->n_tokens++] = e->token;
        assert_int_equal(e->finish, LOAM_FINISH_NONE);
    } else {
        assert_int_equal(e->kind, LOAM_EVENT_FINISHED);
        assert_int_not_equal(e->finish, LOAM_FINISH_NONE);
        a->finish = e->finish;
    }
    assert_int_equal(e->answer_tokens, a->n_tokens);
}

static size_t take_events(loam_queue *q)
{
    loam_queue_event e;
    size_t n = 0;
    loam_queue_event_init(&e);
    for (;; n++) {
        assert_int_equal(loam_queue_next(q, &e), LOAM_OK);
        if (e.kind == LOAM_EVENT_NONE) return n;
        take_event(&e);
    }
}

/* Step until nothing is left; a budget may end steps early. */
static void run_queue(loam *m, loam_queue *q)
{
    while (!loam_queue_idle(q)) {
        loam_status st = loam_queue_step(q);
        if (st != LOAM_OK && st != LOAM_ERR_DEADLINE) fail_msg("%s", loam_error(m));
        take_events(q);
    }
}

static void expect_same(const request *r, const char *how)
{
    const answer *a = &r->alone, *b = &r->queued;
    if (a->finish != b->finish || a->n_tokens != b->n_tokens || a->n_text != b->n_text ||
        memcmp(a->tokens, b->tokens, a->n_tokens * sizeof a->tokens[0]) != 0 ||
        memcmp(a->text, b->text, a->n_text) != 0)
        fail_msg("%s: a prompt of %zu: alone %zu tokens, finish %d; queued %zu, finish %d", how,
                 r->n_prompt, a->n_tokens, a->finish, b->n_tokens, b->finish);
}

static void expect_all_same(const request *requests, size_t n, const char *how)
{
    for (size_t i = 0; i < n; i++)
        expect_same(&requests[i], how);
}

/* ---- handles and queues ---- */

typedef struct setting {
    uint32_t threads, sequences, step, flags;
    uint64_t kv_tokens;
    fault_heap *heap;
} setting;

static loam *open_model(const char *path, setting s)
{
    loam *m = NULL;
    loam_options options;
    loam_hooks hooks;
    loam_options_init(&options);
    loam_hooks_init(&hooks);
    options.threads = s.threads ? s.threads : 1;
    options.sequences = s.sequences ? s.sequences : 4;
    options.step_tokens = s.step ? s.step : 64;
    options.context_tokens = CONTEXT;
    options.kv_tokens = s.kv_tokens;
    options.kv_type = LOAM_KV_F32;
    options.flags = s.flags;
    if (s.heap) {
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = s.heap;
        options.hooks = &hooks;
    }
    if (loam_load(path, &options, &m) != LOAM_OK) fail_msg("%s: %s", path, loam_error(m));
    assert_int_equal(loam_seq_close(m, 0), LOAM_OK);
    return m;
}

static loam_queue *open_queue(loam *m, uint32_t step_tokens)
{
    loam_queue *q;
    loam_queue_options options;
    loam_queue_options_init(&options);
    options.requests = REQUESTS;
    options.step_tokens = step_tokens;
    if (loam_queue_open(m, &options, &q) != LOAM_OK) fail_msg("%s", loam_error(m));
    return q;
}

static loam_queue_stats stats_of(loam_queue *q)
{
    loam_queue_stats stats;
    loam_queue_stats_init(&stats);
    assert_int_equal(loam_queue_get_stats(q, &stats), LOAM_OK);
    return stats;
}

/* ---- the same bits as alone ---- */

static void check_mix(const char *path, request *requests, setting s, bool suspends)
{
    loam *m = open_model(path, s);
    loam_queue *q = open_queue(m, 0);
    submit_all(q, requests, REQUESTS);
    run_queue(m, q);
    loam_queue_stats stats = stats_of(q);
    expect_all_same(requests, REQUESTS, path);
    assert_int_equal(stats.running + stats.waiting, 0);
    assert_in_range(stats.most_running, 2, s.sequences ? s.sequences : 4);
    if (suspends) assert_true(stats.suspensions > 0);
    if (s.flags & LOAM_LOAD_NO_SHARING) assert_true(stats.shared_tokens == 0);
    else assert_true(stats.shared_tokens > 0);
    loam_queue_close(q);
    loam_free(m);
}

static void test_answers__are_those_of_each_request_alone(void **state)
{
    static const setting settings[] = {
        {.sequences = 4},
        {.sequences = 4, .threads = 2},
        {.sequences = 9, .step = 16},
        {.sequences = 3, .step = 5},
        {.sequences = 24, .step = 150},
        {.sequences = 6, .flags = LOAM_LOAD_NO_SHARING},
    };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        request *requests = malloc(REQUESTS * sizeof *requests);
        make_requests(requests, REQUESTS, 7 + i);
        answer_all_alone(models[i], requests, REQUESTS);
        for (size_t j = 0; j < sizeof settings / sizeof *settings; j++)
            check_mix(models[i], requests, settings[j], false);
        free(requests);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_answers__are_those_of_each_request_alone),
};

RUN(tests)
