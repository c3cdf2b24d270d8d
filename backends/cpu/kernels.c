#include "kernels.h"

/* clang-format off */
static const loam__cpu_isa *const sets[] = {
    /* lowest first; one line each */
    &loam__cpu_scalar,
#if defined(__x86_64__)
    &loam__cpu_avx2,
    &loam__cpu_avxvnni,
    &loam__cpu_avx512,
    &loam__cpu_avx512bf16,
#elif defined(__aarch64__)
    &loam__cpu_neon,
    &loam__cpu_dotprod,
    &loam__cpu_i8mm,
#endif
};
/* clang-format on */

const loam__cpu_isa *loam__cpu_isa_at(size_t i)
{
    return i < sizeof sets / sizeof sets[0] ? sets[i] : NULL;
}

static const loam__cpu_matmul *find_own(const loam__cpu_isa *isa, loam_format type)
{
    for (const loam__cpu_matmul *row = isa->matmuls; row->multiply; row++)
        if (row->type == type) return row;
    return NULL;
}

const loam__cpu_matmul *loam__cpu_find_matmul(const loam__cpu_isa *isa, loam_format type)
{
    size_t i = sizeof sets / sizeof sets[0];
    while (i > 0 && sets[i - 1] != isa)
        i--;
    for (; i > 0; i--) {
        const loam__cpu_matmul *row = find_own(sets[i - 1], type);
        if (row) return row;
    }
    return NULL;
}

bool loam__cpu_has_cells(loam_format type)
{
    return type == LOAM_TYPE_F32 || type == LOAM_TYPE_F16 || type == LOAM_TYPE_BF16 ||
           type == LOAM_TYPE_Q8_0 || type == LOAM_TYPE_Q4_0;
}
