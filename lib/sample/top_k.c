/* Top-k: keep the k that come first (A. Fan, M. Lewis, Y. Dauphin, "Hierarchical Neural Story
 * Generation", 2018), sorted. A heap of k candidates with the last of them at its root takes the
 * vocabulary in one pass: nearly every token is turned away by one comparison. */
#include "chain.h"

void loam__sample_top_k(loam__choice *c)
{
    loam__candidate *heap = c->left;
    size_t k = c->how->top_k;
    if (k == 0 || k >= c->n) return;
    loam__heap_make(heap, k, loam__after);
    for (size_t i = k; i < c->n; i++) {
        if (!loam__before(&c->left[i], &heap[0])) continue;
        heap[0] = c->left[i];
        loam__heap_sink(heap, k, 0, loam__after);
    }
    for (size_t n = k; n > 1; n--) { /* the root is the last of n: it goes to the end */
        loam__candidate last = heap[0];
        heap[0] = heap[n - 1];
        heap[n - 1] = last;
        loam__heap_sink(heap, n - 1, 0, loam__after);
    }
    c->n = k;
}
