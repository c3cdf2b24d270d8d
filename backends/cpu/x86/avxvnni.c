/* Whether this CPU runs the kernels of AVX2 with VNNI; in a file of its own, which the tests of
 * these kernels in their other encoding replace. Built without their flags. */
#include "avxvnni.h"

#include <cpuid.h>

/* What client CPUs since 2021 have, most of them without AVX-512. */
bool loam__avxvnni_present(void)
{
    unsigned a, b, c, d;
    return loam__cpu_avx2.present() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & bit_AVXVNNI);
}
