/* For programs that are linked with the kernels of AVX2 with VNNI in the encoding of AVX-512: they
 * run where that set does. Takes the place of backends/cpu/x86/avxvnni.c. */
#include "backends/cpu/x86/avxvnni.h"

bool loam__avxvnni_present(void)
{
    return loam__cpu_avx512.present();
}
