#include "shim.h"

#include "_cgo_export.h"

static void take_line(void *ctx, int32_t level, const char *text)
{
    loamGoLog((uintptr_t)ctx, level, (char *)text);
}

static int64_t tell_time(void *ctx)
{
    return loamGoClock((uintptr_t)ctx);
}

static int32_t read_bytes(void *ctx, uint64_t offset, void *buffer, size_t n)
{
    return loamGoRead((uintptr_t)ctx, offset, buffer, n);
}

void loam_go_hooks_init(loam_hooks *hooks, uintptr_t handle, int32_t log, int32_t clock)
{
    loam_hooks_init(hooks);
    if (log) {
        hooks->log = take_line;
        hooks->log_ctx = (void *)handle;
    }
    if (clock) {
        hooks->clock = tell_time;
        hooks->clock_ctx = (void *)handle;
    }
}

void loam_go_source_init(loam_source *source, uintptr_t handle, uint64_t size_bytes)
{
    loam_source_init(source);
    source->size_bytes = size_bytes;
    source->ctx = (void *)handle;
    source->read = read_bytes;
}
