/* Matrix products of every format: a row of weights is decoded piece by piece, and each piece is
 * multiplied with all columns while it is at hand. Activations stay F32. */
#include "lib/quant/quant.h"
#include "scalar.h"

#include <string.h>

static size_t prepared_bytes(size_t k)
{
    return (k * sizeof(float) + 63) / 64 * 64;
}

static void prepare(const float *x, size_t k, void *column)
{
    memcpy(column, x, k * sizeof *x);
    memset((char *)column + k * sizeof *x, 0, prepared_bytes(k) - k * sizeof *x);
}

/* y[c * y_stride] = dot(row, column c). Each is a sum over the pieces in their order, whatever
 * other columns there are. */
static void multiply_row(const loam__matmul_args *a, const loam__format *f, const uint8_t *row,
                         float *y)
{
    float piece[LOAM__PIECE];
    for (size_t c = 0; c < a->cols; c++)
        y[c * a->y_stride] = 0;
    for (size_t at = 0; at < a->k; at += LOAM__PIECE) {
        size_t n = a->k - at < LOAM__PIECE ? a->k - at : LOAM__PIECE;
        f->decode(row + at / f->block_values * f->block_bytes, piece, n);
        for (size_t c = 0; c < a->cols; c++) {
            const float *x = (const float *)((const char *)a->x + c * a->x_row_bytes) + at;
            y[c * a->y_stride] += loam__scalar_dot(piece, x, n);
        }
    }
}

static void multiply(const loam__matmul_args *a, loam_format type)
{
    const loam__format *f = loam__format_find(type);
    for (size_t r = 0; r < a->rows; r++)
        multiply_row(a, f, (const uint8_t *)a->w + r * a->w_row_bytes, a->y + r);
}

static void multiply_f32(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_F32);
}

static void multiply_f16(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_F16);
}

static void multiply_q4_0(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q4_0);
}

static void multiply_q4_1(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q4_1);
}

static void multiply_q5_0(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q5_0);
}

static void multiply_q5_1(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q5_1);
}

static void multiply_q8_0(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q8_0);
}

static void multiply_q2_k(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q2_K);
}

static void multiply_q3_k(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q3_K);
}

static void multiply_q4_k(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q4_K);
}

static void multiply_q5_k(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q5_K);
}

static void multiply_q6_k(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q6_K);
}

static void multiply_iq4_nl(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_IQ4_NL);
}

static void multiply_iq4_xs(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_IQ4_XS);
}

static void multiply_bf16(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_BF16);
}

static void multiply_tq1_0(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_TQ1_0);
}

static void multiply_tq2_0(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_TQ2_0);
}

static void multiply_mxfp4(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_MXFP4);
}

static void multiply_nvfp4(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_NVFP4);
}

static void multiply_q1_0(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q1_0);
}

static void multiply_q2_0(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_Q2_0);
}

static void multiply_iq2_xxs(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_IQ2_XXS);
}

static void multiply_iq2_xs(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_IQ2_XS);
}

static void multiply_iq3_xxs(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_IQ3_XXS);
}

static void multiply_iq1_s(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_IQ1_S);
}

static void multiply_iq3_s(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_IQ3_S);
}

static void multiply_iq2_s(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_IQ2_S);
}

static void multiply_iq1_m(const loam__matmul_args *a)
{
    multiply(a, LOAM_TYPE_IQ1_M);
}

/* clang-format off */
const loam__cpu_matmul loam__scalar_matmuls[] = {
    { LOAM_TYPE_F32,     0.0f, prepared_bytes, prepare, multiply_f32,     {0} },
    { LOAM_TYPE_F16,     0.0f, prepared_bytes, prepare, multiply_f16,     {0} },
    { LOAM_TYPE_Q4_0,    0.0f, prepared_bytes, prepare, multiply_q4_0,    {0} },
    { LOAM_TYPE_Q4_1,    0.0f, prepared_bytes, prepare, multiply_q4_1,    {0} },
    { LOAM_TYPE_Q5_0,    0.0f, prepared_bytes, prepare, multiply_q5_0,    {0} },
    { LOAM_TYPE_Q5_1,    0.0f, prepared_bytes, prepare, multiply_q5_1,    {0} },
    { LOAM_TYPE_Q8_0,    0.0f, prepared_bytes, prepare, multiply_q8_0,    {0} },
    { LOAM_TYPE_Q2_K,    0.0f, prepared_bytes, prepare, multiply_q2_k,    {0} },
    { LOAM_TYPE_Q3_K,    0.0f, prepared_bytes, prepare, multiply_q3_k,    {0} },
    { LOAM_TYPE_Q4_K,    0.0f, prepared_bytes, prepare, multiply_q4_k,    {0} },
    { LOAM_TYPE_Q5_K,    0.0f, prepared_bytes, prepare, multiply_q5_k,    {0} },
    { LOAM_TYPE_Q6_K,    0.0f, prepared_bytes, prepare, multiply_q6_k,    {0} },
    { LOAM_TYPE_IQ2_XXS, 0.0f, prepared_bytes, prepare, multiply_iq2_xxs, {0} },
    { LOAM_TYPE_IQ2_XS,  0.0f, prepared_bytes, prepare, multiply_iq2_xs,  {0} },
    { LOAM_TYPE_IQ3_XXS, 0.0f, prepared_bytes, prepare, multiply_iq3_xxs, {0} },
    { LOAM_TYPE_IQ1_S,   0.0f, prepared_bytes, prepare, multiply_iq1_s,   {0} },
    { LOAM_TYPE_IQ3_S,   0.0f, prepared_bytes, prepare, multiply_iq3_s,   {0} },
    { LOAM_TYPE_IQ2_S,   0.0f, prepared_bytes, prepare, multiply_iq2_s,   {0} },
    { LOAM_TYPE_IQ1_M,   0.0f, prepared_bytes, prepare, multiply_iq1_m,   {0} },
    { LOAM_TYPE_IQ4_NL,  0.0f, prepared_bytes, prepare, multiply_iq4_nl,  {0} },
    { LOAM_TYPE_IQ4_XS,  0.0f, prepared_bytes, prepare, multiply_iq4_xs,  {0} },
    { LOAM_TYPE_BF16,    0.0f, prepared_bytes, prepare, multiply_bf16,    {0} },
    { LOAM_TYPE_TQ1_0,   0.0f, prepared_bytes, prepare, multiply_tq1_0,   {0} },
    { LOAM_TYPE_TQ2_0,   0.0f, prepared_bytes, prepare, multiply_tq2_0,   {0} },
    { LOAM_TYPE_MXFP4,   0.0f, prepared_bytes, prepare, multiply_mxfp4,   {0} },
    { LOAM_TYPE_NVFP4,   0.0f, prepared_bytes, prepare, multiply_nvfp4,   {0} },
    { LOAM_TYPE_Q1_0,    0.0f, prepared_bytes, prepare, multiply_q1_0,    {0} },
    { LOAM_TYPE_Q2_0,    0.0f, prepared_bytes, prepare, multiply_q2_0,    {0} },
    { 0 },
};
/* clang-format on */
