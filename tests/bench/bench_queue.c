/* Continuous batching against its alternatives, on one trace and in the same KV memory: bench_queue
 * MODEL [KV tokens [sequences [threads [block tokens [mode]]]]], 0 for a default. 64 requests come
 * at once: a common beginning of 200 tokens, 16 to 128 of their own, answers of 16 to 128. One at a
 * time, with and without sharing beginnings; static batches, which begin together and are over when
 * the last is; continuous. Prints JSON. Other programs take time too: run it on an idle machine. */
#define _POSIX_C_SOURCE 200809L
#include <loam/queue.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REQUESTS = 64, COMMON = 200, LEAST = 16, MOST = 128, CONTEXT = 512 };

typedef struct trace {
    loam_token prompts[REQUESTS][COMMON + MOST];
    size_t n_prompt[REQUESTS];
    uint32_t n_answer[REQUESTS];
    size_t total; /* tokens of all answers */
} trace;

typedef struct setting {
    const char *path, *mode; /* NULL: all */
    uint64_t kv_tokens;
    uint32_t sequences, threads, block_tokens;
} setting;

typedef struct result {
    double seconds, cpu_seconds, first[REQUESTS]; /* when each had its first token */
    uint32_t most_running;
    double waste; /* unused cells in used blocks, on average over the steps */
    uint64_t suspensions, check;
} result;

static double read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static uint32_t draw(uint64_t *state) /* a linear congruential generator: Knuth's MMIX constants */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static void must(loam *m, loam_status st)
{
    if (st == LOAM_OK) return;
    fprintf(stderr, "%s: %s\n", loam_status_name(st), loam_error(m));
    exit(1);
}

static void make_trace(trace *t, uint32_t vocabulary)
{
    uint64_t seed = 1;
    t->total = 0;
    for (size_t i = 0; i < REQUESTS; i++) {
        uint64_t common = 2;
        t->n_prompt[i] = COMMON + LEAST + draw(&seed) % (MOST - LEAST + 1);
        t->n_answer[i] = LEAST + draw(&seed) % (MOST - LEAST + 1);
        t->total += t->n_answer[i];
        for (size_t j = 0; j < t->n_prompt[i]; j++)
            t->prompts[i][j] = (loam_token)(draw(j < COMMON ? &common : &seed) % vocabulary);
    }
}

static loam *load(const setting *s, uint32_t flags)
{
    loam *m = NULL;
    loam_options options;
    loam_options_init(&options);
    options.flags = flags;
    options.kv_tokens = s->kv_tokens;
    options.context_tokens = CONTEXT;
    options.sequences = s->sequences;
    options.threads = s->threads;
    options.kv_block_tokens = s->block_tokens;
    const loam_status st = loam_load(s->path, &options, &m);
    must(m, st);
    return m;
}

/* One number of all answers, so that two ways to get them can be compared. */
static void note(result *r, size_t request, uint64_t i, loam_token token)
{
    r->check += (uint64_t)(token + 1) * ((uint64_t)request * 1009 + i * 31 + 7);
}

/* ---- one at a time ---- */

static void run_alone(loam *m, const trace *t, const setting *s, result *r)
{
    double start = now();
    loam_seq seq = 0;
    (void)s;
    r->most_running = 1;
    for (size_t i = 0; i < REQUESTS; i++) {
        loam_token token;
        must(m, loam_seq_truncate(m, seq, 0));
        must(m, loam_prefill(m, seq, t->prompts[i], t->n_prompt[i]));
        for (uint32_t j = 0; j < t->n_answer[i]; j++) {
            must(m, loam_sample(m, seq, &token));
            if (j == 0) r->first[i] = now() - start;
            note(r, i, j, token);
            if (j + 1 < t->n_answer[i]) must(m, loam_decode(m, &seq, &token, 1));
        }
    }
}

/* ---- static batches ---- */

/* As many as fit whole, in the worst case, are answered together until the last is done. */
static void run_batch(loam *m, const trace *t, size_t first, size_t n, double start, result *r)
{
    loam_seq seqs[REQUESTS], going[REQUESTS];
    loam_token tokens[REQUESTS];
    for (size_t i = 0; i < n; i++) {
        must(m, loam_seq_open(m, &seqs[i]));
        must(m, loam_prefill(m, seqs[i], t->prompts[first + i], t->n_prompt[first + i]));
    }
    for (uint32_t j = 0;; j++) {
        size_t n_going = 0;
        for (size_t i = 0; i < n; i++) {
            if (j >= t->n_answer[first + i]) continue;
            must(m, loam_sample(m, seqs[i], &tokens[n_going]));
            if (j == 0) r->first[first + i] = now() - start;
            note(r, first + i, j, tokens[n_going]);
            if (j + 1 < t->n_answer[first + i]) going[n_going++] = seqs[i];
        }
        if (n_going == 0) break;
        must(m, loam_decode(m, going, tokens, n_going));
    }
    for (size_t i = 0; i < n; i++)
        must(m, loam_seq_close(m, seqs[i]));
}

static void run_static(loam *m, const trace *t, const setting *s, result *r)
{
    double start = now();
    size_t n = (size_t)(s->kv_tokens / CONTEXT);
    must(m, loam_seq_close(m, 0));
    r->most_running = (uint32_t)n;
    for (size_t i = 0; i < REQUESTS; i += n)
        run_batch(m, t, i, n < REQUESTS - i ? n : REQUESTS - i, start, r);
}

/* ---- continuous ---- */

static void submit_all(loam *m, loam_queue *q, const trace *t)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        loam_submission s;
        uint64_t id;
        loam_submission_init(&s);
        s.flags = LOAM_SUBMIT_IGNORE_END;
        s.tag = i;
        s.tokens = t->prompts[i];
        s.n_tokens = t->n_prompt[i];
        s.max_tokens = t->n_answer[i];
        must(m, loam_queue_submit(q, &s, &id));
    }
}

static double waste_now(loam *m, loam_queue *q)
{
    loam_queue_stats stats;
    loam_usage usage;
    loam_queue_stats_init(&stats);
    loam_usage_init(&usage);
    must(m, loam_queue_get_stats(q, &stats));
    must(m, loam_get_usage(m, &usage));
    double cells = (double)usage.kv_blocks_used * usage.kv_block_tokens;
    return cells > 0 ? (double)stats.unused_cells / cells : 0;
}

static void take_events(loam *m, loam_queue *q, double start, result *r)
{
    loam_queue_event e;
    loam_queue_event_init(&e);
    for (;;) {
        must(m, loam_queue_next(q, &e));
        if (e.kind == LOAM_EVENT_NONE) return;
        if (e.kind != LOAM_EVENT_TOKEN) continue;
        if (e.answer_tokens == 1) r->first[e.tag] = now() - start;
        note(r, e.tag, e.answer_tokens - 1, e.token);
    }
}

static void run_continuous(loam *m, const trace *t, const setting *s, result *r)
{
    loam_queue *q;
    loam_queue_stats stats;
    (void)s;
    must(m, loam_seq_close(m, 0));
    must(m, loam_queue_open(m, NULL, &q));
    double start = now(), waste = 0;
    submit_all(m, q, t);
    while (!loam_queue_idle(q)) {
        must(m, loam_queue_step(q));
        waste += waste_now(m, q);
        take_events(m, q, start, r);
    }
    loam_queue_stats_init(&stats);
    must(m, loam_queue_get_stats(q, &stats));
    r->most_running = stats.most_running;
    r->suspensions = stats.suspensions;
    r->waste = waste / (double)stats.steps;
    loam_queue_close(q);
}

/* ---- the report ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct mode {
    const char *name;
    uint32_t flags; /* LOAM_LOAD_* */
    void (*run)(loam *m, const trace *t, const setting *s, result *r);
} mode;

static const mode modes[] = {
    {"one_at_a_time", LOAM_LOAD_NO_SHARING, run_alone},
    {"one_at_a_time_sharing", 0, run_alone},
    {"static_batches", LOAM_LOAD_NO_SHARING, run_static},
    {"static_batches_sharing", 0, run_static},
    {"continuous_no_sharing", LOAM_LOAD_NO_SHARING, run_continuous},
    {"continuous", 0, run_continuous},
};

static void report(const char *name, loam *m, const trace *t, result *r, const result *alone)
{
    loam_usage usage;
    loam_usage_init(&usage);
    must(m, loam_get_usage(m, &usage));
    qsort(r->first, REQUESTS, sizeof r->first[0], by_size);
    printf(",\n \"%s\": {\"tok_s\": %.1f, \"ratio\": %.2f, \"cpu_ratio\": %.2f, "
           "\"seconds\": %.3f, \"cpu_seconds\": %.3f, \"first_token_median_s\": %.3f, "
           "\"most_running\": %u, \"suspensions\": %llu, \"computed_tokens\": %llu, "
           "\"shared_tokens\": %llu, \"waste\": %.4f, \"check\": %llu}",
           name, (double)t->total / r->seconds, alone->seconds / r->seconds,
           alone->cpu_seconds / r->cpu_seconds, r->seconds, r->cpu_seconds, r->first[REQUESTS / 2],
           r->most_running, (unsigned long long)r->suspensions,
           (unsigned long long)usage.tokens_computed, (unsigned long long)usage.tokens_shared,
           r->waste, (unsigned long long)r->check);
    fflush(stdout);
}

static void run_mode(const mode *how, const trace *t, const setting *s, result *r)
{
    loam *m = load(s, how->flags);
    double start = now(), cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    how->run(m, t, s, r);
    r->seconds = now() - start;
    r->cpu_seconds = read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    static result alone; /* the first mode's */
    if (alone.seconds == 0) alone = *r;
    report(how->name, m, t, r, &alone);
    loam_free(m);
}

static uint32_t number(int argc, char **argv, int i, uint32_t standard)
{
    uint32_t n = argc > i ? (uint32_t)strtoul(argv[i], NULL, 10) : 0;
    return n ? n : standard;
}

int main(int argc, char **argv)
{
    static trace t;
    setting s = {.path = argc > 1 ? argv[1] : "", .mode = argc > 6 ? argv[6] : NULL};
    loam_info info;
    s.kv_tokens = number(argc, argv, 2, 4096);
    s.sequences = number(argc, argv, 3, 64);
    s.threads = number(argc, argv, 4, 0);
    s.block_tokens = number(argc, argv, 5, 16);
    loam *m = load(&s, 0);
    loam_info_init(&info);
    must(m, loam_get_info(m, &info));
    make_trace(&t, info.vocabulary_tokens);
    printf("{\"requests\": %d, \"answer_tokens\": %zu, \"kv_tokens\": %llu, \"sequences\": %u, "
           "\"threads\": %u, \"contiguous_sequences\": %llu",
           REQUESTS, t.total, (unsigned long long)s.kv_tokens, s.sequences, info.threads,
           (unsigned long long)s.kv_tokens / CONTEXT);
    loam_free(m);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        result r = {0};
        if (!s.mode || strcmp(s.mode, modes[i].name) == 0) run_mode(&modes[i], &t, &s, &r);
    }
    puts("}");
    return 0;
}
