#include "panel_avxvnni.h"
#include "unpack_grid.h"
