/* What kernel files of every instruction set share. */
#ifndef LOAM__CPU_INLINE_H
#define LOAM__CPU_INLINE_H

#include "backends/cpu/kernels.h"
#include "lib/base/compiler.h"

/* Of a number of one of the float formats. */
LOAM__INLINE size_t type_bytes(loam_format type)
{
    return type == LOAM_TYPE_F32 ? 4 : 2;
}

#endif
