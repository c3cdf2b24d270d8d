/* Weights: probabilities before they are divided by their sum. The exponential is our own, so that
 * a seed gives the same text with every C library, and so that a vocabulary takes vector code. */
#include <string.h>

#include "chain.h"

/* x = k ln 2 + r with |r| <= ln 2 / 2, where ln 2 comes in two parts so that r is exact enough;
 * then the power series of e^r, whose rest is under 1e-8, times 2^k. It chooses by comparing bit
 * patterns, which grow as x falls: compilers make vector code of that, but not of comparing floats.
 */
static inline float exponential(float x)
{
    const uint32_t far = 0xc2ae0000u; /* -87 */
    uint32_t bits, scale;
    float near, power;
    memcpy(&bits, &x, sizeof bits);
    scale = bits < far ? UINT32_MAX : 0;
    bits = bits < far ? bits : far;
    memcpy(&near, &bits, sizeof near);
    int32_t k = (int32_t)(near * 1.44269504f - 0.5f);
    float r = near - (float)k * 0.693359375f + (float)k * 2.12194440e-4f;
    float series = 1.0f / 720 + r * (1.0f / 5040);
    series = 1.0f / 120 + r * series;
    series = 1.0f / 24 + r * series;
    series = 1.0f / 6 + r * series;
    series = 0.5f + r * series;
    series = 1.0f + r * series;
    series = 1.0f + r * series;
    scale &= (uint32_t)(k + 127) << 23;
    memcpy(&power, &scale, sizeof power);
    return series * power;
}

float loam__exp(float x)
{
    return exponential(x);
}

double loam__weigh(const loam__candidate *left, size_t n, float best, float *weights)
{
    double sums[4] = {0}; /* four, so that an addition need not wait for the one before */
    for (size_t i = 0; i < n; i++)
        weights[i] = exponential(left[i].logit - best);
    for (size_t i = 0; i < n; i++)
        sums[i % 4] += weights[i];
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}
