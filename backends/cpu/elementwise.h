/* Sums and gated activations, for every instruction set: each number by itself, so that slices
 * change no bit. Before this header a file includes its floats header. */
#ifndef LOAM__CPU_ELEMENTWISE_H
#define LOAM__CPU_ELEMENTWISE_H

#include <float.h>

void LOAM__KERNEL(add)(const float *a, const float *b, float *y, size_t n)
{
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        store_floats(y + i, plus(load_floats(a + i), load_floats(b + i)));
    for (; i < n; i++)
        y[i] = a[i] + b[i];
}

/* act(gate) * up. SiLU is x / (1 + e^-x); and so is the tanh form of GELU (Hendrycks and Gimpel
 * 2016) with another exponent, for (1 + tanh t) / 2 = 1 / (1 + e^-2t). Minus infinity would give
 * infinity by infinity. */
LOAM__INLINE floats glu(int32_t act, floats gate, floats up)
{
    const floats one = spread(1), x = larger(spread(-FLT_MAX), gate);
    floats t = x;
    if (act == LOAM_ACT_GELU_TANH) { /* 2 sqrt(2 / pi) x (1 + 0.044715 x^2) */
        const floats cubic = times_plus(times(x, x), spread(0.044715f), one);
        t = times(times(x, spread(1.5957691216f)), cubic);
    }
    return times(over(x, plus(one, exp_lanes(times(t, spread(-1))))), up);
}

LOAM__INLINE void glu_all(int32_t act, const float *gate, const float *up, float *y, size_t n)
{
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        store_floats(y + i, glu(act, load_floats(gate + i), load_floats(up + i)));
    if (i < n)
        store_first(y + i, n - i, glu(act, load_first(gate + i, n - i), load_first(up + i, n - i)));
}

void LOAM__KERNEL(glu)(int32_t act, const float *gate, const float *up, float *y, size_t n)
{
    if (act == LOAM_ACT_GELU_TANH) glu_all(LOAM_ACT_GELU_TANH, gate, up, y, n);
    else glu_all(LOAM_ACT_SILU, gate, up, y, n);
}

#endif
