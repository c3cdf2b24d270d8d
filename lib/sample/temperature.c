/* Temperature: divide the logits. The best candidate is moved to 0 first, so that a tiny
 * temperature sends all others to -inf and nothing overflows upwards. */
#include "chain.h"

void loam__sample_temperature(loam__choice *c)
{
    if (c->how->temperature == 0.0f) return;
    for (size_t i = 0; i < c->n; i++)
        c->left[i].logit = (c->left[i].logit - c->best) / c->how->temperature;
    c->best = 0.0f;
}
