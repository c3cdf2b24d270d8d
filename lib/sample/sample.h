/* Sampling: a chain of filters over candidates, and a random generator of its own for each
 * sequence. */
#ifndef LOAM__SAMPLE_H
#define LOAM__SAMPLE_H

#include "lib/base/base.h"

typedef struct loam__candidate {
    float logit; /* later: probability */
    loam_token token;
} loam__candidate;

typedef struct loam__sampler {
    loam_sampling how;
    uint64_t random[4]; /* state of the generator */
} loam__sampler;

/* Check the parameters and seed the generator. how is of this version's size. LOAM_ERR_ARG says
 * which value is wrong. */
loam_status loam__sampler_init(loam__base *b, loam__sampler *s, const loam_sampling *how);

/* Choose a token. history: the sequence's tokens so far, for penalties. scratch: [n_vocab], the
 * caller's. NaN logits are never chosen while another is left. Allocates nothing; the same state
 * and logits give the same token. */
loam_token loam__sampler_choose(loam__sampler *s, const float *logits, size_t n_vocab,
                                const loam_token *history, size_t n_history,
                                loam__candidate *scratch);

#endif
