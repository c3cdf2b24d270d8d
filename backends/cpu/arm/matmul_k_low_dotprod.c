#define LOAM__KERNEL(name) loam__dotprod_##name
#include "panel_neon.h"

#include "backends/cpu/unpack_k_low.h"
