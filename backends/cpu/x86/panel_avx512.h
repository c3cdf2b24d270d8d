/* The products of AVX-512: see panel_vnni.h. */
#ifndef LOAM__CPU_PANEL_AVX512_H
#define LOAM__CPU_PANEL_AVX512_H

#include "lanes_avx512.h"

/* sum + the four products of each lane: unsigned bytes of w, signed ones of x. */
LOAM__INLINE ints add_products(ints sum, ints w, ints x)
{
    return _mm512_dpbusd_epi32(sum, w, x);
}

#include "panel_vnni.h"

#endif
