/* vulkan.h - a program that renders hands its own Vulkan device over to loam's Vulkan module, which
 * then makes none. Needs no header of Vulkan: handles are pointers, as they are there. */
#ifndef LOAM_VULKAN_H
#define LOAM_VULKAN_H

#include <loam/loam.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For loam_device.native, with backend "vulkan" and index 0. All is kept until loam_free(): the
 * handles stay the host's and must live so long.
 *
 * The device must have been made with API version 1.2 or later, and with the features
 * timelineSemaphore, storageBuffer16BitAccess and storageBuffer8BitAccess; shaderFloat16,
 * shaderInt8, subgroup size control and integer dot products are used where `features` says that
 * they are on. */
typedef struct loam_vulkan {
    uint32_t struct_size;  /* set by loam_vulkan_init() */
    uint32_t api_version;  /* VkApplicationInfo.apiVersion of the instance */
    uint32_t queue_family; /* of queue, which can compute */
    uint32_t n_extensions;
    void *instance;        /* VkInstance */
    void *physical_device; /* VkPhysicalDevice */
    void *device;          /* VkDevice */
    void *queue;           /* VkQueue */
    void (*(*get_instance_proc_addr)(void *instance, const char *name))(
        void);                     /* vkGetInstanceProcAddr; NULL: the system's loader */
    const char *const *extensions; /* of the device, those that are enabled */
    const void
        *features; /* VkPhysicalDeviceFeatures2 with its chain, as the device was made with */
    /* Around each use of the queue, from the thread that calls loam; NULL: nobody else uses it. */
    void (*lock)(void *ctx);
    void (*unlock)(void *ctx);
    void *lock_ctx;
    const void *reserved; /* NULL */
} loam_vulkan;            /* 0.1 ends here */

static inline void loam_vulkan_init(loam_vulkan *v)
{
    if (!v) return;
    memset(v, 0, sizeof *v);
    v->struct_size = sizeof *v;
}

#ifdef __cplusplus
}
#endif
#endif
