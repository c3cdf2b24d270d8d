/* What the products of panel_vnni.h are made of, at any width. A set's file brings quantize(), for
 * some blocks, and the size of a tile first: GROUPS of ROWS rows, and COLS. */
#ifndef LOAM__CPU_MATMUL_VNNI_H
#define LOAM__CPU_MATMUL_VNNI_H

/* ---- activations ---- */

/* An odd number of lines: else the columns of a tile would share a few sets of the caches. */
size_t LOAM__KERNEL(q8_bytes)(size_t k)
{
    return (k / BLOCK | 1) * sizeof(q8);
}

LOAM__INLINE void prepare(const float *x, size_t k, int center, void *column)
{
    quantize(x, k / BLOCK, center, column);
}

void LOAM__KERNEL(q8_prepare)(const float *x, size_t k, void *column)
{
    prepare(x, k, NO_CENTER, column);
}

void LOAM__KERNEL(q8_prepare_1)(const float *x, size_t k, void *column)
{
    prepare(x, k, 1, column);
}

void LOAM__KERNEL(q8_prepare_8)(const float *x, size_t k, void *column)
{
    prepare(x, k, 8, column);
}

void LOAM__KERNEL(q8_prepare_12)(const float *x, size_t k, void *column)
{
    prepare(x, k, 12, column);
}

void LOAM__KERNEL(q8_prepare_16)(const float *x, size_t k, void *column)
{
    prepare(x, k, 16, column);
}

void LOAM__KERNEL(q8_prepare_32)(const float *x, size_t k, void *column)
{
    prepare(x, k, 32, column);
}

void LOAM__KERNEL(q8_prepare_64)(const float *x, size_t k, void *column)
{
    prepare(x, k, 64, column);
}

void LOAM__KERNEL(q8_prepare_128)(const float *x, size_t k, void *column)
{
    prepare(x, k, 128, column);
}

/* ---- many columns ---- */

/* Of each group; together they stay in the first-level cache. */
enum { PANEL_PIECES = 15 * 1024 / sizeof(piece) / GROUPS };

typedef struct panel {
    piece pieces[GROUPS][PANEL_PIECES];
    size_t n;    /* used of each group */
    size_t rows; /* wanted, at most GROUPS * ROWS */
    bool first;  /* sums start at zero, not at what y has from the panel before */
} panel;

LOAM__INLINE const q8 *block_of(const uint8_t *x, size_t x_stride, size_t c)
{
    return (const q8 *)(const void *)(x + c * x_stride);
}

/* One block of GROUPS pieces and `cols` columns: what is loaded of a column multiplies every group,
 * what is loaded of a piece every column. */
LOAM__INLINE void add_pieces(int kind, size_t cols, const panel *p, size_t b, const uint8_t *x,
                             size_t x_stride, floats sum[GROUPS][COLS])
{
    floats both[GROUPS][COLS];
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        ints s[GROUPS][COLS];
        for (size_t c = 0; c < cols; c++)
            for (size_t g = 0; g < GROUPS; g++)
                s[g][c] = start_of(kind, block_of(x, x_stride, c), half);
#pragma GCC unroll 4
        for (int j = 4 * half; j < 4 * half + 4; j++)
            for (size_t c = 0; c < cols; c++) {
                const ints v = broadcast4(block_of(x, x_stride, c)->q + 4 * j);
                for (size_t g = 0; g < GROUPS; g++)
                    s[g][c] = add_products(s[g][c], p->pieces[g][b].w[j], v);
            }
        for (size_t c = 0; c < cols; c++)
            for (size_t g = 0; g < GROUPS; g++)
                add_half(kind, &p->pieces[g][b], block_of(x, x_stride, c), half, s[g][c],
                         &both[g][c], &sum[g][c]);
    }
}

/* y += panel * x for `cols` columns, whose blocks begin at x and lie x_stride bytes apart. */
LOAM__INLINE void tile(int kind, size_t cols, const panel *p, const uint8_t *x, size_t x_stride,
                       float *y, size_t y_stride)
{
    floats sum[GROUPS][COLS];
    for (size_t c = 0; c < cols; c++)
        for (size_t g = 0; g < GROUPS; g++)
            sum[g][c] = p->first || g * ROWS >= p->rows
                            ? zeros()
                            : load_rows(y + c * y_stride + g * ROWS, p->rows - g * ROWS);
    for (size_t b = 0; b < p->n; b++, x += sizeof(q8))
        add_pieces(kind, cols, p, b, x, x_stride, sum);
    for (size_t g = 0; g < GROUPS && g * ROWS < p->rows; g++)
        for (size_t c = 0; c < cols; c++)
            store_rows(y + c * y_stride + g * ROWS, p->rows - g * ROWS, sum[g][c]);
}

LOAM__INLINE void multiply_panel(int kind, const panel *p, const uint8_t *x,
                                 const loam__matmul_args *a, float *y)
{
    size_t n, xs = a->x_row_bytes, ys = a->y_stride;
    for (size_t left = a->cols; left > 0; left -= n, x += n * xs, y += n * ys) {
        n = left >= COLS ? COLS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (n == COLS) tile(kind, COLS, p, x, xs, y, ys);
        else if (COLS > 4 && n == 4) tile(kind, 4, p, x, xs, y, ys);
        else if (COLS > 2 && n == 2) tile(kind, 2, p, x, xs, y, ys);
        else tile(kind, 1, p, x, xs, y, ys);
    }
}

#include "backends/cpu/panels.h"

#endif
