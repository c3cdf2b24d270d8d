#include "panel_avx2.h"
#include "unpack_grid.h"
