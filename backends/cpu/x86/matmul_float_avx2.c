/* F32, F16 and BF16 weights times F32 activations. Lane l of an output's one vector of sums takes the values l, l + 8,
 * l + 16 ... of its row in order, and the lanes are added at the end, so tiles of any shape agree to the last bit. */
#include "inline_avx2.h"

enum { WIDTH = 8 };

size_t loam__avx2_f32_bytes(size_t k)
{
    return (k * sizeof(float) + 63) / 64 * 64;
}

void loam__avx2_f32_prepare(const float *x, size_t k, void *column)
{
    memcpy(column, x, k * sizeof *x);
    memset((char *)column + k * sizeof *x, 0, loam__avx2_f32_bytes(k) - k * sizeof *x);
}

LOAM__INLINE __m256 load_weights(loam_format type, const uint8_t *p)
{
    switch (type) {
    case LOAM_TYPE_F16:
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
    case LOAM_TYPE_BF16:
        return _mm256_castsi256_ps(
            _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
    default:
        return _mm256_loadu_ps((const float *)(const void *)p);
    }
}

LOAM__INLINE size_t weight_bytes(loam_format type)
{
    return type == LOAM_TYPE_F32 ? 4 : 2;
}

/* The last values of a row, zeros behind them. */
LOAM__INLINE __m256 load_last_weights(loam_format type, const uint8_t *p, size_t n)
{
    uint8_t padded[WIDTH * sizeof(float)] = {0};
    memcpy(padded, p, n * weight_bytes(type));
    return load_weights(type, padded);
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
            const __m256 weights = load_weights(type, w[i] + k * weight_bytes(type));
            for (size_t j = 0; j < n_cols; j++)
                sum[i][j] = _mm256_fmadd_ps(weights, v[j], sum[i][j]);
        }
    }
    for (size_t i = 0; i < n_rows && whole < a->k; i++) {
        const __m256 weights = load_last_weights(type, w[i] + whole * weight_bytes(type), a->k - whole);
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
