/* Order of candidates: heaps, so that only as many are sorted as a sampler needs. */
#include "chain.h"

void loam__heap_sink(loam__candidate *heap, size_t n, size_t at, loam__order first)
{
    loam__candidate sinking = heap[at];
    for (size_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
        if (child + 1 < n && first(&heap[child + 1], &heap[child])) child++;
        if (!first(&heap[child], &sinking)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = sinking;
}

void loam__heap_make(loam__candidate *heap, size_t n, loam__order first)
{
    for (size_t at = n / 2; at-- > 0;)
        loam__heap_sink(heap, n, at, first);
}
