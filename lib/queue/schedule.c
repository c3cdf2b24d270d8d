#include "schedule.h"

#include <string.h>

static loam__sequence *sequence_of(const loam__queue *q, const loam__entry *entry)
{
    return &q->run->sequences[loam__slot_of(entry->seq)];
}

/* Tokens that have no cells yet; at least 1. */
static uint32_t missing(const loam__queue *q, const loam__entry *entry)
{
    return entry->n_tokens - sequence_of(q, entry)->n_tokens;
}

/* Blocks that an entry lacks to have the first n of its tokens computed. */
static uint32_t blocks_to(const loam__queue *q, const loam__entry *entry, uint32_t n)
{
    return loam__kv_needed(&q->run->kv, loam__slot_of(entry->seq), n);
}

/* ---- who runs ---- */

static void start(loam__queue *q, loam__entry *entry)
{
    uint32_t at = q->n_running++;
    loam__line_remove(q, entry);
    entry->state = LOAM__ENTRY_RUNS;
    for (; at > 0 && loam__entry_before(entry, q->running[at - 1]); at--)
        q->running[at] = q->running[at - 1];
    q->running[at] = entry;
    if (q->n_running > q->most_running) q->most_running = q->n_running;
}

void loam__schedule_remove(loam__queue *q, loam__entry *entry)
{
    uint32_t at = 0, slot;
    while (q->running[at] != entry)
        at++;
    memmove(q->running + at, q->running + at + 1, (--q->n_running - at) * sizeof *q->running);
    if (loam__run_slot(q->run, entry->seq, &slot) == LOAM_OK)
        loam__run_close_seq(q->run, entry->seq);
    q->in_step = false;
}

static void suspend(loam__queue *q, loam__entry *entry)
{
    loam__schedule_remove(q, entry);
    loam__line_add(q, entry);
    entry->n_suspended++;
    q->suspensions++;
}

/* Whether an entry's sequence still holds the first of its tokens and nothing else. */
static bool is_sound(const loam__queue *q, const loam__entry *entry)
{
    uint32_t slot;
    if (loam__run_slot(q->run, entry->seq, &slot) != LOAM_OK) return false;
    uint32_t n = q->run->sequences[slot].n_tokens;
    const loam_token *history = q->run->history + (size_t)slot * q->run->plan->context_tokens;
    return n < entry->n_tokens && memcmp(history, entry->tokens, n * sizeof *history) == 0;
}

/* Take what the cache has of an entry's tokens by now, but for the last, whose logits are wanted.
 */
static uint32_t share(loam__queue *q, loam__entry *entry)
{
    uint32_t slot = loam__slot_of(entry->seq);
    return loam__run_share_seq(q->run, slot, entry->tokens, entry->n_tokens - 1);
}

static void note_shared(loam__queue *q, loam__entry *entry, uint32_t n)
{
    if (entry->n_suspended == 0) entry->n_shared += n; /* then it finds what it computed itself */
    q->shared += n;
    q->run->tokens_shared += n;
}

/* Bring the running ones in order after what others did to the handle. */
static void refresh(loam__queue *q)
{
    loam__run_drop_pending(q->run);
    for (uint32_t i = q->n_running; i-- > 0;) {
        loam__entry *entry = q->running[i];
        if (!is_sound(q, entry)) {
            suspend(q, entry);
            continue;
        }
        const loam__sequence *s = sequence_of(q, entry);
        if (s->n_computed < s->n_tokens) loam__run_truncate_seq(q->run, entry->seq, s->n_computed);
        note_shared(q, entry, share(q, entry));
    }
}

/* ---- room ---- */

/* Suspend from the end of the line until those that only miss one token can go on. */
static void make_room(loam__queue *q)
{
    uint64_t needed = 0;
    for (uint32_t i = 0; i < q->n_running; i++)
        if (missing(q, q->running[i]) == 1)
            needed += blocks_to(q, q->running[i], q->running[i]->n_tokens);
    while (q->n_running > 0 && needed > loam__kv_available(&q->run->kv)) {
        loam__entry *last = q->running[q->n_running - 1];
        if (missing(q, last) == 1) needed -= blocks_to(q, last, last->n_tokens);
        suspend(q, last);
    }
}

static bool has_free_slot(const loam__run *run)
{
    for (uint32_t i = 0; i < run->plan->sequences; i++)
        if (!run->sequences[i].open) return true;
    return false;
}

/* Start the first in line if there are blocks for its tokens beside those that the running ones
 * still lack for theirs, and one more for each of these. */
static bool admit_first(loam__queue *q)
{
    loam__entry *entry = q->waiting[0];
    uint64_t needed = q->n_running;
    if (!has_free_slot(q->run) || loam__run_open_seq(q->run, &entry->seq) != LOAM_OK) return false;
    uint32_t shared = share(q, entry);
    for (uint32_t i = 0; i < q->n_running; i++)
        needed += blocks_to(q, q->running[i], q->running[i]->n_tokens);
    if (needed + blocks_to(q, entry, entry->n_tokens) > loam__kv_available(&q->run->kv)) {
        loam__run_close_seq(q->run, entry->seq);
        return false;
    }
    note_shared(q, entry, shared);
    start(q, entry);
    return true;
}

/* ---- the step ---- */

typedef struct step_room {
    uint32_t rows;
    uint64_t blocks;
} step_room;

static void add_item(loam__queue *q, loam__entry *entry, uint32_t rows, step_room *room)
{
    uint32_t had = sequence_of(q, entry)->n_tokens;
    room->rows -= rows;
    room->blocks -= blocks_to(q, entry, had + rows);
    q->stepping[q->n_items] = entry;
    q->items[q->n_items++] = (loam__item){.seq = entry->seq,
                                          .tokens = entry->tokens + had,
                                          .n = rows,
                                          .logits = had + rows == entry->n_tokens};
}

/* Whether an entry's next block is being computed in this step already, for one that begins alike:
 * the entry finds it in the cache in the next step. */
static bool is_under_way(const loam__queue *q, const loam__entry *entry)
{
    const uint32_t block = q->run->kv.shape.block_tokens;
    uint32_t had = sequence_of(q, entry)->n_tokens, end = had + block;
    if (!q->run->kv.shape.share || had % block || end >= entry->n_tokens) return false;
    for (uint32_t i = 0; i < q->n_items; i++) {
        const loam__entry *other = q->stepping[i];
        uint32_t first = sequence_of(q, other)->n_tokens;
        if (first / block == had / block && first + q->items[i].n >= end &&
            memcmp(other->tokens, entry->tokens, end * sizeof *entry->tokens) == 0)
            return true;
    }
    return false;
}

/* How many rows of an entry go into what is left of the step. */
static uint32_t piece_of(const loam__queue *q, const loam__entry *entry, const step_room *room)
{
    const uint32_t block = q->run->kv.shape.block_tokens;
    uint32_t had = sequence_of(q, entry)->n_tokens, rows = missing(q, entry);
    uint32_t end = had + (rows < room->rows ? rows : room->rows);
    while (end > had && blocks_to(q, entry, end) > room->blocks)
        end = (end - 1) / block * block;
    return end > had ? end - had : 0;
}

static void fill_items(loam__queue *q)
{
    step_room room = {q->options.step_tokens, loam__kv_available(&q->run->kv)};
    q->n_items = 0;
    for (uint32_t i = 0; i < q->n_running; i++)
        if (missing(q, q->running[i]) == 1) add_item(q, q->running[i], 1, &room);
    for (uint32_t i = 0; i < q->n_running && room.rows > 0; i++) {
        loam__entry *entry = q->running[i];
        if (missing(q, entry) == 1 || is_under_way(q, entry)) continue;
        uint32_t rows = piece_of(q, entry, &room);
        if (rows > 0) add_item(q, entry, rows, &room);
    }
}

void loam__schedule(loam__queue *q)
{
    uint64_t before = q->suspensions;
    refresh(q);
    make_room(q);
    if (q->suspensions == before || q->n_running == 0)
        while (q->n_waiting > 0 && admit_first(q)) {
        }
    fill_items(q);
    while (q->n_items == 0 && q->n_running > 0) { /* pieces of prompts hold all blocks */
        suspend(q, q->running[q->n_running - 1]);
        fill_items(q);
    }
}
