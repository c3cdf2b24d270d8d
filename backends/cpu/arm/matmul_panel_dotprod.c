#define LOAM__KERNEL(name) loam__dotprod_##name
#include "tiles_neon.h"
