/* Types of the headers that no function of the library takes: those of modules, and the host's own
 * device. As a shared object with debugging information they can be described like the library. */
#include <loam/backend.h>
#include <loam/vulkan.h>

LOAM_API loam_backend_module_fn loam_backend_module;
const loam_backend *loam_backend_module(const loam_backend_core *core)
{
    return core->cpu;
}

LOAM_API const loam_value *loam_abi_value(const loam_graph *graph);
const loam_value *loam_abi_value(const loam_graph *graph)
{
    return loam_graph_value(graph, 0);
}

LOAM_API void *loam_abi_device(const loam_vulkan *vulkan);
void *loam_abi_device(const loam_vulkan *vulkan)
{
    return vulkan->device;
}
