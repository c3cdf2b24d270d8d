/* loam bench MODEL: prefill and decode speed, at one batch size or at several.
 *
 * Prefill is that of a prompt into an empty sequence, after one warm-up; in a sweep its tokens are
 * shared out over as many prompts as the batch has sequences. Decode starts behind a prompt of one
 * token, or of as many as are asked for, and steps all sequences in one call. The tokens are fixed,
 * so that nothing is sampled, and nothing is taken from prompts that were computed before. Of the
 * repetitions the best counts. The speeds are held against what this machine does at most. */
#include "command.h"
#include "model.h"
#include "ops.h"
#include "roofs.h"

#include <loam/gguf.h>
#include <loam/plan.h>
#include <stdlib.h>
#include <string.h>

#define KNEE_SHARE 0.8 /* of the best speed of a sweep */

typedef struct speeds {
    uint32_t parallel, prompts, prompt; /* sequences of a step; prompts, and the tokens of each */
    double prefill_tok_s, decode_tok_s; /* of all sequences together */
} speeds;

typedef struct bench {
    common shared;
    const char *places[1];
    uint32_t prompt, generate, parallel, depth, reps;
    double bandwidth; /* GB/s of reading; 0: not given, and to be measured */
    bool list_ops;
    ids batches; /* of the sweep; none: one measurement, of `parallel` */
    loam *m;
    loam_info info;
    loam_seq *seqs; /* [parallel] */
    ids tokens;
    speeds *rows;
    size_t n_rows;
    ops ops;
    /* of a token, from the plan: bytes of weights, and of the KV cells before the first decode; and
     * products with weights of a prompt's token */
    uint64_t weights_bytes, kv_bytes, products;
    loam_format format; /* of most bytes of weights */
    double multiply_hz; /* the roof of products a second; 0: unknown */
} bench;

/* Tokens in a sequence before decode is measured. */
static uint32_t depth_of(const bench *b)
{
    return b->depth ? b->depth : 1;
}

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

/* Empty the first n sequences, then give each the same prompt of the listed tokens. */
static loam_status prefill_all(bench *b, uint32_t n, const loam_token *tokens, size_t n_tokens)
{
    loam_status status = LOAM_OK;

    for (uint32_t s = 0; s < n && status == LOAM_OK; s++)
        status = loam_seq_truncate(b->m, b->seqs[s], 0);
    for (uint32_t s = 0; s < n && status == LOAM_OK; s++)
        status = loam_prefill(b->m, b->seqs[s], tokens, n_tokens);
    return status;
}

static loam_status measure_prefill(bench *b, speeds *row)
{
    loam_status status;

    b->tokens.n = 0;
    for (size_t i = 0; i < row->prompt; i++)
        ids_add(&b->tokens, prompt_token(b, i));
    for (uint32_t r = 0; r <= b->reps; r++) {
        uint64_t n = (uint64_t)row->prompts * row->prompt;
        double start, taken;
        ops_mark(&b->ops, b->m);
        start = seconds_now();
        status = prefill_all(b, row->prompts, b->tokens.p, b->tokens.n);
        taken = seconds_now() - start;
        if (status != LOAM_OK) return status;
        if (r == 0) continue; /* the warm-up */
        ops_add(&b->ops, b->m, PHASE_PREFILL, taken, n);
        if ((double)n / taken > row->prefill_tok_s) row->prefill_tok_s = (double)n / taken;
    }
    return LOAM_OK;
}

/* All sequences hold the tokens that decode starts behind; the last is computed by a step of its
 * own, which brings back what the steps of the last repetition took from a sliding window. */
static loam_status start_decode(bench *b, const speeds *row)
{
    uint32_t before = depth_of(b) - 1;
    loam_status status = LOAM_OK;

    for (uint32_t s = 0; s < row->parallel && status == LOAM_OK; s++) {
        status = loam_seq_truncate(b->m, b->seqs[s], before);
        b->tokens.p[s] = b->info.vocabulary_tokens > 1 ? 1 : 0;
    }
    return status == LOAM_OK ? loam_decode(b->m, b->seqs, b->tokens.p, row->parallel) : status;
}

static loam_status decode_all(bench *b, const speeds *row)
{
    for (uint32_t i = 0; i < b->generate; i++) {
        for (uint32_t s = 0; s < row->parallel; s++)
            b->tokens.p[s] = decode_token(b, i, s);
        loam_status status = loam_decode(b->m, b->seqs, b->tokens.p, row->parallel);
        if (status != LOAM_OK) return status;
    }
    return LOAM_OK;
}

static loam_status measure_decode(bench *b, speeds *row)
{
    loam_status status = LOAM_OK;

    b->tokens.n = 0;
    for (uint32_t i = 0; i + 1 < depth_of(b); i++)
        ids_add(&b->tokens, prompt_token(b, i));
    if (b->tokens.n) status = prefill_all(b, row->parallel, b->tokens.p, b->tokens.n);
    else
        for (uint32_t s = 0; s < row->parallel && status == LOAM_OK; s++)
            status = loam_seq_truncate(b->m, b->seqs[s], 0);
    ids_reserve(&b->tokens, row->parallel);
    for (uint32_t r = 0; r < b->reps && status == LOAM_OK; r++) {
        double start, taken, n = (double)row->parallel * b->generate;
        if ((status = start_decode(b, row)) != LOAM_OK) return status;
        ops_mark(&b->ops, b->m);
        start = seconds_now();
        status = decode_all(b, row);
        taken = seconds_now() - start;
        ops_add(&b->ops, b->m, PHASE_DECODE, taken, b->generate);
        if (n / taken > row->decode_tok_s) row->decode_tok_s = n / taken;
    }
    return status;
}

/* The format that most bytes of a file's tensors are in. */
static int find_format(bench *b)
{
    enum { KINDS = 256 };
    uint64_t bytes[KINDS] = {0};
    loam_gguf *g = NULL;
    loam_status status = loam_gguf_open(b->places[0], NULL, &g);
    size_t n = status == LOAM_OK ? loam_gguf_tensor_count(g) : 0;

    for (size_t i = 0; i < n; i++) {
        loam_gguf_tensor t;
        loam_gguf_tensor_init(&t);
        loam_gguf_get_tensor(g, i, &t);
        if (t.type < 0 || t.type >= KINDS) continue;
        bytes[t.type] += t.size_bytes;
        if (bytes[t.type] > bytes[b->format]) b->format = t.type;
    }
    if (status != LOAM_OK) complain("%s", loam_gguf_error(g));
    loam_gguf_close(g);
    return status == LOAM_OK ? EXIT_DONE : EXIT_FAILED;
}

/* What a token reads and multiplies. */
static int read_plan(bench *b, const loam_options *options)
{
    loam_plan *plan = NULL;
    loam_plan_totals totals;
    loam_plan_bound bound;
    loam_status status = loam_plan_file(b->places[0], options, &plan);

    loam_plan_totals_init(&totals);
    loam_plan_bound_init(&bound);
    if (status == LOAM_OK) status = loam_plan_get_totals(plan, &totals);
    if (status == LOAM_OK && b->depth) status = loam_plan_get_bound(plan, b->depth, 1, &bound);
    if (status != LOAM_OK) complain("%s", loam_plan_error(plan));
    b->weights_bytes = totals.token_read_bytes;
    b->kv_bytes = bound.kv_bytes;
    b->products = totals.token_products;
    loam_plan_free(plan);
    return status == LOAM_OK ? EXIT_DONE : EXIT_FAILED;
}

static void measure_roofs(bench *b)
{
    if (!(b->bandwidth > 0)) b->bandwidth = roof_read(b->info.threads) / 1e9;
    b->multiply_hz = roof_multiply(b->info.isa, b->format, b->info.threads);
}

static loam_status measure(bench *b)
{
    loam_status status;

    loam_info_init(&b->info);
    if ((status = loam_get_info(b->m, &b->info)) != LOAM_OK) return status;
    for (uint32_t s = 1; s < b->parallel; s++) /* sequence 0 is open after loading */
        if ((status = loam_seq_open(b->m, &b->seqs[s])) != LOAM_OK) return status;
    for (size_t i = 0; i < b->n_rows && status == LOAM_OK; i++) {
        speeds *row = &b->rows[i];
        if (row->prompt) status = measure_prefill(b, row);
        if (status == LOAM_OK && b->generate) status = measure_decode(b, row);
    }
    if (status == LOAM_OK) measure_roofs(b);
    return status;
}

/* ---- what was measured ---- */

/* EQ OM2.1: one pass over the weights serves a step of all sequences, each of which reads its own
 * KV cells. 0: unknown. */
static double decode_bound(const bench *b, const speeds *row)
{
    double bytes = (double)b->weights_bytes + (double)b->kv_bytes * row->parallel;
    return bytes > 0 ? b->bandwidth * 1e9 * row->parallel / bytes : 0;
}

/* By the products with weights alone. 0: unknown. */
static double prefill_bound(const bench *b)
{
    return b->products ? b->multiply_hz / (double)b->products : 0;
}

static double step_ms(const speeds *row)
{
    return row->decode_tok_s > 0 ? 1e3 * row->parallel / row->decode_tok_s : 0;
}

/* The smallest batch that comes near the best speed of the sweep. 0: that is the last one, so the
 * speed may rise on. */
static uint32_t find_knee(const bench *b)
{
    double best = 0;
    size_t i = 0;

    for (size_t k = 0; k < b->n_rows; k++)
        if (b->rows[k].decode_tok_s > best) best = b->rows[k].decode_tok_s;
    while (b->rows[i].decode_tok_s < best * KNEE_SHARE)
        i++;
    return i + 1 < b->n_rows ? b->rows[i].parallel : 0;
}

static void put_speeds(const bench *b, const speeds *row, json_t *object)
{
    double decode = decode_bound(b, row), prefill = prefill_bound(b);

    put(object, "prefill_tok_s", json_real(row->prefill_tok_s));
    put(object, "decode_tok_s", json_real(row->decode_tok_s));
    put_count(object, "prompt", row->prompt);
    put_count(object, "parallel", row->parallel);
    if (decode > 0) {
        put(object, "decode_bound_tok_s", json_real(decode));
        put(object, "decode_bound_share", json_real(row->decode_tok_s / decode));
    }
    if (prefill > 0) {
        put(object, "prefill_bound_tok_s", json_real(prefill));
        put(object, "prefill_bound_share", json_real(row->prefill_tok_s / prefill));
    }
}

static void put_sweep(const bench *b, json_t *object)
{
    json_t *rows = must(json_array());
    uint32_t knee = find_knee(b);

    for (size_t i = 0; i < b->n_rows; i++) {
        json_t *row = must(json_object());
        put_speeds(b, &b->rows[i], row);
        put(row, "step_ms", json_real(step_ms(&b->rows[i])));
        append(rows, row);
    }
    put(object, "sweep", rows);
    put(object, "knee", knee ? json_integer(knee) : json_null());
    put_count(object, "prompt", b->prompt);
}

static void report_json(bench *b)
{
    json_t *object = must(json_object());

    if (b->batches.n) put_sweep(b, object);
    else put_speeds(b, b->rows, object);
    put_count(object, "generate", b->generate);
    put_count(object, "depth", depth_of(b));
    put_count(object, "threads", b->info.threads);
    put(object, "isa", json_string(b->info.isa));
    put(object, "model", json_text(b->places[0], strlen(b->places[0])));
    put(object, "read_gb_s", json_real(b->bandwidth));
    put(object, "multiply_gmac_s", json_real(b->multiply_hz / 1e9));
    if (b->list_ops) put(object, "ops", ops_json(&b->ops));
    print_json(object);
}

static void print_sweep(const bench *b)
{
    uint32_t knee = find_knee(b);

    printf("  batch   decode tok/s   of each   ms a step   prefill tok/s\n");
    for (size_t i = 0; i < b->n_rows; i++) {
        const speeds *row = &b->rows[i];
        printf("  %5u   %12.1f  %8.1f   %9.2f   %13.1f\n", row->parallel, row->decode_tok_s,
               row->decode_tok_s / row->parallel, step_ms(row), row->prefill_tok_s);
    }
    if (knee)
        printf("  knee at %u: it reaches %.0f %% of the best speed\n", knee, 100 * KNEE_SHARE);
    else printf("  no knee: the speed still rises with the batch\n");
}

static void print_speeds(const bench *b)
{
    const speeds *row = b->rows;

    printf("  prefill  %10.1f tok/s   (%u tokens)\n", row->prefill_tok_s, row->prompt);
    printf("  decode   %10.1f tok/s   (%u tokens, %u in parallel, behind %u)\n", row->decode_tok_s,
           b->generate, row->parallel, depth_of(b));
}

/* The roofs, and how near the only row comes to them. */
static void print_roofs(const bench *b)
{
    const speeds *row = b->batches.n ? NULL : b->rows;
    double decode = decode_bound(b, b->rows), prefill = prefill_bound(b);

    if (b->bandwidth > 0) {
        printf("  memory   %10.1f GB/s", b->bandwidth);
        if (row && decode > 0)
            printf("    (decode reaches %.2f of it)", row->decode_tok_s / decode);
        printf("\n");
    }
    if (b->multiply_hz > 0) {
        printf("  products %10.1f GMAC/s", b->multiply_hz / 1e9);
        if (row && prefill > 0)
            printf("  (prefill reaches %.2f of it)", row->prefill_tok_s / prefill);
        printf("\n");
    }
}

static void report(bench *b)
{
    if (b->shared.json) {
        report_json(b);
        return;
    }
    printf("%s, %u threads, %s\n", b->info.name[0] ? b->info.name : b->places[0], b->info.threads,
           b->info.isa);
    if (b->batches.n) print_sweep(b);
    else print_speeds(b);
    print_roofs(b);
    if (b->list_ops) ops_print(&b->ops);
}

/* ---- the verb ---- */

/* One row, or one a batch size of the sweep, whose largest is how many sequences there are. */
static int list_rows(bench *b)
{
    if (b->batches.n && b->parallel > 1)
        return misuse("bench", "give --parallel or --sweep-batch, not both");
    b->n_rows = b->batches.n ? b->batches.n : 1;
    b->rows = must(calloc(b->n_rows, sizeof *b->rows));
    b->rows[0] = (speeds){.parallel = b->parallel, .prompts = 1, .prompt = b->prompt};
    for (size_t i = 0; i < b->batches.n; i++) {
        uint32_t n = (uint32_t)b->batches.p[i];
        if (!n || (i && n <= b->parallel))
            return misuse("bench", "--sweep-batch takes rising batch sizes, such as 1,2,4,8");
        b->rows[i] =
            (speeds){.parallel = n, .prompts = n, .prompt = b->prompt / n + (b->prompt % n != 0)};
        b->parallel = n;
    }
    return EXIT_DONE;
}

static int run_bench(bench *b, loam_options *options)
{
    uint64_t needed = (uint64_t)depth_of(b) + b->generate;
    int status;

    if (needed < b->prompt) needed = b->prompt;
    if (needed > UINT32_MAX || !b->parallel || !b->reps)
        return misuse("bench", "--parallel and --reps are at least 1, --depth and --generate "
                               "together below 2^32");
    if (b->list_ops && b->batches.n)
        return misuse("bench", "--ops is of one batch size: give --parallel, not --sweep-batch");
    if ((status = list_rows(b)) != EXIT_DONE) return status;
    if (!options->context_tokens) options->context_tokens = (uint32_t)needed;
    options->sequences = b->parallel;
    options->flags |= LOAM_LOAD_NO_SHARING; /* or all but the first prompt would cost nothing */
    if (b->list_ops) options->flags |= LOAM_LOAD_PROFILE;
    if ((status = read_plan(b, options)) != EXIT_DONE || (status = find_format(b)) != EXIT_DONE)
        return status;
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
        {"depth", OPTION_COUNT, &b.depth, "N", "tokens in each sequence before decode (1)"},
        {"sweep-batch", OPTION_BATCHES, &b.batches, "N,N,...",
         "measure each of these batch sizes (" BATCHES_USUAL ")"},
        {"reps", OPTION_COUNT, &b.reps, "N", "repetitions, the best counts (3)"},
        {"bandwidth", OPTION_REAL, &b.bandwidth, "GB/S", "the machine's read bandwidth (measured)"},
        {"ops", OPTION_FLAG, &b.list_ops, NULL, "list what each kind of op takes"},
    };
    const usage u = {
        .synopsis = "bench MODEL",
        .about =
            "Measure prefill (a prompt into an empty sequence, after one warm-up) and\n"
            "decode (behind a prompt of one token; all sequences together), at one batch size or,\n"
            "with one load, at several.\n"
            "\n"
            "Both are held against what the same number of threads does at most, measured in\n"
            "the same run: reading memory, a buffer larger than the caches; and multiplying\n"
            "numbers in registers, with the best instructions that the instruction set in use\n"
            "has for the format of most weights: floats for F32, F16 and BF16 and with --isa\n"
            "scalar, else 8-bit integers. A decoded token reads all weights and its KV cells; a\n"
            "prompt's token multiplies the weights of all layers.",
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
    free(b.rows);
    ids_free(&b.batches);
    ids_free(&b.tokens);
    ops_free(&b.ops);
    return status;
}
