/* Where the time of prefill and of decode goes: the model's profile, between marks. */
#ifndef LOAM_COMMAND_OPS_H
#define LOAM_COMMAND_OPS_H

#include "output.h"

typedef enum phase {
    PHASE_PREFILL, /* its count: tokens */
    PHASE_DECODE,  /* its count: steps */
    PHASES,
} phase;

typedef struct ops {
    struct ops_row *rows; /* the parts of the profile, by their numbers */
    size_t n;
    double seconds[PHASES]; /* in all, with what no part has */
    uint64_t count[PHASES];
} ops;

/* Between a mark and what is added afterwards the phase ran, and nothing else on the model. */
void ops_mark(ops *o, loam *m);
void ops_add(ops *o, loam *m, phase which, double seconds, uint64_t count);

void ops_print(ops *o); /* sorts the rows, so nothing can be added any more */
json_t *ops_json(ops *o);
void ops_free(ops *o);

#endif
