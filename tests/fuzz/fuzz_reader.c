/* libFuzzer target: a template, a request and a model's text, zero bytes between them. Where the
 * text is cut must not matter. */
#include <stdlib.h>
#include <string.h>

#include "lib/chat/chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds) abort();
}

/* Up to the next zero byte. */
static const char *part(const uint8_t **data, size_t *size, size_t *n)
{
    const uint8_t *from = *data, *zero = *size ? memchr(from, 0, *size) : NULL;
    *n = zero ? (size_t)(zero - from) : *size;
    *data = zero ? zero + 1 : from + *n;
    *size -= zero ? *n + 1 : *n;
    return (const char *)from;
}

/* The events must add up to what the message has. */
static void count(loam_reader *r, size_t *n)
{
    for (;;) {
        loam_read_event e = {0};
        loam__reader_next(r, &e);
        if (e.kind == LOAM_READ_NONE) return;
        require(e.kind == LOAM_READ_CALL || e.text_bytes > 0);
        *n += e.text_bytes;
    }
}

static void read_in(size_t step, loam_reader *r, const char *text, size_t n, loam__buf *message)
{
    size_t told = 0;
    for (size_t i = 0; i < n; i += step) {
        require(loam__reader_push(r, text + i, n - i < step ? n - i : step) == LOAM_OK);
        count(r, &told);
    }
    require(loam__reader_end(r) == LOAM_OK);
    count(r, &told);
    require(loam__reader_message(r, message) == LOAM_OK && message->n > 0);
    loam__reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n_source, n_request, n_text;
    const char *source = part(&data, &size, &n_source);
    const char *request = part(&data, &size, &n_request);
    const char *text = part(&data, &size, &n_text);
    const size_t steps[] = {n_text ? n_text : 1, 1, 7};
    loam__buf messages[3];
    loam__base b;
    require(loam__base_init(&b, NULL) == LOAM_OK);
    for (int i = 0; i < 3; i++) {
        loam_reader *r = NULL;
        loam__buf_init(&messages[i], &b, 0);
        loam_status st = loam__reader_new(&b, source, n_source, request, n_request, NULL, &r);
        require((st == LOAM_OK) == (r != NULL) && (st == LOAM_OK || b.error[0]));
        if (st == LOAM_OK) read_in(steps[i], r, text, n_text, &messages[i]);
        require(messages[i].n == messages[0].n &&
                memcmp(messages[i].p ? messages[i].p : "", messages[0].p ? messages[0].p : "",
                       messages[0].n) == 0);
    }
    for (int i = 0; i < 3; i++)
        loam__buf_free(&messages[i]);
    return 0;
}
