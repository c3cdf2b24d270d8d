/* Compiled pipelines as bytes, for the host to keep: for each device a head, which kernels are
 * right on it, and what its driver gave. A driver checks whether the bytes are its own, but not
 * whether they are whole: the checksum does. */
#include "vulkan.h"

#include <string.h>

typedef struct head {
    char magic[8];
    uint64_t bytes, checksum; /* of what follows */
    uint64_t n_verdicts;      /* first of all */
    uint8_t device[16];       /* VkPhysicalDeviceProperties.pipelineCacheUUID */
} head;

static const char magic[8] = "loamvk2";

static void name_device(const loam__vk_device *d, uint8_t uuid[16])
{
    VkPhysicalDeviceProperties p;
    d->f.GetPhysicalDeviceProperties(d->physical, &p);
    memcpy(uuid, p.pipelineCacheUUID, 16);
}

/* This device's part of the bytes that the host kept; NULL: there is none. */
static const uint8_t *find(const loam__vk_device *d, head *found)
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
        *found = h;
        if (memcmp(h.device, uuid, 16) == 0)
            return loam__fnv(LOAM__FNV, at, h.bytes) == h.checksum ? at : NULL;
        at += h.bytes;
        left -= h.bytes;
    }
    return NULL;
}

VkResult loam__vk_cache_new(loam__vk_device *d)
{
    head h = {0};
    const uint8_t *bytes = find(d, &h);
    const uint64_t verdict_bytes = h.n_verdicts * sizeof *d->verdicts;
    if (!bytes || h.n_verdicts > LOAM__VK_PIPELINES || verdict_bytes > h.bytes) {
        bytes = NULL;
    } else {
        memcpy(d->verdicts, bytes, (size_t)verdict_bytes);
        d->n_verdicts = (uint32_t)h.n_verdicts;
        bytes += verdict_bytes;
    }
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                      .initialDataSize =
                                          bytes ? (size_t)(h.bytes - verdict_bytes) : 0,
                                      .pInitialData = bytes};
    VkPipelineCache cache;
    VkResult r = d->f.CreatePipelineCache(d->device, &info, NULL, &cache);
    if (r == VK_SUCCESS) d->cache = cache;
    return r;
}

/* One device's part, or its size alone where there is no room for it. */
static loam_status put_device(loam__vk_device *d, uint8_t *to, uint64_t room, uint64_t *n)
{
    const uint64_t verdict_bytes = d->n_verdicts * sizeof *d->verdicts;
    head h = {.n_verdicts = d->n_verdicts};
    size_t size = 0;
    VkResult r = d->f.GetPipelineCacheData(d->device, d->cache, &size, NULL);
    const bool fits = to && sizeof h + verdict_bytes + size <= room;
    if (r == VK_SUCCESS && fits)
        r = d->f.GetPipelineCacheData(d->device, d->cache, &size, to + sizeof h + verdict_bytes);
    if (r != VK_SUCCESS) return loam__vk_failed(d, r, "its pipeline cache");
    *n = sizeof h + verdict_bytes + size;
    if (!fits) return LOAM_OK;
    memcpy(to + sizeof h, d->verdicts, (size_t)verdict_bytes);
    memcpy(h.magic, magic, sizeof magic);
    h.bytes = verdict_bytes + size;
    h.checksum = loam__fnv(LOAM__FNV, to + sizeof h, h.bytes);
    name_device(d, h.device);
    memcpy(to, &h, sizeof h);
    return LOAM_OK;
}

loam_status loam__vk_cache_get(loam__vk *vk, uint8_t *bytes, uint64_t capacity, uint64_t *n)
{
    loam_status st = LOAM_OK;
    *n = 0;
    for (uint32_t i = 0; i < vk->n_devices && st == LOAM_OK; i++) {
        uint64_t some = 0;
        const uint64_t room = capacity > *n ? capacity - *n : 0;
        st = put_device(vk->devices[i], bytes ? bytes + *n : NULL, room, &some);
        *n += some;
    }
    return st;
}
