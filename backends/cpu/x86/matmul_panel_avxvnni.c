#include "panel_avxvnni.h"

#include "round_avx2.h"

#include "quantize_vnni.h"

LOAM__INLINE void quantize(const float *x, size_t blocks, int center, q8 *out)
{
    for (size_t b = 0; b < blocks; b++)
        quantize_block(x + b * BLOCK, center, out + b);
}

enum { GROUPS = 2, COLS = 2 }; /* sums, floats and integers, are most of the registers */

#include "matmul_vnni.h"
