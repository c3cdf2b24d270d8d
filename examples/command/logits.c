/* loam logits MODEL --tokens 1,2,3 --out FILE: the logits of every position as raw float32. */
#include "command.h"
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BUFFER_BYTES (256u << 20) /* of logits at once, unless --chunk says otherwise */

typedef struct logits {
    common shared;
    const char *places[1];
    const char *out;
    ids tokens;
    uint32_t chunk;
    size_t n_vocab;
} logits;

/* How many tokens go into one call: all, as long as their logits do not take much memory. */
static size_t chunk_tokens(const logits *l)
{
    size_t n = l->chunk;
    if (!n) n = BUFFER_BYTES / (l->n_vocab * sizeof(float));
    if (!n) n = 1;
    return n < l->tokens.n ? n : l->tokens.n;
}

static int write_logits(const logits *l, loam *m, FILE *f)
{
    size_t chunk = chunk_tokens(l), n;
    float *rows = must(calloc(chunk, l->n_vocab * sizeof *rows));
    int status = EXIT_DONE;

    for (size_t i = 0; i < l->tokens.n && status == EXIT_DONE; i += n) {
        n = l->tokens.n - i < chunk ? l->tokens.n - i : chunk;
        if (loam_prefill_logits(m, 0, l->tokens.p + i, n, rows) != LOAM_OK)
            status = model_complain(m);
        else if (fwrite(rows, l->n_vocab * sizeof *rows, n, f) != n)
            status = complain("'%s' cannot be written: %s", l->out, strerror(errno));
    }
    free(rows);
    return status;
}

/* Write the whole file, or leave none (but a device or a pipe stays where it is). */
static int write_file(const logits *l, loam *m)
{
    FILE *f = fopen(l->out, "wb");
    struct stat what;
    bool plain;
    int status;

    if (!f) return complain("'%s' cannot be opened: %s", l->out, strerror(errno));
    plain = fstat(fileno(f), &what) == 0 && S_ISREG(what.st_mode);
    status = write_logits(l, m, f);
    if (fclose(f) != 0 && status == EXIT_DONE)
        status = complain("'%s' cannot be written: %s", l->out, strerror(errno));
    if (status != EXIT_DONE && plain) remove(l->out);
    return status;
}

static void report(const logits *l)
{
    json_t *object;

    if (!l->shared.json) {
        printf("%s: float32 [%zu][%zu]\n", l->out, l->tokens.n, l->n_vocab);
        return;
    }
    object = must(json_object());
    put_count(object, "n_tokens", l->tokens.n);
    put_count(object, "n_vocab", l->n_vocab);
    put(object, "out", json_text(l->out, strlen(l->out)));
    print_json(object);
}

static int make_logits(logits *l, const loam_options *options)
{
    loam *m = model_open(l->places[0], options);
    loam_info info;
    int status;

    if (!m) return EXIT_FAILED;
    loam_info_init(&info);
    if (loam_get_info(m, &info) == LOAM_OK) {
        l->n_vocab = info.vocabulary_tokens;
        status = write_file(l, m);
    } else {
        status = model_complain(m);
    }
    loam_free(m);
    if (status == EXIT_DONE) report(l);
    return status;
}

int verb_logits(int argc, char **argv)
{
    logits l = {0};
    const option own[] = {
        {"tokens", OPTION_TOKENS, &l.tokens, "IDS", "token ids, 1,2,3; nothing is added"},
        {"out", OPTION_TEXT, &l.out, "FILE", "where the logits go"},
        {"chunk", OPTION_COUNT, &l.chunk, "N",
         "tokens to a prefill call (as many as 256 MiB of logits)"},
    };
    const usage u = {
        .synopsis = "logits MODEL --tokens IDS --out FILE",
        .about =
            "Write the logits of every position as raw float32, row-major [n_tokens][n_vocab].",
        .groups = {{NULL, own, COUNT(own)}},
        .shared = &l.shared,
        .places = l.places,
        .least_places = 1,
        .most_places = 1,
    };
    loam_options options;
    loam_hooks hooks;
    int status = options_read(&u, argc, argv);

    if (status == READ_ON && (!l.tokens.n || !l.out))
        status = misuse("logits", "--tokens and --out are needed");
    if (status == READ_ON) status = model_options(&l.shared, &hooks, &options);
    if (status == READ_ON) {
        if (!options.context_tokens) options.context_tokens = (uint32_t)l.tokens.n;
        status = make_logits(&l, &options);
    }
    ids_free(&l.tokens);
    return status;
}
