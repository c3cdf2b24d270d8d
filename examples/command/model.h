/* Models and prompts, for the verbs that load one. */
#ifndef LOAM_COMMAND_MODEL_H
#define LOAM_COMMAND_MODEL_H

#include "options.h"
#include "output.h"

/* The library's options, with the common ones and a log sink to stderr in them. c and hooks: kept
 * by the caller until the model is open. READ_ON, or the exit status. */
int model_options(common *c, loam_hooks *hooks, loam_options *options);

/* Load a model, or complain and leave NULL. */
loam *model_open(const char *path, const loam_options *options);

/* Complain with the model's last failure; returns EXIT_FAILED. */
int model_complain(const loam *m);

/* The variables that every chat template may expect, with these messages (borrowed). */
json_t *chat_request(json_t *messages);
json_t *chat_message(const char *role, const char *content, size_t n);

/* Text to tokens, and a conversation to tokens; the tokens replace those in the list. */
loam_status tokenize_text(loam *m, const char *string, size_t n, uint32_t flags, ids *tokens);
loam_status tokenize_chat(loam *m, json_t *messages, ids *tokens);

/* A reader for the answer to messages (borrowed); and the message that it has read. */
loam_status reader_open(loam *m, json_t *messages, loam_reader **reader);
json_t *reader_message(loam_reader *reader);

#endif
