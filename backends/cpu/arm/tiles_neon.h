/* Many columns with the lanes of one row each: for the sets without a product of matrices. */
#ifndef LOAM__CPU_TILES_NEON_H
#define LOAM__CPU_TILES_NEON_H

#include "panel_neon.h"

enum {
    GROUPS = 4,       /* of ROWS rows in a panel */
    COLS = 8,         /* of a tile */
    PANEL_PIECES = 16 /* 512 values of 16 rows: 10 KiB, which stay in the first-level cache */
};

typedef struct panel {
    piece pieces[GROUPS][PANEL_PIECES];
    size_t n;    /* used */
    size_t rows; /* wanted, at most GROUPS * ROWS */
    bool first;  /* sums start at zero, not at what y has from the panel before */
} panel;

/* y += a group of rows * x for `cols` columns, whose blocks begin at x and lie x_stride bytes
 * apart. */
LOAM__INLINE void tile(int kind, size_t cols, const panel *p, size_t g, const uint8_t *x,
                       size_t x_stride, float *y, size_t y_stride)
{
    const size_t rows = p->rows - g * ROWS;
    floats sum[COLS];
    for (size_t c = 0; c < cols; c++)
        sum[c] = p->first ? zeros() : load_rows(y + c * y_stride, rows);
    for (size_t b = 0; b < p->n; b++, x += sizeof(q8)) {
        const piece w = p->pieces[g][b];
        for (size_t c = 0; c < cols; c++)
            sum[c] = add_piece(kind, &w, (const q8 *)(const void *)(x + c * x_stride), sum[c]);
    }
    for (size_t c = 0; c < cols; c++)
        store_rows(y + c * y_stride, rows, sum[c]);
}

/* The columns of a tile, which stay in the first-level cache, with one group after the other. */
LOAM__INLINE void multiply_groups(int kind, size_t cols, const panel *p, const uint8_t *x,
                                  size_t x_stride, float *y, size_t y_stride)
{
    for (size_t g = 0; g * ROWS < p->rows; g++)
        tile(kind, cols, p, g, x, x_stride, y + g * ROWS, y_stride);
}

LOAM__INLINE void multiply_panel(int kind, const panel *p, const uint8_t *x,
                                 const loam__matmul_args *a, float *y)
{
    size_t n, xs = a->x_row_bytes, ys = a->y_stride;
    for (size_t left = a->cols; left > 0; left -= n, x += n * xs, y += n * ys) {
        n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (n == 8) multiply_groups(kind, 8, p, x, xs, y, ys);
        else if (n == 4) multiply_groups(kind, 4, p, x, xs, y, ys);
        else if (n == 2) multiply_groups(kind, 2, p, x, xs, y, ys);
        else multiply_groups(kind, 1, p, x, xs, y, ys);
    }
}

#include "backends/cpu/panels.h"

#endif
