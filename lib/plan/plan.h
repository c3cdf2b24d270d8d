/* The planner: where every byte of a model goes, before any is allocated. What it lays out here is
 * what lib/run allocates, so that the report and the allocation are one (EQ OM2.5). */
#ifndef LOAM__PLAN_H
#define LOAM__PLAN_H

#include <loam/backend.h>
#include <loam/plan.h>

#include "account.h"
#include "lib/kv/kv.h"
#include "lib/model/model.h"

typedef struct loam__plan_arena {
    int32_t kind;  /* LOAM_ARENA_* */
    uint32_t part; /* of the container, where kind is WEIGHTS_MAPPED */
    uint64_t bytes;
    const char *name;
} loam__plan_arena;

/* What is allocated beside the arenas. */
typedef struct loam__plan_area {
    const char *name;
    uint64_t bytes;
} loam__plan_area;

#define LOAM__PLAN_BESIDE 8

/* The host's own tables: offsets in one block. */
typedef struct loam__host_layout {
    size_t sequences_at, items_at, history_at, logits_at, candidates_at; /* of all sequences */
    size_t tokens_at, positions_at, tables_at, outputs_at;               /* of a step */
    size_t bytes;
} loam__host_layout;

typedef struct loam__plan {
    loam__base *base;
    const loam_backend *backend;
    void *self;
    loam_device_info device;
    loam__model model;
    uint32_t threads, context_tokens, sequences, step_tokens;
    uint32_t blocks_per_table;
    loam__kv_shape kv;
    loam__plan_arena *arenas; /* compile() gets them in this order; the scratch is apart */
    uint32_t n_arenas;
    uint64_t scratch_bytes, program_bytes;
    size_t upload_bytes; /* a buffer that lives while weights are copied; 0: none are */
    loam__host_layout host;
    loam__plan_area beside[LOAM__PLAN_BESIDE]; /* with the arenas, all that there is */
    loam_plan_totals totals;
} loam__plan;

/* Check the options' numbers against each other and fill the defaults in. No model is needed. */
loam_status loam__options_check(loam__base *b, loam_options *o);

/* Sizes of what lib/run keeps for each sequence. */
typedef struct loam__plan_records {
    size_t sequence_bytes, item_bytes;
} loam__plan_records;

/* Lay a container out for a backend that is open. b, g, backend and self are kept. Free it in any
 * case with loam__plan_free(). */
loam_status loam__plan_make(loam__base *b, const loam__gguf *g, const loam_options *o,
                            const loam_backend *backend, void *self, loam__plan_records records,
                            loam__plan *plan);
/* Add up what is held now, what the account expects and what loam__run_new() will allocate, and
 * hold it against the limit. LOAM_ERR_NOFIT: the plan is whole all the same. */
loam_status loam__plan_total(loam__plan *plan, const loam_options *o, const loam__account *held);
void loam__plan_free(loam__plan *plan); /* a zeroed one is fine */

/* Where a weight's bytes are copied to, if it does not stay in the map: for the uploads of loading.
 */
bool loam__plan_is_mapped(const loam__plan *plan, const loam_value *value);

/* EQ OM2.2 and OM2.5 for a model that is only described. */
loam_status loam__plan_formula(loam__base *b, const loam_plan_geometry *geometry,
                               const loam_options *o, loam_plan_totals *totals);

#endif
