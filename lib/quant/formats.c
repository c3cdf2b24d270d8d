#include "codec.h"

/* clang-format off */
static const loam__format formats[] = { /* values and bytes of a block */
    { LOAM_TYPE_F32,       1,   4, "F32",     loam__decode_f32,    loam__encode_f32 },
    { LOAM_TYPE_F16,       1,   2, "F16",     loam__decode_f16,    loam__encode_f16 },
    { LOAM_TYPE_Q4_0,     32,  18, "Q4_0",    loam__decode_q4_0,   loam__encode_q4_0 },
    { LOAM_TYPE_Q4_1,     32,  20, "Q4_1",    loam__decode_q4_1,   NULL             },
    { LOAM_TYPE_Q5_0,     32,  22, "Q5_0",    loam__decode_q5_0,   NULL             },
    { LOAM_TYPE_Q5_1,     32,  24, "Q5_1",    loam__decode_q5_1,   NULL             },
    { LOAM_TYPE_Q8_0,     32,  34, "Q8_0",    loam__decode_q8_0,   loam__encode_q8_0 },
    { LOAM_TYPE_Q2_K,    256,  84, "Q2_K",    loam__decode_q2_k,   NULL             },
    { LOAM_TYPE_Q3_K,    256, 110, "Q3_K",    loam__decode_q3_k,   NULL             },
    { LOAM_TYPE_Q4_K,    256, 144, "Q4_K",    loam__decode_q4_k,   NULL             },
    { LOAM_TYPE_Q5_K,    256, 176, "Q5_K",    loam__decode_q5_k,   NULL             },
    { LOAM_TYPE_Q6_K,    256, 210, "Q6_K",    loam__decode_q6_k,   NULL             },
    { LOAM_TYPE_IQ2_XXS, 256,  66, "IQ2_XXS", loam__decode_iq2_xxs, NULL             },
    { LOAM_TYPE_IQ2_XS,  256,  74, "IQ2_XS",  loam__decode_iq2_xs,  NULL             },
    { LOAM_TYPE_IQ3_XXS, 256,  98, "IQ3_XXS", loam__decode_iq3_xxs, NULL             },
    { LOAM_TYPE_IQ1_S,   256,  50, "IQ1_S",   loam__decode_iq1_s,   NULL             },
    { LOAM_TYPE_IQ4_NL,   32,  18, "IQ4_NL",  loam__decode_iq4_nl, NULL             },
    { LOAM_TYPE_IQ3_S,   256, 110, "IQ3_S",   loam__decode_iq3_s,  NULL             },
    { LOAM_TYPE_IQ2_S,   256,  82, "IQ2_S",   loam__decode_iq2_s,  NULL             },
    { LOAM_TYPE_IQ4_XS,  256, 136, "IQ4_XS",  loam__decode_iq4_xs, NULL             },
    { LOAM_TYPE_IQ1_M,   256,  56, "IQ1_M",   loam__decode_iq1_m,  NULL             },
    { LOAM_TYPE_BF16,      1,   2, "BF16",    loam__decode_bf16,   loam__encode_bf16 },
    { LOAM_TYPE_TQ1_0,   256,  54, "TQ1_0",   loam__decode_tq1_0,  NULL             },
    { LOAM_TYPE_TQ2_0,   256,  66, "TQ2_0",   loam__decode_tq2_0,  NULL             },
    { LOAM_TYPE_MXFP4,    32,  17, "MXFP4",   loam__decode_mxfp4,  NULL             },
    { LOAM_TYPE_NVFP4,    64,  36, "NVFP4",   loam__decode_nvfp4,  NULL             },
    { LOAM_TYPE_Q1_0,    128,  18, "Q1_0",    loam__decode_q1_0,   NULL             },
    { LOAM_TYPE_Q2_0,     64,  18, "Q2_0",    loam__decode_q2_0,   NULL             },
};
/* clang-format on */

const loam__format *loam__format_at(size_t i)
{
    return i < sizeof formats / sizeof formats[0] ? &formats[i] : NULL;
}

const loam__format *loam__format_find(loam_format type)
{
    const loam__format *f;
    for (size_t i = 0; (f = loam__format_at(i)); i++)
        if (f->type == type) return f;
    return NULL;
}

bool loam__format_row_bytes(const loam__format *f, uint64_t n, uint64_t *bytes)
{
    return n % f->block_values == 0 && loam__mul_u64(n / f->block_values, f->block_bytes, bytes);
}
