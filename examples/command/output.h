/* What the verbs print with: errors, JSON, sizes, and text that is safe to show on a terminal. */
#ifndef LOAM_COMMAND_OUTPUT_H
#define LOAM_COMMAND_OUTPUT_H

#include <jansson.h>
#include <loam/loam.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* "loam: sentence" to stderr; returns EXIT_FAILED. */
__attribute__((format(printf, 1, 2))) int complain(const char *format, ...);

/* ---- growing buffers; the command ends with a message when there is no memory ---- */

typedef struct text {
    char *p;
    size_t n, capacity;
} text;

typedef struct ids {
    loam_token *p;
    size_t n, capacity;
} ids;

typedef struct texts {
    const char **p; /* borrowed */
    size_t n, capacity;
} texts;

/* Make room for capacity items; false if there was room already. A call that says LOAM_ERR_BUFFER
 * is repeated as long as this makes room for what it asked for. */
bool text_reserve(text *t, size_t capacity);
void text_add(text *t, const char *p, size_t n);
void text_free(text *t);

bool ids_reserve(ids *list, size_t capacity);
void ids_add(ids *list, loam_token id);
void ids_free(ids *list);

void texts_add(texts *list, const char *given);
void texts_free(texts *list);

void *must(void *p); /* p, or the end of the command when it is NULL */

/* ---- text ---- */

/* Add n bytes as valid UTF-8: what is broken becomes U+FFFD. */
void text_add_valid(text *t, const char *p, size_t n);

/* Print bytes of unknown origin on one line: valid UTF-8, control characters escaped. */
void print_clean(FILE *f, const char *p, size_t n);

/* "98.9 MiB" */
const char *size_words(uint64_t bytes, char words[24]);

/* ---- JSON ---- */

void put(json_t *object, const char *key, json_t *value); /* value is given */
void append(json_t *array, json_t *value);                /* value is given */
void put_count(json_t *object, const char *key, uint64_t n);
json_t *json_text(const char *p, size_t n); /* any bytes, made valid */
json_t *json_ids(const ids *list);
json_t *json_speed(double items, double seconds); /* items a second, 0.0 where nothing was done */
void print_json(json_t *value);                   /* on one line; value is given */

/* ---- time ---- */

double seconds_now(void);

#endif
