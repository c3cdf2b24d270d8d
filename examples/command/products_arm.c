/* Built for CPUs with these instructions, so it holds nothing else. */
#include "products.h"

#if defined(__aarch64__)
#include <arm_neon.h>

double products_dotprod(void)
{
    const int8x16_t w = vdupq_n_s8(3), x = vdupq_n_s8(7);

    RUN_CHAINS(int32x4_t, "w", vdupq_n_s32(c), vdotq_s32(sum, w, x));
    return 16.0 * CHAINS * PASSES;
}

double products_i8mm(void)
{
    const int8x16_t w = vdupq_n_s8(3), x = vdupq_n_s8(7);

    RUN_CHAINS(int32x4_t, "w", vdupq_n_s32(c), vmmlaq_s32(sum, w, x));
    return 32.0 * CHAINS * PASSES;
}
#endif
