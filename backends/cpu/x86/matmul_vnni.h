/* What the products of panel_vnni.h are made of, at any width. A set's file brings quantize(), for
 * some blocks, and COLS, the columns of a tile, first. */
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

enum { PANEL_PIECES = 15 * 1024 / sizeof(piece) }; /* which stay in the first-level cache */

/* y += panel * x for `cols` columns, whose blocks begin at x and lie x_stride bytes apart. */
LOAM__INLINE void tile(int kind, size_t cols, const piece *pieces, size_t n, bool first,
                       const uint8_t *x, size_t x_stride, float *y, size_t y_stride, size_t rows)
{
    floats sum[COLS];
    for (size_t c = 0; c < cols; c++)
        sum[c] = first ? zeros() : load_rows(y + c * y_stride, rows);
    for (size_t b = 0; b < n; b++, x += sizeof(q8)) {
        const piece p = pieces[b];
        for (size_t c = 0; c < cols; c++)
            sum[c] = add_piece(kind, &p, (const q8 *)(const void *)(x + c * x_stride), sum[c]);
    }
    for (size_t c = 0; c < cols; c++)
        store_rows(y + c * y_stride, rows, sum[c]);
}

typedef struct panel {
    piece pieces[PANEL_PIECES];
    size_t n;    /* used */
    size_t rows; /* wanted, at most ROWS */
    bool first;  /* sums start at zero, not at what y has from the panel before */
} panel;

LOAM__INLINE void multiply_panel(int kind, const panel *p, const uint8_t *x,
                                 const loam__matmul_args *a, float *y)
{
    size_t n, xs = a->x_row_bytes, ys = a->y_stride;
    for (size_t left = a->cols; left > 0; left -= n, x += n * xs, y += n * ys) {
        n = left >= COLS ? COLS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (n == COLS) tile(kind, COLS, p->pieces, p->n, p->first, x, xs, y, ys, p->rows);
        else if (n == 4) tile(kind, 4, p->pieces, p->n, p->first, x, xs, y, ys, p->rows);
        else if (n == 2) tile(kind, 2, p->pieces, p->n, p->first, x, xs, y, ys, p->rows);
        else tile(kind, 1, p->pieces, p->n, p->first, x, xs, y, ys, p->rows);
    }
}

static void multiply_kind(int kind, const panel *p, const uint8_t *x, const loam__matmul_args *a,
                          float *y)
{
    switch (kind) {
    case OFFSET:
        multiply_panel(OFFSET, p, x, a, y);
        break;
    case SIX_BITS:
        multiply_panel(SIX_BITS, p, x, a, y);
        break;
    case HALVES:
        multiply_panel(HALVES, p, x, a, y);
        break;
    default:
        multiply_panel(CENTERED, p, x, a, y);
    }
}

/* Panels of whole units and about the same size. */
static size_t panel_pieces(size_t blocks, size_t unit_blocks)
{
    const size_t most = PANEL_PIECES / unit_blocks, units = blocks / unit_blocks;
    const size_t panels = (units + most - 1) / most;
    return (units + panels - 1) / panels * unit_blocks;
}

void LOAM__KERNEL(multiply_panels)(const loam__matmul_args *a, int kind, size_t unit_values,
                                   size_t unit_bytes, fill_fn *fill)
{
    const size_t blocks = a->k / BLOCK, unit_blocks = unit_values / BLOCK;
    const size_t most = panel_pieces(blocks, unit_blocks);
    panel p;
    for (size_t r = 0; r < a->rows; r += ROWS) {
        source rows;
        p.rows = a->rows - r < ROWS ? a->rows - r : ROWS;
        find_rows(a, r, &rows);
        for (size_t b = 0; b < blocks; b += most) {
            p.n = blocks - b < most ? blocks - b : most;
            p.first = b == 0;
            fill(&rows, a->w_row_bytes, b / unit_blocks * unit_bytes, p.n / unit_blocks, p.pieces);
            multiply_kind(kind, &p, (const uint8_t *)a->x + b * sizeof(q8), a, a->y + r);
        }
    }
}

#endif
