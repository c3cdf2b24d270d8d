#include "plan.h"

#include <string.h>

#include "lib/base/os.h"
#include "lib/quant/quant.h"

#define DEFAULT_CONTEXT     4096u
#define DEFAULT_STEP_TOKENS 512u
#define LEAST_OUTPUTS       8u /* rows of logits at once when every position is wanted */
#define TEXT_WORK_BYTES     ((uint64_t)256 << 10) /* of tokenizing and rendering a usual prompt */
#define UPLOAD_BYTES        ((uint64_t)1 << 20)   /* copied at once, at most */

/* Pages of code that a run touches, here and in the C library: 750 to 850 KiB were seen. */
#define CODE_BYTES ((uint64_t)768 << 10)

/* ---- options ---- */

loam_status loam__options_check(loam__base *b, loam_options *o)
{
    const uint32_t known =
        LOAM_LOAD_VOCAB | LOAM_LOAD_PACK | LOAM_LOAD_MAP | LOAM_LOAD_NO_SHARING | LOAM_LOAD_PROFILE;
    if (o->flags & ~known)
        return loam__fail(b, LOAM_ERR_NEWER,
                          "options.flags 0x%x has bits that this version does not know", o->flags);
    if ((o->flags & LOAM_LOAD_PACK) && (o->flags & LOAM_LOAD_MAP))
        return loam__fail(b, LOAM_ERR_ARG,
                          "options.flags: LOAM_LOAD_PACK and LOAM_LOAD_MAP exclude each other");
    if (o->threads > 64)
        return loam__fail(b, LOAM_ERR_ARG, "options.threads is %u; at most 64", o->threads);
    if (o->sequences > 4096)
        return loam__fail(b, LOAM_ERR_ARG, "options.sequences is %u; at most 4096", o->sequences);
    if (o->step_tokens > 65536)
        return loam__fail(b, LOAM_ERR_ARG, "options.step_tokens is %u; at most 65536",
                          o->step_tokens);
    if (o->context_tokens > (1u << 28))
        return loam__fail(b, LOAM_ERR_ARG, "options.context_tokens is %u; at most %u",
                          o->context_tokens, 1u << 28);
    if (o->kv_type < LOAM_KV_DEFAULT || o->kv_type > LOAM_KV_Q4_0 || o->v_type < LOAM_KV_DEFAULT ||
        o->v_type > LOAM_KV_Q4_0)
        return loam__fail(b, LOAM_ERR_ARG,
                          "options.kv_type is %d and v_type %d; the types are LOAM_KV_F32, F16, "
                          "BF16, Q8_0 and Q4_0, which are 1 to 5",
                          o->kv_type, o->v_type);
    if (o->kv_tokens && o->context_tokens > o->kv_tokens)
        return loam__fail(b, LOAM_ERR_ARG,
                          "options.kv_tokens is %llu, less than the %u of context_tokens; the KV "
                          "cache holds at least one whole context",
                          (unsigned long long)o->kv_tokens, o->context_tokens);
    if (o->kv_block_tokens && (o->kv_block_tokens < 8 || o->kv_block_tokens > 256 ||
                               (o->kv_block_tokens & (o->kv_block_tokens - 1))))
        return loam__fail(b, LOAM_ERR_ARG,
                          "options.kv_block_tokens is %u; it must be 8, 16, 32, 64, 128 or 256",
                          o->kv_block_tokens);
    if (o->n_devices > LOAM__PLACE_DEVICES || (o->n_devices && !o->devices))
        return loam__fail(b, LOAM_ERR_ARG,
                          "options.n_devices is %u, at most %u, and options.devices is %s",
                          o->n_devices, LOAM__PLACE_DEVICES, o->devices ? "set" : "NULL");
    if (o->reserved_pointer)
        return loam__fail(b, LOAM_ERR_NEWER,
                          "a reserved option is set; call loam_options_init() first");
    if (o->threads == 0) o->threads = loam__cpu_count() < 64 ? loam__cpu_count() : 64;
    if (o->sequences == 0) o->sequences = 1;
    if (o->step_tokens == 0) o->step_tokens = DEFAULT_STEP_TOKENS;
    if (o->kv_type == LOAM_KV_DEFAULT) o->kv_type = LOAM_KV_F16;
    if (o->v_type == LOAM_KV_DEFAULT) o->v_type = o->kv_type;
    if (o->kv_block_tokens == 0) o->kv_block_tokens = LOAM__KV_BLOCK_TOKENS;
    return LOAM_OK;
}

static loam_format kv_format(int32_t kv)
{
    static const loam_format formats[] = {
        [LOAM_KV_F32] = LOAM_TYPE_F32,   [LOAM_KV_F16] = LOAM_TYPE_F16,
        [LOAM_KV_BF16] = LOAM_TYPE_BF16, [LOAM_KV_Q8_0] = LOAM_TYPE_Q8_0,
        [LOAM_KV_Q4_0] = LOAM_TYPE_Q4_0,
    };
    return formats[kv];
}

/* Bits of one number in cells of that kind. */
static double cell_bits(int32_t kv)
{
    const loam__format *f = loam__format_find(kv_format(kv));
    return 8.0 * f->block_bytes / f->block_values;
}

/* A head's cells at one position are whole blocks of their format. */
static loam_status check_cells(loam__base *b, const char *option, int32_t kv, const char *what,
                               uint32_t values)
{
    const loam__format *f = loam__format_find(kv_format(kv));
    if (values % f->block_values == 0) return LOAM_OK;
    return loam__fail(b, LOAM_ERR_ARG,
                      "options.%s is %s, whose cells come in blocks of %u, but the heads of the "
                      "model's %s are %u wide; set LOAM_KV_F32, LOAM_KV_F16 or LOAM_KV_BF16",
                      option, f->name, f->block_values, what, values);
}

loam_status loam__plan_check_cells(loam__base *b, const loam_options *o, uint32_t k_values,
                                   uint32_t v_values)
{
    loam_status st = check_cells(b, "kv_type", o->kv_type, "keys", k_values);
    return st != LOAM_OK ? st : check_cells(b, "v_type", o->v_type, "values", v_values);
}

double loam__plan_cell_bits(const loam_options *o)
{
    return cell_bits(o->kv_type) + cell_bits(o->v_type);
}

uint32_t loam__plan_context(const loam_options *o, uint32_t trained_tokens)
{
    uint32_t context = o->context_tokens                  ? o->context_tokens
                       : trained_tokens < DEFAULT_CONTEXT ? trained_tokens
                                                          : DEFAULT_CONTEXT;
    return o->kv_tokens && context > o->kv_tokens ? (uint32_t)o->kv_tokens : context;
}

/* ---- arenas ---- */

/* Take bytes from an arena; false if it would grow beyond what can be addressed. */
static bool take(loam__plan_arena *arena, uint64_t bytes, uint64_t *offset)
{
    uint64_t end;
    *offset = arena->bytes;
    if (!loam__add_u64(arena->bytes, bytes, &end) || end > INT64_MAX) return false;
    arena->bytes = loam__align_up(end);
    return true;
}

static uint64_t bytes_of(const loam_value *v)
{
    return v->rows * v->row_bytes; /* the graph has checked the product */
}

/* Of each site: an arena for each part of the container, where it is mapped, then these. */
enum { PACKED = 0, CONSTANTS, KV, ACTIVATIONS, LOGITS, SCRATCH, N_OWN_ARENAS };

static uint32_t arenas_per_site(const loam__plan *p)
{
    return (uint32_t)loam__gguf_parts(p->model.gguf) + N_OWN_ARENAS;
}

/* The arena of a site that is no mapped part. */
static uint32_t own_arena(const loam__plan *p, int32_t site, uint32_t which)
{
    return ((uint32_t)site + 1) * arenas_per_site(p) - N_OWN_ARENAS + which;
}

/* Whether the backend has a faster order for most of the site's weights. */
static bool copying_pays(const loam__plan *p, uint32_t site)
{
    const loam__graph *g = &p->model.graph;
    const loam__site *s = &p->sites.site[site];
    uint64_t faster = 0, all = 0;
    for (uint32_t i = 0; i < g->n_values; i++) {
        const loam_value *v = &g->values[i];
        if (v->kind != LOAM_VALUE_WEIGHT || g->origins[i].device != (int32_t)site) continue;
        all = loam__plan_plus(all, bytes_of(v));
        if (s->backend->reorders(s->self, s->index, v))
            faster = loam__plan_plus(faster, bytes_of(v));
    }
    return faster > all / 2;
}

uint32_t loam__plan_scratch(const loam__plan *p, uint32_t site)
{
    return own_arena(p, (int32_t)site, SCRATCH);
}

static void list_site(loam__plan *p, uint32_t site)
{
    static const loam__plan_arena own[N_OWN_ARENAS] = {
        {.kind = LOAM_ARENA_WEIGHTS, .name = "weights"},
        {.kind = LOAM_ARENA_CONSTANTS, .name = "constants"},
        {.kind = LOAM_ARENA_KV, .name = "kv"},
        {.kind = LOAM_ARENA_ACTIVATIONS, .name = "activations"},
        {.kind = LOAM_ARENA_LOGITS, .name = "logits"},
        {.kind = LOAM_ARENA_SCRATCH, .name = "scratch"},
    };
    const loam__site *s = &p->sites.site[site];
    loam__plan_arena *arenas = &p->arenas[site * arenas_per_site(p)];
    const uint32_t parts = arenas_per_site(p) - N_OWN_ARENAS;
    for (uint32_t i = 0; i < parts; i++) {
        uint64_t size;
        const uint8_t *data = loam__gguf_part_data(p->model.gguf, i, &size);
        bool mapped = data && s->used && !s->copied && s->info.host_memory;
        arenas[i] = (loam__plan_arena){site, LOAM_ARENA_WEIGHTS_MAPPED, i, mapped ? size : 0,
                                       "weights (mapped)"};
    }
    for (uint32_t i = 0; i < N_OWN_ARENAS; i++) {
        arenas[parts + i] = own[i];
        arenas[parts + i].site = site;
    }
}

static loam_status list_arenas(loam__plan *p)
{
    p->n_arenas = p->sites.n * arenas_per_site(p);
    p->arenas = loam__alloc_array(p->base, p->n_arenas, sizeof *p->arenas);
    if (!p->arenas) return LOAM_ERR_NOMEM;
    for (uint32_t i = 0; i < p->sites.n; i++)
        list_site(p, i);
    return LOAM_OK;
}

bool loam__plan_is_mapped(const loam__plan *p, const loam_value *value)
{
    return p->arenas[value->arena].kind == LOAM_ARENA_WEIGHTS_MAPPED;
}

/* A weight stays where it is in a mapped part; else it gets a place of its own, once for all values
 * of a tensor on one device. */
static bool place_weight(loam__plan *p, uint32_t index)
{
    loam__graph *g = &p->model.graph;
    const loam__origin *origin = &g->origins[index];
    loam_gguf_tensor t;
    loam__gguf_tensor(p->model.gguf, (size_t)origin->tensor, &t);
    const uint32_t mapped = (uint32_t)origin->device * arenas_per_site(p) + t.part;
    if (p->arenas[mapped].bytes) {
        g->values[index].arena = mapped;
        g->values[index].offset = t.offset_bytes;
        return true;
    }
    const uint32_t packed = g->values[index].arena = own_arena(p, origin->device, PACKED);
    for (uint32_t i = 0; i < index; i++) {
        if (g->values[i].kind != LOAM_VALUE_WEIGHT || g->origins[i].tensor != origin->tensor ||
            g->origins[i].device != origin->device)
            continue;
        g->values[index].offset = g->values[i].offset;
        return true;
    }
    return take(&p->arenas[packed], bytes_of(&g->values[index]), &g->values[index].offset);
}

/* The upload copies weights in pieces, and decodes constants whole: as floats in front, twice where
 * a rope has factors, and as the file has them behind; no format takes more than 8 bytes a number.
 */
static void need_upload(loam__plan *p, const loam_value *v)
{
    uint64_t bytes = v->kind == LOAM_VALUE_CONSTANT ? v->cols * 16 : bytes_of(v);
    if (v->kind == LOAM_VALUE_WEIGHT && loam__plan_is_mapped(p, v)) bytes = 0;
    if (v->kind == LOAM_VALUE_WEIGHT) {
        const uint64_t few = v->row_bytes * LOAM_UPLOAD_ROWS;
        const uint64_t most = few > UPLOAD_BYTES ? few : UPLOAD_BYTES;
        if (bytes > most) bytes = most;
    }
    if (bytes > p->upload_bytes) p->upload_bytes = (size_t)bytes;
}

/* Also all but the place of a value that no node uses. */
static bool place_value(loam__plan *p, uint32_t index)
{
    static const uint32_t arenas[] = {
        [LOAM_VALUE_CONSTANT] = CONSTANTS,
        [LOAM_VALUE_ACTIVATION] = ACTIVATIONS,
        [LOAM_VALUE_KV] = KV,
        [LOAM_VALUE_LOGITS] = LOGITS,
    };
    loam_value *v = &p->model.graph.values[index];
    bool fits = true;
    if (v->kind == LOAM_VALUE_WEIGHT) fits = place_weight(p, index);
    else v->arena = own_arena(p, p->model.graph.origins[index].device, arenas[v->kind]);
    if (v->kind != LOAM_VALUE_WEIGHT && v->kind != LOAM_VALUE_ACTIVATION)
        fits = take(&p->arenas[v->arena], bytes_of(v), &v->offset);
    if (v->kind == LOAM_VALUE_WEIGHT || v->kind == LOAM_VALUE_CONSTANT) need_upload(p, v);
    return fits;
}

static loam_status place_values(loam__plan *p)
{
    loam__graph *g = &p->model.graph;
    bool fits = true;
    for (uint32_t i = 0; i < p->sites.n; i++) {
        loam_status st = loam__graph_place_activations(
            g, (int32_t)i, &p->arenas[own_arena(p, (int32_t)i, ACTIVATIONS)].bytes);
        if (st != LOAM_OK) return st;
    }
    for (uint32_t i = 0; i < g->n_values && fits; i++)
        fits = place_value(p, i);
    if (fits) return LOAM_OK;
    return loam__fail(
        p->base, LOAM_ERR_LIMIT,
        "the model does not fit into any address space; reduce the context or the sequences");
}

/* ---- pieces ---- */

/* Rows of one activation, on their way through the host's memory. */
static void need_staging(loam__plan *p)
{
    const loam__graph *g = &p->model.graph;
    for (uint32_t i = g->n_values - g->n_copies; i < g->n_values; i++) {
        const loam_value *v = &g->values[i];
        if (v->kind == LOAM_VALUE_ACTIVATION && bytes_of(v) > p->staging_bytes)
            p->staging_bytes = (size_t)bytes_of(v);
    }
}

/* Cut the graph by the sites of its nodes, and note which pieces that gives. */
static loam_status cut(loam__plan *p, const uint8_t *unit_sites)
{
    loam__graph *g = &p->model.graph;
    loam__piece piece;
    uint8_t *sites = loam__alloc(p->base, g->n_nodes ? g->n_nodes : 1);
    p->pieces = loam__alloc_array(p->base, g->n_nodes, sizeof *p->pieces);
    loam_status st = sites && p->pieces ? LOAM_OK : LOAM_ERR_NOMEM;
    for (uint32_t i = 0; i < g->n_nodes && st == LOAM_OK; i++) {
        sites[i] = unit_sites ? unit_sites[loam__plan_unit_of(p, i)] : 0;
        p->sites.site[sites[i]].used = true;
    }
    if (st == LOAM_OK) st = loam__graph_cut(g, sites);
    for (uint32_t i = 0; i < g->n_nodes && st == LOAM_OK; i += piece.n) {
        piece = p->pieces[p->n_pieces++] = loam__piece_at(g, sites, i);
        if (i < g->head) p->n_body_pieces = p->n_pieces;
    }
    loam__free(p->base, sites);
    need_staging(p);
    return st;
}

/* ---- the rest ---- */

static bool reserve(size_t *bytes, size_t count, size_t size, size_t *at)
{
    size_t n;
    *at = *bytes;
    return loam__mul_size(count, size, &n) && loam__add_size(*bytes, n, &n) &&
           n < SIZE_MAX - LOAM__ALIGN && (*bytes = (size_t)loam__align_up(n), true);
}

static loam_status lay_out_host(loam__plan *p, loam__plan_records records)
{
    loam__host_layout *h = &p->host;
    size_t vocab = p->model.geometry.n_vocab, sequences = p->sequences, step = p->step_tokens,
           cells;
    bool good = loam__mul_size(sequences, p->context_tokens, &cells) &&
                reserve(&h->bytes, sequences, records.sequence_bytes, &h->sequences_at) &&
                reserve(&h->bytes, sequences, records.item_bytes, &h->items_at) &&
                reserve(&h->bytes, cells, sizeof(loam_token), &h->history_at) &&
                loam__mul_size(sequences, vocab, &cells) &&
                reserve(&h->bytes, cells, sizeof(float), &h->logits_at) &&
                reserve(&h->bytes, vocab, sizeof(float) + sizeof(loam_token), &h->candidates_at) &&
                reserve(&h->bytes, step, sizeof(int32_t), &h->tokens_at) &&
                reserve(&h->bytes, step, sizeof(int32_t), &h->positions_at) &&
                reserve(&h->bytes, step, sizeof(int32_t), &h->tables_at) &&
                reserve(&h->bytes, step, sizeof(int32_t), &h->outputs_at) &&
                reserve(&h->bytes, 1, p->staging_bytes, &h->staging_at);
    return good ? LOAM_OK
                : loam__fail(p->base, LOAM_ERR_LIMIT,
                             "%u sequences of %u tokens do not fit into any memory", p->sequences,
                             p->context_tokens);
}

/* Every op must be one of its backend's: said with the tensor's name where its format is the
 * reason. */
static loam_status check_node(const loam__plan *p, const loam_graph *view, uint32_t i,
                              const loam__site *s)
{
    const loam_node *node = loam_graph_node(view, i);
    if (s->backend->supports(s->self, s->index, view, node)) return LOAM_OK;
    const loam_value *source = loam_graph_value(view, node->src[0]);
    int64_t tensor = p->model.graph.origins[node->src[0]].tensor;
    const loam__format *f = loam__format_find(source->type);
    loam_gguf_tensor t = {.name = "?"};
    if (tensor >= 0) loam__gguf_tensor(p->model.gguf, (size_t)tensor, &t);
    return loam__fail(p->base, LOAM_ERR_TENSOR_TYPE,
                      "the tensor %s has the format %s (type %d), which the %s backend does "
                      "not compute with in this "
                      "version",
                      t.name, f ? f->name : "unknown", source->type, s->backend->name);
}

static loam_status measure(loam__plan *p, const loam_graph *view)
{
    for (uint32_t i = 0; i < p->n_pieces; i++) {
        const loam__piece *piece = &p->pieces[i];
        loam__site *s = &p->sites.site[piece->device];
        loam_piece_memory memory = {.struct_size = sizeof memory};
        loam_status st = LOAM_OK;
        for (uint32_t j = 0; j < piece->n && st == LOAM_OK; j++)
            st = check_node(p, view, piece->first + j, s);
        if (st == LOAM_OK)
            st = s->backend->measure(s->self, s->index, view, piece->first, piece->n, &memory);
        if (st != LOAM_OK) return st;
        loam__plan_arena *scratch = &p->arenas[loam__plan_scratch(p, piece->device)];
        if (memory.scratch_bytes > scratch->bytes) scratch->bytes = memory.scratch_bytes;
        s->program_bytes += memory.program_bytes;
    }
    return LOAM_OK;
}

/* A sum that sticks at the largest number, which fits into no limit. */
uint64_t loam__plan_plus(uint64_t a, uint64_t b)
{
    return a <= UINT64_MAX - b ? a + b : UINT64_MAX;
}

static uint64_t tables_bytes(const loam__plan *p)
{
    uint64_t bytes = loam__alloc_cost(p->host.bytes, LOAM__ALIGN) + loam__kv_bytes(&p->kv) +
                     loam__alloc_cost(p->n_arenas * sizeof(void *), 16) +
                     loam__alloc_cost(p->n_pieces * sizeof(void *), 16);
    for (uint32_t i = 0; i < p->n_arenas; i++)
        if (p->arenas[i].bytes) bytes += LOAM_ARENA_EXTRA_BYTES;
    return bytes;
}

static uint64_t program_bytes(const loam__plan *p)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < p->sites.n; i++)
        bytes = loam__plan_plus(bytes, p->sites.site[i].program_bytes);
    return bytes;
}

static void list_beside(loam__plan *p, const loam__account *a)
{
    const uint64_t staging = p->host.bytes - p->host.staging_at;
    const loam__plan_area list[LOAM__PLAN_BESIDE - 1] = {
        {"handle", a->held[LOAM__HELD_HANDLE] + a->held[LOAM__HELD_BACKEND]},
        {"container", a->held[LOAM__HELD_CONTAINER]},
        {"graph", a->held[LOAM__HELD_GRAPH]},
        {"vocabulary", a->held[LOAM__HELD_VOCABULARY]},
        {"tables", tables_bytes(p) - staging},
        {"staging", staging},
        {"programs", program_bytes(p)},
    };
    memcpy(p->beside, list, sizeof list);
}

/* What comes and goes: the buffer of the upload, then what text needs; or what the steps until now
 * needed, if that was more than all that will stay. */
static uint64_t working_bytes(const loam__plan *p, const loam__account *a, uint64_t staying)
{
    uint64_t bytes = TEXT_WORK_BYTES, peak = atomic_load(&a->peak_bytes);
    uint64_t upload = p->upload_bytes ? loam__alloc_cost(p->upload_bytes, 16) : 0;
    if (bytes < upload) bytes = upload;
    return peak > staying && peak - staying > bytes ? peak - staying : bytes;
}

/* What each site has, and what those beside the host's memory have together. */
static uint64_t sum_sites(loam__plan *p)
{
    uint64_t elsewhere = 0;
    for (uint32_t i = 0; i < p->sites.n; i++)
        p->sites.site[i].bytes = 0;
    for (uint32_t i = 0; i < p->n_arenas; i++) {
        loam__site *s = &p->sites.site[p->arenas[i].site];
        s->bytes = loam__plan_plus(s->bytes, p->arenas[i].bytes);
    }
    for (uint32_t i = 0; i < p->sites.n; i++)
        if (!p->sites.site[i].info.host_memory)
            elsewhere = loam__plan_plus(elsewhere, p->sites.site[i].bytes);
    return elsewhere;
}

uint32_t loam__sites_host(const loam__sites *sites)
{
    uint32_t i = 0;
    while (i < sites->n && !sites->site[i].info.host_memory)
        i++;
    return i;
}

bool loam__sites_are_host(const loam__sites *sites)
{
    return sites->n == 1 && sites->site[0].info.host_memory && !sites->site[0].limited;
}

static void give_rest_to_host(loam__plan *p)
{
    const uint32_t host = loam__sites_host(&p->sites);
    uint64_t rest = p->totals.total_bytes;
    for (uint32_t i = 0; i < p->sites.n; i++)
        if (i != host) rest -= p->sites.site[i].bytes;
    if (host < p->sites.n) {
        p->sites.site[host].bytes = rest;
        return;
    }
    const uint64_t available = loam__memory_available();
    p->rest_bytes = rest;
    p->rest_limit_bytes = available ? (uint64_t)((double)available * LOAM__PLAN_FILL) : UINT64_MAX;
}

static void sum_up(loam__plan *p, const loam__account *a)
{
    loam_plan_totals *t = &p->totals;
    const loam__graph *g = &p->model.graph;
    *t = (loam_plan_totals){.struct_size = sizeof *t};
    for (uint32_t i = 0; i < p->n_arenas; i++) {
        const loam__plan_arena *arena = &p->arenas[i];
        bool mapped = arena->kind == LOAM_ARENA_WEIGHTS_MAPPED;
        uint64_t *sum = mapped || arena->kind == LOAM_ARENA_WEIGHTS ? &t->weights_bytes
                        : arena->kind == LOAM_ARENA_KV              ? &t->kv_bytes
                                                                    : &t->overhead_bytes;
        *sum = loam__plan_plus(*sum, arena->bytes);
        if (mapped)
            t->weights_mapped_bytes = loam__plan_plus(t->weights_mapped_bytes, arena->bytes);
    }
    list_beside(p, a);
    for (size_t i = 0; i + 1 < LOAM__PLAN_BESIDE; i++)
        t->overhead_bytes = loam__plan_plus(t->overhead_bytes, p->beside[i].bytes);
    const uint64_t elsewhere = sum_sites(p);
    uint64_t staying =
        loam__plan_plus(loam__plan_plus(t->weights_bytes - t->weights_mapped_bytes, t->kv_bytes),
                        t->overhead_bytes) -
        elsewhere;
    loam__plan_area working = {"working", working_bytes(p, a, staying)};
    p->beside[LOAM__PLAN_BESIDE - 1] = working;
    t->overhead_bytes = loam__plan_plus(t->overhead_bytes, working.bytes);
    t->total_bytes =
        loam__plan_plus(loam__plan_plus(t->weights_bytes, t->kv_bytes), t->overhead_bytes);
    give_rest_to_host(p);
    t->peak_resident_bytes = loam__plan_plus(t->total_bytes - elsewhere, CODE_BYTES);
    if (t->weights_mapped_bytes == 0)
        t->peak_resident_bytes =
            loam__plan_plus(t->peak_resident_bytes, loam__gguf_header_pages(p->model.gguf));
    t->shared_bytes = t->weights_mapped_bytes;
    t->private_bytes = t->total_bytes - t->shared_bytes;
    t->context_tokens = p->context_tokens;
    t->sequences = p->sequences;
    t->block_tokens = p->kv.block_tokens;
    t->blocks_per_sequence = p->kv.blocks_per_table;
    t->token_read_bytes = loam__plan_token_read(g, 0).weights_bytes;
    t->token_products = loam__plan_token_products(g);
    for (uint32_t i = 0; i < g->n_values; i++)
        if (g->values[i].kind == LOAM_VALUE_KV)
            t->kv_token_bytes += g->values[i].row_bytes / p->kv.block_tokens;
}

loam_status loam__plan_judge(loam__base *b, const loam_options *o, uint64_t available_bytes,
                             double fill, loam_plan_totals *t)
{
    t->fill = fill;
    t->limit_bytes = UINT64_MAX;
    if (available_bytes) t->limit_bytes = (uint64_t)((double)available_bytes * fill);
    if (o->memory_limit_bytes) t->limit_bytes = o->memory_limit_bytes;
    /* Mapped weights can be paged out again, so only a limit that the caller set counts them. */
    uint64_t counted = o->memory_limit_bytes ? t->total_bytes : t->private_bytes;
    t->fits = counted <= t->limit_bytes;
    if (t->fits) return LOAM_OK;
    return loam__fail(b, LOAM_ERR_NOFIT,
                      "the model needs %llu bytes (weights %llu, KV cache %llu, other %llu) and "
                      "the limit is %llu; reduce "
                      "context_tokens or sequences, or take a smaller format",
                      (unsigned long long)counted, (unsigned long long)t->weights_bytes,
                      (unsigned long long)t->kv_bytes, (unsigned long long)t->overhead_bytes,
                      (unsigned long long)t->limit_bytes);
}

/* Those of a site's bytes that are the process's own. */
static uint64_t private_bytes(const loam__plan *p, uint32_t site)
{
    uint64_t bytes = p->sites.site[site].bytes;
    for (uint32_t i = 0; i < p->n_arenas; i++)
        if (p->arenas[i].site == site && p->arenas[i].kind == LOAM_ARENA_WEIGHTS_MAPPED)
            bytes -= p->arenas[i].bytes;
    return bytes;
}

uint64_t loam__plan_site_counted(const loam__plan *p, uint32_t site)
{
    uint64_t bytes = private_bytes(p, site);
    for (uint32_t i = site + 1; i < p->sites.n && site == loam__sites_host(&p->sites); i++)
        if (p->sites.site[i].info.host_memory) bytes = loam__plan_plus(bytes, private_bytes(p, i));
    return bytes;
}

static loam_status judge_device(loam__plan *p, const char *name, uint64_t bytes, uint64_t limit)
{
    if (bytes <= limit) return LOAM_OK;
    return loam__fail(p->base, LOAM_ERR_NOFIT,
                      "the device %s would hold %llu bytes and its limit is %llu; give it fewer "
                      "layers, or reduce context_tokens or sequences",
                      name, (unsigned long long)bytes, (unsigned long long)limit);
}

/* Each device against its own limit, and all together against that of the options, which stands for
 * the host's where nobody gave that. */
static loam_status judge_sites(loam__plan *p, const loam_options *o)
{
    const uint32_t host = loam__sites_host(&p->sites);
    const bool capped = o->memory_limit_bytes != 0;
    loam_plan_totals *t = &p->totals;
    uint64_t limits = p->rest_limit_bytes;
    loam_status st = LOAM_OK;
    if (!capped) st = judge_device(p, LOAM__PLAN_REST, p->rest_bytes, p->rest_limit_bytes);
    for (uint32_t i = 0; i < p->sites.n; i++) {
        const loam__site *s = &p->sites.site[i];
        const uint64_t limit = loam__site_limit(s);
        if (i == host || !s->info.host_memory) limits = loam__plan_plus(limits, limit);
        if (st == LOAM_OK && (i != host || s->limited || !capped))
            st = judge_device(p, s->info.name, loam__plan_site_counted(p, i), limit);
    }
    t->fill = host < p->sites.n ? p->sites.site[host].fill : LOAM__PLAN_FILL;
    if (st == LOAM_OK) st = loam__plan_judge(p->base, o, 0, t->fill, t);
    t->limit_bytes = capped ? o->memory_limit_bytes : limits;
    return st;
}

loam_status loam__plan_total(loam__plan *p, const loam_options *o, const loam__account *held)
{
    const loam__site *first = &p->sites.site[0];
    sum_up(p, held);
    if (!loam__sites_are_host(&p->sites)) return judge_sites(p, o);
    return loam__plan_judge(p->base, o, first->available_bytes, first->fill, &p->totals);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How many blocks each group has. Where a window passes, a sequence holds those that the window
 * touches and those of its rows in the step. */
static loam_status settle_blocks(loam__plan *p, const loam_options *o)
{
    const loam__geometry *geo = &p->model.geometry;
    uint32_t block = o->kv_block_tokens;
    p->kv.block_tokens = block;
    p->kv.blocks_per_table = (uint32_t)loam__blocks_for(p->context_tokens, block);
    uint64_t all = (uint64_t)p->sequences * p->kv.blocks_per_table;
    for (uint32_t g = 0; g < geo->n_groups; g++) {
        uint32_t window = geo->group_windows[g];
        uint64_t n = all;
        if (window)
            n = (uint64_t)p->sequences * ((window - 1) / block + 3) +
                loam__blocks_for(p->step_tokens, block);
        else if (o->kv_tokens) n = loam__blocks_for(o->kv_tokens, block);
        p->kv.blocks[g] = n < all ? n : all;
        if (p->kv.blocks[g] > INT32_MAX)
            return loam__fail(p->base, LOAM_ERR_LIMIT,
                              "%llu KV blocks are too many; reduce the context or the sequences",
                              (unsigned long long)n);
        p->kv.windows[g] = window;
    }
    p->kv.n_groups = geo->n_groups;
    p->kv.n_tables = p->sequences;
    p->kv.share = !(o->flags & LOAM_LOAD_NO_SHARING);
    return LOAM_OK;
}

static void settle_sizes(loam__plan *p, const loam_options *o)
{
    uint32_t trained = p->model.geometry.trained_tokens;
    p->threads = o->threads;
    p->sequences = o->sequences;
    p->context_tokens = loam__plan_context(o, trained);
    p->step_tokens = smaller(o->step_tokens, p->context_tokens);
    if (p->step_tokens < p->sequences)
        p->step_tokens = p->sequences; /* a decode of all is one step */
    if (p->context_tokens > trained)
        loam__log(p->base, LOAM_LOG_WARN,
                  "the context of %u tokens is longer than the %u of training", p->context_tokens,
                  trained);
}

/* Whether each site that has a part of the model copies its weights. */
static void settle_copies(loam__plan *p, const loam_options *o)
{
    for (uint32_t i = 0; i < p->sites.n; i++) {
        loam__site *s = &p->sites.site[i];
        s->copied = !s->info.host_memory || o->flags & LOAM_LOAD_PACK ||
                    (!(o->flags & LOAM_LOAD_MAP) && copying_pays(p, i));
    }
}

bool loam__plan_could_map(const loam__plan *p)
{
    for (uint32_t i = 0; i < p->sites.n; i++) {
        const loam__site *s = &p->sites.site[i];
        if (s->used && s->copied && s->info.host_memory) return true;
    }
    return false;
}

uint32_t loam__plan_unit_site(const loam__plan *p, uint32_t unit)
{
    for (uint32_t i = 0; i < p->n_pieces; i++)
        for (uint32_t j = 0; j < p->pieces[i].n; j++)
            if (loam__plan_unit_of(p, p->pieces[i].first + j) == unit) return p->pieces[i].device;
    return 0;
}

loam_status loam__plan_make(loam__base *b, const loam__gguf *g, const loam_options *o,
                            const loam__sites *sites, const uint8_t *unit_sites,
                            loam__plan_records records, loam__plan *p)
{
    loam_status st;
    *p = (loam__plan){.base = b, .sites = *sites, .records = records};
    for (uint32_t i = 0; i < p->sites.n; i++) { /* of another plan */
        p->sites.site[i].used = p->sites.site[i].copied = false;
        p->sites.site[i].program_bytes = p->sites.site[i].bytes = 0;
    }
    if ((st = loam__model_open(b, g, &p->model)) != LOAM_OK ||
        (st = loam__plan_check_cells(b, o, p->model.geometry.k_values,
                                     p->model.geometry.v_values)) != LOAM_OK)
        return st;
    settle_sizes(p, o);
    loam__model_group(&p->model, p->context_tokens);
    if ((st = settle_blocks(p, o)) != LOAM_OK) return st;
    loam__model_options mo = {
        .max_tokens = p->step_tokens,
        .max_outputs =
            p->sequences > LEAST_OUTPUTS ? p->sequences : smaller(LEAST_OUTPUTS, p->step_tokens),
        .n_tables = p->kv.n_tables,
        .blocks_per_table = p->kv.blocks_per_table,
        .block_tokens = p->kv.block_tokens,
        .k_type = kv_format(o->kv_type),
        .v_type = kv_format(o->v_type),
    };
    memcpy(mo.blocks, p->kv.blocks, sizeof mo.blocks);
    if ((st = loam__model_build(&p->model, &mo)) != LOAM_OK || (st = cut(p, unit_sites)) != LOAM_OK)
        return st;
    settle_copies(p, o);
    if ((st = list_arenas(p)) != LOAM_OK || (st = place_values(p)) != LOAM_OK ||
        (st = lay_out_host(p, records)) != LOAM_OK)
        return st;
    loam_graph view = loam__graph_view(&p->model.graph);
    return measure(p, &view);
}

void loam__plan_free(loam__plan *p)
{
    if (!p->base) return;
    loam__model_free(&p->model);
    loam__free(p->base, p->arenas);
    loam__free(p->base, p->pieces);
    *p = (loam__plan){0};
}

loam_status loam__plan_again(loam__base *b, const loam__plan *p, const loam_options *o,
                             const loam__account *held, loam__plan *again)
{
    loam_options same = *o;
    same.flags |= loam__plan_could_map(p) ? LOAM_LOAD_PACK : LOAM_LOAD_MAP;
    loam_status st = loam__plan_make(b, p->model.gguf, &same, &p->sites, NULL, p->records, again);
    if (st == LOAM_OK) sum_up(again, held);
    return st;
}
