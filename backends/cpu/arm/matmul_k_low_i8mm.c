#define LOAM__KERNEL(name) loam__i8mm_##name
#include "panel_neon.h"

#include "backends/cpu/unpack_k_low.h"
