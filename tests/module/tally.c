/* A backend that knows nothing of loam but <loam/backend.h>: it counts the calls that it gets, adds
 * rows itself, and hands all other ops on to the CPU's backend. Its two devices say that their
 * memory is not the host's, so that the core moves everything through uploads and downloads. */
#include <loam/backend.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef TALLY_NAME
#define TALLY_NAME "tally"
#endif

enum { DEVICES = 2, KINDS = LOAM_ARENA_SCRATCH + 1 };

typedef struct tally {
    loam_backend_host host;
    const loam_backend *cpu;
    void *self;
    uint64_t memory_bytes; /* that each device says it has */
} tally;

/* A run of nodes for the CPU, or one sum of rows. */
typedef struct part {
    void *program;
    loam_node node;
    loam_value a, b, y;
    const char *a_memory, *b_memory;
    char *y_memory;
} part;

typedef struct program {
    size_t bytes;
    uint64_t inner;
    uint32_t n;
    part parts[];
} program;

static const loam_backend_core *core;
static const char kept[] = "what tally learnt";

/* What tests read. */
LOAM_API extern atomic_uint tally_runs, tally_sums, tally_uploads, tally_downloads, tally_open;
atomic_uint tally_runs, tally_sums, tally_uploads, tally_downloads, tally_open;
LOAM_API extern atomic_uint tally_cached; /* opened with what cache_get() gave */
atomic_uint tally_cached;
LOAM_API extern atomic_ullong tally_asked[DEVICES][KINDS]; /* bytes of arenas, added up */
atomic_ullong tally_asked[DEVICES][KINDS];
/* What they set. */
LOAM_API extern atomic_bool tally_fails; /* the devices are gone */
atomic_bool tally_fails;
LOAM_API extern atomic_bool tally_is_full; /* whatever they say they have */
atomic_bool tally_is_full;
LOAM_API extern atomic_bool tally_accelerates; /* says that the devices are hardware */
atomic_bool tally_accelerates;
LOAM_API extern double tally_read_bytes_s; /* that they say they read */
double tally_read_bytes_s;
LOAM_API extern uint64_t tally_memory_bytes; /* that each device says it has; 0: 2^40 */
uint64_t tally_memory_bytes;

static void *allocate(const tally *t, void *ptr, size_t old_bytes, size_t new_bytes)
{
    const loam_hooks *h = t->host.hooks;
    return h->alloc(h->alloc_ctx, ptr, old_bytes, new_bytes, 64);
}

/* ---- open, close, devices ---- */

static void tally_close(void *self)
{
    tally *t = self;
    if (!t) return;
    if (t->self) t->cpu->close(t->self);
    allocate(t, t, sizeof *t, 0);
    tally_open--;
}

static loam_status open_backend(const loam_backend_host *host, void **self)
{
    const uint64_t much = (uint64_t)1 << 40;
    const tally found = {.host = *host,
                         .cpu = core->cpu,
                         .memory_bytes = tally_memory_bytes ? tally_memory_bytes : much};
    tally *t = *self = allocate(&found, NULL, 0, sizeof *t);
    if (!t) return LOAM_ERR_NOMEM;
    *t = found;
    tally_open++;
    if (host->cache && host->cache_bytes == sizeof kept && !memcmp(host->cache, kept, sizeof kept))
        tally_cached++;
    loam_status st = t->cpu->open(&t->host, &t->self);
    if (st == LOAM_OK) return LOAM_OK;
    tally_close(t);
    *self = NULL;
    return st;
}

static uint32_t device_count(void *self)
{
    (void)self;
    return DEVICES;
}

static loam_status device_info(void *self, uint32_t device, loam_device_info *info)
{
    const tally *t = self;
    loam_status st = t->cpu->device_info(t->self, 0, info);
    info->host_memory = 0;
    info->memory_bytes = info->available_bytes = t->memory_bytes;
    info->read_bytes_s = tally_read_bytes_s;
    info->accelerator = tally_accelerates;
    snprintf(info->name, sizeof info->name, TALLY_NAME " %u", device);
    return st;
}

/* ---- arenas: the CPU's ---- */

static loam_status arena_new(void *self, uint32_t device, int32_t kind, uint64_t bytes,
                             const void *memory, void **arena)
{
    const tally *t = self;
    if (tally_is_full) {
        t->host.fail(t->host.fail_ctx, "the devices of " TALLY_NAME " are full");
        return LOAM_ERR_NOMEM;
    }
    tally_asked[device][kind] += bytes;
    return t->cpu->arena_new(t->self, 0, kind, bytes, memory, arena);
}

static void arena_free(void *self, void *arena)
{
    const tally *t = self;
    t->cpu->arena_free(t->self, arena);
}

static loam_status upload(void *self, void *arena, uint64_t offset, const void *bytes, uint64_t n)
{
    const tally *t = self;
    tally_uploads++;
    return t->cpu->upload(t->self, arena, offset, bytes, n);
}

static loam_status upload_rows(void *self, const loam_value *weight, void *arena, uint64_t first,
                               uint64_t n, const void *bytes)
{
    const tally *t = self;
    return t->cpu->upload_rows(t->self, weight, arena, first, n, bytes);
}

static int32_t reorders(void *self, uint32_t device, const loam_value *weight)
{
    const tally *t = self;
    (void)device;
    return t->cpu->reorders(t->self, 0, weight);
}

static loam_status download(void *self, void *arena, uint64_t offset, void *bytes, uint64_t n)
{
    const tally *t = self;
    tally_downloads++;
    return t->cpu->download(t->self, arena, offset, bytes, n);
}

static void *arena_memory(void *self, void *arena)
{
    (void)self;
    (void)arena;
    return NULL;
}

static loam_status copy_row(void *self, const loam_value *value, void *arena, uint64_t from,
                            uint64_t to)
{
    const tally *t = self;
    return t->cpu->copy_row(t->self, value, arena, from, to);
}

/* ---- programs: parts of the CPU's, with sums of our own between ---- */

static int32_t supports(void *self, uint32_t device, const loam_graph *graph, const loam_node *node)
{
    const tally *t = self;
    return device < DEVICES && t->cpu->supports(t->self, 0, graph, node);
}

static int is_sum(const loam_graph *graph, uint32_t i)
{
    return loam_graph_node(graph, i)->op == LOAM_OP_ADD;
}

/* How many nodes the part that begins at `first` has. */
static uint32_t part_nodes(const loam_graph *graph, uint32_t first, uint32_t end)
{
    uint32_t n = 1;
    if (is_sum(graph, first)) return n;
    while (first + n < end && !is_sum(graph, first + n))
        n++;
    return n;
}

static size_t program_bytes(const loam_graph *graph, uint32_t first, uint32_t n, uint32_t *parts)
{
    *parts = 0;
    for (uint32_t i = first; i < first + n; i += part_nodes(graph, i, first + n))
        ++*parts;
    return sizeof(program) + *parts * sizeof(part);
}

static loam_status measure(void *self, uint32_t device, const loam_graph *graph, uint32_t first,
                           uint32_t n, loam_piece_memory *memory)
{
    const tally *t = self;
    uint32_t parts, nodes;
    (void)device;
    memory->scratch_bytes = 0;
    memory->program_bytes = program_bytes(graph, first, n, &parts);
    for (uint32_t i = first; i < first + n; i += nodes) {
        loam_piece_memory own = {.struct_size = sizeof own};
        nodes = part_nodes(graph, i, first + n);
        if (is_sum(graph, i)) continue;
        loam_status st = t->cpu->measure(t->self, 0, graph, i, nodes, &own);
        if (st != LOAM_OK) return st;
        memory->program_bytes += own.program_bytes;
        if (own.scratch_bytes > memory->scratch_bytes) memory->scratch_bytes = own.scratch_bytes;
    }
    return LOAM_OK;
}

static void program_free(void *self, void *made)
{
    const tally *t = self;
    program *p = made;
    for (uint32_t i = 0; i < p->n; i++)
        if (p->parts[i].program) t->cpu->program_free(t->self, p->parts[i].program);
    allocate(t, p, p->bytes, 0);
}

static void prepare_sum(const tally *t, const loam_graph *graph, uint32_t i, void *const *arenas,
                        part *p)
{
    p->node = *loam_graph_node(graph, i);
    p->a = *loam_graph_value(graph, p->node.src[0]);
    p->b = *loam_graph_value(graph, p->node.src[1]);
    p->y = *loam_graph_value(graph, p->node.dst);
    p->a_memory = (char *)t->cpu->arena_memory(t->self, arenas[p->a.arena]) + p->a.offset;
    p->b_memory = (char *)t->cpu->arena_memory(t->self, arenas[p->b.arena]) + p->b.offset;
    p->y_memory = (char *)t->cpu->arena_memory(t->self, arenas[p->y.arena]) + p->y.offset;
}

static loam_status compile(void *self, uint32_t device, const loam_graph *graph, uint32_t first,
                           uint32_t n, void *const *arenas, uint32_t n_arenas, void *scratch,
                           void **made)
{
    const tally *t = self;
    uint32_t parts, nodes;
    size_t bytes = program_bytes(graph, first, n, &parts);
    program *p = allocate(t, NULL, 0, bytes);
    loam_status st = p ? LOAM_OK : LOAM_ERR_NOMEM;
    (void)device;
    *made = NULL;
    if (!p) return st;
    memset(p, 0, bytes);
    p->bytes = bytes;
    for (uint32_t i = first; i < first + n && st == LOAM_OK; i += nodes, p->n++) {
        part *next = &p->parts[p->n];
        nodes = part_nodes(graph, i, first + n);
        if (is_sum(graph, i)) prepare_sum(t, graph, i, arenas, next);
        else
            st = t->cpu->compile(t->self, 0, graph, i, nodes, arenas, n_arenas, scratch,
                                 &next->program);
    }
    *made = p;
    if (st == LOAM_OK) return st;
    program_free(self, p);
    *made = NULL;
    return st;
}

static void add_rows(const part *p, const loam_step *step)
{
    uint64_t rows = p->y.row_count == LOAM_ROWS_TOKENS    ? step->n_tokens
                    : p->y.row_count == LOAM_ROWS_OUTPUTS ? step->n_outputs
                                                          : p->y.rows;
    for (uint64_t r = 0; r < rows; r++) {
        const float *a = (const void *)(p->a_memory + r * p->a.row_bytes);
        const float *b = (const void *)(p->b_memory + r * p->b.row_bytes);
        float *y = (void *)(p->y_memory + r * p->y.row_bytes);
        for (uint64_t c = 0; c < p->y.cols; c++)
            y[c] = a[c] + b[c];
    }
    tally_sums++;
}

/* position: the part, and one. How far that came is in the program. */
static loam_status run(void *self, void *made, const loam_step *step, uint64_t *position)
{
    const tally *t = self;
    program *p = made;
    uint32_t i = *position ? (uint32_t)*position - 1 : 0;
    loam_status st = LOAM_OK;
    tally_runs++;
    if (*position == 0) p->inner = 0;
    if (tally_fails) {
        t->host.fail(t->host.fail_ctx, "the devices of " TALLY_NAME " are gone");
        return LOAM_ERR_DEVICE;
    }
    for (; i < p->n && st == LOAM_OK; i += st == LOAM_OK) {
        if (!p->parts[i].program) add_rows(&p->parts[i], step);
        else st = t->cpu->run(t->self, p->parts[i].program, step, &p->inner);
        if (st == LOAM_OK) p->inner = 0;
    }
    *position = (uint64_t)i + 1;
    return st;
}

static loam_status cache_get(void *self, void *bytes, uint64_t capacity, uint64_t *n)
{
    (void)self;
    *n = sizeof kept;
    if (bytes && capacity >= sizeof kept) memcpy(bytes, kept, sizeof kept);
    return LOAM_OK;
}

static const loam_backend backend = {
    .struct_size = sizeof backend,
    .abi_version = LOAM_BACKEND_ABI,
    .name = TALLY_NAME,
    .open = open_backend,
    .close = tally_close,
    .device_count = device_count,
    .device_info = device_info,
    .supports = supports,
    .measure = measure,
    .arena_new = arena_new,
    .arena_free = arena_free,
    .upload = upload,
    .reorders = reorders,
    .upload_rows = upload_rows,
    .download = download,
    .arena_memory = arena_memory,
    .copy_row = copy_row,
    .compile = compile,
    .program_free = program_free,
    .run = run,
    .cache_get = cache_get,
};

LOAM_API loam_backend_module_fn loam_backend_module;

const loam_backend *loam_backend_module(const loam_backend_core *given)
{
    core = given;
    return given->abi_oldest <= LOAM_BACKEND_ABI && given->abi_version >= LOAM_BACKEND_ABI
               ? &backend
               : NULL;
}
