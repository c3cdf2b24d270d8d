/* What is done number by number, or head by head: norms, sums, activations, rotations, KV cells. */
#include "lib/quant/quant.h"
#include "scalar.h"

#include <math.h>
#include <string.h>

void loam__scalar_rms_norm(const float *x, const float *weight, float *y, size_t n, float eps)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += (double)x[i] * x[i];
    float scale = (float)(1 / sqrt(squares / (double)n + (double)eps));
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale * weight[i];
}

void loam__scalar_add(const float *a, const float *b, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static float silu(float x)
{
    return x / (1 + expf(-x));
}

/* The tanh form of Hendrycks and Gimpel 2016; the factor is sqrt(2 / pi). */
static float gelu(float x)
{
    return 0.5f * x * (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
}

void loam__scalar_glu(int32_t act, const float *gate, const float *up, float *y, size_t n)
{
    float (*f)(float) = act == LOAM_ACT_GELU_TANH ? gelu : silu;
    for (size_t i = 0; i < n; i++)
        y[i] = f(gate[i]) * up[i];
}

void loam__scalar_rope(const float *x, const float *cos_sin, float *y, int32_t style,
                       uint32_t heads, uint32_t head_values, uint32_t rotary_values)
{
    size_t half = rotary_values / 2;
    size_t step = style == LOAM_ROPE_PAIRS ? 2 : 1; /* between the first members of two pairs */
    size_t partner = style == LOAM_ROPE_PAIRS ? 1 : half; /* between the members of one */
    for (uint32_t h = 0; h < heads; h++, x += head_values, y += head_values) {
        for (size_t i = 0; i < half; i++) {
            float c = cos_sin[2 * i], s = cos_sin[2 * i + 1];
            float a = x[i * step], b = x[i * step + partner];
            y[i * step] = a * c - b * s;
            y[i * step + partner] = a * s + b * c;
        }
        for (size_t i = 2 * half; i < head_values; i++)
            y[i] = x[i];
    }
}

void loam__scalar_kv_write(const float *x, void *cells, loam_format type, size_t n)
{
    loam__format_find(type)->encode(x, cells, n);
}
