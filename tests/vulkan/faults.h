/* A layer between loam and Vulkan that counts what is made and not destroyed, and lets a call fail.
 * It stands where a host's vkGetInstanceProcAddr does; one thread at a time. */
#ifndef LOAM_TEST_VULKAN_FAULTS_H
#define LOAM_TEST_VULKAN_FAULTS_H

#include <stdbool.h>
#include <vulkan/vulkan.h>

#include "test.h"

typedef enum fault_kind {
    RUNS_OUT, /* from the n-th call that can fail on none finds memory */
    IS_LOST,  /* from the n-th submission or wait on the device is lost */
    HANGS     /* from the n-th wait on no work ends */
} fault_kind;

enum {
    BUFFERS,
    MEMORIES,
    POOLS,
    COMMANDS,
    SEMAPHORES,
    MODULES,
    PIPELINES,
    LAYOUTS,
    CACHES,
    VIEWS,
    SET_LAYOUTS,
    SET_POOLS,
    KINDS
};

#define MOST_MADE 64

/* Shaders and pipelines outlive their handles here: drivers take seconds to compile them. */
typedef struct made_module {
    uint64_t hash;
    VkShaderModule module;
} made_module;

typedef struct made_pipeline {
    VkShaderModule module;
    uint8_t constants[64];
    VkPipeline pipeline;
} made_pipeline;

static struct {
    fault_kind kind;
    unsigned at; /* 0: never */
    unsigned calls;
    bool happened;
    bool fatal;                /* and loam cannot go on */
    unsigned asked_after_loss; /* for something new */
    unsigned forbidden;        /* what is the host's alone */
    unsigned submissions;
    bool miscompiles;   /* additions as subtractions */
    const char *hidden; /* a function that is not there; NULL: all are */
    int live[KINDS];
    VkQueue queue;
    made_module modules[MOST_MADE];
    made_pipeline pipelines[MOST_MADE];
    unsigned n_modules, n_pipelines;
} faults;

static void begin_faults(fault_kind kind, unsigned at)
{
    faults.kind = kind;
    faults.at = at;
    faults.calls = faults.asked_after_loss = faults.forbidden = 0;
    faults.happened = faults.fatal = false;
    faults.hidden = NULL;
}

/* Whether this call fails for want of memory. What it puts out then is nobody's. */
static bool runs_out(void *out, size_t bytes)
{
    if (faults.kind != RUNS_OUT) {
        faults.asked_after_loss += faults.happened;
        return false;
    }
    if (faults.at == 0 || ++faults.calls < faults.at) return false;
    faults.happened = faults.fatal = true;
    if (out) memset(out, 0xa5, bytes);
    return true;
}

static VkResult count(int kind, VkResult r)
{
    faults.live[kind] += r == VK_SUCCESS;
    return r;
}

/* ---- what is made and destroyed ---- */

static VkResult create_buffer(VkDevice device, const VkBufferCreateInfo *info,
                              const VkAllocationCallbacks *alloc, VkBuffer *out)
{
    if (runs_out(out, sizeof *out)) return VK_ERROR_OUT_OF_HOST_MEMORY;
    return count(BUFFERS, vkCreateBuffer(device, info, alloc, out));
}

static void destroy_buffer(VkDevice device, VkBuffer buffer, const VkAllocationCallbacks *alloc)
{
    faults.live[BUFFERS] -= buffer != VK_NULL_HANDLE;
    vkDestroyBuffer(device, buffer, alloc);
}

static VkResult allocate_memory(VkDevice device, const VkMemoryAllocateInfo *info,
                                const VkAllocationCallbacks *alloc, VkDeviceMemory *out)
{
    if (runs_out(out, sizeof *out)) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return count(MEMORIES, vkAllocateMemory(device, info, alloc, out));
}

static void free_memory(VkDevice device, VkDeviceMemory memory, const VkAllocationCallbacks *alloc)
{
    faults.live[MEMORIES] -= memory != VK_NULL_HANDLE;
    vkFreeMemory(device, memory, alloc);
}

static VkResult bind_buffer_memory(VkDevice device, VkBuffer buffer, VkDeviceMemory memory,
                                   VkDeviceSize at)
{
    if (runs_out(NULL, 0)) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return vkBindBufferMemory(device, buffer, memory, at);
}

static VkResult map_memory(VkDevice device, VkDeviceMemory memory, VkDeviceSize at, VkDeviceSize n,
                           VkMemoryMapFlags flags, void **out)
{
    if (runs_out(out, sizeof *out)) return VK_ERROR_MEMORY_MAP_FAILED;
    return vkMapMemory(device, memory, at, n, flags, out);
}

static VkResult create_command_pool(VkDevice device, const VkCommandPoolCreateInfo *info,
                                    const VkAllocationCallbacks *alloc, VkCommandPool *out)
{
    if (runs_out(out, sizeof *out)) return VK_ERROR_OUT_OF_HOST_MEMORY;
    return count(POOLS, vkCreateCommandPool(device, info, alloc, out));
}

static void destroy_command_pool(VkDevice device, VkCommandPool pool,
                                 const VkAllocationCallbacks *alloc)
{
    faults.live[POOLS] -= pool != VK_NULL_HANDLE;
    if (pool) faults.live[COMMANDS] = 0; /* a handle has one pool */
    vkDestroyCommandPool(device, pool, alloc);
}

static VkResult allocate_command_buffers(VkDevice device, const VkCommandBufferAllocateInfo *info,
                                         VkCommandBuffer *out)
{
    if (runs_out(NULL, 0)) {
        memset(out, 0, info->commandBufferCount * sizeof *out); /* as is specified */
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    }
    return count(COMMANDS, vkAllocateCommandBuffers(device, info, out));
}

static void free_command_buffers(VkDevice device, VkCommandPool pool, uint32_t n,
                                 const VkCommandBuffer *commands)
{
    faults.live[COMMANDS] -= (int)n;
    vkFreeCommandBuffers(device, pool, n, commands);
}

static VkResult create_semaphore(VkDevice device, const VkSemaphoreCreateInfo *info,
                                 const VkAllocationCallbacks *alloc, VkSemaphore *out)
{
    if (runs_out(out, sizeof *out)) return VK_ERROR_OUT_OF_HOST_MEMORY;
    return count(SEMAPHORES, vkCreateSemaphore(device, info, alloc, out));
}

static void destroy_semaphore(VkDevice device, VkSemaphore semaphore,
                              const VkAllocationCallbacks *alloc)
{
    faults.live[SEMAPHORES] -= semaphore != VK_NULL_HANDLE;
    vkDestroySemaphore(device, semaphore, alloc);
}

static VkResult create_pipeline_layout(VkDevice device, const VkPipelineLayoutCreateInfo *info,
                                       const VkAllocationCallbacks *alloc, VkPipelineLayout *out)
{
    if (runs_out(out, sizeof *out)) return VK_ERROR_OUT_OF_HOST_MEMORY;
    return count(LAYOUTS, vkCreatePipelineLayout(device, info, alloc, out));
}

static void destroy_pipeline_layout(VkDevice device, VkPipelineLayout layout,
                                    const VkAllocationCallbacks *alloc)
{
    faults.live[LAYOUTS] -= layout != VK_NULL_HANDLE;
    vkDestroyPipelineLayout(device, layout, alloc);
}

static VkResult create_pipeline_cache(VkDevice device, const VkPipelineCacheCreateInfo *info,
                                      const VkAllocationCallbacks *alloc, VkPipelineCache *out)
{
    if (runs_out(out, sizeof *out)) return VK_ERROR_OUT_OF_HOST_MEMORY;
    return count(CACHES, vkCreatePipelineCache(device, info, alloc, out));
}

static void destroy_pipeline_cache(VkDevice device, VkPipelineCache cache,
                                   const VkAllocationCallbacks *alloc)
{
    faults.live[CACHES] -= cache != VK_NULL_HANDLE;
    vkDestroyPipelineCache(device, cache, alloc);
}

/* ---- shaders and pipelines ---- */

/* FNV-1a (Fowler, Noll, Vo) */
static uint64_t hash_words(const uint32_t *words, size_t bytes)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < bytes / sizeof *words; i++)
        h = (h ^ words[i]) * 1099511628211u;
    return h;
}

/* What a bad compiler might do: additions of numbers become subtractions. */
static void miscompile(uint32_t *words, size_t n)
{
    const uint32_t add = 129, subtract = 131; /* OpFAdd, OpFSub */
    for (size_t i = 5; i < n; i += words[i] >> 16)
        if ((words[i] & 0xffff) == add) words[i] += subtract - add;
}

static VkResult create_shader_module(VkDevice device, const VkShaderModuleCreateInfo *given,
                                     const VkAllocationCallbacks *alloc, VkShaderModule *out)
{
    static uint32_t words[1 << 16];
    VkShaderModuleCreateInfo code = *given, *info = &code;
    assert_true(code.codeSize <= sizeof words);
    memcpy(words, code.pCode, code.codeSize);
    code.pCode = words;
    if (faults.miscompiles) miscompile(words, code.codeSize / sizeof *words);
    const uint64_t hash = hash_words(info->pCode, info->codeSize);
    unsigned i = 0;
    if (runs_out(out, sizeof *out)) return VK_ERROR_OUT_OF_HOST_MEMORY;
    while (i < faults.n_modules && faults.modules[i].hash != hash)
        i++;
    if (i == faults.n_modules) {
        assert_true(i < MOST_MADE);
        VkResult r = vkCreateShaderModule(device, info, alloc, &faults.modules[i].module);
        if (r != VK_SUCCESS) return r;
        faults.modules[i].hash = hash;
        faults.n_modules++;
    }
    *out = faults.modules[i].module;
    return count(MODULES, VK_SUCCESS);
}

static void destroy_shader_module(VkDevice device, VkShaderModule module,
                                  const VkAllocationCallbacks *alloc)
{
    (void)device;
    (void)alloc;
    faults.live[MODULES] -= module != VK_NULL_HANDLE;
}

static VkResult create_compute_pipelines(VkDevice device, VkPipelineCache cache, uint32_t n,
                                         const VkComputePipelineCreateInfo *info,
                                         const VkAllocationCallbacks *alloc, VkPipeline *out)
{
    made_pipeline made = {.module = info->stage.module};
    const VkSpecializationInfo *constants = info->stage.pSpecializationInfo;
    unsigned i = 0;
    assert_true(n == 1 && constants->dataSize <= sizeof made.constants);
    memcpy(made.constants, constants->pData, constants->dataSize);
    if (runs_out(NULL, 0)) {
        *out = VK_NULL_HANDLE; /* as is specified */
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    }
    while (i < faults.n_pipelines &&
           (faults.pipelines[i].module != made.module ||
            memcmp(faults.pipelines[i].constants, made.constants, sizeof made.constants) != 0))
        i++;
    if (i == faults.n_pipelines) {
        assert_true(i < MOST_MADE);
        VkResult r = vkCreateComputePipelines(device, cache, 1, info, alloc, &made.pipeline);
        if (r != VK_SUCCESS) return r;
        faults.pipelines[faults.n_pipelines++] = made;
    }
    *out = faults.pipelines[i].pipeline;
    return count(PIPELINES, VK_SUCCESS);
}

static void destroy_pipeline(VkDevice device, VkPipeline pipeline,
                             const VkAllocationCallbacks *alloc)
{
    (void)device;
    (void)alloc;
    faults.live[PIPELINES] -= pipeline != VK_NULL_HANDLE;
}

static void end_faults(VkDevice device)
{
    while (faults.n_pipelines > 0)
        vkDestroyPipeline(device, faults.pipelines[--faults.n_pipelines].pipeline, NULL);
    while (faults.n_modules > 0)
        vkDestroyShaderModule(device, faults.modules[--faults.n_modules].module, NULL);
}

/* ---- descriptors ---- */

static VkResult create_buffer_view(VkDevice device, const VkBufferViewCreateInfo *info,
                                   const VkAllocationCallbacks *alloc, VkBufferView *out)
{
    if (runs_out(out, sizeof *out)) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    return count(VIEWS, vkCreateBufferView(device, info, alloc, out));
}

static void destroy_buffer_view(VkDevice device, VkBufferView view,
                                const VkAllocationCallbacks *alloc)
{
    faults.live[VIEWS] -= view != VK_NULL_HANDLE;
    vkDestroyBufferView(device, view, alloc);
}

static VkResult create_descriptor_set_layout(VkDevice device,
                                             const VkDescriptorSetLayoutCreateInfo *info,
                                             const VkAllocationCallbacks *alloc,
                                             VkDescriptorSetLayout *out)
{
    if (runs_out(out, sizeof *out)) return VK_ERROR_OUT_OF_HOST_MEMORY;
    return count(SET_LAYOUTS, vkCreateDescriptorSetLayout(device, info, alloc, out));
}

static void destroy_descriptor_set_layout(VkDevice device, VkDescriptorSetLayout layout,
                                          const VkAllocationCallbacks *alloc)
{
    faults.live[SET_LAYOUTS] -= layout != VK_NULL_HANDLE;
    vkDestroyDescriptorSetLayout(device, layout, alloc);
}

static VkResult create_descriptor_pool(VkDevice device, const VkDescriptorPoolCreateInfo *info,
                                       const VkAllocationCallbacks *alloc, VkDescriptorPool *out)
{
    if (runs_out(out, sizeof *out)) return VK_ERROR_OUT_OF_HOST_MEMORY;
    return count(SET_POOLS, vkCreateDescriptorPool(device, info, alloc, out));
}

static void destroy_descriptor_pool(VkDevice device, VkDescriptorPool pool,
                                    const VkAllocationCallbacks *alloc)
{
    faults.live[SET_POOLS] -= pool != VK_NULL_HANDLE;
    vkDestroyDescriptorPool(device, pool, alloc);
}

static VkResult allocate_descriptor_sets(VkDevice device, const VkDescriptorSetAllocateInfo *info,
                                         VkDescriptorSet *out)
{
    if (runs_out(NULL, 0)) {
        memset(out, 0, info->descriptorSetCount * sizeof *out); /* as is specified */
        return VK_ERROR_OUT_OF_POOL_MEMORY;
    }
    return vkAllocateDescriptorSets(device, info, out);
}

/* ---- recording, submitting, waiting ---- */

static VkResult begin_command_buffer(VkCommandBuffer commands, const VkCommandBufferBeginInfo *info)
{
    if (runs_out(NULL, 0)) return VK_ERROR_OUT_OF_HOST_MEMORY;
    return vkBeginCommandBuffer(commands, info);
}

static VkResult end_command_buffer(VkCommandBuffer commands)
{
    const bool fails = runs_out(NULL, 0);
    VkResult r = vkEndCommandBuffer(commands); /* a failed one, too, is not recording any more */
    return fails ? VK_ERROR_OUT_OF_DEVICE_MEMORY : r;
}

/* Whether the fault has come, now or before. The real device then comes to rest, as a lost one. */
static bool comes(void)
{
    if (!faults.happened && ++faults.calls != faults.at) return false;
    if (!faults.happened) vkQueueWaitIdle(faults.queue);
    faults.happened = faults.fatal = true;
    return true;
}

static VkResult queue_submit(VkQueue queue, uint32_t n, const VkSubmitInfo *infos, VkFence fence)
{
    if (runs_out(NULL, 0)) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (faults.kind == IS_LOST && comes()) return VK_ERROR_DEVICE_LOST;
    faults.submissions++;
    return vkQueueSubmit(queue, n, infos, fence);
}

/* Waits go on until the work is done: their number does not depend on the machine. */
#define WAIT_NS 60000000000

static VkResult wait_semaphores(VkDevice device, const VkSemaphoreWaitInfo *info, uint64_t ns)
{
    assert_true(ns < 1000000000);
    /* memory is short once: what is under way does come to an end */
    if (faults.kind == RUNS_OUT && faults.at && ++faults.calls == faults.at) {
        faults.happened = true;
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (faults.kind == IS_LOST && comes()) return VK_ERROR_DEVICE_LOST;
    if (faults.kind == HANGS && comes()) return VK_TIMEOUT;
    return vkWaitSemaphores(device, info, WAIT_NS);
}

/* ---- looking up ---- */

static VkResult forbidden(void)
{
    faults.forbidden++;
    return VK_ERROR_UNKNOWN;
}

typedef struct replacement {
    const char *name;
    void (*function)(void);
} replacement;

static PFN_vkVoidFunction replaced(const char *name)
{
    static const replacement all[] = {
        {"vkAllocateCommandBuffers", (void (*)(void))allocate_command_buffers},
        {"vkAllocateDescriptorSets", (void (*)(void))allocate_descriptor_sets},
        {"vkAllocateMemory", (void (*)(void))allocate_memory},
        {"vkBeginCommandBuffer", (void (*)(void))begin_command_buffer},
        {"vkBindBufferMemory", (void (*)(void))bind_buffer_memory},
        {"vkCreateBuffer", (void (*)(void))create_buffer},
        {"vkCreateBufferView", (void (*)(void))create_buffer_view},
        {"vkCreateCommandPool", (void (*)(void))create_command_pool},
        {"vkCreateComputePipelines", (void (*)(void))create_compute_pipelines},
        {"vkCreateDescriptorPool", (void (*)(void))create_descriptor_pool},
        {"vkCreateDescriptorSetLayout", (void (*)(void))create_descriptor_set_layout},
        {"vkCreateDevice", (void (*)(void))forbidden},
        {"vkCreatePipelineCache", (void (*)(void))create_pipeline_cache},
        {"vkCreatePipelineLayout", (void (*)(void))create_pipeline_layout},
        {"vkCreateSemaphore", (void (*)(void))create_semaphore},
        {"vkCreateShaderModule", (void (*)(void))create_shader_module},
        {"vkDestroyBuffer", (void (*)(void))destroy_buffer},
        {"vkDestroyBufferView", (void (*)(void))destroy_buffer_view},
        {"vkDestroyCommandPool", (void (*)(void))destroy_command_pool},
        {"vkDestroyDescriptorPool", (void (*)(void))destroy_descriptor_pool},
        {"vkDestroyDescriptorSetLayout", (void (*)(void))destroy_descriptor_set_layout},
        {"vkDestroyDevice", (void (*)(void))forbidden},
        {"vkDestroyInstance", (void (*)(void))forbidden},
        {"vkDestroyPipeline", (void (*)(void))destroy_pipeline},
        {"vkDestroyPipelineCache", (void (*)(void))destroy_pipeline_cache},
        {"vkDestroyPipelineLayout", (void (*)(void))destroy_pipeline_layout},
        {"vkDestroySemaphore", (void (*)(void))destroy_semaphore},
        {"vkDestroyShaderModule", (void (*)(void))destroy_shader_module},
        {"vkDeviceWaitIdle", (void (*)(void))forbidden},
        {"vkEndCommandBuffer", (void (*)(void))end_command_buffer},
        {"vkFreeCommandBuffers", (void (*)(void))free_command_buffers},
        {"vkFreeMemory", (void (*)(void))free_memory},
        {"vkMapMemory", (void (*)(void))map_memory},
        {"vkQueueSubmit", (void (*)(void))queue_submit},
        {"vkQueueWaitIdle", (void (*)(void))forbidden},
        {"vkWaitSemaphores", (void (*)(void))wait_semaphores},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) return all[i].function;
    return NULL;
}

static bool is_hidden(const char *name)
{
    return faults.hidden && strcmp(name, faults.hidden) == 0;
}

static PFN_vkVoidFunction faulty_device_proc_addr(VkDevice device, const char *name)
{
    PFN_vkVoidFunction function = replaced(name);
    if (is_hidden(name)) return NULL;
    return function ? function : vkGetDeviceProcAddr(device, name);
}

static void (*faulty_instance_proc_addr(void *instance, const char *name))(void)
{
    if (strcmp(name, "vkGetDeviceProcAddr") == 0) return (void (*)(void))faulty_device_proc_addr;
    PFN_vkVoidFunction function = replaced(name);
    if (is_hidden(name)) return NULL;
    return function ? function : vkGetInstanceProcAddr(instance, name);
}

#endif
