/* quant.h - GGUF number formats: describe and decode them.
 *
 * A format packs block_values numbers into block_bytes bytes; a row of a tensor is a whole number
 * of blocks. Source: the block layouts of GGUF tensor types (gguf specification), little-endian. */
#ifndef LOAM_QUANT_H
#define LOAM_QUANT_H

#include <loam/loam.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct loam_format_info {
    uint32_t struct_size; /* set by loam_format_info_init() */
    loam_format type;     /* LOAM_TYPE_* */
    uint32_t block_values;
    uint32_t block_bytes;
    const char *name; /* "Q4_K"; lives as long as the library */
    void *reserved;   /* NULL */
} loam_format_info;   /* 0.1 ends here */

LOAM_API void loam_format_info_init(loam_format_info *info);

/* Describe a format.
 * info     filled up to its struct_size
 * Errors   LOAM_ERR_ARG, LOAM_ERR_TENSOR_TYPE (loam does not know it)
 * Threads  any
 * Since    0.1 */
LOAM_API loam_status loam_format_describe(loam_format type, loam_format_info *info);

/* Decode n numbers, a multiple of the format's block_values. Blocks with NaN or infinite scales
 * give defined values.
 *
 * blocks   borrowed; n / block_values * block_bytes bytes, any alignment
 * values   float[n]
 * Errors   LOAM_ERR_ARG, LOAM_ERR_TENSOR_TYPE
 * Threads  any
 * Since    0.1 */
LOAM_API loam_status loam_quant_decode(loam_format type, const void *blocks, float *values,
                                       size_t n);

#ifdef __cplusplus
}
#endif
#endif
