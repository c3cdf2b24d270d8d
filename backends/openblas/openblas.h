/* The OpenBLAS backend, a module: the CPU backend, but that large matrix products go through
 * cblas_sgemm() on tiles of weights unpacked to F32. Made for CPUs for which loam has no kernels of
 * its own; where it has them they are mostly faster, so each format is tried at load.
 *
 * Which      options.isa "" or the name of an instruction set: a format goes through OpenBLAS where
 *            it wins a contest of a few milliseconds against the kernels, held when a model first
 *            needs that format and options.cache does not say how it ended; the log does. "blas",
 * or "blas:" and an instruction set: every format does. What may be close ends differently from one
 * load to the next; who needs the same bits each time names "blas". Bits       A product goes
 * through OpenBLAS for a run of OPENBLAS_RUN tokens: consecutive positions of one sequence that
 * begin at a multiple of OPENBLAS_RUN, all in one step, and before the rows that give logits are
 * picked. All other tokens are the CPU kernels': decode, and what is left over at both ends of a
 * prompt. A run's products are always the same calls with the same numbers, so results do not
 * depend on the number of threads nor on the batch, and not on how a prompt was cut if it was cut
 * at multiples of OPENBLAS_RUN. Where a step has a part of a run only (a cut elsewhere, a part
 * found in the KV cache, an answer that is computed again as a prompt), the kernels round
 * otherwise: within tolerance, not the same bits. Threads    OpenBLAS must be a build with threads,
 * for only those have locks, and is set to one, for the whole process; the pool's workers call it.
 * At most OPENBLAS_INSIDE of them are inside at once, others wait: it ends the process when its
 * buffers run out, and has 50 at least for all handles and the host's own use. The threads that it
 * makes when it is loaded sleep. Memory Tiles and tables are scratch, which measure() counts.
 * OpenBLAS's own buffers are not, one for each worker inside: up to 128 MiB of addresses, of which
 * it touches a few MiB, taken from the system at the first calls and kept until the process ends.
 */
#ifndef LOAM__OPENBLAS_H
#define LOAM__OPENBLAS_H

#include "backends/cpu/ops.h"
#include "lib/base/os.h"

#define OPENBLAS_RUN    64u
#define OPENBLAS_INSIDE 16u
#define OPENBLAS_TYPES  64 /* formats have smaller numbers */

/* How the contests ended, as cache_get() gives it for the next load. */
typedef struct openblas_verdicts {
    char set[32], core[32];         /* the kernels that took part */
    uint8_t format[OPENBLAS_TYPES]; /* 0: none was held */
} openblas_verdicts;

#define OPENBLAS_TILE_ROWS   64u  /* of weights that are unpacked at once, */
#define OPENBLAS_TILE_VALUES 512u /* and values of each: whole blocks of every format */

typedef struct openblas {
    loam__cpu cpu; /* at the start: it is a CPU backend */
    bool always;   /* no contests */
    openblas_verdicts verdicts;
    loam__mutex mutex; /* of the gate: how many workers are inside of how many that may be */
    loam__cond left;
    uint32_t inside, most_inside;
    bool has_mutex, has_cond;
} openblas;

/* products.c */
extern const loam__cpu_products loam__openblas_products;
/* y[c * y_stride + r] = dot(row r of tile, column c of x) over n values, c < OPENBLAS_RUN; added to
 * y where this is not the `first` of a row's pieces. */
void loam__openblas_sgemm(const float *tile, size_t rows, size_t n, const float *x, size_t x_stride,
                          bool first, float *y, size_t y_stride);

/* contest.c: the verdicts of an earlier load, if they are of these kernels. */
void loam__openblas_recall(openblas *self, const void *cache, uint64_t bytes);
/* Whether products with a format go through OpenBLAS, found out once. */
loam_status loam__openblas_wins(openblas *self, loam_format type, bool *wins);

#endif
