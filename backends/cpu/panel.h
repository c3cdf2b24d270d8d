/* What the products of quantized weights and int8 activations share between instruction sets.
 *
 * As many rows as a vector has lanes (ROWS) go together: 32 values of each of them are unpacked and
 * transposed into one `piece`, in which vector j holds values 4j .. 4j+3 of all the rows. So a lane
 * belongs to a row: products of unsigned weights and signed activations are summed exactly in
 * integers, and then scaled and added to the lane's float sum, with no horizontal sum anywhere. One
 * column multiplies a piece where it is unpacked; many columns share a panel of pieces. Either way
 * an output sees the same additions in the same order, block after block.
 *
 * A set's own header (x86/panel_avx2.h, arm/panel_neon.h and so on) brings the lanes, q8 (32
 * activations), piece with its set_...() functions, and add_piece(), and then includes this one. */
#ifndef LOAM__CPU_PANEL_H
#define LOAM__CPU_PANEL_H

/* Where unpacked pieces go: a panel, or at once into the dot product with one column. */
typedef struct sink {
    piece *panel; /* NULL: multiply */
    const q8 *x;
    floats sum;
} sink;

/* Unpack `units` units of a format, which begin `at` bytes into each row, to consecutive pieces. */
typedef void fill_fn(row_pointers rows, size_t row_bytes, size_t at, size_t units, piece *to);

void LOAM__KERNEL(multiply_panels)(const loam__matmul_args *a, int kind, size_t unit_values,
                                   size_t unit_bytes, fill_fn *fill);

LOAM__INLINE void emit(sink *s, int kind, const piece *p)
{
    if (s->panel) *s->panel++ = *p;
    else s->sum = add_piece(kind, p, s->x++, s->sum);
}

/* Rows r .. r + ROWS - 1; beyond the last row the last one again, whose results are thrown away. A
 * group with less than ROWS rows is never packed. */
LOAM__INLINE void find_rows(const loam__matmul_args *a, size_t r, source *rows)
{
    const uint8_t *w = a->w;
    rows->packed = a->packed && r + ROWS <= a->rows ? w + r * a->w_row_bytes : NULL;
    for (size_t i = 0; i < ROWS; i++)
        rows->row[i] = w + (r + i < a->rows ? r + i : a->rows - 1) * a->w_row_bytes;
}

/* ---- the two ways through a format, made of its unpacker ---- */

typedef void unpack_fn(row_pointers rows, size_t at, sink *s);

/* How an unpacker goes through the bytes of a unit. */
typedef enum reading { IN_ORDER, JUMPING } reading;

LOAM__INLINE void ask_for_all(uintptr_t first, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        ask_for(first + i);
}

/* Unpack `units` units in their order: to pieces, or into a dot product. What the hardware's
 * prefetcher does not see coming is asked for two groups of rows or three units ahead, in the order
 * in which it lies. Rows that lie apart are too many streams, above all when they are short; packed
 * ones are one stream, which it follows if it is not read with jumps (Zen 4: Q6_K 3.4 times as fast
 * with asking, Q4_K 0.8 times). The two compiled apart, packed rows cost nothing but their loads.
 */
LOAM__INLINE void unpack_units(unpack_fn *unpack, size_t unit_bytes, reading order,
                               row_pointers rows, size_t row_bytes, size_t at, size_t units,
                               sink *s)
{
    const size_t end = at + units * unit_bytes, bytes = ROWS * unit_bytes;
    if (rows->packed) {
        const source packed = {.packed = rows->packed};
        for (; at < end; at += unit_bytes) {
            if (order == JUMPING)
                ask_for_all((uintptr_t)packed.packed + ROWS * at + 3 * bytes, bytes);
            unpack(&packed, at, s);
        }
        return;
    }
    source apart = *rows;
    for (apart.packed = NULL; at < end; at += unit_bytes) {
        ask_for_all((uintptr_t)rows->row[0] + 2 * ROWS * row_bytes + ROWS * at, bytes);
        unpack(&apart, at, s);
    }
}

/* One column: the weights stream by once. */
LOAM__INLINE void multiply_column(const loam__matmul_args *a, unpack_fn *unpack, size_t unit_values,
                                  size_t unit_bytes, reading order)
{
    for (size_t r = 0; r < a->rows; r += ROWS) {
        source rows;
        sink s = {.panel = NULL, .x = a->x, .sum = zeros()};
        find_rows(a, r, &rows);
        unpack_units(unpack, unit_bytes, order, &rows, a->w_row_bytes, 0, a->k / unit_values, &s);
        store_rows(a->y + r, a->rows - r, s.sum);
    }
}

/* The product of a format whose unpacker is unpack_<format>. */
#define PRODUCT(format, kind, unit_values, unit_bytes, order)                                      \
    static void fill_##format(row_pointers rows, size_t row_bytes, size_t at, size_t units,        \
                              piece *to)                                                           \
    {                                                                                              \
        sink s = {.panel = to};                                                                    \
        unpack_units(unpack_##format, unit_bytes, order, rows, row_bytes, at, units, &s);          \
    }                                                                                              \
    void LOAM__KERNEL(multiply_##format)(const loam__matmul_args *a)                               \
    {                                                                                              \
        if (a->cols == 1) multiply_column(a, unpack_##format, unit_values, unit_bytes, order);     \
        else LOAM__KERNEL(multiply_panels)(a, kind, unit_values, unit_bytes, fill_##format);       \
    }

#endif
