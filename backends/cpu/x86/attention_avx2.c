#include "cells_avx2.h"

enum { TILE_VECTORS = 2 };

#include "backends/cpu/attention.h"
