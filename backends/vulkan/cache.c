/* Compiled pipelines as bytes, for the host to keep: for each device a head, then what its driver
 * gave. A driver checks whether the bytes are its own, but not whether they are whole: the checksum
 * does. */
#include "vulkan.h"

#include <string.h>

typedef struct head {
    char magic[8];
    uint64_t bytes, checksum; /* of what follows */
    uint8_t device[16];       /* VkPhysicalDeviceProperties.pipelineCacheUUID */
} head;

static const char magic[8] = "loamvk1";

/* FNV-1a (Fowler, Noll, Vo) */
static uint64_t checksum(const uint8_t *bytes, uint64_t n)
{
    uint64_t h = 14695981039346656037u;
    for (uint64_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 1099511628211u;
    return h;
}

static void name_device(const loam__vk_device *d, uint8_t uuid[16])
{
    VkPhysicalDeviceProperties p;
    d->f.GetPhysicalDeviceProperties(d->physical, &p);
    memcpy(uuid, p.pipelineCacheUUID, 16);
}

/* This device's part of the bytes that the host kept; NULL: there is none. */
static const uint8_t *find(const loam__vk_device *d, uint64_t *n)
{
    const uint8_t *at = d->vk->host.cache;
    uint64_t left = at ? d->vk->host.cache_bytes : 0;
    uint8_t uuid[16];
    head h;
    name_device(d, uuid);
    while (left >= sizeof h) {
        memcpy(&h, at, sizeof h);
        at += sizeof h;
        left -= sizeof h;
        if (memcmp(h.magic, magic, sizeof magic) != 0 || h.bytes > left) return NULL;
        *n = h.bytes;
        if (memcmp(h.device, uuid, 16) == 0) return checksum(at, h.bytes) == h.checksum ? at : NULL;
        at += h.bytes;
        left -= h.bytes;
    }
    return NULL;
}

VkResult loam__vk_cache_new(loam__vk_device *d)
{
    uint64_t n = 0;
    const uint8_t *bytes = find(d, &n);
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                      .initialDataSize = bytes ? (size_t)n : 0,
                                      .pInitialData = bytes};
    return d->f.CreatePipelineCache(d->device, &info, NULL, &d->cache);
}

loam_status loam__vk_cache_get(loam__vk *vk, uint8_t *bytes, uint64_t capacity, uint64_t *n)
{
    *n = 0;
    for (uint32_t i = 0; i < vk->n_devices; i++) {
        loam__vk_device *d = vk->devices[i];
        head h = {0};
        size_t size = 0;
        VkResult r = d->f.GetPipelineCacheData(d->device, d->cache, &size, NULL);
        const bool room = bytes && *n + sizeof h + size <= capacity;
        if (r == VK_SUCCESS && room)
            r = d->f.GetPipelineCacheData(d->device, d->cache, &size, bytes + *n + sizeof h);
        if (r != VK_SUCCESS) return loam__vk_failed(d, r, "its pipeline cache");
        if (room) {
            memcpy(h.magic, magic, sizeof magic);
            h.bytes = size;
            h.checksum = checksum(bytes + *n + sizeof h, size);
            name_device(d, h.device);
            memcpy(bytes + *n, &h, sizeof h);
        }
        *n += sizeof h + size;
    }
    return LOAM_OK;
}
