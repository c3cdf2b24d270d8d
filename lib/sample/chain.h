/* Inside the sampling room: the state that walks down the chain, the stages, and what they share.
 *
 * A sampler is one file with one stage function, and one line in the table of sample.c. */
#ifndef LOAM__SAMPLE_CHAIN_H
#define LOAM__SAMPLE_CHAIN_H

#include <math.h>

#include "sample.h"

/* The candidates that are left. Until a stage drops some, candidate i is token i. No logit
 * is NaN or +inf. */
typedef struct loam__choice {
    const loam_sampling *how;
    loam__candidate *left;
    size_t n;   /* at least 1 */
    float best; /* their largest logit, not -inf */
    const loam_token *history;
    size_t n_history;
} loam__choice;

typedef struct loam__stage {
    const char *name;
    void (*apply)(
        loam__choice *c); /* does nothing when c->how leaves it off; keeps the first candidate */
} loam__stage;

extern const loam__stage loam__sampler_chain[]; /* ends with a NULL name */

void loam__sample_penalties(loam__choice *c);
void loam__sample_greedy(loam__choice *c);
void loam__sample_top_k(loam__choice *c);
void loam__sample_top_p(loam__choice *c);
void loam__sample_min_p(loam__choice *c);
void loam__sample_temperature(loam__choice *c);

/* The id of the largest logit, the lowest on a tie; SIZE_MAX when all are NaN or -inf. */
size_t loam__largest(const float *logits, size_t n);
bool loam__penalties_on(const loam_sampling *how);

/* ---- order (heap.c) ---- */

/* The one order of candidates: larger logits first, lower ids first among equals. */
static inline bool loam__before(const loam__candidate *a, const loam__candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

static inline bool loam__after(const loam__candidate *a, const loam__candidate *b)
{
    return loam__before(b, a);
}

typedef bool (*loam__order)(const loam__candidate *a, const loam__candidate *b);

/* A heap whose root is the one that comes first in the given order. */
void loam__heap_make(loam__candidate *heap, size_t n, loam__order first);
void loam__heap_sink(loam__candidate *heap, size_t n, size_t at, loam__order first);

/* ---- weights (weights.c) ---- */

/* e^x for x <= 0, and exactly 0 from -87 down. */
float loam__exp(float x);

#define LOAM__WEIGH 64u

/* The weights of n <= LOAM__WEIGH candidates, where the best of all weighs 1; gives their sum. */
double loam__weigh(const loam__candidate *left, size_t n, float best, float *weights);

/* How many of n candidates from start on are weighed at once. */
static inline size_t loam__weigh_width(size_t n, size_t start)
{
    return n - start < LOAM__WEIGH ? n - start : LOAM__WEIGH;
}

/* ---- random numbers (random.c) ---- */

void loam__random_seed(uint64_t state[4], uint64_t seed);
uint64_t loam__random_next(uint64_t state[4]);

#endif
