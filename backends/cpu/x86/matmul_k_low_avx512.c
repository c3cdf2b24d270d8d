#include "panel_avx512.h"

#include "backends/cpu/unpack_k_low.h"
