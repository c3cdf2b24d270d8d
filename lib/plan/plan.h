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
#include "place.h"
#include "quality.h"

/* A device that a model may be put on. */
typedef struct loam__site {
    const loam_backend *backend;
    void *self;
    uint32_t index; /* of the backend's devices */
    loam_device_info info;
    uint64_t available_bytes; /* of its memory; 0: unknown */
    double fill;              /* how much of that may be used */
    bool limited;             /* available_bytes is the caller's limit */
    bool spare;               /* gets only what fits nowhere else */
    int32_t layers; /* that are wanted there, next in the order of the sites; -1: any number */
    /* What the plan adds. */
    bool used;
    bool copied; /* its weights, even where they could be mapped */
    uint64_t program_bytes;
    uint64_t bytes; /* of its arenas; of the first that is the host: all that is not elsewhere */
} loam__site;

typedef struct loam__sites {
    uint32_t n; /* at least 1; the first one that is the host's memory is the host */
    loam__site site[LOAM__PLACE_DEVICES];
} loam__sites;

typedef struct loam__plan_arena {
    uint32_t site;
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
    size_t staging_at;                                                   /* between devices */
    size_t bytes;
} loam__host_layout;

/* Sizes of what lib/run keeps for each sequence. */
typedef struct loam__plan_records {
    size_t sequence_bytes, item_bytes;
} loam__plan_records;

typedef struct loam__plan {
    loam__base *base;
    loam__sites sites;
    loam__model model;
    loam__piece *pieces; /* that run one after another: those of the body, then of the head */
    uint32_t n_pieces, n_body_pieces;
    uint32_t threads, context_tokens, sequences, step_tokens;
    loam__kv_shape kv;
    loam__plan_arena *arenas; /* compile() gets them in this order */
    uint32_t n_arenas;
    size_t upload_bytes;  /* a buffer that lives while weights are copied; 0: none are */
    size_t staging_bytes; /* for activations between devices; 0: one device only */
    loam__host_layout host;
    loam__plan_records records;
    loam__plan_area beside[LOAM__PLAN_BESIDE]; /* with the arenas, all that there is */
    uint64_t rest_bytes, rest_limit_bytes;     /* on the host, where no site is; else 0 */
    loam_plan_totals totals;
} loam__plan;

/* Check the options' numbers against each other and fill the defaults in. No model is needed. */
loam_status loam__options_check(loam__base *b, loam_options *o);

/* Lay a container out over sites, whose backends are open: all on one of them, or unit by unit
 * (place.h) on that of unit_sites, which may be NULL where there is one. b, g and the backends are
 * kept. Free it in any case with loam__plan_free(). */
loam_status loam__plan_make(loam__base *b, const loam__gguf *g, const loam_options *o,
                            const loam__sites *sites, const uint8_t *unit_sites,
                            loam__plan_records records, loam__plan *plan);

/* What the planner places, beside the options. */
typedef struct loam__spread {
    const loam__gguf *gguf;
    const loam__sites *sites;
    loam__plan_records records;
    const loam__account *held;
    double scale; /* of all weights: 1, or what other formats would make of them */
} loam__spread;

/* The same, where the planner chooses (sites.c). Weights of the host stay in the map where only
 * that makes it fit and the options leave it open. LOAM_ERR_NOFIT: no choice fits; the plan is
 * whole all the same. */
loam_status loam__plan_spread(loam__base *b, const loam__spread *s, const loam_options *o,
                              loam__plan *plan);
/* The first site whose memory is the host's; n: none is. */
uint32_t loam__sites_host(const loam__sites *sites);
/* Whether all is on the host as it is: no placement, and no limit but the options'. */
bool loam__sites_are_host(const loam__sites *sites);
/* The arena of a site's scratch, which may have no bytes. */
uint32_t loam__plan_scratch(const loam__plan *plan, uint32_t site);
/* Which of the units of place.h a node belongs to. */
uint32_t loam__plan_unit_of(const loam__plan *plan, uint32_t node);
static inline uint64_t loam__site_limit(const loam__site *site)
{
    if (site->available_bytes == 0) return UINT64_MAX;
    return (uint64_t)((double)site->available_bytes * site->fill);
}
static inline const loam__site *loam__plan_site_of(const loam__plan *plan, const loam_value *value)
{
    return &plan->sites.site[plan->arenas[value->arena].site];
}
/* What counts against a site's limit: mapped weights can be paged out again. The first site that is
 * the host answers for all that are. */
uint64_t loam__plan_site_counted(const loam__plan *plan, uint32_t site);
/* Add up what is held now, what the account expects and what loam__run_new() will allocate, and
 * hold it against the limit. LOAM_ERR_NOFIT: the plan is whole all the same. */
loam_status loam__plan_total(loam__plan *plan, const loam_options *o, const loam__account *held);
void loam__plan_free(loam__plan *plan); /* a zeroed one is fine */

/* Where a weight's bytes are copied to, if it does not stay in the map: for the uploads of loading.
 */
bool loam__plan_is_mapped(const loam__plan *plan, const loam_value *value);

/* Where a layer is, or the embedding: unit 0; or the output: the last unit. */
uint32_t loam__plan_unit_site(const loam__plan *plan, uint32_t unit);

/* Whether there are copies of weights in the host's memory, which could stay in the map. */
bool loam__plan_could_map(const loam__plan *plan);

/* The same plan of one site with other options, which are checked, without holding it against any
 * limit. b is kept; free it in any case. */
loam_status loam__plan_again(loam__base *b, const loam__plan *plan, const loam_options *o,
                             const loam__account *held, loam__plan *again);

#define LOAM__PLAN_FILL 0.9    /* how much of the memory may be used, where nobody says */
#define LOAM__PLAN_REST "host" /* what has rest_bytes */

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
