/* F32, F16 and BF16 weights times F32 activations. Lane l of an output's one vector of sums takes
 * the values l, l + 4, l + 8 ... of its row in order, and the lanes are added at the end, so tiles
 * of any shape agree to the last bit. */
#include "floats_neon.h"

size_t loam__neon_f32_bytes(size_t k)
{
    return (k * sizeof(float) + 63) / 64 * 64;
}

void loam__neon_f32_prepare(const float *x, size_t k, void *column)
{
    memcpy(column, x, k * sizeof *x);
    memset((char *)column + k * sizeof *x, 0, loam__neon_f32_bytes(k) - k * sizeof *x);
}

enum {
    ROWS = 4, /* of a tile */
    COLS = 4, /* ROWS * COLS sums: enough for the latency of FMA, few enough for the registers */
    X_BYTES =
        128 *
        1024 /* of columns that are used again and again, and stay in the second-level cache */
};

LOAM__INLINE const float *column(const loam__matmul_args *a, size_t c)
{
    return (const float *)(const void *)((const uint8_t *)a->x + c * a->x_row_bytes);
}

/* ROWS x n_cols outputs from (r, c); n_cols is a constant. Beyond the last row that row again, and
 * nothing stored. */
LOAM__INLINE void tile(loam_format type, size_t n_cols, const loam__matmul_args *a, size_t r,
                       size_t c)
{
    const size_t whole = a->k / WIDTH * WIDTH;
    const uint8_t *w[ROWS];
    float32x4_t sum[ROWS][COLS];
    for (size_t i = 0; i < ROWS; i++) {
        w[i] = (const uint8_t *)a->w + (r + i < a->rows ? r + i : a->rows - 1) * a->w_row_bytes;
        for (size_t j = 0; j < n_cols; j++)
            sum[i][j] = vdupq_n_f32(0);
    }
    for (size_t k = 0; k < whole; k += WIDTH) {
        float32x4_t v[COLS];
        for (size_t j = 0; j < n_cols; j++)
            v[j] = vld1q_f32(column(a, c + j) + k);
        for (size_t i = 0; i < ROWS; i++) {
            const float32x4_t weights = load_typed(type, w[i] + k * type_bytes(type));
            for (size_t j = 0; j < n_cols; j++)
                sum[i][j] = vfmaq_f32(sum[i][j], weights, v[j]);
        }
    }
#pragma GCC unroll 4 /* so that the sums are never in memory */
    for (size_t i = 0; i < ROWS; i++) {
        if (whole < a->k) {
            const size_t left = a->k - whole;
            const uint8_t *last = w[i] + whole * type_bytes(type);
            const float32x4_t weights = load_first_typed(type, last, left);
            for (size_t j = 0; j < n_cols; j++)
                sum[i][j] = vfmaq_f32(sum[i][j], weights, vld1q_f32(column(a, c + j) + whole));
        }
        for (size_t j = 0; j < n_cols && r + i < a->rows; j++)
            a->y[(c + j) * a->y_stride + r + i] = vaddvq_f32(sum[i][j]);
    }
}

/* ROWS rows and columns c .. end - 1. */
LOAM__INLINE void multiply_rows(loam_format type, const loam__matmul_args *a, size_t r, size_t c,
                                size_t end)
{
    for (size_t n; c < end; c += n) {
        const size_t left = end - c;
        n = left >= COLS ? COLS : left >= 2 ? 2 : 1;
        if (n == COLS) tile(type, COLS, a, r, c);
        else if (n == 2) tile(type, 2, a, r, c);
        else tile(type, 1, a, r, c);
    }
}

LOAM__INLINE void multiply(loam_format type, const loam__matmul_args *a)
{
    const size_t fitting = X_BYTES / (a->x_row_bytes + 1) / COLS * COLS;
    const size_t most = fitting < 2 * COLS ? 2 * COLS : fitting;
    for (size_t c = 0; c < a->cols; c += most)
        for (size_t r = 0; r < a->rows; r += ROWS)
            multiply_rows(type, a, r, c, a->cols - c < most ? a->cols : c + most);
}

void loam__neon_multiply_f32(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F32, a);
}

void loam__neon_multiply_f16(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F16, a);
}

void loam__neon_multiply_bf16(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_BF16, a);
}
