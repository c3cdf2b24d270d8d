/* backend.h - what a backend module provides. For the authors of backends; programs that run models
 * need loam.h only.
 *
 * A model is a list of nodes (ops) over values (arrays of rows), the same list for every step. The
 * core cuts it into pieces, one for each device, lays all values out in arenas, and hands each
 * piece to the backend of its device:
 *
 *     open -> device_info, supports, measure              while planning
 *          -> arena_new, upload, compile                  while loading
 *          -> run, download                               for each step
 *          -> program_free, arena_free, close
 *
 * Threads    the core calls one function of an opened backend at a time, except that should_stop()
 *            may be asked by any thread that run() uses
 * Ownership  everything passed in is borrowed for the call unless it says kept
 * Errors     a status; a sentence first goes to host->fail(). After LOAM_ERR_DEVICE only *_free and
 *            close are called.
 * Growth     structs begin with struct_size, and a backend fills no more of one than that; values
 *            and nodes are read with the strides in loam_graph, so that both may grow
 * Versions   a core takes backends of LOAM_BACKEND_ABI_OLDEST to LOAM_BACKEND_ABI
 *
 * The CPU backend is built in. Others are modules: shared objects that the core opens at run time,
 * see the end of this file. */
#ifndef LOAM_BACKEND_H
#define LOAM_BACKEND_H

#include <loam/loam.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOAM_BACKEND_ABI        1u
#define LOAM_BACKEND_ABI_OLDEST 1u

/* ---- The graph ------------------------------------------------------------------------------- */

enum {
    LOAM_VALUE_WEIGHT = 1,     /* a matrix of the model, in its own format */
    LOAM_VALUE_CONSTANT = 2,   /* small F32 data: norms, biases, rope frequencies */
    LOAM_VALUE_ACTIVATION = 3, /* F32, lives inside a step */
    LOAM_VALUE_KV = 4,         /* K or V cells of one layer */
    LOAM_VALUE_LOGITS = 5      /* F32, the result of a step */
};

enum {
    LOAM_ROWS_FIXED = 0,  /* all rows, always */
    LOAM_ROWS_TOKENS = 1, /* the first step->n_tokens */
    LOAM_ROWS_OUTPUTS = 2 /* the first step->n_outputs */
};

/* rows x cols numbers; row r starts at offset + r * row_bytes in its arena. A KV value has one row
 * for each block: [block][head][position in block][head values], so that the cells of one head and
 * block lie together. Where its nodes say `transposed`, it is [block][head][head values][position
 * in block]: keys of F32, F16 and BF16 in blocks of 16 positions or more, whose products with a
 * query are then summed for many positions at once. */
typedef struct loam_value {
    int32_t kind;      /* LOAM_VALUE_* */
    loam_format type;  /* LOAM_TYPE_* */
    int32_t row_count; /* LOAM_ROWS_* */
    uint32_t arena;    /* index into the arenas given to compile() */
    uint64_t cols;
    uint64_t rows; /* all of them, or the most that a step can have */
    uint64_t row_bytes;
    uint64_t offset; /* in the arena, in bytes; a multiple of 64 except in mapped weights */
} loam_value;

/* Ops. x is src0 unless it says otherwise; t is a row. dst never overlaps a source, so that running
 * a node again is harmless. Parameters are in the member of loam_node.u that has the op's name.
 *
 * EMBED      dst[t] = scale * src0[tokens[t]]; src0 is a weight
 * MATMUL     dst[t][r] = sum over c of src0[r][c] * src1[t][c], plus src2[r] if there is one;
 *            src0 is a weight, src2 a constant
 * RMS_NORM   in each group of as many values as src1 has: x / sqrt(mean(x^2) + eps) * src1
 * ADD        dst = src0 + src1
 * GLU        dst = act(src0) * src1
 * ROPE       rotary position embedding of each head of a row; src1 scales the angles
 * KV_WRITE   dst is a KV value: row t of src0 goes to the position of token t
 * ATTENTION  src0 queries, src1 K cells, src2 V cells
 * PICK_ROWS  dst[j] = src0[output_rows[j]]
 * SOFTCAP    dst = cap * tanh(src0 / cap) */
enum {
    LOAM_OP_EMBED = 1,
    LOAM_OP_MATMUL = 2,
    LOAM_OP_RMS_NORM = 3,
    LOAM_OP_ADD = 4,
    LOAM_OP_GLU = 5,
    LOAM_OP_ROPE = 6,
    LOAM_OP_KV_WRITE = 7,
    LOAM_OP_ATTENTION = 8,
    LOAM_OP_PICK_ROWS = 9,
    LOAM_OP_SOFTCAP = 10
};

enum { LOAM_ACT_SILU = 1, LOAM_ACT_GELU_TANH = 2 };
enum {
    LOAM_ROPE_PAIRS = 1,
    LOAM_ROPE_HALVES = 2
}; /* (2i, 2i+1) of Llama; (i, i + n/2) of GPT-NeoX */

#define LOAM_NODE_SOURCES 4

typedef struct loam_node {
    int32_t op;                     /* LOAM_OP_* */
    int32_t dst;                    /* index of a value */
    int32_t src[LOAM_NODE_SOURCES]; /* indices of values, -1: none */
    int32_t layer;                  /* 0-based; -1: before the first or after the last */
    uint32_t reserved;
    union {
        struct {
            float scale;
        } embed;
        struct {
            float eps;
        } norm;
        struct {
            int32_t act;
        } glu;
        /* Pair i < rotary_values / 2 turns by a[i] * src1[i], where a[0] is the position and a[i +
         * 1] = a[i] * step, each product rounded to F32: models are compared by logits that are
         * made so. Results times magnitude; the rest of a head is copied. */
        struct {
            int32_t style;
            uint32_t heads, head_values, rotary_values;
            float step, magnitude;
        } rope;
        struct {
            uint32_t heads, head_values, block_tokens;
            uint32_t group;      /* whose block tables */
            uint32_t transposed; /* 0 or 1: how dst lies */
        } kv;
        /* query head h uses KV head h / (heads / kv_heads); a key at distance >= window is not seen
         * (window 0: all); weights softmax(softcap(scale * q.k)), softcap 0: none */
        struct {
            uint32_t heads, kv_heads, k_values, v_values, block_tokens, window;
            float scale, softcap;
            uint32_t group;
            uint32_t k_transposed; /* 0 or 1: how src1 lies; src2 never does so */
        } attention;
        struct {
            float cap;
        } softcap;
        uint8_t bytes[64];
    } u;
} loam_node;

typedef struct loam_graph {
    uint32_t struct_size;
    uint32_t n_values, n_nodes;
    uint32_t value_bytes, node_bytes;    /* strides of the arrays below */
    uint32_t max_tokens, max_outputs;    /* the most that a step can have */
    uint32_t n_tables, blocks_per_table; /* that every step has */
    uint32_t reserved;
    const void *values;
    const void *nodes;
} loam_graph;

static inline const loam_value *loam_graph_value(const loam_graph *g, int32_t i)
{
    return (const loam_value *)(const void *)((const char *)g->values + (size_t)i * g->value_bytes);
}

static inline const loam_node *loam_graph_node(const loam_graph *g, uint32_t i)
{
    return (const loam_node *)(const void *)((const char *)g->nodes + (size_t)i * g->node_bytes);
}

/* ---- A step ---------------------------------------------------------------------------------- */

/* Layers that keep their KV blocks alike form a group: those that see the whole context, and those
 * with a sliding window, whose blocks are given back when the window has passed. In group g, block
 * b of the table of sequence s is block_tables[(g * n_tables + s) * blocks_per_table + b]; position
 * p lies in block p / block_tokens. The core guarantees valid indices for all positions that a step
 * writes or sees. Rows of one sequence come in rising positions. */
typedef struct loam_step {
    uint32_t struct_size;
    uint32_t n_tokens, n_outputs;
    uint32_t blocks_per_table, n_tables;
    uint32_t reserved;
    const int32_t *tokens;      /* [n_tokens] */
    const int32_t *positions;   /* [n_tokens] */
    const int32_t *tables;      /* [n_tokens] which block table */
    const int32_t *output_rows; /* [n_outputs] rising */
    const int32_t *block_tables;
    int32_t (*should_stop)(
        void *ctx); /* ask at least every millisecond; nonzero: stop soon and return its status */
    void *stop_ctx;
    /* NULL: read no clock. Otherwise say after each op, or whatever is run as one, how long it
     * took, on run()'s own thread. part: its name in the backend's words, a text that lives as long
     * as the backend; type: of the weights or cells that it touches, -1: none. */
    void (*took)(void *ctx, const char *part, loam_format type, uint64_t ns);
    void *took_ctx;
} loam_step;

/* ---- The backend ----------------------------------------------------------------------------- */

typedef struct loam_backend_host { /* kept by open() until close() */
    uint32_t struct_size;
    uint32_t threads;        /* wanted; at least 1 */
    const loam_hooks *hooks; /* alloc and parallel as the host gave them (either may be NULL) */
    const char *isa;         /* wanted instruction set, "" for the best */
    void (*fail)(void *ctx, const char *text); /* why the call that now fails does so */
    void *fail_ctx;
    const void *native; /* a device of the host's own, as the module's header says, or NULL */
    const void *cache;  /* for the call of open() only: what cache_get() gave in some other process,
                           or any other bytes, of any alignment; NULL: none */
    uint64_t cache_bytes;
} loam_backend_host;

typedef struct loam_device_info {
    uint32_t struct_size;
    uint32_t
        host_memory; /* 1: arenas are ordinary memory, and mapped weights can be used in place */
    uint64_t memory_bytes;    /* all */
    uint64_t available_bytes; /* now */
    char name[64];
    char isa[32]; /* instruction set or feature level in use */
    /* For placement, roughly; 0: unknown. */
    double read_bytes_s; /* of its memory */
    double link_bytes_s; /* between it and the host */
    /* 1: hardware beside the host's processors, which options.backend "auto" may choose; 0: these
     * processors, also as a driver in software, or not known. */
    uint32_t accelerator;
    uint32_t reserved;
} loam_device_info;

typedef struct loam_piece_memory {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t scratch_bytes; /* an arena of kind SCRATCH that compile() will want */
    uint64_t program_bytes; /* what compile() allocates through the hook */
} loam_piece_memory;

enum {
    LOAM_ARENA_WEIGHTS_MAPPED = 1, /* memory is the core's: use it in place, read only */
    LOAM_ARENA_WEIGHTS = 2,
    LOAM_ARENA_CONSTANTS = 3,
    LOAM_ARENA_KV = 4,
    LOAM_ARENA_ACTIVATIONS = 5,
    LOAM_ARENA_LOGITS = 6,
    LOAM_ARENA_SCRATCH = 7
};

#define LOAM_ARENA_EXTRA_BYTES 128u
#define LOAM_UPLOAD_ROWS       64u

typedef struct loam_backend {
    uint32_t struct_size;
    uint32_t abi_version; /* LOAM_BACKEND_ABI */
    const char *name;     /* "cpu" */

    loam_status (*open)(const loam_backend_host *host, void **self);
    void (*close)(void *self);

    uint32_t (*device_count)(void *self);
    loam_status (*device_info)(void *self, uint32_t device, loam_device_info *info);

    /* 1 if the device runs this node (op, formats, shapes), else 0. */
    int32_t (*supports)(void *self, uint32_t device, const loam_graph *graph,
                        const loam_node *node);

    /* What nodes [first, first + n) will need beside the arenas of their values. */
    loam_status (*measure)(void *self, uint32_t device, const loam_graph *graph, uint32_t first,
                           uint32_t n, loam_piece_memory *memory);

    /* An arena of bytes, 64-byte aligned and zeroed; memory is kept and only for WEIGHTS_MAPPED,
     * else NULL. What it takes of the host's memory beside those bytes is within
     * LOAM_ARENA_EXTRA_BYTES. */
    loam_status (*arena_new)(void *self, uint32_t device, int32_t kind, uint64_t bytes,
                             const void *memory, void **arena);
    void (*arena_free)(void *self, void *arena);
    loam_status (*upload)(void *self, void *arena, uint64_t offset, const void *bytes, uint64_t n);
    /* 1 if this weight, uploaded by rows, is used faster than one that is mapped. */
    int32_t (*reorders)(void *self, uint32_t device, const loam_value *weight);
    /* Rows [first, first + n) of a weight, as the file has them, into its place in an arena of kind
     * WEIGHTS, which the backend may fill in an order of its own. Both are multiples of
     * LOAM_UPLOAD_ROWS, but for the n of the last rows. */
    loam_status (*upload_rows)(void *self, const loam_value *weight, void *arena, uint64_t first,
                               uint64_t n, const void *bytes);
    loam_status (*download)(void *self, void *arena, uint64_t offset, void *bytes, uint64_t n);
    /* The arena's address where the host can read and write it, else NULL. */
    void *(*arena_memory)(void *self, void *arena);
    /* Copy whole rows (blocks) of a KV value inside its arena. */
    loam_status (*copy_row)(void *self, const loam_value *value, void *arena, uint64_t from,
                            uint64_t to);

    /* Make a program of nodes [first, first + n). The arenas (kept) are indexed by
     * loam_value.arena; scratch (kept) is an arena of the measured size, or NULL for 0. graph is
     * borrowed. */
    loam_status (*compile)(void *self, uint32_t device, const loam_graph *graph, uint32_t first,
                           uint32_t n, void *const *arenas, uint32_t n_arenas, void *scratch,
                           void **program);
    void (*program_free)(void *self, void *program);

    /* Run from *position (0: the start; otherwise what an earlier run of the same step left there)
     * to the end. LOAM_OK: done. What should_stop() returned: *position says how far; run again to
     * go on. Allocates nothing. */
    loam_status (*run)(void *self, void *program, const loam_step *step, uint64_t *position);

    /* What is worth keeping for the next open(): *n bytes of it, put where bytes is not NULL and
     * capacity is enough. NULL: nothing ever is. */
    loam_status (*cache_get)(void *self, void *bytes, uint64_t capacity, uint64_t *n);
} loam_backend;

/* ---- Modules --------------------------------------------------------------------------------- */

/* What the core offers to a module. */
typedef struct loam_backend_core {
    uint32_t struct_size;
    uint32_t abi_oldest, abi_version; /* of the backends that it takes */
    uint32_t reserved;
    const loam_backend *cpu; /* the built-in one, to compute the rest with or to compare with */
} loam_backend_core;

/* A module NAME.so exports one function, loam_backend_module (declare it with LOAM_API). It gives
 * the backend, whose name is NAME and which lives as long as the module is open, or NULL if it does
 * not work with this core; it may be called more than once, and keeps core. Devices are only looked
 * for in open(): a machine without any is LOAM_ERR_BACKEND there, with a sentence. */
#define LOAM_BACKEND_MODULE "loam_backend_module"
typedef const loam_backend *loam_backend_module_fn(const loam_backend_core *core);

#ifdef __cplusplus
}
#endif
#endif
