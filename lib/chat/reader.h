/* From a model's text back to a message: content, reasoning and tool calls, as the text comes in.
 */
#ifndef LOAM__CHAT_READER_H
#define LOAM__CHAT_READER_H

#include "chat.h"

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
