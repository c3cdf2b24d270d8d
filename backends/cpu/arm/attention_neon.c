#include "cells_neon.h"

enum { TILE_VECTORS = 4 };

#define LOAM__KERNEL(name) loam__neon_##name

#include "backends/cpu/attention.h"
