#include "queue.h"

#include <string.h>

#include "lib/base/utf8.h"
#include "schedule.h"

#define DEFAULT_REQUESTS   256u
#define DEFAULT_STOP_BYTES 256u
#define MOST_REQUESTS      (1u << 20)
#define MOST_STOP_BYTES    (1u << 16)

/* ---- making ---- */

static loam_status check_options(loam__queue *q)
{
    const loam__plan *p = q->run->plan;
    loam_queue_options *o = &q->options;
    if (o->flags)
        return loam__fail(q->run->base, LOAM_ERR_NEWER,
                          "queue: flags 0x%x are unknown to this version", o->flags);
    if (o->requests > MOST_REQUESTS || o->stop_bytes > MOST_STOP_BYTES)
        return loam__fail(q->run->base, LOAM_ERR_ARG,
                          "queue: %u requests with %u bytes of stop strings; at most %u and %u",
                          o->requests, o->stop_bytes, MOST_REQUESTS, MOST_STOP_BYTES);
    if (o->request_tokens > p->context_tokens || o->step_tokens > p->step_tokens)
        return loam__fail(q->run->base, LOAM_ERR_ARG,
                          "queue: request_tokens is %u and step_tokens %u; the handle was loaded "
                          "with a context of %u and steps of %u",
                          o->request_tokens, o->step_tokens, p->context_tokens, p->step_tokens);
    if (o->requests == 0) o->requests = DEFAULT_REQUESTS;
    if (o->stop_bytes == 0) o->stop_bytes = DEFAULT_STOP_BYTES;
    if (o->request_tokens == 0) o->request_tokens = p->context_tokens;
    if (o->step_tokens == 0) o->step_tokens = p->step_tokens;
    if (o->step_tokens < p->sequences) o->step_tokens = p->sequences;
    return LOAM_OK;
}

/* Take the place of an array; sizes that do not fit stick at the largest, for which there is no
 * memory. */
static size_t place(size_t *bytes, size_t count, size_t size)
{
    size_t at = *bytes, n;
    if (!loam__mul_size(count, size, &n) || !loam__add_size(at, n, &n) ||
        n > SIZE_MAX - 2 * LOAM__ALIGN)
        *bytes = SIZE_MAX - LOAM__ALIGN;
    else *bytes = (size_t)loam__align_up(n);
    return at;
}

static loam_status allocate(loam__queue *q)
{
    const size_t requests = q->options.requests, sequences = q->run->plan->sequences;
    const size_t stop_bytes = q->options.stop_bytes, request_tokens = q->options.request_tokens;
    const size_t text_bytes = loam__answer_bytes(q->vocab, q->options.stop_bytes);
    size_t bytes = 0;
    const size_t entries = place(&bytes, requests, sizeof *q->entries);
    const size_t lists = place(&bytes, 2 * requests + 2 * sequences, sizeof *q->waiting);
    const size_t items = place(&bytes, sequences, sizeof *q->items);
    const size_t events = place(&bytes, requests + sequences, sizeof *q->events);
    const size_t stops = place(&bytes, requests, LOAM_QUEUE_STOPS * sizeof(loam__stop));
    const size_t failures = place(&bytes, requests, stop_bytes * sizeof(uint32_t));
    const size_t tokens = place(&bytes, requests, request_tokens * sizeof(loam_token));
    const size_t stop_text = place(&bytes, requests, stop_bytes);
    const size_t text = place(&bytes, requests, text_bytes);
    char *memory = q->memory = loam__alloc_aligned(q->run->base, bytes, LOAM__ALIGN);
    if (!memory) return LOAM_ERR_NOMEM;
    q->entries = (void *)(memory + entries);
    q->free = (void *)(memory + lists);
    q->waiting = q->free + requests;
    q->running = q->waiting + requests;
    q->stepping = q->running + sequences;
    q->items = (void *)(memory + items);
    q->events = (void *)(memory + events);
    q->max_events = (uint32_t)(requests + sequences);
    for (size_t i = 0; i < requests; i++) {
        loam__entry *entry = q->free[i] = &q->entries[requests - 1 - i];
        entry->tokens = (loam_token *)(void *)(memory + tokens) + i * request_tokens;
        entry->answer = (loam__answer){
            .stops = (loam__stop *)(void *)(memory + stops) + i * LOAM_QUEUE_STOPS,
            .stop_text = memory + stop_text + i * stop_bytes,
            .failures = (uint32_t *)(void *)(memory + failures) + i * stop_bytes,
            .text = memory + text + i * text_bytes,
            .capacity = (uint32_t)text_bytes,
        };
    }
    q->n_free = (uint32_t)requests;
    return LOAM_OK;
}

loam_status loam__queue_new(loam__run *run, const loam__vocab *vocab,
                            const loam_queue_options *options, loam__queue *q)
{
    *q = (loam__queue){.run = run, .vocab = vocab, .options = *options};
    loam_status st = check_options(q);
    return st != LOAM_OK ? st : allocate(q);
}

void loam__queue_free(loam__queue *q)
{
    if (!q->run) return;
    while (q->n_running > 0)
        loam__schedule_remove(q, q->running[0]);
    loam__free(q->run->base, q->memory);
    *q = (loam__queue){0};
}

/* ---- events ---- */

static void add_event(loam__queue *q, loam__queue_event event)
{
    q->events[(q->first_event + q->n_events++) % q->max_events] = event;
}

/* End an entry, which is in no list any more. */
static void end_entry(loam__queue *q, loam__entry *entry, int32_t reason, loam_token token)
{
    entry->state = LOAM__ENTRY_ENDED;
    entry->finish = reason;
    add_event(q, (loam__queue_event){.entry = entry,
                                     .kind = LOAM_EVENT_FINISHED,
                                     .token = token,
                                     .text = loam__answer_end(&entry->answer, q->vocab)});
}

static void finish(loam__queue *q, loam__entry *entry, int32_t reason, loam_token token)
{
    loam__schedule_remove(q, entry);
    end_entry(q, entry, reason, token);
}

void loam__queue_next(loam__queue *q, loam_queue_event *event)
{
    if (q->n_events == 0) return;
    const loam__queue_event *e = &q->events[q->first_event];
    loam__entry *entry = e->entry;
    q->first_event = (q->first_event + 1) % q->max_events;
    q->n_events--;
    *event = (loam_queue_event){
        .kind = e->kind,
        .request = entry->id,
        .tag = entry->tag,
        .text = e->text.p,
        .text_bytes = e->text.n,
        .token = e->token,
        .prompt_tokens = entry->n_prompt,
        .shared_tokens = entry->n_shared,
        .answer_tokens = entry->n_tokens - entry->n_prompt,
        .suspensions = entry->n_suspended,
    };
    if (e->kind != LOAM_EVENT_FINISHED) return;
    event->finish = entry->finish;
    event->status = entry->status;
    entry->state = LOAM__ENTRY_FREE;
    q->free[q->n_free++] = entry;
}

void loam__queue_stats(const loam__queue *q, loam_queue_stats *stats)
{
    *stats = (loam_queue_stats){
        .running = q->n_running,
        .waiting = q->n_waiting,
        .most_running = q->most_running,
        .steps = q->steps,
        .computed_tokens = q->computed,
        .shared_tokens = q->shared,
        .answer_tokens = q->answered,
        .suspensions = q->suspensions,
    };
    uint32_t block = q->run->kv.shape.block_tokens;
    for (uint32_t i = 0; i < q->n_running; i++) {
        uint32_t n = q->run->sequences[loam__slot_of(q->running[i]->seq)].n_computed;
        stats->unused_cells += loam__blocks_for(n, block) * block - n;
    }
}

/* ---- submit and cancel ---- */

static loam_status check_stops(const loam__queue *q, const loam_submission *s)
{
    size_t left = q->options.stop_bytes;
    if (s->n_stops > LOAM_QUEUE_STOPS)
        return loam__fail(q->run->base, LOAM_ERR_ARG, "%zu stop strings; at most %d", s->n_stops,
                          LOAM_QUEUE_STOPS);
    for (size_t i = 0; i < s->n_stops; i++) {
        if (!s->stops || !s->stop_bytes || !s->stops[i] || s->stop_bytes[i] == 0)
            return loam__fail(q->run->base, LOAM_ERR_ARG, "stop string %zu is NULL or empty", i);
        if (s->stop_bytes[i] > left)
            return loam__fail(q->run->base, LOAM_ERR_ARG,
                              "the stop strings have more than the %u bytes of the queue's "
                              "options.stop_bytes",
                              q->options.stop_bytes);
        left -= s->stop_bytes[i];
        if (loam__utf8_valid(s->stops[i], s->stop_bytes[i]) != s->stop_bytes[i])
            return loam__fail(q->run->base, LOAM_ERR_ARG, "stop string %zu is not UTF-8", i);
    }
    return LOAM_OK;
}

static loam_status check_submission(const loam__queue *q, const loam_submission *s)
{
    uint32_t most = q->options.request_tokens;
    loam_status st;
    if (s->flags & ~(uint32_t)(LOAM_SUBMIT_IGNORE_END | LOAM_SUBMIT_SKIP_CONTROL))
        return loam__fail(q->run->base, LOAM_ERR_NEWER,
                          "submission: flags 0x%x are unknown to this version", s->flags);
    if (!s->tokens || s->n_tokens == 0)
        return loam__fail(q->run->base, LOAM_ERR_ARG, "the prompt is NULL or empty");
    if (s->n_tokens >= most || s->max_tokens > most - s->n_tokens)
        return loam__fail(q->run->base, LOAM_ERR_ARG,
                          "%zu tokens of prompt and %u of answer do not fit into the %u of one "
                          "request; shorten one or open the queue with more request_tokens",
                          s->n_tokens, s->max_tokens ? s->max_tokens : 1, most);
    if ((st = loam__run_check_tokens(q->run, s->tokens, s->n_tokens)) != LOAM_OK) return st;
    return check_stops(q, s);
}

loam_status loam__queue_submit(loam__queue *q, const loam_submission *s, const loam__sampler *how,
                               uint64_t *id)
{
    loam_status st = check_submission(q, s);
    if (st != LOAM_OK) return st;
    if (q->n_free == 0)
        return loam__fail(q->run->base, LOAM_ERR_FULL,
                          "the queue holds %u requests already; take events, or submit later",
                          q->options.requests);
    loam__entry *entry = q->free[--q->n_free];
    *entry = (loam__entry){
        .id = ++q->n_submitted * q->options.requests + (uint64_t)(entry - q->entries),
        .tag = s->tag,
        .priority = s->priority,
        .flags = s->flags,
        .n_prompt = (uint32_t)s->n_tokens,
        .n_tokens = (uint32_t)s->n_tokens,
        .most_tokens =
            s->max_tokens ? (uint32_t)s->n_tokens + s->max_tokens : q->options.request_tokens,
        .tokens = entry->tokens,
        .sampler = *how,
        .answer = entry->answer,
    };
    memcpy(entry->tokens, s->tokens, s->n_tokens * sizeof *s->tokens);
    loam__answer_begin(&entry->answer, s->flags & LOAM_SUBMIT_SKIP_CONTROL
                                           ? (uint32_t)LOAM_DETOKENIZE_SKIP_CONTROL
                                           : 0);
    for (size_t i = 0; i < s->n_stops; i++)
        loam__answer_add_stop(&entry->answer, s->stops[i], (uint32_t)s->stop_bytes[i]);
    loam__line_add(q, entry);
    *id = entry->id;
    return LOAM_OK;
}

loam_status loam__queue_cancel(loam__queue *q, uint64_t id)
{
    loam__entry *entry = &q->entries[id % q->options.requests];
    bool waits = entry->state == LOAM__ENTRY_WAITS, runs = entry->state == LOAM__ENTRY_RUNS;
    if (entry->id != id || (!waits && !runs))
        return loam__fail(q->run->base, LOAM_ERR_ARG, "no request of the number %llu waits or runs",
                          (unsigned long long)id);
    if (waits) loam__line_remove(q, entry);
    else loam__schedule_remove(q, entry);
    end_entry(q, entry, LOAM_FINISH_CANCELLED, -1);
    return LOAM_OK;
}

/* ---- steps ---- */

static bool ends(const loam__queue *q, const loam__entry *entry, loam_token token)
{
    return !(entry->flags & LOAM_SUBMIT_IGNORE_END) &&
           (uint32_t)token < loam__vocab_size(q->vocab) && loam__vocab_is_end(q->vocab, token);
}

/* Choose the next token of an entry whose logits are there. */
static void answer(loam__queue *q, loam__entry *entry)
{
    loam__run *run = q->run;
    loam__queue_event event = {.entry = entry, .kind = LOAM_EVENT_TOKEN};
    const float *logits = loam__run_logits(run, loam__slot_of(entry->seq));
    event.token = loam__sampler_choose(&entry->sampler, logits, run->plan->model.geometry.n_vocab,
                                       entry->tokens, entry->n_tokens, run->candidates);
    if (ends(q, entry, event.token)) {
        finish(q, entry, LOAM_FINISH_END, event.token);
        return;
    }
    entry->tokens[entry->n_tokens++] = event.token;
    q->answered++;
    bool goes_on = loam__answer_push(&entry->answer, q->vocab, event.token, &event.text);
    add_event(q, event);
    if (!goes_on) finish(q, entry, LOAM_FINISH_STOP, -1);
    else if (entry->n_tokens == entry->most_tokens) finish(q, entry, LOAM_FINISH_LENGTH, -1);
}

static void fail_all(loam__queue *q, loam_status st)
{
    while (q->n_running > 0) {
        q->running[0]->status = st;
        finish(q, q->running[0], LOAM_FINISH_ERROR, -1);
    }
    while (q->n_waiting > 0) {
        loam__entry *entry = q->waiting[0];
        loam__line_remove(q, entry);
        entry->status = st;
        end_entry(q, entry, LOAM_FINISH_ERROR, -1);
    }
}

/* The items of a step that its deadline interrupted stay while that can be gone on with. */
static loam_status choose_items(loam__queue *q)
{
    const loam__pending *pending = &q->run->pending;
    if (q->in_step && pending->active && pending->fingerprint == q->print) return LOAM_OK;
    loam__schedule(q);
    if (q->n_items > 0 || q->n_waiting == 0) return LOAM_OK;
    return loam__fail(q->run->base, LOAM_ERR_FULL,
                      "no request can start: of the handle's %u sequences or its KV blocks too few "
                      "are free; close sequences that are not the queue's",
                      q->run->plan->sequences);
}

loam_status loam__queue_step(loam__queue *q)
{
    loam__run *run = q->run;
    if (q->n_events > 0)
        return loam__fail(run->base, LOAM_ERR_STATE,
                          "%u events have not been taken; call loam_queue_next() until there is "
                          "none before the next step",
                          q->n_events);
    loam_status st = choose_items(q);
    if (st != LOAM_OK || q->n_items == 0) return st;
    uint64_t computed = run->tokens_computed;
    st = loam__run_compute(run, &(loam__request){.items = q->items, .n_items = q->n_items});
    q->computed += run->tokens_computed - computed;
    q->in_step = st == LOAM_ERR_DEADLINE;
    q->print = run->pending.fingerprint;
    if (st == LOAM_ERR_DEVICE) fail_all(q, st);
    if (st != LOAM_OK) return st;
    q->steps++;
    for (uint32_t i = 0; i < q->n_items; i++)
        if (q->items[i].logits) answer(q, q->stepping[i]);
    return LOAM_OK;
}
