/* The planner: where every byte of a model goes, before any is allocated. What it lays out here is
 * what lib/run allocates, so that the report and the allocation are one (EQ OM2.5). */
#ifndef LOAM__PLAN_H
#define LOAM__PLAN_H

#include <loam/backend.h>
#include <loam/plan.h>

#include "account.h"
#include "case.h"
#include "lib/kv/kv.h"
#include "lib/model/model.h"
#include "quality.h"

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

/* Sizes of what lib/run keeps for each sequence. */
typedef struct loam__plan_records {
    size_t sequence_bytes, item_bytes;
} loam__plan_records;

typedef struct loam__plan {
    loam__base *base;
    const loam_backend *backend;
    void *self;
    loam_device_info device;
    loam__model model;
    uint32_t threads, context_tokens, sequences, step_tokens;
    loam__kv_shape kv;
    loam__plan_arena *arenas; /* compile() gets them in this order; the scratch is apart */
    uint32_t n_arenas;
    bool copied; /* the weights, even where they are mapped */
    uint64_t scratch_bytes, program_bytes;
    size_t upload_bytes; /* a buffer that lives while weights are copied; 0: none are */
    loam__host_layout host;
    loam__plan_records records;
    loam__plan_area beside[LOAM__PLAN_BESIDE]; /* with the arenas, all that there is */
    loam_plan_totals totals;
} loam__plan;

/* Check the options' numbers against each other and fill the defaults in. No model is needed. */
loam_status loam__options_check(loam__base *b, loam_options *o);

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

/* The same plan with other options, which are checked, without holding it against any limit. b is
 * kept; free it in any case. */
loam_status loam__plan_again(loam__base *b, const loam__plan *plan, const loam_options *o,
                             const loam__account *held, loam__plan *again);

#define LOAM__PLAN_FILL 0.9 /* how much of the memory may be used, where nobody says */

/* Hold totals against the options' limit, or else that much of what is available (0: unknown). The
 * sentence of LOAM_ERR_NOFIT has the numbers. */
loam_status loam__plan_judge(loam__base *b, const loam_options *o, uint64_t available_bytes,
                             double fill, loam_plan_totals *totals);

/* ---- bounds.c: EQ OM2.1 ---- */

/* Products with weights for one token of a prompt: those of the body. */
uint64_t loam__plan_token_products(const loam__graph *g);

typedef struct loam__plan_read {
    uint64_t weights_bytes, kv_bytes;
} loam__plan_read;

/* What a token reads with that much context before it: at one node, at all. */
loam__plan_read loam__plan_node_read(const loam__graph *g, uint32_t node, uint32_t context_tokens);
loam__plan_read loam__plan_token_read(const loam__graph *g, uint32_t context_tokens);

/* ---- described.c: EQ OM2.2 and OM2.5 for a model that is only described ---- */

loam_status loam__plan_geometry_check(loam__base *b, const loam_plan_geometry *geometry,
                                      const loam_options *o);
/* KV of one token, in bytes, with the options' cells. */
double loam__plan_kv_token(const loam_plan_geometry *geometry, const loam_options *o);
/* The totals of a checked geometry, without a limit. token_kv_bytes: of loam__plan_kv_token(). */
loam_status loam__plan_formula(loam__base *b, const loam_plan_geometry *geometry,
                               const loam_options *o, double kv_token_bytes,
                               loam_plan_totals *totals);
/* Whether heads of that width have cells of the options' types. */
loam_status loam__plan_check_cells(loam__base *b, const loam_options *o, uint32_t k_values,
                                   uint32_t v_values);
double loam__plan_cell_bits(const loam_options *o); /* of a key and a value together */

uint32_t loam__plan_context(const loam_options *o, uint32_t trained_tokens);
uint64_t loam__plan_plus(uint64_t a, uint64_t b); /* sticks at the largest number */

#endif
