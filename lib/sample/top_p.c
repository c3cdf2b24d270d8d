/* Top-p: keep the fewest candidates, the likely ones first, whose probabilities reach p (A.
 * Holtzman and others, "The Curious Case of Neural Text Degeneration", 2019).
 *
 * A vocabulary is not sorted for that. Candidates fall into bins by their distance from the best;
 * the bins say in which of them p is reached, and only that one is put in order. */
#include <string.h>

#include "chain.h"

#define BINS           256u
#define BINS_PER_LOGIT 8.0f /* 32 logits away from the best, where the last bin takes the rest */

static size_t bin_of(const loam__choice *c, float logit)
{
    float at = (c->best - logit) * BINS_PER_LOGIT;
    return at < BINS - 1 ? (size_t)at : BINS - 1;
}

static double fill_bins(const loam__choice *c, double mass[BINS])
{
    double sum = 0.0;
    memset(mass, 0, BINS * sizeof *mass);
    for (size_t start = 0; start < c->n; start += LOAM__WEIGH) {
        float weights[LOAM__WEIGH];
        size_t n = loam__weigh_width(c->n, start);
        sum += loam__weigh(c->left + start, n, c->best, weights);
        for (size_t i = 0; i < n; i++)
            mass[bin_of(c, c->left[start + i].logit)] += weights[i];
    }
    return sum;
}

/* Drop what lies beyond the last bin, and move that bin behind the others, whose order stays; gives
 * how many the others are. */
static size_t part_at(loam__choice *c, size_t last)
{
    size_t kept = 0, sure = 0;
    for (size_t i = 0; i < c->n; i++) {
        c->left[kept] = c->left[i];
        kept += bin_of(c, c->left[i].logit) <= last;
    }
    c->n = kept;
    for (size_t i = 0; i < kept; i++) {
        loam__candidate candidate = c->left[i];
        if (bin_of(c, candidate.logit) == last) continue;
        c->left[i] = c->left[sure];
        c->left[sure++] = candidate;
    }
    return sure;
}

/* Keep the first of n candidates until they weigh enough; gives how many. They are taken off a heap
 * and gather behind it, the first of them last. */
static size_t keep_first(const loam__choice *c, loam__candidate *heap, size_t n, double wanted)
{
    double reached = 0.0;
    size_t left = n, taken;
    loam__heap_make(heap, n, loam__before);
    while (left > 0 && reached < wanted) {
        loam__candidate first = heap[0];
        reached += loam__exp(first.logit - c->best);
        heap[0] = heap[--left];
        loam__heap_sink(heap, left, 0, loam__before);
        heap[left] = first;
    }
    taken = n - left;
    for (size_t i = left, j = n; i + 1 < j; i++) {
        loam__candidate other = heap[i];
        heap[i] = heap[--j];
        heap[j] = other;
    }
    memmove(heap, heap + left, taken * sizeof *heap);
    return taken;
}

void loam__sample_top_p(loam__choice *c)
{
    double mass[BINS], wanted, reached = 0.0, p = (double)c->how->top_p;
    size_t last = 0, sure;
    if (p == 0.0 || p >= 1.0) return;
    wanted = p * fill_bins(c, mass);
    while (last < BINS - 1 && reached + mass[last] < wanted)
        reached += mass[last++];
    sure = part_at(c, last);
    c->n = sure + keep_first(c, c->left + sure, c->n - sure, wanted - reached);
}
