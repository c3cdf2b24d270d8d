/* Greedy: the most likely token, without a draw. */
#include "chain.h"

#define BLOCK 64u

size_t loam__largest(const float *logits, size_t n)
{
    float best = -INFINITY;
    size_t at = SIZE_MAX;
    for (size_t start = 0; start < n; start += BLOCK) {
        size_t width = n - start < BLOCK ? n - start : BLOCK;
        int larger = 0;
        for (size_t i = 0; i < width; i++) /* most blocks hold none: vector code finds that out */
            larger |= logits[start + i] > best;
        for (size_t i = 0; larger && i < width; i++) {
            if (!(logits[start + i] > best)) continue;
            best = logits[start + i];
            at = start + i;
        }
    }
    return at;
}

void loam__sample_greedy(loam__choice *c)
{
    size_t first = 0;
    if (c->how->temperature != 0.0f) return;
    while (c->left[first].logit != c->best)
        first++;
    c->left[0] = c->left[first];
    c->n = 1;
}
