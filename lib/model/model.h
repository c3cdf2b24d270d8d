/* A model: its geometry from the metadata, and the graph that its family (arch/) builds from its
 * tensors.
 *
 * Only the header of the container is read here, so that planning and loading share this code. */
#ifndef LOAM__MODEL_H
#define LOAM__MODEL_H

#include "lib/base/base.h"
#include "lib/gguf/gguf.h"
#include "lib/graph/graph.h"

#define LOAM__LAYERS_MAX 1024u /* limits on what a header may ask for */
#define LOAM__WIDTH_MAX  (1u << 20)

/* How positions become angles. */
enum { LOAM__ROPE_PLAIN = 0, LOAM__ROPE_LINEAR = 1, LOAM__ROPE_YARN = 2 };

typedef struct loam__rope {
    float base;
    int32_t scaling;         /* LOAM__ROPE_* */
    float factor;            /* how much longer the context became; 1: not at all */
    float magnitude_factor;  /* rope.scaling.attn_factor */
    uint32_t trained_tokens; /* context before it was made longer */
    float beta_fast, beta_slow;
    uint32_t rotary_values;
    int64_t factors; /* tensor that divides each frequency; -1: none */
} loam__rope;

typedef struct loam__layer {
    uint32_t heads, kv_heads;
    uint32_t ff_values;
    uint32_t window; /* sliding window in tokens; 0: the whole context */
    uint32_t rope;   /* which of the geometry's ropes */
    uint32_t group;  /* which of the geometry's groups */
} loam__layer;

#define LOAM__ROPES 2

typedef struct loam__geometry {
    uint32_t n_layers, n_embd, n_vocab, trained_tokens;
    uint32_t k_values, v_values; /* width of one head's keys and values */
    float eps;
    float embed_scale;
    float attention_scale;
    float attention_softcap, logit_softcap; /* 0: none */
    loam__rope ropes[LOAM__ROPES];
    uint32_t n_ropes;
    uint32_t n_groups;                       /* see loam__model_group() */
    uint32_t group_windows[LOAM__KV_GROUPS]; /* positions that their layers keep; 0: all */
    loam__layer *layers;                     /* [n_layers] */
} loam__geometry;

typedef struct loam__model loam__model;

typedef struct loam__arch {
    const char *name; /* general.architecture */
    /* What this family's metadata say beyond the common keys; those are read already. */
    loam_status (*geometry)(loam__model *m);
    /* Build the graph; errors stick in it. */
    void (*graph)(loam__model *m);
} loam__arch;

/* The families; the registry ends with NULL. */
const loam__arch *loam__arch_at(size_t i);

/* What the graph of a model is built for. */
typedef struct loam__model_options {
    uint32_t max_tokens, max_outputs; /* of a step */
    uint32_t n_tables, blocks_per_table;
    uint32_t block_tokens;            /* positions in a KV block */
    uint64_t blocks[LOAM__KV_GROUPS]; /* of the KV cache */
    loam_format k_type, v_type;       /* of its cells */
} loam__model_options;

struct loam__model {
    loam__base *base;
    const loam__gguf *gguf; /* kept */
    const loam__arch *arch;
    loam__model_options options;
    loam__geometry geometry;
    loam__graph graph;
    loam__v rope_values[LOAM__ROPES]; /* constants that hold the scales of each rope */
};

/* The architecture and the geometry of a container. b and g are kept; free it on failure too. */
loam_status loam__model_open(loam__base *b, const loam__gguf *g, loam__model *m);
/* Group the layers by what they keep of a context: all of it, or the widest of the windows. */
void loam__model_group(loam__model *m, uint32_t context_tokens);
/* Build its graph for those options, once the layers are grouped. */
loam_status loam__model_build(loam__model *m, const loam__model_options *options);
void loam__model_free(loam__model *m); /* a zeroed one is fine */

/* ---- for the families ---- */

/* "ARCH.suffix" of the metadata; absent leaves *value as it is. */
loam_status loam__model_want_u32(loam__model *m, const char *suffix, uint32_t *value);
loam_status loam__model_want_f32(loam__model *m, const char *suffix, float *value);

/* A tensor of that name (printf-like) and exact shape; failure sticks in the graph. rows 1 for
 * vectors. */
loam__v loam__model_matrix(loam__model *m, uint64_t rows, uint64_t cols, const char *name, ...)
    LOAM__PRINTF(4, 5);
loam__v loam__model_vector(loam__model *m, uint64_t n, const char *name, ...) LOAM__PRINTF(3, 4);
/* The same where the tensor may be absent: -1 then. */
loam__v loam__model_matrix_if(loam__model *m, uint64_t rows, uint64_t cols, const char *name, ...)
    LOAM__PRINTF(4, 5);
loam__v loam__model_vector_if(loam__model *m, uint64_t n, const char *name, ...) LOAM__PRINTF(3, 4);

/* Parts that families share (blocks.c). They work on layer g->layer. */
loam__v loam__block_embed(loam__model *m); /* token embeddings, scaled */
loam__v loam__block_attention(loam__model *m, loam__v x,
                              int32_t rope_style); /* projections, QK norms, cache */
loam__v loam__block_gated_ffn(loam__model *m, loam__v x, int32_t act);
void loam__block_head(loam__model *m, loam__v x); /* picked rows, last norm, logits */

/* Rotary embedding as LOAM_OP_ROPE wants it (rope.c): the step of the angles from pair to pair,
 * what scales the angle of each pair ([rotary_values / 2]; factors: as many, or NULL), and what
 * scales the results. */
float loam__rope_step(const loam__rope *rope);
void loam__rope_scales(const loam__rope *rope, const float *factors, float *scales);
float loam__rope_magnitude(const loam__rope *rope);

#endif
