/* What a model's parts cost: of a planned file from its graph, of a described model by the
 * formulas. The seam between models and placement. */
#ifndef LOAM__COSTS_H
#define LOAM__COSTS_H

#include <loam/plan.h>

#include "place.h"

typedef struct loam__plan loam__plan; /* plan.h */

/* A part that is never cut: the embedding, a layer, the output. */
typedef struct loam__plan_unit {
    uint64_t weights_bytes, weights_read_bytes; /* without experts */
    uint64_t expert_bytes, expert_read_bytes;
    uint64_t kv_bytes, kv_read_bytes;
} loam__plan_unit;

typedef struct loam__plan_costs {
    loam__base *base;
    loam__plan_unit *units; /* [n]: the embedding, the layers, the output */
    uint32_t n;
    uint64_t tied_bytes;              /* of the embedding that the output has too */
    uint64_t device_bytes;            /* on every device with a unit: activations, scratch */
    uint64_t staging_bytes;           /* and that, where there are several devices */
    uint64_t logits_bytes;            /* on the device of the output */
    uint64_t host_bytes;              /* on the host */
    uint64_t cut_bytes, result_bytes; /* between devices for a token: activations, logits */
} loam__plan_costs;

/* When a token has that much context before it. base is kept; free it on failure too. */
loam_status loam__plan_costs_file(loam__base *b, const loam__plan *p, uint32_t context_tokens,
                                  loam__plan_costs *costs);
loam_status loam__plan_costs_described(loam__base *b, const loam_plan_geometry *geo,
                                       const loam_plan_totals *totals, uint32_t context_tokens,
                                       loam__plan_costs *costs);
void loam__plan_costs_free(loam__plan_costs *costs); /* a zeroed one is fine */

/* Other formats: all weights times this. */
void loam__plan_costs_scale(loam__plan_costs *costs, double factor);

#endif
