#include "calls.h"

#include <stddef.h>
#include <string.h>

typedef struct call {
    loam__vk_level level;
    const char *name;
    size_t at; /* in loam__vk_calls */
} call;

/* clang-format off */
static const call calls[] = {
    { LOAM__VK_GLOBAL, "vkCreateInstance", offsetof(loam__vk_calls, CreateInstance) },
    { LOAM__VK_GLOBAL, "vkEnumerateInstanceVersion", offsetof(loam__vk_calls, EnumerateInstanceVersion) },
    { LOAM__VK_INSTANCE, "vkCreateDevice", offsetof(loam__vk_calls, CreateDevice) },
    { LOAM__VK_INSTANCE, "vkDestroyDevice", offsetof(loam__vk_calls, DestroyDevice) },
    { LOAM__VK_INSTANCE, "vkDestroyInstance", offsetof(loam__vk_calls, DestroyInstance) },
    { LOAM__VK_INSTANCE, "vkEnumerateDeviceExtensionProperties", offsetof(loam__vk_calls, EnumerateDeviceExtensionProperties) },
    { LOAM__VK_INSTANCE, "vkEnumeratePhysicalDevices", offsetof(loam__vk_calls, EnumeratePhysicalDevices) },
    { LOAM__VK_INSTANCE, "vkGetDeviceProcAddr", offsetof(loam__vk_calls, GetDeviceProcAddr) },
    { LOAM__VK_INSTANCE, "vkGetPhysicalDeviceFeatures2", offsetof(loam__vk_calls, GetPhysicalDeviceFeatures2) },
    { LOAM__VK_INSTANCE, "vkGetPhysicalDeviceMemoryProperties", offsetof(loam__vk_calls, GetPhysicalDeviceMemoryProperties) },
    { LOAM__VK_INSTANCE, "vkGetPhysicalDeviceMemoryProperties2", offsetof(loam__vk_calls, GetPhysicalDeviceMemoryProperties2) },
    { LOAM__VK_INSTANCE, "vkGetPhysicalDeviceProperties", offsetof(loam__vk_calls, GetPhysicalDeviceProperties) },
    { LOAM__VK_INSTANCE, "vkGetPhysicalDeviceProperties2", offsetof(loam__vk_calls, GetPhysicalDeviceProperties2) },
    { LOAM__VK_INSTANCE, "vkGetPhysicalDeviceQueueFamilyProperties", offsetof(loam__vk_calls, GetPhysicalDeviceQueueFamilyProperties) },
    { LOAM__VK_DEVICE_LEVEL, "vkAllocateCommandBuffers", offsetof(loam__vk_calls, AllocateCommandBuffers) },
    { LOAM__VK_DEVICE_LEVEL, "vkAllocateDescriptorSets", offsetof(loam__vk_calls, AllocateDescriptorSets) },
    { LOAM__VK_DEVICE_LEVEL, "vkAllocateMemory", offsetof(loam__vk_calls, AllocateMemory) },
    { LOAM__VK_DEVICE_LEVEL, "vkBeginCommandBuffer", offsetof(loam__vk_calls, BeginCommandBuffer) },
    { LOAM__VK_DEVICE_LEVEL, "vkBindBufferMemory", offsetof(loam__vk_calls, BindBufferMemory) },
    { LOAM__VK_DEVICE_LEVEL, "vkCmdBindDescriptorSets", offsetof(loam__vk_calls, CmdBindDescriptorSets) },
    { LOAM__VK_DEVICE_LEVEL, "vkCmdBindPipeline", offsetof(loam__vk_calls, CmdBindPipeline) },
    { LOAM__VK_DEVICE_LEVEL, "vkCmdCopyBuffer", offsetof(loam__vk_calls, CmdCopyBuffer) },
    { LOAM__VK_DEVICE_LEVEL, "vkCmdDispatch", offsetof(loam__vk_calls, CmdDispatch) },
    { LOAM__VK_DEVICE_LEVEL, "vkCmdFillBuffer", offsetof(loam__vk_calls, CmdFillBuffer) },
    { LOAM__VK_DEVICE_LEVEL, "vkCmdPipelineBarrier", offsetof(loam__vk_calls, CmdPipelineBarrier) },
    { LOAM__VK_DEVICE_LEVEL, "vkCmdPushConstants", offsetof(loam__vk_calls, CmdPushConstants) },
    { LOAM__VK_DEVICE_LEVEL, "vkCreateBuffer", offsetof(loam__vk_calls, CreateBuffer) },
    { LOAM__VK_DEVICE_LEVEL, "vkCreateBufferView", offsetof(loam__vk_calls, CreateBufferView) },
    { LOAM__VK_DEVICE_LEVEL, "vkCreateCommandPool", offsetof(loam__vk_calls, CreateCommandPool) },
    { LOAM__VK_DEVICE_LEVEL, "vkCreateComputePipelines", offsetof(loam__vk_calls, CreateComputePipelines) },
    { LOAM__VK_DEVICE_LEVEL, "vkCreateDescriptorPool", offsetof(loam__vk_calls, CreateDescriptorPool) },
    { LOAM__VK_DEVICE_LEVEL, "vkCreateDescriptorSetLayout", offsetof(loam__vk_calls, CreateDescriptorSetLayout) },
    { LOAM__VK_DEVICE_LEVEL, "vkCreatePipelineCache", offsetof(loam__vk_calls, CreatePipelineCache) },
    { LOAM__VK_DEVICE_LEVEL, "vkCreatePipelineLayout", offsetof(loam__vk_calls, CreatePipelineLayout) },
    { LOAM__VK_DEVICE_LEVEL, "vkCreateSemaphore", offsetof(loam__vk_calls, CreateSemaphore) },
    { LOAM__VK_DEVICE_LEVEL, "vkCreateShaderModule", offsetof(loam__vk_calls, CreateShaderModule) },
    { LOAM__VK_DEVICE_LEVEL, "vkDestroyBuffer", offsetof(loam__vk_calls, DestroyBuffer) },
    { LOAM__VK_DEVICE_LEVEL, "vkDestroyBufferView", offsetof(loam__vk_calls, DestroyBufferView) },
    { LOAM__VK_DEVICE_LEVEL, "vkDestroyCommandPool", offsetof(loam__vk_calls, DestroyCommandPool) },
    { LOAM__VK_DEVICE_LEVEL, "vkDestroyDescriptorPool", offsetof(loam__vk_calls, DestroyDescriptorPool) },
    { LOAM__VK_DEVICE_LEVEL, "vkDestroyDescriptorSetLayout", offsetof(loam__vk_calls, DestroyDescriptorSetLayout) },
    { LOAM__VK_DEVICE_LEVEL, "vkDestroyPipeline", offsetof(loam__vk_calls, DestroyPipeline) },
    { LOAM__VK_DEVICE_LEVEL, "vkDestroyPipelineCache", offsetof(loam__vk_calls, DestroyPipelineCache) },
    { LOAM__VK_DEVICE_LEVEL, "vkDestroyPipelineLayout", offsetof(loam__vk_calls, DestroyPipelineLayout) },
    { LOAM__VK_DEVICE_LEVEL, "vkDestroySemaphore", offsetof(loam__vk_calls, DestroySemaphore) },
    { LOAM__VK_DEVICE_LEVEL, "vkDestroyShaderModule", offsetof(loam__vk_calls, DestroyShaderModule) },
    { LOAM__VK_DEVICE_LEVEL, "vkEndCommandBuffer", offsetof(loam__vk_calls, EndCommandBuffer) },
    { LOAM__VK_DEVICE_LEVEL, "vkFreeCommandBuffers", offsetof(loam__vk_calls, FreeCommandBuffers) },
    { LOAM__VK_DEVICE_LEVEL, "vkFreeMemory", offsetof(loam__vk_calls, FreeMemory) },
    { LOAM__VK_DEVICE_LEVEL, "vkGetBufferDeviceAddress", offsetof(loam__vk_calls, GetBufferDeviceAddress) },
    { LOAM__VK_DEVICE_LEVEL, "vkGetBufferMemoryRequirements", offsetof(loam__vk_calls, GetBufferMemoryRequirements) },
    { LOAM__VK_DEVICE_LEVEL, "vkGetDeviceQueue", offsetof(loam__vk_calls, GetDeviceQueue) },
    { LOAM__VK_DEVICE_LEVEL, "vkGetPipelineCacheData", offsetof(loam__vk_calls, GetPipelineCacheData) },
    { LOAM__VK_DEVICE_LEVEL, "vkMapMemory", offsetof(loam__vk_calls, MapMemory) },
    { LOAM__VK_DEVICE_LEVEL, "vkQueueSubmit", offsetof(loam__vk_calls, QueueSubmit) },
    { LOAM__VK_DEVICE_LEVEL, "vkUpdateDescriptorSets", offsetof(loam__vk_calls, UpdateDescriptorSets) },
    { LOAM__VK_DEVICE_LEVEL, "vkWaitSemaphores", offsetof(loam__vk_calls, WaitSemaphores) },
};
/* clang-format on */

const char *loam__vk_calls_fill(loam__vk_calls *f, loam__vk_level level, VkInstance instance,
                                VkDevice device)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const call *c = &calls[i];
        if (c->level != level) continue;
        PFN_vkVoidFunction function = level == LOAM__VK_DEVICE_LEVEL
                                          ? f->GetDeviceProcAddr(device, c->name)
                                          : f->GetInstanceProcAddr(instance, c->name);
        if (!function) return c->name;
        memcpy((char *)f + c->at, &function, sizeof function);
    }
    return NULL;
}
