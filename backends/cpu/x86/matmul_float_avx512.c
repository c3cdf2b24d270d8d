/* F32, F16 and BF16 weights times F32 activations. */
#include "floats_avx512.h"

enum { ROWS = 4, COLS = 6 };

#include "backends/cpu/matmul_f32.h"
