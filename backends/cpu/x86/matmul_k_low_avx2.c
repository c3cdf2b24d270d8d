#include "panel_avx2.h"

#include "backends/cpu/unpack_k_low.h"
