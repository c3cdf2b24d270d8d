/* What is done number by number: norms, sums, activations, rotations. */
#include "floats_avx2.h"

#include <math.h>

#include "backends/cpu/elementwise.h"

void loam__avx2_rms_norm(const float *x, const float *weight, float *y, size_t n, float eps)
{
    const size_t whole = n / WIDTH * WIDTH;
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
    for (size_t i = 0; i < n; i += WIDTH) {
        const __m256 v = i < whole ? _mm256_loadu_ps(x + i) : load_first(x + i, n - i);
        const __m256d a = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
        const __m256d b = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
        low = _mm256_fmadd_pd(a, a, low);
        high = _mm256_fmadd_pd(b, b, high);
    }
    double lanes[4];
    _mm256_storeu_pd(lanes, _mm256_add_pd(low, high));
    const double squares = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    const float scale = (float)(1 / sqrt(squares / (double)n + (double)eps));
    for (size_t i = 0; i < whole; i += WIDTH) {
        const __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(scale));
        _mm256_storeu_ps(y + i, _mm256_mul_ps(v, _mm256_loadu_ps(weight + i)));
    }
    for (size_t i = whole; i < n; i++)
        y[i] = x[i] * scale * weight[i];
}

/* Pair i of a head is (x[2i], x[2i + 1]). */
static void rope_pairs(const float *x, const float *cos_sin, float *y, size_t n)
{
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH) {
        const __m256 v = _mm256_loadu_ps(x + i), turn = _mm256_loadu_ps(cos_sin + i);
        const __m256 swapped = _mm256_permute_ps(v, 0xB1);
        const __m256 sines = _mm256_mul_ps(swapped, _mm256_movehdup_ps(turn));
        _mm256_storeu_ps(y + i,
                         _mm256_addsub_ps(_mm256_mul_ps(v, _mm256_moveldup_ps(turn)), sines));
    }
    for (; i < n; i += 2) {
        y[i] = x[i] * cos_sin[i] - x[i + 1] * cos_sin[i + 1];
        y[i + 1] = x[i + 1] * cos_sin[i] + x[i] * cos_sin[i + 1];
    }
}

/* Pair i of a head is (x[i], x[i + half]). */
static void rope_halves(const float *x, const float *cos_sin, float *y, size_t half)
{
    size_t i = 0;
    for (; i + WIDTH <= half; i += WIDTH) {
        const __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + half + i);
        const __m256 t0 = _mm256_loadu_ps(cos_sin + 2 * i),
                     t1 = _mm256_loadu_ps(cos_sin + 2 * i + WIDTH);
        const __m256 cosines = _mm256_castpd_ps(
            _mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(t0, t1, 0x88)), 0xD8));
        const __m256 sines = _mm256_castpd_ps(
            _mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps(t0, t1, 0xDD)), 0xD8));
        _mm256_storeu_ps(y + i, _mm256_sub_ps(_mm256_mul_ps(a, cosines), _mm256_mul_ps(b, sines)));
        _mm256_storeu_ps(y + half + i,
                         _mm256_add_ps(_mm256_mul_ps(a, sines), _mm256_mul_ps(b, cosines)));
    }
    for (; i < half; i++) {
        const float c = cos_sin[2 * i], s = cos_sin[2 * i + 1], a = x[i], b = x[half + i];
        y[i] = a * c - b * s;
        y[half + i] = a * s + b * c;
    }
}

void loam__avx2_rope(const float *x, const float *cos_sin, float *y, int32_t style, uint32_t heads,
                     uint32_t head_values, uint32_t rotary_values)
{
    const size_t half = rotary_values / 2;
    for (uint32_t h = 0; h < heads; h++, x += head_values, y += head_values) {
        if (style == LOAM_ROPE_PAIRS) rope_pairs(x, cos_sin, y, 2 * half);
        else rope_halves(x, cos_sin, y, half);
        memcpy(y + 2 * half, x + 2 * half, (head_values - 2 * half) * sizeof *y);
    }
}
