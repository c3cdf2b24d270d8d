/* A sequence as bytes: what is needed to go on with it elsewhere.
 *
 *     header      state_header
 *     tokens      int32[n_tokens]
 *     logits      float[n_vocab], if it has them
 *     cells       of each KV value in the graph's order, of each block that the next token sees, of
 *                 each head: the cells of its positions that are seen
 *     checksum    uint64 over all bytes before it
 *
 * Numbers are little-endian; every part is padded to 8 bytes. */
#include <string.h>

#include "run.h"

#define MAGIC   0x314553514d414f4cu /* "LOAMQSE1" */
#define VERSION 2u

typedef struct state_header {
    uint64_t magic;
    uint64_t bytes; /* of the whole state */
    uint64_t model; /* fingerprint */
    uint32_t version, block_tokens;
    uint32_t k_type, v_type;
    uint32_t n_vocab, n_tokens, n_computed, has_logits;
    uint64_t random[4];
    loam_sampling sampling;
} state_header;

_Static_assert(sizeof(state_header) % 8 == 0, "the parts behind it are aligned");

/* ---- where the parts lie ---- */

typedef struct state_layout {
    size_t tokens_at, logits_at, cells_at, checksum_at, bytes;
} state_layout;

static size_t padded(size_t n)
{
    return (n + 7) / 8 * 8;
}

/* Some bytes of cells that lie together. */
typedef struct cell_run {
    uint64_t offset; /* in the arena */
    size_t bytes;
} cell_run;

/* The positions of a group that are seen behind n tokens begin here. */
static uint32_t first_position(const loam__run *run, uint32_t group, uint32_t n)
{
    uint32_t window = run->kv.shape.windows[group];
    return window && n >= window ? n - window + 1 : 0;
}

static size_t cell_bytes(const loam_value *v, const loam_node *write)
{
    return (size_t)(v->row_bytes / ((uint64_t)write->u.kv.heads * write->u.kv.block_tokens));
}

static size_t cells_bytes(const loam__run *run, uint32_t n)
{
    const loam__graph *g = &run->plan->model.graph;
    size_t bytes = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const loam_node *node = &g->nodes[i];
        if (node->op != LOAM_OP_KV_WRITE) continue;
        bytes += (size_t)(n - first_position(run, node->u.kv.group, n)) * node->u.kv.heads *
                 cell_bytes(&g->values[node->dst], node);
    }
    return bytes;
}

/* What the plan's memory holds is small enough to be added up without a check. */
static state_layout lay_out(const loam__run *run, const state_header *h)
{
    state_layout l = {.tokens_at = sizeof *h};
    l.logits_at = l.tokens_at + padded(h->n_tokens * sizeof(loam_token));
    l.cells_at = l.logits_at + (h->has_logits ? padded(h->n_vocab * sizeof(float)) : 0);
    l.checksum_at = l.cells_at + padded(cells_bytes(run, h->n_computed));
    l.bytes = l.checksum_at + sizeof(uint64_t);
    return l;
}

/* Move all cells of a sequence between the arenas and a state; the move is upload or download. */
typedef loam_status (*cell_move)(const loam__site *s, void *arena, cell_run at, char *bytes);

/* Positions p .. end - 1 of one block, head by head. Where cells are transposed, only those of a
 * whole block lie together; else each value's. */
static loam_status move_block(const loam__run *run, const loam_node *write, uint64_t block,
                              uint32_t p, uint32_t end, char **bytes, cell_move move)
{
    const loam_value *v = &run->plan->model.graph.values[write->dst];
    const loam__site *s = loam__plan_site_of(run->plan, v);
    uint32_t tokens = write->u.kv.block_tokens;
    bool apart = write->u.kv.transposed && end - p < tokens;
    size_t size = cell_bytes(v, write), pieces = apart ? write->u.kv.head_values : 1;
    size_t piece_size = size / pieces; /* of one position */
    cell_run at = {v->offset + block * v->row_bytes + p % tokens * piece_size,
                   (end - p) * piece_size};
    for (size_t i = 0; i < write->u.kv.heads * pieces; i++) {
        loam_status st = move(s, run->arenas[v->arena], at, *bytes);
        if (st != LOAM_OK) return st;
        *bytes += at.bytes;
        at.offset += tokens * piece_size;
    }
    return LOAM_OK;
}

static loam_status move_cells(loam__run *run, uint32_t slot, uint32_t n, char *bytes,
                              cell_move move)
{
    const loam__graph *g = &run->plan->model.graph;
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        const loam_node *node = &g->nodes[i];
        if (node->op != LOAM_OP_KV_WRITE) continue;
        uint32_t tokens = node->u.kv.block_tokens, group = node->u.kv.group, end;
        for (uint32_t p = first_position(run, group, n); p < n; p = end) {
            uint64_t block = (uint64_t)loam__kv_block(&run->kv, group, slot, p);
            end = n - p / tokens * tokens < tokens ? n : (p / tokens + 1) * tokens;
            loam_status st = move_block(run, node, block, p, end, &bytes, move);
            if (st != LOAM_OK) return st;
        }
    }
    return LOAM_OK;
}

static loam_status download(const loam__site *s, void *arena, cell_run at, char *bytes)
{
    return s->backend->download(s->self, arena, at.offset, bytes, at.bytes);
}

static loam_status upload(const loam__site *s, void *arena, cell_run at, char *bytes)
{
    return s->backend->upload(s->self, arena, at.offset, bytes, at.bytes);
}

/* ---- fingerprints ---- */

/* A checksum that is quick over many bytes: multiply and fold, eight at a time. */
uint64_t loam__state_hash(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i += 8) {
        uint64_t word = 0;
        memcpy(&word, p + i, n - i < 8 ? n - i : 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return (h ^ n) * 0xbf58476d1ce4e5b9u;
}

#define SAMPLE_BYTES 64u

/* Of the model: the names, formats and shapes of its tensors, and some bytes of each. */
static loam_status fingerprint(const loam__run *run, uint64_t *print)
{
    const loam__gguf *g = run->plan->model.gguf;
    uint64_t h = 1;
    for (size_t i = 0; i < loam__gguf_tensor_count(g); i++) {
        unsigned char sample[SAMPLE_BYTES];
        loam_gguf_tensor t;
        loam__gguf_tensor(g, i, &t);
        size_t n = t.size_bytes < SAMPLE_BYTES ? (size_t)t.size_bytes : SAMPLE_BYTES;
        uint64_t middle = (t.size_bytes - n) / 2;
        loam_status st = loam__gguf_read(g, t.part, t.offset_bytes + middle, sample, n);
        if (st != LOAM_OK) return st;
        h = loam__state_hash(h, t.name, strlen(t.name));
        h = loam__state_hash(h, t.dims, sizeof t.dims);
        h = loam__state_hash(h, &t.type, sizeof t.type);
        h = loam__state_hash(h, sample, n);
    }
    *print = h;
    return LOAM_OK;
}

/* ---- save ---- */

/* What a state of this handle says of the model, and of no sequence yet. */
static loam_status begin_header(const loam__run *run, state_header *h)
{
    const loam__model *model = &run->plan->model;
    memset(h, 0, sizeof *h);
    h->magic = MAGIC;
    h->version = VERSION;
    h->block_tokens = run->kv.shape.block_tokens;
    h->k_type = (uint32_t)model->options.k_type;
    h->v_type = (uint32_t)model->options.v_type;
    h->n_vocab = model->geometry.n_vocab;
    return fingerprint(run, &h->model);
}

loam_status loam__run_save_seq(loam__run *run, loam_seq seq, void *state, size_t capacity,
                               size_t *n_bytes)
{
    uint32_t slot;
    state_header h;
    char *out = state;
    loam_status st = loam__run_slot(run, seq, &slot);
    if (st != LOAM_OK || (st = begin_header(run, &h)) != LOAM_OK) return st;
    loam__run_drop_pending(run);
    const loam__sequence *s = &run->sequences[slot];
    h.n_tokens = s->n_tokens;
    h.n_computed = s->n_computed;
    h.has_logits = s->has_logits;
    h.sampling = s->sampler.how;
    h.sampling.struct_size = sizeof h.sampling;
    memcpy(h.random, s->sampler.random, sizeof h.random);
    state_layout l = lay_out(run, &h);
    h.bytes = *n_bytes = l.bytes;
    if ((st = loam__fits(run->base, l.bytes, capacity)) != LOAM_OK) return st;
    memset(out, 0, l.cells_at); /* no padding carries what was in the memory before */
    memset(out + l.checksum_at - 8, 0, 16);
    memcpy(out, &h, sizeof h);
    memcpy(out + l.tokens_at, run->history + (size_t)slot * run->plan->context_tokens,
           s->n_tokens * sizeof(loam_token));
    if (s->has_logits)
        memcpy(out + l.logits_at, loam__run_logits(run, slot), h.n_vocab * sizeof(float));
    if ((st = move_cells(run, slot, s->n_computed, out + l.cells_at, download)) != LOAM_OK)
        return st;
    uint64_t sum = loam__state_hash(0, out, l.checksum_at);
    memcpy(out + l.checksum_at, &sum, sizeof sum);
    return LOAM_OK;
}

/* ---- restore ---- */

static loam_status corrupt(loam__run *run, const char *what)
{
    return loam__fail(run->base, LOAM_ERR_CORRUPT, "the saved state is damaged: %s", what);
}

static loam_status check_bytes(loam__run *run, const char *state, size_t n, state_header *h)
{
    uint64_t sum;
    memset(h, 0, sizeof *h);
    memcpy(h, state, n < sizeof *h ? n : sizeof *h);
    if (h->magic != MAGIC)
        return loam__fail(run->base, LOAM_ERR_MAGIC, "the bytes are not a saved sequence");
    if (n < sizeof *h || h->bytes > n)
        return loam__fail(run->base, LOAM_ERR_TRUNCATED,
                          "the saved state has %zu of its %llu bytes", n,
                          (unsigned long long)h->bytes);
    if (h->version != VERSION)
        return loam__fail(run->base, LOAM_ERR_VERSION,
                          "the saved state is of version %u; this library reads version %u",
                          h->version, VERSION);
    if (h->bytes != n || n < sizeof *h + sizeof sum) return corrupt(run, "it has a wrong length");
    memcpy(&sum, state + n - sizeof sum, sizeof sum);
    return sum == loam__state_hash(0, state, n - sizeof sum)
               ? LOAM_OK
               : corrupt(run, "its checksum is wrong");
}

static loam_status check_header(loam__run *run, const state_header *h)
{
    state_header own;
    loam_status st = begin_header(run, &own);
    if (st != LOAM_OK) return st;
    if (h->model != own.model || h->n_vocab != own.n_vocab)
        return loam__fail(run->base, LOAM_ERR_FOREIGN,
                          "the state was saved with another model; restore it with that one");
    if (h->k_type != own.k_type || h->v_type != own.v_type || h->block_tokens != own.block_tokens)
        return loam__fail(run->base, LOAM_ERR_FOREIGN,
                          "the state was saved with KV cells of types %u and %u; this handle has "
                          "%u and %u",
                          h->k_type, h->v_type, own.k_type, own.v_type);
    if (h->n_tokens > run->plan->context_tokens)
        return loam__fail(run->base, LOAM_ERR_FULL,
                          "the saved sequence has %u tokens and options.context_tokens is %u",
                          h->n_tokens, run->plan->context_tokens);
    if (h->n_computed > h->n_tokens || h->has_logits > 1)
        return corrupt(run, "its counts contradict each other");
    return LOAM_OK;
}

static loam_status check_contents(loam__run *run, const state_header *h, const state_layout *l,
                                  const char *state)
{
    loam__sampler sampler;
    if (h->bytes != l->bytes) return corrupt(run, "its length is not that of its tokens");
    for (uint32_t i = 0; i < h->n_tokens; i++) {
        loam_token token;
        memcpy(&token, state + l->tokens_at + i * sizeof token, sizeof token);
        if (token < 0 || (uint32_t)token >= h->n_vocab)
            return corrupt(run, "a token is outside of the vocabulary");
    }
    if (h->sampling.struct_size != sizeof h->sampling ||
        loam__sampler_init(run->base, &sampler, &h->sampling) != LOAM_OK)
        return corrupt(run, "its sampling makes no sense");
    return LOAM_OK;
}

loam_status loam__run_restore_seq(loam__run *run, const void *state, size_t n, loam_seq *seq)
{
    state_header h;
    const char *bytes = state;
    loam_status st = check_bytes(run, bytes, n, &h);
    if (st != LOAM_OK || (st = check_header(run, &h)) != LOAM_OK) return st;
    state_layout l = lay_out(run, &h);
    if ((st = check_contents(run, &h, &l, bytes)) != LOAM_OK) return st;
    loam__run_drop_pending(run);
    if ((st = loam__run_open_seq(run, seq)) != LOAM_OK) return st;
    uint32_t slot = loam__slot_of(*seq);
    loam__sequence *s = &run->sequences[slot];
    if ((st = loam__kv_adopt(&run->kv, slot, h.n_computed)) != LOAM_OK)
        loam__fail(run->base, st,
                   "the KV cache has no blocks for the %u tokens of the saved sequence; close "
                   "another or load with more options.kv_tokens",
                   h.n_computed);
    else st = move_cells(run, slot, h.n_computed, (char *)(uintptr_t)bytes + l.cells_at, upload);
    if (st != LOAM_OK) {
        loam__run_close_seq(run, *seq);
        return st;
    }
    memcpy(run->history + (size_t)slot * run->plan->context_tokens, bytes + l.tokens_at,
           h.n_tokens * sizeof(loam_token));
    s->n_tokens = h.n_tokens;
    s->n_computed = h.n_computed;
    s->has_logits = h.has_logits;
    s->sampler.how = h.sampling;
    memcpy(s->sampler.random, h.random, sizeof h.random);
    if (h.has_logits)
        memcpy(run->logits + (size_t)slot * h.n_vocab, bytes + l.logits_at,
               h.n_vocab * sizeof(float));
    return LOAM_OK;
}
