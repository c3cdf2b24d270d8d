/* Tokens and chat prompts: check the arguments, lock, call, set the error. */
#include <string.h>

#include "handle.h"
#include "lib/chat/chat.h"

/* NULL is fine for what is empty. */
static loam_status check(loam *m, const void *in, size_t n, const void *out, size_t capacity,
                         const size_t *n_out)
{
    if (!m) return LOAM_ERR_ARG;
    if ((!in && n) || (!out && capacity) || !n_out)
        return loam__fail(&m->base, LOAM_ERR_ARG,
                          "an input, a buffer or the place for its size is NULL");
    return LOAM_OK;
}

loam_status loam_tokenize(loam *m, const char *text, size_t n, uint32_t flags, loam_token *tokens,
                          size_t capacity, size_t *n_tokens)
{
    loam_status st = check(m, text, n, tokens, capacity, n_tokens);
    if (st != LOAM_OK) return st;
    if (flags & ~(uint32_t)(LOAM_TOKENIZE_SPECIAL | LOAM_TOKENIZE_CONTROL))
        return loam__fail(&m->base, LOAM_ERR_ARG, "tokenize flags 0x%x are unknown to this version",
                          flags);
    if ((st = loam__enter(m, false)) != LOAM_OK) return st;
    st = loam__tokenize(&m->base, m->vocab, text, n, NULL, flags, tokens, capacity, n_tokens);
    return loam__leave(m, st != LOAM_OK ? st : loam__fits(&m->base, *n_tokens, capacity));
}

static loam_status check_ids(loam *m, const loam_token *tokens, size_t n)
{
    uint32_t size = loam__vocab_size(m->vocab);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= size)
            return loam__fail(&m->base, LOAM_ERR_TOKEN,
                              "token %zu is %d; the vocabulary has ids 0 to %u", i, tokens[i],
                              size - 1);
    return LOAM_OK;
}

loam_status loam_detokenize(loam *m, const loam_token *tokens, size_t n, uint32_t flags, char *text,
                            size_t capacity, size_t *n_bytes)
{
    loam_status st = check(m, tokens, n, text, capacity, n_bytes);
    if (st != LOAM_OK) return st;
    if (flags & ~(uint32_t)LOAM_DETOKENIZE_SKIP_CONTROL)
        return loam__fail(&m->base, LOAM_ERR_ARG,
                          "detokenize flags 0x%x are unknown to this version", flags);
    if ((st = loam__enter(m, false)) != LOAM_OK) return st;
    if ((st = check_ids(m, tokens, n)) == LOAM_OK) {
        loam__detokenize(m->vocab, tokens, n, flags, text, capacity, n_bytes);
        st = loam__fits(&m->base, *n_bytes, capacity);
    }
    return loam__leave(m, st);
}

loam_status loam_token_text(loam *m, loam_token token, char *text, size_t capacity, size_t *n_bytes)
{
    loam_status st = check(m, NULL, 0, text, capacity, n_bytes);
    size_t n;
    if (st != LOAM_OK || (st = loam__enter(m, false)) != LOAM_OK) return st;
    if ((st = check_ids(m, &token, 1)) == LOAM_OK) {
        const char *bytes = loam__token_bytes(m->vocab, token, 0, &n);
        st = loam__give(&m->base, bytes, n, 1, text, capacity, n_bytes);
    }
    return loam__leave(m, st);
}

loam_status loam_stream_push(loam *m, loam_stream *stream, loam_token token, char *text,
                             size_t capacity, size_t *n_bytes)
{
    loam_stream known;
    loam_status st = check(m, stream, 1, text, capacity, n_bytes);
    if (st != LOAM_OK) return st;
    st = loam__options_read(&known, sizeof known, LOAM__UP_TO(loam_stream, held), stream);
    if (st == LOAM_OK && (stream->n_held >= sizeof stream->held ||
                          (stream->flags & ~(uint32_t)LOAM_DETOKENIZE_SKIP_CONTROL)))
        st = LOAM_ERR_ARG;
    if (st != LOAM_OK)
        return loam__fail(&m->base, st,
                          "the stream is not one of this version; call loam_stream_init() first");
    if ((st = loam__enter(m, false)) != LOAM_OK) return st;
    if (token != -1) st = check_ids(m, &token, 1);
    if (st == LOAM_OK && !loam__stream_push(m->vocab, stream, token, text, capacity, n_bytes))
        st = loam__fits(&m->base, *n_bytes, capacity);
    return loam__leave(m, st);
}

int32_t loam_token_is_end(loam *m, loam_token token)
{
    if (!m || !m->vocab || token < 0 || (uint32_t)token >= loam__vocab_size(m->vocab)) return 0;
    return loam__vocab_is_end(m->vocab, token);
}

/* ---- chat ---- */

loam_status loam__chat_template(loam *m, loam__chat_default defaults[3])
{
    const char *const names[] = {"bos_token", "eos_token"};
    const loam_token ids[] = {loam__vocab_bos(m->vocab), loam__vocab_eos(m->vocab)};
    if (!m->chat_template)
        return loam__fail(
            &m->base, LOAM_ERR_TEMPLATE,
            "the file has no chat template (tokenizer.chat_template); build the prompt yourself");
    memset(defaults, 0, 3 * sizeof *defaults);
    for (int i = 0; i < 2; i++) {
        defaults[i].name = names[i];
        defaults[i].text = "";
        if (ids[i] >= 0) defaults[i].text = loam__vocab_spelling(m->vocab, ids[i], &defaults[i].n);
    }
    return LOAM_OK;
}

static loam_status render(loam *m, const char *request, size_t n, loam__buf *out, loam__buf *typed)
{
    loam__chat_default defaults[3];
    loam_status st = loam__chat_template(m, defaults);
    if (st != LOAM_OK) return st;
    return loam__template_render(&m->base, m->chat_template, m->n_chat_template, request, n,
                                 defaults, out, typed);
}

loam_status loam_chat_render(loam *m, const char *request, size_t n, char *text, size_t capacity,
                             size_t *n_bytes)
{
    loam__buf out;
    loam_status st = check(m, request, n, text, capacity, n_bytes);
    if (st != LOAM_OK || (st = loam__enter(m, false)) != LOAM_OK) return st;
    loam__buf_init(&out, &m->base, 0);
    st = render(m, request, n, &out, NULL);
    if (st == LOAM_OK) st = loam__give(&m->base, out.p, out.n, 1, text, capacity, n_bytes);
    loam__buf_free(&out);
    return loam__leave(m, st);
}

loam_status loam_chat_tokenize(loam *m, const char *request, size_t n, loam_token *tokens,
                               size_t capacity, size_t *n_tokens)
{
    loam__buf out, typed;
    loam_status st = check(m, request, n, tokens, capacity, n_tokens);
    if (st != LOAM_OK || (st = loam__enter(m, false)) != LOAM_OK) return st;
    loam__buf_init(&out, &m->base, 0);
    loam__buf_init(&typed, &m->base, 0);
    st = render(m, request, n, &out, &typed);
    if (st == LOAM_OK)
        st = loam__tokenize(&m->base, m->vocab, out.p, out.n, (const uint8_t *)typed.p,
                            LOAM_TOKENIZE_CONTROL, tokens, capacity, n_tokens);
    if (st == LOAM_OK) st = loam__fits(&m->base, *n_tokens, capacity);
    loam__buf_free(&out);
    loam__buf_free(&typed);
    return loam__leave(m, st);
}

void loam__tell(const loam__base *b, loam_status st, char *error, size_t capacity)
{
    if (!error || !capacity) return;
    size_t n = st == LOAM_OK ? 0 : strlen(b->error);
    if (n >= capacity) n = capacity - 1;
    memcpy(error, b->error, n);
    error[n] = 0;
}

loam_status loam_template_render(const char *source, size_t n_source, const char *variables,
                                 size_t n_variables, const loam_hooks *hooks, char *text,
                                 size_t capacity, size_t *n_bytes, char *error,
                                 size_t error_capacity)
{
    loam__base b;
    loam__buf out;
    loam_status st = loam__base_init(&b, hooks);
    loam__buf_init(&out, &b, 0);
    if (st == LOAM_OK &&
        ((!source && n_source) || (!variables && n_variables) || (!text && capacity) || !n_bytes))
        st = loam__fail(&b, LOAM_ERR_ARG, "an input, a buffer or the place for its size is NULL");
    if (st == LOAM_OK)
        st = loam__template_render(&b, source, n_source, variables, n_variables, NULL, &out, NULL);
    if (st == LOAM_OK) st = loam__give(&b, out.p, out.n, 1, text, capacity, n_bytes);
    loam__buf_free(&out);
    loam__tell(&b, st, error, error_capacity);
    return st;
}
