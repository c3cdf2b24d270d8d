#include "panel_avx512.h"

#include <float.h>

/* ---- activations ---- */

_Static_assert(sizeof(q8) == 64, "a line of the caches");

/* An odd number of lines: else the columns of a tile would share a few sets of the caches. */
size_t loam__avx512_q8_bytes(size_t k)
{
    return (k / BLOCK | 1) * sizeof(q8);
}

/* Round 16 values to int8; gives the sum of these. Values with NaN or infinity give NaN; such whose
 * scale has no finite inverse count as zero. */
LOAM__INLINE int quantize_half(const float *x, int8_t *q, float *scale)
{
    const __m512 v = _mm512_loadu_ps(x);
    /* as integers: NaN is above infinity */
    const uint32_t bits = (uint32_t)_mm512_reduce_max_epi32(_mm512_castps_si512(_mm512_abs_ps(v)));
    float most;
    memcpy(&most, &bits, sizeof most);
    if (!(most <= FLT_MAX && most >= 0x1p-100f)) {
        *scale = most <= FLT_MAX ? 0 : most - most;
        memset(q, 0, HALF);
        return 0;
    }
    const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(v, _mm512_set1_ps(127.0f / most)));
    *scale = most / 127.0f;
    _mm_storeu_si128((__m128i *)(void *)q, _mm512_cvtsepi32_epi8(whole));
    return _mm512_reduce_add_epi32(whole);
}

/* To 22 significant bits. */
LOAM__INLINE float shortened(float scale)
{
    uint32_t bits;
    memcpy(&bits, &scale, sizeof bits);
    bits &= ~(uint32_t)3;
    memcpy(&scale, &bits, sizeof bits);
    return scale;
}

enum { NO_CENTER = 0 };

/* What goes with the numbers of a half, whose sum is known. */
LOAM__INLINE void describe_half(q8 *out, int half, int center, float scale, int sum)
{
    out->scale[half] = shortened(scale);
    out->base[half] = -MAGIC * out->scale[half];
    const float values = out->scale[half] * (float)sum;
    if (half == 0) {
        out->both_bases = out->base[0];
        out->sum = values;
    } else {
        out->both_bases += out->base[1];
        out->sum += values;
    }
    if (center == NO_CENTER) out->half_sums[half] = values;
    else out->start[half] = MAGIC_BITS - center * sum;
}

/* The largest lane of each of four vectors, in every lane of a quarter of the result. */
LOAM__INLINE __m512i largest_of_four(const __m512i v[4])
{
    const __m512i ab = _mm512_max_epi32(_mm512_shuffle_i32x4(v[0], v[1], 0x88),
                                        _mm512_shuffle_i32x4(v[0], v[1], 0xDD));
    const __m512i cd = _mm512_max_epi32(_mm512_shuffle_i32x4(v[2], v[3], 0x88),
                                        _mm512_shuffle_i32x4(v[2], v[3], 0xDD));
    __m512i m =
        _mm512_max_epi32(_mm512_shuffle_i32x4(ab, cd, 0x88), _mm512_shuffle_i32x4(ab, cd, 0xDD));
    m = _mm512_max_epi32(m, _mm512_shuffle_epi32(m, 0x4E));
    return _mm512_max_epi32(m, _mm512_shuffle_epi32(m, 0xB1));
}

/* Two blocks at once, as two halves each by themselves; false: some numbers in them are not usual.
 */
LOAM__INLINE bool quantize_two(const float *x, int center, q8 *out)
{
    __m512 v[4];
    __m512i magnitudes[4];
    for (int h = 0; h < 4; h++) {
        v[h] = _mm512_loadu_ps(x + h * HALF);
        magnitudes[h] = _mm512_castps_si512(_mm512_abs_ps(v[h]));
    }
    const __m512 most = _mm512_castsi512_ps(largest_of_four(magnitudes));
    const __mmask16 usual = _mm512_cmp_ps_mask(most, _mm512_set1_ps(FLT_MAX), _CMP_LE_OQ) &
                            _mm512_cmp_ps_mask(most, _mm512_set1_ps(0x1p-100f), _CMP_GE_OQ);
    if (usual != 0xffff) return false;
    const __m512 all = _mm512_set1_ps(127.0f), steps = _mm512_div_ps(all, most);
    const __m512 quarters[4] = {
        _mm512_shuffle_f32x4(steps, steps, 0x00), _mm512_shuffle_f32x4(steps, steps, 0x55),
        _mm512_shuffle_f32x4(steps, steps, 0xAA), _mm512_shuffle_f32x4(steps, steps, 0xFF)};
    float scales[16];
    int32_t sums[16];
    __m128i bytes[4];
    for (int h = 0; h < 4; h++) {
        bytes[h] = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(v[h], quarters[h])));
        _mm_store_si128((__m128i *)(void *)(out[h / 2].q + h % 2 * HALF), bytes[h]);
    }
    __m512i sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(1),
                                      join(bytes[0], bytes[1], bytes[2], bytes[3]));
    sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, 0x4E));
    sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, 0xB1));
    _mm512_storeu_ps(scales, _mm512_div_ps(most, all));
    _mm512_storeu_si512(sums, sum);
    for (int h = 0; h < 4; h++)
        describe_half(out + h / 2, h % 2, center, scales[4 * h], sums[4 * h]);
    return true;
}

LOAM__INLINE void prepare(const float *x, size_t k, int center, void *column)
{
    q8 *out = column;
    for (size_t b = 0; b < k / BLOCK; b++, x += BLOCK, out++) {
        if (b + 1 < k / BLOCK && quantize_two(x, center, out)) {
            b++;
            x += BLOCK;
            out++;
            continue;
        }
        for (int h = 0; h < 2; h++) {
            float scale;
            const int sum = quantize_half(x + h * HALF, out->q + h * HALF, &scale);
            describe_half(out, h, center, scale, sum);
        }
    }
}

void loam__avx512_q8_prepare(const float *x, size_t k, void *column)
{
    prepare(x, k, NO_CENTER, column);
}

void loam__avx512_q8_prepare_1(const float *x, size_t k, void *column)
{
    prepare(x, k, 1, column);
}

void loam__avx512_q8_prepare_8(const float *x, size_t k, void *column)
{
    prepare(x, k, 8, column);
}

void loam__avx512_q8_prepare_12(const float *x, size_t k, void *column)
{
    prepare(x, k, 12, column);
}

void loam__avx512_q8_prepare_16(const float *x, size_t k, void *column)
{
    prepare(x, k, 16, column);
}

void loam__avx512_q8_prepare_32(const float *x, size_t k, void *column)
{
    prepare(x, k, 32, column);
}

void loam__avx512_q8_prepare_64(const float *x, size_t k, void *column)
{
    prepare(x, k, 64, column);
}

void loam__avx512_q8_prepare_128(const float *x, size_t k, void *column)
{
    prepare(x, k, 128, column);
}

/* ---- many columns ---- */

enum {
    COLS = 8,         /* of a tile */
    PANEL_PIECES = 20 /* 640 values of 16 rows: 15 KiB, which stay in the first-level cache */
};

/* y += panel * x for `cols` columns, whose blocks begin at x and lie x_stride bytes apart. */
LOAM__INLINE void tile(int kind, size_t cols, const piece *pieces, size_t n, bool first,
                       const uint8_t *x, size_t x_stride, float *y, size_t y_stride, size_t rows)
{
    __m512 sum[COLS];
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
        n = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        if (n == 8) tile(kind, 8, p->pieces, p->n, p->first, x, xs, y, ys, p->rows);
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

/* Of columns that stay in the second-level cache while rows go by; where there are more of them, a
 * panel's share of them meets all rows before the next panel's. */
#define X_BYTES ((size_t)384 * 1024)

/* Panels of whole units and about the same size. */
static size_t panel_pieces(size_t blocks, size_t unit_blocks)
{
    const size_t most = PANEL_PIECES / unit_blocks, units = blocks / unit_blocks;
    const size_t panels = (units + most - 1) / most;
    return (units + panels - 1) / panels * unit_blocks;
}

void loam__avx512_multiply_panels(const loam__matmul_args *a, int kind, size_t unit_values,
                                  size_t unit_bytes, fill_fn *fill)
{
    const size_t blocks = a->k / BLOCK, unit_blocks = unit_values / BLOCK;
    const size_t most = panel_pieces(blocks, unit_blocks);
    const size_t together = a->cols * a->x_row_bytes > X_BYTES ? a->rows : ROWS;
    panel p;
    for (size_t first = 0; first < a->rows; first += together) {
        const size_t end = a->rows - first < together ? a->rows : first + together;
        for (size_t b = 0; b < blocks; b += most) {
            p.n = blocks - b < most ? blocks - b : most;
            p.first = b == 0;
            for (size_t r = first; r < end; r += ROWS) {
                source rows;
                p.rows = a->rows - r < ROWS ? a->rows - r : ROWS;
                find_rows(a, r, &rows);
                fill(&rows, a->w_row_bytes, b / unit_blocks * unit_bytes, p.n / unit_blocks,
                     p.pieces);
                multiply_kind(kind, &p, (const uint8_t *)a->x + b * sizeof(q8), a, a->y + r);
            }
        }
    }
}
