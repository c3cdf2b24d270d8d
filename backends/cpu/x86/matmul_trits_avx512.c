#include "panel_avx512.h"
#include "unpack_trits.h"
