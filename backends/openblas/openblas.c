/* The module's table: the CPU backend's, but for what open(), close() and device_info() add. */
#include "openblas.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORCED "blas" /* in options.isa, alone or with a colon and an instruction set */

static const loam_backend *const cpu = &loam__backend_cpu;

/* ---- opening ---- */

/* The threads that OpenBLAS was built for have a buffer each at least. */
static uint32_t most_inside(void)
{
    static const char field[] = "MAX_THREADS=";
    const char *at = strstr(openblas_get_config(), field);
    const long n = at ? strtol(at + strlen(field), NULL, 10) : (long)OPENBLAS_INSIDE;
    return n < 1 ? 1 : n < (long)OPENBLAS_INSIDE ? (uint32_t)n : OPENBLAS_INSIDE;
}

static void openblas_close(void *self)
{
    openblas *o = self;
    if (o && o->has_cond) loam__cond_destroy(&o->left);
    if (o && o->has_mutex) loam__mutex_destroy(&o->mutex);
    cpu->close(o);
}

/* Builds without threads mostly have no locks either, and two callers are given one buffer: so is
 * Debian's libopenblas0-serial 0.3.21, whose results are then wrong. */
static loam_status check_library(const loam_backend_host *host)
{
    if (openblas_get_parallel() != OPENBLAS_SEQUENTIAL) return LOAM_OK;
    if (host->fail)
        host->fail(
            host->fail_ctx,
            "this OpenBLAS was built without threads, so that not even two callers can share "
            "it; install one with threads, such as Debian's libopenblas0-pthread");
    return LOAM_ERR_BACKEND;
}

static loam_status openblas_open(const loam_backend_host *host, void **self)
{
    const char *isa = host->isa ? host->isa : "";
    const size_t n = strlen(FORCED);
    const bool always = strncmp(isa, FORCED, n) == 0 && (isa[n] == ':' || !isa[n]);
    loam_backend_host kernels = *host;
    if (always) kernels.isa = isa + n + (isa[n] == ':');
    *self = NULL;
    loam_status st = check_library(host);
    if (st != LOAM_OK || (st = loam__cpu_open(&kernels, sizeof(openblas), self)) != LOAM_OK)
        return st;
    openblas *o = *self;
    o->always = always;
    o->most_inside = most_inside();
    o->cpu.products = &loam__openblas_products;
    o->has_mutex = loam__mutex_init(&o->mutex);
    o->has_cond = loam__cond_init(&o->left);
    if (!o->has_mutex || !o->has_cond) {
        if (host->fail) host->fail(host->fail_ctx, "the system gave no mutex for OpenBLAS");
        openblas_close(o);
        *self = NULL;
        return LOAM_ERR_NOMEM;
    }
    loam__openblas_recall(o, host->cache, host->cache_bytes);
    if (openblas_get_num_threads() != 1) openblas_set_num_threads(1);
    loam__log(&o->cpu.base, LOAM_LOG_INFO, "%s, kernels for %s", openblas_get_config(),
              openblas_get_corename());
    return LOAM_OK;
}

static loam_status device_info(void *self, uint32_t device, loam_device_info *info)
{
    loam_status st = cpu->device_info(self, device, info);
    if (st == LOAM_OK) snprintf(info->name, sizeof info->name, "openblas");
    return st;
}

/* ---- the rest is the CPU backend's ---- */

static uint32_t device_count(void *self)
{
    return cpu->device_count(self);
}

static int32_t supports(void *self, uint32_t device, const loam_graph *graph, const loam_node *node)
{
    return cpu->supports(self, device, graph, node);
}

static loam_status measure(void *self, uint32_t device, const loam_graph *graph, uint32_t first,
                           uint32_t n, loam_piece_memory *memory)
{
    return cpu->measure(self, device, graph, first, n, memory);
}

static loam_status arena_new(void *self, uint32_t device, int32_t kind, uint64_t bytes,
                             const void *memory, void **arena)
{
    return cpu->arena_new(self, device, kind, bytes, memory, arena);
}

static void arena_free(void *self, void *arena)
{
    cpu->arena_free(self, arena);
}

static loam_status upload(void *self, void *arena, uint64_t offset, const void *bytes, uint64_t n)
{
    return cpu->upload(self, arena, offset, bytes, n);
}

static int32_t reorders(void *self, uint32_t device, const loam_value *weight)
{
    return cpu->reorders(self, device, weight);
}

static loam_status upload_rows(void *self, const loam_value *weight, void *arena, uint64_t first,
                               uint64_t n, const void *bytes)
{
    return cpu->upload_rows(self, weight, arena, first, n, bytes);
}

static loam_status download(void *self, void *arena, uint64_t offset, void *bytes, uint64_t n)
{
    return cpu->download(self, arena, offset, bytes, n);
}

static void *arena_memory(void *self, void *arena)
{
    return cpu->arena_memory(self, arena);
}

static loam_status copy_row(void *self, const loam_value *value, void *arena, uint64_t from,
                            uint64_t to)
{
    return cpu->copy_row(self, value, arena, from, to);
}

static loam_status compile(void *self, uint32_t device, const loam_graph *graph, uint32_t first,
                           uint32_t n, void *const *arenas, uint32_t n_arenas, void *scratch,
                           void **program)
{
    return cpu->compile(self, device, graph, first, n, arenas, n_arenas, scratch, program);
}

static void program_free(void *self, void *program)
{
    cpu->program_free(self, program);
}

static loam_status run(void *self, void *program, const loam_step *step, uint64_t *position)
{
    return cpu->run(self, program, step, position);
}

static loam_status cache_get(void *self, void *bytes, uint64_t capacity, uint64_t *n)
{
    const openblas *o = self;
    bool held = false;
    for (size_t i = 0; i < OPENBLAS_TYPES; i++)
        held |= o->verdicts.format[i] != 0;
    *n = held ? sizeof o->verdicts : 0;
    if (held && bytes && capacity >= *n) memcpy(bytes, &o->verdicts, sizeof o->verdicts);
    return LOAM_OK;
}

static const loam_backend backend = {
    .struct_size = sizeof(loam_backend),
    .abi_version = LOAM_BACKEND_ABI,
    .name = "openblas",
    .open = openblas_open,
    .close = openblas_close,
    .device_count = device_count,
    .device_info = device_info,
    .supports = supports,
    .measure = measure,
    .arena_new = arena_new,
    .arena_free = arena_free,
    .upload = upload,
    .reorders = reorders,
    .upload_rows = upload_rows,
    .download = download,
    .arena_memory = arena_memory,
    .copy_row = copy_row,
    .compile = compile,
    .program_free = program_free,
    .run = run,
    .cache_get = cache_get,
};

LOAM_API const loam_backend *loam_backend_module(const loam_backend_core *core);

const loam_backend *loam_backend_module(const loam_backend_core *core)
{
    bool fits = core->abi_oldest <= LOAM_BACKEND_ABI && LOAM_BACKEND_ABI <= core->abi_version;
    return fits ? &backend : NULL;
}
