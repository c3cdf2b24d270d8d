#include "scalar.h"

static bool present(void)
{
    return true;
}

const loam__cpu_isa loam__cpu_scalar = {
    .name = "scalar",
    .present = present,
    .matmuls = loam__scalar_matmuls,
    .rms_norm = loam__scalar_rms_norm,
    .add = loam__scalar_add,
    .glu = loam__scalar_glu,
    .rope = loam__scalar_rope,
    .kv_write = loam__scalar_kv_write,
    .attention = loam__scalar_attention,
};
