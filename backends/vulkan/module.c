/* The vtable, and the one function that the module exports. */
#include "vulkan.h"

#include <stdio.h>
#include <string.h>

/* Hand the sentence of a failure on to the core. */
static loam_status report(const loam__vk *vk, loam_status st)
{
    if (st != LOAM_OK && vk->host.fail) vk->host.fail(vk->host.fail_ctx, vk->base.error);
    return st;
}

static void backend_close(void *self)
{
    loam__vk *vk = self;
    if (!vk) return;
    loam__vk_close(vk);
    loam__base b = vk->base;
    loam__free(&b, vk);
}

static loam_status backend_open(const loam_backend_host *host, void **self)
{
    loam__base b;
    loam_status st = loam__base_init(&b, host->hooks);
    *self = NULL;
    loam__vk *vk = st == LOAM_OK ? loam__alloc(&b, sizeof *vk) : NULL;
    if (!vk) {
        if (host->fail) host->fail(host->fail_ctx, b.error);
        return st != LOAM_OK ? st : LOAM_ERR_NOMEM;
    }
    vk->base = b;
    vk->host = *host;
    vk->staged = host->isa && strcmp(host->isa, "staged") == 0;
    if ((st = loam__vk_open(vk)) != LOAM_OK) {
        report(vk, st);
        backend_close(vk);
        return st;
    }
    vk->host.cache = NULL; /* was lent for this call */
    *self = vk;
    return LOAM_OK;
}

static uint32_t backend_device_count(void *self)
{
    return ((const loam__vk *)self)->n_devices;
}

static loam__vk_device *device_at(void *self, uint32_t device)
{
    loam__vk *vk = self;
    return device < vk->n_devices ? vk->devices[device] : NULL;
}

/* Roughly, of devices of these years: enough to tell placement which is the faster. */
static void guess_speeds(VkPhysicalDeviceType type, loam_device_info *info)
{
    const bool discrete = type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    const bool software = type == VK_PHYSICAL_DEVICE_TYPE_CPU;
    info->read_bytes_s = discrete ? 400e9 : software ? 2e9 : 60e9;
    info->link_bytes_s = discrete ? 12e9 : software ? 10e9 : 30e9;
    info->accelerator = discrete || type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
}

static loam_status backend_device_info(void *self, uint32_t device, loam_device_info *info)
{
    const loam__vk_device *d = device_at(self, device);
    if (!d) return LOAM_ERR_ARG;
    info->host_memory = 0;
    info->available_bytes = loam__vk_available(d, &info->memory_bytes);
    snprintf(info->name, sizeof info->name, "%s", d->name);
    snprintf(info->isa, sizeof info->isa, "vulkan");
    guess_speeds(d->type, info);
    return LOAM_OK;
}

static int32_t backend_supports(void *self, uint32_t device, const loam_graph *graph,
                                const loam_node *node)
{
    loam__vk_device *d = device_at(self, device);
    return d && loam__vk_supports(d, graph, node);
}

static loam_status backend_measure(void *self, uint32_t device, const loam_graph *graph,
                                   uint32_t first, uint32_t n, loam_piece_memory *memory)
{
    loam__vk_device *d = device_at(self, device);
    return d ? report(self, loam__vk_measure(d, graph, first, n, memory)) : LOAM_ERR_ARG;
}

static loam_status backend_arena_new(void *self, uint32_t device, int32_t kind, uint64_t bytes,
                                     const void *memory, void **arena)
{
    loam__vk *vk = self;
    loam__vk_device *d = device_at(self, device);
    loam__vk_arena *a = NULL;
    (void)memory;
    *arena = NULL;
    if (!d) return LOAM_ERR_ARG;
    if (kind == LOAM_ARENA_WEIGHTS_MAPPED)
        return report(vk, loam__fail(&vk->base, LOAM_ERR_UNSUPPORTED,
                                     "%s does not read weights where the file is mapped; load "
                                     "without LOAM_LOAD_MAP",
                                     d->name));
    loam_status st = loam__vk_arena_new(d, kind, bytes, &a);
    *arena = a;
    return report(vk, st);
}

static void backend_arena_free(void *self, void *arena)
{
    (void)self;
    loam__vk_arena_free(arena);
}

static loam_status backend_upload(void *self, void *arena, uint64_t offset, const void *bytes,
                                  uint64_t n)
{
    return report(self, loam__vk_write(arena, offset, bytes, n));
}

static int32_t backend_reorders(void *self, uint32_t device, const loam_value *weight)
{
    return device_at(self, device) && loam__vk_layout_find(weight->type);
}

static loam_status backend_upload_rows(void *self, const loam_value *weight, void *arena,
                                       uint64_t first, uint64_t n, const void *bytes)
{
    if (first > weight->rows || n > weight->rows - first || first % LOAM__VK_GROUP != 0)
        return LOAM_ERR_ARG;
    return report(self, loam__vk_write_rows(arena, weight, first, n, bytes));
}

static loam_status backend_download(void *self, void *arena, uint64_t offset, void *bytes,
                                    uint64_t n)
{
    return report(self, loam__vk_read(arena, offset, bytes, n));
}

static void *backend_arena_memory(void *self, void *arena)
{
    (void)self;
    return loam__vk_arena_memory(arena);
}

static loam_status backend_copy_row(void *self, const loam_value *value, void *arena, uint64_t from,
                                    uint64_t to)
{
    return report(self, loam__vk_copy(arena, value->offset + from * value->row_bytes,
                                      value->offset + to * value->row_bytes, value->row_bytes));
}

static loam_status backend_compile(void *self, uint32_t device, const loam_graph *graph,
                                   uint32_t first, uint32_t n, void *const *arenas,
                                   uint32_t n_arenas, void *scratch, void **program)
{
    loam__vk_device *d = device_at(self, device);
    (void)n_arenas;
    *program = NULL;
    if (!d) return LOAM_ERR_ARG;
    return report(self, loam__vk_compile(d, graph, first, n, arenas, scratch, program));
}

static void backend_program_free(void *self, void *program)
{
    loam__vk_program_free(self, program);
}

static loam_status backend_run(void *self, void *program, const loam_step *step, uint64_t *position)
{
    loam_status st = loam__vk_run(program, step, position);
    return st == LOAM_ERR_DEVICE || st == LOAM_ERR_NOMEM ? report(self, st) : st;
}

static loam_status backend_cache_get(void *self, void *bytes, uint64_t capacity, uint64_t *n)
{
    return report(self, loam__vk_cache_get(self, bytes, capacity, n));
}

static const loam_backend backend = {
    .struct_size = sizeof(loam_backend),
    .abi_version = LOAM_BACKEND_ABI,
    .name = "vulkan",
    .open = backend_open,
    .close = backend_close,
    .device_count = backend_device_count,
    .device_info = backend_device_info,
    .supports = backend_supports,
    .measure = backend_measure,
    .arena_new = backend_arena_new,
    .arena_free = backend_arena_free,
    .upload = backend_upload,
    .reorders = backend_reorders,
    .upload_rows = backend_upload_rows,
    .download = backend_download,
    .arena_memory = backend_arena_memory,
    .copy_row = backend_copy_row,
    .compile = backend_compile,
    .program_free = backend_program_free,
    .run = backend_run,
    .cache_get = backend_cache_get,
};

loam_backend_module_fn loam_backend_module;

LOAM_API const loam_backend *loam_backend_module(const loam_backend_core *core)
{
    const bool fits =
        core && core->abi_oldest <= LOAM_BACKEND_ABI && core->abi_version >= LOAM_BACKEND_ABI;
    return fits ? &backend : NULL;
}
