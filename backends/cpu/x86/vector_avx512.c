/* What is done number by number, where the width pays. */
#include "floats_avx512.h"

#include "backends/cpu/elementwise.h"
