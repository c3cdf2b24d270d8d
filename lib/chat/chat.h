/* Chat prompts: an interpreter of the Jinja subset that chat templates use. */
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

#endif
