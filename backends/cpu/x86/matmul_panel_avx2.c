#include <math.h>

#include "panel_avx2.h"
#include "round_avx2.h"

/* ---- activations ---- */

size_t loam__avx2_q8_bytes(size_t k)
{
    return (k / BLOCK * sizeof(q8) + 63) / 64 * 64;
}

static void quantize_block(const float *x, q8 *out)
{
    float largest[2], most;
    int sum = 0;
    for (int h = 0; h < 2; h++) {
        const uint32_t bits = largest_bits(x + h * HALF);
        memcpy(&largest[h], &bits, sizeof bits);
    }
    /* NaN in either half must stay: comparisons with it are false. */
    most = largest[0] >= largest[1] || largest[0] != largest[0] ? largest[0] : largest[1];
    /* A block with NaN or infinity gives NaN; one whose scale has no finite inverse counts as zero.
     */
    const bool usable = most <= FLT_MAX && most >= 0x1p-100f;
    memset(out, 0, sizeof *out);
    if (!usable) {
        if (!(most <= FLT_MAX)) out->scale = out->sum = most - most;
        return;
    }
    out->scale = most / (127.0f * HALF_MOST);
    for (int h = 0; h < 2; h++) {
        const int m = (int)ceilf(largest[h] / most * HALF_MOST);
        const float inverse = 1.0f / (out->scale * (float)m);
        const int part = m ? m * round_half(x + h * HALF, inverse, out->q + h * HALF) : 0;
        out->half[h] = (int16_t)part;
        out->m[h][0] = out->m[h][1] = (int16_t)m;
        sum += part;
    }
    out->sum = out->scale * (float)sum;
}

void loam__avx2_q8_prepare(const float *x, size_t k, void *column)
{
    q8 *out = column;
    for (size_t b = 0; b < k / BLOCK; b++)
        quantize_block(x + b * BLOCK, out + b);
}

/* ---- many columns ---- */

enum {
    GROUPS = 2,       /* of ROWS rows in a tile */
    COLS = 3,         /* of a tile: with GROUPS * COLS sums in registers */
    PANEL_PIECES = 16 /* 512 values of 16 rows: 12 KiB, which stay in the first-level cache */
};

typedef struct panel {
    piece pieces[GROUPS][PANEL_PIECES];
    size_t n;    /* used */
    size_t rows; /* wanted, at most GROUPS * ROWS */
    bool first;  /* sums start at zero, not at what y has from the panel before */
} panel;

/* y += panel * x for `cols` columns, whose blocks begin at x and lie x_stride bytes apart. */
LOAM__INLINE void tile(int kind, size_t cols, const panel *p, const uint8_t *x, size_t x_stride,
                       float *y, size_t y_stride)
{
    __m256 sum[GROUPS][COLS];
    for (size_t g = 0; g < GROUPS; g++)
        for (size_t c = 0; c < cols; c++)
            sum[g][c] = _mm256_setzero_ps();
    for (size_t g = 0; g < GROUPS && !p->first && g * ROWS < p->rows; g++)
        for (size_t c = 0; c < cols; c++)
            sum[g][c] = load_rows(y + c * y_stride + g * ROWS, p->rows - g * ROWS);

    for (size_t b = 0; b < p->n; b++, x += sizeof(q8)) {
        __m256i sum16[GROUPS][COLS], sum32[GROUPS][COLS];
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++)
            for (size_t c = 0; c < cols; c++) {
                const q8 *column = (const q8 *)(const void *)(x + c * x_stride);
                const __m256i v = broadcast4(column->q + 4 * j);
                for (size_t g = 0; g < GROUPS; g++) {
                    const piece *w = &p->pieces[g][b];
                    products(kind, j, w->w[j], v, multiplier(kind, j / 4, w, column), &sum16[g][c],
                             &sum32[g][c]);
                    if (kind == HALVES && j == 3)
                        sum[g][c] = add_half(w, 0, column, sum32[g][c], sum[g][c]);
                }
            }
        for (size_t c = 0; c < cols; c++)
            for (size_t g = 0; g < GROUPS; g++)
                sum[g][c] =
                    add_block(kind, &p->pieces[g][b], (const q8 *)(const void *)(x + c * x_stride),
                              sum32[g][c], sum[g][c]);
    }

    for (size_t g = 0; g < GROUPS && g * ROWS < p->rows; g++)
        for (size_t c = 0; c < cols; c++)
            store_rows(y + c * y_stride + g * ROWS, p->rows - g * ROWS, sum[g][c]);
}

/* All columns of one panel; four that are left go two by two. */
LOAM__INLINE void multiply_panel(int kind, const panel *p, const uint8_t *x,
                                 const loam__matmul_args *a, float *y)
{
    for (size_t c = 0, n; c < a->cols; c += n) {
        const size_t left = a->cols - c;
        n = left == 4 ? 2 : left < COLS ? left : COLS;
        if (n == COLS)
            tile(kind, COLS, p, x + c * a->x_row_bytes, a->x_row_bytes, y + c * a->y_stride,
                 a->y_stride);
        else if (n == 2)
            tile(kind, 2, p, x + c * a->x_row_bytes, a->x_row_bytes, y + c * a->y_stride,
                 a->y_stride);
        else
            tile(kind, 1, p, x + c * a->x_row_bytes, a->x_row_bytes, y + c * a->y_stride,
                 a->y_stride);
    }
}

#include "backends/cpu/panels.h"
