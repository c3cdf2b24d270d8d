/* What a piece of a graph becomes: a list of dispatches, and recordings of them. */
#ifndef LOAM__VULKAN_PROGRAM_H
#define LOAM__VULKAN_PROGRAM_H

#include "vulkan.h"

#define VARIANTS LOAM__VK_VARIANTS

typedef struct variant {
    VkPipeline pipeline;
    uint32_t groups;      /* workgroups of a row: x */
    uint32_t group_rows;  /* rows of the step in a workgroup: y */
    uint32_t group_items; /* what a workgroup of x stands for, where x may be cut */
} variant;

typedef enum cut {
    CUT_NEVER,
    CUT_ITEMS, /* along x: u[7] is the first item */
    CUT_ROWS   /* along y: u[10] is the first row */
} cut;

typedef struct range {
    const loam__vk_arena *arena; /* NULL: none */
    uint64_t start, end;
} range;

typedef struct op {
    const char *name; /* in profiles */
    loam_format type; /* of the weights or cells, -1: none */
    cut cut;
    int32_t rows;      /* LOAM_ROWS_* */
    uint64_t row_macs; /* about, of a row of the step */
    variant variants[VARIANTS];
    loam__vk_push push;
    VkDescriptorSet set; /* NULL: it reads no weights */
    range reads[LOAM_NODE_SOURCES], write;
} op;

/* The ops for steps of up to so many rows, as command buffers that are replayed. */
#define SEGMENTS   128u
#define RECORDINGS 12u

typedef struct recording {
    uint32_t tokens, outputs; /* 0 tokens: none */
    uint32_t n;
    double macs_per_ms; /* what its cuts were reckoned with */
    VkCommandBuffer segments[SEGMENTS];
    uint64_t macs[SEGMENTS];
} recording;

/* The rotations of a step: a table of cosines and sines for each kind. */
#define ROPE_TABLES 4u

typedef struct rope_table {
    const loam_node *node; /* only while compiling */
    float step, magnitude;
    uint32_t rotary_values;
    uint64_t at; /* in the scratch, in bytes */
    float *scales;
} rope_table;

typedef struct program {
    loam__vk_device *device;
    loam__vk_arena *scratch;
    uint32_t max_tokens, max_outputs;
    uint32_t groups; /* of block tables; 0: the ops need none */
    uint32_t n_ops, n_ropes, next_recording;
    op *ops; /* behind this struct */
    rope_table ropes[ROPE_TABLES];
    uint32_t n_tables, blocks_per_table;
    loam__vk_sets sets;
    uint64_t tables_at; /* in the scratch: [groups][n_tables][blocks_per_table] */
    recording recordings[RECORDINGS];
} program;

/* The step as kernels see it, at the start of the scratch: words, and arrays of max_tokens words
 * each. shaders/common.glsl has the same. */
#define STEP_HEAD   8u
#define STEP_ARRAYS 4u /* tokens, positions, tables, output rows */

/* record.c */
loam_status loam__vk_record_op(program *p, const op *o, uint32_t rows, VkCommandBuffer commands);
loam_status loam__vk_recording_get(program *p, const loam_step *step, bool resumed,
                                   recording **found);
void loam__vk_recording_free(program *p, recording *r);
uint32_t loam__vk_rows_of(const op *o, uint32_t tokens, uint32_t outputs);

#endif
