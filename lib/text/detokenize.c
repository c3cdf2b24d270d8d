/* Tokens to text: whole lists as the bytes they stand for, streams as whole UTF-8 characters. */
#include <string.h>

#include "lib/base/utf8.h"
#include "vocab.h"

const char *loam__token_bytes(const loam__vocab *v, loam_token token, uint32_t flags, size_t *n)
{
    const loam__token_info *t = &v->tokens[token];
    bool control = t->type == LOAM__TOKEN_CONTROL || t->type == LOAM__TOKEN_UNKNOWN;
    bool silent =
        t->type == LOAM__TOKEN_UNUSED || (control && (flags & LOAM_DETOKENIZE_SKIP_CONTROL));
    *n = silent ? 0 : t->n;
    return t->bytes;
}

void loam__detokenize(const loam__vocab *v, const loam_token *tokens, size_t n, uint32_t flags,
                      char *text, size_t capacity, size_t *n_bytes)
{
    loam__cleaner cleaner = {.out = {text, capacity, 0}};
    bool start = v->space_prefix; /* the tokenizer put a space in front; the text did not have it */
    for (size_t i = 0; i < n; i++) {
        size_t m;
        const char *p = loam__token_bytes(v, tokens[i], flags, &m);
        size_t skip = start && m > 0 && p[0] == ' ';
        if (m > 0 || !(flags & LOAM_DETOKENIZE_SKIP_CONTROL)) start = false;
        for (size_t k = skip; k < m; k++) {
            if (v->clean_spaces) loam__clean_push(&cleaner, p[k]);
            else loam__sink_add(&cleaner.out, p[k]);
        }
    }
    loam__clean_end(&cleaner);
    *n_bytes = cleaner.out.n;
}

/* Write the whole characters of the first n bytes of held and then p; what is left, at most 3
 * bytes, goes to rest. */
static size_t whole_characters(const loam_stream *held, const char *p, size_t n, bool end,
                               loam__sink *out, uint8_t rest[4])
{
    size_t first = held->n_held, total = first + n, at = 0;
    while (at < total) {
        char window[4];
        size_t m = total - at < sizeof window ? total - at : sizeof window;
        for (size_t i = 0; i < m; i++)
            window[i] = at + i < first ? (char)held->held[at + i] : p[at + i - first];
        loam__utf8_state state;
        size_t step = loam__utf8_scan(window, m, &state);
        if (state == LOAM__UTF8_CUT && !end) {
            memcpy(rest, window, step);
            return step;
        }
        bool whole = state == LOAM__UTF8_WHOLE;
        const char *from = whole ? window : "\xEF\xBF\xBD";
        for (size_t i = 0; i < (whole ? step : 3); i++)
            loam__sink_add(out, from[i]);
        at += step;
    }
    return 0;
}

bool loam__stream_push(const loam__vocab *v, loam_stream *stream, loam_token token, char *text,
                       size_t capacity, size_t *n_bytes)
{
    loam__sink out = {text, capacity, 0};
    loam_stream held = *stream;
    uint8_t rest[4] = {0};
    size_t n = 0;
    const char *p = token < 0 ? "" : loam__token_bytes(v, token, stream->flags, &n);
    if (held.n_held > 3) held.n_held = 3; /* the caller's struct: never more */
    size_t left = whole_characters(&held, p, n, token < 0, &out, rest);
    *n_bytes = out.n;
    if (out.n > capacity) return false;
    stream->n_held = (uint32_t)left;
    memcpy(stream->held, rest, sizeof rest);
    return true;
}
