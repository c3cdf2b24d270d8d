#include "output.h"
#include "command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int complain(const char *format, ...)
{
    char sentence[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    fflush(stdout);
    fputs("loam: ", stderr);
    print_clean(stderr, sentence, strlen(sentence));
    fputc('\n', stderr);
    return EXIT_FAILED;
}

/* ---- growing buffers ---- */

void *must(void *p)
{
    if (p) return p;
    fputs("loam: out of memory\n", stderr);
    exit(EXIT_FAILED);
}

/* Room for at least `wanted` items, and half as much again as before, so that adding one by one
 * stays cheap. */
static bool grow(void **p, size_t *capacity, size_t wanted, size_t item_bytes)
{
    size_t n = *capacity + *capacity / 2;
    if (wanted <= *capacity) return false;
    if (n < wanted) n = wanted;
    if (n < 256) n = 256;
    *p = must(n <= SIZE_MAX / item_bytes ? realloc(*p, n * item_bytes) : NULL);
    *capacity = n;
    return true;
}

bool text_reserve(text *t, size_t capacity)
{
    void *p = t->p;
    bool grown = grow(&p, &t->capacity, capacity, 1);
    t->p = p;
    return grown;
}

void text_add(text *t, const char *p, size_t n)
{
    text_reserve(t, t->n + n);
    if (n) memcpy(t->p + t->n, p, n);
    t->n += n;
}

void text_free(text *t)
{
    free(t->p);
    *t = (text){0};
}

bool ids_reserve(ids *list, size_t capacity)
{
    void *p = list->p;
    bool grown = grow(&p, &list->capacity, capacity, sizeof *list->p);
    list->p = p;
    return grown;
}

void ids_add(ids *list, loam_token id)
{
    ids_reserve(list, list->n + 1);
    list->p[list->n++] = id;
}

void ids_free(ids *list)
{
    free(list->p);
    *list = (ids){0};
}

void texts_add(texts *list, const char *given)
{
    void *p = list->p;
    grow(&p, &list->capacity, list->n + 1, sizeof *list->p);
    list->p = p;
    list->p[list->n++] = given;
}

void texts_free(texts *list)
{
    free(list->p);
    *list = (texts){0};
}

/* ---- text ---- */

/* The bytes of the UTF-8 character at p, or 0 if there is none; then *broken is how many bytes one
 * U+FFFD stands for (the longest beginning of a character: Unicode 15, section 3.9, table 3-7). */
static size_t utf8_character(const unsigned char *p, size_t n, size_t *broken)
{
    unsigned char low = 0x80, high = 0xBF;
    size_t need;

    *broken = 1;
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4) return 0;
    need = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (p[0] == 0xE0) low = 0xA0;  /* overlong */
    if (p[0] == 0xED) high = 0x9F; /* surrogates */
    if (p[0] == 0xF0) low = 0x90;  /* overlong */
    if (p[0] == 0xF4) high = 0x8F; /* beyond U+10FFFF */
    for (size_t i = 1; i < need; i++) {
        if (i >= n || p[i] < low || p[i] > high) return 0;
        *broken = i + 1;
        low = 0x80;
        high = 0xBF;
    }
    return need;
}

void text_add_valid(text *t, const char *p, size_t n)
{
    size_t i = 0, step, broken;

    while (i < n) {
        step = utf8_character((const unsigned char *)p + i, n - i, &broken);
        if (step) text_add(t, p + i, step);
        else text_add(t, "\xEF\xBF\xBD", 3);
        i += step ? step : broken;
    }
}

/* C0, DEL, and C1 (U+0080 to U+009F), which terminals obey too. */
static bool is_control(const unsigned char *p, size_t step)
{
    return (step == 1 && (p[0] < 0x20 || p[0] == 0x7F)) ||
           (step == 2 && p[0] == 0xC2 && p[1] < 0xA0);
}

void print_clean(FILE *f, const char *p, size_t n)
{
    size_t i = 0, step, broken;

    while (i < n) {
        const unsigned char *c = (const unsigned char *)p + i;
        step = utf8_character(c, n - i, &broken);
        if (!step) fputs("\xEF\xBF\xBD", f);
        else if (c[0] == '\n') fputs("\\n", f);
        else if (c[0] == '\t') fputs("\\t", f);
        else if (is_control(c, step)) fprintf(f, "\\x%02X", step == 1 ? c[0] : c[1]);
        else fwrite(c, 1, step, f);
        i += step ? step : broken;
    }
}

const char *size_words(uint64_t bytes, char words[24])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        snprintf(words, 24, "%" PRIu64 " B", bytes);
        return words;
    }
    for (; value >= 1023.95 && unit + 1 < COUNT(units); unit++)
        value /= 1024;
    snprintf(words, 24, "%.1f %s", value, units[unit]);
    return words;
}

/* ---- JSON ---- */

void put(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, must(value)) != 0) must(NULL);
}

void append(json_t *array, json_t *value)
{
    if (json_array_append_new(array, must(value)) != 0) must(NULL);
}

void put_count(json_t *object, const char *key, uint64_t n)
{
    put(object, key, n <= INT64_MAX ? json_integer((json_int_t)n) : json_real((double)n));
}

json_t *json_text(const char *p, size_t n)
{
    text valid = {0};
    json_t *value;

    text_add_valid(&valid, p, n);
    value = must(json_stringn(valid.n ? valid.p : "", valid.n));
    text_free(&valid);
    return value;
}

json_t *json_ids(const ids *list)
{
    json_t *array = must(json_array());
    for (size_t i = 0; i < list->n; i++)
        if (json_array_append_new(array, must(json_integer(list->p[i]))) != 0) must(NULL);
    return array;
}

json_t *json_speed(double items, double seconds)
{
    return json_real(items > 0 && seconds > 0 ? items / seconds : 0.0);
}

void print_json(json_t *value)
{
    /* 15 digits: every decimal of that length survives as it is written, 0.1 as 0.1 */
    char *line = must(json_dumps(value, JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY));
    puts(line);
    fflush(stdout);
    free(line);
    json_decref(value);
}

/* ---- time ---- */

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}
