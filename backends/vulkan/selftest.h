/* Small data for a kernel, where the host and the device reach it. */
#ifndef LOAM__VULKAN_SELFTEST_H
#define LOAM__VULKAN_SELFTEST_H

#include "vulkan.h"

#define TRIAL_TOKENS 9u /* most in a trial's step */

typedef struct trial {
    loam__vk_device *d;
    loam__vk_block block; /* the step, then the parts */
    uint64_t used;        /* bytes of it */
    uint32_t *step;
    loam__vk_push push;
    VkDescriptorSet set;
    loam__vk_set own_set;
    loam__vk_sets sets; /* that one */
} trial;

/* A step of n tokens and as many outputs, and room for parts of so many bytes. Free it, on failure
 * too. */
loam_status loam__vk_trial_new(loam__vk_device *d, uint32_t n, uint64_t bytes, trial *t);
void loam__vk_trial_free(trial *t);
/* The next part, all zeros. */
void *loam__vk_trial_part(trial *t, uint64_t bytes, uint64_t *address);
void *loam__vk_trial_numbers(trial *t, uint32_t n, uint64_t *address); /* floats in [-1, 1) */
uint32_t *loam__vk_trial_array(trial *t, uint32_t array);              /* of the step */
loam_status loam__vk_trial_run(trial *t, VkPipeline pipeline, uint32_t x, uint32_t y);
/* Whether |a - b| <= part * size, and both are numbers. */
bool loam__vk_near(double a, double b, double part, double size);
/* Bytes whose halves are finite numbers of moderate size, whatever a format takes them for. */
void loam__vk_some_bytes(uint8_t *bytes, uint64_t n);

/* selftest_ops.c: the kernels that read no weights */
loam_status loam__vk_check_op(loam__vk_device *d, const loam__vk_pipeline *p, bool *right);

#endif
