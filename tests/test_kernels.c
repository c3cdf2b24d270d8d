/* The CPU kernels, row by row: every instruction set that this machine has against the scalar one,
 * and all of them against plain loops in double precision. */
#define _POSIX_C_SOURCE 200809L
#include "kernels_data.h"

#include "backends/cpu/kernels.h"

#include <float.h>
#include <math.h>

#define FAR 3 /* numbers behind each result, which must stay as they are */

static const float untouched = -12345.0f;

/* ---- matrix products -------------------------------------------------------------------- */

typedef struct product {
    const loam__format *f;
    size_t rows, k, cols, w_row_bytes;
    void *w_memory;
    uint8_t *w;
    bool packed;
    float *x;      /* [cols][k] */
    float *scalar; /* [cols][rows], what the scalar row gives */
    double *size;  /* [cols][rows], sum |w * x| */
} product;

static float *new_results(size_t n)
{
    float *y = malloc((n + FAR) * sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < n + FAR; i++)
        y[i] = untouched;
    return y;
}

/* Columns in the form that a row wants. */
static uint8_t *prepare(const loam__cpu_matmul *row, const product *p, void **memory)
{
    size_t bytes = row->prepared_bytes(p->k);
    assert_int_equal(bytes % 64, 0);
    uint8_t *x = shifted_memory(bytes * p->cols, 0, memory);
    for (size_t c = 0; c < p->cols; c++)
        row->prepare(p->x + c * p->k, p->k, x + c * bytes);
    return x;
}

/* rows and cols of y [p->cols][p->rows], in tiles of tile_rows and tile_cols. */
static void multiply(const loam__cpu_matmul *row, const product *p, size_t tile_rows,
                     size_t tile_cols, float *y)
{
    void *memory;
    size_t bytes = row->prepared_bytes(p->k);
    const uint8_t *x = prepare(row, p, &memory);
    for (size_t c = 0; c < p->cols; c += tile_cols) {
        for (size_t r = 0; r < p->rows; r += tile_rows) {
            loam__matmul_args a = {
                .w = p->w + r * p->w_row_bytes,
                .w_row_bytes = p->w_row_bytes,
                .packed = p->packed,
                .rows = p->rows - r < tile_rows ? p->rows - r : tile_rows,
                .k = p->k,
                .x = x + c * bytes,
                .x_row_bytes = bytes,
                .cols = p->cols - c < tile_cols ? p->cols - c : tile_cols,
                .y = y + c * p->rows + r,
                .y_stride = p->rows,
            };
            row->multiply(&a);
        }
    }
    free(memory);
}

static void free_product(product *p)
{
    free(p->w_memory);
    free(p->x);
    free(p->scalar);
    free(p->size);
}

/* The scalar result, and what errors are relative to. */
static void find_results(const product *p)
{
    float *values = malloc(p->k * sizeof *values);
    assert_non_null(values);
    multiply(loam__cpu_find_matmul(&loam__cpu_scalar, p->f->type), p, p->rows, p->cols, p->scalar);
    for (size_t i = 0; i < p->rows; i++) {
        p->f->decode(p->w + i * p->w_row_bytes, values, p->k);
        for (size_t c = 0; c < p->cols; c++) {
            double *size = &p->size[c * p->rows + i];
            *size = 0;
            for (size_t j = 0; j < p->k; j++)
                *size += fabs((double)values[j] * (double)p->x[c * p->k + j]);
        }
    }
    free(values);
}

/* Random weights, activations and the scalar result. Rows of weights start at odd addresses, with a
 * gap between. */
static product new_product(random_state *r, const loam__format *f, size_t rows, size_t blocks,
                           size_t cols)
{
    product p = {.f = f, .rows = rows, .k = blocks * f->block_values, .cols = cols};
    size_t row_bytes = blocks * f->block_bytes, gap = random_size(r, 0, 3);
    p.w_row_bytes = row_bytes + gap;
    uint8_t *w = shifted_memory(p.w_row_bytes * rows - gap, random_size(r, 0, 63), &p.w_memory);
    for (size_t i = 0; i < rows; i++)
        random_blocks(r, f, w + i * p.w_row_bytes, blocks);
    p.w = w;
    p.x = malloc(p.k * cols * sizeof *p.x);
    p.scalar = new_results(rows * cols);
    p.size = calloc(rows * cols, sizeof *p.size);
    assert_true(p.x && p.size);
    random_floats(r, p.x, p.k * cols);
    find_results(&p);
    return p;
}

/* Shape i of a format's test: small and odd ones, then a few large ones. */
enum { SHAPES = 40 };

static product shaped_product(random_state *r, const loam__format *f, size_t i)
{
    size_t most = f->block_values == 1 ? 300 : f->block_values == 32 ? 20 : 4;
    if (i < 4) return new_product(r, f, i + 1, 1, 4 - i);
    if (i == SHAPES - 1) return new_product(r, f, 67, 1024 / f->block_values, 21);
    if (i == SHAPES - 2) return new_product(r, f, 33, 1536 / f->block_values, 5);
    return new_product(r, f, random_size(r, 1, 9), random_size(r, 1, most), random_size(r, 1, 9));
}

typedef void product_check(const loam__cpu_isa *isa, const loam__cpu_matmul *row, const product *p,
                           random_state *r);

/* Every row of every set that is present, on every shape. */
static void walk_products(product_check *check)
{
    const loam__cpu_isa *isa;
    for (size_t i = 0; (isa = loam__cpu_isa_at(i)); i++) {
        if (!isa->present()) continue;
        for (const loam__cpu_matmul *row = isa->matmuls; row->multiply; row++) {
            random_state r = {(uint64_t)row->type};
            const loam__format *f = loam__format_find(row->type);
            assert_non_null(f);
            for (size_t shape = 0; shape < SHAPES; shape++) {
                product p = shaped_product(&r, f, shape);
                check(isa, row, &p, &r);
                free_product(&p);
            }
        }
    }
}

static void check_against_scalar(const loam__cpu_isa *isa, const loam__cpu_matmul *row,
                                 const product *p, random_state *r)
{
    size_t n = p->rows * p->cols;
    float *y = new_results(n);
    (void)r;
    multiply(row, p, p->rows, p->cols, y);
    for (size_t i = 0; i < n; i++) {
        double error = fabs((double)y[i] - (double)p->scalar[i]);
        if (!(error <= (double)row->max_err * p->size[i]))
            fail_msg("%s %s, %zu rows of %zu, %zu columns: result %zu is %g, scalar %g, off by %g "
                     "of sum(|w * x|)",
                     isa->name, p->f->name, p->rows, p->k, p->cols, i, (double)y[i],
                     (double)p->scalar[i], error / p->size[i]);
    }
    for (size_t i = n; i < n + FAR; i++)
        assert_true(y[i] == untouched);
    free(y);
}

static void test_matmul__every_set_agrees_with_scalar(void **state)
{
    (void)state;
    walk_products(check_against_scalar);
}

/* Whole numbers up to 127, the largest of them in every block of 32: int8 holds them without an
 * error, so what is left is the rounding of sums, and a single wrong weight shows. */
static void check_whole_activations(const loam__cpu_isa *isa, const loam__cpu_matmul *row,
                                    const product *p, random_state *r)
{
    size_t n = p->rows * p->cols;
    float *y = new_results(n);
    for (size_t i = 0; i < p->k * p->cols; i++)
        p->x[i] = i % 16 == 5 ? 127 : (float)random_size(r, 0, 254) - 127;
    find_results(p);
    multiply(row, p, p->rows, p->cols, y);
    for (size_t i = 0; i < n; i++) {
        double error = fabs((double)y[i] - (double)p->scalar[i]);
        if (!(error <= 2e-6 * p->size[i]))
            fail_msg("%s %s, %zu rows of %zu: result %zu is %.9g, scalar %.9g", isa->name,
                     p->f->name, p->rows, p->k, i, (double)y[i], (double)p->scalar[i]);
    }
    free(y);
}

static void test_matmul__whole_activations_lose_nothing(void **state)
{
    (void)state;
    walk_products(check_whole_activations);
}

static void check_tiles(const loam__cpu_isa *isa, const loam__cpu_matmul *row, const product *p,
                        random_state *r)
{
    size_t n = p->rows * p->cols, some_rows = random_size(r, 1, p->rows),
           some_cols = random_size(r, 1, p->cols);
    const size_t tiles[][2] = {{p->rows, 1}, {1, p->cols}, {1, 1}, {some_rows, some_cols}};
    float *whole = new_results(n);
    multiply(row, p, p->rows, p->cols, whole);
    for (size_t t = 0; t < sizeof tiles / sizeof tiles[0]; t++) {
        float *y = new_results(n);
        multiply(row, p, tiles[t][0], tiles[t][1], y);
        if (memcmp(y, whole, (n + FAR) * sizeof *y))
            fail_msg("%s %s, %zu rows of %zu, %zu columns: tiles of %zu rows, %zu columns give "
                     "other bits",
                     isa->name, p->f->name, p->rows, p->k, p->cols, tiles[t][0], tiles[t][1]);
        free(y);
    }
    free(whole);
}

static void test_matmul__tiles_change_no_bit(void **state)
{
    (void)state;
    walk_products(check_tiles);
}

/* Scales of 8 bits: a row for each of their values, those included that no file has. Where the
 * scalar result leaves F32, so may the others. */
static void check_scale_bytes(const loam__cpu_isa *isa, const loam__cpu_matmul *row, size_t bytes)
{
    random_state r = {11};
    product p = new_product(&r, loam__format_find(row->type), 256, 1, 1);
    float *y = new_results(p.rows);
    for (size_t i = 0; i < p.rows; i++)
        for (size_t j = 0; j < bytes; j++)
            p.w[i * p.w_row_bytes + j] = (uint8_t)(i + 67 * j);
    for (size_t i = 0; i < p.k; i++)
        p.x[i] = i % 16 == 5 ? 127 : (float)random_size(&r, 0, 254) - 127;
    find_results(&p);
    multiply(row, &p, p.rows, 1, y);
    for (size_t i = 0; i < p.rows; i++) {
        double error = fabs((double)y[i] - (double)p.scalar[i]);
        if (p.size[i] < (double)FLT_MAX && !(error <= 2e-6 * p.size[i]))
            fail_msg("%s %s: with a scale of %zu the result is %.9g, scalar %.9g", isa->name,
                     p.f->name, i, (double)y[i], (double)p.scalar[i]);
    }
    free(y);
    free_product(&p);
}

static void test_matmul__scales_of_8_bits_are_right_one_by_one(void **state)
{
    const loam__cpu_isa *isa;
    (void)state;
    for (size_t i = 0; (isa = loam__cpu_isa_at(i)); i++)
        for (const loam__cpu_matmul *row = isa->matmuls; row->multiply && isa->present(); row++)
            for (size_t s = 0; s < sizeof scale_places / sizeof scale_places[0]; s++)
                if (scale_places[s].type == row->type && scale_places[s].bytes)
                    check_scale_bytes(isa, row, scale_places[s].bytes);
}

/* Sets that want columns as the same whole numbers differ in how they sum those, so in no result.
 */
static void check_relatives(const loam__cpu_isa *isa, const loam__cpu_matmul *row, const product *p,
                            random_state *r)
{
    size_t n = p->rows * p->cols;
    const loam__cpu_isa *other;
    (void)r;
    if (p->f->block_values == 1) return;
    float *y = new_results(n);
    multiply(row, p, p->rows, p->cols, y);
    for (size_t i = 0; (other = loam__cpu_isa_at(i)) != isa; i++) {
        const loam__cpu_matmul *relative = loam__cpu_find_matmul(other, row->type);
        if (!other->present() || relative->prepare != row->prepare) continue;
        float *z = new_results(n);
        multiply(relative, p, p->rows, p->cols, z);
        if (memcmp(y, z, n * sizeof *y))
            fail_msg("%s %s, %zu rows of %zu, %zu columns: other bits than on %s", isa->name,
                     p->f->name, p->rows, p->k, p->cols, other->name);
        free(z);
    }
    free(y);
}

static void test_matmul__sets_with_the_same_whole_columns_give_the_same_bits(void **state)
{
    (void)state;
    walk_products(check_relatives);
}

/* NULL if this machine does not have it. */
static const loam__cpu_isa *present_set(const char *name)
{
    const loam__cpu_isa *isa;
    for (size_t i = 0; (isa = loam__cpu_isa_at(i)); i++)
        if (strcmp(isa->name, name) == 0) return isa->present() ? isa : NULL;
    return NULL;
}

/* The sets with VNNI have the same additions in lanes that do not meet. */
static void check_vnni(const loam__cpu_isa *isa, const loam__cpu_matmul *row, const product *p,
                       random_state *r)
{
    const size_t n = p->rows * p->cols;
    const loam__cpu_isa *wide = present_set("avx512");
    (void)r;
    if (strcmp(isa->name, "avxvnni") != 0) return;
    float *y = new_results(n), *z = new_results(n);
    multiply(row, p, p->rows, p->cols, y);
    multiply(loam__cpu_find_matmul(wide, row->type), p, p->rows, p->cols, z);
    if (memcmp(y, z, n * sizeof *y))
        fail_msg("%s %s, %zu rows of %zu, %zu columns: other bits than on %s", isa->name,
                 p->f->name, p->rows, p->k, p->cols, wide->name);
    free(y);
    free(z);
}

static void test_matmul__sets_with_vnni_give_the_same_bits(void **state)
{
    (void)state;
    if (!present_set("avxvnni") || !present_set("avx512")) skip();
    walk_products(check_vnni);
}

/* The same weights, packed; in slices that begin where groups do. */
static void check_packed(const loam__cpu_isa *isa, const loam__cpu_matmul *row, const product *p,
                         random_state *r)
{
    const size_t n = p->rows * p->cols, group = row->packing.rows;
    const size_t row_bytes = p->k / p->f->block_values * p->f->block_bytes;
    void *memory;
    if (!group) return;
    float *apart = new_results(n), *y = new_results(n);
    uint8_t *rows = malloc(row_bytes * p->rows), *block = malloc(p->f->block_bytes);
    assert_true(rows && block);
    for (size_t i = 0; i < p->rows; i++)
        memcpy(rows + i * row_bytes, p->w + i * p->w_row_bytes, row_bytes);
    product packed = *p;
    packed.packed = true;
    packed.w_row_bytes = row_bytes;
    packed.w = shifted_memory(row_bytes * p->rows, random_size(r, 0, 63), &memory);
    loam__pack_rows(row->packing, p->f->block_bytes, rows, row_bytes, p->rows, packed.w);
    multiply(row, p, p->rows, p->cols, apart);
    multiply(row, &packed, group * random_size(r, 1, 3), random_size(r, 1, p->cols), y);
    if (memcmp(y, apart, (n + FAR) * sizeof *y))
        fail_msg("%s %s, %zu rows of %zu, %zu columns: packed weights give other bits", isa->name,
                 p->f->name, p->rows, p->k, p->cols);
    for (size_t i = 0; i < p->rows / group * group; i++) {
        const size_t at = random_size(r, 0, row_bytes / p->f->block_bytes - 1) * p->f->block_bytes;
        loam__unpack_block(row->packing, p->f->block_bytes,
                           packed.w + i / group * group * row_bytes, i % group, at, block);
        assert_memory_equal(block, rows + i * row_bytes + at, p->f->block_bytes);
    }
    free(memory);
    free(rows);
    free(block);
    free(apart);
    free(y);
}

static void test_matmul__packed_weights_give_the_same_bits(void **state)
{
    (void)state;
    walk_products(check_packed);
}

/* The error of eight sums of at most 32 products each, joined, is below 2^-20 of sum(|w * x|). */
static void check_scalar_against_double(const loam__cpu_isa *isa, const loam__cpu_matmul *row,
                                        const product *p, random_state *r)
{
    float *values = malloc(p->k * sizeof *values);
    (void)row;
    (void)r;
    assert_non_null(values);
    for (size_t i = 0; i < p->rows && isa == &loam__cpu_scalar; i++) {
        p->f->decode(p->w + i * p->w_row_bytes, values, p->k);
        for (size_t c = 0; c < p->cols; c++) {
            double sum = 0;
            for (size_t j = 0; j < p->k; j++)
                sum += (double)values[j] * (double)p->x[c * p->k + j];
            double error = fabs(sum - (double)p->scalar[c * p->rows + i]);
            assert_true(error <= 0x1p-20 * p->size[c * p->rows + i]);
        }
    }
    free(values);
}

static void test_matmul__scalar_agrees_with_plain_loops(void **state)
{
    (void)state;
    walk_products(check_scalar_against_double);
}

/* Bytes of any kind, so NaN and infinite scales too, must not trap; what they give is left open. A
 * NaN among the activations must reach every result of its column, and no other column. */
static void check_wild_numbers(const loam__cpu_isa *isa, const loam__cpu_matmul *row,
                               const product *p, random_state *r)
{
    size_t n = p->rows * p->cols;
    float *y = new_results(n);
    p->x[random_size(r, 0, p->k - 1)] = NAN;
    multiply(row, p, p->rows, p->cols, y);
    for (size_t i = 0; i < n; i++) {
        double error = fabs((double)y[i] - (double)p->scalar[i]);
        bool right = i < p->rows ? isnan(y[i]) : error <= (double)row->max_err * p->size[i];
        if (!right)
            fail_msg("%s %s: with a NaN in column 0, column %zu row %zu is %g, was %g", isa->name,
                     p->f->name, i / p->rows, i % p->rows, (double)y[i], (double)p->scalar[i]);
    }
    p->x[random_size(r, 0, p->k * p->cols - 1)] = INFINITY;
    p->x[random_size(r, 0, p->k * p->cols - 1)] = -FLT_MAX;
    for (size_t i = 0; i < p->k / p->f->block_values * p->f->block_bytes; i++)
        p->w[i] = (uint8_t)(random_u64(r) % 2 ? random_u64(r) : 0xff);
    multiply(row, p, p->rows, p->cols, y);
    free(y);
}

static void test_matmul__survives_wild_numbers(void **state)
{
    (void)state;
    walk_products(check_wild_numbers);
}

static void test_find_matmul__takes_the_best_row_at_or_below_a_set(void **state)
{
    const loam__cpu_isa *isa;
    (void)state;
    assert_ptr_equal(loam__cpu_isa_at(0), &loam__cpu_scalar);
    assert_true(loam__cpu_scalar.present());
    for (size_t i = 0; (isa = loam__cpu_isa_at(i)); i++) {
        const loam__format *f;
        for (size_t j = 0; (f = loam__format_at(j)); j++) {
            const loam__cpu_matmul *found = loam__cpu_find_matmul(isa, f->type), *own;
            assert_non_null(found);
            assert_int_equal(found->type, f->type);
            for (own = isa->matmuls; own->multiply && own->type != f->type; own++)
                continue;
            if (own->multiply) assert_ptr_equal(found, own);
        }
        assert_null(loam__cpu_find_matmul(isa, 99));
    }
}

/* A CPU need not have every set below its best: what is found must be of one that it has. */
static void test_find_matmul__finds_what_this_machine_runs(void **state)
{
    const loam__cpu_isa *isa, *lower;
    (void)state;
    for (size_t i = 0; (isa = loam__cpu_isa_at(i)); i++) {
        const loam__format *f;
        for (size_t j = 0; isa->present() && (f = loam__format_at(j)); j++) {
            const loam__cpu_matmul *found = loam__cpu_find_matmul(isa, f->type);
            for (size_t l = 0; (lower = loam__cpu_isa_at(l)); l++)
                for (const loam__cpu_matmul *own = lower->matmuls; own->multiply; own++)
                    if (own == found && !lower->present())
                        fail_msg("%s finds %s in %s", isa->name, f->name, lower->name);
        }
    }
}

/* ---- number by number ------------------------------------------------------------------- */

/* Sizes around the widths of vectors, and some that models have. */
static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 576, 1537};
enum { SIZES = sizeof sizes / sizeof sizes[0], LONGEST = 1537 };

/* A present set, or NULL after the last. */
static const loam__cpu_isa *next_present(size_t *i)
{
    const loam__cpu_isa *isa;
    while ((isa = loam__cpu_isa_at((*i)++)))
        if (isa->present()) return isa;
    return NULL;
}

static void check_near(const char *set, const char *what, size_t i, float got, double want,
                       double tolerance)
{
    if (!(fabs((double)got - want) <= tolerance))
        fail_msg("%s %s: number %zu is %.9g, should be %.9g within %g", set, what, i, (double)got,
                 want, tolerance);
}

/* Within 4e-7 of the right value: three roundings. */
static void test_rms_norm__agrees_with_plain_loops(void **state)
{
    random_state r = {1};
    float x[LONGEST], weight[LONGEST], y[LONGEST + 1];
    const loam__cpu_isa *isa;
    (void)state;
    random_floats(&r, x, LONGEST);
    random_floats(&r, weight, LONGEST);
    for (size_t s = 0; (isa = next_present(&s));) {
        for (size_t t = 0; t < SIZES && isa->rms_norm; t++) {
            size_t n = sizes[t];
            const float *from = x + LONGEST - n, *w = weight + LONGEST - n;
            double squares = 0;
            for (size_t i = 0; i < n; i++)
                squares += (double)from[i] * (double)from[i];
            double root = sqrt(squares / (double)n + 1e-5);
            y[n] = untouched;
            isa->rms_norm(from, w, y, n, 1e-5f);
            for (size_t i = 0; i < n; i++) {
                double want = (double)from[i] / root * (double)w[i];
                check_near(isa->name, "rms_norm", i, y[i], want, 4e-7 * fabs(want));
            }
            assert_true(y[n] == untouched);
        }
    }
}

static void test_add__is_exact(void **state)
{
    random_state r = {2};
    float a[LONGEST], b[LONGEST], y[LONGEST + 1];
    const loam__cpu_isa *isa;
    (void)state;
    random_floats(&r, a, LONGEST);
    random_floats(&r, b, LONGEST);
    for (size_t s = 0; (isa = next_present(&s));) {
        for (size_t t = 0; t < SIZES && isa->add; t++) {
            size_t shift = LONGEST - sizes[t];
            y[sizes[t]] = untouched;
            isa->add(a + shift, b + shift, y, sizes[t]);
            for (size_t i = 0; i < sizes[t]; i++)
                assert_true(y[i] == a[shift + i] + b[shift + i]);
            assert_true(y[sizes[t]] == untouched);
        }
    }
}

static double act(int32_t kind, double x)
{
    if (kind == LOAM_ACT_SILU) return x / (1 + exp(-x));
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

/* Within 1e-6 of the larger of 1 and |gate|, times |up|. */
static void test_glu__agrees_with_plain_loops(void **state)
{
    random_state r = {3};
    float gate[LONGEST], up[LONGEST], y[LONGEST + 1];
    const loam__cpu_isa *isa;
    (void)state;
    random_floats(&r, gate, LONGEST);
    random_floats(&r, up, LONGEST);
    for (size_t i = 0; i < LONGEST; i += 3)
        gate[i] *= (float)(i % 40);
    for (size_t s = 0; (isa = next_present(&s));) {
        for (size_t t = 0; t < 2 * SIZES && isa->glu; t++) {
            int32_t kind = t % 2 ? LOAM_ACT_SILU : LOAM_ACT_GELU_TANH;
            size_t n = sizes[t / 2], shift = LONGEST - n;
            y[n] = untouched;
            isa->glu(kind, gate + shift, up + shift, y, n);
            for (size_t i = 0; i < n; i++) {
                double x = (double)gate[shift + i], u = (double)up[shift + i];
                check_near(isa->name, "glu", i, y[i], act(kind, x) * u,
                           1e-6 * fmax(1, fabs(x)) * fabs(u));
            }
            assert_true(y[n] == untouched);
        }
    }
}

static void test_glu__has_the_right_limits(void **state)
{
    static const float large[] = {100, 1e4f, 1e19f, 1e30f, FLT_MAX};
    const loam__cpu_isa *isa;
    (void)state;
    for (size_t s = 0; (isa = next_present(&s));) {
        if (!isa->glu) continue;
        for (int32_t kind = LOAM_ACT_SILU; kind <= LOAM_ACT_GELU_TANH; kind++) {
            float gate[11] = {0}, up[11], y[11];
            for (int i = 0; i < 5; i++) {
                gate[2 * i] = large[i];
                gate[2 * i + 1] = -large[i];
            }
            gate[10] = NAN;
            for (int i = 0; i < 11; i++)
                up[i] = 1;
            isa->glu(kind, gate, up, y, 11);
            for (int i = 0; i < 5; i++) {
                assert_true(y[2 * i] == large[i]);
                assert_true(fabsf(y[2 * i + 1]) < 1e-30f);
            }
            assert_true(isnan(y[10]));
        }
    }
}

/* A number's result must not depend on where in an array it stands, as work may be cut anywhere. */
static void test_elementwise__a_slice_has_the_bits_of_the_whole(void **state)
{
    random_state r = {4};
    float a[LONGEST], b[LONGEST], whole[LONGEST], y[LONGEST];
    const loam__cpu_isa *isa;
    (void)state;
    random_floats(&r, a, LONGEST);
    random_floats(&r, b, LONGEST);
    for (size_t s = 0; (isa = next_present(&s));) {
        for (int32_t kind = LOAM_ACT_SILU; kind <= LOAM_ACT_GELU_TANH && isa->glu; kind++) {
            isa->glu(kind, a, b, whole, LONGEST);
            for (size_t at = 0, n; at < LONGEST; at += n) {
                n = random_size(&r, 1, 20);
                if (n > LONGEST - at) n = LONGEST - at;
                isa->glu(kind, a + at, b + at, y + at, n);
            }
            assert_memory_equal(y, whole, sizeof y);
        }
    }
}

/* One head, by the definition: pair i turns by the angle whose cosine and sine are cos_sin[i]. */
static void plain_rope(const float *x, const float *cos_sin, double *y, int32_t style, size_t n,
                       size_t rotary)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (double)x[i];
    for (size_t i = 0; i < rotary / 2; i++) {
        size_t a = style == LOAM_ROPE_PAIRS ? 2 * i : i;
        size_t b = style == LOAM_ROPE_PAIRS ? 2 * i + 1 : i + rotary / 2;
        double c = (double)cos_sin[2 * i], s = (double)cos_sin[2 * i + 1];
        y[a] = (double)x[a] * c - (double)x[b] * s;
        y[b] = (double)x[a] * s + (double)x[b] * c;
    }
}

/* Numbers up to 3.5, cosines too: within 3e-6; what does not turn is copied. */
static void test_rope__agrees_with_plain_loops(void **state)
{
    static const uint32_t shapes[][3] = {/* heads, values, rotary values */
                                         {1, 2, 2},   {3, 64, 64},   {2, 80, 64}, {5, 20, 20},
                                         {1, 18, 10}, {4, 256, 256}, {2, 7, 0}};
    random_state r = {5};
    float x[1025], y[1025], cos_sin[256];
    double want[256];
    const loam__cpu_isa *isa;
    (void)state;
    random_floats(&r, x, 1025);
    random_floats(&r, cos_sin, 256);
    for (size_t s = 0; (isa = next_present(&s));) {
        for (size_t t = 0; t < 2 * sizeof shapes / sizeof shapes[0] && isa->rope; t++) {
            uint32_t heads = shapes[t / 2][0], n = shapes[t / 2][1], rotary = shapes[t / 2][2];
            int32_t style = t % 2 ? LOAM_ROPE_PAIRS : LOAM_ROPE_HALVES;
            y[heads * n] = untouched;
            isa->rope(x + 1, cos_sin, y, style, heads, n, rotary);
            for (size_t i = 0; i < (size_t)heads * n; i++) {
                if (i % n == 0) plain_rope(x + 1 + i, cos_sin, want, style, n, rotary);
                check_near(isa->name, "rope", i, y[i], want[i % n], i % n < rotary ? 3e-6 : 0);
            }
            assert_true(y[heads * n] == untouched);
        }
    }
}

/* The types that KV cells can be of. */
static const loam_format cell_types[] = {LOAM_TYPE_F32, LOAM_TYPE_F16, LOAM_TYPE_BF16,
                                         LOAM_TYPE_Q8_0, LOAM_TYPE_Q4_0};
enum { CELL_TYPES = sizeof cell_types / sizeof cell_types[0] };

static void check_cells(const loam__cpu_isa *isa, const loam__format *f, const float *x, size_t n,
                        size_t shift)
{
    uint8_t got[4 * LONGEST + 8], want[4 * LONGEST + 8];
    size_t bytes = n / f->block_values * f->block_bytes;
    memset(got, 0x55, sizeof got);
    memset(want, 0x55, sizeof want);
    isa->kv_write(x, got + shift, f->type, n);
    f->encode(x, want + shift, n);
    if (memcmp(got, want, sizeof got))
        fail_msg("%s: %zu numbers as %s are not the bits of the encoder (or beyond %zu bytes)",
                 isa->name, n, f->name, bytes);
}

/* Blocks of 32 that try the corners of an encoder: block i. */
static void corner_block(random_state *r, size_t i, float *x)
{
    static const float corners[] = {0.0f,     -0.0f,     65504,   65519, 65520, -1e30f,
                                    1e-8f,    6e-8f,     1e-45f,  3e-5f, 127,   -128,
                                    INFINITY, -INFINITY, FLT_MAX, NAN};
    enum { CORNERS = sizeof corners / sizeof corners[0] };
    for (size_t j = 0; j < 32; j++) {
        float size = corners[i % CORNERS];
        switch (i / CORNERS) {
        case 0: /* one corner among others */
            x[j] = j == i % 32 ? size : random_float(r);
            break;
        case 1: /* corners alone, of both signs: the first of equals decides */
            x[j] = j % 3 ? size : -size;
            break;
        case 2: /* all halves, which round away from zero */
            x[j] = j ? (float)j - 16.5f : 127;
            break;
        default:
            x[j] = random_float(r) * ldexpf(1, (int)random_size(r, 0, 250) - 140);
        }
    }
}

static void test_kv_write__has_the_bits_of_the_encoders(void **state)
{
    random_state r = {6};
    float x[LONGEST], block[64];
    const loam__cpu_isa *isa;
    (void)state;
    random_floats(&r, x, LONGEST);
    for (size_t s = 0; (isa = next_present(&s));) {
        for (size_t t = 0; t < CELL_TYPES && isa->kv_write; t++) {
            const loam__format *f = loam__format_find(cell_types[t]);
            for (size_t i = 0; i < SIZES; i++) {
                size_t n = f->block_values == 1 ? sizes[i] : sizes[i] / 4 * f->block_values;
                if (n <= LONGEST) check_cells(isa, f, x + LONGEST - n, n, i % 5);
            }
            for (size_t i = 0; i < 128; i++) {
                corner_block(&r, i, block);
                corner_block(&r, 127 - i, block + 32);
                check_cells(isa, f, block, 64, i % 3);
            }
        }
    }
}

/* ---- attention -------------------------------------------------------------------------- */

enum { KV_HEADS = 2, KV_HEAD = 1 }; /* in a block, and the one that is asked for */
enum { WIDEST = 300 };

typedef struct attention_case {
    loam__attention_args a;
    float *q, *y, *scratch;
    size_t end;    /* of the positions */
    double *k, *v; /* [end][values], what the cells hold */
    uint8_t *k_cells, *v_cells;
    int32_t *table;
} attention_case;

/* What a row holds once it is cells. */
static void hold_row(loam_format type, const uint8_t *cells, double *values, size_t n)
{
    float held[WIDEST];
    loam__format_find(type)->decode(cells, held, n);
    for (size_t i = 0; i < n; i++)
        values[i] = (double)held[i];
}

/* Where the cells of the tested head at a position lie. */
static size_t cell_at(const attention_case *c, size_t p, size_t block_bytes, size_t head_offset,
                      size_t row_bytes)
{
    return (size_t)c->table[p / c->a.block_tokens] * block_bytes + head_offset +
           p % c->a.block_tokens * row_bytes;
}

/* What token t of a case sees first. */
static size_t first_seen(const loam__attention_args *a, size_t t)
{
    size_t end = a->position + t + 1;
    return a->window && a->window < end ? end - a->window : 0;
}

static size_t row_floats(const loam__attention_args *a) /* of y */
{
    return (size_t)a->tokens * a->heads * a->v_values;
}

/* The bytes of a key go to their places. */
static void place_key(attention_case *c, size_t p, const uint8_t *cells)
{
    const loam__attention_args *a = &c->a;
    size_t size = a->k_row_bytes / a->k_values, in_block = p % a->block_tokens;
    uint8_t *to = c->k_cells + cell_at(c, p, a->k_block_bytes, a->k_head_offset, a->k_row_bytes);
    if (!a->k_transposed) {
        memcpy(to, cells, a->k_row_bytes);
        return;
    }
    to -= in_block * a->k_row_bytes;
    for (size_t i = 0; i < a->k_values; i++)
        memcpy(to + (i * a->block_tokens + in_block) * size, cells + i * size, size);
}

static void put_key(attention_case *c, size_t p, const float *x)
{
    uint8_t cells[4 * WIDEST];
    size_t n = c->a.k_values;
    loam__format_find(c->a.k_type)->encode(x, cells, n);
    hold_row(c->a.k_type, cells, c->k + p * n, n);
    place_key(c, p, cells);
}

/* Rows of the seen positions are random, all else is NaN. */
static void fill_keys(random_state *r, attention_case *c)
{
    const loam__attention_args *a = &c->a;
    for (size_t p = first_seen(a, 0); p < c->end; p++) {
        float x[WIDEST];
        random_floats(r, x, a->k_values);
        put_key(c, p, x);
    }
}

static void fill_values(random_state *r, attention_case *c)
{
    const loam__attention_args *a = &c->a;
    for (size_t p = first_seen(a, 0); p < c->end; p++) {
        float x[WIDEST];
        random_floats(r, x, a->v_values);
        uint8_t *cells =
            c->v_cells + cell_at(c, p, a->v_block_bytes, a->v_head_offset, a->v_row_bytes);
        loam__format_find(a->v_type)->encode(x, cells, a->v_values);
        hold_row(a->v_type, cells, c->v + p * a->v_values, a->v_values);
    }
}

static void *filled(size_t bytes, int byte)
{
    void *p = malloc(bytes);
    assert_non_null(p);
    return memset(p, byte, bytes);
}

static size_t row_bytes_of(loam_format type, size_t n)
{
    const loam__format *f = loam__format_find(type);
    assert_int_equal(n % f->block_values, 0);
    return n / f->block_values * f->block_bytes;
}

static float *attention_scratch(const loam__attention_args *a)
{
    size_t n = loam__attention_scratch(a->tokens, a->heads, a->k_values, a->v_values);
    return filled(n * sizeof(float), 0xff);
}

/* Blocks of a longer cache in random order, the cells of the second of two KV heads. a says what
 * is asked for, and here gets its places. */
static attention_case new_attention(random_state *r, loam__attention_args a)
{
    size_t kn = a.k_values, vn = a.v_values, end = a.position + a.tokens;
    size_t blocks = (end - 1) / a.block_tokens + 1;
    attention_case c = {.a = a, .end = end};
    c.a.q_stride = a.heads * kn;
    c.a.y_stride = a.heads * vn;
    c.a.scale = 1 / sqrtf((float)kn);
    c.a.k_row_bytes = row_bytes_of(a.k_type, kn);
    c.a.v_row_bytes = row_bytes_of(a.v_type, vn);
    c.a.k_head_offset = KV_HEAD * a.block_tokens * c.a.k_row_bytes;
    c.a.v_head_offset = KV_HEAD * a.block_tokens * c.a.v_row_bytes;
    c.a.k_block_bytes = KV_HEADS * a.block_tokens * c.a.k_row_bytes;
    c.a.v_block_bytes = KV_HEADS * a.block_tokens * c.a.v_row_bytes;
    c.k_cells = filled(c.a.k_block_bytes * blocks, 0xff);
    c.v_cells = filled(c.a.v_block_bytes * blocks, 0xff);
    c.k = filled(end * kn * sizeof *c.k, 0);
    c.v = filled(end * vn * sizeof *c.v, 0);
    c.table = filled(blocks * sizeof *c.table, 0);
    c.q = filled(a.tokens * a.heads * kn * sizeof *c.q, 0);
    c.scratch = attention_scratch(&c.a);
    c.y = new_results(row_floats(&c.a));
    for (size_t i = 0; i < blocks; i++) {
        size_t j = random_size(r, 0, i);
        c.table[i] = c.table[j];
        c.table[j] = (int32_t)i;
    }
    random_floats(r, c.q, a.tokens * a.heads * kn);
    fill_keys(r, &c);
    fill_values(r, &c);
    c.a.k = c.k_cells;
    c.a.v = c.v_cells;
    c.a.table = c.table;
    c.a.q = c.q;
    c.a.y = c.y;
    c.a.scratch = c.scratch;
    return c;
}

static void free_attention(attention_case *c)
{
    free(c->q);
    free(c->y);
    free(c->scratch);
    free(c->k);
    free(c->v);
    free(c->k_cells);
    free(c->v_cells);
    free(c->table);
}

/* y of head h of token t as the textbook has it. */
static void plain_attention(const attention_case *c, size_t t, size_t h, double *y)
{
    const loam__attention_args *a = &c->a;
    const float *q = c->q + t * a->q_stride + h * a->k_values;
    size_t first = first_seen(a, t), end = a->position + t + 1;
    double *weights = filled(c->end * sizeof *weights, 0), max = -INFINITY, sum = 0;
    for (size_t p = first; p < end; p++) {
        double s = 0;
        for (size_t j = 0; j < a->k_values; j++)
            s += (double)q[j] * c->k[p * a->k_values + j];
        s *= (double)a->scale;
        if (a->softcap > 0) s = (double)a->softcap * tanh(s / (double)a->softcap);
        weights[p] = s;
        max = fmax(max, s);
    }
    for (size_t p = first; p < end; p++)
        sum += weights[p] = exp(weights[p] - max);
    for (size_t j = 0; j < a->v_values; j++) {
        y[j] = 0;
        for (size_t p = first; p < end; p++)
            y[j] += weights[p] / sum * c->v[p * a->v_values + j];
    }
    free(weights);
}

typedef void attention_check(const loam__cpu_isa *isa, attention_case *c, random_state *r);

static bool in_blocks(loam_format type)
{
    return loam__format_find(type)->block_values > 1;
}

enum { ATTENTION_SHAPES = 24 }; /* of each pair of types */

/* Shape t: short and long contexts, one query and several, windows, heads that share, widths with
 * and without whole vectors, blocks that are full and not, keys that are transposed, soft caps. */
static attention_case shaped_attention(random_state *r, loam_format k_type, loam_format v_type,
                                       size_t t)
{
    static const uint32_t plain[][2] = {{64, 64}, {1, 1}, {7, 9}, {80, 80}, {257, 300}, {128, 64}};
    static const uint32_t whole[][2] = {{64, 64}, {32, 32},   {96, 32},
                                        {32, 96}, {256, 288}, {128, 64}};
    uint32_t position = (uint32_t)(t % 2 ? t : random_size(r, 0, t % 8 ? 200 : 800));
    uint32_t block_tokens = t % 5 ? t % 7 ? 16 : 32 : 5;
    return new_attention(
        r, (loam__attention_args){
               .k_type = k_type,
               .v_type = v_type,
               .k_values = in_blocks(k_type) ? whole[t % 6][0] : plain[t % 6][0],
               .v_values = in_blocks(v_type) ? whole[t % 6][1] : plain[t % 6][1],
               .tokens = t % 4 ? 1 : (uint32_t)random_size(r, 1, 20),
               .heads = (uint32_t)random_size(r, 1, 7),
               .position = position,
               .window = t % 3 ? 0 : (uint32_t)random_size(r, 1, position + 2),
               .block_tokens = block_tokens,
               .k_transposed = !in_blocks(k_type) && block_tokens % 16 == 0 && random_size(r, 0, 2),
               .softcap = t % 4 == 1 ? 2.5f : 0,
           });
}

static void walk_attention(attention_check *check)
{
    const loam__cpu_isa *isa;
    for (size_t s = 0; (isa = next_present(&s));) {
        random_state r = {7};
        for (size_t t = 0; t < CELL_TYPES * CELL_TYPES * ATTENTION_SHAPES && isa->attention; t++) {
            size_t pair = t / ATTENTION_SHAPES;
            attention_case c =
                shaped_attention(&r, cell_types[pair / CELL_TYPES], cell_types[pair % CELL_TYPES],
                                 t % ATTENTION_SHAPES);
            check(isa, &c, &r);
            free_attention(&c);
        }
    }
}

/* V is about 1, at most 3.5. */
static void check_attention(const loam__cpu_isa *isa, attention_case *c, random_state *r)
{
    double want[WIDEST];
    char what[40];
    (void)r;
    snprintf(what, sizeof what, "attention over K %s, V %s", loam__format_find(c->a.k_type)->name,
             loam__format_find(c->a.v_type)->name);
    isa->attention(&c->a, NULL);
    for (size_t i = 0; i < c->a.tokens * c->a.heads; i++) {
        plain_attention(c, i / c->a.heads, i % c->a.heads, want);
        for (size_t j = 0; j < c->a.v_values; j++)
            check_near(isa->name, what, j, c->y[i * c->a.v_values + j], want[j], 3e-6);
    }
    assert_true(c->y[row_floats(&c->a)] == untouched);
}

static void test_attention__agrees_with_plain_loops(void **state)
{
    (void)state;
    walk_attention(check_attention);
}

static void check_heads_alone(const loam__cpu_isa *isa, attention_case *c, random_state *r)
{
    size_t kn = c->a.k_values, vn = c->a.v_values;
    (void)r;
    isa->attention(&c->a, NULL);
    for (size_t i = 0; i < c->a.tokens * c->a.heads; i++) {
        size_t t = i / c->a.heads;
        loam__attention_args one = c->a;
        float alone[WIDEST];
        one.tokens = one.heads = 1;
        one.position += (uint32_t)t;
        one.q = c->q + i * kn;
        one.y = alone;
        one.scratch = attention_scratch(&one);
        isa->attention(&one, NULL);
        free(one.scratch);
        assert_memory_equal(alone, c->y + i * vn, vn * sizeof *alone);
    }
}

static void test_attention__a_head_of_a_token_alone_has_the_same_bits(void **state)
{
    (void)state;
    walk_attention(check_heads_alone);
}

/* What the cells behind a query hold is nothing to it, were it NaN. */
static void check_later_cells(const loam__cpu_isa *isa, attention_case *c, random_state *r)
{
    uint8_t nothing[4 * WIDEST];
    size_t own = c->a.heads * c->a.v_values, last = c->end - 1;
    float *before = malloc(row_floats(&c->a) * sizeof *before);
    (void)r;
    assert_non_null(before);
    isa->attention(&c->a, NULL);
    memcpy(before, c->y, row_floats(&c->a) * sizeof *before);
    place_key(c, last, memset(nothing, 0xff, sizeof nothing));
    memset(c->v_cells + cell_at(c, last, c->a.v_block_bytes, c->a.v_head_offset, c->a.v_row_bytes),
           0xff, c->a.v_row_bytes);
    isa->attention(&c->a, NULL);
    assert_memory_equal(c->y, before, (c->a.tokens - 1) * own * sizeof *before);
    free(before);
}

static void test_attention__sees_nothing_of_what_comes_later(void **state)
{
    (void)state;
    walk_attention(check_later_cells);
}

static void check_parts(const loam__cpu_isa *isa, attention_case *c, random_state *r)
{
    size_t part = loam__attention_part(c->a.tokens, c->a.heads, c->a.v_values);
    size_t first = first_seen(&c->a, 0) / LOAM__ATTENTION_SEGMENT;
    size_t end = (c->end - 1) / LOAM__ATTENTION_SEGMENT + 1;
    float *whole = malloc(row_floats(&c->a) * sizeof *whole);
    float *parts = filled((end - first) * part * sizeof *parts, 0xff);
    (void)r;
    assert_non_null(whole);
    if (isa->attention_part) {
        isa->attention(&c->a, NULL);
        memcpy(whole, c->y, row_floats(&c->a) * sizeof *whole);
        for (size_t segment = end; segment-- > first;)
            isa->attention_part(&c->a, segment, parts + (segment - first) * part);
        isa->attention(&c->a, parts);
        assert_memory_equal(c->y, whole, row_floats(&c->a) * sizeof *whole);
    }
    free(parts);
    free(whole);
}

static void test_attention__segments_apart_give_the_same_bits(void **state)
{
    (void)state;
    walk_attention(check_parts);
}

/* Scores far apart: the largest wins, wherever it stands, and nothing overflows. */
static void check_large_scores(const loam__cpu_isa *isa, attention_case *c, random_state *r)
{
    size_t t = c->a.tokens - 1, kn = c->a.k_values, vn = c->a.v_values;
    size_t winner = random_size(r, first_seen(&c->a, t), c->end - 1);
    if (c->a.softcap > 0) return;
    for (size_t p = first_seen(&c->a, 0); p < c->end; p++) {
        float x[WIDEST];
        for (size_t j = 0; j < kn; j++)
            x[j] = p == winner ? 60000.0f : -60000.0f;
        put_key(c, p, x);
    }
    for (size_t j = 0; j < c->a.tokens * c->a.heads * kn; j++)
        c->q[j] = 1000;
    isa->attention(&c->a, NULL);
    for (size_t j = 0; j < c->a.heads * vn; j++)
        check_near(isa->name, "attention", j, c->y[t * c->a.y_stride + j],
                   c->v[winner * vn + j % vn], 0);
}

static void test_attention__survives_large_scores(void **state)
{
    (void)state;
    walk_attention(check_large_scores);
}

/* A query that is NaN or infinite gives NaN, for its head alone; blocks of any bytes give something
 * and no trap. */
static void check_wild_queries(const loam__cpu_isa *isa, attention_case *c, random_state *r)
{
    size_t kn = c->a.k_values, vn = c->a.v_values, n = row_floats(&c->a);
    float *before = malloc(n * sizeof *before);
    assert_non_null(before);
    isa->attention(&c->a, NULL);
    memcpy(before, c->y, n * sizeof *before);
    c->q[random_size(r, 0, kn - 1)] = NAN;
    isa->attention(&c->a, NULL);
    for (size_t j = 0; j < vn; j++)
        assert_true(isnan(c->y[j]));
    assert_memory_equal(c->y + vn, before + vn, (n - vn) * sizeof *before);
    c->q[random_size(r, 0, kn - 1)] = INFINITY;
    for (size_t i = 0; i < c->a.k_block_bytes; i++)
        c->k_cells[i] = (uint8_t)random_u64(r);
    for (size_t i = 0; i < c->a.v_block_bytes; i++)
        c->v_cells[i] = (uint8_t)random_u64(r);
    isa->attention(&c->a, NULL);
    free(before);
}

static void test_attention__survives_wild_numbers(void **state)
{
    (void)state;
    walk_attention(check_wild_queries);
}

static void test_cells__are_of_five_types(void **state)
{
    const loam__format *f;
    (void)state;
    for (size_t i = 0; (f = loam__format_at(i)); i++) {
        bool listed = false;
        for (size_t t = 0; t < CELL_TYPES; t++)
            listed |= f->type == cell_types[t];
        assert_int_equal(loam__cpu_has_cells(f->type), listed);
        assert_true(!listed || f->encode);
    }
    assert_false(loam__cpu_has_cells(99));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_matmul__every_set_agrees_with_scalar),
    cmocka_unit_test(test_matmul__whole_activations_lose_nothing),
    cmocka_unit_test(test_matmul__tiles_change_no_bit),
    cmocka_unit_test(test_matmul__scales_of_8_bits_are_right_one_by_one),
    cmocka_unit_test(test_matmul__packed_weights_give_the_same_bits),
    cmocka_unit_test(test_matmul__sets_with_the_same_whole_columns_give_the_same_bits),
    cmocka_unit_test(test_matmul__sets_with_vnni_give_the_same_bits),
    cmocka_unit_test(test_matmul__scalar_agrees_with_plain_loops),
    cmocka_unit_test(test_matmul__survives_wild_numbers),
    cmocka_unit_test(test_find_matmul__takes_the_best_row_at_or_below_a_set),
    cmocka_unit_test(test_find_matmul__finds_what_this_machine_runs),
    cmocka_unit_test(test_rms_norm__agrees_with_plain_loops),
    cmocka_unit_test(test_add__is_exact),
    cmocka_unit_test(test_glu__agrees_with_plain_loops),
    cmocka_unit_test(test_glu__has_the_right_limits),
    cmocka_unit_test(test_elementwise__a_slice_has_the_bits_of_the_whole),
    cmocka_unit_test(test_rope__agrees_with_plain_loops),
    cmocka_unit_test(test_kv_write__has_the_bits_of_the_encoders),
    cmocka_unit_test(test_attention__agrees_with_plain_loops),
    cmocka_unit_test(test_attention__a_head_of_a_token_alone_has_the_same_bits),
    cmocka_unit_test(test_attention__sees_nothing_of_what_comes_later),
    cmocka_unit_test(test_attention__segments_apart_give_the_same_bits),
    cmocka_unit_test(test_attention__survives_large_scores),
    cmocka_unit_test(test_attention__survives_wild_numbers),
    cmocka_unit_test(test_cells__are_of_five_types),
};

RUN(tests)
