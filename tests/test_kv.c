#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include "lib/kv/kv.h"

#define BLOCK   LOAM__KV_BLOCK_TOKENS
#define TABLES  4u
#define CONTEXT 8u /* blocks of a table */

static loam__base base;
static loam__kv kv;

/* A cache with room for so many blocks; window 0: no second group. */
static void open_kv(uint32_t blocks, uint32_t window, uint32_t window_blocks)
{
    loam__kv_shape shape = {.block_tokens = BLOCK,
                            .n_tables = TABLES,
                            .blocks_per_table = CONTEXT,
                            .n_groups = window ? 2 : 1,
                            .windows = {0, window},
                            .blocks = {blocks, window_blocks},
                            .share = true};
    loam__base_init(&base, NULL);
    assert_int_equal(loam__kv_init(&kv, &base, &shape), LOAM_OK);
}

static int close_kv(void **state)
{
    (void)state;
    loam__kv_free(&kv);
    return 0;
}

static uint32_t left(void)
{
    return loam__kv_available(&kv);
}

/* Tokens that begin like all others of the same kind. */
static const loam_token *text(uint32_t kind)
{
    static loam_token tokens[CONTEXT * BLOCK];
    for (uint32_t i = 0; i < CONTEXT * BLOCK; i++)
        tokens[i] = (loam_token)(kind * 1000 + i);
    return tokens;
}

static loam__kv_copy copies[LOAM__KV_GROUPS];

/* Write [have, want) of a text into a table. */
static loam_status put(uint32_t table, uint32_t kind, uint32_t have, uint32_t want)
{
    loam_status st = loam__kv_reserve(&kv, table, have, want, copies);
    if (st == LOAM_OK) loam__kv_advance(&kv, table, text(kind), want);
    return st;
}

static void test_reserve__takes_whole_blocks_and_gives_them_back(void **state)
{
    (void)state;
    open_kv(12, 0, 0);
    assert_int_equal(loam__kv_reserve(&kv, 0, 0, 17, copies), LOAM_OK);
    assert_int_equal(left(), 10);
    assert_int_equal(copies[0].from, -1);
    assert_int_equal(loam__kv_reserve(&kv, 0, 17, 32, copies), LOAM_OK);
    assert_int_equal(left(), 10);
    assert_int_equal(loam__kv_truncate(&kv, 0, 16), 16);
    assert_int_equal(left(), 11);
    assert_int_equal(loam__kv_truncate(&kv, 0, 0), 0);
    assert_int_equal(left(), 12);
}

static void test_reserve__refuses_beyond_table_and_pool_and_changes_nothing(void **state)
{
    (void)state;
    open_kv(10, 0, 0);
    assert_int_equal(loam__kv_reserve(&kv, 0, 0, CONTEXT * BLOCK + 1, copies), LOAM_ERR_FULL);
    assert_int_equal(left(), 10);
    assert_int_equal(put(0, 1, 0, 7 * BLOCK), LOAM_OK);
    assert_int_equal(loam__kv_needed(&kv, 1, 3 * BLOCK + 1), 4);
    assert_int_equal(put(1, 2, 0, 3 * BLOCK + 1), LOAM_ERR_FULL);
    assert_int_equal(left(), 3);
    assert_int_equal(put(1, 2, 0, 3 * BLOCK), LOAM_OK);
}

static void test_share__copies_the_block_that_is_written(void **state)
{
    (void)state;
    open_kv(12, 0, 0);
    put(0, 1, 0, 20);
    loam__kv_share(&kv, 0, 1);
    assert_int_equal(left(), 10);
    int32_t shared = loam__kv_block(&kv, 0, 1, 19);
    assert_int_equal(put(1, 2, 20, 21), LOAM_OK);
    assert_int_equal(copies[0].from, shared);
    assert_int_equal(copies[0].to, loam__kv_block(&kv, 0, 1, 20));
    assert_int_equal(loam__kv_block(&kv, 0, 0, 19), shared);
    assert_int_equal(put(0, 1, 20, 21), LOAM_OK); /* alone again: no copy */
    assert_int_equal(copies[0].from, -1);
}

static void test_match__finds_what_others_and_closed_tables_computed(void **state)
{
    (void)state;
    open_kv(12, 0, 0);
    put(0, 1, 0, 3 * BLOCK + 5);
    assert_int_equal(loam__kv_match(&kv, 1, text(1), 0, 4 * BLOCK), 3 * BLOCK);
    assert_int_equal(loam__kv_block(&kv, 0, 1, 2 * BLOCK), loam__kv_block(&kv, 0, 0, 2 * BLOCK));
    assert_int_equal(loam__kv_match(&kv, 2, text(1), 0, 2 * BLOCK + 15), 2 * BLOCK);
    assert_int_equal(loam__kv_match(&kv, 3, text(2), 0, 4 * BLOCK), 0);
    for (uint32_t i = 0; i < 3; i++)
        loam__kv_truncate(&kv, i, 0);
    assert_int_equal(left(), 12);
    assert_int_equal(loam__kv_match(&kv, 3, text(1), 0, 4 * BLOCK), 3 * BLOCK);
    assert_int_equal(left(), 9);
}

static void test_match__goes_on_behind_what_a_table_has(void **state)
{
    (void)state;
    open_kv(12, 0, 0);
    put(0, 1, 0, 4 * BLOCK);
    put(1, 1, 0, BLOCK);
    assert_int_equal(left(), 8); /* its block was merged with the other's */
    assert_int_equal(loam__kv_match(&kv, 1, text(1), BLOCK, 5 * BLOCK), 4 * BLOCK);
    put(2, 1, 0, BLOCK + 3);
    assert_int_equal(loam__kv_match(&kv, 2, text(1), BLOCK + 3, 5 * BLOCK), BLOCK + 3);
}

static void test_take__evicts_the_longest_idle_from_its_end(void **state)
{
    (void)state;
    open_kv(8, 0, 0);
    put(0, 1, 0, 4 * BLOCK);
    put(1, 2, 0, 4 * BLOCK);
    loam__kv_truncate(&kv, 0, 0);
    loam__kv_truncate(&kv, 1, 0);
    put(2, 3, 0, 2 * BLOCK); /* takes the last two of the first text */
    assert_int_equal(loam__kv_match(&kv, 0, text(1), 0, 5 * BLOCK), 2 * BLOCK);
    assert_int_equal(loam__kv_match(&kv, 1, text(2), 0, 5 * BLOCK), 4 * BLOCK);
    assert_int_equal(left(), 0);
}

static void test_truncate__inside_a_block_of_the_tree_copies_it(void **state)
{
    (void)state;
    open_kv(12, 0, 0);
    put(0, 1, 0, 2 * BLOCK);
    assert_int_equal(loam__kv_truncate(&kv, 0, BLOCK + 4), BLOCK + 4);
    assert_int_equal(put(0, 2, BLOCK + 4, BLOCK + 5), LOAM_OK);
    assert_true(copies[0].from >= 0);
    assert_int_equal(loam__kv_match(&kv, 1, text(1), 0, 3 * BLOCK), 2 * BLOCK);
}

static void test_truncate__needs_no_free_block_to_go_on(void **state)
{
    (void)state;
    open_kv(2, 0, 0);
    put(0, 1, 0, 2 * BLOCK);
    loam__kv_truncate(&kv, 0, 2 * BLOCK - 1);
    assert_int_equal(put(0, 2, 2 * BLOCK - 1, 2 * BLOCK), LOAM_OK);
    assert_int_equal(copies[0].from, -1);
    loam__kv_truncate(&kv, 0, 0);
    assert_int_equal(loam__kv_match(&kv, 1, text(1), 0, 3 * BLOCK), BLOCK);
}

static void test_window__keeps_only_what_it_sees(void **state)
{
    (void)state;
    open_kv(32, 20, 32);
    for (uint32_t n = 0; n < 7 * BLOCK; n += BLOCK)
        put(0, 1, n, n + BLOCK);
    const loam__kv_pool *p = &kv.pools[1];
    assert_int_equal(kv.pools[0].n_blocks - left(), 7);
    assert_int_equal(p->n_blocks - p->n_free - p->n_idle, 2); /* 93 .. 111 */
    assert_int_equal(loam__kv_block(&kv, 1, 0, 4 * BLOCK), -1);
    assert_true(loam__kv_block(&kv, 1, 0, 5 * BLOCK) >= 0);
}

static void test_window__truncate_finds_idle_blocks_or_keeps_less(void **state)
{
    (void)state;
    open_kv(32, 20, 8);
    for (uint32_t n = 0; n < 7 * BLOCK; n += BLOCK)
        put(0, 1, n, n + BLOCK);
    assert_int_equal(loam__kv_truncate(&kv, 0, 3 * BLOCK + 2), 3 * BLOCK + 2);
    for (uint32_t n = 0; n < 7 * BLOCK; n += BLOCK) /* takes the idle ones */
        assert_int_equal(put(1, 2, n, n + BLOCK), LOAM_OK);
    uint32_t kept = loam__kv_truncate(&kv, 0, 2 * BLOCK);
    assert_in_range(kept, 0, 2 * BLOCK - 1);
    assert_int_equal(kept % BLOCK, 0);
}

static void test_adopt__is_never_found_by_others(void **state)
{
    (void)state;
    open_kv(12, 20, 12);
    assert_int_equal(loam__kv_adopt(&kv, 0, 5 * BLOCK), LOAM_OK);
    loam__kv_advance(&kv, 0, text(1), 5 * BLOCK);
    assert_int_equal(put(0, 1, 5 * BLOCK, 6 * BLOCK), LOAM_OK);
    assert_int_equal(loam__kv_match(&kv, 1, text(1), 0, 6 * BLOCK), 0);
    loam__kv_truncate(&kv, 0, 0);
    assert_int_equal(kv.pools[0].n_free, 12);
    assert_int_equal(put(0, 1, 0, 2 * BLOCK), LOAM_OK); /* its own again */
    assert_int_equal(loam__kv_match(&kv, 1, text(1), 0, 6 * BLOCK), 2 * BLOCK);
}

/* ---- a long random use, checked against the cells that a model would have written ---- */

typedef struct shadow {
    loam_token tokens[TABLES][CONTEXT * BLOCK];
    uint32_t n[TABLES];
    uint64_t cells[LOAM__KV_GROUPS][64][BLOCK]; /* what stands there: a hash of the tokens so far */
} shadow;

static shadow world;

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

static uint64_t cell(const loam_token *tokens, uint32_t position)
{
    uint64_t h = 1;
    for (uint32_t i = 0; i <= position; i++)
        h = h * 1000003u + (uint32_t)tokens[i] + 1;
    return h;
}

static void make_copies(void)
{
    for (uint32_t g = 0; g < kv.shape.n_groups; g++)
        if (copies[g].from >= 0)
            memcpy(world.cells[g][copies[g].to], world.cells[g][copies[g].from],
                   sizeof world.cells[g][0]);
}

/* Append up to n tokens of one of few texts, as a call would. */
static void append(uint64_t *seed, uint32_t t, uint32_t n)
{
    uint32_t kind = draw(seed, 3), have = world.n[t], want = have + n;
    if (want > CONTEXT * BLOCK) return;
    for (uint32_t i = have; i < want; i++)
        world.tokens[t][i] = (loam_token)(kind * 1000 + (i % 7 ? i : 0));
    have = loam__kv_match(&kv, t, world.tokens[t], have, want - 1);
    assert_in_range(have, world.n[t], want - 1);
    if (loam__kv_reserve(&kv, t, have, want, copies) != LOAM_OK) {
        world.n[t] = loam__kv_truncate(&kv, t, world.n[t]);
        return;
    }
    make_copies();
    for (uint32_t g = 0; g < kv.shape.n_groups; g++)
        for (uint32_t i = have; i < want; i++)
            world.cells[g][loam__kv_block(&kv, g, t, i)][i % BLOCK] = cell(world.tokens[t], i);
    loam__kv_advance(&kv, t, world.tokens[t], want);
    world.n[t] = want;
}

/* Every position that the next token of a table sees has its own cell. */
static void check_cells(uint32_t t)
{
    for (uint32_t g = 0; g < kv.shape.n_groups; g++) {
        uint32_t window = kv.shape.windows[g];
        for (uint32_t i = window && world.n[t] >= window ? world.n[t] - window + 1 : 0;
             i < world.n[t]; i++) {
            int32_t block = loam__kv_block(&kv, g, t, i);
            assert_true(block >= 0);
            assert_true(world.cells[g][block][i % BLOCK] == cell(world.tokens[t], i));
        }
    }
}

/* Each block is free, idle or held, and by as many tables as it says. */
static void check_counts(uint32_t g)
{
    const loam__kv_pool *p = &kv.pools[g];
    uint32_t users[64] = {0}, free = 0, idle = 0;
    for (uint32_t i = 0; i < TABLES * CONTEXT; i++)
        if (p->tables[i] >= 0) users[p->tables[i]]++;
    for (uint32_t b = 0; b < p->n_blocks; b++) {
        assert_int_equal(p->users[b], users[b]);
        free += users[b] == 0 && p->owners[b] < 0;
        idle += users[b] == 0 && p->owners[b] >= 0;
        if (p->owners[b] >= 0) assert_int_equal(kv.nodes[p->owners[b]].blocks[g], b);
    }
    assert_int_equal(free, p->n_free);
    assert_int_equal(idle, p->n_idle);
    for (int32_t b = p->oldest; b >= 0; b = p->links[b].newer, idle--)
        assert_true(users[b] == 0 && p->owners[b] >= 0);
    assert_int_equal(idle, 0);
}

static void use_at_random(uint64_t seed, uint32_t steps)
{
    memset(&world, 0, sizeof world);
    for (uint32_t step = 0; step < steps; step++) {
        uint32_t t = draw(&seed, TABLES), other = draw(&seed, TABLES), what = draw(&seed, 8);
        if (what < 5) append(&seed, t, 1 + draw(&seed, what < 3 ? 3 : 40));
        else if (what == 5) world.n[t] = loam__kv_truncate(&kv, t, draw(&seed, world.n[t] + 1));
        else if (what == 6) world.n[t] = loam__kv_truncate(&kv, t, 0);
        else if (t != other) {
            world.n[t] = loam__kv_truncate(&kv, t, 0);
            loam__kv_share(&kv, other, t);
            memcpy(world.tokens[t], world.tokens[other], sizeof world.tokens[t]);
            world.n[t] = world.n[other];
        }
        for (uint32_t i = 0; i < TABLES; i++)
            check_cells(i);
        for (uint32_t g = 0; g < kv.shape.n_groups; g++)
            check_counts(g);
    }
}

static void test_random_use__never_shows_a_foreign_cell(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        const uint32_t windows[] = {0, 20, 33, 1};
        open_kv(11 + 7 * (uint32_t)(seed % 3), windows[seed % 4], 20);
        use_at_random(seed, 3000);
        loam__kv_free(&kv);
    }
}

static void test_random_use__holds_where_all_layers_have_windows(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        loam__kv_shape shape = {.block_tokens = BLOCK,
                                .n_tables = TABLES,
                                .blocks_per_table = CONTEXT,
                                .n_groups = 1,
                                .windows = {24},
                                .blocks = {19},
                                .share = true};
        loam__base_init(&base, NULL);
        assert_int_equal(loam__kv_init(&kv, &base, &shape), LOAM_OK);
        use_at_random(seed, 3000);
        loam__kv_free(&kv);
    }
}

/* EQ OM2.3: a sequence wastes less than a block. 64 conversations of 16 to 128 + 200 tokens grow
 * one by one and give place to others; contiguous allocation would hold a whole context for each.
 */
static void test_waste__is_below_4_percent_on_a_mixed_trace(void **state)
{
    enum { MANY = 64, LONGEST = 512 };
    static const loam_token tokens[LONGEST];
    loam__kv_shape shape = {.block_tokens = BLOCK,
                            .n_tables = MANY,
                            .blocks_per_table = LONGEST / BLOCK,
                            .n_groups = 1,
                            .blocks = {(uint64_t)MANY * LONGEST / BLOCK}};
    uint32_t n[MANY] = {0}, end[MANY] = {0};
    uint64_t seed = 3, cells = 0, used = 0;
    (void)state;
    loam__base_init(&base, NULL);
    assert_int_equal(loam__kv_init(&kv, &base, &shape), LOAM_OK);
    for (uint32_t step = 0; step < 500; step++) {
        for (uint32_t t = 0; t < MANY; t++) {
            uint32_t had = n[t];
            if (had == end[t]) {
                loam__kv_truncate(&kv, t, 0);
                had = 0;
                n[t] = 200 + 16 + draw(&seed, 113);
                end[t] = n[t] + 16 + draw(&seed, 113);
            } else {
                n[t]++;
            }
            assert_int_equal(loam__kv_reserve(&kv, t, had, n[t], copies), LOAM_OK);
            loam__kv_advance(&kv, t, tokens, n[t]);
            used += n[t];
        }
        cells += (uint64_t)(shape.blocks[0] - left()) * BLOCK;
    }
    assert_true((double)(cells - used) < 0.04 * (double)cells);
    assert_true((double)cells < 0.7 * MANY * LONGEST * 500);
}

static void test_init__takes_what_it_says_or_nothing(void **state)
{
    loam_hooks hooks;
    loam__kv_shape shape = {.block_tokens = BLOCK,
                            .n_tables = 3,
                            .blocks_per_table = 5,
                            .n_groups = 2,
                            .windows = {0, 40},
                            .blocks = {15, 9},
                            .share = true};
    (void)state;
    loam_hooks_init(&hooks);
    for (size_t fail = 0; fail < 2; fail++) {
        fault_heap heap = {.fail_at = fail};
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = &heap;
        loam__base_init(&base, &hooks);
        assert_int_equal(loam__kv_init(&kv, &base, &shape), fail ? LOAM_ERR_NOMEM : LOAM_OK);
        assert_int_equal(heap.live_bytes, fail ? 0 : loam__kv_bytes(&shape));
        loam__kv_free(&kv);
        assert_int_equal(heap.live_bytes, 0);
    }
}

#define CASE(name) cmocka_unit_test_teardown(name, close_kv)

static const struct CMUnitTest tests[] = {
    CASE(test_reserve__takes_whole_blocks_and_gives_them_back),
    CASE(test_reserve__refuses_beyond_table_and_pool_and_changes_nothing),
    CASE(test_share__copies_the_block_that_is_written),
    CASE(test_match__finds_what_others_and_closed_tables_computed),
    CASE(test_match__goes_on_behind_what_a_table_has),
    CASE(test_take__evicts_the_longest_idle_from_its_end),
    CASE(test_truncate__inside_a_block_of_the_tree_copies_it),
    CASE(test_truncate__needs_no_free_block_to_go_on),
    CASE(test_window__keeps_only_what_it_sees),
    CASE(test_window__truncate_finds_idle_blocks_or_keeps_less),
    CASE(test_adopt__is_never_found_by_others),
    CASE(test_random_use__never_shows_a_foreign_cell),
    CASE(test_random_use__holds_where_all_layers_have_windows),
    CASE(test_waste__is_below_4_percent_on_a_mixed_trace),
    CASE(test_init__takes_what_it_says_or_nothing),
};

RUN(tests)
