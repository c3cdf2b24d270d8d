#include <math.h>

#include "model.h"

/* The pair index at which a rotation makes `turns` turns over the trained context (YaRN, Peng et
 * al. 2023, eq. 21). */
static double correction(const loam__rope *r, double turns)
{
    const double two_pi = 6.283185307179586;
    return r->rotary_values * log(r->trained_tokens / (turns * two_pi)) /
           (2.0 * log((double)r->base));
}

/* How much of the unscaled frequency pair i keeps: 1 for fast rotations, 0 for slow ones, a ramp
 * between. */
static double kept(const loam__rope *r, uint32_t i)
{
    double last = r->rotary_values - 1.0;
    double low = fmax(0.0, floor(correction(r, r->beta_fast)));
    double high = fmin(last, ceil(correction(r, r->beta_slow)));
    double y = (i - low) / fmax(0.001, high - low);
    return 1.0 - fmin(1.0, fmax(0.0, y));
}

float loam__rope_step(const loam__rope *r)
{
    return powf(r->base, -2.0f / (float)r->rotary_values);
}

void loam__rope_scales(const loam__rope *r, const float *factors, float *scales)
{
    for (uint32_t i = 0; i < r->rotary_values / 2; i++) {
        double scale = r->scaling == LOAM__ROPE_PLAIN ? 1.0 : 1.0 / r->factor;
        if (r->scaling == LOAM__ROPE_YARN) {
            double keep = kept(r, i);
            scale = scale * (1.0 - keep) + keep;
        }
        scales[i] = (float)(factors ? scale / factors[i] : scale);
    }
}

float loam__rope_magnitude(const loam__rope *r)
{
    if (r->scaling != LOAM__ROPE_YARN || r->factor <= 1.0f) return r->magnitude_factor;
    return r->magnitude_factor * (0.1f * logf(r->factor) + 1.0f); /* YaRN, eq. 22 */
}
