/* loam bench MODEL: prefill and decode speed.
 *
 * Prefill is that of a prompt into an empty sequence, after one warm-up. Decode starts behind a
 * prompt of one token and steps all sequences in one call. The tokens are fixed, so that nothing is
 * sampled. Of the repetitions the best counts. */
#include "command.h"
#include "model.h"

#include <loam/plan.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    common shared;
    const char *places[1];
    uint32_t prompt, generate, parallel, reps;
    double bandwidth; /* GB/s; 0: not given */
    loam *m;
    loam_info info;
    loam_seq *seqs;
    ids tokens;
    double prefill_tok_s, decode_tok_s, bound_tok_s;
} bench;

static loam_token prompt_token(const bench *b, size_t i)
{
    size_t n = b->info.vocabulary_tokens < 20000 ? b->info.vocabulary_tokens : 20000;
    return (loam_token)((7 + 31 * i) % n);
}

static loam_token decode_token(const bench *b, size_t i, size_t s)
{
    size_t n = b->info.vocabulary_tokens < 5000 ? b->info.vocabulary_tokens : 5000;
    return (loam_token)((11 + 13 * i + s) % n);
}

static loam_status measure_prefill(bench *b)
{
    loam_status status;

    b->tokens.n = 0;
    for (size_t i = 0; i < b->prompt; i++)
        ids_add(&b->tokens, prompt_token(b, i));
    for (uint32_t r = 0; r <= b->reps; r++) {
        double start, speed;
        if ((status = loam_seq_truncate(b->m, 0, 0)) != LOAM_OK) return status;
        start = seconds_now();
        if ((status = loam_prefill(b->m, 0, b->tokens.p, b->tokens.n)) != LOAM_OK) return status;
        speed = b->prompt / (seconds_now() - start);
        if (r > 0 && speed > b->prefill_tok_s) b->prefill_tok_s = speed;
    }
    return LOAM_OK;
}

/* Every sequence to a prompt of one token. */
static loam_status start_decode(bench *b)
{
    const loam_token first = b->info.vocabulary_tokens > 1 ? 1 : 0;
    loam_status status = LOAM_OK;

    for (uint32_t s = 0; s < b->parallel && status == LOAM_OK; s++) {
        status = loam_seq_truncate(b->m, b->seqs[s], 0);
        if (status == LOAM_OK) status = loam_prefill(b->m, b->seqs[s], &first, 1);
    }
    return status;
}

static loam_status measure_decode(bench *b)
{
    loam_status status;

    b->tokens.n = 0;
    ids_reserve(&b->tokens, b->parallel);
    for (uint32_t r = 0; r < b->reps; r++) {
        double start, speed;
        if ((status = start_decode(b)) != LOAM_OK) return status;
        start = seconds_now();
        for (uint32_t i = 0; i < b->generate; i++) {
            for (uint32_t s = 0; s < b->parallel; s++)
                b->tokens.p[s] = decode_token(b, i, s);
            if ((status = loam_decode(b->m, b->seqs, b->tokens.p, b->parallel)) != LOAM_OK)
                return status;
        }
        speed = (double)b->parallel * b->generate / (seconds_now() - start);
        if (speed > b->decode_tok_s) b->decode_tok_s = speed;
    }
    return LOAM_OK;
}

/* EQ OM2.1 for all sequences together: one pass over the weights serves a step of all of them. */
static int find_bound(bench *b, const loam_options *options)
{
    loam_plan *plan = NULL;
    loam_plan_totals totals;
    loam_status status = loam_plan_file(b->places[0], options, &plan);

    loam_plan_totals_init(&totals);
    if (status == LOAM_OK) status = loam_plan_get_totals(plan, &totals);
    if (status == LOAM_OK && totals.token_read_bytes)
        b->bound_tok_s = b->bandwidth * 1e9 / (double)totals.token_read_bytes * b->parallel;
    if (status != LOAM_OK) complain("%s", loam_plan_error(plan));
    loam_plan_free(plan);
    return status == LOAM_OK ? EXIT_DONE : EXIT_FAILED;
}

static loam_status measure(bench *b)
{
    loam_status status;

    loam_info_init(&b->info);
    if ((status = loam_get_info(b->m, &b->info)) != LOAM_OK) return status;
    for (uint32_t s = 1; s < b->parallel; s++) /* sequence 0 is open after loading */
        if ((status = loam_seq_open(b->m, &b->seqs[s])) != LOAM_OK) return status;
    if (b->prompt && (status = measure_prefill(b)) != LOAM_OK) return status;
    return b->generate ? measure_decode(b) : LOAM_OK;
}

static void report(const bench *b)
{
    json_t *object;

    if (!b->shared.json) {
        printf("%s, %u threads, %s\n", b->info.name[0] ? b->info.name : b->places[0],
               b->info.threads, b->info.isa);
        printf("  prefill  %10.1f tok/s  (%u tokens)\n", b->prefill_tok_s, b->prompt);
        printf("  decode   %10.1f tok/s  (%u tokens, %u in parallel)\n", b->decode_tok_s,
               b->generate, b->parallel);
        if (b->bound_tok_s > 0)
            printf("  bound    %10.1f tok/s  (decode reaches %.2f of it)\n", b->bound_tok_s,
                   b->decode_tok_s / b->bound_tok_s);
        return;
    }
    object = must(json_object());
    put(object, "prefill_tok_s", json_real(b->prefill_tok_s));
    put(object, "decode_tok_s", json_real(b->decode_tok_s));
    put_count(object, "prompt", b->prompt);
    put_count(object, "generate", b->generate);
    put_count(object, "parallel", b->parallel);
    put_count(object, "threads", b->info.threads);
    put(object, "isa", json_string(b->info.isa));
    put(object, "model", json_text(b->places[0], strlen(b->places[0])));
    if (b->bound_tok_s > 0) {
        put(object, "decode_bound_tok_s", json_real(b->bound_tok_s));
        put(object, "decode_bound_share", json_real(b->decode_tok_s / b->bound_tok_s));
    }
    print_json(object);
}

static int run_bench(bench *b, loam_options *options)
{
    uint64_t needed = (uint64_t)b->generate + 1;
    int status = EXIT_DONE;

    if (needed < b->prompt) needed = b->prompt;
    if (needed > UINT32_MAX || !b->parallel || !b->reps)
        return misuse("bench", "--parallel and --reps are at least 1, --generate below 2^32 - 1");
    if (!options->context_tokens) options->context_tokens = (uint32_t)needed;
    options->sequences = b->parallel;
    if (b->bandwidth > 0 && (status = find_bound(b, options)) != EXIT_DONE) return status;
    if (!(b->m = model_open(b->places[0], options))) return EXIT_FAILED;
    b->seqs = must(calloc(b->parallel, sizeof *b->seqs));
    if (measure(b) == LOAM_OK) report(b);
    else status = model_complain(b->m);
    free(b->seqs);
    loam_free(b->m);
    return status;
}

int verb_bench(int argc, char **argv)
{
    bench b = {.prompt = 512, .generate = 64, .parallel = 1, .reps = 3};
    const option own[] = {
        {"prompt", OPTION_COUNT, &b.prompt, "N", "tokens to prefill (512)"},
        {"generate", OPTION_COUNT, &b.generate, "N", "tokens to decode (64)"},
        {"parallel", OPTION_COUNT, &b.parallel, "N", "sequences that decode together (1)"},
        {"reps", OPTION_COUNT, &b.reps, "N", "repetitions, the best counts (3)"},
        {"bandwidth", OPTION_REAL, &b.bandwidth, "GB/S",
         "compare decode with this read bandwidth's bound"},
    };
    const usage u = {
        .synopsis = "bench MODEL",
        .about = "Measure prefill (a prompt into an empty sequence, after one warm-up) and\n"
                 "decode (behind a prompt of one token; all sequences together).",
        .groups = {{NULL, own, COUNT(own)}},
        .shared = &b.shared,
        .places = b.places,
        .least_places = 1,
        .most_places = 1,
    };
    loam_options options;
    loam_hooks hooks;
    int status = options_read(&u, argc, argv);

    if (status == READ_ON) status = model_options(&b.shared, &hooks, &options);
    if (status == READ_ON) status = run_bench(&b, &options);
    ids_free(&b.tokens);
    return status;
}
