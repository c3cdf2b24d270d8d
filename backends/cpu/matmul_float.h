/* Products of weights and activations in one of the float formats, for every instruction set. Lane
 * l of an output's one vector of sums takes the steps' l-th values in order, and the lanes are
 * added at the end, so tiles of any shape agree to the last bit.
 *
 * Before this header a file defines: STEP, the values of a step, and ROWS and COLS of a tile, for
 * which ROWS * COLS sums are enough for the latency of a multiply-add and few enough for the
 * registers; sums and factors, vectors; no_sum(), load_weights(), load_last_weights() (the first n,
 * zeros behind), load_values(), multiply_add() and add_sum(). */
#ifndef LOAM__CPU_MATMUL_FLOAT_H
#define LOAM__CPU_MATMUL_FLOAT_H

#include "backends/cpu/inline.h"

/* Of columns that are used again and again, and stay in the second-level cache. */
#define X_BYTES ((size_t)128 * 1024)

/* ROWS x n_cols outputs from (r, c); n_cols is a constant. Beyond the last row that row again, and
 * nothing stored. One column asks for the rows two tiles on, in the order in which they lie. */
LOAM__INLINE void tile(loam_format type, size_t n_cols, const loam__matmul_args *a, size_t r,
                       size_t c)
{
    const size_t whole = a->k / STEP * STEP, bytes = type_bytes(type);
    const uint8_t *w[ROWS], *x[COLS];
    sums sum[ROWS][COLS];
    for (size_t j = 0; j < n_cols; j++)
        x[j] = (const uint8_t *)a->x + (c + j) * a->x_row_bytes;
    for (size_t i = 0; i < ROWS; i++) {
        w[i] = (const uint8_t *)a->w + (r + i < a->rows ? r + i : a->rows - 1) * a->w_row_bytes;
        for (size_t j = 0; j < n_cols; j++)
            sum[i][j] = no_sum();
    }
    const uintptr_t next = (uintptr_t)w[0] + 2 * ROWS * a->w_row_bytes;
    for (size_t k = 0; k < whole; k += STEP) {
        factors v[COLS];
        for (size_t i = 0; i < ROWS * STEP * bytes && n_cols == 1; i += 64)
            LOAM__PREFETCH_L2((const void *)(next + k * ROWS * bytes + i));
        for (size_t j = 0; j < n_cols; j++)
            v[j] = load_values(x[j], k);
        for (size_t i = 0; i < ROWS; i++) {
            const factors weights = load_weights(type, w[i] + k * bytes);
            for (size_t j = 0; j < n_cols; j++)
                sum[i][j] = multiply_add(weights, v[j], sum[i][j]);
        }
    }
#pragma GCC unroll 4 /* so that the sums are never in memory */
    for (size_t i = 0; i < ROWS; i++) {
        if (whole < a->k) {
            const factors weights = load_last_weights(type, w[i] + whole * bytes, a->k - whole);
            for (size_t j = 0; j < n_cols; j++)
                sum[i][j] = multiply_add(weights, load_values(x[j], whole), sum[i][j]);
        }
        for (size_t j = 0; j < n_cols && r + i < a->rows; j++)
            a->y[(c + j) * a->y_stride + r + i] = add_sum(sum[i][j]);
    }
}

/* ROWS rows and columns c .. end - 1. */
LOAM__INLINE void multiply_rows(loam_format type, const loam__matmul_args *a, size_t r, size_t c,
                                size_t end)
{
    for (; end - c >= COLS; c += COLS)
        tile(type, COLS, a, r, c);
    for (; end - c >= 2; c += 2)
        tile(type, 2, a, r, c);
    if (c < end) tile(type, 1, a, r, c);
}

LOAM__INLINE void multiply(loam_format type, const loam__matmul_args *a)
{
    const size_t fitting = X_BYTES / (a->x_row_bytes + 1) / COLS * COLS;
    const size_t most = fitting < 2 * COLS ? 2 * COLS : fitting;
    for (size_t c = 0; c < a->cols; c += most)
        for (size_t r = 0; r < a->rows; r += ROWS)
            multiply_rows(type, a, r, c, a->cols - c < most ? a->cols : c + most);
}

#endif
