/* The functions of Vulkan, reached through pointers: the module links with no loader, and a host
 * that hands its own device over says where its functions are. */
#ifndef LOAM__VULKAN_CALLS_H
#define LOAM__VULKAN_CALLS_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

/* What functions are looked up with; each level after the one before. */
typedef enum loam__vk_level {
    LOAM__VK_GLOBAL,
    LOAM__VK_INSTANCE,
    LOAM__VK_DEVICE_LEVEL
} loam__vk_level;

/* GetInstanceProcAddr is given; the others are looked up. */
typedef struct loam__vk_calls {
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr;

    PFN_vkCreateInstance CreateInstance;
    PFN_vkEnumerateInstanceVersion EnumerateInstanceVersion;

    PFN_vkCreateDevice CreateDevice;
    PFN_vkDestroyDevice DestroyDevice;
    PFN_vkDestroyInstance DestroyInstance;
    PFN_vkEnumerateDeviceExtensionProperties EnumerateDeviceExtensionProperties;
    PFN_vkEnumeratePhysicalDevices EnumeratePhysicalDevices;
    PFN_vkGetDeviceProcAddr GetDeviceProcAddr;
    PFN_vkGetPhysicalDeviceFeatures2 GetPhysicalDeviceFeatures2;
    PFN_vkGetPhysicalDeviceMemoryProperties GetPhysicalDeviceMemoryProperties;
    PFN_vkGetPhysicalDeviceMemoryProperties2 GetPhysicalDeviceMemoryProperties2;
    PFN_vkGetPhysicalDeviceProperties GetPhysicalDeviceProperties;
    PFN_vkGetPhysicalDeviceProperties2 GetPhysicalDeviceProperties2;
    PFN_vkGetPhysicalDeviceQueueFamilyProperties GetPhysicalDeviceQueueFamilyProperties;

    PFN_vkAllocateCommandBuffers AllocateCommandBuffers;
    PFN_vkAllocateDescriptorSets AllocateDescriptorSets;
    PFN_vkAllocateMemory AllocateMemory;
    PFN_vkBeginCommandBuffer BeginCommandBuffer;
    PFN_vkBindBufferMemory BindBufferMemory;
    PFN_vkCmdBindDescriptorSets CmdBindDescriptorSets;
    PFN_vkCmdBindPipeline CmdBindPipeline;
    PFN_vkCmdCopyBuffer CmdCopyBuffer;
    PFN_vkCmdDispatch CmdDispatch;
    PFN_vkCmdFillBuffer CmdFillBuffer;
    PFN_vkCmdPipelineBarrier CmdPipelineBarrier;
    PFN_vkCmdPushConstants CmdPushConstants;
    PFN_vkCreateBuffer CreateBuffer;
    PFN_vkCreateBufferView CreateBufferView;
    PFN_vkCreateCommandPool CreateCommandPool;
    PFN_vkCreateComputePipelines CreateComputePipelines;
    PFN_vkCreateDescriptorPool CreateDescriptorPool;
    PFN_vkCreateDescriptorSetLayout CreateDescriptorSetLayout;
    PFN_vkCreatePipelineCache CreatePipelineCache;
    PFN_vkCreatePipelineLayout CreatePipelineLayout;
    PFN_vkCreateSemaphore CreateSemaphore;
    PFN_vkCreateShaderModule CreateShaderModule;
    PFN_vkDestroyBuffer DestroyBuffer;
    PFN_vkDestroyBufferView DestroyBufferView;
    PFN_vkDestroyCommandPool DestroyCommandPool;
    PFN_vkDestroyDescriptorPool DestroyDescriptorPool;
    PFN_vkDestroyDescriptorSetLayout DestroyDescriptorSetLayout;
    PFN_vkDestroyPipeline DestroyPipeline;
    PFN_vkDestroyPipelineCache DestroyPipelineCache;
    PFN_vkDestroyPipelineLayout DestroyPipelineLayout;
    PFN_vkDestroySemaphore DestroySemaphore;
    PFN_vkDestroyShaderModule DestroyShaderModule;
    PFN_vkEndCommandBuffer EndCommandBuffer;
    PFN_vkFreeCommandBuffers FreeCommandBuffers;
    PFN_vkFreeMemory FreeMemory;
    PFN_vkGetBufferDeviceAddress GetBufferDeviceAddress;
    PFN_vkGetBufferMemoryRequirements GetBufferMemoryRequirements;
    PFN_vkGetDeviceQueue GetDeviceQueue;
    PFN_vkGetPipelineCacheData GetPipelineCacheData;
    PFN_vkMapMemory MapMemory;
    PFN_vkQueueSubmit QueueSubmit;
    PFN_vkUpdateDescriptorSets UpdateDescriptorSets;
    PFN_vkWaitSemaphores WaitSemaphores;
} loam__vk_calls;

/* Look up all functions of a level. The name of one that is missing; NULL: none is. */
const char *loam__vk_calls_fill(loam__vk_calls *f, loam__vk_level level, VkInstance instance,
                                VkDevice device);

#endif
