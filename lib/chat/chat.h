/* Chat prompts, by an interpreter of the Jinja subset that chat templates use, and back: from a
 * model's text to a message. */
#ifndef LOAM__CHAT_H
#define LOAM__CHAT_H

#include "lib/base/base.h"

/* Strings that become variables unless the JSON gives them; NULL ends the list. They count as the
 * template's own text. */
typedef struct loam__chat_default {
    const char *name;
    const char *text;
    size_t n;
} loam__chat_default;

/* Render a template. json is an object whose members become variables.
 *
 * defaults  NULL or a list that ends with a NULL name
 * out       the text is added to it
 * typed     NULL, or one byte is added for each byte of the text: 1 where it came out of a string
 * of the JSON, 0 where the template (or a default) wrote it Errors    LOAM_ERR_JSON, TEMPLATE
 * ("line 3: ..."), LIMIT (depth, steps, output), NOMEM */
loam_status loam__template_render(loam__base *b, const char *source, size_t n_source,
                                  const char *json, size_t n_json,
                                  const loam__chat_default *defaults, loam__buf *out,
                                  loam__buf *typed);

/* ---- the way back (reader.c) ---- */

/* For the answer to a request that the template renders. The reader takes b's hooks and keeps
 * nothing else; *out is made on LOAM_OK only. */
loam_status loam__reader_new(loam__base *b, const char *source, size_t n_source,
                             const char *request, size_t n_request,
                             const loam__chat_default *defaults, loam_reader **out);
void loam__reader_free(loam_reader *r); /* NULL is fine */

/* Read more text, or its end. Events of before are gone. */
loam_status loam__reader_push(loam_reader *r, const char *text, size_t n);
loam_status loam__reader_end(loam_reader *r);

/* The oldest event that was not taken; LOAM_READ_NONE: there is none. */
void loam__reader_next(loam_reader *r, loam_read_event *event);
loam_status loam__reader_message(loam_reader *r, loam__buf *out);

loam__base *loam__reader_base(const loam_reader *r);

#endif
