#include "run.h"

#include <string.h>

#include "lib/base/os.h"
#include "lib/quant/quant.h"

/* ---- making ---- */

static loam_status new_arenas(loam__run *run)
{
    const loam__plan *p = run->plan;
    run->arenas = loam__alloc_array(run->base, p->n_arenas, sizeof *run->arenas);
    if (!run->arenas) return LOAM_ERR_NOMEM;
    for (uint32_t i = 0; i < p->n_arenas; i++) {
        const loam__plan_arena *a = &p->arenas[i];
        const void *memory = NULL;
        uint64_t size;
        if (a->bytes == 0) continue;
        if (a->kind == LOAM_ARENA_WEIGHTS_MAPPED)
            memory = loam__gguf_part_data(p->model.gguf, a->part, &size);
        const loam__site *s = &p->sites.site[a->site];
        loam_status st =
            s->backend->arena_new(s->self, s->index, a->kind, a->bytes, memory, &run->arenas[i]);
        if (st != LOAM_OK) return st;
    }
    return LOAM_OK;
}

/* Move a tensor's rows to their place, as many at once as the buffer has room for. */
static loam_status upload_tensor(loam__run *run, uint32_t index, char *buffer)
{
    const loam__plan *p = run->plan;
    const loam_value *v = &p->model.graph.values[index];
    const loam__site *s = loam__plan_site_of(p, v);
    uint64_t room = p->upload_bytes / v->row_bytes;
    if (room < v->rows) room = room / LOAM_UPLOAD_ROWS * LOAM_UPLOAD_ROWS;
    loam_gguf_tensor t;
    loam__gguf_tensor(p->model.gguf, (size_t)p->model.graph.origins[index].tensor, &t);
    for (uint64_t row = 0, n; row < v->rows; row += n) {
        n = v->rows - row < room ? v->rows - row : room;
        loam_status st = loam__gguf_read(p->model.gguf, t.part, t.offset_bytes + row * v->row_bytes,
                                         buffer, (size_t)(n * v->row_bytes));
        if (st == LOAM_OK)
            st = s->backend->upload_rows(s->self, v, run->arenas[v->arena], row, n, buffer);
        if (st != LOAM_OK) return st;
        loam__gguf_forget_tensors(p->model.gguf, t.part);
    }
    return LOAM_OK;
}

/* A small tensor as F32 numbers in values[]; bytes is room for it as the file has it. */
static loam_status read_vector(loam__run *run, int64_t tensor, uint64_t n, char *bytes,
                               float *values)
{
    loam_gguf_tensor t;
    loam__gguf_tensor(run->plan->model.gguf, (size_t)tensor, &t);
    const loam__format *f = loam__format_find(t.type);
    if (!f || n % f->block_values)
        return loam__fail(run->base, LOAM_ERR_TENSOR_TYPE,
                          "the tensor %s has a format (type %d) that is not decoded here", t.name,
                          t.type);
    loam_status st =
        loam__gguf_read(run->plan->model.gguf, t.part, t.offset_bytes, bytes, (size_t)t.size_bytes);
    if (st == LOAM_OK) f->decode(bytes, values, (size_t)n);
    return st;
}

/* The buffer has room for twice the numbers and for the file's bytes behind them. */
static loam_status upload_constant(loam__run *run, uint32_t index, char *buffer)
{
    const loam__plan *p = run->plan;
    const loam__graph *g = &p->model.graph;
    const loam_value *v = &g->values[index];
    const loam__origin *origin = &g->origins[index];
    float *values = (float *)(void *)buffer, *factors = values + v->cols;
    char *bytes = buffer + v->cols * 8;
    loam_status st = LOAM_OK;
    if (origin->rope >= 0) {
        const loam__rope *rope = &p->model.geometry.ropes[origin->rope];
        if (rope->factors < 0) factors = NULL;
        else st = read_vector(run, rope->factors, v->cols, bytes, factors);
        if (st == LOAM_OK) loam__rope_scales(rope, factors, values);
    } else {
        st = read_vector(run, origin->tensor, v->cols, bytes, values);
    }
    if (st != LOAM_OK) return st;
    const loam__site *s = loam__plan_site_of(p, v);
    return s->backend->upload(s->self, run->arenas[v->arena], v->offset, values, v->row_bytes);
}

static loam_status upload_all(loam__run *run)
{
    const loam__plan *p = run->plan;
    const loam__graph *g = &p->model.graph;
    loam_status st = LOAM_OK;
    char *buffer = loam__alloc(run->base, p->upload_bytes);
    if (!buffer) return LOAM_ERR_NOMEM;
    for (uint32_t i = 0; i < g->n_values && st == LOAM_OK; i++) {
        if (g->values[i].kind == LOAM_VALUE_CONSTANT) st = upload_constant(run, i, buffer);
        if (g->values[i].kind == LOAM_VALUE_WEIGHT && !loam__plan_is_mapped(p, &g->values[i]))
            st = upload_tensor(run, i, buffer);
    }
    loam__free(run->base, buffer);
    return st;
}

static loam_status compile(loam__run *run)
{
    const loam__plan *p = run->plan;
    const loam__graph *g = &p->model.graph;
    loam_graph view = loam__graph_view(g);
    run->programs = loam__alloc_array(run->base, p->n_pieces, sizeof *run->programs);
    if (!run->programs) return LOAM_ERR_NOMEM;
    for (uint32_t i = 0; i < p->n_pieces; i++) {
        const loam__piece *piece = &p->pieces[i];
        const loam__site *s = &p->sites.site[piece->device];
        loam_status st = s->backend->compile(
            s->self, s->index, &view, piece->first, piece->n, run->arenas, p->n_arenas,
            run->arenas[loam__plan_scratch(p, piece->device)], &run->programs[i]);
        if (st != LOAM_OK) return st;
    }
    return LOAM_OK;
}

static void place_host(loam__run *run)
{
    const loam__host_layout *h = &run->plan->host;
    run->sequences = (void *)(run->host + h->sequences_at);
    run->items = (void *)(run->host + h->items_at);
    run->history = (void *)(run->host + h->history_at);
    run->logits = (void *)(run->host + h->logits_at);
    run->candidates = (void *)(run->host + h->candidates_at);
    run->step_tokens = (void *)(run->host + h->tokens_at);
    run->step_positions = (void *)(run->host + h->positions_at);
    run->step_tables = (void *)(run->host + h->tables_at);
    run->step_outputs = (void *)(run->host + h->outputs_at);
    run->staging = run->host + h->staging_at;
}

loam_status loam__run_new(loam__base *b, const loam__plan *plan, atomic_int *cancel, loam__run *run)
{
    const loam__graph *g = &plan->model.graph;
    loam_seq first;
    loam_status st;
    *run = (loam__run){.base = b, .plan = plan, .cancel = cancel};
    for (uint32_t i = 0; i < g->n_values; i++)
        if (g->values[i].kind == LOAM_VALUE_LOGITS) run->logits_value = (loam__v)i;
    if (!(run->host = loam__alloc_aligned(b, plan->host.bytes, LOAM__ALIGN))) return LOAM_ERR_NOMEM;
    place_host(run);
    if ((st = loam__kv_init(&run->kv, b, &plan->kv)) != LOAM_OK ||
        (st = new_arenas(run)) != LOAM_OK || (st = upload_all(run)) != LOAM_OK ||
        (st = compile(run)) != LOAM_OK)
        return st;
    return loam__run_open_seq(run, &first); /* sequence 0 */
}

void loam__run_free(loam__run *run)
{
    if (!run->base) return;
    const loam__plan *p = run->plan;
    for (uint32_t i = 0; run->programs && i < p->n_pieces; i++) {
        const loam__site *s = &p->sites.site[p->pieces[i].device];
        if (run->programs[i]) s->backend->program_free(s->self, run->programs[i]);
    }
    for (uint32_t i = 0; run->arenas && i < p->n_arenas; i++) {
        const loam__site *s = &p->sites.site[p->arenas[i].site];
        if (run->arenas[i]) s->backend->arena_free(s->self, run->arenas[i]);
    }
    loam__free(run->base, run->programs);
    loam__free(run->base, run->arenas);
    loam__kv_free(&run->kv);
    loam__free(run->base, run->host);
    *run = (loam__run){0};
}

/* ---- checking a request ---- */

loam_status loam__run_check_tokens(const loam__run *run, const loam_token *tokens, size_t n)
{
    uint32_t vocab = run->plan->model.geometry.n_vocab;
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= vocab)
            return loam__fail(run->base, LOAM_ERR_TOKEN,
                              "token %zu is %d; the vocabulary has ids 0 to %u", i, tokens[i],
                              vocab - 1);
    return LOAM_OK;
}

static loam_status check_room(const loam__run *run, uint32_t slot, size_t n)
{
    uint32_t have = run->sequences[slot].n_tokens, most = run->plan->context_tokens;
    if (n <= most - have) return LOAM_OK;
    return loam__fail(run->base, LOAM_ERR_FULL,
                      "%zu more tokens do not fit: the sequence has %u of %u; shorten the prompt, "
                      "truncate the sequence or "
                      "load with more options.context_tokens",
                      n, have, most);
}

static loam_status check_request(loam__run *run, const loam__request *q)
{
    loam_status st;
    uint32_t slot;
    for (size_t i = 0; i < q->n_items; i++) {
        const loam__item *item = &q->items[i];
        if ((st = loam__run_check_tokens(run, item->tokens, item->n)) != LOAM_OK ||
            (st = loam__run_slot(run, item->seq, &slot)) != LOAM_OK ||
            (st = check_room(run, slot, item->n)) != LOAM_OK)
            return st;
        for (size_t j = 0; j < i; j++)
            if (q->items[j].seq == q->items[i].seq)
                return loam__fail(run->base, LOAM_ERR_ARG,
                                  "sequence %d is given twice; once a call", q->items[i].seq);
    }
    return LOAM_OK;
}

/* Over what the call asks for. */
static uint64_t fingerprint(const loam__request *q)
{
    uintptr_t where = (uintptr_t)q->all_logits;
    uint64_t h = loam__fnv(LOAM__FNV, &where, sizeof where);
    for (size_t i = 0; i < q->n_items; i++) {
        const loam__item *item = &q->items[i];
        h = loam__fnv(h, &item->seq, sizeof item->seq);
        h = loam__fnv(h, &item->n, sizeof item->n);
        h = loam__fnv(h, &item->logits, sizeof item->logits);
        h = loam__fnv(h, item->tokens, item->n * sizeof *item->tokens);
    }
    return h;
}

/* ---- beginning and ending a request ---- */

static loam__sequence *sequence_of(const loam__run *run, const loam__item *item)
{
    return &run->sequences[loam__slot_of(item->seq)];
}

static loam_token *history_of(const loam__run *run, uint32_t slot)
{
    return run->history + (size_t)slot * run->plan->context_tokens;
}

/* Put the tokens behind those of their sequence, and take what the KV cache has of them already;
 * the last one is always computed, and where all logits are wanted all are. */
static void begin_item(loam__run *run, const loam__item *item, bool match)
{
    uint32_t slot = loam__slot_of(item->seq);
    loam__sequence *s = &run->sequences[slot];
    loam_token *history = history_of(run, slot);
    memcpy(history + s->n_tokens, item->tokens, item->n * sizeof *item->tokens);
    s->n_target = s->n_tokens + (uint32_t)item->n;
    uint32_t most = match ? s->n_target - 1 : s->n_tokens;
    if (s->n_computed >= most) return;
    uint32_t found = loam__kv_match(&run->kv, slot, history, s->n_computed, most);
    run->tokens_shared += found - s->n_computed;
    s->n_computed = found;
}

static loam_status no_blocks(loam__run *run, uint64_t needed)
{
    return loam__fail(run->base, LOAM_ERR_FULL,
                      "the KV cache has %u free blocks of %u tokens and the call needs %llu; close "
                      "or truncate a sequence, or load with more options.kv_tokens",
                      loam__kv_available(&run->kv), run->kv.shape.block_tokens,
                      (unsigned long long)needed);
}

/* Whether the blocks that the request needs beyond those that its sequences hold can be had. */
static loam_status check_blocks(loam__run *run, const loam__request *q)
{
    uint64_t needed = 0;
    for (size_t i = 0; i < q->n_items; i++)
        needed += loam__kv_needed(&run->kv, loam__slot_of(q->items[i].seq),
                                  sequence_of(run, &q->items[i])->n_target);
    return needed <= loam__kv_available(&run->kv) ? LOAM_OK : no_blocks(run, needed);
}

static loam_status begin(loam__run *run, const loam__request *q, uint64_t print)
{
    run->pending = (loam__pending){.active = true, .fingerprint = print};
    for (size_t i = 0; i < q->n_items; i++)
        begin_item(run, &q->items[i], !q->all_logits);
    loam_status st = check_blocks(run, q);
    if (st != LOAM_OK) loam__run_drop_pending(run);
    return st;
}

/* The request is done: its tokens become part of their sequences. */
static void commit(loam__run *run, const loam__request *q)
{
    run->pending.active = false;
    for (size_t i = 0; i < q->n_items; i++) {
        loam__sequence *s = sequence_of(run, &q->items[i]);
        s->n_tokens = s->n_target;
        s->has_logits = q->items[i].logits || q->all_logits;
    }
}

/* ---- steps ---- */

static int32_t should_stop(void *ctx)
{
    const loam__run *run = ctx;
    if (atomic_load_explicit(run->cancel, memory_order_relaxed)) return LOAM_ERR_CANCELLED;
    return run->deadline_ns && loam__now_ns() >= run->deadline_ns ? LOAM_ERR_DEADLINE : LOAM_OK;
}

/* How many rows of an item come into a step that has so many already. */
static uint32_t rows_of(const loam__run *run, const loam__item *item, uint32_t rows)
{
    const loam__sequence *s = sequence_of(run, item);
    uint32_t left = s->n_target - s->n_computed, room = run->plan->step_tokens - rows;
    return left < room ? left : room;
}

/* Take the blocks that the next rows of an item need, and copy what it goes on in of a shared one.
 */
static loam_status reserve_blocks(loam__run *run, uint32_t slot, uint32_t rows)
{
    const loam__plan *p = run->plan;
    const loam__graph *g = &p->model.graph;
    loam__kv_copy copies[LOAM__KV_GROUPS];
    uint32_t have = run->sequences[slot].n_computed;
    loam_status st = loam__kv_reserve(&run->kv, slot, have, have + rows, copies);
    if (st == LOAM_ERR_FULL) return no_blocks(run, 1); /* for a copy, which was not counted */
    for (uint32_t v = 0; v < g->n_values && st == LOAM_OK; v++) {
        if (g->values[v].kind != LOAM_VALUE_KV) continue;
        const loam__kv_copy *copy = &copies[g->origins[v].group];
        const loam__site *s = loam__plan_site_of(p, &g->values[v]);
        if (copy->from >= 0)
            st = s->backend->copy_row(s->self, &g->values[v], run->arenas[g->values[v].arena],
                                      (uint64_t)copy->from, (uint64_t)copy->to);
    }
    return st;
}

/* The rows of the next step: of each item what is left, while there is room. */
static loam_status fill_step(loam__run *run, const loam__request *q)
{
    uint32_t rows = 0;
    for (size_t i = 0; i < q->n_items; i++) {
        uint32_t slot = loam__slot_of(q->items[i].seq), n = rows_of(run, &q->items[i], rows);
        uint32_t first = run->sequences[slot].n_computed;
        loam_status st = n ? reserve_blocks(run, slot, n) : LOAM_OK;
        if (st != LOAM_OK) return st;
        for (uint32_t j = 0; j < n; j++, rows++) {
            run->step_tokens[rows] = history_of(run, slot)[first + j];
            run->step_tables[rows] = (int32_t)slot;
            run->step_positions[rows] = (int32_t)(first + j);
        }
    }
    run->pending.rows = rows;
    return LOAM_OK;
}

/* Whether a row's logits are wanted: the last of an item, or all that the caller gave. */
static bool wants_logits(const loam__run *run, const loam__request *q, const loam__item *item,
                         uint32_t position)
{
    const loam__sequence *s = sequence_of(run, item);
    if (q->all_logits) return position >= s->n_tokens;
    return item->logits && position + 1 == s->n_target;
}

/* Which rows of the step want logits next, as many as the head takes at once, and where they stand;
 * 0: no more. */
static uint32_t fill_outputs(loam__run *run, const loam__request *q)
{
    uint32_t most = run->plan->model.options.max_outputs, n = 0, wanted = 0, row = 0;
    for (size_t i = 0; i < q->n_items && row < run->pending.rows; i++) {
        uint32_t rows = rows_of(run, &q->items[i], row);
        for (uint32_t end = row + rows; row < end && n < most; row++)
            if (wants_logits(run, q, &q->items[i], (uint32_t)run->step_positions[row]) &&
                wanted++ >= run->pending.outputs_done)
                run->step_outputs[n++] = (int32_t)row;
        if (n == most) break;
    }
    return n;
}

/* Add to the part that an op is of. */
static void took(void *ctx, const char *name, loam_format type, uint64_t ns)
{
    loam__run *run = ctx;
    bool head = run->pending.head;
    uint32_t i = 0;
    while (i < run->n_parts && (run->parts[i].type != type || run->parts[i].head != head ||
                                strcmp(run->parts[i].name, name) != 0))
        i++;
    if (i == LOAM__PROFILE_PARTS) return;
    if (i == run->n_parts)
        run->parts[run->n_parts++] = (loam__profile_part){.name = name, .type = type, .head = head};
    run->parts[i].runs++;
    run->parts[i].ns += ns;
}

static loam_step step_now(loam__run *run, uint32_t n_outputs)
{
    return (loam_step){
        .struct_size = sizeof(loam_step),
        .n_tokens = run->pending.rows,
        .n_outputs = n_outputs,
        .blocks_per_table = run->kv.shape.blocks_per_table,
        .n_tables = run->kv.shape.n_tables,
        .tokens = run->step_tokens,
        .positions = run->step_positions,
        .tables = run->step_tables,
        .output_rows = run->step_outputs,
        .block_tables = run->kv.block_tables,
        .should_stop = should_stop,
        .stop_ctx = run,
        .took = run->profiled ? took : NULL,
        .took_ctx = run,
    };
}

/* Put the logits of the head's rows where they belong: the caller's array, and the sequences' rows.
 */
static loam_status take_logits(loam__run *run, const loam__request *q, uint32_t n_outputs)
{
    const loam__plan *p = run->plan;
    const loam_value *v = &p->model.graph.values[run->logits_value];
    const loam__site *s = loam__plan_site_of(p, v);
    loam_status st = LOAM_OK;
    for (uint32_t j = 0; j < n_outputs && st == LOAM_OK; j++) {
        uint32_t row = (uint32_t)run->step_outputs[j], slot = (uint32_t)run->step_tables[row];
        uint32_t position = (uint32_t)run->step_positions[row];
        const loam__sequence *sequence = &run->sequences[slot];
        uint64_t from = v->offset + j * v->row_bytes;
        if (q->all_logits)
            st = s->backend->download(s->self, run->arenas[v->arena], from,
                                      q->all_logits + (position - sequence->n_tokens) * v->cols,
                                      v->row_bytes);
        if (st == LOAM_OK && position + 1 == sequence->n_target)
            st = s->backend->download(s->self, run->arenas[v->arena], from,
                                      run->logits + slot * v->cols, v->row_bytes);
    }
    return st;
}

/* The step's rows of an activation to another site, without a stop in the host's memory where one
 * of the two lies there. */
static loam_status move_rows(loam__run *run, const loam_value *from, const loam_value *to)
{
    const loam__plan *p = run->plan;
    const loam__site *source = loam__plan_site_of(p, from), *target = loam__plan_site_of(p, to);
    void *out = run->arenas[from->arena], *in = run->arenas[to->arena];
    uint64_t n = from->row_bytes * run->pending.rows;
    char *bytes = run->staging, *ready = source->backend->arena_memory(source->self, out);
    if (ready)
        return target->backend->upload(target->self, in, to->offset, ready + from->offset, n);
    if ((ready = target->backend->arena_memory(target->self, in)))
        return source->backend->download(source->self, out, from->offset, ready + to->offset, n);
    loam_status st = source->backend->download(source->self, out, from->offset, bytes, n);
    return st == LOAM_OK ? target->backend->upload(target->self, in, to->offset, bytes, n) : st;
}

/* What a piece reads of those that ran on other sites. */
static loam_status move_into(loam__run *run, const loam__piece *piece)
{
    const loam__graph *g = &run->plan->model.graph;
    loam_status st = LOAM_OK;
    for (uint32_t i = g->n_values - g->n_copies; i < g->n_values && st == LOAM_OK; i++)
        if (g->values[i].kind == LOAM_VALUE_ACTIVATION &&
            g->origins[i].first == (int32_t)piece->first)
            st = move_rows(run, &g->values[g->origins[i].copy_of], &g->values[i]);
    return st;
}

static loam_status run_piece(loam__run *run, uint32_t n_outputs)
{
    loam_step step = step_now(run, n_outputs);
    const loam__piece *piece = &run->plan->pieces[run->pending.piece];
    const loam__site *s = &run->plan->sites.site[piece->device];
    /* a backend asks between slices, of which a small piece may have one an op */
    if (atomic_load_explicit(run->cancel, memory_order_relaxed)) return LOAM_ERR_CANCELLED;
    loam_status st = run->pending.position ? LOAM_OK : move_into(run, piece);
    if (st == LOAM_OK)
        st = s->backend->run(s->self, run->programs[run->pending.piece], &step,
                             &run->pending.position);
    if (st == LOAM_OK) run->pending.position = 0;
    return st;
}

/* The pieces from the one under way up to `end`. */
static loam_status run_pieces(loam__run *run, uint32_t end, uint32_t n_outputs)
{
    loam_status st = LOAM_OK;
    for (; run->pending.piece < end && st == LOAM_OK; run->pending.piece += st == LOAM_OK)
        st = run_piece(run, n_outputs);
    return st;
}

/* The rows of the step are computed. */
static void advance(loam__run *run)
{
    for (uint32_t i = 0, n; i < run->pending.rows; i += n) {
        uint32_t slot = (uint32_t)run->step_tables[i];
        loam__sequence *s = &run->sequences[slot];
        for (n = 1; i + n < run->pending.rows && run->step_tables[i + n] == (int32_t)slot;)
            n++;
        s->n_computed += n;
        loam__kv_advance(&run->kv, slot, history_of(run, slot), s->n_computed);
    }
    run->tokens_computed += run->pending.rows;
    run->pending.rows = 0;
}

/* One step, or the rest of one: the body over all rows, then the head over those that want logits,
 * some at a time. */
static loam_status run_step(loam__run *run, const loam__request *q)
{
    const loam__plan *p = run->plan;
    loam__pending *now = &run->pending;
    loam_status st;
    if (now->rows == 0) {
        if ((st = fill_step(run, q)) != LOAM_OK) return st;
        now->head = false;
        now->piece = 0;
        now->outputs_done = 0;
    }
    if (!now->head) {
        if ((st = run_pieces(run, p->n_body_pieces, 0)) != LOAM_OK) return st;
        now->head = true;
    }
    for (uint32_t n; (n = fill_outputs(run, q)) > 0; now->outputs_done += n) {
        if ((st = run_pieces(run, p->n_pieces, n)) != LOAM_OK ||
            (st = take_logits(run, q, n)) != LOAM_OK)
            return st;
        now->piece = p->n_body_pieces;
    }
    advance(run);
    return LOAM_OK;
}

static bool is_done(const loam__run *run, const loam__request *q)
{
    for (size_t i = q->n_items; i-- > 0;) {
        const loam__sequence *s = sequence_of(run, &q->items[i]);
        if (s->n_computed < s->n_target) return false;
    }
    return true;
}

loam_status loam__run_compute(loam__run *run, const loam__request *q)
{
    loam_status st = check_request(run, q);
    uint64_t print = fingerprint(q);
    if (st != LOAM_OK) return st;
    if (!run->pending.active || run->pending.fingerprint != print) {
        loam__run_drop_pending(run);
        if ((st = begin(run, q, print)) != LOAM_OK) return st;
    }
    run->deadline_ns = run->budget_ns ? loam__now_ns() + run->budget_ns : 0;
    while (st == LOAM_OK && !is_done(run, q))
        st = run_step(run, q);
    if (st == LOAM_OK) {
        commit(run, q);
    } else if (st == LOAM_ERR_DEADLINE) {
        loam__fail(run->base, st, "the time budget is used up; the same call again goes on");
    } else {
        loam__run_drop_pending(run);
        if (st == LOAM_ERR_CANCELLED) {
            atomic_store(run->cancel, 0);
            loam__fail(run->base, st, "loam_cancel() was called; the sequence is as it was before");
        }
    }
    return st;
}

/* ---- results ---- */

const float *loam__run_logits(loam__run *run, uint32_t slot)
{
    const loam__sequence *s = &run->sequences[slot];
    return s->has_logits ? run->logits + (size_t)slot * run->plan->model.geometry.n_vocab : NULL;
}

loam_status loam__run_sample(loam__run *run, loam_seq seq, loam_token *token)
{
    uint32_t slot;
    loam_status st = loam__run_slot(run, seq, &slot);
    if (st != LOAM_OK) return st;
    loam__sequence *s = &run->sequences[slot];
    const float *logits = loam__run_logits(run, slot);
    if (!logits)
        return loam__fail(run->base, LOAM_ERR_STATE,
                          "sequence %d has no logits; call loam_prefill() or loam_decode() first",
                          seq);
    *token = loam__sampler_choose(&s->sampler, logits, run->plan->model.geometry.n_vocab,
                                  run->history + (size_t)slot * run->plan->context_tokens,
                                  s->n_tokens, run->candidates);
    return LOAM_OK;
}
