/* Top-p: keep the fewest candidates, the likely ones first, whose probabilities reach p (A.
 * Holtzman and others, "The Curious Case of Neural Text Degeneration", 2019). */
#include <string.h>

#include "chain.h"

/* Sum of all weights, relative to the best candidate. Those that cannot be needed are dropped on
 * the way: n candidates of under (1 - p) / n each weigh less than 1 - p of the best one alone, so
 * the others reach p without them. */
static double drop_hopeless(loam__choice *c, float p)
{
    float cut = (1.0f - p) / (float)c->n;
    double sum = 0.0;
    size_t kept = 0;
    for (size_t start = 0; start < c->n; start += LOAM__WEIGH) {
        float weights[LOAM__WEIGH];
        size_t n = loam__weigh_width(c->n, start);
        sum += loam__weigh(c->left + start, n, c->best, weights);
        for (size_t i = 0; i < n; i++)
            if (weights[i] >= cut) c->left[kept++] = c->left[start + i];
    }
    c->n = kept;
    return sum;
}

static void reverse(loam__candidate *items, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        loam__candidate other = items[i];
        items[i] = items[n - 1 - i];
        items[n - 1 - i] = other;
    }
}

static void keep_sorted(loam__choice *c, double wanted)
{
    double reached = 0.0;
    for (size_t i = 0; i < c->n; i++) {
        reached += loam__exp(c->left[i].logit - c->best);
        if (reached >= wanted) c->n = i + 1;
    }
}

/* Take from a heap of all until enough is there; what is taken gathers at the end, back to front.
 */
static void keep_heaped(loam__choice *c, double wanted)
{
    double reached = 0.0;
    size_t left = c->n;
    loam__heap_make(c->left, left, loam__before);
    while (left > 0 && reached < wanted) {
        loam__candidate taken = c->left[0];
        reached += loam__exp(taken.logit - c->best);
        c->left[0] = c->left[--left];
        loam__heap_sink(c->left, left, 0, loam__before);
        c->left[left] = taken;
    }
    c->n -= left;
    memmove(c->left, c->left + left, c->n * sizeof *c->left);
    reverse(c->left, c->n);
    c->sorted = true;
}

void loam__sample_top_p(loam__choice *c)
{
    float p = c->how->top_p;
    double wanted;
    if (p == 0.0f || p >= 1.0f || c->n == 1) return;
    wanted = (double)p * drop_hopeless(c, p);
    if (c->sorted) keep_sorted(c, wanted);
    else keep_heaped(c, wanted);
}
