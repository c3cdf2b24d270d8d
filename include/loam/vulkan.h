/* vulkan.h - a program that renders hands its own Vulkan device over to loam's Vulkan module, which
 * then makes none. Needs no header of Vulkan: handles are pointers, as they are there. */
#ifndef LOAM_VULKAN_H
#define LOAM_VULKAN_H

#include <loam/loam.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For loam_device.native, with backend "vulkan" and index 0; several devices of a host are several
 * loam_device, each with a description of its own. loam makes buffers, memory, descriptors,
 * pipelines and command buffers of its own on the device, and a timeline semaphore that it waits
 * for; it never waits for the queue or the device as a whole, and destroys what it made only.
 *
 * The device must offer Vulkan 1.2 and subgroups of 4 to 64 with ballots and arithmetic, and have
 * been made with the features bufferDeviceAddress and timelineSemaphore. subgroupSizeControl and
 * the extension VK_EXT_memory_budget are used where they are on.
 *
 * Ownership  the handles, the functions and lock_ctx are kept until loam_free(); this struct,
 *            extensions and features are borrowed for the call that loads or plans
 * Errors     of loam_load() and loam_plan_*(): LOAM_ERR_ARG (a member is missing), NEWER, BACKEND
 *            (something that is needed is not there or not on; the sentence names it)
 * Threads    loam uses the queue between lock and unlock only, for one submission at a time. All
 *            else that Vulkan wants kept apart is loam's own, so that several handles may share a
 *            device, and the host may use it meanwhile. Where the device is lost to loam
 *            (LOAM_ERR_DEVICE) it is lost to the host, too, unless it was loam that gave up
 *            waiting, which it does after a minute.
 * Since      0.1 */
typedef struct loam_vulkan {
    uint32_t struct_size;  /* set by loam_vulkan_init() */
    uint32_t api_version;  /* VkApplicationInfo.apiVersion of the instance */
    uint32_t queue_family; /* of queue; it can compute */
    uint32_t n_extensions;
    void *instance;        /* VkInstance */
    void *physical_device; /* VkPhysicalDevice */
    void *device;          /* VkDevice */
    void *queue;           /* VkQueue */
    void (*(*get_instance_proc_addr)(void *instance, const char *name))(
        void);                     /* vkGetInstanceProcAddr; NULL: the system's loader */
    const char *const *extensions; /* of the device, those that are enabled; [n_extensions] */
    const void *features; /* VkPhysicalDeviceFeatures2 with its chain (or a part of the chain), as
                             the device was made with */
    /* Around each submission, from the thread that calls loam; both NULL: nobody else uses the
     * queue while loam computes. */
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
