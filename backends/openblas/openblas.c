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
    LOAM__CPU_FUNCTIONS,
    .device_info = device_info,
    .cache_get = cache_get,
};

LOAM_API const loam_backend *loam_backend_module(const loam_backend_core *core);

const loam_backend *loam_backend_module(const loam_backend_core *core)
{
    bool fits = core->abi_oldest <= LOAM_BACKEND_ABI && LOAM_BACKEND_ABI <= core->abi_version;
    return fits ? &backend : NULL;
}
