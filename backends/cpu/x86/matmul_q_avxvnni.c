#include "panel_avxvnni.h"

#include "backends/cpu/unpack_q.h"
