/* The CPU's kernels: one table for each instruction set, lowest first. Dispatch, tests and benches
 * walk the same rows.
 *
 * Promise 4: a result depends on its own row of weights and its own row of activations only, never
 * on how many rows or columns a call has. So for each output the additions happen in one fixed
 * order, whatever the tile. Pointers may have any alignment unless it says otherwise. */
#ifndef LOAM__CPU_KERNELS_H
#define LOAM__CPU_KERNELS_H

#include <loam/backend.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* y[c * y_stride + r] = dot(row r of w, column c of x), r < rows, c < cols. */
typedef struct loam__matmul_args {
    const void *w; /* rows of the format, w_row_bytes apart */
    size_t w_row_bytes;
    bool packed; /* each whole group of rows as loam__pack_rows() leaves it */
    size_t rows;
    size_t k;      /* values in a row, a multiple of the format's block */
    const void *x; /* prepared columns, x_row_bytes apart; 64-byte aligned, as is x_row_bytes */
    size_t x_row_bytes;
    size_t cols;
    float *y; /* 4-byte aligned */
    size_t y_stride;
} loam__matmul_args;

/* How a kernel wants groups of rows to lie where the backend may choose: interleaved by four bytes
 * of each row in turn, and by two or one where a block has an odd pair or byte. What is at byte i
 * of row r is then at rows * i + r * 4 (or 2, or 1) of its group, so that a vector is one load. */
typedef struct loam__packing {
    uint8_t rows; /* of a group; 0: rows stay apart */
    uint8_t pair; /* where the odd pair or byte lies in a block; LOAM__NO_PAIR: none */
} loam__packing;

#define LOAM__NO_PAIR         255
#define LOAM__MAX_BLOCK_BYTES 256 /* of any format */

typedef struct loam__cpu_matmul {
    loam_format type;
    float max_err;                      /* against scalar, relative to sum(|w * x|) */
    size_t (*prepared_bytes)(size_t k); /* of one column, a multiple of 64 */
    void (*prepare)(const float *x, size_t k,
                    void *column); /* activations into the kernel's own form */
    void (*multiply)(const loam__matmul_args *a);
    loam__packing packing;
} loam__cpu_matmul;

/* Queries at consecutive positions of one sequence, the heads that share one KV head. Block b of
 * the sequence starts at k + table[b] * k_block_bytes; in it this KV head's block_tokens rows of
 * k_values cells lie together, at k_head_offset, k_row_bytes each: whole blocks of their format.
 * The same for v. Where k_transposed says so, there are k_values rows of block_tokens cells
 * instead, of one of the float types, and block_tokens is a multiple of LOAM__ATTENTION_WIDTH. */
typedef struct loam__attention_args {
    const float *q; /* [tokens][heads][k_values], 4-byte aligned; tokens q_stride floats apart */
    float *y;       /* [tokens][heads][v_values] */
    size_t q_stride, y_stride;
    const uint8_t *k, *v;
    const int32_t *table;
    size_t k_block_bytes, v_block_bytes, k_head_offset, v_head_offset, k_row_bytes, v_row_bytes;
    uint32_t tokens, heads, k_values, v_values, block_tokens;
    uint32_t position; /* of the first query; each sees all positions up to its own, */
    uint32_t window;   /* or, if this is not 0, so many of them */
    bool k_transposed;
    loam_format k_type, v_type; /* of the cells: see loam__cpu_has_cells() */
    float scale, softcap;
    float *scratch; /* loam__attention_scratch() floats, 64-byte aligned */
} loam__attention_args;

/* The sums of a softmax begin anew at each segment of the positions, and are then joined in order:
 * several workers may share a long context. */
#define LOAM__ATTENTION_SEGMENT 256u
#define LOAM__ATTENTION_RUN     64u /* positions that a set may unpack at once */
#define LOAM__ATTENTION_WIDTH   16u /* floats of the widest vector */
#define LOAM__ATTENTION_TILE    6u  /* rows, a head of a query each, that it may multiply at once */

static inline size_t loam__attention_padded(size_t n)
{
    return (n + LOAM__ATTENTION_WIDTH - 1) / LOAM__ATTENTION_WIDTH * LOAM__ATTENTION_WIDTH;
}

/* Floats that hold the sums of a segment: two and those of V for each row. */
static inline size_t loam__attention_part(size_t tokens, size_t heads, size_t v_values)
{
    const size_t rows = tokens * heads;
    return 2 * loam__attention_padded(rows) + rows * loam__attention_padded(v_values);
}

/* Floats of room for a run of K and of V, the scores of a tile, and two sets of sums. */
static inline size_t loam__attention_scratch(size_t tokens, size_t heads, size_t k_values,
                                             size_t v_values)
{
    const size_t cells = loam__attention_padded(k_values) + loam__attention_padded(v_values);
    return (cells + LOAM__ATTENTION_TILE) * LOAM__ATTENTION_RUN +
           2 * loam__attention_part(tokens, heads, v_values);
}

typedef struct loam__cpu_isa {
    const char *name;                /* as in options.isa */
    bool (*present)(void);           /* this CPU and system can run it */
    const loam__cpu_matmul *matmuls; /* ends with a row whose multiply is NULL */
    /* The following may be NULL: the next lower set's is used. */
    void (*rms_norm)(const float *x, const float *weight, float *y, size_t n, float eps);
    void (*add)(const float *a, const float *b, float *y, size_t n);
    void (*glu)(int32_t act, const float *gate, const float *up, float *y,
                size_t n); /* act(gate) * up */
    void (*rope)(
        const float *x, const float *cos_sin, float *y, int32_t style, uint32_t heads,
        uint32_t head_values,
        uint32_t rotary_values); /* cos_sin: [rotary_values / 2][2], times magnitude already */
    void (*kv_write)(const float *x, void *cells, loam_format type,
                     size_t n); /* F32 to cells, as the format's reference encoder does */
    void (*attention)(const loam__attention_args *a, float *parts); /* parts: NULL, or the sums of
                                                    each segment that a query sees, in order */
    void (*attention_part)(const loam__attention_args *a, size_t segment,
                           float *part); /* the sums of one of them; NULL in scalar */
    size_t slice_macs; /* products that take a fraction of a millisecond: the size of a slice; 0:
                          2^18 */
} loam__cpu_isa;

extern const loam__cpu_isa loam__cpu_scalar;
#if defined(__x86_64__)
extern const loam__cpu_isa loam__cpu_avx2;
extern const loam__cpu_isa loam__cpu_avxvnni;
extern const loam__cpu_isa loam__cpu_avx512;
extern const loam__cpu_isa loam__cpu_avx512bf16;
#elif defined(__aarch64__)
extern const loam__cpu_isa loam__cpu_neon;
extern const loam__cpu_isa loam__cpu_dotprod;
extern const loam__cpu_isa loam__cpu_i8mm;
#endif

/* n_rows rows into the same number of bytes: whole groups interleaved, the rest as they are. */
void loam__pack_rows(loam__packing p, size_t block_bytes, const void *rows, size_t row_bytes,
                     size_t n_rows, void *to);
/* The block that begins at byte `at` of a row of a group. */
void loam__unpack_block(loam__packing p, size_t block_bytes, const void *group, size_t row,
                        size_t at, void *to);

/* The sets of this build, lowest first; NULL beyond the last. */
const loam__cpu_isa *loam__cpu_isa_at(size_t i);
/* The best row of a set and those below it; NULL if no set multiplies that format. */
const loam__cpu_matmul *loam__cpu_find_matmul(const loam__cpu_isa *isa, loam_format type);
/* Whether KV cells can be of this type: F32, F16, BF16, Q8_0, Q4_0, in every set. */
bool loam__cpu_has_cells(loam_format type);

#endif
