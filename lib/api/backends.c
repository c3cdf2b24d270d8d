#include <string.h>

#include "handle.h"

extern const loam_backend loam__backend_cpu;

static const loam_backend *const built_in[] = {&loam__backend_cpu};

loam_status loam__backend_find(loam__base *b, const char *name, const loam_backend **backend)
{
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) {
        *backend = built_in[i];
        if (!name || !*name || strcmp(name, built_in[i]->name) == 0) return LOAM_OK;
    }
    *backend = NULL;
    return loam__fail(b, LOAM_ERR_BACKEND,
                      "there is no backend \"%.32s\" in this version; it has \"cpu\"", name);
}

static void fail(void *ctx, const char *text)
{
    loam__fail(ctx, LOAM_ERR_BACKEND, "%s", text);
}

loam_status loam__backend_open(loam__base *b, const loam_backend *backend, const loam_options *o,
                               loam_backend_host *host, void **self)
{
    if (backend->abi_version < LOAM_BACKEND_ABI_OLDEST || backend->abi_version > LOAM_BACKEND_ABI)
        return loam__fail(b, LOAM_ERR_BACKEND, "the backend %s is of ABI %u; this version takes %u",
                          backend->name, backend->abi_version, LOAM_BACKEND_ABI);
    *host = (loam_backend_host){
        .struct_size = sizeof *host,
        .threads = o->threads,
        .hooks = &b->hooks,
        .isa = o->isa ? o->isa : "",
        .fail = fail,
        .fail_ctx = b,
    };
    return backend->open(host, self);
}
