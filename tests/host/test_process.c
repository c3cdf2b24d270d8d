/* What a library must not do to the process it lives in: "prints to stderr", "global state or
 * threads left after unload", "idle threads burn a core", "environment variables change results",
 * "loads only from a path (and not one with non-ASCII characters)"; and what the host may lend: job
 * system, log, file access, cancellation, a time budget. */
#define _GNU_SOURCE
#include "folder.h"
#include "models.h"

#include <loam/gguf.h>
#include <loam/plan.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static const char *const model = OWN("tiny-llama.gguf");

static void run_a_little(loam *m)
{
    loam_token tokens[] = {1, 20, 30, 40, 50, 60, 70, 80}, next;
    loam_seq zero = 0;
    assert_int_equal(loam_seq_truncate(m, 0, 0), LOAM_OK);
    assert_int_equal(loam_prefill(m, 0, tokens, 8), LOAM_OK);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(loam_sample(m, 0, &next), LOAM_OK);
        assert_int_equal(loam_decode(m, &zero, &next, 1), LOAM_OK);
    }
}

static void *do_nothing(void *arg)
{
    return arg;
}

static void test_free__leaves_no_thread_and_no_file(void **state)
{
    pthread_t first; /* with it comes the thread of a sanitizer's own */
    assert_int_equal(pthread_create(&first, NULL, do_nothing, NULL), 0);
    pthread_join(first, NULL);
    size_t threads = entries("/proc/self/task"), files = entries("/proc/self/fd");
    (void)state;
    for (int i = 0; i < 50; i++) {
        loam *m = load_model(model, (model_options){.threads = 4});
        run_a_little(m);
        loam_free(m);
    }
    assert_int_equal(entries("/proc/self/task"), threads);
    assert_int_equal(entries("/proc/self/fd"), files);
}

/* The states of all threads but this one, as the kernel has them: how many are not asleep. */
static size_t awake_threads(void)
{
    size_t awake = 0;
    char path[300], text[512], own[32];
    snprintf(own, sizeof own, "%d", (int)gettid());
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.' || strcmp(e->d_name, own) == 0) continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", e->d_name);
        FILE *f = fopen(path, "r");
        if (f && fgets(text, sizeof text, f)) awake += strstr(text, ") S") == NULL;
        if (f) fclose(f);
    }
    closedir(d);
    return awake;
}

static void test_idle__threads_sleep(void **state)
{
    loam *m = load_model(model, (model_options){.threads = 2});
    struct timespec moment = {0, 5000000};
    size_t awake = 1;
    (void)state;
    run_a_little(m);
    for (int i = 0; i < 2000 && awake;
         i++) { /* as long as it takes, up to 10 s; they need microseconds */
        nanosleep(&moment, NULL);
        awake = awake_threads();
    }
    assert_int_equal(awake, 0);
    loam_free(m);
}

static size_t threads_that_block_sigterm(void)
{
    size_t blocked = 0;
    char path[300], line[256];
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; (e = readdir(d));) {
        unsigned long long mask = 0;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", e->d_name);
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof line, f))
            if (sscanf(line, "SigBlk: %llx", &mask) == 1) blocked += mask >> (SIGTERM - 1) & 1;
        if (f) fclose(f);
    }
    closedir(d);
    return blocked;
}

static void test_threads__take_no_signal_of_the_hosts(void **state)
{
    (void)state;
    size_t before = threads_that_block_sigterm();
    loam *m = load_model(model, (model_options){.threads = 3});
    assert_int_equal(threads_that_block_sigterm(), before + 2); /* the workers alone */
    loam_free(m);
}

static void test_output__nothing_is_printed(void **state)
{
    char caught[64];
    const char *path = LOAM_TEST_TMP "/printed.txt";
    loam *m = NULL;
    (void)state;
    fflush(NULL);
    int out = dup(1), err = dup(2), file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    dup2(file, 1);
    dup2(file, 2);
    loam *good = load_model(model, (model_options){.threads = 2});
    run_a_little(good);
    loam_token wrong = -1;
    loam_status refused = loam_prefill(good, 0, &wrong, 1),
                missing = loam_load("/nowhere", NULL, &m);
    loam_free(m);
    loam_free(good);
    fflush(NULL);
    dup2(out, 1);
    dup2(err, 2);
    lseek(file, 0, SEEK_SET);
    ssize_t n = read(file, caught, sizeof caught);
    close(file);
    close(out);
    close(err);
    assert_int_equal(refused, LOAM_ERR_TOKEN);
    assert_int_equal(missing, LOAM_ERR_NOT_FOUND);
    assert_int_equal(n, 0);
}

static void logits_of(loam *m, float *logits)
{
    loam_token tokens[] = {1, 100, 200, 290, 270};
    assert_int_equal(loam_seq_truncate(m, 0, 0), LOAM_OK);
    assert_int_equal(loam_prefill_logits(m, 0, tokens, 5, logits), LOAM_OK);
}

static void test_environment__changes_nothing(void **state)
{
    static const char *const names[] = {"OMP_NUM_THREADS", "LOAM_THREADS", "LOAM_ISA",
                                        "LC_ALL",          "TZ",           "GGML_THREADS"};
    static float before[5 * 512], after[5 * 512];
    (void)state;
    loam *m = load_model(model, (model_options){.threads = 2});
    logits_of(m, before);
    loam_free(m);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        setenv(names[i], "1", 1);
    m = load_model(model, (model_options){.threads = 2});
    logits_of(m, after);
    loam_free(m);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    assert_memory_equal(before, after, sizeof before);
}

/* ---- ways in ---- */

/* The model at an odd address, one byte behind what is returned. */
static char *read_model(size_t *n)
{
    char *bytes = read_file(model, n), *moved = malloc(*n + 1);
    assert_non_null(moved);
    memcpy(moved + 1, bytes, *n);
    free(bytes);
    return moved;
}

static int32_t read_part(void *ctx, uint64_t offset, void *buffer, size_t n)
{
    memcpy(buffer, (char *)ctx + offset, n);
    return 0;
}

static int32_t read_nothing(void *ctx, uint64_t offset, void *buffer, size_t n)
{
    (void)ctx;
    (void)offset;
    (void)buffer;
    (void)n;
    return 1;
}

/* A model in a pack file's bytes (odd address), behind callbacks, packed, and under a name in other
 * scripts: the same. */
static void test_load__every_way_in_gives_the_same_bits(void **state)
{
    static float expected[5 * 512], got[5 * 512];
    size_t n;
    char *bytes = read_model(&n);
    const char *path = LOAM_TEST_TMP "/модель 模型 é.gguf";
    loam_source source;
    const loam_source *parts[] = {&source};
    (void)state;
    loam *m = load_model(model, (model_options){.threads = 1});
    logits_of(m, expected);
    loam_free(m);
    for (int way = 0; way < 4; way++) {
        loam_options options;
        loam_options_init(&options);
        options.kv_type = LOAM_KV_F32;
        options.threads = 1;
        loam_source_init(&source);
        source.size_bytes = n;
        if (way == 0) source.data = bytes + 1;
        if (way == 0) options.flags = LOAM_LOAD_MAP;
        if (way == 1) source.read = read_part;
        if (way == 1) source.ctx = bytes + 1;
        if (way == 2) options.flags = LOAM_LOAD_PACK;
        if (way == 3) {
            FILE *f = fopen(path, "wb");
            assert_int_equal(fwrite(bytes + 1, 1, n, f), n);
            fclose(f);
        }
        loam_status st = way < 2 ? loam_load_sources(parts, 1, &options, &m)
                                 : loam_load(way == 2 ? model : path, &options, &m);
        if (st != LOAM_OK) fail_msg("way %d: %s", way, loam_error(m));
        logits_of(m, got);
        loam_free(m);
        assert_memory_equal(got, expected, sizeof got);
    }
    source.data = NULL;
    source.read = read_nothing;
    assert_int_equal(loam_load_sources(parts, 1, NULL, &m), LOAM_ERR_IO);
    loam_free(m);
    free(bytes);
}

/* ---- what the host lends ---- */

typedef struct job_system {
    atomic_int calls;
} job_system;

typedef struct job_thread {
    loam_task task;
    void *arg;
    uint32_t index;
} job_thread;

static void *job_main(void *arg)
{
    job_thread *t = arg;
    t->task(t->arg, t->index);
    return NULL;
}

/* A thread for each task: as far from loam's own pool as can be. */
static void run_jobs(void *ctx, loam_task task, void *arg, uint32_t n)
{
    pthread_t threads[64];
    job_thread jobs[64];
    ((job_system *)ctx)->calls++;
    for (uint32_t i = 0; i < n; i++) {
        jobs[i] = (job_thread){task, arg, i};
        assert_int_equal(pthread_create(&threads[i], NULL, job_main, &jobs[i]), 0);
    }
    for (uint32_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
}

static void test_jobs__the_hosts_threads_give_the_same_bits(void **state)
{
    static float expected[5 * 512], got[5 * 512];
    job_system jobs = {0};
    loam_hooks hooks;
    loam_options options;
    (void)state;
    loam *m = load_model(model, (model_options){.threads = 1});
    logits_of(m, expected);
    loam_free(m);
    size_t threads = entries("/proc/self/task");
    loam_hooks_init(&hooks);
    hooks.parallel = run_jobs;
    hooks.parallel_ctx = &jobs;
    loam_options_init(&options);
    options.hooks = &hooks;
    options.threads = 3;
    options.kv_type = LOAM_KV_F32;
    assert_int_equal(loam_load(model, &options, &m), LOAM_OK);
    assert_int_equal(entries("/proc/self/task"), threads); /* none of loam's own */
    logits_of(m, got);
    loam_free(m);
    assert_true(jobs.calls > 0);
    assert_memory_equal(got, expected, sizeof got);
}

static void take_line(void *ctx, int32_t level, const char *text)
{
    assert_true(level >= LOAM_LOG_ERROR && level <= LOAM_LOG_DEBUG);
    if (strstr(text, "loaded")) ++*(int *)ctx;
}

static void test_log__goes_to_the_hosts_sink(void **state)
{
    int lines = 0;
    loam_hooks hooks;
    loam_options options;
    loam *m;
    (void)state;
    loam_hooks_init(&hooks);
    hooks.log = take_line;
    hooks.log_ctx = &lines;
    loam_options_init(&options);
    options.hooks = &hooks;
    assert_int_equal(loam_load(model, &options, &m), LOAM_OK);
    loam_free(m);
    assert_int_equal(lines, 1);
}

static void test_budget__goes_on_where_it_stopped(void **state)
{
    static float expected[200 * 512], got[200 * 512];
    loam_token tokens[200];
    loam_seq zero = 0;
    size_t n, interruptions = 0;
    (void)state;
    for (int i = 0; i < 200; i++)
        tokens[i] = (i * 37) % 298;
    loam *m = load_model(model, (model_options){.threads = 2});
    assert_int_equal(loam_prefill_logits(m, 0, tokens, 200, expected), LOAM_OK);
    loam_seq_truncate(m, 0, 0);
    assert_int_equal(loam_set_budget(m, 1), LOAM_OK); /* a nanosecond: stop after every slice */
    loam_status st;
    while ((st = loam_prefill_logits(m, 0, tokens, 200, got)) == LOAM_ERR_DEADLINE) {
        interruptions++;
        assert_int_equal(loam_seq_length(m, 0, &n), LOAM_OK);
        assert_int_equal(n, 0); /* nothing counts until all is done */
    }
    assert_int_equal(st, LOAM_OK);
    assert_true(interruptions > 20);
    assert_memory_equal(got, expected, sizeof got);

    /* Another call drops what was begun; the sequence is as it was. */
    assert_int_equal(loam_decode(m, &zero, &tokens[5], 1), LOAM_ERR_DEADLINE);
    assert_int_equal(loam_decode(m, &zero, &tokens[6], 1), LOAM_ERR_DEADLINE);
    assert_int_equal(loam_set_budget(m, 0), LOAM_OK);
    assert_int_equal(loam_seq_truncate(m, 0, 199), LOAM_OK);
    assert_int_equal(loam_decode(m, &zero, &tokens[199], 1), LOAM_OK);
    assert_memory_equal(loam_logits(m, 0), expected + 199 * vocabulary_of(m),
                        vocabulary_of(m) * sizeof(float));
    loam_free(m);
}

static void *cancel_soon(void *arg)
{
    struct timespec moment = {0, 1000000};
    nanosleep(&moment, NULL);
    loam_cancel(arg);
    return NULL;
}

/* "Cancel works on one backend, or only between batches" */
static void test_cancel__stops_a_prefill_and_leaves_the_handle_usable(void **state)
{
    static float before[5 * 512], after[5 * 512];
    loam_token tokens[256];
    pthread_t thread;
    size_t n;
    (void)state;
    for (int i = 0; i < 256; i++)
        tokens[i] = (i * 31) % 298;
    loam *m = load_model(model, (model_options){.isa = "scalar", .threads = 2});
    logits_of(m, before);
    loam_cancel(m); /* nothing runs: the next call is stopped */
    assert_int_equal(loam_prefill(m, 0, tokens, 10), LOAM_ERR_CANCELLED);
    assert_int_equal(loam_seq_length(m, 0, &n), LOAM_OK);
    assert_int_equal(n, 5);
    assert_non_null(loam_logits(m, 0)); /* as before the call */
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, m), 0);
    loam_status st;
    do {
        assert_int_equal(loam_seq_truncate(m, 0, 0), LOAM_OK);
        st = loam_prefill(m, 0, tokens, 256);
    } while (st == LOAM_OK);
    pthread_join(thread, NULL);
    assert_int_equal(st, LOAM_ERR_CANCELLED);
    assert_int_equal(loam_seq_length(m, 0, &n), LOAM_OK);
    assert_int_equal(n, 0);
    logits_of(m, after);
    assert_memory_equal(before, after, sizeof before);
    loam_free(m);
}

static void *use_handle(void *arg)
{
    for (int i = 0; i < 20; i++) {
        loam_token tokens[] = {1, 2, 3, 4};
        loam_status st = loam_prefill(arg, 0, tokens, 4);
        if (st == LOAM_ERR_FULL) st = loam_seq_truncate(arg, 0, 0);
        if (st != LOAM_OK) return arg;
    }
    return NULL;
}

static void test_handle__serialises_threads(void **state)
{
    pthread_t threads[4];
    loam *m = load_model(model, (model_options){.threads = 2, .context = 32});
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_handle, m), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    loam_free(m);
}

/* What two threads may do at once: read one container, and run a model each. */
static void *read_and_run(void *arg)
{
    const loam_gguf *g = arg;
    size_t named = 0;
    for (size_t i = 0; i < loam_gguf_meta_count(g); i++) {
        const char *text;
        size_t n;
        uint64_t number;
        if (loam_gguf_get_string(g, i, 0, &text, &n) == LOAM_OK) named++;
        else if (loam_gguf_get_u64(g, i, 0, &number) == LOAM_OK) named++;
    }
    loam *m = load_model(model, (model_options){.threads = 2});
    run_a_little(m);
    loam_free(m);
    return named ? NULL : arg;
}

static void test_handles__run_side_by_side(void **state)
{
    pthread_t threads[4];
    loam_gguf *g;
    (void)state;
    assert_int_equal(loam_gguf_open(model, NULL, &g), LOAM_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_and_run, g), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    loam_gguf_close(g);
}

static void *plan_again_and_again(void *arg)
{
    loam_plan_totals *first = arg;
    for (int i = 0; i < 40; i++) {
        loam_options options;
        loam_plan_totals totals;
        loam_plan *plan;
        loam_options_init(&options);
        options.memory_limit_bytes = i % 2 ? 1 : 0; /* with and without advice */
        loam_plan_file(model, &options, &plan);
        loam_plan_totals_init(&totals);
        loam_plan_get_totals(plan, &totals);
        loam_plan_free(plan);
        if (i == 0) *first = totals;
        else if (totals.total_bytes != first->total_bytes) first->total_bytes = 0;
    }
    return NULL;
}

static void test_plans__are_made_side_by_side(void **state)
{
    pthread_t threads[4];
    loam_plan_totals totals[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, plan_again_and_again, &totals[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_true(totals[i].total_bytes > 0);
        assert_int_equal(totals[i].total_bytes, totals[0].total_bytes);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_plans__are_made_side_by_side),
    cmocka_unit_test(test_free__leaves_no_thread_and_no_file),
    cmocka_unit_test(test_idle__threads_sleep),
    cmocka_unit_test(test_threads__take_no_signal_of_the_hosts),
    cmocka_unit_test(test_output__nothing_is_printed),
    cmocka_unit_test(test_environment__changes_nothing),
    cmocka_unit_test(test_load__every_way_in_gives_the_same_bits),
    cmocka_unit_test(test_jobs__the_hosts_threads_give_the_same_bits),
    cmocka_unit_test(test_log__goes_to_the_hosts_sink),
    cmocka_unit_test(test_budget__goes_on_where_it_stopped),
    cmocka_unit_test(test_cancel__stops_a_prefill_and_leaves_the_handle_usable),
    cmocka_unit_test(test_handle__serialises_threads),
    cmocka_unit_test(test_handles__run_side_by_side),
};

RUN(tests)
