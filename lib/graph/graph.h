/* The graph builder: values and ops of <loam/backend.h>, with shape rules; and the lifetimes of
 * activations.
 *
 * A model's family calls these in the order of the computation. Errors stick in the graph: build on
 * and check status once at the end. Values are named by index. */
#ifndef LOAM__GRAPH_H
#define LOAM__GRAPH_H

#include <loam/backend.h>

#include "lib/base/base.h"

typedef int32_t loam__v; /* a value; -1: none */

#define LOAM__KV_GROUPS 2u /* of layers that keep their KV blocks alike, see loam_step */

/* Where a value's bytes come from: the core's own side of a loam_value. */
typedef struct loam__origin {
    int64_t tensor;      /* of a weight or constant: index in the container; -1: computed */
    int32_t rope;        /* of a constant: which rope's scales; -1: none */
    int32_t first, last; /* of an activation: the nodes that make and last read it */
    uint32_t group;      /* of KV cells */
    bool transposed;     /* KV cells that lie so */
    int32_t device;      /* where the value is, after a cut: an index of the caller's; else 0 */
    loam__v copy_of;     /* of the last n_copies values: what the core moves here; else no matter */
} loam__origin;

typedef struct loam__graph {
    loam__base *base;
    loam_value *values;
    loam__origin *origins;
    loam_node *nodes;
    uint32_t n_values, value_capacity, n_nodes, node_capacity;
    uint32_t n_copies; /* of the values, the last: see loam__graph_cut() */
    uint32_t max_tokens, max_outputs;
    uint32_t n_tables, blocks_per_table; /* of a step; set by who knows them */
    uint32_t head; /* first node of the output head; the nodes before are the body */
    int32_t layer; /* of the nodes that are now added */
    loam_status status;
} loam__graph;

/* max_tokens and max_outputs: the most rows that a step has. */
void loam__graph_init(loam__graph *g, loam__base *b, uint32_t max_tokens, uint32_t max_outputs);
void loam__graph_free(loam__graph *g);
loam_graph loam__graph_view(const loam__graph *g); /* as backends see it */

/* ---- values ---- */

/* Any value, whose row_bytes are filled in; the ops make their own. */
loam__v loam__graph_add(loam__graph *g, loam_value value, loam__origin origin);
loam__v loam__graph_weight(loam__graph *g, loam_format type, uint64_t rows, uint64_t cols,
                           int64_t tensor);
loam__v loam__graph_constant(loam__graph *g, uint64_t cols, int64_t tensor, int32_t rope);
/* Cells of one layer: one row for each block of block_tokens positions. A head's values at one
 * position are whole blocks of the type. */
typedef struct loam__cells_shape {
    loam_format type;
    uint32_t heads, head_values, block_tokens;
    uint32_t group;
    bool transposed;
    uint64_t blocks;
} loam__cells_shape;
loam__v loam__graph_cells(loam__graph *g, loam__cells_shape shape);

/* ---- ops: what each computes stands in <loam/backend.h> ---- */
loam__v loam__op_embed(loam__graph *g, loam__v table, float scale);
loam__v loam__op_matmul(loam__graph *g, loam__v weight, loam__v x, loam__v bias);
loam__v loam__op_rms_norm(loam__graph *g, loam__v x, loam__v weight, float eps);
loam__v loam__op_add(loam__graph *g, loam__v a, loam__v b);
loam__v loam__op_glu(loam__graph *g, loam__v gate, loam__v up, int32_t act);

typedef struct loam__rope_shape {
    int32_t style; /* LOAM_ROPE_* */
    uint32_t heads, head_values, rotary_values;
    float step, magnitude;
} loam__rope_shape;
loam__v loam__op_rope(loam__graph *g, loam__v x, loam__v scales, loam__rope_shape shape);

void loam__op_kv_write(loam__graph *g, loam__v x, loam__v cells, uint32_t heads,
                       uint32_t block_tokens);

typedef struct loam__attention_shape {
    uint32_t heads, kv_heads, k_values, v_values, block_tokens, window;
    float scale, softcap;
} loam__attention_shape;
loam__v loam__op_attention(loam__graph *g, loam__v q, loam__v k, loam__v v,
                           loam__attention_shape shape);

/* The rows that want logits; begins the head of the graph. */
loam__v loam__op_pick_rows(loam__graph *g, loam__v x);
loam__v loam__op_softcap(loam__graph *g, loam__v x, float cap);
/* Make a value the result of the step. */
void loam__graph_result(loam__graph *g, loam__v x);

/* ---- cutting (cut.c) ---- */

/* A run of nodes on one device, of the body or of the head. */
typedef struct loam__piece {
    uint32_t device, first, n; /* nodes */
} loam__piece;

/* The piece that begins at a node, when node i runs on devices[i]. */
loam__piece loam__piece_at(const loam__graph *g, const uint8_t *devices, uint32_t first);
/* Let node i run on devices[i]. A value is where the first node is that uses it. Where another
 * device uses it too, it gets a copy there, which those nodes read instead: of a constant or weight
 * with the same bytes, of an activation one into which its rows are moved before the first piece
 * that reads them. To be called once. */
loam_status loam__graph_cut(loam__graph *g, const uint8_t *devices);

/* ---- lifetimes (lifetimes.c) ---- */

/* Give every activation of a device its place in one arena so that no two that live at once
 * overlap, nor a node's result and its sources; what the head reads from the body lives to the end.
 * *bytes is the arena's size. */
loam_status loam__graph_place_activations(loam__graph *g, int32_t device, uint64_t *bytes);

#endif
