#include "panel_avx2.h"
#include "unpack_k_low.h"
