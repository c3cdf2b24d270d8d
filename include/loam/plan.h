/* plan.h - will it fit, what goes where, how fast can it be at best: before anything is loaded.
 *
 *   EQ OM2.1  decode tokens/s <= bandwidth / bytes read per token
 *   EQ OM2.2  weights         =  N * bpw / 8
 *   EQ OM2.5  M_total = weights + KV + overhead, KV = 2 * L * h_kv * d_k * T * b * bits_kv / 8
 *
 * The layout that a plan reports is the one that loam_load() allocates. */
#ifndef LOAM_PLAN_H
#define LOAM_PLAN_H

#include <loam/loam.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct loam_plan loam_plan;

/* Plan a model file with the options that it would be loaded with. Reads only the header.
 *
 * out      owned, also on failure (it carries the text); free it with loam_plan_free()
 * Errors   those of loam_load(), but that damage inside a vocabulary is only found by loading;
 *          LOAM_ERR_NOFIT still gives a whole plan
 * Threads  any
 * Since    0.1 */
LOAM_API loam_status loam_plan_file(const char *path, const loam_options *options, loam_plan **out);

/* A model that is only described. */
typedef struct loam_plan_geometry {
    uint32_t struct_size; /* set by loam_plan_geometry_init() */
    uint32_t layers;
    double parameters;      /* N */
    double bits_per_weight; /* bpw */
    uint32_t kv_heads;
    uint32_t head_values;    /* width of one head */
    uint64_t overhead_bytes; /* beyond weights and KV */
} loam_plan_geometry;        /* 0.1 ends here */

LOAM_API void loam_plan_geometry_init(loam_plan_geometry *geometry);

/* Plan from bare geometry, by EQ OM2.2 and OM2.5.
 * Errors   LOAM_ERR_ARG, NOMEM, NOFIT (a whole plan all the same)
 * Since    0.1 */
LOAM_API loam_status loam_plan_describe(const loam_plan_geometry *geometry,
                                        const loam_options *options, loam_plan **out);

LOAM_API const char *loam_plan_error(const loam_plan *plan);
LOAM_API void loam_plan_free(loam_plan *plan);

typedef struct loam_plan_totals {
    uint32_t struct_size;          /* set by loam_plan_totals_init() */
    uint32_t fits;                 /* 1: within limit_bytes, where mapped weights count only if
                                      the caller set the limit */
    uint64_t weights_bytes;        /* mapped and private */
    uint64_t weights_mapped_bytes; /* shared with the file cache, pageable */
    uint64_t kv_bytes;
    uint64_t overhead_bytes; /* activations, logits, scratch, tables, vocabulary, handle */
    uint64_t total_bytes;
    uint64_t peak_resident_bytes; /* of the process, what loam adds with the whole context in use */
    uint64_t limit_bytes;         /* memory_limit_bytes, or 90 % of what the system has available */
    uint64_t token_read_bytes;    /* read for one decoded token with an empty context, EQ OM2.1 */
    uint64_t kv_token_bytes;      /* KV of one token over all layers */
} loam_plan_totals;               /* 0.1 ends here */

typedef struct loam_plan_device {
    uint32_t struct_size; /* set by loam_plan_device_init() */
    uint32_t layers;      /* how many layers live there */
    uint64_t bytes;
    uint64_t limit_bytes;
    const char *name; /* lives as long as the plan */
    const void *reserved;
} loam_plan_device; /* 0.1 ends here */

typedef struct loam_plan_area {
    uint32_t struct_size; /* set by loam_plan_area_init() */
    uint32_t device;
    uint64_t bytes;
    const char *name; /* "weights", "kv", "activations", …; lives as long as the plan */
    const void *reserved;
} loam_plan_area; /* 0.1 ends here */

LOAM_API void loam_plan_totals_init(loam_plan_totals *totals);
LOAM_API void loam_plan_device_init(loam_plan_device *device);
LOAM_API void loam_plan_area_init(loam_plan_area *area);

/* Read a plan. Errors: LOAM_ERR_ARG (NULL, no such device or area), LOAM_ERR_NEWER. */
LOAM_API loam_status loam_plan_get_totals(const loam_plan *plan, loam_plan_totals *totals);
LOAM_API size_t loam_plan_device_count(const loam_plan *plan);
LOAM_API loam_status loam_plan_get_device(const loam_plan *plan, size_t i,
                                          loam_plan_device *device);
LOAM_API size_t loam_plan_area_count(const loam_plan *plan);
LOAM_API loam_status loam_plan_get_area(const loam_plan *plan, size_t i, loam_plan_area *area);

#ifdef __cplusplus
}
#endif
#endif
