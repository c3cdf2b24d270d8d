/* Pipelines, each made when it is first wanted. */
#include "vulkan.h"

#include <string.h>

const loam__vk_format_code *loam__vk_format_find(loam_format type)
{
    for (const loam__vk_format_code *f = loam__vk_formats; f->embed.words; f++)
        if (f->type == type) return f;
    return NULL;
}

static VkResult new_pipeline(loam__vk_device *d, loam__vk_pipeline *p)
{
    VkSpecializationMapEntry entries[LOAM__VK_CONSTANTS];
    for (uint32_t i = 0; i < LOAM__VK_CONSTANTS; i++)
        entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    VkSpecializationInfo constants = {LOAM__VK_CONSTANTS, entries, sizeof p->constants,
                                      p->constants};
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = p->code->bytes,
                                     .pCode = p->code->words};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT subgroup = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO_EXT,
        .requiredSubgroupSize = d->subgroup};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = d->fixes_subgroup ? &subgroup : NULL,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .pName = "main",
                  .pSpecializationInfo = &constants},
        .layout = d->layout,
    };
    VkResult r = vkCreateShaderModule(d->device, &code, NULL, &info.stage.module);
    if (r == VK_SUCCESS)
        r = vkCreateComputePipelines(d->device, d->cache, 1, &info, NULL, &p->pipeline);
    vkDestroyShaderModule(d->device, info.stage.module, NULL);
    return r;
}

loam_status loam__vk_pipeline_get(loam__vk_device *d, const loam__vk_code *code,
                                  const uint32_t constants[LOAM__VK_CONSTANTS],
                                  VkPipeline *pipeline)
{
    const size_t bytes = LOAM__VK_CONSTANTS * sizeof *constants;
    for (uint32_t i = 0; i < d->n_pipelines; i++) {
        const loam__vk_pipeline *p = &d->pipelines[i];
        if (p->code != code || memcmp(p->constants, constants, bytes) != 0) continue;
        *pipeline = p->pipeline;
        return LOAM_OK;
    }
    if (d->n_pipelines == LOAM__VK_PIPELINES)
        return loam__fail(&d->vk->base, LOAM_ERR_UNSUPPORTED,
                          "%s: the model has too many kinds of ops for one device", d->name);
    loam__vk_pipeline *p = &d->pipelines[d->n_pipelines];
    *p = (loam__vk_pipeline){.code = code};
    memcpy(p->constants, constants, bytes);
    VkResult r = new_pipeline(d, p);
    if (r != VK_SUCCESS) return loam__vk_failed(d, r, "a kernel");
    d->n_pipelines++;
    *pipeline = p->pipeline;
    return LOAM_OK;
}
