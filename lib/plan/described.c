/* EQ OM2.2, OM2.3 and OM2.5 for a model that is only described. */
#include <math.h>

#include "plan.h"

/* Any number of tokens is as good: there is no training context to go by. */
#define ANY_CONTEXT UINT32_MAX

/* Positions that the KV cache has room for. */
static double cells(const loam_options *o)
{
    double all = (double)loam__plan_context(o, ANY_CONTEXT) * o->sequences;
    return o->kv_tokens && (double)o->kv_tokens < all ? (double)o->kv_tokens : all;
}

double loam__plan_kv_token(const loam_plan_geometry *geo, const loam_options *o)
{
    if (geo->kv_bytes) return (double)geo->kv_bytes / cells(o);
    return 1.0 * geo->layers * geo->kv_heads * geo->head_values * loam__plan_cell_bits(o) / 8;
}

/* Parameters of the embedding and the output. */
static double ends(const loam_plan_geometry *geo)
{
    return 2.0 * geo->vocabulary_tokens * geo->embedding_values;
}

loam_status loam__plan_geometry_check(loam__base *b, const loam_plan_geometry *geo,
                                      const loam_options *o)
{
    double kv = loam__plan_kv_token(geo, o) * cells(o);
    if (!(geo->parameters > 0) || !(geo->parameters < 1e15) || !(geo->bits_per_weight > 0) ||
        !(geo->bits_per_weight <= 64))
        return loam__fail(b, LOAM_ERR_ARG,
                          "a plan needs parameters above 0 and bits_per_weight from 0 to 64");
    if (!(kv < 1e18))
        return loam__fail(b, LOAM_ERR_ARG, "a KV cache of %g bytes makes no sense", kv);
    if (geo->overhead_bytes > (uint64_t)1e18)
        return loam__fail(b, LOAM_ERR_ARG, "an overhead of %llu bytes makes no sense",
                          (unsigned long long)geo->overhead_bytes);
    if (!(geo->expert_parameters >= 0) || geo->experts_used > geo->experts ||
        (geo->expert_parameters > 0) != (geo->experts_used > 0))
        return loam__fail(
            b, LOAM_ERR_ARG,
            "experts need expert_parameters above 0, experts, and experts_used from 1 "
            "to experts; a dense model has none of them");
    if (!(geo->expert_parameters + ends(geo) <= geo->parameters))
        return loam__fail(b, LOAM_ERR_ARG,
                          "%g parameters of experts, embedding and output are more than the %g in "
                          "all",
                          geo->expert_parameters + ends(geo), geo->parameters);
    return loam__plan_check_cells(b, o, geo->head_values, geo->head_values);
}

loam_status loam__plan_formula(loam__base *b, const loam_plan_geometry *geo, const loam_options *o,
                               double kv_token_bytes, loam_plan_totals *t)
{
    double byte = geo->bits_per_weight / 8, kv = kv_token_bytes * cells(o);
    double untouched = (double)geo->vocabulary_tokens * geo->embedding_values;
    if (untouched > 0) untouched -= geo->embedding_values; /* one row of the embedding is read */
    double resting = 0; /* the experts that a token does not use */
    if (geo->experts)
        resting = geo->expert_parameters * (geo->experts - geo->experts_used) / geo->experts;
    if (!(kv < 1e18))
        return loam__fail(b, LOAM_ERR_ARG, "a KV cache of %g bytes makes no sense", kv);
    *t = (loam_plan_totals){
        .struct_size = sizeof *t,
        .weights_bytes = (uint64_t)llround(geo->parameters * byte),
        .kv_bytes = (uint64_t)llround(kv),
        .overhead_bytes = geo->overhead_bytes,
        .token_read_bytes = (uint64_t)llround((geo->parameters - untouched - resting) * byte),
        .kv_token_bytes = (uint64_t)llround(kv_token_bytes),
        .parameters = geo->parameters,
        .bits_per_weight = geo->bits_per_weight,
        .context_tokens = loam__plan_context(o, ANY_CONTEXT),
        .sequences = o->sequences,
        .block_tokens = o->kv_block_tokens,
        .token_products = (uint64_t)llround(geo->parameters - ends(geo) - resting),
    };
    t->blocks_per_sequence = (uint32_t)loam__blocks_for(t->context_tokens, t->block_tokens);
    t->total_bytes = t->weights_bytes + t->kv_bytes + t->overhead_bytes;
    t->peak_resident_bytes = t->private_bytes = t->total_bytes;
    return LOAM_OK;
}
