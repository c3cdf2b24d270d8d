#include "bandwidth.h"
#include "output.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_BYTES ((size_t)256 << 20) /* larger than the caches */
#define LANES        32 /* independent sums, so that the reads do not wait for each other */
#define MOST_THREADS 64
#define ROUNDS       3

typedef struct slice {
    uint64_t *words;
    size_t n; /* a multiple of LANES */
    uint64_t sum;
} slice;

static void *fill(void *arg)
{
    slice *s = arg;
    memset(s->words, 1, s->n * sizeof *s->words);
    return NULL;
}

static void *read_all(void *arg)
{
    slice *s = arg;
    uint64_t sums[LANES] = {0};

    for (size_t i = 0; i < s->n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            sums[j] ^= s->words[i + j];
    for (size_t j = 0; j < LANES; j++)
        s->sum ^= sums[j];
    return NULL;
}

/* Run the task on every slice, each on a thread of its own. */
static bool on_threads(void *(*task)(void *), slice *slices, uint32_t n)
{
    pthread_t threads[MOST_THREADS];
    uint32_t started = 0;

    while (started < n && pthread_create(&threads[started], NULL, task, &slices[started]) == 0)
        started++;
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return started == n;
}

static uint32_t thread_count(uint32_t wanted)
{
    long online = wanted ? (long)wanted : sysconf(_SC_NPROCESSORS_ONLN);
    if (online < 1) return 1;
    return online < MOST_THREADS ? (uint32_t)online : MOST_THREADS;
}

double bandwidth_measure(uint32_t n_threads)
{
    uint32_t n = thread_count(n_threads);
    size_t share = BUFFER_BYTES / sizeof(uint64_t) / n / LANES * LANES;
    uint64_t *words = aligned_alloc(64, BUFFER_BYTES);
    slice slices[MOST_THREADS];
    double best = 0;
    bool ok = words != NULL;

    for (uint32_t i = 0; i < n && ok; i++)
        slices[i] = (slice){words + i * share, share, 0};
    ok = ok && on_threads(fill, slices, n);
    for (int r = 0; r < ROUNDS && ok; r++) {
        double start = seconds_now(), rate;
        ok = on_threads(read_all, slices, n);
        rate = (double)(share * sizeof(uint64_t) * n) / (seconds_now() - start);
        if (ok && rate > best) best = rate;
    }
    free(words);
    return best;
}
