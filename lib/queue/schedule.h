/* Inside the queue: the line in which entries wait, and which of them go into a step. */
#ifndef LOAM__SCHEDULE_H
#define LOAM__SCHEDULE_H

#include "queue.h"

/* ---- line.c ---- */

/* Whether a is in front of b: by priority, then as they came. */
static inline bool loam__entry_before(const loam__entry *a, const loam__entry *b)
{
    return a->priority > b->priority || (a->priority == b->priority && a->id < b->id);
}

void loam__line_add(loam__queue *q, loam__entry *entry);
void loam__line_remove(loam__queue *q, loam__entry *entry);

/* ---- schedule.c ---- */

/* Choose the items of the next step; none if nothing can run. */
void loam__schedule(loam__queue *q);
/* Take a running entry out; its sequence closes. */
void loam__schedule_remove(loam__queue *q, loam__entry *entry);

#endif
