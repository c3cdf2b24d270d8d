#include "panel_avxvnni.h"
#include "unpack_lookup.h"
