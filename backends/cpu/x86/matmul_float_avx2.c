/* F32, F16 and BF16 weights times F32 activations. Lane l of an output's one vector of sums takes the values l, l + 8,
 * l + 16 ... of its row in order, and the lanes are added at the end, so tiles of any shape agree to the last bit. */
#include "inline_avx2.h"

size_t loam__avx2_f32_bytes(size_t k)
{
    return (k * sizeof(float) + 63) / 64 * 64;
}

void loam__avx2_f32_prepare(const float *x, size_t k, void *column)
{
    memcpy(column, x, k * sizeof *x);
    memset((char *)column + k * sizeof *x, 0, loam__avx2_f32_bytes(k) - k * sizeof *x);
}

/* n_rows x n_cols outputs; n_rows and n_cols are constants. */
LOAM__INLINE void tile(loam_format type, size_t n_rows, size_t n_cols, const loam__matmul_args *a, size_t r, size_t c)
{
    const size_t whole = a->k / WIDTH * WIDTH;
    const uint8_t *w[WIDTH];
    const uint8_t *x = (const uint8_t *)a->x + c * a->x_row_bytes;
    __m256 sum[WIDTH][4];
    for (size_t i = 0; i < n_rows; i++) {
        w[i] = (const uint8_t *)a->w + (r + i < a->rows ? r + i : a->rows - 1) * a->w_row_bytes;
        for (size_t j = 0; j < n_cols; j++)
            sum[i][j] = _mm256_setzero_ps();
    }
    for (size_t k = 0; k < whole; k += WIDTH) {
        __m256 v[4];
        for (size_t j = 0; j < n_cols; j++)
            v[j] = _mm256_load_ps((const float *)(const void *)(x + j * a->x_row_bytes) + k);
        for (size_t i = 0; i < n_rows; i++) {
            const __m256 weights = load_typed(type, w[i] + k * type_bytes(type));
            for (size_t j = 0; j < n_cols; j++)
                sum[i][j] = _mm256_fmadd_ps(weights, v[j], sum[i][j]);
        }
    }
    for (size_t i = 0; i < n_rows && whole < a->k; i++) {
        const __m256 weights = load_first_typed(type, w[i] + whole * type_bytes(type), a->k - whole);
        for (size_t j = 0; j < n_cols; j++) {
            const __m256 v = _mm256_load_ps((const float *)(const void *)(x + j * a->x_row_bytes) + whole);
            sum[i][j] = _mm256_fmadd_ps(weights, v, sum[i][j]);
        }
    }
    for (size_t i = 0; i < n_rows && r + i < a->rows; i++)
        for (size_t j = 0; j < n_cols; j++)
            a->y[(c + j) * a->y_stride + r + i] = add_lanes(sum[i][j]);
}

/* A tile has about a dozen sums: enough for the latency of FMA, few enough for the registers. */
LOAM__INLINE void multiply(loam_format type, const loam__matmul_args *a)
{
    if (a->cols == 1) {
        for (size_t r = 0; r < a->rows; r += 8)
            tile(type, 8, 1, a, r, 0);
        return;
    }
    for (size_t r = 0; r < a->rows; r += 4) {
        size_t c = 0;
        for (; c + 3 <= a->cols; c += 3)
            tile(type, 4, 3, a, r, c);
        if (a->cols - c == 2) tile(type, 4, 2, a, r, c);
        if (a->cols - c == 1) tile(type, 4, 1, a, r, c);
    }
}

void loam__avx2_multiply_f32(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F32, a);
}

void loam__avx2_multiply_f16(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_F16, a);
}

void loam__avx2_multiply_bf16(const loam__matmul_args *a)
{
    multiply(LOAM_TYPE_BF16, a);
}
