/* The Vulkan backend: a loadable module. Needs Vulkan 1.2 with buffer addresses, timeline
 * semaphores and arithmetic in subgroups; nothing else is asked of a device. */
#ifndef LOAM__VULKAN_H
#define LOAM__VULKAN_H

#include <loam/backend.h>
#include <loam/vulkan.h>

#include "calls.h"
#include "lib/base/base.h"

#define LOAM__VK_DEVICES   8u
#define LOAM__VK_PIPELINES 160u /* of a device */
#define LOAM__VK_FORMATS   28u  /* of weights */
#define LOAM__VK_CONSTANTS 7u   /* specialization constants of a pipeline at most */
#define LOAM__VK_WHOLE     5u   /* of a kernel that reads weights: rows are whole units of 32 */
#define LOAM__VK_CHUNKS    32u  /* pieces of memory of an arena at most */
#define LOAM__VK_GROUP     64u  /* rows of a weight that lie together, see layout.c */

/* What a dispatch is told; shaders/common.glsl has the same. */
typedef struct loam__vk_push {
    uint64_t dst, src[3], step, extra; /* addresses */
    uint32_t u[14];
    float f[6];
} loam__vk_push;

_Static_assert(sizeof(loam__vk_push) == 128, "what every device takes");

/* ---- memory (memory.c) ---- */

typedef enum loam__vk_use {
    LOAM__VK_DEVICE, /* where kernels reach it fastest */
    LOAM__VK_SHARED, /* also mapped: the host writes it for each step */
    LOAM__VK_READ    /* mapped, and read by the host */
} loam__vk_use;

typedef struct loam__vk_block {
    VkDeviceMemory memory;
    VkBuffer buffer;
    uint64_t bytes, address;
    uint8_t *mapped;   /* NULL: the host does not reach it */
    uint32_t readable; /* 1: and reads it fast */
} loam__vk_block;

typedef struct loam__vk_device loam__vk_device;

/* Zeroed. Errors: NOMEM, DEVICE with a sentence. */
loam_status loam__vk_block_new(loam__vk_device *d, uint64_t bytes, loam__vk_use use,
                               loam__vk_block *block);
void loam__vk_block_free(loam__vk_device *d, loam__vk_block *block); /* a zeroed one is fine */

/* Bytes of an arena that lie in one chunk from its start on. Each goes on for LOAM__VK_OVERLAP
 * bytes, which the next has too: so that a group of rows is whole in the chunk where it begins. */
#define LOAM__VK_OVERLAP ((uint64_t)32 << 20)
uint64_t loam__vk_chunk_bytes(const loam__vk_device *d);

typedef struct loam__vk_arena {
    loam__vk_device *device;
    uint64_t bytes;
    uint8_t chunks[LOAM__VK_CHUNKS]; /* indices of the device's blocks */
    uint32_t n_chunks;
    int32_t kind;
} loam__vk_arena;

loam_status loam__vk_arena_new(loam__vk_device *d, int32_t kind, uint64_t bytes,
                               loam__vk_arena **arena);
void loam__vk_arena_free(loam__vk_arena *a); /* NULL is fine */
/* The address that byte 0 of the arena would have if all lay where the chunk of `offset` does. */
uint64_t loam__vk_arena_base(const loam__vk_arena *a, uint64_t offset);
uint8_t *loam__vk_arena_memory(const loam__vk_arena *a); /* NULL: the host cannot work there */
loam_status loam__vk_write(loam__vk_arena *a, uint64_t offset, const void *bytes, uint64_t n);
/* Rows of a weight in the order of layout.c; each group lies in the chunk where it begins. */
loam_status loam__vk_write_rows(loam__vk_arena *a, const loam_value *weight, uint64_t first,
                                uint64_t n, const uint8_t *rows);
loam_status loam__vk_read(loam__vk_arena *a, uint64_t offset, void *bytes, uint64_t n);
loam_status loam__vk_copy(loam__vk_arena *a, uint64_t from, uint64_t to, uint64_t n);

/* ---- memory as texels (views.c) ---- */

#define LOAM__VK_VIEWS 4u

typedef struct loam__vk_window { /* a part of a buffer; no buffer: none */
    VkBuffer buffer;
    uint64_t at, bytes;
} loam__vk_window;

typedef struct loam__vk_set {
    VkBufferView views[LOAM__VK_VIEWS];
} loam__vk_set;

typedef struct loam__vk_sets {
    VkDescriptorPool pool;
    uint32_t n, most;
    loam__vk_set *each;
} loam__vk_sets;

VkResult loam__vk_set_layout_new(loam__vk_device *d);
/* Room for so many sets, with their records in `each`. Free it, on failure too. */
loam_status loam__vk_sets_new(loam__vk_device *d, loam__vk_set *each, uint32_t most,
                              loam__vk_sets *s);
loam_status loam__vk_sets_add(loam__vk_device *d, loam__vk_sets *s, loam__vk_window weight,
                              loam__vk_window x, VkDescriptorSet *set);
void loam__vk_sets_free(loam__vk_device *d, loam__vk_sets *s); /* a zeroed one is fine */
/* Bytes of an arena from offset on, as far as they lie in its chunk. */
loam__vk_window loam__vk_arena_window(const loam__vk_arena *a, uint64_t offset, uint64_t bytes);

/* ---- how weights lie (layout.c) ---- */

typedef struct loam__vk_layout {
    loam_format type;
    uint32_t block_values, block_bytes; /* F16 and BF16: pairs */
    uint32_t tail_at, tail_bytes;       /* what is left of a block beside its words */
    bool
        singles_lead; /* the words that make no whole quad are the first of a block, not the last */
} loam__vk_layout;

const loam__vk_layout *loam__vk_layout_find(loam_format type); /* NULL: none */
uint32_t loam__vk_row_quads(const loam_value *weight);
uint32_t loam__vk_row_singles(const loam_value *weight);
/* n rows of a group, as the file has them, into the group's order. */
void loam__vk_order_group(const loam_value *weight, const uint8_t *rows, uint32_t n, uint8_t *to);

/* ---- kernels (kernels.c) ---- */

typedef struct loam__vk_code {
    const char *name;
    const uint32_t *words;
    size_t bytes;
} loam__vk_code;

typedef struct loam__vk_format_code {
    loam_format type;
    loam__vk_code matmul, embed;
} loam__vk_format_code;

/* Made from shaders/ when loam is built. */
extern const loam__vk_format_code loam__vk_formats[];
extern const loam__vk_code loam__vk_rms_norm, loam__vk_elementwise, loam__vk_rope,
    loam__vk_kv_write, loam__vk_attention;

typedef struct loam__vk_pipeline {
    const loam__vk_code *code;
    uint32_t constants[LOAM__VK_CONSTANTS];
    VkPipeline pipeline;
    bool right; /* it computes what it should */
} loam__vk_pipeline;

/* What was found out about a kernel, here or in an earlier run. */
typedef struct loam__vk_verdict {
    uint64_t kernel; /* a hash of its code and constants */
    uint64_t right;
} loam__vk_verdict;

/* The pipeline of a shader with these constants, made and checked when it is first asked for.
 * LOAM_ERR_BACKEND: this driver computes it wrongly. */
loam_status loam__vk_pipeline_get(loam__vk_device *d, const loam__vk_code *code,
                                  const uint32_t constants[LOAM__VK_CONSTANTS],
                                  VkPipeline *pipeline);
const loam__vk_format_code *loam__vk_format_find(loam_format type); /* NULL: none */

/* A kernel that reads weights: for steps of one token, of few, or of many. */
#define LOAM__VK_VARIANTS 3u

typedef struct loam__vk_tile {
    VkPipeline pipeline;
    uint32_t rows, tokens; /* of a workgroup */
} loam__vk_tile;

/* Those of a format, with rows of whole units of 32 numbers or not, checked when they are first
 * asked for. One that is wrong on this driver gives its place to that for one token; `works` is
 * false where that is wrong, too. */
typedef struct loam__vk_format_kernels {
    bool checked, works;
    VkPipeline embed;
    loam__vk_tile matmul[LOAM__VK_VARIANTS];
} loam__vk_format_kernels;

loam_status loam__vk_format_kernels_get(loam__vk_device *d, const loam_value *weight,
                                        const loam__vk_format_kernels **kernels);

/* Whether a kernel gives what the host computes (selftest.c). */
loam_status loam__vk_check(loam__vk_device *d, const loam__vk_pipeline *p, bool *right);

/* ---- devices (device.c, cache.c) ---- */

typedef struct loam__vk loam__vk;

struct loam__vk_device {
    loam__vk *vk;
    loam__vk_calls f;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    uint32_t family;
    VkPhysicalDeviceType type;
    VkPhysicalDeviceMemoryProperties memory;
    uint64_t max_allocation_bytes;
    uint32_t subgroup; /* invocations of one */
    bool has_budget;
    bool fixes_subgroup; /* a pipeline can ask for that size */
    uint64_t texels;     /* of a view at most; 0: kernels read buffers */
    bool lost;           /* after which nothing is asked of it */
    char name[64];

    VkCommandPool pool;
    VkCommandBuffer once; /* for what is done at once */
    VkSemaphore timeline;
    uint64_t submitted; /* what the timeline will come to */
    double macs_per_ms; /* how fast it was lately */
    VkPipelineCache cache;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    loam__vk_set own_set;
    loam__vk_sets own_sets;    /* that one */
    VkDescriptorSet no_texels; /* for kernels that do without */
    uint32_t n_pipelines;
    loam__vk_pipeline pipelines[LOAM__VK_PIPELINES];
    uint32_t n_verdicts;
    loam__vk_verdict verdicts[LOAM__VK_PIPELINES];
    loam__vk_format_kernels formats[LOAM__VK_FORMATS][2]; /* rows: of part units, of whole ones */
    loam__vk_block blocks[256]; /* of arenas; those without a buffer are free */
    loam__vk_block grids;
    loam__vk_block staging; /* LOAM__VK_STAGING bytes, made when first needed */
};

#define LOAM__VK_STAGING ((uint64_t)8 << 20)

struct loam__vk {
    loam__base base;
    loam_backend_host host;
    loam_vulkan given; /* what host.native describes; zeroed without it */
    void *library;     /* the loader */
    loam__vk_calls f;
    VkInstance instance; /* of our own */
    bool staged;         /* as if no memory of a device could be mapped */
    uint32_t n_devices;
    loam__vk_device *devices[LOAM__VK_DEVICES];
};

loam_status loam__vk_open(loam__vk *vk);
loam_status loam__vk_open_loader(loam__vk *vk);
/* given.c: read host.native, and look up the functions of its instance. */
loam_status loam__vk_given_read(loam__vk *vk);
void loam__vk_close(loam__vk *vk);
uint64_t loam__vk_available(const loam__vk_device *d, uint64_t *all);
VkResult loam__vk_cache_new(loam__vk_device *d);
loam_status loam__vk_cache_get(loam__vk *vk, uint8_t *bytes, uint64_t capacity, uint64_t *n);
/* A status with a sentence that names the device. */
loam_status loam__vk_failed(loam__vk_device *d, VkResult result, const char *what);

/* ---- submitting (submit.c) ---- */

/* Begin and end a recording; between them its work sees all that was done before. */
loam_status loam__vk_begin(loam__vk_device *d, VkCommandBuffer commands);
loam_status loam__vk_end(loam__vk_device *d, VkCommandBuffer commands);
void loam__vk_barrier(const loam__vk_device *d, VkCommandBuffer commands);
/* On failure nothing is under way any more. */
loam_status loam__vk_submit(loam__vk_device *d, VkCommandBuffer commands, uint64_t *value);
/* Until the timeline has come to value, or for a millisecond: then LOAM_OK, and *done tells.
 * `waited` counts the milliseconds; past the limit the device is lost. */
loam_status loam__vk_wait_some(loam__vk_device *d, uint64_t value, uint32_t *waited, bool *done);
loam_status loam__vk_wait(loam__vk_device *d, uint64_t value);
/* Run device->once, which was begun, to its end. */
loam_status loam__vk_finish_once(loam__vk_device *d);

/* ---- programs (program.c, run.c) ---- */

int32_t loam__vk_supports(loam__vk_device *d, const loam_graph *g, const loam_node *node);
loam_status loam__vk_measure(loam__vk_device *d, const loam_graph *g, uint32_t first, uint32_t n,
                             loam_piece_memory *memory);
loam_status loam__vk_compile(loam__vk_device *d, const loam_graph *g, uint32_t first, uint32_t n,
                             void *const *arenas, loam__vk_arena *scratch, void **program);
void loam__vk_program_free(loam__vk *vk, void *program);
loam_status loam__vk_run(void *program, const loam_step *step, uint64_t *position);

#endif
