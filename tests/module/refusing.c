/* A module that works with no core. */
#include <loam/backend.h>
#include <stddef.h>

LOAM_API loam_backend_module_fn loam_backend_module;

const loam_backend *loam_backend_module(const loam_backend_core *core)
{
    (void)core;
    return NULL;
}
