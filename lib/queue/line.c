/* The line of waiting entries: a heap, in which each knows its place. */
#include "schedule.h"

static void put(loam__queue *q, uint32_t place, loam__entry *entry)
{
    q->waiting[place] = entry;
    entry->place = place;
}

/* Put an entry at a place or above it. */
static void rise(loam__queue *q, uint32_t place, loam__entry *entry)
{
    for (uint32_t up; place > 0; place = up) {
        up = (place - 1) / 2;
        if (!loam__entry_before(entry, q->waiting[up])) break;
        put(q, place, q->waiting[up]);
    }
    put(q, place, entry);
}

/* Put an entry at a place or below it. */
static void sink(loam__queue *q, uint32_t place, loam__entry *entry)
{
    for (uint32_t down; (down = 2 * place + 1) < q->n_waiting; place = down) {
        if (down + 1 < q->n_waiting && loam__entry_before(q->waiting[down + 1], q->waiting[down]))
            down++;
        if (!loam__entry_before(q->waiting[down], entry)) break;
        put(q, place, q->waiting[down]);
    }
    put(q, place, entry);
}

void loam__line_add(loam__queue *q, loam__entry *entry)
{
    entry->state = LOAM__ENTRY_WAITS;
    rise(q, q->n_waiting++, entry);
}

void loam__line_remove(loam__queue *q, loam__entry *entry)
{
    loam__entry *last = q->waiting[--q->n_waiting];
    if (last == entry) return;
    if (loam__entry_before(last, entry)) rise(q, entry->place, last);
    else sink(q, entry->place, last);
}
