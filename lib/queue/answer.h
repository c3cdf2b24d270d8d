/* The text of an answer as it comes: whole characters, and nothing that may still become a stop
 * string. */
#ifndef LOAM__ANSWER_H
#define LOAM__ANSWER_H

#include "lib/text/text.h"

typedef struct loam__stop {
    uint32_t at, n;   /* its bytes, in stop_text */
    uint32_t matched; /* how many of them the text ends with */
} loam__stop;

typedef struct loam__answer {
    loam_stream stream;
    loam__stop *stops;
    uint32_t n_stops;
    char *stop_text;    /* [stop_bytes] */
    uint32_t *failures; /* [stop_bytes] the tables of the search */
    char *text;         /* [loam__answer_bytes()] of which what is given out comes first */
    uint32_t capacity, n_given, n_text;
} loam__answer;

/* Some of its text, which the next push overwrites. */
typedef struct loam__span {
    const char *p;
    uint32_t n;
} loam__span;

/* Room for the text of an answer with stop strings of so many bytes together. */
size_t loam__answer_bytes(const loam__vocab *v, uint32_t stop_bytes);

/* Begin anew; the places of the arrays, and capacity, stay. flags: LOAM_DETOKENIZE_*. */
void loam__answer_begin(loam__answer *a, uint32_t flags);
/* Add a stop string; the caller has seen that there is room, and that n is at least 1. */
void loam__answer_add_stop(loam__answer *a, const char *text, uint32_t n);
/* Add a token; false: a stop string is complete, and *given the last of the text. */
bool loam__answer_push(loam__answer *a, const loam__vocab *v, loam_token token, loam__span *given);
/* What was held back; nothing is pushed after it. */
loam__span loam__answer_end(loam__answer *a, const loam__vocab *v);

#endif
