/* How weights lie on the device. Rows go in groups of LOAM__VK_GROUP, so that neighbouring
 * invocations, which have neighbouring rows, read neighbouring quads, of four words: first quad 0
 * of each row of the group, then quad 1, and so on. In the same order follow the single words,
 * those of a block that make no whole quad, and then the tails, what a block has beside words. A
 * group takes the bytes that its rows have in the file. */
#include "vulkan.h"

#include <string.h>

/* clang-format off */
/* values and bytes of a block; where its tail is; whether its single words lead */
static const loam__vk_layout layouts[] = {
    { LOAM_TYPE_F32,       1,   4,   0, 0, false },
    { LOAM_TYPE_F16,       1,   2,   0, 0, false },
    { LOAM_TYPE_Q4_0,     32,  18,   0, 2, false },
    { LOAM_TYPE_Q4_1,     32,  20,   0, 0, true  },
    { LOAM_TYPE_Q5_0,     32,  22,   0, 2, true  },
    { LOAM_TYPE_Q5_1,     32,  24,   0, 0, true  },
    { LOAM_TYPE_Q8_0,     32,  34,   0, 2, false },
    { LOAM_TYPE_Q2_K,    256,  84,   0, 0, false },
    { LOAM_TYPE_Q3_K,    256, 110, 108, 2, false },
    { LOAM_TYPE_Q4_K,    256, 144,   0, 0, false },
    { LOAM_TYPE_Q5_K,    256, 176,   0, 0, false },
    { LOAM_TYPE_Q6_K,    256, 210, 208, 2, false },
    { LOAM_TYPE_IQ2_XXS, 256,  66,   0, 2, false },
    { LOAM_TYPE_IQ2_XS,  256,  74,   0, 2, false },
    { LOAM_TYPE_IQ3_XXS, 256,  98,   0, 2, false },
    { LOAM_TYPE_IQ1_S,   256,  50,   0, 2, false },
    { LOAM_TYPE_IQ4_NL,   32,  18,   0, 2, false },
    { LOAM_TYPE_IQ3_S,   256, 110,   0, 2, false },
    { LOAM_TYPE_IQ2_S,   256,  82,   0, 2, false },
    { LOAM_TYPE_IQ4_XS,  256, 136,   0, 0, true  },
    { LOAM_TYPE_IQ1_M,   256,  56,   0, 0, false },
    { LOAM_TYPE_BF16,      1,   2,   0, 0, false },
    { LOAM_TYPE_TQ1_0,   256,  54,  52, 2, false },
    { LOAM_TYPE_TQ2_0,   256,  66,  64, 2, false },
    { LOAM_TYPE_MXFP4,    32,  17,   0, 1, false },
    { LOAM_TYPE_NVFP4,    64,  36,   0, 0, true  },
    { LOAM_TYPE_Q1_0,    128,  18,   0, 2, false },
    { LOAM_TYPE_Q2_0,     64,  18,   0, 2, false },
};
/* clang-format on */

const loam__vk_layout *loam__vk_layout_find(loam_format type)
{
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        if (layouts[i].type == type) return &layouts[i];
    return NULL;
}

/* Formats of one number a block are a single block a row, whose tail is an odd last number. */
static loam__vk_layout row_layout(const loam_value *weight)
{
    loam__vk_layout l = *loam__vk_layout_find(weight->type);
    if (l.block_values > 1) return l;
    const uint32_t bytes = (uint32_t)weight->row_bytes, tail = bytes % 4;
    return (loam__vk_layout){l.type, (uint32_t)weight->cols, bytes, bytes - tail, tail, false};
}

static uint32_t block_words(const loam__vk_layout *l)
{
    return (l->block_bytes - l->tail_bytes) / 4;
}

uint32_t loam__vk_row_quads(const loam_value *weight)
{
    const loam__vk_layout l = row_layout(weight);
    return (uint32_t)(weight->row_bytes / l.block_bytes) * (block_words(&l) / 4);
}

uint32_t loam__vk_row_singles(const loam_value *weight)
{
    const loam__vk_layout l = row_layout(weight);
    return (uint32_t)(weight->row_bytes / l.block_bytes) * (block_words(&l) % 4);
}

void loam__vk_order_group(const loam_value *weight, const uint8_t *rows, uint32_t n, uint8_t *to)
{
    const loam__vk_layout l = row_layout(weight);
    const size_t blocks = (size_t)(weight->row_bytes / l.block_bytes);
    const size_t quads = block_words(&l) / 4, singles = block_words(&l) % 4;
    const size_t words_at = l.tail_at == 0 ? l.tail_bytes : 0;
    const size_t singles_at = words_at + (l.singles_lead ? 0 : quads * 16);
    const size_t quads_at = words_at + (l.singles_lead ? singles * 4 : 0);
    uint8_t *singles_to = to + blocks * quads * n * 16,
            *tails = singles_to + blocks * singles * n * 4;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *block = rows + i * weight->row_bytes;
        for (size_t b = 0; b < blocks; b++, block += l.block_bytes) {
            for (size_t q = 0; q < quads; q++)
                memcpy(to + ((b * quads + q) * n + i) * 16, block + quads_at + q * 16, 16);
            for (size_t s = 0; s < singles; s++)
                memcpy(singles_to + ((b * singles + s) * n + i) * 4, block + singles_at + s * 4, 4);
            memcpy(tails + (b * n + i) * l.tail_bytes, block + l.tail_at, l.tail_bytes);
        }
    }
}
