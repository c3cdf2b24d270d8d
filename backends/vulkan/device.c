/* Finding devices, opening and closing them. */
#include "vulkan.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/os.h"
#include "lib/quant/quant.h"

#define LOADER "libvulkan.so.1"

static bool is_memory(VkResult r)
{
    return r == VK_ERROR_OUT_OF_DEVICE_MEMORY || r == VK_ERROR_OUT_OF_HOST_MEMORY ||
           r == VK_ERROR_MEMORY_MAP_FAILED || r == VK_ERROR_TOO_MANY_OBJECTS ||
           r == VK_ERROR_OUT_OF_POOL_MEMORY || r == VK_ERROR_FRAGMENTED_POOL;
}

loam_status loam__vk_failed(loam__vk_device *d, VkResult result, const char *what)
{
    loam__base *b = &d->vk->base;
    if (is_memory(result))
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

/* Where a feature that the host has switched on may stand in its chain, and where in ours. */
/* clang-format off */
static const struct {
    VkStructureType type;
    size_t from, to;
} places[] = {
    { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
      offsetof(VkPhysicalDeviceVulkan12Features, bufferDeviceAddress),
      offsetof(features, v12.bufferDeviceAddress) },
    { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES,
      offsetof(VkPhysicalDeviceBufferDeviceAddressFeatures, bufferDeviceAddress),
      offsetof(features, v12.bufferDeviceAddress) },
    { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
      offsetof(VkPhysicalDeviceVulkan12Features, timelineSemaphore),
      offsetof(features, v12.timelineSemaphore) },
    { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
      offsetof(VkPhysicalDeviceTimelineSemaphoreFeatures, timelineSemaphore),
      offsetof(features, v12.timelineSemaphore) },
    { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES,
      offsetof(VkPhysicalDeviceVulkan13Features, subgroupSizeControl),
      offsetof(features, subgroup.subgroupSizeControl) },
    { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT,
      offsetof(VkPhysicalDeviceSubgroupSizeControlFeaturesEXT, subgroupSizeControl),
      offsetof(features, subgroup.subgroupSizeControl) },
};
/* clang-format on */

/* What the device offers; of a host's device what is switched on. */
static void read_features(const loam__vk_device *d, features *f, bool subgroup)
{
    chain(f, subgroup);
    if (!d->vk->host.native) {
        d->f.GetPhysicalDeviceFeatures2(d->physical, &f->all);
        return;
    }
    for (const VkBaseInStructure *s = d->vk->given.features; s; s = s->pNext)
        for (size_t i = 0; i < sizeof places / sizeof *places; i++)
            if (s->sType == places[i].type)
                memcpy((char *)f + places[i].to, (const char *)s + places[i].from,
                       sizeof(VkBool32));
}

/* Whether the device offers it; of a host's device whether it is enabled. */
static bool has_extension(const loam__vk_device *d, const char *name)
{
    const loam_vulkan *given = &d->vk->given;
    for (uint32_t i = 0; i < given->n_extensions; i++)
        if (strcmp(given->extensions[i], name) == 0) return true;
    if (d->vk->host.native) return false;
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
    d->family = d->vk->given.queue_family;
    if (d->vk->host.native && d->family < n) n = d->family + 1; /* that one or none */
    for (; d->family < n; d->family++)
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
    const bool sized = has_extension(d, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME) ||
                       d->vk->given.api_version >= VK_API_VERSION_1_3;
    if (sized) subgroup.pNext = &sizes;
    d->f.GetPhysicalDeviceProperties2(d->physical, &p);
    d->f.GetPhysicalDeviceMemoryProperties(d->physical, &d->memory);
    d->type = p.properties.deviceType;
    d->max_allocation_bytes = m3.maxMemoryAllocationSize;
    if (d->type == VK_PHYSICAL_DEVICE_TYPE_CPU &&
        p.properties.limits.maxTexelBufferElements >= LEAST_TEXELS &&
        p.properties.limits.minTexelBufferOffsetAlignment <= 64)
        d->texels = p.properties.limits.maxTexelBufferElements;
    d->subgroup = subgroup.subgroupSize;
    d->has_budget = has_extension(d, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    features f;
    read_features(d, &f, sized);
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

static VkResult new_device(const loam__vk_device *d, VkDevice *device)
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
    return d->f.CreateDevice(d->physical, &info, NULL, device);
}

/* The host's, or one of our own. */
static loam_status get_device(loam__vk_device *d)
{
    const loam_vulkan *given = &d->vk->given;
    VkDevice device = given->device;
    VkResult r = device ? VK_SUCCESS : new_device(d, &device);
    if (r != VK_SUCCESS) return loam__vk_failed(d, r, "opening it");
    const char *missing = loam__vk_calls_fill(&d->f, LOAM__VK_DEVICE_LEVEL, NULL, device);
    if (missing) {
        if (!given->device) d->f.DestroyDevice(device, NULL);
        return loam__fail(&d->vk->base, LOAM_ERR_BACKEND, "%s has no %s", d->name, missing);
    }
    d->device = device;
    d->queue = given->queue;
    if (!given->device) d->f.GetDeviceQueue(device, d->family, 0, &d->queue);
    return LOAM_OK;
}

static VkResult new_commands(loam__vk_device *d)
{
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                    .queueFamilyIndex = d->family};
    VkCommandPool new_pool; /* what a failed call puts there is nobody's */
    VkResult r = d->f.CreateCommandPool(d->device, &pool, NULL, &new_pool);
    if (r != VK_SUCCESS) return r;
    d->pool = new_pool;
    VkCommandBufferAllocateInfo one = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                       .commandPool = d->pool,
                                       .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                       .commandBufferCount = 1};
    if ((r = d->f.AllocateCommandBuffers(d->device, &one, &d->once)) != VK_SUCCESS) return r;
    VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                      .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                       .pNext = &type};
    VkSemaphore timeline;
    r = d->f.CreateSemaphore(d->device, &semaphore, NULL, &timeline);
    if (r == VK_SUCCESS) d->timeline = timeline;
    return r;
}

static VkResult new_layout(loam__vk_device *d)
{
    VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(loam__vk_push)};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &d->set_layout,
                                         .pushConstantRangeCount = 1,
                                         .pPushConstantRanges = &range};
    VkPipelineLayout new_layout;
    VkResult r = d->f.CreatePipelineLayout(d->device, &layout, NULL, &new_layout);
    if (r != VK_SUCCESS) return r;
    d->layout = new_layout;
    return loam__vk_cache_new(d);
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
    const char *lacks = examine(d);
    if (lacks)
        return loam__fail(&d->vk->base, LOAM_ERR_BACKEND, "%s%s lacks %s", d->name,
                          d->vk->host.native ? ", as loam_vulkan describes it," : "", lacks);
    loam_status st = get_device(d);
    if (st != LOAM_OK) return st;
    VkResult r = new_commands(d);
    if (r == VK_SUCCESS) r = loam__vk_set_layout_new(d);
    if (r == VK_SUCCESS) r = new_layout(d);
    if (r != VK_SUCCESS) return loam__vk_failed(d, r, "opening it");
    d->macs_per_ms = guess_speed(d->type);
    st = new_grids(d);
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
        if (!d->vk->host.native) d->f.DestroyDevice(d->device, NULL);
    }
    loam__free(b, d);
}

/* One more, which is not open yet. */
static loam_status add_device(loam__vk *vk, VkPhysicalDevice physical)
{
    loam__vk_device *d = loam__alloc(&vk->base, sizeof *d);
    if (!d) return LOAM_ERR_NOMEM;
    d->vk = vk;
    d->f = vk->f;
    d->physical = physical;
    vk->devices[vk->n_devices++] = d;
    return LOAM_OK;
}

/* The loader is opened when it is wanted: a machine without it has no Vulkan, but loam. */
loam_status loam__vk_open_loader(loam__vk *vk)
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
    VkInstance instance;
    VkResult r = vk->f.CreateInstance(&info, NULL, &instance);
    if (r == VK_SUCCESS && loam__vk_calls_fill(&vk->f, LOAM__VK_INSTANCE, instance, NULL)) {
        if (vk->f.DestroyInstance) vk->f.DestroyInstance(instance, NULL);
        r = VK_ERROR_INCOMPATIBLE_DRIVER;
    }
    if (r == VK_SUCCESS) {
        vk->instance = instance;
        return LOAM_OK;
    }
    if (r == VK_ERROR_OUT_OF_HOST_MEMORY)
        return loam__fail(&vk->base, LOAM_ERR_NOMEM, "no memory for a Vulkan instance");
    return loam__fail(&vk->base, LOAM_ERR_BACKEND,
                      "no Vulkan driver could be opened (VkResult %d); install one for the "
                      "graphics card, or use the CPU",
                      (int)r);
}

/* All that can be used; another is left out, with a line in the log. */
static loam_status add_devices(loam__vk *vk)
{
    VkPhysicalDevice found[LOAM__VK_DEVICES] = {0};
    uint32_t n = LOAM__VK_DEVICES;
    char why[sizeof vk->base.error] = "no driver offers any";
    VkResult r = vk->f.EnumeratePhysicalDevices(vk->instance, &n, found);
    if (r != VK_SUCCESS && r != VK_INCOMPLETE) n = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (add_device(vk, found[i]) != LOAM_OK) return LOAM_ERR_NOMEM;
        if (open_device(vk->devices[vk->n_devices - 1]) == LOAM_OK) continue;
        memcpy(why, vk->base.error, sizeof why);
        loam__log(&vk->base, LOAM_LOG_WARN, "vulkan: left out: %s", why);
        close_device(vk->devices[--vk->n_devices]);
    }
    if (vk->n_devices > 0) return LOAM_OK;
    return loam__fail(&vk->base, LOAM_ERR_BACKEND, "no Vulkan device can be used: %.400s", why);
}

loam_status loam__vk_open(loam__vk *vk)
{
    loam_status st;
    if (vk->host.native) {
        st = loam__vk_given_read(vk);
        if (st == LOAM_OK) st = add_device(vk, vk->given.physical_device);
        return st == LOAM_OK ? open_device(vk->devices[0]) : st;
    }
    st = loam__vk_open_loader(vk);
    if (st == LOAM_OK) st = new_instance(vk);
    return st == LOAM_OK ? add_devices(vk) : st;
}

void loam__vk_close(loam__vk *vk)
{
    while (vk->n_devices > 0)
        close_device(vk->devices[--vk->n_devices]);
    if (vk->instance) vk->f.DestroyInstance(vk->instance, NULL);
    loam__library_close(vk->library);
}
