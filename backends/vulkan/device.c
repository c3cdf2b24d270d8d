/* Finding devices, opening and closing them. */
#include "vulkan.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/os.h"
#include "lib/quant/quant.h"

#define LOADER "libvulkan.so.1"

loam_status loam__vk_failed(loam__vk_device *d, VkResult result, const char *what)
{
    loam__base *b = &d->vk->base;
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY)
        return loam__fail(b, LOAM_ERR_NOMEM,
                          "%s: no memory for %s; place fewer layers there, or reduce the context",
                          d->name, what);
    d->lost = true;
    return loam__fail(b, LOAM_ERR_DEVICE,
                      "%s: %s failed (VkResult %d); free the model and load it "
                      "again, on another device if this repeats",
                      d->name, what, (int)result);
}

/* ---- what a device must have ---- */

typedef struct features {
    VkPhysicalDeviceFeatures2 all;
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT subgroup;
} features;

static void chain(features *f, bool subgroup)
{
    *f = (features){0};
    f->subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT;
    if (subgroup) f->v12.pNext = &f->subgroup;
    f->all.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    f->all.pNext = &f->v12;
    f->v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
}

static bool has_extension(const loam__vk_device *d, const char *name)
{
    VkExtensionProperties some[256];
    uint32_t n = sizeof some / sizeof *some;
    VkResult r = d->f.EnumerateDeviceExtensionProperties(d->physical, NULL, &n, some);
    if (r != VK_SUCCESS && r != VK_INCOMPLETE) return false;
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(some[i].extensionName, name) == 0) return true;
    return false;
}

/* A family of queues that computes; on discrete devices rather one that draws too, as those are
 * the fast ones. */
static bool find_family(loam__vk_device *d)
{
    VkQueueFamilyProperties families[16];
    uint32_t n = sizeof families / sizeof *families;
    d->f.GetPhysicalDeviceQueueFamilyProperties(d->physical, &n, families);
    for (d->family = 0; d->family < n; d->family++)
        if (families[d->family].queueFlags & VK_QUEUE_COMPUTE_BIT) return true;
    return false;
}

#define LEAST_TEXELS (1u << 24) /* of a view, so that a weight needs few */

/* What it lacks; NULL: nothing. Fills in what loam keeps of its properties. */
static const char *examine(loam__vk_device *d)
{
    VkPhysicalDeviceSubgroupSizeControlPropertiesEXT sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT};
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
    VkPhysicalDeviceMaintenance3Properties m3 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES, .pNext = &subgroup};
    VkPhysicalDeviceProperties2 p = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                     .pNext = &m3};
    d->f.GetPhysicalDeviceProperties(d->physical, &p.properties);
    snprintf(d->name, sizeof d->name, "%.63s", p.properties.deviceName);
    if (p.properties.apiVersion < VK_API_VERSION_1_2) return "Vulkan 1.2";
    const bool sized = has_extension(d, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    if (sized) subgroup.pNext = &sizes;
    d->f.GetPhysicalDeviceProperties2(d->physical, &p);
    d->f.GetPhysicalDeviceMemoryProperties(d->physical, &d->memory);
    d->type = p.properties.deviceType;
    d->max_allocation_bytes = m3.maxMemoryAllocationSize;
    d->max_invocations = p.properties.limits.maxComputeWorkGroupInvocations;
    if (d->type == VK_PHYSICAL_DEVICE_TYPE_CPU &&
        p.properties.limits.maxTexelBufferElements >= LEAST_TEXELS &&
        p.properties.limits.minTexelBufferOffsetAlignment <= 64)
        d->texels = p.properties.limits.maxTexelBufferElements;
    d->subgroup = subgroup.subgroupSize;
    d->has_budget = has_extension(d, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    features f;
    chain(&f, sized);
    d->f.GetPhysicalDeviceFeatures2(d->physical, &f.all);
    d->fixes_subgroup = sized && f.subgroup.subgroupSizeControl &&
                        (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
                        d->subgroup >= sizes.minSubgroupSize &&
                        d->subgroup <= sizes.maxSubgroupSize;
    if (!f.v12.bufferDeviceAddress) return "bufferDeviceAddress";
    if (!f.v12.timelineSemaphore) return "timelineSemaphore";
    const VkSubgroupFeatureFlags ops = VK_SUBGROUP_FEATURE_BASIC_BIT |
                                       VK_SUBGROUP_FEATURE_BALLOT_BIT |
                                       VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
    if ((subgroup.supportedOperations & ops) != ops || d->subgroup < 4 || d->subgroup > 64)
        return "arithmetic in subgroups of 4 to 64";
    return find_family(d) ? NULL : "a queue that computes";
}

/* ---- opening ---- */

static VkResult new_device(loam__vk_device *d)
{
    const float priority = 1;
    const char *extensions[2];
    uint32_t n = 0;
    if (d->has_budget) extensions[n++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    if (d->fixes_subgroup) extensions[n++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = d->family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    features f;
    chain(&f, d->fixes_subgroup);
    f.subgroup.subgroupSizeControl = VK_TRUE;
    f.v12.bufferDeviceAddress = VK_TRUE;
    f.v12.timelineSemaphore = VK_TRUE;
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = &f.all,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = n,
                               .ppEnabledExtensionNames = extensions};
    VkResult r = d->f.CreateDevice(d->physical, &info, NULL, &d->device);
    if (r != VK_SUCCESS) return r;
    if (loam__vk_calls_fill(&d->f, LOAM__VK_DEVICE_LEVEL, NULL, d->device)) {
        d->f.DestroyDevice(d->device, NULL);
        d->device = NULL;
        return VK_ERROR_INCOMPATIBLE_DRIVER;
    }
    d->f.GetDeviceQueue(d->device, d->family, 0, &d->queue);
    return r;
}

static VkResult new_commands(loam__vk_device *d)
{
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = d->family};
    VkResult r = d->f.CreateCommandPool(d->device, &pool, NULL, &d->pool);
    if (r != VK_SUCCESS) return r;
    VkCommandBufferAllocateInfo one = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                       .commandPool = d->pool,
                                       .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                       .commandBufferCount = 1};
    if ((r = d->f.AllocateCommandBuffers(d->device, &one, &d->once)) != VK_SUCCESS) return r;
    VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                      .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                       .pNext = &type};
    return d->f.CreateSemaphore(d->device, &semaphore, NULL, &d->timeline);
}

static VkResult new_layout(loam__vk_device *d)
{
    VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(loam__vk_push)};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &d->set_layout,
                                         .pushConstantRangeCount = 1,
                                         .pPushConstantRanges = &range};
    VkResult r = d->f.CreatePipelineLayout(d->device, &layout, NULL, &d->layout);
    return r == VK_SUCCESS ? loam__vk_cache_new(d) : r;
}

/* The grids as shaders/formats/grid.glsl expects them. */
static loam_status new_grids(loam__vk_device *d)
{
    const struct {
        const uint16_t *points;
        size_t n;
    } grids[] = {
        {loam__grid_iq1, 2048},   {loam__grid_iq2_xxs, 256}, {loam__grid_iq2_xs, 512},
        {loam__grid_iq2_s, 1024}, {loam__grid_iq3_xxs, 256}, {loam__grid_iq3_s, 512},
    };
    loam_status st = loam__vk_block_new(d, 4608 * sizeof(uint16_t), LOAM__VK_SHARED, &d->grids);
    uint16_t *to = (uint16_t *)(void *)d->grids.mapped;
    for (size_t i = 0; st == LOAM_OK && i < sizeof grids / sizeof *grids; to += grids[i++].n)
        memcpy(to, grids[i].points, grids[i].n * sizeof *to);
    return st;
}

/* MACs a millisecond, to begin with; what they are is measured. */
static double guess_speed(VkPhysicalDeviceType type)
{
    if (type == VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU) return 1e9;
    return type == VK_PHYSICAL_DEVICE_TYPE_CPU ? 1e6 : 1e8;
}

static loam_status open_device(loam__vk_device *d)
{
    VkResult r = new_device(d);
    if (r == VK_SUCCESS) r = new_commands(d);
    if (r == VK_SUCCESS) r = loam__vk_set_layout_new(d);
    if (r == VK_SUCCESS) r = new_layout(d);
    if (r != VK_SUCCESS) return loam__vk_failed(d, r, "opening it");
    d->macs_per_ms = guess_speed(d->type);
    loam_status st = new_grids(d);
    if (st == LOAM_OK) st = loam__vk_sets_new(d, &d->own_set, 1, &d->own_sets);
    const loam__vk_window none = {0};
    return st == LOAM_OK ? loam__vk_sets_add(d, &d->own_sets, none, none, &d->no_texels) : st;
}

static void close_device(loam__vk_device *d)
{
    if (!d) return;
    loam__base *b = &d->vk->base;
    if (d->device) {
        if (d->timeline && !d->lost) loam__vk_wait(d, d->submitted);
        for (uint32_t i = 0; i < d->n_pipelines; i++)
            d->f.DestroyPipeline(d->device, d->pipelines[i].pipeline, NULL);
        loam__vk_sets_free(d, &d->own_sets);
        loam__vk_block_free(d, &d->grids);
        loam__vk_block_free(d, &d->staging);
        d->f.DestroyPipelineCache(d->device, d->cache, NULL);
        d->f.DestroyPipelineLayout(d->device, d->layout, NULL);
        d->f.DestroyDescriptorSetLayout(d->device, d->set_layout, NULL);
        d->f.DestroySemaphore(d->device, d->timeline, NULL);
        d->f.DestroyCommandPool(d->device, d->pool, NULL);
        d->f.DestroyDevice(d->device, NULL);
    }
    loam__free(b, d);
}

/* A device that cannot be used is left out, with a line in the log. */
static loam_status add_device(loam__vk *vk, VkPhysicalDevice physical)
{
    loam__vk_device *d = loam__alloc(&vk->base, sizeof *d);
    if (!d) return LOAM_ERR_NOMEM;
    d->vk = vk;
    d->f = vk->f;
    d->physical = physical;
    const char *lacks = examine(d);
    if (lacks) {
        loam__log(&vk->base, LOAM_LOG_INFO, "vulkan: %s is left out: it lacks %s", d->name, lacks);
    } else if (open_device(d) != LOAM_OK) {
        loam__log(&vk->base, LOAM_LOG_WARN, "vulkan: left out: %s", vk->base.error);
    } else {
        vk->devices[vk->n_devices++] = d;
        return LOAM_OK;
    }
    close_device(d);
    return LOAM_OK;
}

/* The loader is opened when it is wanted: a machine without it has no Vulkan, but loam. */
static loam_status open_loader(loam__vk *vk)
{
    void (*function)(void);
    if (loam__library_open(&vk->base, LOADER, &vk->library) != LOAM_OK ||
        !loam__library_function(vk->library, "vkGetInstanceProcAddr", &function))
        return loam__fail(&vk->base, LOAM_ERR_BACKEND,
                          "the Vulkan loader " LOADER " cannot be opened; install it, or use the "
                          "CPU");
    vk->f.GetInstanceProcAddr = (PFN_vkGetInstanceProcAddr)function;
    return LOAM_OK;
}

static loam_status new_instance(loam__vk *vk)
{
    uint32_t version = 0;
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                     .pEngineName = "loam",
                                     .apiVersion = VK_API_VERSION_1_2};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pApplicationInfo = &application};
    if (loam__vk_calls_fill(&vk->f, LOAM__VK_GLOBAL, NULL, NULL) ||
        vk->f.EnumerateInstanceVersion(&version) != VK_SUCCESS || version < VK_API_VERSION_1_2)
        return loam__fail(&vk->base, LOAM_ERR_BACKEND,
                          "the Vulkan loader is older than 1.2; install a newer one");
    VkResult r = vk->f.CreateInstance(&info, NULL, &vk->instance);
    if (r == VK_SUCCESS && loam__vk_calls_fill(&vk->f, LOAM__VK_INSTANCE, vk->instance, NULL))
        r = VK_ERROR_INCOMPATIBLE_DRIVER;
    if (r == VK_SUCCESS) return LOAM_OK;
    if (r == VK_ERROR_OUT_OF_HOST_MEMORY)
        return loam__fail(&vk->base, LOAM_ERR_NOMEM, "no memory for a Vulkan instance");
    return loam__fail(&vk->base, LOAM_ERR_BACKEND,
                      "no Vulkan driver could be opened (VkResult %d); install one for the "
                      "graphics card, or use the CPU",
                      (int)r);
}

loam_status loam__vk_open(loam__vk *vk)
{
    VkPhysicalDevice found[LOAM__VK_DEVICES] = {0};
    uint32_t n = LOAM__VK_DEVICES;
    loam_status st = open_loader(vk);
    if (st == LOAM_OK) st = new_instance(vk);
    if (st != LOAM_OK) return st;
    VkResult r = vk->f.EnumeratePhysicalDevices(vk->instance, &n, found);
    if (r != VK_SUCCESS && r != VK_INCOMPLETE) n = 0;
    for (uint32_t i = 0; i < n && st == LOAM_OK; i++)
        st = add_device(vk, found[i]);
    if (st == LOAM_OK && vk->n_devices == 0)
        st = loam__fail(&vk->base, LOAM_ERR_BACKEND,
                        "none of the %u Vulkan devices can be used: loam wants Vulkan 1.2 with "
                        "buffer addresses and timeline semaphores",
                        n);
    return st;
}

void loam__vk_close(loam__vk *vk)
{
    while (vk->n_devices > 0)
        close_device(vk->devices[--vk->n_devices]);
    if (vk->instance && vk->f.DestroyInstance) vk->f.DestroyInstance(vk->instance, NULL);
    vk->instance = NULL;
    loam__library_close(vk->library);
    vk->library = NULL;
}
