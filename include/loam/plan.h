/* plan.h - will it fit, what goes where, how fast can it be at best: before anything is loaded.
 *
 *   EQ OM2.1  decode tokens/s <= bandwidth / bytes read per token
 *   EQ OM2.2  weights         =  N * bpw / 8
 *   EQ OM2.3  blocks of a sequence = ceil(tokens / block tokens)
 *   EQ OM2.4  the quality elbow: what a number of bits a weight costs in perplexity, as a table
 *   EQ OM2.5  M_total = weights + KV + overhead, KV = 2 * L * h_kv * d_k * T * b * bits_kv / 8
 *
 * The layout that a plan reports is the one that loam_load() allocates. A plan is a pure function
 * of what goes in, and of the memory that the system leaves where nobody says how much there is. */
#ifndef LOAM_PLAN_H
#define LOAM_PLAN_H

#include <loam/loam.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct loam_plan loam_plan;

/* ---- Plan ------------------------------------------------------------------------------------ */

/* Plan a model file with the options that it would be loaded with. Reads only the header.
 *
 * out      owned, also on failure (it carries the text); free it with loam_plan_free()
 * Errors   those of loam_load(), but that damage inside a vocabulary is only found by loading;
 *          LOAM_ERR_NOFIT still gives a whole plan, and what would make it fit
 * Threads  any
 * Since    0.1 */
LOAM_API loam_status loam_plan_file(const char *path, const loam_options *options, loam_plan **out);

/* The plan by which a handle was loaded: what loam_plan_file() said, and what was allocated.
 *
 * m        kept: it must outlive the plan
 * out      owned, NULL on failure, for which loam_error(m) has the text; free it with
 *          loam_plan_free()
 * Errors   LOAM_ERR_ARG, NOMEM, STATE (loaded for its vocabulary only), DEVICE
 * Since    0.1 */
LOAM_API loam_status loam_plan_loaded(loam *m, loam_plan **out);

/* A model that is only described. */
typedef struct loam_plan_geometry {
    uint32_t struct_size; /* set by loam_plan_geometry_init() */
    uint32_t layers;
    double parameters;      /* N */
    double bits_per_weight; /* bpw */
    uint32_t kv_heads;
    uint32_t head_values;     /* width of one head */
    uint64_t overhead_bytes;  /* beyond weights and KV, on each device that is used */
    uint64_t kv_bytes;        /* all KV, where it is known; 0: from layers, kv_heads, head_values */
    double expert_parameters; /* of N, those of experts; 0: a dense model */
    uint32_t experts;         /* of a layer */
    uint32_t experts_used;    /* of these, for one token */
    uint32_t vocabulary_tokens; /* with embedding_values: the embedding and the output, of N; 0: */
    uint32_t embedding_values;  /* part of the layers */
} loam_plan_geometry;           /* 0.1 ends here */

LOAM_API void loam_plan_geometry_init(loam_plan_geometry *geometry);

/* Plan from bare geometry, by EQ OM2.2 and OM2.5.
 * Errors   LOAM_ERR_ARG, NOMEM, NOFIT (a whole plan all the same)
 * Since    0.1 */
LOAM_API loam_status loam_plan_describe(const loam_plan_geometry *geometry,
                                        const loam_options *options, loam_plan **out);

/* Why a plan failed or does not fit, as a sentence, or ""; and its end: NULL is fine in both.
 * Since    0.1 */
LOAM_API const char *loam_plan_error(const loam_plan *plan);
LOAM_API void loam_plan_free(loam_plan *plan);

/* ---- A machine that is described ------------------------------------------------------------- */

#define LOAM_PLAN_TARGETS_MAX 9u /* eight devices and the host */

/* One device of it. */
typedef struct loam_plan_target {
    uint32_t struct_size;     /* set by loam_plan_target_init() */
    uint32_t is_host;         /* 1: the memory of the host; at most one is */
    uint64_t memory_bytes;    /* free; 0, the host only: what the system and the cgroup leave */
    double bandwidth_bytes_s; /* of reading that memory */
    double link_bytes_s;      /* between it and the host; 0: 25e9, a PCIe 4.0 x16 slot */
    double link_seconds;      /* what each transfer takes beyond its bytes; 0: 10e-6 */
    const char *name;         /* borrowed */
    const void *reserved;     /* NULL */
} loam_plan_target;           /* 0.1 ends here */

/* These layers go to that target. */
typedef struct loam_plan_pin {
    uint32_t first_layer, last_layer; /* both included */
    uint32_t target;                  /* index */
    uint32_t reserved;                /* 0 */
} loam_plan_pin;                      /* never grows */

typedef struct loam_plan_machine {
    uint32_t struct_size; /* set by loam_plan_machine_init() */
    uint32_t n_targets;   /* 0: the memory of this host */
    uint32_t n_pins;
    uint32_t reserved; /* 0 */
    double fill;       /* how much of a device's memory may be used, up to 1; 0: 0.9. Planners use
                          0.85 to 0.9 as the rest goes to fragmentation and the driver. */
    const loam_plan_target *const *targets; /* borrowed */
    const loam_plan_pin *pins;              /* borrowed; [n_pins] */
} loam_plan_machine;                        /* 0.1 ends here */

LOAM_API void loam_plan_target_init(loam_plan_target *target);
LOAM_API void loam_plan_machine_init(loam_plan_machine *machine);

/* Plan for such a machine: whole layers over the targets, in their order, with the least predicted
 * time for a token of all placements that fit; the search is exact. The embedding goes before the
 * first layer, the output behind the last. Each target takes one run of the layers that are not
 * pinned. Experts go to the host before whole layers do. Each target is held against its own memory
 * times fill; options.memory_limit_bytes is a limit of all together.
 *
 * A target that is used needs its layers' weights and KV, and activations, scratch and staging of
 * its own; the last one logits. What the core itself holds is on the host, if the host is a target.
 *
 * machine  borrowed; NULL or without targets: as loam_plan_file(), with its fill
 * Errors   as loam_plan_file(); LOAM_ERR_ARG also for numbers of the machine that make no sense and
 *          for pins that contradict each other
 * Threads  any
 * Source   EQ OM2.1 on each target, and the transfers where the model is cut
 * Since    0.1 */
LOAM_API loam_status loam_plan_place_file(const char *path, const loam_options *options,
                                          const loam_plan_machine *machine, loam_plan **out);
/* Errors   also LOAM_ERR_LIMIT: more than 1024 layers to place */
LOAM_API loam_status loam_plan_place_describe(const loam_plan_geometry *geometry,
                                              const loam_options *options,
                                              const loam_plan_machine *machine, loam_plan **out);

/* ---- What a plan says ------------------------------------------------------------------------ */

typedef struct loam_plan_totals {
    uint32_t struct_size;          /* set by loam_plan_totals_init() */
    uint32_t fits;                 /* 1: within limit_bytes, where mapped weights count only if
                                      the caller set the limit; each target within its own */
    uint64_t weights_bytes;        /* mapped and private */
    uint64_t weights_mapped_bytes; /* shared with the file cache, pageable */
    uint64_t kv_bytes;
    uint64_t overhead_bytes; /* activations, logits, scratch, tables, vocabulary, handle */
    uint64_t total_bytes;    /* shared and private */
    uint64_t shared_bytes;   /* what other processes that map the file have too */
    uint64_t private_bytes;
    uint64_t peak_resident_bytes; /* of the process, what loam adds with the whole context in use,
                                     an estimate of its code's pages included;
                                     with targets what is on the host's, 0 without one */
    uint64_t limit_bytes;         /* memory_limit_bytes, or the fill of the memory available */
    uint64_t token_read_bytes;    /* read for one decoded token with an empty context, EQ OM2.1 */
    uint64_t kv_token_bytes;      /* KV of one token over all layers */
    double parameters;            /* N */
    double bits_per_weight;       /* bpw: of all tensors together */
    double fill;                  /* how much of the memory may be used */
    uint32_t context_tokens;      /* of a sequence */
    uint32_t sequences;
    uint32_t block_tokens;        /* of the KV cache */
    uint32_t blocks_per_sequence; /* EQ OM2.3: ceil(context_tokens / block_tokens) */
    uint64_t token_products;      /* with weights, for one token of a prompt: all but those of the
                                     output, which only its last token needs */
} loam_plan_totals;               /* 0.1 ends here */

enum {
    LOAM_PLAN_HOST = 1,      /* its memory is the host's */
    LOAM_PLAN_EMBEDDING = 2, /* the embedding is there */
    LOAM_PLAN_OUTPUT = 4,    /* the output is there */
    LOAM_PLAN_EXPERTS = 8    /* experts of layers are there that are on another device */
};

typedef struct loam_plan_device {
    uint32_t struct_size; /* set by loam_plan_device_init() */
    uint32_t layers;      /* how many layers live there */
    uint64_t bytes;
    uint64_t limit_bytes;
    double token_seconds; /* that a token takes there at best, with the whole context in use; 0:
                             not known, as nothing was said about its bandwidth */
    uint32_t first_layer; /* where layers is not 0 */
    uint32_t flags;       /* LOAM_PLAN_* */
    const char *name;     /* lives as long as the plan */
    const void *reserved;
} loam_plan_device; /* 0.1 ends here */

typedef struct loam_plan_area {
    uint32_t struct_size; /* set by loam_plan_area_init() */
    uint32_t device;
    uint64_t bytes;
    const char *name; /* "weights", "kv", "activations", …; lives as long as the plan */
    const void *reserved;
} loam_plan_area; /* 0.1 ends here */

/* EQ OM2.1 at a given context. In a step of n sequences the weights are read once and the KV of
 * each sequence: n / ((weights_bytes + n * kv_bytes) / bandwidth) tokens a second, until arithmetic
 * is what limits. */
typedef struct loam_plan_bound {
    uint32_t struct_size;    /* set by loam_plan_bound_init() */
    uint32_t context_tokens; /* that it holds for */
    uint64_t
        weights_bytes;    /* read for a token: the weights that it touches, of experts those used */
    uint64_t kv_bytes;    /* read for a token: what its layers see of the context */
    double token_seconds; /* at least */
    double tok_s;         /* at most */
} loam_plan_bound;        /* 0.1 ends here */

LOAM_API void loam_plan_totals_init(loam_plan_totals *totals);
LOAM_API void loam_plan_device_init(loam_plan_device *device);
LOAM_API void loam_plan_area_init(loam_plan_area *area);
LOAM_API void loam_plan_bound_init(loam_plan_bound *bound);

/* Read a plan. What the host holds where none of the devices is the host comes behind them, as one
 * more of the name "host" and without layers. Errors: LOAM_ERR_ARG (NULL, no such device or area),
 * LOAM_ERR_NEWER. */
LOAM_API loam_status loam_plan_get_totals(const loam_plan *plan, loam_plan_totals *totals);
LOAM_API size_t loam_plan_device_count(const loam_plan *plan);
LOAM_API loam_status loam_plan_get_device(const loam_plan *plan, size_t i,
                                          loam_plan_device *device);
LOAM_API size_t loam_plan_area_count(const loam_plan *plan);
LOAM_API loam_status loam_plan_get_area(const loam_plan *plan, size_t i, loam_plan_area *area);

/* The device of a layer; -1: the plan has no such layer.
 * Since    0.1 */
LOAM_API int32_t loam_plan_layer_device(const loam_plan *plan, uint32_t layer);

/* How fast decoding can be at best with that many tokens in a sequence.
 *
 * context_tokens     0: the plan's own
 * bandwidth_bytes_s  all is read at this speed; 0: from the plan's targets at theirs, with the
 *                    transfers between them
 * Errors   LOAM_ERR_ARG (no bandwidth is known, or it makes no sense), NOMEM
 * Threads  one at a time per plan
 * Source   EQ OM2.1
 * Since    0.1 */
LOAM_API loam_status loam_plan_get_bound(const loam_plan *plan, uint32_t context_tokens,
                                         double bandwidth_bytes_s, loam_plan_bound *bound);

/* How many sequences could be open at once, each with mean_tokens on average in the KV cache and
 * context_tokens at most, if all else stays: found by planning again.
 *
 * mean_tokens  0: the whole context
 * sequences    0: not even one; at most 4096
 * Errors   LOAM_ERR_ARG, NOMEM; of a loaded handle's plan also DEVICE (it is lost)
 * Threads  one at a time per plan
 * Source   EQ OM2.3
 * Since    0.1 */
LOAM_API loam_status loam_plan_sequences_fit(const loam_plan *plan, uint32_t mean_tokens,
                                             uint32_t *sequences);

/* ---- What would make it fit ------------------------------------------------------------------ */

enum {
    LOAM_CHANGE_SEQUENCES = 1, /* value: options.sequences */
    LOAM_CHANGE_KV_TOKENS = 2, /* value: options.kv_tokens */
    LOAM_CHANGE_KV_TYPE = 3,   /* value: options.kv_type, a LOAM_KV_*; v_type is 0 */
    LOAM_CHANGE_CONTEXT = 4,   /* value: options.context_tokens */
    LOAM_CHANGE_FORMAT = 5,    /* value: bits a weight of another file; name: of its format */
    /* Of one of options.devices, where it was given; name: the device's */
    LOAM_CHANGE_LAYERS = 6, /* value: loam_device.layers */
    LOAM_CHANGE_LIMIT = 7   /* value: loam_device.memory_limit_bytes, in whole MiB */
};

/* The smallest change of its kind: the next larger value (of a limit, the next smaller one) does
 * not fit. */
typedef struct loam_plan_change {
    uint32_t struct_size; /* set by loam_plan_change_init() */
    int32_t kind;         /* LOAM_CHANGE_* */
    double value;
    uint64_t total_bytes; /* of the plan that is made so */
    uint32_t choice;      /* changes of one choice go together; any choice is enough */
    uint32_t device;      /* index, of LAYERS and LIMIT */
    const char *name;     /* of a format or a KV type: lives as long as the library; of a device: as
                             long as the plan; else NULL */
    const void *reserved_pointer;
} loam_plan_change; /* 0.1 ends here */

LOAM_API void loam_plan_change_init(loam_plan_change *change);

/* What would make a plan fit that does not: each change that is enough alone; if none is, those
 * that are enough together, with the least loss of quality. Every one was found by planning again,
 * the format by the bits of all weights. loam_plan_error() says the same as a sentence.
 * Errors   LOAM_ERR_ARG (NULL, no such change), LOAM_ERR_NEWER
 * Since    0.1 */
LOAM_API size_t loam_plan_change_count(const loam_plan *plan);
LOAM_API loam_status loam_plan_get_change(const loam_plan *plan, size_t i,
                                          loam_plan_change *change);

/* ---- What a format costs --------------------------------------------------------------------- */

/* EQ OM2.4: typical figures, for a model of some 7e9 weights. Flat down to 8 bits, small at 4,
 * steep below; smaller models lose more. They are published ones and will give way to our own
 * measurements. */
typedef struct loam_quality {
    uint32_t struct_size;      /* set by loam_quality_init() */
    uint32_t beaten;           /* 1: a smaller format of the table loses less */
    double bits_per_weight;    /* bpw of a whole model: mixes such as Q4_K_M have several formats */
    double perplexity_percent; /* by which perplexity rises over that of the unquantized weights */
    const char *name;          /* "Q4_K_M"; lives as long as the library */
    const void *reserved;
} loam_quality; /* 0.1 ends here */

LOAM_API void loam_quality_init(loam_quality *quality);

/* The table, most bits first.
 * Errors   LOAM_ERR_ARG (beyond the last, NULL), LOAM_ERR_NEWER
 * Threads  any
 * Since    0.1 */
LOAM_API size_t loam_quality_count(void);
LOAM_API loam_status loam_quality_get(size_t i, loam_quality *quality);

/* That row, in any case; of a format that the table lacks and the library reads, such as IQ2_XS or
 * MXFP4, its bits and what so many typically cost. A model trained in its format loses nothing.
 * Errors   LOAM_ERR_ARG (NULL, no such name), LOAM_ERR_NEWER
 * Threads  any
 * Since    0.1 */
LOAM_API loam_status loam_quality_find(const char *name, loam_quality *quality);

/* Percent by which perplexity typically rises at that many bits a weight: between the rows of the
 * table that are not beaten. Never falls as bits do. A number that is not positive gives NaN.
 * Since    0.1 */
LOAM_API double loam_quality_at(double bits_per_weight);

#ifdef __cplusplus
}
#endif
#endif
