/* Penalties: make recent tokens less likely. Tokens are counted in the candidates themselves, so
 * that the cost is that of the window. Repeat penalty: N. Keskar and others, "CTRL: A Conditional
 * Transformer Language Model for Controllable Generation", 2019, section 4.1, with negative logits
 * multiplied, so that they too become less likely. */
#include <float.h>

#include "chain.h"

#define DEFAULT_WINDOW 64u

bool loam__penalties_on(const loam_sampling *how)
{
    return (how->repeat_penalty != 0.0f && how->repeat_penalty != 1.0f) ||
           how->frequency_penalty != 0.0f || how->presence_penalty != 0.0f;
}

/* In double, where nothing overflows; a token that was possible stays possible. */
static float penalised(const loam_sampling *how, float logit, int32_t count)
{
    double result = logit, repeat = how->repeat_penalty != 0.0f ? how->repeat_penalty : 1.0;
    if (isinf(logit)) return logit;
    result = result > 0 ? result / repeat : result * repeat;
    result -= (double)how->presence_penalty + (double)count * how->frequency_penalty;
    if (result > FLT_MAX) return FLT_MAX;
    return result < -FLT_MAX ? -FLT_MAX : (float)result;
}

void loam__sample_penalties(loam__choice *c)
{
    size_t window = c->how->penalty_tokens ? c->how->penalty_tokens : DEFAULT_WINDOW;
    const loam_token *recent;
    if (!loam__penalties_on(c->how)) return;
    if (window > INT32_MAX) window = INT32_MAX; /* so that a count fits */
    if (window > c->n_history) window = c->n_history;
    recent = c->history + (c->n_history - window);

    /* A seen candidate holds its negative count instead of its id. */
    for (size_t i = 0; i < window; i++) {
        if (recent[i] < 0 || (size_t)recent[i] >= c->n) continue;
        loam__candidate *seen = &c->left[recent[i]];
        seen->token = seen->token < 0 ? seen->token - 1 : -1;
    }
    for (size_t i = 0; i < window; i++) {
        if (recent[i] < 0 || (size_t)recent[i] >= c->n) continue;
        loam__candidate *seen = &c->left[recent[i]];
        if (seen->token >= 0) continue;
        seen->logit = penalised(c->how, seen->logit, -seen->token);
        seen->token = recent[i];
    }
    c->best = -INFINITY;
    for (size_t i = 0; i < c->n; i++)
        if (c->left[i].logit > c->best) c->best = c->left[i].logit;
}
