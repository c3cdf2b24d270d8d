/* Recording and submitting; waiting, which always ends. */
#include "vulkan.h"

#define WAIT_LIMIT 60000u /* waits of 1 ms for a submission, which is meant to take a few */

loam_status loam__vk_begin(loam__vk_device *d, VkCommandBuffer commands)
{
    VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkResult r = d->f.BeginCommandBuffer(commands, &info);
    if (r != VK_SUCCESS) return loam__vk_failed(d, r, "recording");
    loam__vk_barrier(d, commands);
    return LOAM_OK;
}

/* What was done before, by kernels and copies, is seen by those that follow. */
void loam__vk_barrier(const loam__vk_device *d, VkCommandBuffer commands)
{
    const VkPipelineStageFlags stages =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    d->f.CmdPipelineBarrier(commands, stages, stages, 0, 1, &barrier, 0, NULL, 0, NULL);
}

loam_status loam__vk_end(loam__vk_device *d, VkCommandBuffer commands)
{
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                               .srcAccessMask =
                                   VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                               .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    d->f.CmdPipelineBarrier(commands,
                            VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                            VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
    VkResult r = d->f.EndCommandBuffer(commands);
    return r == VK_SUCCESS ? LOAM_OK : loam__vk_failed(d, r, "recording");
}

/* A host's queue is the host's, too. */
static VkResult submit(loam__vk_device *d, const VkSubmitInfo *info)
{
    const loam_vulkan *host = &d->vk->given;
    if (host->lock) host->lock(host->lock_ctx);
    VkResult r = d->f.QueueSubmit(d->queue, 1, info, VK_NULL_HANDLE);
    if (host->unlock) host->unlock(host->lock_ctx);
    return r;
}

loam_status loam__vk_submit(loam__vk_device *d, VkCommandBuffer commands, uint64_t *value)
{
    *value = d->submitted + 1;
    VkTimelineSemaphoreSubmitInfo timeline = {.sType =
                                                  VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                              .signalSemaphoreValueCount = 1,
                                              .pSignalSemaphoreValues = value};
    VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                         .pNext = &timeline,
                         .commandBufferCount = 1,
                         .pCommandBuffers = &commands,
                         .signalSemaphoreCount = 1,
                         .pSignalSemaphores = &d->timeline};
    VkResult r = submit(d, &info);
    if (r == VK_SUCCESS) {
        d->submitted = *value;
        return LOAM_OK;
    }
    loam_status waited = loam__vk_wait(d, d->submitted);
    return waited == LOAM_OK ? loam__vk_failed(d, r, "a submission") : waited;
}

loam_status loam__vk_wait_some(loam__vk_device *d, uint64_t value, uint32_t *waited, bool *done)
{
    VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                .semaphoreCount = 1,
                                .pSemaphores = &d->timeline,
                                .pValues = &value};
    VkResult r = d->f.WaitSemaphores(d->device, &info, 1000000);
    *done = r == VK_SUCCESS;
    if (r == VK_SUCCESS) return LOAM_OK;
    if (r == VK_ERROR_DEVICE_LOST) return loam__vk_failed(d, r, "waiting for it");
    if (++*waited < WAIT_LIMIT) return LOAM_OK; /* without memory to wait, too: its work goes on */
    d->lost = true;
    return loam__fail(&d->vk->base, LOAM_ERR_DEVICE,
                      "%s has not answered while it was asked %u times, for a millisecond each; "
                      "free the model and use another device",
                      d->name, WAIT_LIMIT);
}

loam_status loam__vk_wait(loam__vk_device *d, uint64_t value)
{
    uint32_t waited = 0;
    bool done = false;
    loam_status st = LOAM_OK;
    while (st == LOAM_OK && !done)
        st = loam__vk_wait_some(d, value, &waited, &done);
    return st;
}

loam_status loam__vk_finish_once(loam__vk_device *d)
{
    uint64_t value;
    loam_status st = loam__vk_end(d, d->once);
    if (st == LOAM_OK) st = loam__vk_submit(d, d->once, &value);
    return st == LOAM_OK ? loam__vk_wait(d, value) : st;
}
