#include "cells_avx512.h"

enum { TILE_VECTORS = 4 };

#include "backends/cpu/attention.h"
