/* How fast each instruction set multiplies each format on one core: bench_kernels [isa [format
 * number]]. GMAC/s: billions of products and sums a second. GB/s: bytes of weights read a second;
 * the weights of the one-column case are larger than the caches. The best of several runs is shown,
 * for other programs take time too. */
#define _POSIX_C_SOURCE 200809L
#include "backends/cpu/kernels.h"

#include <loam/quant.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { K = 2048 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *aligned(size_t n)
{
    void *p = NULL;
    if (posix_memalign(&p, 64, n) != 0) exit(1);
    return p;
}

/* Seconds of the fastest of several products that take about half a second together. */
static double fastest(const loam__cpu_matmul *m, const loam__matmul_args *a)
{
    const double start = now();
    double best = 1e9;
    do {
        const double t = now();
        m->multiply(a);
        const double taken = now() - t;
        if (taken < best) best = taken;
    } while (now() - start < 0.5);
    return best;
}

static void bench(const char *isa, const loam__cpu_matmul *m, size_t rows, size_t cols)
{
    loam_format_info info;
    loam_format_info_init(&info);
    if (loam_format_describe(m->type, &info) != LOAM_OK) return;
    const size_t row_bytes = K / info.block_values * info.block_bytes;
    const size_t column_bytes = m->prepared_bytes(K);
    uint8_t *w = aligned(rows * row_bytes);
    uint8_t *x = aligned(cols * column_bytes);
    float *y = aligned(rows * cols * sizeof *y);
    float column[K];
    memset(w, 0x2a, rows * row_bytes); /* in every format small finite numbers */
    for (size_t i = 0; i < K; i++)
        column[i] = (float)(i % 17) - 8.0f;
    for (size_t c = 0; c < cols; c++)
        m->prepare(column, K, x + c * column_bytes);
    loam__matmul_args a = {.w = w,
                           .w_row_bytes = row_bytes,
                           .rows = rows,
                           .k = K,
                           .x = x,
                           .x_row_bytes = column_bytes,
                           .cols = cols,
                           .y = y,
                           .y_stride = rows};
    for (int packed = 0; packed <= (m->packing.rows > 0); packed++) {
        a.packed = packed;
        const double s = fastest(m, &a);
        printf("%-8s %-7s %6zu rows %-6s %4zu columns %8.1f GMAC/s %8.1f GB/s\n", isa, info.name,
               rows, packed ? "packed" : "apart", cols, (double)rows * K * (double)cols / s * 1e-9,
               (double)rows * (double)row_bytes / s * 1e-9);
        fflush(stdout);
    }
    free(w);
    free(x);
    free(y);
}

int main(int argc, char **argv)
{
    const loam__cpu_isa *isa;
    for (size_t i = 0; (isa = loam__cpu_isa_at(i)) != NULL; i++) {
        if (!isa->present() || (argc > 1 && strcmp(argv[1], isa->name) != 0)) continue;
        for (const loam__cpu_matmul *m = isa->matmuls; m->multiply; m++) {
            if (argc > 2 && atoi(argv[2]) != m->type) continue;
            bench(isa->name, m, 32768, 1);
            bench(isa->name, m, 2048, 1);
            for (size_t cols = 4; cols <= 512; cols *= 2)
                if (cols != 256) bench(isa->name, m, 2048, cols);
        }
    }
    return 0;
}
