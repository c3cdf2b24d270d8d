/* The kernels of AVX2 with VNNI, for the table in isa.c. Contracts: kernels.h. */
#ifndef LOAM__CPU_AVXVNNI_H
#define LOAM__CPU_AVXVNNI_H

#include "vnni.h"

bool loam__avxvnni_present(void);

LOAM__VNNI_KERNELS(avxvnni);

#endif
