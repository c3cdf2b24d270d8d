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
    VkResult r = d->f.CreateShaderModule(d->device, &code, NULL, &info.stage.module);
    if (r != VK_SUCCESS) return r;
    r = d->f.CreateComputePipelines(d->device, d->cache, 1, &info, NULL, &p->pipeline);
    d->f.DestroyShaderModule(d->device, info.stage.module, NULL);
    return r;
}

/* From an earlier run, or tried now. */
static loam_status judge(loam__vk_device *d, loam__vk_pipeline *p)
{
    uint64_t kernel = loam__fnv(LOAM__FNV, p->code->words, p->code->bytes);
    kernel = loam__fnv(kernel, p->constants, sizeof p->constants);
    for (uint32_t i = 0; i < d->n_verdicts; i++) {
        if (d->verdicts[i].kernel != kernel) continue;
        p->right = d->verdicts[i].right != 0;
        return LOAM_OK;
    }
    loam_status st = loam__vk_check(d, p, &p->right);
    if (st == LOAM_OK && d->n_verdicts < LOAM__VK_PIPELINES)
        d->verdicts[d->n_verdicts++] = (loam__vk_verdict){kernel, p->right};
    return st;
}

static loam__vk_pipeline *find_pipeline(loam__vk_device *d, const loam__vk_code *code,
                                        const uint32_t *constants)
{
    for (uint32_t i = 0; i < d->n_pipelines; i++) {
        loam__vk_pipeline *p = &d->pipelines[i];
        if (p->code == code && memcmp(p->constants, constants, sizeof p->constants) == 0) return p;
    }
    return NULL;
}

static loam_status add_pipeline(loam__vk_device *d, const loam__vk_code *code,
                                const uint32_t *constants, loam__vk_pipeline **added)
{
    if (d->n_pipelines == LOAM__VK_PIPELINES)
        return loam__fail(&d->vk->base, LOAM_ERR_UNSUPPORTED,
                          "%s: the model has too many kinds of ops for one device", d->name);
    loam__vk_pipeline *p = &d->pipelines[d->n_pipelines];
    *p = (loam__vk_pipeline){.code = code};
    memcpy(p->constants, constants, sizeof p->constants);
    VkResult r = new_pipeline(d, p);
    if (r != VK_SUCCESS) return loam__vk_failed(d, r, "a kernel");
    loam_status st = judge(d, p);
    if (st != LOAM_OK) {
        d->f.DestroyPipeline(d->device, p->pipeline, NULL);
        return st;
    }
    d->n_pipelines++;
    *added = p;
    if (!p->right)
        loam__log(&d->vk->base, LOAM_LOG_WARN,
                  "vulkan: %s computes a kernel wrongly, which is left out: %s", d->name,
                  code->name);
    return LOAM_OK;
}

loam_status loam__vk_pipeline_get(loam__vk_device *d, const loam__vk_code *code,
                                  const uint32_t constants[LOAM__VK_CONSTANTS],
                                  VkPipeline *pipeline)
{
    loam__vk_pipeline *p = find_pipeline(d, code, constants);
    if (!p && d->lost) return LOAM_ERR_DEVICE; /* as its sentence says, which stays */
    loam_status st = p ? LOAM_OK : add_pipeline(d, code, constants, &p);
    if (st != LOAM_OK) return st;
    *pipeline = p->pipeline;
    return p->right ? LOAM_OK
                    : loam__fail(&d->vk->base, LOAM_ERR_BACKEND, "%s computes %s wrongly", d->name,
                                 code->name);
}

/* ---- kernels that read weights ---- */

/* Segments of a sum that a workgroup may share out; on a CPU it has none to share with. */
#define SEGMENTS 8u

/* Rows of an invocation, and tokens. Where the device runs many invocations at once, each has one
 * row in a step of one token, and its columns are shared out. On a CPU each shall do much with what
 * it has read, in code that fits its first cache. */
static const struct {
    uint32_t rows, tokens;
} shapes[2][LOAM__VK_VARIANTS] = {{{8, 1}, {8, 4}, {8, 4}}, {{1, 1}, {4, 4}, {4, 8}}};

static loam_status get_tile(loam__vk_device *d, const loam__vk_format_code *f, bool whole,
                            uint32_t i, loam__vk_tile *tile)
{
    const bool many = d->type != VK_PHYSICAL_DEVICE_TYPE_CPU;
    const uint32_t rows = shapes[many][i].rows, tokens = shapes[many][i].tokens;
    uint32_t lanes = d->subgroup;
    while (many && i < 2 && lanes < SEGMENTS * d->subgroup && lanes * 2 <= 256)
        lanes *= 2;
    const uint32_t constants[LOAM__VK_CONSTANTS] = {
        lanes, d->subgroup, rows, tokens, d->texels != 0, whole, many ? SEGMENTS : 1};
    tile->rows = rows * d->subgroup;
    tile->tokens = tokens;
    return loam__vk_pipeline_get(d, &f->matmul, constants, &tile->pipeline);
}

static loam_status get_kernels(loam__vk_device *d, const loam__vk_format_code *f, bool whole,
                               loam__vk_format_kernels *k)
{
    const uint32_t constants[LOAM__VK_CONSTANTS] = {64, 0, 0, 0, d->texels != 0, whole};
    loam_status st = loam__vk_pipeline_get(d, &f->embed, constants, &k->embed);
    for (uint32_t i = 0; i < LOAM__VK_VARIANTS && st == LOAM_OK; i++) {
        st = get_tile(d, f, whole, i, &k->matmul[i]);
        if (st != LOAM_ERR_BACKEND || i == 0) continue;
        k->matmul[i] = k->matmul[0];
        st = LOAM_OK;
    }
    k->works = st == LOAM_OK;
    return st == LOAM_ERR_BACKEND ? LOAM_OK : st;
}

loam_status loam__vk_format_kernels_get(loam__vk_device *d, const loam_value *weight,
                                        const loam__vk_format_kernels **kernels)
{
    const loam__vk_format_code *f = loam__vk_format_find(weight->type);
    if (!f) return LOAM_ERR_TENSOR_TYPE;
    const bool whole = weight->cols % 32 == 0;
    loam__vk_format_kernels *k = &d->formats[f - loam__vk_formats][whole];
    *kernels = k;
    if (k->checked) return LOAM_OK;
    loam_status st = get_kernels(d, f, whole, k);
    k->checked = st == LOAM_OK;
    return st;
}
