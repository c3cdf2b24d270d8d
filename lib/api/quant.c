#include <loam/quant.h>

#include "lib/quant/quant.h"

loam_status loam_format_describe(loam_format type, loam_format_info *info)
{
    const loam__format *f = loam__format_find(type);
    loam_format_info known;
    if (!info) return LOAM_ERR_ARG;
    if (!f) return LOAM_ERR_TENSOR_TYPE;
    loam_format_info_init(&known);
    known.type = f->type;
    known.block_values = f->block_values;
    known.block_bytes = f->block_bytes;
    known.name = f->name;
    return loam__options_write(info, LOAM__UP_TO(loam_format_info, reserved), &known, sizeof known);
}

loam_status loam_quant_decode(loam_format type, const void *blocks, float *values, size_t n)
{
    const loam__format *f = loam__format_find(type);
    uint64_t bytes;
    if (!f) return LOAM_ERR_TENSOR_TYPE;
    if (!loam__format_row_bytes(f, n, &bytes) || bytes != (size_t)bytes) return LOAM_ERR_ARG;
    if (n == 0) return LOAM_OK;
    if (!blocks || !values) return LOAM_ERR_ARG;
    f->decode(blocks, values, n);
    return LOAM_OK;
}
