/* How the products with many columns go through the weights: see panel.h. Before this header a
 * set's file defines GROUPS of rows and PANEL_PIECES, the size of a panel; panel, with `n` pieces
 * used of each group, the `rows` wanted, and whether it is the `first` of its rows, whose sums
 * start at zero and not at what y has from the panel before; and multiply_panel(), for all columns
 * of one. EACH_KIND in its panel's header lists the kinds. */
#ifndef LOAM__CPU_PANELS_H
#define LOAM__CPU_PANELS_H

/* Of columns that stay in the second-level cache while rows go by. Where there are more of them, a
 * panel's share of them meets all rows before the next panel's. */
#define X_BYTES ((size_t)384 * 1024)

/* Panels of whole units and about the same size. */
static size_t panel_pieces(size_t blocks, size_t unit_blocks)
{
    const size_t most = PANEL_PIECES / unit_blocks, units = blocks / unit_blocks;
    const size_t panels = (units + most - 1) / most;
    return (units + panels - 1) / panels * unit_blocks;
}

/* A loop of its own for each kind, in which the kind is a constant. */
#define MULTIPLY_KIND(kind)                                                                        \
    case kind:                                                                                     \
        multiply_panel(kind, p, x, a, y);                                                          \
        break;

static void multiply_kind(int kind, const panel *p, const uint8_t *x, const loam__matmul_args *a,
                          float *y)
{
    switch (kind) {
        EACH_KIND(MULTIPLY_KIND)
    }
}

#ifndef OWN_FILL_GROUP /* of a set that keeps pieces in another form */
/* Unpack units of a group of rows, which begin `at` bytes into them. */
LOAM__INLINE void fill_group(panel *p, size_t group, int kind, fill_fn *fill, row_pointers rows,
                             size_t row_bytes, size_t at, size_t units)
{
    (void)kind;
    fill(rows, row_bytes, at, units, p->pieces[group]);
}
#endif

void LOAM__KERNEL(multiply_panels)(const loam__matmul_args *a, int kind, size_t unit_values,
                                   size_t unit_bytes, fill_fn *fill)
{
    const size_t blocks = a->k / BLOCK, unit_blocks = unit_values / BLOCK, tall = GROUPS * ROWS;
    const size_t most = panel_pieces(blocks, unit_blocks);
    const size_t together = a->cols * a->x_row_bytes > X_BYTES ? a->rows : tall;
    panel p;
    for (size_t first = 0; first < a->rows; first += together) {
        const size_t end = a->rows - first < together ? a->rows : first + together;
        for (size_t b = 0; b < blocks; b += most) {
            const size_t at = b / unit_blocks * unit_bytes;
            p.n = blocks - b < most ? blocks - b : most;
            p.first = b == 0;
            for (size_t r = first; r < end; r += tall) {
                p.rows = a->rows - r < tall ? a->rows - r : tall;
                for (size_t g = 0; g < GROUPS; g++) {
                    source rows;
                    find_rows(a, r + g * ROWS, &rows);
                    fill_group(&p, g, kind, fill, &rows, a->w_row_bytes, at, p.n / unit_blocks);
                }
                multiply_kind(kind, &p, (const uint8_t *)a->x + b * sizeof(q8), a, a->y + r);
            }
        }
    }
}

#endif
