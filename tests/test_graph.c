#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include "lib/graph/graph.h"

#include <stdbool.h>

static loam__base base;

static loam__v block(loam__graph *g, loam__v x, uint64_t width)
{
    loam__v weight = loam__graph_weight(g, LOAM_TYPE_F32, width, width, 0);
    loam__v norm = loam__graph_constant(g, width, 1, -1);
    loam__v h = loam__op_rms_norm(g, x, norm, 1e-5f);
    loam__v gate = loam__op_matmul(g, weight, h, -1), up = loam__op_matmul(g, weight, h, -1);
    return loam__op_add(g, x, loam__op_glu(g, gate, up, LOAM_ACT_SILU));
}

/* A body of some layers, and a head whose values are of another size than the body's. */
static void build(loam__graph *g, uint32_t tokens, uint32_t outputs, uint64_t width, int layers)
{
    loam__graph_init(g, &base, tokens, outputs);
    loam__v x = loam__op_embed(g, loam__graph_weight(g, LOAM_TYPE_F32, 100, width, 0), 1.0f);
    for (g->layer = 0; g->layer < layers; g->layer++)
        x = block(g, x, width);
    x = block(g, loam__op_pick_rows(g, x), width);
    x = loam__op_softcap(g, block(g, x, width), 30.0f);
    loam__graph_result(g, x);
    assert_int_equal(g->status, LOAM_OK);
}

static void test_lifetimes__values_that_live_together_lie_apart(void **state)
{
    static const uint32_t sizes[][2] = {{1, 1}, {64, 1}, {7, 64}, {512, 8}};
    (void)state;
    loam__base_init(&base, NULL);
    for (int round = 0; round < 4; round++) {
        loam__graph g;
        uint64_t bytes, all = 0;
        build(&g, sizes[round][0], sizes[round][1], 32, 3);
        assert_int_equal(loam__graph_place_activations(&g, 0, &bytes), LOAM_OK);
        for (uint32_t i = 0; i < g.n_values; i++) {
            const loam_value *a = &g.values[i];
            if (a->kind != LOAM_VALUE_ACTIVATION) continue;
            all += a->rows * a->row_bytes;
            assert_true(a->offset % LOAM__ALIGN == 0);
            assert_true(a->offset + a->rows * a->row_bytes <= bytes);
            for (uint32_t j = 0; j < i; j++) {
                const loam_value *b = &g.values[j];
                bool together = b->kind == LOAM_VALUE_ACTIVATION &&
                                g.origins[j].last >= g.origins[i].first &&
                                g.origins[i].last >= g.origins[j].first;
                bool apart = a->offset + a->rows * a->row_bytes <= b->offset ||
                             b->offset + b->rows * b->row_bytes <= a->offset;
                assert_true(!together || apart);
            }
        }
        assert_true(bytes < all); /* places are used again */
        loam__graph_free(&g);
    }
}

/* The head runs several times over one run of the body, so what it reads must outlive it. */
static void test_lifetimes__what_the_head_reads_lives_to_the_end(void **state)
{
    loam__graph g;
    uint64_t bytes;
    (void)state;
    loam__base_init(&base, NULL);
    build(&g, 16, 16, 32, 2);
    assert_int_equal(loam__graph_place_activations(&g, 0, &bytes), LOAM_OK);
    const loam_value *read = &g.values[g.nodes[g.head].src[0]];
    for (uint32_t i = g.head; i < g.n_nodes; i++) {
        const loam_value *made = &g.values[g.nodes[i].dst];
        if (made->kind != LOAM_VALUE_ACTIVATION) continue;
        assert_true(made->offset + made->rows * made->row_bytes <= read->offset ||
                    read->offset + read->rows * read->row_bytes <= made->offset);
    }
    loam__graph_free(&g);
}

static bool is_activation(const loam__graph *g, uint32_t i)
{
    return g->values[i].kind == LOAM_VALUE_ACTIVATION;
}

static void check_apart(const loam__graph *g, uint32_t i, uint32_t j)
{
    const loam_value *a = &g->values[i], *b = &g->values[j];
    const loam__origin *m = &g->origins[i], *n = &g->origins[j];
    bool together = m->device == n->device && n->last >= m->first && m->last >= n->first;
    bool apart = a->offset + a->rows * a->row_bytes <= b->offset ||
                 b->offset + b->rows * b->row_bytes <= a->offset;
    assert_true(!together || apart);
}

/* An activation that comes from elsewhere is moved in front of a piece: it must be there to the
 * last of its readers, and its origin up to that piece. */
static void check_copy(const loam__graph *g, const uint8_t *devices, uint32_t i)
{
    const loam__origin *copy = &g->origins[i], *from = &g->origins[copy->copy_of];
    assert_int_not_equal(copy->device, from->device);
    assert_int_equal(copy->tensor, from->tensor);
    if (!is_activation(g, i)) return;
    uint32_t first = (uint32_t)copy->first;
    assert_true(first == g->head || devices[first - 1] != devices[first]);
    assert_true(from->first < copy->first && from->last >= copy->first);
}

static void check_cut(uint32_t seed, int layers)
{
    loam__graph g;
    uint8_t devices[256];
    uint32_t crossed = 0;
    build(&g, 8, 4, 32, layers);
    for (uint32_t i = 0; i < g.n_nodes; i++) /* by layers, as the planner cuts */
        devices[i] =
            (uint8_t)(((uint32_t)(i < g.head ? g.nodes[i].layer + 1 : layers + 1) * seed) / 7 % 3);
    assert_int_equal(loam__graph_cut(&g, devices), LOAM_OK);
    for (uint32_t i = 0; i < g.n_nodes; i++) {
        assert_int_equal(g.origins[g.nodes[i].dst].device, devices[i]);
        for (int s = 0; s < LOAM_NODE_SOURCES; s++)
            if (g.nodes[i].src[s] >= 0)
                assert_int_equal(g.origins[g.nodes[i].src[s]].device, devices[i]);
    }
    for (uint32_t i = g.n_values - g.n_copies; i < g.n_values; i++) {
        crossed += is_activation(&g, i);
        check_copy(&g, devices, i);
    }
    for (int32_t device = 0; device < 3; device++) {
        uint64_t bytes;
        assert_int_equal(loam__graph_place_activations(&g, device, &bytes), LOAM_OK);
    }
    for (uint32_t i = 0; i < g.n_values; i++)
        for (uint32_t j = 0; j < i && is_activation(&g, i); j++)
            if (is_activation(&g, j)) check_apart(&g, i, j);
    uint32_t pieces = 0;
    for (uint32_t i = 1; i < g.n_nodes; i++)
        pieces += devices[i] != devices[i - 1];
    assert_int_equal(crossed, pieces); /* one residual stream crosses at each cut */
    loam__graph_free(&g);
}

static void test_cut__every_value_is_where_its_nodes_run(void **state)
{
    (void)state;
    loam__base_init(&base, NULL);
    for (uint32_t seed = 0; seed < 40; seed++)
        check_cut(seed, 1 + (int)(seed % 6));
}

static void test_builder__refuses_shapes_that_do_not_fit(void **state)
{
    loam__graph g;
    (void)state;
    loam__base_init(&base, NULL);
    loam__graph_init(&g, &base, 4, 1);
    loam__v table = loam__graph_weight(&g, LOAM_TYPE_F32, 10, 32, 0);
    loam__v wide = loam__graph_weight(&g, LOAM_TYPE_F32, 10, 64, 1);
    loam__v x = loam__op_embed(&g, table, 1.0f);
    assert_int_equal(g.status, LOAM_OK);
    assert_int_equal(loam__op_matmul(&g, wide, x, -1), -1);
    assert_int_equal(g.status, LOAM_ERR_TENSOR_SHAPE);
    assert_int_equal(loam__op_add(&g, x, x), -1); /* the error sticks */
    loam__graph_free(&g);
    loam__graph_init(&g, &base, 4, 1);
    assert_int_equal(loam__graph_weight(&g, LOAM_TYPE_Q4_K, 10, 100, 0), -1); /* no whole block */
    assert_int_equal(g.status, LOAM_ERR_TENSOR_SHAPE);
    loam__graph_free(&g);
    loam__graph_init(&g, &base, 4, 1);
    assert_int_equal(loam__graph_weight(&g, LOAM_TYPE_F32, UINT64_MAX / 2, 64, 0), -1);
    assert_int_equal(g.status, LOAM_ERR_TENSOR_SHAPE);
    loam__graph_free(&g);
}

/* A head's values at one position are whole blocks: two heads of 16 do not share one. */
static void test_cells__are_whole_blocks_of_each_head(void **state)
{
    static const struct {
        loam_format type;
        uint32_t head_values;
        uint64_t row_bytes; /* 0: refused */
    } shapes[] = {{LOAM_TYPE_F32, 80, 2 * 16 * 80 * 4},
                  {LOAM_TYPE_BF16, 16, 2 * 16 * 16 * 2},
                  {LOAM_TYPE_Q8_0, 64, 2 * 16 * 2 * 34},
                  {LOAM_TYPE_Q4_0, 32, 2 * 16 * 18},
                  {LOAM_TYPE_Q8_0, 16, 0},
                  {LOAM_TYPE_Q4_0, 80, 0},
                  {99, 32, 0}};
    (void)state;
    loam__base_init(&base, NULL);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        loam__graph g;
        loam__graph_init(&g, &base, 4, 1);
        loam__cells_shape s = {.type = shapes[i].type,
                               .heads = 2,
                               .head_values = shapes[i].head_values,
                               .block_tokens = 16,
                               .blocks = 3};
        loam__v v = loam__graph_cells(&g, s);
        if (shapes[i].row_bytes) assert_int_equal(g.values[v].row_bytes, shapes[i].row_bytes);
        else assert_int_equal(g.status, LOAM_ERR_TENSOR_SHAPE);
        loam__graph_free(&g);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_cut__every_value_is_where_its_nodes_run),
    cmocka_unit_test(test_lifetimes__values_that_live_together_lie_apart),
    cmocka_unit_test(test_lifetimes__what_the_head_reads_lives_to_the_end),
    cmocka_unit_test(test_builder__refuses_shapes_that_do_not_fit),
    cmocka_unit_test(test_cells__are_whole_blocks_of_each_head),
};

RUN(tests)
