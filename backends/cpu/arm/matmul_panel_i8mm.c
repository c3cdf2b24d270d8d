/* Many columns, two rows and two columns at once: the lanes of a sum are row 0 with columns 0 and
 * 1, then row 1 with them. Each output sees the additions of panel_neon.h in their order. */
#define LOAM__KERNEL(name) loam__i8mm_##name
#include "panel_neon.h"

enum {
    GROUPS = 4,       /* of ROWS rows in a panel */
    PAIRS = 2,        /* of rows in a group */
    PANEL_PIECES = 16 /* 512 values of 16 rows: 12 KiB, which stay in the first-level cache */
};

/* A piece as the products want it: vector i holds values 8i .. 8i+7 of one row, then of the next;
 * each row's factors are there for both columns. */
typedef struct row_pairs {
    int8x16_t w[PAIRS][4];
    floats scale[PAIRS], extra[PAIRS], min[2][PAIRS];
} row_pairs;

typedef struct panel {
    row_pairs pieces[GROUPS][PANEL_PIECES];
    size_t n;    /* used */
    size_t rows; /* wanted, at most GROUPS * ROWS */
    bool first;  /* sums start at zero, not at what y has from the panel before */
} panel;

static void pair_rows(int kind, const piece *p, row_pairs *to)
{
    for (int i = 0; i < 4; i++) {
        to->w[0][i] = as_signed(vzip1q_s32(p->w[2 * i], p->w[2 * i + 1]));
        to->w[1][i] = as_signed(vzip2q_s32(p->w[2 * i], p->w[2 * i + 1]));
    }
    to->scale[0] = vzip1q_f32(p->scale, p->scale);
    to->scale[1] = vzip2q_f32(p->scale, p->scale);
    to->extra[0] = vzip1q_f32(p->extra, p->extra);
    to->extra[1] = vzip2q_f32(p->extra, p->extra);
    for (int half = 0; half < 2 && kind == HALVES; half++) {
        to->min[half][0] = vzip1q_f32(p->min[half], p->min[half]);
        to->min[half][1] = vzip2q_f32(p->min[half], p->min[half]);
    }
}

/* A block of two columns, in the same way; and the factors of columns 0, 1, 0, 1. */
typedef struct column_pair {
    int8x16_t q[4];
    floats scale[2], sum;
    ints start[2];
} column_pair;

LOAM__INLINE void pair_values(const int8_t *a, const int8_t *b, int8x16_t q[2])
{
    const ints x = vreinterpretq_s32_s8(vld1q_s8(a)), y = vreinterpretq_s32_s8(vld1q_s8(b));
    q[0] = as_signed(first_pairs(x, y));
    q[1] = as_signed(second_pairs(x, y));
}

LOAM__INLINE floats twice(float32x2_t v)
{
    return vcombine_f32(v, v);
}

LOAM__INLINE ints starts(const q8 *a, const q8 *b, int half)
{
    const int32x2_t both = vset_lane_s32(b->start[half], vdup_n_s32(a->start[half]), 1);
    return vcombine_s32(both, both);
}

LOAM__INLINE column_pair pair_columns(const q8 *a, const q8 *b)
{
    const float32x2_t as = vld1_f32(a->scale), bs = vld1_f32(b->scale);
    column_pair x;
    pair_values(a->q, b->q, x.q);
    pair_values(a->q + HALF, b->q + HALF, x.q + 2);
    x.scale[0] = twice(vzip1_f32(as, bs));
    x.scale[1] = twice(vzip2_f32(as, bs));
    x.sum = twice(vset_lane_f32(b->sum, vdup_n_f32(a->sum), 1));
    for (int half = 0; half < 2; half++)
        x.start[half] = starts(a, b, half);
    return x;
}

LOAM__INLINE floats add_pair(int kind, const row_pairs *p, int pair, const column_pair *x,
                             floats sum)
{
    const int8x16_t *w = p->w[pair];
    const ints none = vdupq_n_s32(0);
    const ints start0 = kind == SIX_BITS ? x->start[0] : none;
    const ints start1 = kind == SIX_BITS ? x->start[1] : none;
    const ints s0 = vmmlaq_s32(vmmlaq_s32(start0, w[0], x->q[0]), w[1], x->q[1]);
    const ints s1 = vmmlaq_s32(vmmlaq_s32(start1, w[2], x->q[2]), w[3], x->q[3]);
    const floats first = vcvtq_f32_s32(s0), second = vcvtq_f32_s32(s1);
    if (kind == HALVES) {
        sum = add_half(first, p->scale[pair], p->min[0][pair], vcvtq_f32_s32(x->start[0]),
                       x->scale[0], sum);
        return add_half(second, p->extra[pair], p->min[1][pair], vcvtq_f32_s32(x->start[1]),
                        x->scale[1], sum);
    }
    const floats part = vmulq_f32(first, x->scale[0]);
    if (kind == SIX_BITS) {
        sum = vfmaq_f32(sum, part, p->scale[pair]);
        return vfmaq_f32(sum, vmulq_f32(second, x->scale[1]), p->extra[pair]);
    }
    sum = vfmaq_f32(sum, vfmaq_f32(part, second, x->scale[1]), p->scale[pair]);
    return kind == OFFSET ? vfmaq_f32(sum, p->extra[pair], x->sum) : sum;
}

/* Where the numbers of two columns are, in blocks and results; alone, a column is its own partner.
 */
typedef struct place {
    const uint8_t *a, *b;
    float *ya, *yb;
} place;

/* y += panel * x for two columns. */
LOAM__INLINE void tile(int kind, const panel *p, place at)
{
    floats sum[GROUPS][PAIRS];
    for (size_t g = 0; g < GROUPS; g++) {
        const bool used = !p->first && g * ROWS < p->rows;
        const floats a = used ? load_rows(at.ya + g * ROWS, p->rows - g * ROWS) : zeros();
        const floats b = used ? load_rows(at.yb + g * ROWS, p->rows - g * ROWS) : zeros();
        sum[g][0] = vzip1q_f32(a, b);
        sum[g][1] = vzip2q_f32(a, b);
    }
    for (size_t i = 0; i < p->n; i++) {
        const q8 *a = (const q8 *)(const void *)at.a + i, *b = (const q8 *)(const void *)at.b + i;
        const column_pair x = pair_columns(a, b);
        for (size_t g = 0; g < GROUPS; g++)
            for (int pair = 0; pair < PAIRS; pair++)
                sum[g][pair] = add_pair(kind, &p->pieces[g][i], pair, &x, sum[g][pair]);
    }
    for (size_t g = 0; g < GROUPS && g * ROWS < p->rows; g++) {
        store_rows(at.yb + g * ROWS, p->rows - g * ROWS, vuzp2q_f32(sum[g][0], sum[g][1]));
        store_rows(at.ya + g * ROWS, p->rows - g * ROWS, vuzp1q_f32(sum[g][0], sum[g][1]));
    }
}

LOAM__INLINE void multiply_panel(int kind, const panel *p, const uint8_t *x,
                                 const loam__matmul_args *a, float *y)
{
    for (size_t c = 0; c < a->cols; c += 2) {
        const size_t d = c + 1 < a->cols ? c + 1 : c;
        tile(kind, p,
             (place){x + c * a->x_row_bytes, x + d * a->x_row_bytes, y + c * a->y_stride,
                     y + d * a->y_stride});
    }
}

/* Unpack units of a group of rows, which begin `at` bytes into them, and pair the rows. */
LOAM__INLINE void fill_group(panel *p, size_t group, int kind, fill_fn *fill, row_pointers rows,
                             size_t row_bytes, size_t at, size_t units)
{
    piece pieces[PANEL_PIECES];
    fill(rows, row_bytes, at, units, pieces);
    for (size_t i = 0; i < p->n; i++)
        pair_rows(kind, pieces + i, &p->pieces[group][i]);
}

#define OWN_FILL_GROUP
#include "backends/cpu/panels.h"
