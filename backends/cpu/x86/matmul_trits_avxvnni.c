#include "panel_avxvnni.h"
#include "unpack_trits.h"
