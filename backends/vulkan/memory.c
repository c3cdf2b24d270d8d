/* Blocks of device memory, and arenas made of them. */
#include "vulkan.h"

#include <string.h>

/* ---- blocks ---- */

#define MAPPED (VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)
#define CACHED VK_MEMORY_PROPERTY_HOST_CACHED_BIT
#define LOCAL  VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT

/* The first type of memory that has all of some properties; UINT32_MAX: none. */
static uint32_t find_type(const loam__vk_device *d, uint32_t allowed, VkMemoryPropertyFlags wanted)
{
    for (uint32_t i = 0; i < d->memory.memoryTypeCount; i++)
        if ((allowed >> i & 1) && (d->memory.memoryTypes[i].propertyFlags & wanted) == wanted)
            return i;
    return UINT32_MAX;
}

/* By falling preference. Device memory that the host writes past the bus must be all of it, not a
 * window of 256 MiB: a type whose heap is as large as that of any local type. */
static uint32_t choose_type(const loam__vk_device *d, uint32_t allowed, loam__vk_use use)
{
    const bool integrated = d->type != VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
    const VkMemoryPropertyFlags wanted[3][4] = {
        [LOAM__VK_DEVICE] = {LOCAL | MAPPED | CACHED, LOCAL | MAPPED, LOCAL, 0},
        [LOAM__VK_SHARED] = {LOCAL | MAPPED, MAPPED, MAPPED, MAPPED},
        [LOAM__VK_READ] = {MAPPED | CACHED, MAPPED, MAPPED, MAPPED},
    };
    uint32_t local = find_type(d, allowed, LOCAL);
    for (int i = 0; i < 4; i++) {
        uint32_t type = find_type(d, allowed, wanted[use][i]);
        if (type == UINT32_MAX) continue;
        if (use != LOAM__VK_DEVICE || integrated || i >= 2 || local == UINT32_MAX) return type;
        const VkMemoryHeap *heaps = d->memory.memoryHeaps;
        if (heaps[d->memory.memoryTypes[type].heapIndex].size >=
            heaps[d->memory.memoryTypes[local].heapIndex].size)
            return type;
    }
    return UINT32_MAX;
}

static VkResult new_buffer(loam__vk_device *d, uint64_t bytes, loam__vk_block *block)
{
    VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = bytes,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
                 VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT,
        .sharingMode = VK_SHARING_MODE_EXCLUSIVE,
    };
    VkBuffer buffer; /* what a failed call puts there is nobody's */
    VkResult r = d->f.CreateBuffer(d->device, &info, NULL, &buffer);
    if (r == VK_SUCCESS) block->buffer = buffer;
    return r;
}

static VkResult new_memory(loam__vk_device *d, loam__vk_use use, loam__vk_block *block)
{
    VkMemoryRequirements needs;
    d->f.GetBufferMemoryRequirements(d->device, block->buffer, &needs);
    uint32_t type = choose_type(d, needs.memoryTypeBits, use);
    if (type == UINT32_MAX || needs.size > d->max_allocation_bytes)
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                       .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .pNext = &flags,
                                 .allocationSize = needs.size,
                                 .memoryTypeIndex = type};
    VkDeviceMemory memory;
    VkResult r = d->f.AllocateMemory(d->device, &info, NULL, &memory);
    if (r != VK_SUCCESS) return r;
    block->memory = memory;
    r = d->f.BindBufferMemory(d->device, block->buffer, memory, 0);
    const VkMemoryPropertyFlags has = d->memory.memoryTypes[type].propertyFlags;
    if (r != VK_SUCCESS || (has & MAPPED) != MAPPED) return r;
    if (use == LOAM__VK_DEVICE && d->vk->staged) return r;
    void *mapped;
    r = d->f.MapMemory(d->device, block->memory, 0, VK_WHOLE_SIZE, 0, &mapped);
    if (r == VK_SUCCESS) block->mapped = mapped;
    block->readable = (has & CACHED) != 0;
    return r;
}

static loam_status zero(loam__vk_device *d, const loam__vk_block *block)
{
    if (block->mapped) {
        memset(block->mapped, 0, (size_t)block->bytes);
        return LOAM_OK;
    }
    loam_status st = loam__vk_begin(d, d->once);
    if (st != LOAM_OK) return st;
    d->f.CmdFillBuffer(d->once, block->buffer, 0, VK_WHOLE_SIZE, 0);
    return loam__vk_finish_once(d);
}

loam_status loam__vk_block_new(loam__vk_device *d, uint64_t bytes, loam__vk_use use,
                               loam__vk_block *block)
{
    *block = (loam__vk_block){.bytes = (bytes + 63) / 64 * 64};
    VkResult r = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    if (block->bytes <= d->max_allocation_bytes) r = new_buffer(d, block->bytes, block);
    if (r == VK_SUCCESS) r = new_memory(d, use, block);
    loam_status st;
    if (r == VK_ERROR_OUT_OF_DEVICE_MEMORY) {
        uint64_t all, available = loam__vk_available(d, &all);
        st = loam__fail(&d->vk->base, LOAM_ERR_NOMEM,
                        "%s has no room for %llu bytes at once: %llu of %llu are free, and an "
                        "allocation has at most %llu; place fewer layers there, or reduce the "
                        "context",
                        d->name, (unsigned long long)bytes, (unsigned long long)available,
                        (unsigned long long)all, (unsigned long long)d->max_allocation_bytes);
    } else {
        st = r == VK_SUCCESS ? LOAM_OK : loam__vk_failed(d, r, "an allocation");
    }
    if (st == LOAM_OK) {
        VkBufferDeviceAddressInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                                          .buffer = block->buffer};
        block->address = d->f.GetBufferDeviceAddress(d->device, &info);
        st = zero(d, block);
    }
    if (st != LOAM_OK) loam__vk_block_free(d, block);
    return st;
}

void loam__vk_block_free(loam__vk_device *d, loam__vk_block *block)
{
    d->f.DestroyBuffer(d->device, block->buffer, NULL);
    d->f.FreeMemory(d->device, block->memory, NULL);
    *block = (loam__vk_block){0};
}

/* The bytes of the largest heap on the device, and how many of them would be given. */
uint64_t loam__vk_available(const loam__vk_device *d, uint64_t *all)
{
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
        .pNext = d->has_budget ? &budget : NULL};
    uint32_t largest = UINT32_MAX;
    const VkMemoryHeap *heaps = d->memory.memoryHeaps;
    for (uint32_t i = 0; i < d->memory.memoryHeapCount; i++)
        if ((heaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) &&
            (largest == UINT32_MAX || heaps[i].size > heaps[largest].size))
            largest = i;
    *all = largest == UINT32_MAX ? 0 : heaps[largest].size;
    if (largest == UINT32_MAX) return 0;
    if (d->has_budget) {
        d->f.GetPhysicalDeviceMemoryProperties2(d->physical, &memory);
        uint64_t used = budget.heapUsage[largest], may = budget.heapBudget[largest];
        return may > used ? may - used : 0;
    }
    uint64_t used = 0;
    for (size_t i = 0; i < sizeof d->blocks / sizeof *d->blocks; i++)
        used += d->blocks[i].bytes;
    uint64_t may = *all / 10 * 9; /* the rest is others' */
    return may > used ? may - used : 0;
}

/* ---- arenas ---- */

_Static_assert(sizeof(loam__vk_arena) + 16 <= LOAM_ARENA_EXTRA_BYTES, "its record and the header");

/* A place for a block; NULL: all are taken. */
static loam__vk_block *free_block(loam__vk_device *d)
{
    for (size_t i = 0; i < sizeof d->blocks / sizeof *d->blocks; i++)
        if (!d->blocks[i].buffer) return &d->blocks[i];
    return NULL;
}

uint64_t loam__vk_chunk_bytes(const loam__vk_device *d)
{
    return (d->max_allocation_bytes - LOAM__VK_OVERLAP) / 4096 * 4096;
}

static loam__vk_block *chunk_of(const loam__vk_arena *a, uint32_t i)
{
    return &a->device->blocks[a->chunks[i]];
}

static loam_status new_chunks(loam__vk_arena *a)
{
    loam__vk_device *d = a->device;
    const uint64_t each = loam__vk_chunk_bytes(d);
    uint64_t n = a->bytes <= d->max_allocation_bytes ? 1 : (a->bytes + each - 1) / each;
    if (n > LOAM__VK_CHUNKS || (n > 1 && a->kind != LOAM_ARENA_WEIGHTS))
        return loam__fail(&d->vk->base, LOAM_ERR_NOMEM,
                          "%s gives at most %llu bytes at once, and %llu are needed; place fewer "
                          "layers there, or reduce the context",
                          d->name, (unsigned long long)d->max_allocation_bytes,
                          (unsigned long long)a->bytes);
    const loam__vk_use use = a->kind == LOAM_ARENA_SCRATCH  ? LOAM__VK_SHARED
                             : a->kind == LOAM_ARENA_LOGITS ? LOAM__VK_READ
                                                            : LOAM__VK_DEVICE;
    for (uint64_t i = 0; i < n; i++) {
        loam__vk_block *block = free_block(d);
        if (!block) return loam__fail(&d->vk->base, LOAM_ERR_NOMEM, "%s: too many arenas", d->name);
        uint64_t left = a->bytes - i * each, most = each + LOAM__VK_OVERLAP;
        loam_status st = loam__vk_block_new(d, n > 1 && left > most ? most : left, use, block);
        if (st != LOAM_OK) return st;
        a->chunks[a->n_chunks++] = (uint8_t)(block - d->blocks);
    }
    return LOAM_OK;
}

loam_status loam__vk_arena_new(loam__vk_device *d, int32_t kind, uint64_t bytes,
                               loam__vk_arena **arena)
{
    *arena = NULL;
    loam__vk_arena *a = loam__alloc(&d->vk->base, sizeof *a);
    if (!a) return LOAM_ERR_NOMEM;
    a->device = d;
    a->kind = kind;
    a->bytes = bytes;
    loam_status st = new_chunks(a);
    if (st == LOAM_OK) *arena = a;
    else loam__vk_arena_free(a);
    return st;
}

void loam__vk_arena_free(loam__vk_arena *a)
{
    if (!a) return;
    while (a->n_chunks > 0)
        loam__vk_block_free(a->device, chunk_of(a, --a->n_chunks));
    loam__free(&a->device->vk->base, a);
}

static uint64_t chunk_start(const loam__vk_arena *a, uint32_t i)
{
    return i * loam__vk_chunk_bytes(a->device);
}

uint64_t loam__vk_arena_base(const loam__vk_arena *a, uint64_t offset)
{
    uint32_t i = a->n_chunks > 1 ? (uint32_t)(offset / loam__vk_chunk_bytes(a->device)) : 0;
    return chunk_of(a, i)->address - chunk_start(a, i);
}

loam__vk_window loam__vk_arena_window(const loam__vk_arena *a, uint64_t offset, uint64_t bytes)
{
    const uint32_t i = a->n_chunks > 1 ? (uint32_t)(offset / loam__vk_chunk_bytes(a->device)) : 0;
    const loam__vk_block *block = chunk_of(a, i);
    const uint64_t at = offset - chunk_start(a, i), left = block->bytes - at;
    const uint64_t whole = (bytes + 15) / 16 * 16;
    return (loam__vk_window){block->buffer, at, whole < left ? whole : left};
}

uint8_t *loam__vk_arena_memory(const loam__vk_arena *a)
{
    const loam__vk_block *first = chunk_of(a, 0);
    return a->n_chunks == 1 && first->readable ? first->mapped : NULL;
}

/* ---- to and from the host ---- */

static loam_status get_staging(loam__vk_device *d)
{
    return d->staging.buffer ? LOAM_OK
                             : loam__vk_block_new(d, LOAM__VK_STAGING, LOAM__VK_READ, &d->staging);
}

static loam_status copy_now(loam__vk_device *d, VkBuffer from, VkBuffer to, VkBufferCopy region)
{
    loam_status st = loam__vk_begin(d, d->once);
    if (st != LOAM_OK) return st;
    d->f.CmdCopyBuffer(d->once, from, to, 1, &region);
    return loam__vk_finish_once(d);
}

/* n bytes into (or out of) a block, past its map or by way of the staging memory. */
static loam_status move(loam__vk_device *d, const loam__vk_block *block, uint64_t at,
                        uint8_t *bytes, uint64_t n, bool reading)
{
    if (block->mapped && (!reading || block->readable)) {
        if (reading) memcpy(bytes, block->mapped + at, (size_t)n);
        else memcpy(block->mapped + at, bytes, (size_t)n);
        return LOAM_OK;
    }
    loam_status st = get_staging(d);
    for (uint64_t done = 0, some; st == LOAM_OK && done < n; done += some) {
        some = n - done < LOAM__VK_STAGING ? n - done : LOAM__VK_STAGING;
        VkBufferCopy region = {.srcOffset = 0, .dstOffset = at + done, .size = some};
        if (reading) {
            region = (VkBufferCopy){.srcOffset = at + done, .dstOffset = 0, .size = some};
            st = copy_now(d, block->buffer, d->staging.buffer, region);
            if (st == LOAM_OK) memcpy(bytes + done, d->staging.mapped, (size_t)some);
        } else {
            memcpy(d->staging.mapped, bytes + done, (size_t)some);
            st = copy_now(d, d->staging.buffer, block->buffer, region);
        }
    }
    return st;
}

/* What is in two chunks is written to both, and read from the first that has it. */
static loam_status transfer(loam__vk_arena *a, uint64_t offset, uint8_t *bytes, uint64_t n,
                            bool reading)
{
    loam_status st = LOAM_OK;
    if (offset > a->bytes || n > a->bytes - offset) return LOAM_ERR_ARG;
    for (uint32_t i = 0; i < a->n_chunks && st == LOAM_OK; i++) {
        uint64_t start = chunk_start(a, i), end = start + chunk_of(a, i)->bytes;
        uint64_t from = offset > start ? offset : start;
        uint64_t to = offset + n < end ? offset + n : end;
        if (from < to)
            st = move(a->device, chunk_of(a, i), from - start, bytes + (from - offset), to - from,
                      reading);
    }
    return st;
}

loam_status loam__vk_write(loam__vk_arena *a, uint64_t offset, const void *bytes, uint64_t n)
{
    return transfer(a, offset, (uint8_t *)(uintptr_t)bytes, n, false);
}

loam_status loam__vk_read(loam__vk_arena *a, uint64_t offset, void *bytes, uint64_t n)
{
    return transfer(a, offset, bytes, n, true);
}

loam_status loam__vk_copy(loam__vk_arena *a, uint64_t from, uint64_t to, uint64_t n)
{
    const loam__vk_block *block = chunk_of(a, 0);
    if (a->n_chunks != 1 || from > a->bytes || to > a->bytes || n > a->bytes - from ||
        n > a->bytes - to)
        return LOAM_ERR_ARG;
    VkBufferCopy region = {.srcOffset = from, .dstOffset = to, .size = n};
    return copy_now(a->device, block->buffer, block->buffer, region);
}

/* One group, ordered where it will lie or in the staging memory. */
static loam_status write_group(loam__vk_arena *a, const loam_value *weight, uint64_t offset,
                               const uint8_t *rows, uint32_t n)
{
    loam__vk_device *d = a->device;
    const uint32_t i = a->n_chunks > 1 ? (uint32_t)(offset / loam__vk_chunk_bytes(d)) : 0;
    const loam__vk_block *block = chunk_of(a, i);
    const uint64_t at = offset - chunk_start(a, i), bytes = n * weight->row_bytes;
    if (block->mapped) {
        loam__vk_order_group(weight, rows, n, block->mapped + at);
        return LOAM_OK;
    }
    loam_status st = get_staging(d);
    if (st != LOAM_OK) return st;
    loam__vk_order_group(weight, rows, n, d->staging.mapped);
    VkBufferCopy region = {.srcOffset = 0, .dstOffset = at, .size = bytes};
    return copy_now(d, d->staging.buffer, block->buffer, region);
}

loam_status loam__vk_write_rows(loam__vk_arena *a, const loam_value *weight, uint64_t first,
                                uint64_t n, const uint8_t *rows)
{
    loam_status st = LOAM_OK;
    uint64_t offset = weight->offset + first * weight->row_bytes;
    if (offset > a->bytes || n * weight->row_bytes > a->bytes - offset) return LOAM_ERR_ARG;
    for (uint64_t i = 0, some; i < n && st == LOAM_OK; i += some) {
        some = n - i < LOAM__VK_GROUP ? n - i : LOAM__VK_GROUP;
        st = write_group(a, weight, offset + i * weight->row_bytes, rows + i * weight->row_bytes,
                         (uint32_t)some);
    }
    return st;
}
