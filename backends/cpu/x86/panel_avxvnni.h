/* The products of AVX2 with VNNI: see panel_vnni.h. */
#ifndef LOAM__CPU_PANEL_AVXVNNI_H
#define LOAM__CPU_PANEL_AVXVNNI_H

#include "avxvnni.h"
#include "lanes_avx2.h"

#undef LOAM__KERNEL
#define LOAM__KERNEL(name) loam__avxvnni_##name

/* sum + the four products of each lane: unsigned bytes of w, signed ones of x. AVX-512 has the same
 * instruction in another encoding, with which the tests run these kernels on CPUs without AVX-VNNI.
 */
LOAM__INLINE ints add_products(ints sum, ints w, ints x)
{
#ifdef __AVXVNNI__
    return _mm256_dpbusd_avx_epi32(sum, w, x);
#else
    return _mm256_dpbusd_epi32(sum, w, x);
#endif
}

#include "panel_vnni.h"

#endif
