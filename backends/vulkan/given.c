/* A device that the host hands over: what include/loam/vulkan.h asks of its description. */
#include "vulkan.h"

static loam_status check_members(loam__vk *vk)
{
    const loam_vulkan *v = &vk->given;
    const struct {
        const char *name;
        const void *value;
    } members[] = {
        {"instance", v->instance},
        {"physical_device", v->physical_device},
        {"device", v->device},
        {"queue", v->queue},
        {"features", v->features},
        {"extensions", v->n_extensions ? (const void *)v->extensions : v},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!members[i].value)
            return loam__fail(&vk->base, LOAM_ERR_ARG, "loam_vulkan.%s is NULL", members[i].name);
    if (!v->lock != !v->unlock)
        return loam__fail(&vk->base, LOAM_ERR_ARG,
                          "one of loam_vulkan.lock and unlock is NULL; give both or neither");
    if (v->reserved) return loam__fail(&vk->base, LOAM_ERR_NEWER, "loam_vulkan.reserved is set");
    if (v->api_version < VK_API_VERSION_1_2)
        return loam__fail(&vk->base, LOAM_ERR_BACKEND,
                          "loam_vulkan.api_version is %u.%u; make the instance for 1.2 or later",
                          VK_API_VERSION_MAJOR(v->api_version),
                          VK_API_VERSION_MINOR(v->api_version));
    return LOAM_OK;
}

loam_status loam__vk_given_read(loam__vk *vk)
{
    loam_vulkan *v = &vk->given;
    loam_status st =
        loam__options_read(v, sizeof *v, LOAM__UP_TO(loam_vulkan, reserved), vk->host.native);
    if (st != LOAM_OK)
        return loam__fail(&vk->base, st,
                          "loam_vulkan: struct_size or a field is not of this version; call "
                          "loam_vulkan_init() first");
    if ((st = check_members(vk)) != LOAM_OK) return st;
    if (v->get_instance_proc_addr)
        vk->f.GetInstanceProcAddr =
            (PFN_vkGetInstanceProcAddr)(void (*)(void))v->get_instance_proc_addr;
    else if ((st = loam__vk_open_loader(vk)) != LOAM_OK) return st;
    const char *missing = loam__vk_calls_fill(&vk->f, LOAM__VK_INSTANCE, v->instance, NULL);
    if (!missing) return LOAM_OK;
    return loam__fail(&vk->base, LOAM_ERR_BACKEND, "the host's Vulkan instance has no %s", missing);
}
