/* Readers of models' text: check the arguments, call, set the error. */
#include <string.h>

#include "handle.h"

/* A reader may outlive the handle: its memory is the host's, and not of the handle's account. */
static loam_status open_beside(loam *m, const char *request, size_t n,
                               const loam__chat_default *defaults, loam_reader **reader)
{
    loam__base b;
    loam_hooks hooks = m->base.hooks;
    hooks.alloc = m->account.alloc;
    hooks.alloc_ctx = m->account.ctx;
    loam_status st = loam__base_init(&b, &hooks);
    if (st == LOAM_OK)
        st = loam__reader_new(&b, m->chat_template, m->n_chat_template, request, n, defaults,
                              reader);
    return st == LOAM_OK ? st : loam__fail(&m->base, st, "%s", b.error);
}

loam_status loam_reader_open(loam *m, const char *request, size_t n, loam_reader **reader)
{
    loam__chat_default defaults[3];
    if (reader) *reader = NULL;
    if (!m) return LOAM_ERR_ARG;
    if (!reader || (!request && n))
        return loam__fail(&m->base, LOAM_ERR_ARG,
                          "the request or the place for the reader is NULL");
    loam_status st = loam__enter(m, false);
    if (st != LOAM_OK) return st;
    if ((st = loam__chat_template(m, defaults)) == LOAM_OK)
        st = open_beside(m, request, n, defaults, reader);
    return loam__leave(m, st);
}

loam_status loam_reader_open_source(const char *source, size_t n_source, const char *request,
                                    size_t n, const loam_hooks *hooks, loam_reader **reader,
                                    char *error, size_t error_capacity)
{
    loam__base b;
    loam_status st = loam__base_init(&b, hooks);
    if (reader) *reader = NULL;
    if (st == LOAM_OK && ((!source && n_source) || (!request && n) || !reader))
        st = loam__fail(&b, LOAM_ERR_ARG,
                        "the template, the request or the place for the reader is NULL");
    if (st == LOAM_OK) st = loam__reader_new(&b, source, n_source, request, n, NULL, reader);
    loam__tell(&b, st, error, error_capacity);
    return st;
}

void loam_reader_close(loam_reader *reader)
{
    loam__reader_free(reader);
}

loam_status loam_reader_push(loam_reader *reader, const char *text, size_t n)
{
    if (!reader) return LOAM_ERR_ARG;
    if (!text && n) return loam__fail(loam__reader_base(reader), LOAM_ERR_ARG, "the text is NULL");
    return loam__reader_push(reader, text, n);
}

loam_status loam_reader_end(loam_reader *reader)
{
    return reader ? loam__reader_end(reader) : LOAM_ERR_ARG;
}

loam_status loam_reader_next(loam_reader *reader, loam_read_event *event)
{
    const size_t oldest = LOAM__UP_TO(loam_read_event, reserved);
    loam_read_event e = {0};
    if (!reader) return LOAM_ERR_ARG;
    loam__base *b = loam__reader_base(reader);
    if (!event) return loam__fail(b, LOAM_ERR_ARG, "the place for the event is NULL");
    loam_status st = loam__options_write(event, oldest, &e, sizeof e);
    if (st != LOAM_OK)
        return loam__fail(b, st,
                          "event: struct_size is not of this version; call "
                          "loam_read_event_init() first");
    loam__reader_next(reader, &e);
    return loam__options_write(event, oldest, &e, sizeof e);
}

loam_status loam_reader_message(loam_reader *reader, char *json, size_t capacity, size_t *n)
{
    loam__buf out;
    if (!reader) return LOAM_ERR_ARG;
    loam__base *b = loam__reader_base(reader);
    if ((!json && capacity) || !n)
        return loam__fail(b, LOAM_ERR_ARG, "the buffer or the place for its size is NULL");
    loam__buf_init(&out, b, 0);
    loam_status st = loam__reader_message(reader, &out);
    if (st == LOAM_OK) st = loam__give(b, out.p, out.n, 1, json, capacity, n);
    loam__buf_free(&out);
    return st;
}

const char *loam_reader_error(const loam_reader *reader)
{
    return reader ? loam__reader_base(reader)->error : "the reader is NULL";
}
