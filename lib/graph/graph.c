#include "graph.h"

#include <string.h>

#include "lib/quant/quant.h"

void loam__graph_init(loam__graph *g, loam__base *b, uint32_t max_tokens, uint32_t max_outputs)
{
    *g = (loam__graph){.base = b,
                       .max_tokens = max_tokens,
                       .max_outputs = max_outputs,
                       .layer = -1,
                       .head = UINT32_MAX};
}

void loam__graph_free(loam__graph *g)
{
    loam__free(g->base, g->values);
    loam__free(g->base, g->origins);
    loam__free(g->base, g->nodes);
    loam__graph_init(g, g->base, g->max_tokens, g->max_outputs);
}

loam_graph loam__graph_view(const loam__graph *g)
{
    return (loam_graph){
        .struct_size = sizeof(loam_graph),
        .n_values = g->n_values,
        .n_nodes = g->n_nodes,
        .value_bytes = sizeof(loam_value),
        .node_bytes = sizeof(loam_node),
        .max_tokens = g->max_tokens,
        .max_outputs = g->max_outputs,
        .n_tables = g->n_tables,
        .blocks_per_table = g->blocks_per_table,
        .values = g->values,
        .nodes = g->nodes,
    };
}

static bool grow(loam__graph *g, void *array, uint32_t capacity, size_t item)
{
    void *p;
    memcpy(&p, array, sizeof p);
    p = loam__realloc(g->base, p, (size_t)capacity * item);
    if (!p) {
        g->status = LOAM_ERR_NOMEM;
        return false;
    }
    memcpy(array, &p, sizeof p);
    return true;
}

loam__v loam__graph_add(loam__graph *g, loam_value value, loam__origin origin)
{
    const loam__format *f = loam__format_find(value.type);
    uint64_t bytes;
    if (g->status != LOAM_OK) return -1;
    if (!f || !loam__format_row_bytes(f, value.cols, &value.row_bytes) ||
        !loam__mul_u64(value.row_bytes, value.rows, &bytes) || bytes > INT64_MAX) {
        g->status =
            loam__fail(g->base, LOAM_ERR_TENSOR_SHAPE,
                       "a value of %llu rows of %llu numbers of type %d cannot be laid out",
                       (unsigned long long)value.rows, (unsigned long long)value.cols, value.type);
        return -1;
    }
    if (g->n_values == g->value_capacity) {
        uint32_t capacity = g->value_capacity ? g->value_capacity * 2 : 256;
        if (!grow(g, &g->values, capacity, sizeof *g->values) ||
            !grow(g, &g->origins, capacity, sizeof *g->origins))
            return -1;
        g->value_capacity = capacity;
    }
    g->values[g->n_values] = value;
    g->origins[g->n_values] = origin;
    return (loam__v)g->n_values++;
}

static loam__v add_activation(loam__graph *g, int32_t row_count, uint64_t cols)
{
    loam_value value = {
        .kind = LOAM_VALUE_ACTIVATION,
        .type = LOAM_TYPE_F32,
        .row_count = row_count,
        .rows = row_count == LOAM_ROWS_OUTPUTS ? g->max_outputs : g->max_tokens,
        .cols = cols,
    };
    return loam__graph_add(g, value, (loam__origin){.tensor = -1, .rope = -1, .last = -1});
}

/* Append a node and keep the lifetimes of its sources and its result. */
static loam_node *add_node(loam__graph *g, int32_t op, loam__v dst, loam__v a, loam__v b, loam__v c)
{
    static const loam_node none = {0};
    if (g->status != LOAM_OK) return NULL;
    if (g->n_nodes == g->node_capacity) {
        uint32_t capacity = g->node_capacity ? g->node_capacity * 2 : 256;
        if (!grow(g, &g->nodes, capacity, sizeof *g->nodes)) return NULL;
        g->node_capacity = capacity;
    }
    int32_t index = (int32_t)g->n_nodes;
    loam_node *node = &g->nodes[g->n_nodes++];
    *node = none;
    node->op = op;
    node->dst = dst;
    node->layer = g->layer;
    const loam__v src[LOAM_NODE_SOURCES] = {a, b, c, -1};
    memcpy(node->src, src, sizeof src);
    for (int i = 0; i < LOAM_NODE_SOURCES; i++)
        if (src[i] >= 0) g->origins[src[i]].last = index;
    g->origins[dst].first = index;
    g->origins[dst].last = index;
    return node;
}

/* Builder calls take what earlier ones gave; a wrong shape here is a mistake in a family's file or
 * a hostile file. */
static bool check(loam__graph *g, bool good, const char *op)
{
    if (g->status == LOAM_OK && !good)
        g->status =
            loam__fail(g->base, LOAM_ERR_TENSOR_SHAPE,
                       "layer %d: the shapes that %s gets do not fit each other", g->layer, op);
    return g->status == LOAM_OK;
}

static uint64_t cols(const loam__graph *g, loam__v v)
{
    return v >= 0 ? g->values[v].cols : 0;
}

static bool is_activation(const loam__graph *g, loam__v v)
{
    return v >= 0 && g->values[v].kind == LOAM_VALUE_ACTIVATION;
}

loam__v loam__graph_weight(loam__graph *g, loam_format type, uint64_t rows, uint64_t columns,
                           int64_t tensor)
{
    loam_value value = {.kind = LOAM_VALUE_WEIGHT,
                        .type = type,
                        .row_count = LOAM_ROWS_FIXED,
                        .rows = rows,
                        .cols = columns};
    return loam__graph_add(g, value, (loam__origin){.tensor = tensor, .rope = -1});
}

loam__v loam__graph_constant(loam__graph *g, uint64_t columns, int64_t tensor, int32_t rope)
{
    loam_value value = {.kind = LOAM_VALUE_CONSTANT,
                        .type = LOAM_TYPE_F32,
                        .row_count = LOAM_ROWS_FIXED,
                        .rows = 1,
                        .cols = columns};
    return loam__graph_add(g, value, (loam__origin){.tensor = tensor, .rope = rope});
}

loam__v loam__graph_cells(loam__graph *g, loam__cells_shape s)
{
    const loam__format *f = loam__format_find(s.type);
    loam_value value = {.kind = LOAM_VALUE_KV,
                        .type = s.type,
                        .row_count = LOAM_ROWS_FIXED,
                        .rows = s.blocks,
                        .cols = (uint64_t)s.heads * s.head_values};
    bool whole = f && s.head_values % f->block_values == 0; /* one head at one position */
    if (!check(g, whole && loam__mul_u64(value.cols, s.block_tokens, &value.cols), "the KV cache"))
        return -1;
    loam__origin origin = {.tensor = -1, .rope = -1, .group = s.group, .transposed = s.transposed};
    return loam__graph_add(g, value, origin);
}

loam__v loam__op_embed(loam__graph *g, loam__v table, float scale)
{
    loam__v dst = add_activation(g, LOAM_ROWS_TOKENS, cols(g, table));
    loam_node *node = add_node(g, LOAM_OP_EMBED, dst, table, -1, -1);
    if (node) node->u.embed.scale = scale;
    return dst;
}

loam__v loam__op_matmul(loam__graph *g, loam__v weight, loam__v x, loam__v bias)
{
    if (!check(g, is_activation(g, x) && weight >= 0 && cols(g, weight) == cols(g, x),
               "a matrix product"))
        return -1;
    if (!check(g, bias < 0 || cols(g, bias) == g->values[weight].rows, "a bias")) return -1;
    loam__v dst = add_activation(g, g->values[x].row_count, g->values[weight].rows);
    add_node(g, LOAM_OP_MATMUL, dst, weight, x, bias);
    return dst;
}

loam__v loam__op_rms_norm(loam__graph *g, loam__v x, loam__v weight, float eps)
{
    if (!check(g, is_activation(g, x) && cols(g, weight) && cols(g, x) % cols(g, weight) == 0,
               "a norm"))
        return -1;
    loam__v dst = add_activation(g, g->values[x].row_count, cols(g, x));
    loam_node *node = add_node(g, LOAM_OP_RMS_NORM, dst, x, weight, -1);
    if (node) node->u.norm.eps = eps;
    return dst;
}

static bool alike(const loam__graph *g, loam__v a, loam__v b)
{
    return is_activation(g, a) && is_activation(g, b) && cols(g, a) == cols(g, b) &&
           g->values[a].row_count == g->values[b].row_count;
}

loam__v loam__op_add(loam__graph *g, loam__v a, loam__v b)
{
    if (!check(g, alike(g, a, b), "a sum")) return -1;
    loam__v dst = add_activation(g, g->values[a].row_count, cols(g, a));
    add_node(g, LOAM_OP_ADD, dst, a, b, -1);
    return dst;
}

loam__v loam__op_glu(loam__graph *g, loam__v gate, loam__v up, int32_t act)
{
    if (!check(g, alike(g, gate, up), "a gated unit")) return -1;
    loam__v dst = add_activation(g, g->values[gate].row_count, cols(g, gate));
    loam_node *node = add_node(g, LOAM_OP_GLU, dst, gate, up, -1);
    if (node) node->u.glu.act = act;
    return dst;
}

loam__v loam__op_rope(loam__graph *g, loam__v x, loam__v scales, loam__rope_shape s)
{
    if (!check(g,
               is_activation(g, x) && cols(g, x) == (uint64_t)s.heads * s.head_values &&
                   s.rotary_values % 2 == 0 && s.rotary_values <= s.head_values &&
                   cols(g, scales) == s.rotary_values / 2,
               "rotary embedding"))
        return -1;
    loam__v dst = add_activation(g, g->values[x].row_count, cols(g, x));
    loam_node *node = add_node(g, LOAM_OP_ROPE, dst, x, scales, -1);
    if (!node) return dst;
    node->u.rope.style = s.style;
    node->u.rope.heads = s.heads;
    node->u.rope.head_values = s.head_values;
    node->u.rope.rotary_values = s.rotary_values;
    node->u.rope.step = s.step;
    node->u.rope.magnitude = s.magnitude;
    return dst;
}

void loam__op_kv_write(loam__graph *g, loam__v x, loam__v cells, uint32_t heads,
                       uint32_t block_tokens)
{
    if (!check(g,
               is_activation(g, x) && heads && cells >= 0 &&
                   cols(g, x) * block_tokens == cols(g, cells),
               "the KV cache"))
        return;
    loam_node *node = add_node(g, LOAM_OP_KV_WRITE, cells, x, -1, -1);
    if (!node) return;
    node->u.kv.heads = heads;
    node->u.kv.head_values = (uint32_t)(cols(g, x) / heads);
    node->u.kv.block_tokens = block_tokens;
    node->u.kv.group = g->origins[cells].group;
    node->u.kv.transposed = g->origins[cells].transposed;
}

loam__v loam__op_attention(loam__graph *g, loam__v q, loam__v k, loam__v v, loam__attention_shape s)
{
    if (!check(g,
               is_activation(g, q) && s.kv_heads && s.heads % s.kv_heads == 0 &&
                   cols(g, q) == (uint64_t)s.heads * s.k_values &&
                   cols(g, k) == (uint64_t)s.kv_heads * s.k_values * s.block_tokens &&
                   cols(g, v) == (uint64_t)s.kv_heads * s.v_values * s.block_tokens,
               "attention"))
        return -1;
    loam__v dst = add_activation(g, g->values[q].row_count, (uint64_t)s.heads * s.v_values);
    loam_node *node = add_node(g, LOAM_OP_ATTENTION, dst, q, k, v);
    if (!node) return dst;
    node->u.attention.heads = s.heads;
    node->u.attention.kv_heads = s.kv_heads;
    node->u.attention.k_values = s.k_values;
    node->u.attention.v_values = s.v_values;
    node->u.attention.block_tokens = s.block_tokens;
    node->u.attention.window = s.window;
    node->u.attention.group = g->origins[k].group;
    node->u.attention.k_transposed = g->origins[k].transposed;
    node->u.attention.scale = s.scale;
    node->u.attention.softcap = s.softcap;
    return dst;
}

loam__v loam__op_pick_rows(loam__graph *g, loam__v x)
{
    if (!check(g, is_activation(g, x) && g->head == UINT32_MAX, "the output head")) return -1;
    g->head = g->n_nodes;
    loam__v dst = add_activation(g, LOAM_ROWS_OUTPUTS, cols(g, x));
    add_node(g, LOAM_OP_PICK_ROWS, dst, x, -1, -1);
    return dst;
}

loam__v loam__op_softcap(loam__graph *g, loam__v x, float cap)
{
    if (!check(g, is_activation(g, x), "a soft cap")) return -1;
    loam__v dst = add_activation(g, g->values[x].row_count, cols(g, x));
    loam_node *node = add_node(g, LOAM_OP_SOFTCAP, dst, x, -1, -1);
    if (node) node->u.softcap.cap = cap;
    return dst;
}

void loam__graph_result(loam__graph *g, loam__v x)
{
    if (check(g, is_activation(g, x) && g->values[x].row_count == LOAM_ROWS_OUTPUTS, "the result"))
        g->values[x].kind = LOAM_VALUE_LOGITS;
}
