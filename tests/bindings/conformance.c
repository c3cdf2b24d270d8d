/* The list of what every binding must show, conformance.json, run against the C API itself. A case
 * is one test of its name; `does` says which function below runs it. The same list is run by the
 * bindings in their languages. */
#define _GNU_SOURCE
#include "models.h"

#include <jansson.h>
#include <loam/queue.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MOST_TOKENS = 512, MOST_BYTES = 4096 };

#define FOLDER LOAM_TEST_TMP "/conformance.files"

static json_t *list;
static char model[512];

/* ---- what a case says ---- */

static json_t *member(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (!value) fail_msg("the case has no \"%s\"", key);
    return value;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(member(object, key));
}

static uint32_t number_of(const json_t *object, const char *key)
{
    return (uint32_t)json_integer_value(member(object, key));
}

static size_t tokens_of(const json_t *object, const char *key, loam_token *tokens)
{
    json_t *array = member(object, key), *token;
    size_t i, n = json_array_size(array);
    assert_true(n <= MOST_TOKENS);
    json_array_foreach(array, i, token) tokens[i] = (loam_token)json_integer_value(token);
    return n;
}

static void expect_tokens(const json_t *c, const char *key, const loam_token *tokens, size_t n)
{
    loam_token wanted[MOST_TOKENS];
    assert_int_equal(n, tokens_of(c, key, wanted));
    assert_memory_equal(tokens, wanted, n * sizeof *wanted);
}

/* A text may hold NUL characters. */
static void expect_text(const json_t *wanted, const char *text, size_t n_bytes)
{
    assert_int_equal(n_bytes, json_string_length(wanted));
    assert_memory_equal(text, json_string_value(wanted), n_bytes);
}

static void expect_status(loam *m, loam_status st, const json_t *c)
{
    const char *wanted = text_of(c, "status");
    if (strcmp(loam_status_name(st), wanted) != 0)
        fail_msg("%s \"%s\", wanted %s", loam_status_name(st), loam_error(m), wanted);
}

static void set_option(loam_options *o, const char *key, const json_t *value)
{
    const struct {
        const char *key;
        const char **text;
        uint32_t *number;
        uint64_t *bytes;
    } known[] = {
        {"isa", .text = &o->isa},
        {"backend", .text = &o->backend},
        {"threads", .number = &o->threads},
        {"sequences", .number = &o->sequences},
        {"context_tokens", .number = &o->context_tokens},
        {"kv_block_tokens", .number = &o->kv_block_tokens},
        {"memory_limit_bytes", .bytes = &o->memory_limit_bytes},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].key, key) != 0) continue;
        if (known[i].text) *known[i].text = json_string_value(value);
        if (known[i].number) *known[i].number = (uint32_t)json_integer_value(value);
        if (known[i].bytes) *known[i].bytes = (uint64_t)json_integer_value(value);
        return;
    }
    fail_msg("option \"%s\" is not known here", key);
}

/* The list's options, and the case's own on top. */
static loam_options options_of(const json_t *c)
{
    const json_t *from[] = {member(list, "options"), json_object_get(c, "options")};
    loam_options o;
    const char *key;
    json_t *value;
    loam_options_init(&o);
    for (int i = 0; i < 2; i++)
        json_object_foreach((json_t *)from[i], key, value) set_option(&o, key, value);
    return o;
}

static loam *load(const json_t *c)
{
    loam_options options = options_of(c);
    loam *m;
    if (loam_load(model, &options, &m) != LOAM_OK) fail_msg("%s", loam_error(m));
    return m;
}

static float float_of(const json_t *object, const char *key)
{
    return (float)json_number_value(json_object_get(object, key));
}

static loam_sampling sampling_of(const json_t *c)
{
    const json_t *from = member(c, "sampling");
    loam_sampling s;
    loam_sampling_init(&s);
    s.temperature = float_of(from, "temperature");
    s.seed = (uint64_t)json_integer_value(json_object_get(from, "seed"));
    s.top_k = (uint32_t)json_integer_value(json_object_get(from, "top_k"));
    s.top_p = float_of(from, "top_p");
    s.min_p = float_of(from, "min_p");
    s.repeat_penalty = float_of(from, "repeat_penalty");
    s.frequency_penalty = float_of(from, "frequency_penalty");
    s.presence_penalty = float_of(from, "presence_penalty");
    s.penalty_tokens = (uint32_t)json_integer_value(json_object_get(from, "penalty_tokens"));
    return s;
}

/* ---- generations ---- */

typedef struct answer {
    loam_token prompt[MOST_TOKENS], tokens[MOST_TOKENS];
    size_t n_prompt, n;
    char text[MOST_BYTES];
    size_t n_bytes;
} answer;

/* What the tokens stream, and what was held back at the end. */
static loam_status stream_text(loam *m, answer *a)
{
    loam_stream stream;
    loam_status st = LOAM_OK;
    size_t n;
    loam_stream_init(&stream);
    for (size_t i = 0; st == LOAM_OK && i <= a->n; i++, a->n_bytes += n)
        st = loam_stream_push(m, &stream, i < a->n ? a->tokens[i] : -1, a->text + a->n_bytes,
                              MOST_BYTES - a->n_bytes, &n);
    return st;
}

static loam_status generate(loam *m, const char *prompt, const loam_sampling *sampling,
                            size_t predict, answer *a)
{
    loam_seq zero = 0;
    a->n = a->n_bytes = 0;
    loam_status st = loam_seq_truncate(m, 0, 0);
    if (st == LOAM_OK) st = loam_seq_sampling(m, 0, sampling);
    if (st == LOAM_OK)
        st = loam_tokenize(m, prompt, strlen(prompt), LOAM_TOKENIZE_SPECIAL, a->prompt, MOST_TOKENS,
                           &a->n_prompt);
    if (st == LOAM_OK) st = loam_prefill(m, 0, a->prompt, a->n_prompt);
    while (st == LOAM_OK && a->n < predict) {
        loam_token *next = &a->tokens[a->n];
        if ((st = loam_sample(m, 0, next)) != LOAM_OK || loam_token_is_end(m, *next)) break;
        a->n++;
        st = loam_decode(m, &zero, next, 1);
    }
    return st == LOAM_OK ? stream_text(m, a) : st;
}

/* The case of kind "generate" that another one names in `then`. */
static const json_t *then_of(const json_t *c)
{
    json_t *other;
    size_t i;
    json_array_foreach(member(list, "cases"), i, other)
    {
        if (strcmp(text_of(other, "name"), text_of(c, "then")) == 0) return other;
    }
    fail_msg("no case has the name \"%s\"", text_of(c, "then"));
    return NULL;
}

static void expect_generation(loam *m, const json_t *wanted)
{
    answer a;
    loam_sampling sampling = sampling_of(wanted);
    if (generate(m, text_of(wanted, "prompt"), &sampling, number_of(wanted, "predict"), &a))
        fail_msg("%s", loam_error(m));
    expect_tokens(wanted, "prompt_tokens", a.prompt, a.n_prompt);
    expect_tokens(wanted, "tokens", a.tokens, a.n);
    expect_text(member(wanted, "text"), a.text, a.n_bytes);
}

static void expect_length(loam *m, size_t wanted)
{
    size_t n;
    assert_int_equal(loam_seq_length(m, 0, &n), LOAM_OK);
    assert_int_equal(n, wanted);
}

/* ---- one function for each kind of case ---- */

static void test_generate(void **state)
{
    loam *m = load(*state);
    expect_generation(m, *state);
    expect_generation(m, *state);
    loam_free(m);
}

static void test_stream(void **state)
{
    const json_t *c = *state, *pieces = member(c, "pieces");
    loam_token tokens[MOST_TOKENS];
    size_t n_tokens = tokens_of(c, "tokens", tokens), n;
    char text[MOST_BYTES];
    loam_stream stream;
    loam *m = load(c);
    loam_stream_init(&stream);
    if (json_is_true(member(c, "skip_control"))) stream.flags = LOAM_DETOKENIZE_SKIP_CONTROL;
    assert_int_equal(json_array_size(pieces), n_tokens + 1);
    tokens[n_tokens] = -1;
    for (size_t i = 0; i <= n_tokens; i++) {
        assert_int_equal(loam_stream_push(m, &stream, tokens[i], text, sizeof text, &n), LOAM_OK);
        expect_text(json_array_get(pieces, i), text, n);
    }
    loam_free(m);
}

static void test_tokenize(void **state)
{
    const json_t *c = *state;
    const char *text = text_of(c, "text");
    uint32_t flags = (json_is_true(member(c, "special")) ? LOAM_TOKENIZE_SPECIAL : 0u) |
                     (json_is_true(member(c, "control")) ? LOAM_TOKENIZE_CONTROL : 0u);
    uint32_t skip = json_is_true(member(c, "skip_control")) ? LOAM_DETOKENIZE_SKIP_CONTROL : 0u;
    loam_token tokens[MOST_TOKENS];
    char back[MOST_BYTES];
    size_t n;
    loam *m = load(c);
    assert_int_equal(loam_tokenize(m, text, strlen(text), flags, tokens, MOST_TOKENS, &n), LOAM_OK);
    expect_tokens(c, "tokens", tokens, n);
    assert_int_equal(loam_detokenize(m, tokens, n, skip, back, sizeof back, &n), LOAM_OK);
    expect_text(member(c, "detokenized"), back, n);
    loam_free(m);
}

static void test_chat(void **state)
{
    const json_t *c = *state;
    char *request = json_dumps(member(c, "request"), 0), text[MOST_BYTES];
    loam_token tokens[MOST_TOKENS];
    size_t n;
    loam *m = load(c);
    assert_int_equal(loam_chat_render(m, request, strlen(request), text, sizeof text, &n), LOAM_OK);
    expect_text(member(c, "text"), text, n);
    assert_int_equal(loam_chat_tokenize(m, request, strlen(request), tokens, MOST_TOKENS, &n),
                     LOAM_OK);
    expect_tokens(c, "tokens", tokens, n);
    free(request);
    loam_free(m);
}

typedef struct later {
    loam *m;
    uint32_t ms;
} later;

static void *cancel_later(void *arg)
{
    const later *l = arg;
    nanosleep(&(struct timespec){.tv_nsec = 1000000L * l->ms}, NULL);
    loam_cancel(l->m);
    return NULL;
}

static void test_cancel(void **state)
{
    const json_t *c = *state;
    int during = strcmp(text_of(c, "when"), "during") == 0;
    loam_token tokens[MOST_TOKENS];
    size_t n = tokens_of(c, "tokens", tokens);
    later l = {load(c), during ? number_of(c, "after_ms") : 0};
    pthread_t thread;
    loam_status st;
    if (during) assert_int_equal(pthread_create(&thread, NULL, cancel_later, &l), 0);
    else loam_cancel(l.m);
    do {
        assert_int_equal(loam_seq_truncate(l.m, 0, 0), LOAM_OK);
        st = loam_prefill(l.m, 0, tokens, n);
    } while (during && st == LOAM_OK);
    if (during) pthread_join(thread, NULL);
    expect_status(l.m, st, c);
    expect_length(l.m, 0);
    expect_generation(l.m, then_of(c));
    loam_free(l.m);
}

/* Make the file of a case, and say where it is. */
static const char *path_of(const json_t *file)
{
    const char *make = text_of(file, "make"), *path = FOLDER "/made.gguf";
    if (strcmp(make, "model") == 0) return model;
    mkdir(FOLDER, 0777);
    if (strcmp(make, "directory") == 0) return FOLDER;
    unlink(path);
    if (strcmp(make, "none") == 0) return path;
    size_t n;
    char *bytes = read_file(model, &n);
    const char *from = bytes;
    if (strcmp(make, "cut") == 0) n = number_of(file, "bytes");
    else n = strlen(from = text_of(file, "text"));
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(from, 1, n, f), n);
    fclose(f);
    free(bytes);
    return path;
}

/* `sentence` is the whole text, {path} standing for the path; `contains` is a part. */
static void expect_sentence(const json_t *c, const char *said, const char *path)
{
    const char *wanted = json_string_value(json_object_get(c, "sentence")), *place;
    char whole[MOST_BYTES];
    if (!wanted) {
        if (!strstr(said, text_of(c, "contains"))) fail_msg("it says: %s", said);
        return;
    }
    place = strstr(wanted, "{path}");
    if (place)
        snprintf(whole, sizeof whole, "%.*s%s%s", (int)(place - wanted), wanted, path, place + 6);
    assert_string_equal(said, place ? whole : wanted);
}

static void test_load_error(void **state)
{
    const json_t *c = *state;
    const char *path = path_of(member(c, "file"));
    loam_options options = options_of(c);
    loam *m;
    loam_status st = loam_load(path, &options, &m);
    expect_status(m, st, c);
    expect_sentence(c, loam_error(m), path);
    loam_free(m);
}

static void test_prefill_error(void **state)
{
    const json_t *c = *state;
    loam_token tokens[MOST_TOKENS];
    size_t n = tokens_of(c, "tokens", tokens);
    loam *m = load(c);
    expect_status(m, loam_prefill(m, 0, tokens, n), c);
    expect_sentence(c, loam_error(m), model);
    expect_length(m, 0);
    loam_free(m);
}

typedef struct worker {
    loam *m;
    const char *prompt;
    loam_sampling sampling;
    uint32_t predict, times;
    answer last;
    int wrong; /* calls that failed, and answers that were not the first one */
} worker;

enum { MOST_THREADS = 8 };

static void *generate_often(void *arg)
{
    worker *w = arg;
    answer again;
    w->wrong = generate(w->m, w->prompt, &w->sampling, w->predict, &w->last) != LOAM_OK;
    for (uint32_t i = 1; i < w->times; i++) {
        w->wrong += generate(w->m, w->prompt, &w->sampling, w->predict, &again) != LOAM_OK;
        w->wrong += again.n_bytes != w->last.n_bytes ||
                    memcmp(again.text, w->last.text, again.n_bytes) != 0;
    }
    return NULL;
}

static void test_threads(void **state)
{
    static worker workers[MOST_THREADS];
    const json_t *c = *state, *wanted = then_of(c);
    size_t n = number_of(c, "threads");
    pthread_t threads[MOST_THREADS];
    assert_in_range(n, 1, MOST_THREADS);
    for (size_t i = 0; i < n; i++)
        workers[i] = (worker){.m = load(c),
                              .prompt = text_of(wanted, "prompt"),
                              .sampling = sampling_of(wanted),
                              .predict = number_of(wanted, "predict"),
                              .times = number_of(c, "times")};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, generate_often, &workers[i]), 0);
    for (size_t i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].wrong, 0);
        expect_tokens(wanted, "tokens", workers[i].last.tokens, workers[i].last.n);
        expect_text(member(wanted, "text"), workers[i].last.text, workers[i].last.n_bytes);
        loam_free(workers[i].m);
    }
}

/* A sequence is a number in C, so what is left of it cannot be used; a queue is told so. */
static void test_free_first(void **state)
{
    const json_t *c = *state, *then = then_of(c);
    loam_queue *q = NULL;
    loam_submission submission;
    loam_queue_event event;
    loam_token tokens[MOST_TOKENS];
    loam_seq seq;
    uint64_t request;
    loam *m = load(c);
    loam_submission_init(&submission);
    submission.tokens = tokens;
    submission.n_tokens = tokens_of(then, "prompt_tokens", tokens);
    assert_int_equal(loam_seq_open(m, &seq), LOAM_OK);
    assert_int_equal(loam_prefill(m, seq, tokens, submission.n_tokens), LOAM_OK);
    if (strcmp(text_of(c, "alive"), "queue") == 0) {
        assert_int_equal(loam_queue_open(m, NULL, &q), LOAM_OK);
        assert_int_equal(loam_seq_close(m, seq), LOAM_OK);
        assert_int_equal(loam_queue_submit(q, &submission, &request), LOAM_OK);
        assert_int_equal(loam_queue_step(q), LOAM_OK);
        loam_queue_event_init(&event);
        do
            assert_int_equal(loam_queue_next(q, &event), LOAM_OK);
        while (event.kind != LOAM_EVENT_NONE);
    }
    loam_free(m);
    if (q) {
        expect_status(NULL, loam_queue_step(q), c);
        expect_status(NULL, loam_queue_submit(q, &submission, &request), c);
    }
    loam_queue_close(q);
    m = load(c);
    expect_generation(m, then);
    loam_free(m);
}

/* What a binding's callbacks do when the host's own throws: they come back with a failure. */
static int calls;

static void *failing_alloc(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes, size_t align)
{
    (void)ctx, (void)ptr, (void)old_bytes, (void)new_bytes, (void)align;
    calls++;
    return NULL;
}

static void failing_log(void *ctx, int32_t level, const char *text)
{
    (void)ctx, (void)level, (void)text;
    calls++;
}

static int32_t failing_read(void *ctx, uint64_t offset, void *buffer, size_t n)
{
    (void)ctx, (void)offset, (void)buffer, (void)n;
    calls++;
    return 1;
}

static void test_callback_throws(void **state)
{
    const json_t *c = *state;
    const char *callback = text_of(c, "callback");
    loam_options options = options_of(c);
    loam_source source;
    loam_hooks hooks;
    struct stat file;
    loam *m;
    loam_hooks_init(&hooks);
    if (strcmp(callback, "alloc") == 0) hooks.alloc = failing_alloc;
    if (strcmp(callback, "log") == 0) hooks.log = failing_log;
    options.hooks = &hooks;
    loam_source_init(&source);
    source.read = failing_read;
    assert_int_equal(stat(model, &file), 0);
    source.size_bytes = (uint64_t)file.st_size;
    calls = 0;
    loam_status st = strcmp(callback, "read") == 0
                         ? loam_load_sources(&(const loam_source *){&source}, 1, &options, &m)
                         : loam_load(model, &options, &m);
    expect_status(m, st, c);
    assert_true(calls > 0);
    loam_free(m);
    m = load(c);
    expect_generation(m, then_of(c));
    loam_free(m);
}

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void test_cycles(void **state)
{
    const json_t *c = *state;
    uint32_t warm_up = number_of(c, "warm_up"), times = number_of(c, "times");
    size_t before = 0;
    answer a;
    for (uint32_t i = 0; i < warm_up + times; i++) {
        if (i == warm_up) before = resident_bytes();
        loam *m = load(c);
        assert_int_equal(generate(m, text_of(c, "prompt"), NULL, number_of(c, "predict"), &a),
                         LOAM_OK);
        loam_free(m);
    }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they keep what is freed */
    assert_true(resident_bytes() <= before + number_of(c, "most_growth_bytes"));
#endif
}

static void test_unknown(void **state)
{
    fail_msg("\"%s\" is no kind of case", text_of(*state, "does"));
}

static const struct {
    const char *does;
    CMUnitTestFunction run;
} kinds[] = {
    {"generate", test_generate},
    {"stream", test_stream},
    {"tokenize", test_tokenize},
    {"chat", test_chat},
    {"cancel", test_cancel},
    {"load_error", test_load_error},
    {"prefill_error", test_prefill_error},
    {"threads", test_threads},
    {"free_first", test_free_first},
    {"callback_throws", test_callback_throws},
    {"cycles", test_cycles},
};

static struct CMUnitTest test_of(json_t *c)
{
    struct CMUnitTest test = {text_of(c, "name"), test_unknown, NULL, NULL, c};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].does, text_of(c, "does")) == 0) test.test_func = kinds[i].run;
    return test;
}

int main(int argc, char **argv)
{
    json_error_t error;
    list = json_load_file(LOAM_SOURCE "/tests/bindings/conformance.json", JSON_ALLOW_NUL, &error);
    json_t *cases = json_object_get(list, "cases"), *c;
    size_t i, n = json_array_size(cases);
    struct CMUnitTest *tests = calloc(n + 1, sizeof *tests);
    if (n == 0 || !tests) {
        fprintf(stderr, "conformance.json, line %d: %s\n", error.line, error.text);
        return 1;
    }
    snprintf(model, sizeof model, "%s/%s", LOAM_TEST_DATA, text_of(list, "model"));
    json_array_foreach(cases, i, c) tests[i] = test_of(c);
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    int failed = _cmocka_run_group_tests("conformance", tests, n, NULL, NULL);
    free(tests);
    json_decref(list);
    return failed;
}
