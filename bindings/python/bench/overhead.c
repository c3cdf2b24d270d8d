/* The decode loop that overhead.py compares itself with: overhead MODEL TOKENS ROUNDS. Prints the
 * least time of a token in nanoseconds. */
#define _POSIX_C_SOURCE 199309L
#include <loam/loam.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Choose, turn into text, append: n tokens behind a prompt of one. */
static int generate(loam *m, int n)
{
    loam_seq seq = 0;
    loam_token t = 1;
    loam_stream stream;
    char text[256];
    size_t n_bytes;
    loam_stream_init(&stream);
    if (loam_seq_truncate(m, seq, 0) || loam_prefill(m, seq, &t, 1)) return 0;
    for (int i = 0; i < n; i++) {
        if (loam_sample(m, seq, &t)) return 0;
        (void)loam_token_is_end(m, t);
        if (loam_decode(m, &seq, &t, 1)) return 0;
        if (loam_stream_push(m, &stream, t, text, sizeof text, &n_bytes)) return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    int n = atoi(argv[2]), rounds = atoi(argv[3]);
    double least = 0;
    loam *m;
    loam_options options;
    loam_options_init(&options);
    options.threads = 1;
    loam_status st = loam_load(argv[1], &options, &m);
    for (int i = 0; !st && i < rounds; i++) {
        double start = now_ns();
        if (!generate(m, n)) st = LOAM_ERR_STATE;
        double took = (now_ns() - start) / n;
        if (i == 0 || took < least) least = took;
    }
    if (st) fprintf(stderr, "%s\n", loam_error(m));
    else printf("%.0f\n", least);
    loam_free(m);
    return st != LOAM_OK;
}
