/* The speed of tokenizing, on one thread: bench_text TEXT VOCABULARY..., the best of some rounds in
 * MB/s. What follows the text are inputs made to be slow, in two sizes: what is linear has the same
 * speed in both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/os.h"
#include "lib/text/text.h"

enum { ROUNDS = 5, SMALL = 1000000, LARGE = 10000000 };

static const struct {
    const char *name, *unit;
} made[] = {{"one word", "abcdefghij"},    {"one letter", "a"},
            {"marks", "\xCC\x81"},         {"spaces", " "},
            {"emoji", "\xF0\x9F\x98\x80"}, {"digits", "1234567890"}};

typedef struct vocabulary {
    loam__base b;
    loam__gguf *g;
    loam__vocab *v;
} vocabulary;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static char *read_text(const char *path, size_t *n)
{
    FILE *file = fopen(path, "rb");
    char *text = malloc(LARGE);
    if (!file || !text) fail(path, "cannot be read");
    *n = fread(text, 1, LARGE, file);
    fclose(file);
    if (*n == 0) fail(path, "is empty");
    return text;
}

static void open_vocabulary(vocabulary *o, const char *path)
{
    memset(o, 0, sizeof *o);
    if (loam__base_init(&o->b, NULL) != LOAM_OK || loam__gguf_open(&o->b, path, &o->g) != LOAM_OK ||
        loam__vocab_new(&o->b, o->g, &o->v) != LOAM_OK || loam__vocab_fill(&o->b, o->v) != LOAM_OK)
        fail(path, o->b.error);
}

static void close_vocabulary(vocabulary *o)
{
    loam__vocab_free(o->v);
    loam__gguf_close(o->g);
}

/* MB/s, and how many tokens the text has. */
static double speed(vocabulary *o, const char *text, size_t n, int rounds, loam_token *tokens,
                    size_t *n_tokens)
{
    double best = 0;
    for (int i = 0; i < rounds; i++) {
        uint64_t start = loam__now_ns();
        if (loam__tokenize(&o->b, o->v, text, n, NULL, 0, tokens, n + 16, n_tokens) != LOAM_OK)
            fail("text", o->b.error);
        double mb_s = (double)n * 1e3 / (double)(loam__now_ns() - start);
        if (mb_s > best) best = mb_s;
    }
    return best;
}

int main(int argc, char **argv)
{
    size_t n, n_tokens;
    if (argc < 3) fail("usage", "bench_text TEXT VOCABULARY...");
    char *text = read_text(argv[1], &n), *repeated = malloc(LARGE);
    loam_token *tokens = malloc((LARGE + 16) * sizeof *tokens);
    if (!repeated || !tokens) fail("memory", "there is too little");
    for (int i = 2; i < argc; i++) {
        vocabulary o;
        open_vocabulary(&o, argv[i]);
        double mb_s = speed(&o, text, n, ROUNDS, tokens, &n_tokens);
        printf("%s\n  %-10s %7.2f MB/s, %.2f bytes a token\n", argv[i], "the text", mb_s,
               (double)n / (double)n_tokens);
        for (size_t m = 0; m < sizeof made / sizeof *made; m++) {
            for (size_t k = 0; k < LARGE; k++)
                repeated[k] = made[m].unit[k % strlen(made[m].unit)];
            double small = speed(&o, repeated, SMALL, 2, tokens, &n_tokens);
            double large = speed(&o, repeated, LARGE, 1, tokens, &n_tokens);
            printf("  %-10s %7.2f MB/s of 1 MB, %7.2f MB/s of 10 MB\n", made[m].name, small, large);
        }
        close_vocabulary(&o);
        fflush(stdout);
    }
    free(tokens);
    free(repeated);
    free(text);
    return 0;
}
