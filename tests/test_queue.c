/* Continuous batching: whatever runs beside a request, its answer is the one that it gets alone. */
#define _POSIX_C_SOURCE 200809L
#include <loam/queue.h>
#include <pthread.h>
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
        assert_int_equal(
            loam_stream_push(m, &stream, ends ? -1 : t, a->text + a->n_text, TEXT - a->n_text, &n),
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

/* A KV cache of little more than one context: those that run take each other's blocks. */
static void test_suspended__goes_on_with_the_same_answer(void **state)
{
    static const setting settings[] = {
        {.sequences = 8, .kv_tokens = CONTEXT},
        {.sequences = 8, .kv_tokens = CONTEXT + 48, .threads = 2},
        {.sequences = 5, .kv_tokens = CONTEXT, .step = 9},
        {.sequences = 8, .kv_tokens = CONTEXT, .flags = LOAM_LOAD_NO_SHARING},
    };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        request *requests = malloc(REQUESTS * sizeof *requests);
        make_requests(requests, REQUESTS, 70 + i);
        for (size_t j = 0; j < REQUESTS; j++) { /* short ones, which grow */
            requests[j].n_prompt = requests[j].n_prompt % 20 + 1;
            requests[j].max_tokens = MOST_ANSWER;
            requests[j].flags = LOAM_SUBMIT_IGNORE_END;
        }
        answer_all_alone(models[i], requests, REQUESTS);
        for (size_t j = 0; j < sizeof settings / sizeof *settings; j++)
            check_mix(models[i], requests, settings[j], true);
        uint32_t suspensions = 0;
        for (size_t j = 0; j < REQUESTS; j++)
            suspensions += requests[j].queued.suspensions;
        assert_true(suspensions > 0);
        free(requests);
    }
}

static void check_budget(const char *path, request *requests, uint64_t budget_ns)
{
    loam *m = open_model(path, (setting){.sequences = 6, .kv_tokens = CONTEXT + 32, .threads = 2});
    loam_queue *q = open_queue(m, 16);
    size_t deadlines = 0;
    assert_int_equal(loam_set_budget(m, budget_ns), LOAM_OK);
    submit_all(q, requests, 8);
    while (!loam_queue_idle(q)) {
        loam_status st = loam_queue_step(q);
        deadlines += st == LOAM_ERR_DEADLINE;
        if (st == LOAM_ERR_DEADLINE) assert_int_equal(take_events(q), 0);
        else assert_int_equal(st, LOAM_OK);
        take_events(q);
    }
    if (budget_ns == 1) assert_true(deadlines > stats_of(q).steps);
    expect_all_same(requests, 8, "with a time budget");
    loam_queue_close(q);
    loam_free(m);
}

static void test_budget__a_step_goes_on_where_it_stopped(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        request *requests = malloc(REQUESTS * sizeof *requests);
        make_requests(requests, 8, 21 + i);
        answer_all_alone(models[i], requests, 8);
        check_budget(models[i], requests, 1);
        check_budget(models[i], requests, 20000);
        free(requests);
    }
}

/* loam_cancel() drops one step; the next computes it again. */
static void test_cancelled_step__is_computed_again(void **state)
{
    request requests[6];
    size_t cancelled = 0;
    (void)state;
    make_requests(requests, 6, 5);
    answer_all_alone(models[1], requests, 6);
    loam *m = open_model(models[1], (setting){.sequences = 4});
    loam_queue *q = open_queue(m, 0);
    submit_all(q, requests, 6);
    for (size_t i = 0; !loam_queue_idle(q); i++) {
        if (i % 3 == 1) loam_cancel(m);
        loam_status st = loam_queue_step(q);
        if (st == LOAM_ERR_CANCELLED) cancelled++;
        else assert_int_equal(st, LOAM_OK);
        assert_int_equal(take_events(q) > 0 && st != LOAM_OK, 0);
    }
    assert_true(cancelled > 5);
    expect_all_same(requests, 6, "after cancelled steps");
    loam_queue_close(q);
    loam_free(m);
}

/* ---- scheduling ---- */

static void tokens_of(request *r, size_t n, uint64_t seed)
{
    memset(r, 0, sizeof *r);
    loam_sampling_init(&r->sampling);
    r->n_prompt = n;
    r->max_tokens = MOST_ANSWER;
    r->flags = LOAM_SUBMIT_IGNORE_END;
    for (size_t i = 0; i < n; i++)
        r->prompt[i] = (loam_token)(draw(&seed) % 298);
}

static void test_prompt__goes_in_pieces_beside_answers(void **state)
{
    request requests[2];
    (void)state;
    loam *m = open_model(models[0], (setting){.sequences = 2});
    loam_queue *q = open_queue(m, 17);
    tokens_of(&requests[0], 3, 1);
    submit(q, &requests[0]);
    assert_int_equal(loam_queue_step(q), LOAM_OK);
    assert_int_equal(take_events(q), 1);
    tokens_of(&requests[1], 100, 2);
    submit(q, &requests[1]);
    for (size_t step = 0; step < 7; step++) { /* 16 rows each beside the answer's */
        assert_int_equal(requests[1].queued.n_tokens, 0);
        assert_int_equal(loam_queue_step(q), LOAM_OK);
        take_events(q);
        assert_int_equal(requests[0].queued.n_tokens, 2 + step);
    }
    assert_int_equal(requests[1].queued.n_tokens, 1);
    assert_true(stats_of(q).computed_tokens == 3 + 7 + 100);
    loam_queue_close(q);
    loam_free(m);
}

/* The beginning that prompts have in common is computed once, though they come together. */
static void test_common_beginning__is_computed_once(void **state)
{
    request requests[5];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        loam *m = open_model(models[i], (setting){.sequences = 5, .step = 160});
        loam_queue *q = open_queue(m, 0);
        for (size_t j = 0; j < 5; j++) {
            tokens_of(&requests[j], 70, 3);
            requests[j].prompt[66] = (loam_token)j;
            requests[j].max_tokens = 1;
            submit(q, &requests[j]);
        }
        assert_int_equal(loam_queue_step(q), LOAM_OK);
        assert_int_equal(take_events(q), 2);
        assert_int_equal(loam_queue_step(q), LOAM_OK);
        assert_int_equal(take_events(q), 8);
        for (size_t j = 0; j < 5; j++)
            assert_int_equal(requests[j].queued.shared, j ? 64 : 0);
        assert_true(stats_of(q).computed_tokens == 70 + 4 * 6);
        assert_true(stats_of(q).shared_tokens == 4 * 64);
        loam_usage usage;
        loam_usage_init(&usage);
        assert_int_equal(loam_get_usage(m, &usage), LOAM_OK);
        assert_true(usage.tokens_shared == 4 * 64);
        loam_queue_close(q);
        loam_free(m);
    }
}

static size_t place_in(const uint64_t *order, size_t n, const request *r)
{
    for (size_t i = 0; i < n; i++)
        if (order[i] == r->id) return i;
    fail_msg("a request did not finish");
    return n;
}

/* On one sequence: by priority, then as they came. */
static void test_line__is_by_priority_and_then_as_they_came(void **state)
{
    static const int32_t priorities[] = {0, -5, 0, 7, 0, 7, -5, 100};
    request requests[8];
    uint64_t order[8];
    size_t n = 0;
    loam_queue_event e;
    (void)state;
    loam *m = open_model(models[0], (setting){.sequences = 1});
    loam_queue *q = open_queue(m, 0);
    loam_queue_event_init(&e);
    for (size_t i = 0; i < 8; i++) {
        tokens_of(&requests[i], 5, i);
        requests[i].priority = priorities[i];
        requests[i].max_tokens = 3;
        submit(q, &requests[i]);
    }
    while (!loam_queue_idle(q)) {
        assert_int_equal(loam_queue_step(q), LOAM_OK);
        while (loam_queue_next(q, &e) == LOAM_OK && e.kind != LOAM_EVENT_NONE)
            if (e.kind == LOAM_EVENT_FINISHED) order[n++] = e.request;
    }
    assert_int_equal(n, 8);
    for (size_t i = 0; i < 8; i++)
        for (size_t j = i + 1; j < 8; j++) {
            bool first = place_in(order, 8, &requests[i]) < place_in(order, 8, &requests[j]);
            assert_int_equal(first, priorities[i] >= priorities[j]);
        }
    loam_queue_close(q);
    loam_free(m);
}

static int in_line(const void *a, const void *b)
{
    const request *x = *(const request *const *)a, *y = *(const request *const *)b;
    if (x->priority != y->priority) return x->priority > y->priority ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Requests leave the line from its middle, and the others keep their places. */
static void test_line__keeps_its_order_when_some_are_cancelled(void **state)
{
    uint64_t seed = 6;
    (void)state;
    loam *m = open_model(models[0], (setting){.sequences = 1});
    loam_queue *q = open_queue(m, 0);
    request *requests = malloc(REQUESTS * sizeof *requests), *line[REQUESTS];
    for (size_t round = 0; round < 30; round++) {
        size_t n = 0;
        for (size_t i = 0; i < REQUESTS; i++) {
            tokens_of(&requests[i], 1, i);
            requests[i].priority = (int32_t)(draw(&seed) % 9);
            requests[i].max_tokens = 1;
            submit(q, &requests[i]);
        }
        for (size_t i = 0; i < REQUESTS; i++) {
            if (draw(&seed) % 3) line[n++] = &requests[i];
            else assert_int_equal(loam_queue_cancel(q, requests[i].id), LOAM_OK);
        }
        qsort(line, n, sizeof line[0], in_line);
        take_events(q);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(line[i]->queued.n_tokens, 0);
            assert_int_equal(loam_queue_step(q), LOAM_OK);
            take_events(q);
            assert_int_equal(line[i]->queued.n_tokens, 1);
        }
    }
    free(requests);
    loam_queue_close(q);
    loam_free(m);
}

/* The first in line waits for many blocks: the small one behind it does not overtake it. */
static void test_big_request__is_not_overtaken(void **state)
{
    request requests[3];
    (void)state;
    loam *m = open_model(models[0], (setting){.sequences = 3, .kv_tokens = CONTEXT});
    loam_queue *q = open_queue(m, 0);
    tokens_of(&requests[0], 90, 1);
    tokens_of(&requests[1], 110, 2);
    tokens_of(&requests[2], 2, 3);
    submit_all(q, requests, 3);
    while (requests[0].queued.finish == LOAM_FINISH_NONE) {
        assert_int_equal(loam_queue_step(q), LOAM_OK);
        assert_int_equal(stats_of(q).waiting, 2);
        take_events(q);
    }
    assert_int_equal(requests[1].queued.n_tokens + requests[2].queued.n_tokens, 0);
    run_queue(m, q);
    assert_int_equal(requests[0].queued.suspensions, 0);
    loam_queue_close(q);
    loam_free(m);
}

/* When blocks run out it is the youngest of the lowest priority that gives its own up. */
static void test_suspension__takes_the_youngest_of_the_lowest_priority(void **state)
{
    static const int32_t priorities[] = {1, 0, 2, 0, 1};
    request requests[5];
    (void)state;
    loam *m = open_model(models[0], (setting){.sequences = 5, .kv_tokens = CONTEXT});
    loam_queue *q = open_queue(m, 0);
    for (size_t i = 0; i < 5; i++) {
        tokens_of(&requests[i], 15, i);
        requests[i].priority = priorities[i];
        submit(q, &requests[i]);
    }
    run_queue(m, q);
    assert_int_equal(requests[2].queued.suspensions, 0);
    assert_int_equal(requests[0].queued.suspensions, 0);
    assert_true(requests[3].queued.suspensions > 0);
    assert_true(requests[3].queued.suspensions >= requests[1].queued.suspensions);
    loam_queue_close(q);
    loam_free(m);
}

/* ---- cancel ---- */

static void test_cancel__ends_a_request_that_waits_runs_or_is_in_its_prompt(void **state)
{
    request requests[4];
    (void)state;
    make_requests(requests, 4, 33);
    answer_all_alone(models[1], requests, 4);
    loam *m = open_model(models[1], (setting){.sequences = 2, .step = 16});
    loam_queue *q = open_queue(m, 0);
    request waits, runs, prompts;
    tokens_of(&runs, 4, 1);
    tokens_of(&prompts, 90, 2);
    tokens_of(&waits, 50, 3);
    submit(q, &runs);
    submit(q, &prompts);
    submit(q, &waits);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(loam_queue_step(q), LOAM_OK);
        take_events(q);
    }
    assert_int_equal(runs.queued.n_tokens, 3);
    submit_all(q, requests, 4);
    assert_int_equal(loam_queue_cancel(q, waits.id), LOAM_OK);
    assert_int_equal(loam_queue_cancel(q, runs.id), LOAM_OK);
    assert_int_equal(loam_queue_cancel(q, prompts.id), LOAM_OK);
    assert_int_equal(loam_queue_cancel(q, runs.id), LOAM_ERR_ARG);
    assert_int_equal(take_events(q), 3);
    assert_int_equal(waits.queued.finish, LOAM_FINISH_CANCELLED);
    assert_int_equal(runs.queued.finish, LOAM_FINISH_CANCELLED);
    assert_int_equal(prompts.queued.finish, LOAM_FINISH_CANCELLED);
    assert_int_equal(loam_queue_cancel(q, waits.id), LOAM_ERR_ARG);
    assert_int_equal(loam_queue_cancel(q, 0), LOAM_ERR_ARG);
    run_queue(m, q);
    expect_all_same(requests, 4, "beside cancelled ones");
    loam_queue_close(q);
    loam_free(m);
}

static void test_cancel__in_a_step_that_its_deadline_interrupted(void **state)
{
    request requests[5];
    (void)state;
    make_requests(requests, 5, 34);
    answer_all_alone(models[0], requests, 5);
    loam *m = open_model(models[0], (setting){.sequences = 5});
    loam_queue *q = open_queue(m, 0);
    submit_all(q, requests, 5);
    assert_int_equal(loam_set_budget(m, 1), LOAM_OK);
    assert_int_equal(loam_queue_step(q), LOAM_ERR_DEADLINE);
    assert_int_equal(loam_queue_cancel(q, requests[2].id), LOAM_OK);
    assert_int_equal(take_events(q), 1);
    run_queue(m, q);
    for (size_t i = 0; i < 5; i++)
        if (i != 2) expect_same(&requests[i], "after a cancelled one");
    loam_queue_close(q);
    loam_free(m);
}

/* ---- stop strings ---- */

/* The answer of a model is known from before; stop strings are pieces of its text. */
static void expect_stop(loam *m, request *r, const char *stop, size_t n_stop)
{
    char text[TEXT], *found = NULL;
    char copy[TEXT];
    size_t n = r->alone.n_text;
    memcpy(text, r->alone.text, n);
    memcpy(copy, stop, n_stop);
    copy[n_stop] = 0;
    for (size_t i = 0; i + n_stop <= n && !found; i++)
        if (memcmp(text + i, stop, n_stop) == 0) found = text + i;
    loam_queue *q = open_queue(m, 0);
    r->stop = copy;
    submit(q, r);
    run_queue(m, q);
    loam_queue_close(q);
    const answer *a = &r->queued;
    assert_int_equal(a->finish, found ? LOAM_FINISH_STOP : r->alone.finish);
    assert_int_equal(a->n_text, found ? (size_t)(found - text) : n);
    assert_memory_equal(a->text, text, a->n_text);
    assert_memory_equal(a->tokens, r->alone.tokens, a->n_tokens * sizeof(loam_token));
    r->stop = NULL;
}

static bool starts_character(char byte)
{
    return ((unsigned char)byte & 0xC0) != 0x80;
}

/* Every piece of the text, from every character of it to some others, over several tokens or
 * within one, ends the answer where it first occurs. */
static void test_stop__ends_the_text_where_a_stop_string_begins(void **state)
{
    request r;
    size_t checked = 0;
    (void)state;
    loam *m = open_model(models[0], (setting){.sequences = 1});
    tokens_of(&r, 6, 12);
    r.sampling.temperature = 1.5f;
    r.sampling.seed = 5;
    answer_all_alone(models[0], &r, 1);
    for (size_t i = 0; i < r.alone.n_text; i += 3)
        for (size_t n = 1; n < 12 && i + n <= r.alone.n_text; n += 2) {
            const char *p = r.alone.text + i;
            if (!starts_character(*p) || (i + n < r.alone.n_text && !starts_character(p[n])) ||
                memchr(p, 0, n))
                continue;
            expect_stop(m, &r, p, n);
            checked++;
        }
    assert_true(checked > 20);
    expect_stop(m, &r, "never there", 11);
    loam_free(m);
}

/* ---- the handle beside the queue ---- */

/* The open sequence of a slot, whose number anybody can find out; -1: it is not open. */
static loam_seq find_open(loam *m, uint32_t slot)
{
    size_t n;
    for (loam_seq seq = (loam_seq)slot; seq < 200 << 12; seq += 1 << 12)
        if (loam_seq_length(m, seq, &n) == LOAM_OK) return seq;
    return -1;
}

static void meddle(loam *m, uint64_t *seed, loam_seq *own)
{
    loam_token tokens[9];
    loam_seq any = find_open(m, draw(seed) % 4), fork;
    for (size_t i = 0; i < 9; i++)
        tokens[i] = (loam_token)(draw(seed) % 298);
    switch (draw(seed) % 10) {
    case 0:
        if (*own < 0 && loam_seq_open(m, own) != LOAM_OK) *own = -1;
        break;
    case 1:
        loam_prefill(m, *own, tokens, 9);
        break;
    case 2:
        loam_seq_close(m, *own);
        *own = -1;
        break;
    case 3:
        loam_seq_truncate(m, any, draw(seed) % 20);
        break;
    case 4:
        if (any != *own) loam_seq_close(m, any);
        break;
    case 5:
        loam_prefill(m, any, tokens, 3);
        break;
    case 6:
        if (loam_seq_fork(m, any, &fork) == LOAM_OK) loam_seq_close(m, fork);
        break;
    case 7:
        loam_decode(m, &any, tokens, 1);
        break;
    case 8: /* as many tokens or fewer, but others */
        loam_seq_truncate(m, any, 1);
        loam_prefill(m, any, tokens, 1 + draw(seed) % 3);
        break;
    default:
        loam_set_budget(m, draw(seed) % 3 ? 0 : 1000);
        break;
    }
}

/* Other calls between steps, on sequences of their own and on those of the queue, whose numbers
 * are easily guessed, change no answer. */
static void test_other_calls__change_no_answer(void **state)
{
    uint64_t seed = 4;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        request requests[12];
        loam_seq own = -1;
        make_requests(requests, 12, 90 + i);
        answer_all_alone(models[i], requests, 12);
        loam *m = open_model(models[i], (setting){.sequences = 4, .kv_tokens = 2 * CONTEXT});
        loam_queue *q = open_queue(m, 0);
        submit_all(q, requests, 12);
        while (!loam_queue_idle(q)) {
            if (draw(&seed) % 4 == 0) meddle(m, &seed, &own);
            loam_status st = loam_queue_step(q);
            if (st == LOAM_ERR_FULL && own >= 0) {
                loam_seq_close(m, own);
                own = -1;
            } else if (st != LOAM_ERR_DEADLINE && st != LOAM_OK) {
                fail_msg("%s", loam_error(m));
            }
            take_events(q);
        }
        expect_all_same(requests, 12, "beside other calls");
        loam_queue_close(q);
        loam_free(m);
    }
}

static void test_step__says_when_others_hold_all_sequences(void **state)
{
    request r;
    loam_seq seq;
    (void)state;
    loam *m = open_model(models[0], (setting){.sequences = 1});
    loam_queue *q = open_queue(m, 0);
    assert_int_equal(loam_seq_open(m, &seq), LOAM_OK);
    tokens_of(&r, 4, 1);
    assert_int_equal(loam_queue_step(q), LOAM_OK); /* nothing to do */
    submit(q, &r);
    assert_int_equal(loam_queue_step(q), LOAM_ERR_FULL);
    assert_non_null(strstr(loam_error(m), "sequences"));
    assert_int_equal(loam_seq_close(m, seq), LOAM_OK);
    run_queue(m, q);
    assert_int_equal(r.queued.n_tokens, MOST_ANSWER);
    loam_queue_close(q);
    loam_free(m);
}

static void test_two_queues__share_a_handle(void **state)
{
    request *requests = malloc(REQUESTS * sizeof *requests);
    (void)state;
    make_requests(requests, REQUESTS, 55);
    answer_all_alone(models[0], requests, REQUESTS);
    loam *m = open_model(models[0], (setting){.sequences = 4, .kv_tokens = CONTEXT});
    loam_queue *queues[2] = {open_queue(m, 0), open_queue(m, 0)};
    for (size_t i = 0; i < REQUESTS; i++)
        submit(queues[i % 2], &requests[i]);
    while (!loam_queue_idle(queues[0]) || !loam_queue_idle(queues[1]))
        for (int i = 0; i < 2; i++) {
            loam_status st = loam_queue_step(queues[i]);
            if (st != LOAM_OK && st != LOAM_ERR_FULL) fail_msg("%s", loam_error(m));
            take_events(queues[i]);
        }
    expect_all_same(requests, REQUESTS, "two queues");
    loam_queue_close(queues[0]);
    loam_queue_close(queues[1]);
    loam_free(m);
    free(requests);
}

/* ---- refusals ---- */

static void expect_refused(loam *m, loam_queue *q, const loam_submission *s, loam_status wanted,
                           const char *word)
{
    uint64_t id = 0;
    loam_status st = loam_queue_submit(q, s, &id);
    if (st != wanted || !strstr(loam_error(m), word) || id != 0)
        fail_msg("%s \"%s\", wanted %s with \"%s\"", loam_status_name(st), loam_error(m),
                 loam_status_name(wanted), word);
}

static void test_submit__refuses_what_could_never_run(void **state)
{
    static loam_token tokens[CONTEXT];
    const char *stops[LOAM_QUEUE_STOPS + 1];
    size_t lengths[LOAM_QUEUE_STOPS + 1];
    char long_stop[300];
    loam_sampling sampling;
    (void)state;
    loam *m = open_model(models[0], (setting){.sequences = 2});
    loam_queue *q = open_queue(m, 0);
    loam_submission good, s;
    loam_submission_init(&good);
    good.tokens = tokens;
    good.n_tokens = 5;
    good.stops = stops;
    good.stop_bytes = lengths;
    for (size_t i = 0; i <= LOAM_QUEUE_STOPS; i++) {
        stops[i] = "x";
        lengths[i] = 1;
    }
    s = good, s.n_tokens = 0;
    expect_refused(m, q, &s, LOAM_ERR_ARG, "prompt");
    s = good, s.tokens = NULL;
    expect_refused(m, q, &s, LOAM_ERR_ARG, "prompt");
    s = good, s.n_tokens = CONTEXT;
    expect_refused(m, q, &s, LOAM_ERR_ARG, "160");
    s = good, s.max_tokens = CONTEXT - 4;
    expect_refused(m, q, &s, LOAM_ERR_ARG, "156 of answer");
    s = good, s.max_tokens = UINT32_MAX;
    expect_refused(m, q, &s, LOAM_ERR_ARG, "of answer");
    s = good, s.flags = 64;
    expect_refused(m, q, &s, LOAM_ERR_NEWER, "flags");
    s = good, s.struct_size = 3;
    expect_refused(m, q, &s, LOAM_ERR_ARG, "struct_size");
    s = good, s.n_stops = LOAM_QUEUE_STOPS + 1;
    expect_refused(m, q, &s, LOAM_ERR_ARG, "stop strings");
    s = good, s.n_stops = LOAM_QUEUE_STOPS;
    lengths[2] = 0;
    expect_refused(m, q, &s, LOAM_ERR_ARG, "stop string 2");
    lengths[2] = 1;
    stops[1] = "\xC3";
    expect_refused(m, q, &s, LOAM_ERR_ARG, "UTF-8");
    memset(long_stop, 'y', sizeof long_stop);
    stops[1] = long_stop;
    lengths[1] = sizeof long_stop;
    expect_refused(m, q, &s, LOAM_ERR_ARG, "256");
    loam_sampling_init(&sampling);
    sampling.top_p = -1;
    s = good, s.sampling = &sampling;
    expect_refused(m, q, &s, LOAM_ERR_ARG, "top_p");
    tokens[4] = 100000;
    expect_refused(m, q, &good, LOAM_ERR_TOKEN, "100000");
    tokens[4] = -1;
    expect_refused(m, q, &good, LOAM_ERR_TOKEN, "-1");
    expect_refused(m, q, NULL, LOAM_ERR_ARG, "NULL");
    assert_int_equal(loam_queue_submit(q, &good, NULL), LOAM_ERR_ARG);
    assert_int_equal(loam_queue_idle(q), 1); /* nothing of all that is left */
    loam_queue_close(q);
    loam_free(m);
}

static void test_submit__refuses_when_the_queue_is_full_until_events_are_taken(void **state)
{
    request requests[REQUESTS + 1];
    loam_submission s;
    (void)state;
    loam *m = open_model(models[0], (setting){.sequences = 2});
    loam_queue *q = open_queue(m, 0);
    loam_submission_init(&s);
    for (size_t i = 0; i < REQUESTS; i++) {
        tokens_of(&requests[i], 4, i);
        submit(q, &requests[i]);
    }
    s.tokens = requests[0].prompt;
    s.n_tokens = 1;
    expect_refused(m, q, &s, LOAM_ERR_FULL, "24");
    assert_int_equal(loam_queue_cancel(q, requests[3].id), LOAM_OK);
    expect_refused(m, q, &s, LOAM_ERR_FULL, "24");
    assert_int_equal(loam_queue_step(q), LOAM_ERR_STATE); /* its event comes first */
    assert_int_equal(take_events(q), 1);
    tokens_of(&requests[REQUESTS], 4, 0);
    submit(q, &requests[REQUESTS]);
    assert_int_not_equal(requests[REQUESTS].id, requests[3].id);
    run_queue(m, q);
    assert_int_equal(requests[REQUESTS].queued.n_tokens, MOST_ANSWER);
    loam_queue_close(q);
    loam_free(m);
}

static void test_open__refuses_wrong_options(void **state)
{
    loam_queue_options good, o;
    loam_queue *q;
    (void)state;
    loam *m = open_model(models[0], (setting){.sequences = 2});
    loam_queue_options_init(&good);
    o = good, o.flags = 1;
    assert_int_equal(loam_queue_open(m, &o, &q), LOAM_ERR_NEWER);
    o = good, o.request_tokens = CONTEXT + 1;
    assert_int_equal(loam_queue_open(m, &o, &q), LOAM_ERR_ARG);
    o = good, o.step_tokens = 65;
    assert_int_equal(loam_queue_open(m, &o, &q), LOAM_ERR_ARG);
    o = good, o.requests = UINT32_MAX;
    assert_int_equal(loam_queue_open(m, &o, &q), LOAM_ERR_ARG);
    o = good, o.stop_bytes = UINT32_MAX;
    assert_int_equal(loam_queue_open(m, &o, &q), LOAM_ERR_ARG);
    o = good, o.struct_size = 2;
    assert_int_equal(loam_queue_open(m, &o, &q), LOAM_ERR_ARG);
    assert_null(q);
    assert_int_equal(loam_queue_open(NULL, NULL, &q), LOAM_ERR_ARG);
    assert_int_equal(loam_queue_open(m, NULL, NULL), LOAM_ERR_ARG);
    assert_int_equal(loam_queue_idle(NULL), 1);
    loam_queue_close(NULL);
    loam_free(m);
}

/* ---- memory ---- */

static void test_open__survives_every_failed_allocation(void **state)
{
    loam_status st = LOAM_ERR_NOMEM;
    (void)state;
    for (size_t n = 1; st == LOAM_ERR_NOMEM; n++) {
        fault_heap heap = {0};
        loam_queue *q = NULL;
        loam *m = open_model(models[0], (setting){.heap = &heap});
        size_t live = heap.live_bytes;
        heap.fail_at = heap.calls + n;
        st = loam_queue_open(m, NULL, &q);
        assert_true(st == LOAM_OK || st == LOAM_ERR_NOMEM);
        assert_int_equal(q != NULL, st == LOAM_OK);
        if (st == LOAM_OK) assert_true(n > 2);
        loam_queue_close(q);
        assert_int_equal(heap.live_bytes, live);
        loam_free(m);
        assert_int_equal(heap.live_bytes, 0);
    }
}

static void test_queue__allocates_nothing_after_it_is_opened(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fault_heap heap = {0};
        request *requests = malloc(REQUESTS * sizeof *requests);
        make_requests(requests, REQUESTS, 12);
        loam *m = open_model(
            models[i],
            (setting){.sequences = 8, .kv_tokens = CONTEXT, .threads = 2, .heap = &heap});
        loam_queue *q = open_queue(m, 0);
        size_t calls = heap.calls;
        heap.fail_at = 1;
        submit_all(q, requests, REQUESTS);
        run_queue(m, q);
        assert_true(stats_of(q).suspensions > 0);
        assert_int_equal(heap.calls, calls);
        heap.fail_at = 0;
        loam_queue_close(q);
        loam_free(m);
        assert_int_equal(heap.live_bytes, 0);
        free(requests);
    }
}

static void test_handle__freed_first_stays_until_its_queues_close(void **state)
{
    fault_heap heap = {0};
    request requests[3];
    loam_queue_event e;
    uint64_t id;
    (void)state;
    make_requests(requests, 3, 1);
    loam *m = open_model(models[0], (setting){.heap = &heap});
    loam_queue *a = open_queue(m, 0), *b = open_queue(m, 0);
    submit_all(a, requests, 3);
    assert_int_equal(loam_queue_step(a), LOAM_OK);
    loam_free(m);
    loam_submission s;
    loam_submission_init(&s);
    loam_queue_event_init(&e);
    assert_int_equal(loam_queue_step(a), LOAM_ERR_STATE);
    assert_int_equal(loam_queue_submit(b, &s, &id), LOAM_ERR_STATE);
    assert_int_equal(loam_queue_next(a, &e), LOAM_ERR_STATE);
    assert_int_equal(loam_queue_cancel(a, 1), LOAM_ERR_STATE);
    assert_int_equal(loam_queue_idle(a), 1);
    loam_queue_close(a);
    assert_true(heap.live_bytes > 0);
    loam_queue_close(b);
    assert_int_equal(heap.live_bytes, 0);
}

static void test_close__drops_what_runs_and_gives_its_sequences_back(void **state)
{
    request requests[6];
    loam_seq seq;
    loam_usage usage;
    (void)state;
    make_requests(requests, 6, 2);
    loam *m = open_model(models[0], (setting){.sequences = 4});
    loam_queue *q = open_queue(m, 0);
    submit_all(q, requests, 6);
    assert_int_equal(loam_queue_step(q), LOAM_OK);
    assert_int_equal(loam_seq_open(m, &seq), LOAM_ERR_FULL);
    loam_queue_close(q);
    loam_usage_init(&usage);
    assert_int_equal(loam_get_usage(m, &usage), LOAM_OK);
    assert_int_equal(usage.sequences, 0);
    assert_int_equal(usage.kv_blocks_used, 0);
    loam_free(m);
}

/* ---- threads ---- */

typedef struct producer {
    loam_queue *q;
    request *requests;
    pthread_t thread;
} producer;

/* Submit, and cancel every fourth, while another thread steps. */
static void *produce(void *arg)
{
    producer *p = arg;
    for (size_t i = 0; i < REQUESTS; i++) {
        submit(p->q, &p->requests[i]);
        if (i % 4 == 3) loam_queue_cancel(p->q, p->requests[i].id);
    }
    return NULL;
}

static void test_threads__submit_while_another_steps(void **state)
{
    loam_queue_event e;
    size_t finished = 0, tokens = 0;
    (void)state;
    request *requests = malloc(REQUESTS * sizeof *requests);
    make_requests(requests, REQUESTS, 8);
    loam *m = open_model(models[0], (setting){.sequences = 4, .threads = 2});
    producer p = {open_queue(m, 0), requests, 0};
    loam_queue_event_init(&e);
    assert_int_equal(pthread_create(&p.thread, NULL, produce, &p), 0);
    while (finished < REQUESTS) {
        loam_status st = loam_queue_step(p.q);
        if (st != LOAM_ERR_STATE) assert_int_equal(st, LOAM_OK); /* a cancel came in between */
        while (loam_queue_next(p.q, &e) == LOAM_OK && e.kind != LOAM_EVENT_NONE) {
            finished += e.kind == LOAM_EVENT_FINISHED;
            tokens += e.kind == LOAM_EVENT_TOKEN;
        }
    }
    pthread_join(p.thread, NULL);
    assert_true(tokens > REQUESTS);
    assert_int_equal(loam_queue_idle(p.q), 1);
    loam_queue_close(p.q);
    loam_free(m);
    free(requests);
}

/* ---- anything, in any order ---- */

typedef struct play {
    loam *m;
    loam_queue *q;
    request *requests;
    size_t n_requests, n_cancelled;
    uint64_t seed;
} play;

static void play_once(play *p)
{
    uint32_t what = draw(&p->seed) % 16;
    if (what < 3 && p->n_requests < REQUESTS) {
        submit(p->q, &p->requests[p->n_requests++]);
    } else if (what == 3 && p->n_requests > 0) {
        request *r = &p->requests[draw(&p->seed) % p->n_requests];
        p->n_cancelled += loam_queue_cancel(p->q, r->id) == LOAM_OK;
    } else if (what == 4) {
        loam_set_budget(p->m, draw(&p->seed) % 2 ? 0 : 1 + draw(&p->seed) % 50000);
    } else if (what == 5) {
        loam_cancel(p->m);
    } else {
        loam_status st = loam_queue_step(p->q);
        if (st != LOAM_OK && st != LOAM_ERR_DEADLINE && st != LOAM_ERR_CANCELLED &&
            st != LOAM_ERR_STATE)
            fail_msg("%s", loam_error(p->m));
    }
    if (draw(&p->seed) % 4) take_events(p->q);
}

static void play_round(const char *path, request *requests, uint64_t seed)
{
    setting s = {.sequences = 1 + seed % 7,
                 .kv_tokens = CONTEXT + seed % 5 * 40,
                 .step = 1 + (uint32_t)(seed * 13 % 70),
                 .threads = 1 + seed % 2};
    play p = {.requests = requests, .seed = seed};
    p.m = open_model(path, s);
    p.q = open_queue(p.m, 0);
    while (p.n_requests < REQUESTS || !loam_queue_idle(p.q))
        play_once(&p);
    for (size_t i = 0; i < REQUESTS; i++)
        if (requests[i].queued.finish != LOAM_FINISH_CANCELLED)
            expect_same(&requests[i], "in a random play");
        else p.n_cancelled--;
    assert_int_equal(p.n_cancelled, 0);
    loam_queue_close(p.q);
    loam_free(p.m);
}

static void test_random_play__every_answer_is_that_of_the_request_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        request *requests = malloc(REQUESTS * sizeof *requests);
        make_requests(requests, REQUESTS, 300 + i);
        answer_all_alone(models[i], requests, REQUESTS);
        for (uint64_t seed = 1; seed <= 12; seed++)
            play_round(models[i], requests, seed);
        free(requests);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_answers__are_those_of_each_request_alone),
    cmocka_unit_test(test_suspended__goes_on_with_the_same_answer),
    cmocka_unit_test(test_budget__a_step_goes_on_where_it_stopped),
    cmocka_unit_test(test_cancelled_step__is_computed_again),
    cmocka_unit_test(test_prompt__goes_in_pieces_beside_answers),
    cmocka_unit_test(test_common_beginning__is_computed_once),
    cmocka_unit_test(test_line__is_by_priority_and_then_as_they_came),
    cmocka_unit_test(test_line__keeps_its_order_when_some_are_cancelled),
    cmocka_unit_test(test_big_request__is_not_overtaken),
    cmocka_unit_test(test_suspension__takes_the_youngest_of_the_lowest_priority),
    cmocka_unit_test(test_cancel__ends_a_request_that_waits_runs_or_is_in_its_prompt),
    cmocka_unit_test(test_cancel__in_a_step_that_its_deadline_interrupted),
    cmocka_unit_test(test_stop__ends_the_text_where_a_stop_string_begins),
    cmocka_unit_test(test_other_calls__change_no_answer),
    cmocka_unit_test(test_step__says_when_others_hold_all_sequences),
    cmocka_unit_test(test_two_queues__share_a_handle),
    cmocka_unit_test(test_submit__refuses_what_could_never_run),
    cmocka_unit_test(test_submit__refuses_when_the_queue_is_full_until_events_are_taken),
    cmocka_unit_test(test_open__refuses_wrong_options),
    cmocka_unit_test(test_open__survives_every_failed_allocation),
    cmocka_unit_test(test_queue__allocates_nothing_after_it_is_opened),
    cmocka_unit_test(test_handle__freed_first_stays_until_its_queues_close),
    cmocka_unit_test(test_close__drops_what_runs_and_gives_its_sequences_back),
    cmocka_unit_test(test_threads__submit_while_another_steps),
    cmocka_unit_test(test_random_play__every_answer_is_that_of_the_request_alone),
};

RUN(tests)
