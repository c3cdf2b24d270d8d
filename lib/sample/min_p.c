/* Min-p: keep candidates whose probability is at least this share of the best one's (M. Nguyen and
 * others, "Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs", 2024). */
#include "chain.h"

void loam__sample_min_p(loam__choice *c)
{
    float share = c->how->min_p < 1.0f ? c->how->min_p : 1.0f;
    size_t kept = 0;
    if (share == 0.0f) return;
    for (size_t start = 0; start < c->n; start += LOAM__WEIGH) {
        float weights[LOAM__WEIGH];
        size_t n = loam__weigh_width(c->n, start);
        loam__weigh(c->left + start, n, c->best, weights);
        for (size_t i = 0; i < n; i++)
            if (weights[i] >= share) c->left[kept++] = c->left[start + i];
    }
    c->n = kept;
}
