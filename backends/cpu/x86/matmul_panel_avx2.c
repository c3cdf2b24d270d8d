#include "panel_avx2.h"

/* ---- activations ---- */

size_t loam__avx2_q8_bytes(size_t k)
{
    return (k / BLOCK * sizeof(q8) + 63) / 64 * 64;
}

/* The bits of the largest |x|; NaN is above infinity. */
LOAM__INLINE uint32_t max_bits(const __m256 v[4])
{
    const __m256i bits = _mm256_set1_epi32(0x7fffffff);
    __m256i m = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++)
        m = _mm256_max_epi32(m, _mm256_and_si256(_mm256_castps_si256(v[i]), bits));
    __m128i h = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4E));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(h);
}

static void quantize_block(const float *x, q8 *out)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256 v[4];
    __m256i q[4];
    float largest, inverse;
    for (int i = 0; i < 4; i++)
        v[i] = _mm256_loadu_ps(x + 8 * i);
    const uint32_t bits = max_bits(v);
    memcpy(&largest, &bits, sizeof largest);
    /* A block with NaN or infinity gives NaN; one whose scale has no finite inverse counts as zero.
     */
    const bool usable = largest <= FLT_MAX && largest >= 0x1p-100f;
    if (!usable) {
        memset(out, 0, sizeof *out);
        if (!(largest <= FLT_MAX)) out->scale = out->sum = largest - largest;
        return;
    }
    inverse = 127.0f / largest;
    for (int i = 0; i < 4; i++)
        q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(inverse)));
    const __m256i low = _mm256_packs_epi32(q[0], q[1]), high = _mm256_packs_epi32(q[2], q[3]);
    const __m256i all = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
    _mm256_storeu_si256((__m256i *)out->q, all);

    __m256i sums = _mm256_maddubs_epi16(_mm256_set1_epi8(1), all);
    sums = _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
    sums = _mm256_hadd_epi32(sums, sums);
    sums = _mm256_hadd_epi32(sums, sums);
    const int first = _mm256_extract_epi32(sums, 0), second = _mm256_extract_epi32(sums, 4);
    out->scale = largest / 127.0f;
    out->sum = out->scale * (float)(first + second);
    out->half[0] = (int16_t)first;
    out->half[1] = (int16_t)second;
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
    PANEL_PIECES = 16 /* 512 values of 16 rows: 11 KiB, which stay in the first-level cache */
};

typedef struct panel {
    piece pieces[GROUPS][PANEL_PIECES];
    size_t n;    /* used */
    size_t rows; /* wanted, at most GROUPS * ROWS */
    bool first;  /* sums start at zero, not at what y has from the panel before */
} panel;

LOAM__INLINE __m256 load_rows(const float *y, size_t n)
{
    return n >= ROWS ? _mm256_loadu_ps(y) : load_first(y, n);
}

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
                const __m256i v = broadcast4(x + c * x_stride + 4 * j);
                for (size_t g = 0; g < GROUPS; g++) {
                    const piece *w = &p->pieces[g][b];
                    products(kind, j, w->w[j], v, w, &sum16[g][c], &sum32[g][c]);
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

static void multiply_kind(int kind, const panel *p, const uint8_t *x, const loam__matmul_args *a,
                          float *y)
{
    switch (kind) {
    case NIBBLES:
        multiply_panel(NIBBLES, p, x, a, y);
        break;
    case FIVE_BITS:
        multiply_panel(FIVE_BITS, p, x, a, y);
        break;
    case SIX_BITS:
        multiply_panel(SIX_BITS, p, x, a, y);
        break;
    default:
        multiply_panel(SIGNED, p, x, a, y);
    }
}

void loam__avx2_multiply_panels(const loam__matmul_args *a, int kind, size_t unit_values,
                                size_t unit_bytes, fill_fn *fill)
{
    const size_t blocks = a->k / BLOCK, unit_blocks = unit_values / BLOCK;
    panel p;
    for (size_t r = 0; r < a->rows; r += GROUPS * ROWS) {
        const uint8_t *rows[GROUPS][ROWS];
        p.rows = a->rows - r < GROUPS * ROWS ? a->rows - r : GROUPS * ROWS;
        for (size_t g = 0; g < GROUPS; g++)
            find_rows(a, r + g * ROWS, rows[g]);
        for (size_t b = 0; b < blocks; b += PANEL_PIECES) {
            p.n = blocks - b < PANEL_PIECES ? blocks - b : PANEL_PIECES;
            p.first = b == 0;
            for (size_t g = 0; g < GROUPS; g++)
                fill(rows[g], a->w_row_bytes, b / unit_blocks * unit_bytes, p.n / unit_blocks,
                     p.pieces[g]);
            multiply_kind(kind, &p, (const uint8_t *)a->x + b * sizeof(q8), a, a->y + r);
        }
    }
}
