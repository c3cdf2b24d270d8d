#include "model.h"
#include "command.h"

#include <stdlib.h>
#include <string.h>

static void log_line(void *ctx, int32_t level, const char *line)
{
    (void)ctx;
    if (level <= LOAM_LOG_WARN) complain("%s", line);
}

int model_options(common *c, loam_hooks *hooks, loam_options *options)
{
    loam_hooks_init(hooks);
    hooks->log = log_line;
    loam_options_init(options);
    options->hooks = hooks;
    return common_apply(c, options);
}

loam *model_open(const char *path, const loam_options *options)
{
    loam *m = NULL;
    if (loam_load(path, options, &m) == LOAM_OK) return m;
    model_complain(m);
    loam_free(m);
    return NULL;
}

int model_complain(const loam *m)
{
    return complain("%s", loam_error(m));
}

json_t *chat_message(const char *role, const char *content, size_t n)
{
    json_t *message = must(json_object());
    put(message, "role", json_string(role));
    put(message, "content", json_text(content, n));
    return message;
}

json_t *chat_request(json_t *messages)
{
    json_t *request = must(json_object());
    put(request, "messages", json_incref(messages));
    put(request, "tools", json_null());
    put(request, "documents", json_null());
    put(request, "add_generation_prompt", json_true());
    return request;
}

loam_status tokenize_text(loam *m, const char *string, size_t n, uint32_t flags, ids *tokens)
{
    loam_status status;
    do
        status = loam_tokenize(m, string, n, flags, tokens->p, tokens->capacity, &tokens->n);
    while (status == LOAM_ERR_BUFFER && ids_reserve(tokens, tokens->n));
    return status;
}

loam_status tokenize_chat(loam *m, json_t *messages, ids *tokens)
{
    json_t *variables = chat_request(messages);
    char *request = must(json_dumps(variables, JSON_COMPACT));
    size_t n = strlen(request); /* JSON escapes U+0000 */
    loam_status status;

    do
        status = loam_chat_tokenize(m, request, n, tokens->p, tokens->capacity, &tokens->n);
    while (status == LOAM_ERR_BUFFER && ids_reserve(tokens, tokens->n));
    free(request);
    json_decref(variables);
    return status;
}

loam_status reader_open(loam *m, json_t *messages, loam_reader **reader)
{
    json_t *variables = chat_request(messages);
    char *request = must(json_dumps(variables, JSON_COMPACT));
    loam_status status = loam_reader_open(m, request, strlen(request), reader);

    free(request);
    json_decref(variables);
    return status;
}

json_t *reader_message(loam_reader *reader)
{
    text json = {0};
    json_t *message;

    text_reserve(&json, 256);
    while (loam_reader_message(reader, json.p, json.capacity, &json.n) == LOAM_ERR_BUFFER)
        text_reserve(&json, json.n);
    message = must(json_loadb(json.p, json.n, JSON_ALLOW_NUL, NULL));
    text_free(&json);
    return message;
}
