/* The chain of samplers, in the order that loam_sampling promises, and the draw at its end. */
#include "sample.h"

#include <float.h>

#include "chain.h"

const loam__stage loam__sampler_chain[] = {
    {"penalties", loam__sample_penalties},
    {"greedy", loam__sample_greedy}, /* the filters below never drop the best candidate */
    {"top_k", loam__sample_top_k},
    {"top_p", loam__sample_top_p},
    {"min_p", loam__sample_min_p},
    {"temperature", loam__sample_temperature},
    {NULL, NULL},
};

loam_status loam__sampler_init(loam__base *b, loam__sampler *s, const loam_sampling *how)
{
    const struct {
        const char *name;
        float value;
    } values[] = {
        {"temperature", how->temperature},
        {"top_p", how->top_p},
        {"min_p", how->min_p},
        {"repeat_penalty", how->repeat_penalty},
        {"frequency_penalty", how->frequency_penalty},
        {"presence_penalty", how->presence_penalty},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (values[i].value >= 0.0f && values[i].value <= FLT_MAX) continue;
        return loam__fail(
            b, LOAM_ERR_ARG,
            "sampling: %s is %g; give a number that is not negative, or 0 to leave it off",
            values[i].name, (double)values[i].value);
    }
    if (how->reserved)
        return loam__fail(b, LOAM_ERR_NEWER,
                          "sampling: the reserved member is %u; set it to 0, or use a newer loam",
                          (unsigned)how->reserved);
    s->how = *how;
    loam__random_seed(s->random, how->seed);
    return LOAM_OK;
}

/* Make weights of the logits and take the candidate in whose share a random number falls. */
static loam_token draw(loam__choice *c, uint64_t random[4])
{
    double sum = 0.0, reached = 0.0, aim;
    size_t chosen = 0;
    if (c->n == 1) return c->left[0].token;
    for (size_t start = 0; start < c->n; start += LOAM__WEIGH) {
        float weights[LOAM__WEIGH];
        size_t n = loam__weigh_width(c->n, start);
        sum += loam__weigh(c->left + start, n, c->best, weights);
        for (size_t i = 0; i < n; i++)
            c->left[start + i].logit = weights[i];
    }
    aim = (double)(loam__random_next(random) >> 11) * 0x1p-53 * sum;
    for (size_t i = 0; i < c->n && reached <= aim; i++) {
        if (c->left[i].logit == 0.0f) continue; /* not even when rounding brings aim to the sum */
        reached += c->left[i].logit;
        chosen = i;
    }
    return c->left[chosen].token;
}

/* No logit is above -inf: the first that is at least a number. */
static loam_token first_number(const float *logits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isnan(logits[i])) return (loam_token)i;
    return 0;
}

loam_token loam__sampler_choose(loam__sampler *s, const float *logits, size_t n_vocab,
                                const loam_token *history, size_t n_history,
                                loam__candidate *scratch)
{
    loam__choice c = {
        .how = &s->how, .left = scratch, .n = n_vocab, .history = history, .n_history = n_history};
    size_t largest = loam__largest(logits, n_vocab);
    if (largest == SIZE_MAX) return first_number(logits, n_vocab);
    if (s->how.temperature == 0.0f && !loam__penalties_on(&s->how)) return (loam_token)largest;
    c.best = fminf(logits[largest], FLT_MAX);
    for (size_t i = 0; i < n_vocab; i++) {
        float logit = logits[i] < FLT_MAX ? logits[i] : FLT_MAX;
        scratch[i].logit = isnan(logits[i]) ? -INFINITY : logit;
        scratch[i].token = (loam_token)i;
    }
    for (const loam__stage *stage = loam__sampler_chain; stage->name; stage++)
        stage->apply(&c);
    return draw(&c, s->random);
}
