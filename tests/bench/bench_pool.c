/* What crowded cores cost: bench_pool [threads], else one a processor. Steps that are cut like
 * those of a small model's decode and prefill run with one thread a processor, with twice as many,
 * and beside a busy process; the last two should cost less than twice the first. The modes take
 * turns, so that what else the machine does falls on all of them. */
#define _GNU_SOURCE
#include "backends/cpu/pool.h"
#include "lib/base/os.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 5, STEPS = 40, MODES = 4, MOST_BUSY = 64 };

/* A step: jobs of a number of slices, each some microseconds long on a core of its own. */
typedef struct shape {
    const char *name;
    uint32_t jobs, slices, slice_us;
} shape;

static const shape shapes[] = {
    {"decode", 300, 8, 2},  /* ops of 16 us of work, as in a model of 100 MB */
    {"prefill", 8, 64, 15}, /* ops of a millisecond */
};

typedef struct mode {
    const char *name;
    uint32_t threads, busy; /* processes beside */
} mode;

static uint64_t work_per_us; /* rounds of the loop below */

static uint64_t spin(uint64_t rounds)
{
    volatile uint64_t state = 1;
    for (uint64_t i = 0; i < rounds; i++)
        state = state * 6364136223846793005u + 1442695040888963407u;
    return state;
}

static void run_slice(void *ctx, uint32_t slice, uint32_t worker)
{
    const shape *s = ctx;
    (void)slice;
    (void)worker;
    spin(s->slice_us * work_per_us);
}

static double run_step(loam__pool *pool, const shape *s)
{
    uint64_t start = loam__now_ns();
    for (uint32_t i = 0; i < s->jobs; i++) {
        loam__job job = {.fn = run_slice, .ctx = (void *)(uintptr_t)s, .n_slices = s->slices};
        uint32_t next = 0;
        if (loam__pool_run(pool, &job, &next) != LOAM_OK) exit(1);
    }
    return (double)(loam__now_ns() - start) * 1e-6;
}

/* Milliseconds of a step, on average over those of a measurement that lasts for many of a
 * scheduler's slices. */
static double measure(const mode *m, const shape *s)
{
    loam__base b;
    loam__pool *pool;
    pid_t busy[MOST_BUSY];
    double sum = 0;
    if (loam__base_init(&b, NULL) != LOAM_OK || loam__pool_new(&b, m->threads, &pool) != LOAM_OK ||
        loam__pool_start(pool) != LOAM_OK)
        exit(1);
    for (uint32_t i = 0; i < m->busy; i++)
        if ((busy[i] = fork()) == 0) {
            for (;;)
                spin(1000);
        }
    for (int i = 0; i < STEPS / 2; i++) /* until the system has given each its core */
        run_step(pool, s);
    for (int i = 0; i < STEPS; i++)
        sum += run_step(pool, s);
    for (uint32_t i = 0; i < m->busy; i++) {
        kill(busy[i], SIGKILL);
        waitpid(busy[i], NULL, 0);
    }
    loam__pool_free(pool);
    return sum / STEPS;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void compare(const mode modes[MODES], const shape *s)
{
    double taken[MODES][ROUNDS];
    for (int r = 0; r < ROUNDS; r++)
        for (int m = 0; m < MODES; m++)
            taken[m][r] = measure(&modes[m], s);
    for (int m = 0; m < MODES; m++)
        qsort(taken[m], ROUNDS, sizeof taken[m][0], by_size);
    for (int m = 0; m < MODES; m++)
        printf("%-8s %2u threads %-25s %6.2f to %6.2f ms a step, median %6.2f: x%.2f\n", s->name,
               modes[m].threads, modes[m].name, taken[m][0], taken[m][ROUNDS - 1],
               taken[m][ROUNDS / 2], taken[m][ROUNDS / 2] / taken[0][ROUNDS / 2]);
}

/* The fastest of several, for the machine may be busy with other things. */
static void calibrate(void)
{
    const uint64_t rounds = 1000000;
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 20; i++) {
        uint64_t start = loam__now_ns(), taken;
        spin(rounds);
        taken = loam__now_ns() - start;
        if (taken < best) best = taken;
    }
    work_per_us = rounds * 1000 / best;
}

int main(int argc, char **argv)
{
    uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : loam__cpu_count();
    if (n < 1 || 2 * n > LOAM__THREADS_MAX) {
        fprintf(stderr, "bench_pool [threads], from 1 to %u\n", LOAM__THREADS_MAX / 2);
        return 2;
    }
    const mode modes[MODES] = {
        {"", n, 0},
        {"(twice the cores)", 2 * n, 0},
        {"beside one busy process", n, 1},
        {"(one alone)", 1, 0},
    };
    calibrate();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        compare(modes, &shapes[i]);
    return 0;
}
