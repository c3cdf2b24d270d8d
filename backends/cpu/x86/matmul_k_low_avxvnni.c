#include "panel_avxvnni.h"

#include "backends/cpu/unpack_k_low.h"
