/* "It fits, and dies an hour later": a process that fills every context is as large as the plan
 * said, within 2 % and a mebibyte. */
#define _POSIX_C_SOURCE 200809L
#include <loam/plan.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "models.h"

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CAN_MEASURE 1
#else
#define CAN_MEASURE 0
#endif

/* A field of /proc/self/status in bytes. */
static double status_of(const char *field)
{
    char line[256];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, field, strlen(field)) == 0) kib = strtod(line + strlen(field), NULL);
    if (f) fclose(f);
    return kib * 1024;
}

/* Code and libraries come into a process by as many pages as the page cache has together, from 0.8
 * to 6 MiB of them. Beside a large model, of which that is little, they come first. */
static bool bring_code(void)
{
    loam *m = NULL;
    loam_options options;
    loam_token tokens[8] = {1, 2, 3}, token;
    loam_options_init(&options);
    options.flags = LOAM_LOAD_PACK;
    bool good = loam_load(OWN("tiny-llama.gguf"), &options, &m) == LOAM_OK &&
                loam_prefill(m, 0, tokens, 8) == LOAM_OK && loam_sample(m, 0, &token) == LOAM_OK;
    loam_free(m);
    return good;
}

/* In a process of its own: load, fill all sequences, and say how much larger it was at its peak. */
static double grow(const char *path, const loam_options *options, bool large)
{
    if (large && !bring_code()) return -1;
    double before = status_of("VmRSS:");
    loam *m = NULL;
    loam_info info;
    loam_seq seq = 0;
    loam_sampling how;
    loam_token token;
    loam_info_init(&info);
    loam_sampling_init(&how);
    how.temperature = 1;
    if (loam_load(path, options, &m) != LOAM_OK || loam_get_info(m, &info) != LOAM_OK) return -1;
    loam_token *tokens = malloc(info.context_tokens * sizeof *tokens);
    for (uint32_t s = 0; s < info.sequences; s++) {
        for (uint32_t i = 0; i < info.context_tokens; i++)
            tokens[i] = (loam_token)((i * 7919u + s * 31) % info.vocabulary_tokens);
        if (s && loam_seq_open(m, &seq) != LOAM_OK) return -1;
        if (loam_seq_sampling(m, seq, &how) != LOAM_OK ||
            loam_prefill(m, seq, tokens, info.context_tokens) != LOAM_OK ||
            loam_sample(m, seq, &token) != LOAM_OK)
            return -1;
    }
    return status_of("VmHWM:") - before;
}

static double measure_in_child(const char *path, const loam_options *options, bool large)
{
    double grown = -1;
    int pipes[2], status;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        grown = grow(path, options, large);
        _exit(write(pipes[1], &grown, sizeof grown) == sizeof grown ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(pipes[0], &grown, sizeof grown), sizeof grown);
    close(pipes[0]);
    close(pipes[1]);
    assert_true(grown > 0);
    return grown;
}

static void check(const char *path, loam_options options, bool large)
{
    loam_plan *plan;
    loam_plan_totals totals;
    loam_plan_totals_init(&totals);
    if (loam_plan_file(path, &options, &plan) != LOAM_OK) fail_msg("%s", loam_plan_error(plan));
    assert_int_equal(loam_plan_get_totals(plan, &totals), LOAM_OK);
    loam_plan_free(plan);
    double planned = (double)totals.peak_resident_bytes;
    double grown = measure_in_child(path, &options, large);
    if (fabs(grown - planned) > 0.02 * planned + 1048576)
        fail_msg("%s, context %u, %u sequences, flags %u: grew by %.0f bytes and planned %.0f",
                 path, options.context_tokens, options.sequences, options.flags, grown, planned);
}

static void check_all(const char *path, uint32_t context, bool large)
{
    loam_options options;
    loam_options_init(&options);
    options.threads = 1;
    options.flags = LOAM_LOAD_MAP;
    options.context_tokens = context;
    check(path, options, large);
    options.threads = 2;
    options.sequences = 3;
    options.kv_type = LOAM_KV_F32;
    options.step_tokens = 64;
    check(path, options, large);
    options.flags = LOAM_LOAD_PACK;
    options.kv_type = LOAM_KV_F16;
    options.context_tokens = context / 2;
    check(path, options, large);
}

static void test_resident__is_what_was_planned_for_tiny_models(void **state)
{
    (void)state;
    if (!CAN_MEASURE) skip();
    check_all(OWN("tiny-llama.gguf"), 256, false);
    check_all(OWN("tiny-gemma3.gguf"), 256, false);
}

static void check_real(const char *file)
{
    char path[512];
    if (!CAN_MEASURE) skip();
    find_model(file, path);
    check_all(path, 256, true);
}

static void test_resident__is_what_was_planned_for_smollm2(void **state)
{
    (void)state;
    check_real(SMOLLM2);
}

static void test_resident__is_what_was_planned_for_gemma3(void **state)
{
    (void)state;
    check_real(GEMMA3);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_resident__is_what_was_planned_for_tiny_models),
    cmocka_unit_test(test_resident__is_what_was_planned_for_smollm2),
    cmocka_unit_test(test_resident__is_what_was_planned_for_gemma3),
};

RUN(tests)
