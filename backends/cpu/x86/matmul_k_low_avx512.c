#include "panel_avx512.h"
#include "unpack_k_low.h"
