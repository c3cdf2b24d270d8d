#include "panel_avx512.h"
#include "unpack_grid.h"
