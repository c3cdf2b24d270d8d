#include "calls.h"

#include <stddef.h>
#include <string.h>

typedef struct call {
    const char *name;
    size_t at; /* in loam__vk_calls */
} call;

#define AT(member) offsetof(loam__vk_calls, member)

/* clang-format off */
static const call global_calls[] = {
    { "vkCreateInstance", AT(CreateInstance) },
    { "vkEnumerateInstanceVersion", AT(EnumerateInstanceVersion) },
    { NULL, 0 }
};

static const call instance_calls[] = {
    { "vkCreateDevice", AT(CreateDevice) },
    { "vkDestroyDevice", AT(DestroyDevice) },
    { "vkDestroyInstance", AT(DestroyInstance) },
    { "vkEnumerateDeviceExtensionProperties", AT(EnumerateDeviceExtensionProperties) },
    { "vkEnumeratePhysicalDevices", AT(EnumeratePhysicalDevices) },
    { "vkGetDeviceProcAddr", AT(GetDeviceProcAddr) },
    { "vkGetPhysicalDeviceFeatures2", AT(GetPhysicalDeviceFeatures2) },
    { "vkGetPhysicalDeviceMemoryProperties", AT(GetPhysicalDeviceMemoryProperties) },
    { "vkGetPhysicalDeviceMemoryProperties2", AT(GetPhysicalDeviceMemoryProperties2) },
    { "vkGetPhysicalDeviceProperties", AT(GetPhysicalDeviceProperties) },
    { "vkGetPhysicalDeviceProperties2", AT(GetPhysicalDeviceProperties2) },
    { "vkGetPhysicalDeviceQueueFamilyProperties", AT(GetPhysicalDeviceQueueFamilyProperties) },
    { NULL, 0 }
};

static const call device_calls[] = {
    { "vkAllocateCommandBuffers", AT(AllocateCommandBuffers) },
    { "vkAllocateDescriptorSets", AT(AllocateDescriptorSets) },
    { "vkAllocateMemory", AT(AllocateMemory) },
    { "vkBeginCommandBuffer", AT(BeginCommandBuffer) },
    { "vkBindBufferMemory", AT(BindBufferMemory) },
    { "vkCmdBindDescriptorSets", AT(CmdBindDescriptorSets) },
    { "vkCmdBindPipeline", AT(CmdBindPipeline) },
    { "vkCmdCopyBuffer", AT(CmdCopyBuffer) },
    { "vkCmdDispatch", AT(CmdDispatch) },
    { "vkCmdFillBuffer", AT(CmdFillBuffer) },
    { "vkCmdPipelineBarrier", AT(CmdPipelineBarrier) },
    { "vkCmdPushConstants", AT(CmdPushConstants) },
    { "vkCreateBuffer", AT(CreateBuffer) },
    { "vkCreateBufferView", AT(CreateBufferView) },
    { "vkCreateCommandPool", AT(CreateCommandPool) },
    { "vkCreateComputePipelines", AT(CreateComputePipelines) },
    { "vkCreateDescriptorPool", AT(CreateDescriptorPool) },
    { "vkCreateDescriptorSetLayout", AT(CreateDescriptorSetLayout) },
    { "vkCreatePipelineCache", AT(CreatePipelineCache) },
    { "vkCreatePipelineLayout", AT(CreatePipelineLayout) },
    { "vkCreateSemaphore", AT(CreateSemaphore) },
    { "vkCreateShaderModule", AT(CreateShaderModule) },
    { "vkDestroyBuffer", AT(DestroyBuffer) },
    { "vkDestroyBufferView", AT(DestroyBufferView) },
    { "vkDestroyCommandPool", AT(DestroyCommandPool) },
    { "vkDestroyDescriptorPool", AT(DestroyDescriptorPool) },
    { "vkDestroyDescriptorSetLayout", AT(DestroyDescriptorSetLayout) },
    { "vkDestroyPipeline", AT(DestroyPipeline) },
    { "vkDestroyPipelineCache", AT(DestroyPipelineCache) },
    { "vkDestroyPipelineLayout", AT(DestroyPipelineLayout) },
    { "vkDestroySemaphore", AT(DestroySemaphore) },
    { "vkDestroyShaderModule", AT(DestroyShaderModule) },
    { "vkEndCommandBuffer", AT(EndCommandBuffer) },
    { "vkFreeCommandBuffers", AT(FreeCommandBuffers) },
    { "vkFreeMemory", AT(FreeMemory) },
    { "vkGetBufferDeviceAddress", AT(GetBufferDeviceAddress) },
    { "vkGetBufferMemoryRequirements", AT(GetBufferMemoryRequirements) },
    { "vkGetDeviceQueue", AT(GetDeviceQueue) },
    { "vkGetPipelineCacheData", AT(GetPipelineCacheData) },
    { "vkMapMemory", AT(MapMemory) },
    { "vkQueueSubmit", AT(QueueSubmit) },
    { "vkUpdateDescriptorSets", AT(UpdateDescriptorSets) },
    { "vkWaitSemaphores", AT(WaitSemaphores) },
    { NULL, 0 }
};
/* clang-format on */

const char *loam__vk_calls_fill(loam__vk_calls *f, loam__vk_level level, VkInstance instance,
                                VkDevice device)
{
    static const call *const levels[] = {global_calls, instance_calls, device_calls};
    for (const call *c = levels[level]; c->name; c++) {
        PFN_vkVoidFunction function = level == LOAM__VK_DEVICE_LEVEL
                                          ? f->GetDeviceProcAddr(device, c->name)
                                          : f->GetInstanceProcAddr(instance, c->name);
        if (!function) return c->name;
        memcpy((char *)f + c->at, &function, sizeof function);
    }
    return NULL;
}
