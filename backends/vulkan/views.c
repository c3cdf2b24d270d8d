/* Weights and numbers as texels: drivers that run on a CPU fetch a texel of 16 bytes for all
 * invocations of a subgroup in one go, where they read a buffer for one after the other (llvmpipe
 * of Mesa 22.3: 50 instructions for 8 invocations instead of 140 for a word each). */
#include "vulkan.h"

/* The bindings of shaders/weights.glsl. */
static const VkFormat formats[LOAM__VK_VIEWS] = {VK_FORMAT_R32G32B32A32_UINT, VK_FORMAT_R32_UINT,
                                                 VK_FORMAT_R32G32B32A32_SFLOAT, VK_FORMAT_R32_UINT};

VkResult loam__vk_set_layout_new(loam__vk_device *d)
{
    VkDescriptorSetLayoutBinding bindings[LOAM__VK_VIEWS];
    for (uint32_t i = 0; i < LOAM__VK_VIEWS; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){.binding = i,
                                                     .descriptorType =
                                                         VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER,
                                                     .descriptorCount = 1,
                                                     .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo info = {.sType =
                                                VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                            .bindingCount = LOAM__VK_VIEWS,
                                            .pBindings = bindings};
    VkDescriptorSetLayout layout;
    VkResult r = d->f.CreateDescriptorSetLayout(d->device, &info, NULL, &layout);
    if (r == VK_SUCCESS) d->set_layout = layout;
    return r;
}

loam_status loam__vk_sets_new(loam__vk_device *d, loam__vk_set *each, uint32_t most,
                              loam__vk_sets *s)
{
    *s = (loam__vk_sets){.each = each, .most = most};
    if (most == 0) return LOAM_OK;
    VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, LOAM__VK_VIEWS * most};
    VkDescriptorPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                       .maxSets = most,
                                       .poolSizeCount = 1,
                                       .pPoolSizes = &size};
    VkDescriptorPool pool;
    VkResult r = d->f.CreateDescriptorPool(d->device, &info, NULL, &pool);
    if (r != VK_SUCCESS) return loam__vk_failed(d, r, "descriptors");
    s->pool = pool;
    return LOAM_OK;
}

static VkResult new_views(loam__vk_device *d, loam__vk_set *set, loam__vk_window weight,
                          loam__vk_window x)
{
    const loam__vk_window grids = {d->grids.buffer, 0, d->grids.bytes};
    const loam__vk_window windows[LOAM__VK_VIEWS] = {weight, weight, x, grids};
    VkResult r = VK_SUCCESS;
    for (uint32_t i = 0; i < LOAM__VK_VIEWS && r == VK_SUCCESS; i++) {
        const loam__vk_window w = windows[i].buffer ? windows[i] : grids;
        VkBufferViewCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO,
                                       .buffer = w.buffer,
                                       .format = formats[i],
                                       .offset = w.at,
                                       .range = w.bytes / 16 * 16};
        VkBufferView view;
        r = d->f.CreateBufferView(d->device, &info, NULL, &view);
        if (r == VK_SUCCESS) set->views[i] = view;
    }
    return r;
}

loam_status loam__vk_sets_add(loam__vk_device *d, loam__vk_sets *s, loam__vk_window weight,
                              loam__vk_window x, VkDescriptorSet *out)
{
    if (s->n == s->most)
        return loam__fail(&d->vk->base, LOAM_ERR_INTERNAL, "more descriptors than were counted");
    loam__vk_set *set = &s->each[s->n++];
    *set = (loam__vk_set){0};
    VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                        .descriptorPool = s->pool,
                                        .descriptorSetCount = 1,
                                        .pSetLayouts = &d->set_layout};
    VkResult r = d->f.AllocateDescriptorSets(d->device, &info, out);
    if (r == VK_SUCCESS) r = new_views(d, set, weight, x);
    if (r != VK_SUCCESS) return loam__vk_failed(d, r, "descriptors");
    VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                  .dstSet = *out,
                                  .descriptorCount = LOAM__VK_VIEWS,
                                  .descriptorType = VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER,
                                  .pTexelBufferView = set->views};
    d->f.UpdateDescriptorSets(d->device, 1, &write, 0, NULL);
    return LOAM_OK;
}

void loam__vk_sets_free(loam__vk_device *d, loam__vk_sets *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        for (uint32_t v = 0; v < LOAM__VK_VIEWS; v++)
            d->f.DestroyBufferView(d->device, s->each[i].views[v], NULL);
    if (s->pool) d->f.DestroyDescriptorPool(d->device, s->pool, NULL);
    *s = (loam__vk_sets){0};
}
