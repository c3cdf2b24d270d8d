/* Built for CPUs with these instructions, so it holds nothing else. */
#include "products.h"

#if defined(__aarch64__)
#include <arm_neon.h>

double products_dotprod(void)
{
    const int8x16_t w = vdupq_n_s8(3), x = vdupq_n_s8(7);
    int32x4_t sums[CHAINS];

    for (int c = 0; c < CHAINS; c++)
        sums[c] = vdupq_n_s32(c);
    for (int i = 0; i < PASSES; i++)
        for (int c = 0; c < CHAINS; c++)
            sums[c] = vdotq_s32(sums[c], w, x);
    for (int c = 0; c < CHAINS; c++)
        KEEP("w", sums[c]);
    return 16.0 * CHAINS * PASSES;
}

double products_i8mm(void)
{
    const int8x16_t w = vdupq_n_s8(3), x = vdupq_n_s8(7);
    int32x4_t sums[CHAINS];

    for (int c = 0; c < CHAINS; c++)
        sums[c] = vdupq_n_s32(c);
    for (int i = 0; i < PASSES; i++)
        for (int c = 0; c < CHAINS; c++)
            sums[c] = vmmlaq_s32(sums[c], w, x);
    for (int c = 0; c < CHAINS; c++)
        KEEP("w", sums[c]);
    return 32.0 * CHAINS * PASSES;
}
#endif
