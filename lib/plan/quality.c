/* EQ OM2.4, the quality elbow. Perplexity: Llama 7B on WikiText-2, as published when the k-quants
 * were introduced; models that learned more from each weight lose more (Llama 3 8B three times as
 * much at 4 bits). Bits: the formats' own where a file has one format, those of a 7B model for
 * mixes. */
#include "quality.h"

#include <math.h>

/* clang-format off */
static const loam__quality table[] = { /* name, bits, percent, beaten */
    { "F32",    32.0,     0.0,  0 },
    { "F16",    16.0,     0.0,  0 },
    { "BF16",   16.0,     0.0,  0 },
    { "Q8_0",    8.5,     0.01, 0 },
    { "Q6_K",    6.5625,  0.07, 0 },
    { "Q5_1",    6.0,     0.7,  1 },
    { "Q5_K_M",  5.69,    0.24, 0 },
    { "Q5_K_S",  5.54,    0.6,  0 },
    { "Q5_0",    5.5,     1.3,  1 },
    { "Q4_1",    5.0,     3.1,  1 },
    { "Q4_K_M",  4.85,    0.9,  0 },
    { "Q4_K_S",  4.58,    1.9,  0 },
    { "Q4_0",    4.5,     4.2,  1 },
    { "Q3_K_L",  4.27,    3.1,  0 },
    { "Q3_K_M",  3.91,    4.1,  0 },
    { "Q3_K_S",  3.5,     9.3,  0 },
    { "Q2_K",    3.35,   14.7,  0 },
};
/* clang-format on */

const loam__quality *loam__quality_row(size_t i)
{
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}

double loam__quality_percent(double bits)
{
    const loam__quality *above = &table[0], *below = above, *row;
    if (!(bits > 0)) return NAN;
    /* The two rows around bits; below the last row its slope goes on. */
    for (size_t i = 0; below->bits > bits && (row = loam__quality_row(i)); i++) {
        if (row->beaten || row->bits == below->bits) continue;
        above = below;
        below = row;
    }
    if (below == above) return below->percent;
    double slope = (below->percent - above->percent) / (above->bits - below->bits);
    return below->percent + (below->bits - bits) * slope;
}
