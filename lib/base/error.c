#include "base.h"

#include <stdio.h>

loam_status loam__fail(loam__base *b, loam_status status, const char *format, ...)
{
    va_list args;
    if (!b) return status;
    va_start(args, format);
    vsnprintf(b->error, sizeof b->error, format, args);
    va_end(args);
    return status;
}

void loam__log(loam__base *b, int32_t level, const char *format, ...)
{
    char line[512];
    va_list args;
    if (!b || !b->hooks.log) return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    b->hooks.log(b->hooks.log_ctx, level, line);
}

const char *loam_status_name(loam_status status)
{
    static const char *const names[] = {
        "LOAM_OK",
        "LOAM_ERR_ARG",
        "LOAM_ERR_NEWER",
        "LOAM_ERR_NOMEM",
        "LOAM_ERR_IO",
        "LOAM_ERR_NOT_FOUND",
        "LOAM_ERR_DIRECTORY",
        "LOAM_ERR_EMPTY",
        "LOAM_ERR_MAGIC",
        "LOAM_ERR_VERSION",
        "LOAM_ERR_ENDIAN",
        "LOAM_ERR_TRUNCATED",
        "LOAM_ERR_CORRUPT",
        "LOAM_ERR_LIMIT",
        "LOAM_ERR_ARCH",
        "LOAM_ERR_METADATA",
        "LOAM_ERR_TENSOR_MISSING",
        "LOAM_ERR_TENSOR_SHAPE",
        "LOAM_ERR_TENSOR_TYPE",
        "LOAM_ERR_TOKENIZER",
        "LOAM_ERR_TEMPLATE",
        "LOAM_ERR_JSON",
        "LOAM_ERR_NOFIT",
        "LOAM_ERR_FULL",
        "LOAM_ERR_TOKEN",
        "LOAM_ERR_SEQ",
        "LOAM_ERR_BUFFER",
        "LOAM_ERR_STATE",
        "LOAM_ERR_CANCELLED",
        "LOAM_ERR_DEADLINE",
        "LOAM_ERR_DEVICE",
        "LOAM_ERR_BACKEND",
        "LOAM_ERR_UNSUPPORTED",
        "LOAM_ERR_INTERNAL",
        "LOAM_ERR_FOREIGN",
    };
    if (status > 0 || status < -(int32_t)(sizeof names / sizeof *names) + 1)
        return "unknown status";
    return names[-status];
}
