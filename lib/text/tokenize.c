/* Text to tokens: special tokens first, then the kind's own way with what lies between them. */
#include "vocab.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static loam_status encode_all(loam__encoder *e, const char *text, size_t n, const uint8_t *typed,
                              bool control)
{
    const loam__vocab *v = e->v;
    loam__special_match match;
    size_t from = 0;
    bool fresh = true;
    while (from < n) {
        bool found = loam__specials_find(v, text, n, from, typed, control, &match);
        uint8_t flags = found ? v->tokens[match.id].flags : 0;
        size_t end = found ? match.at : n;
        if (flags & LOAM__TOKEN_STRIP_LEFT)
            while (end > from && is_space(text[end - 1]))
                end--;
        if (end > from) {
            loam_status st = v->kind->encode(e, text + from, end - from, fresh);
            if (st != LOAM_OK) return st;
        }
        if (!found) break;
        loam__emit(e, match.id);
        fresh = true;
        from = match.at + match.n;
        if (flags & LOAM__TOKEN_STRIP_RIGHT)
            while (from < n && is_space(text[from]))
                from++;
    }
    return LOAM_OK;
}

loam_status loam__tokenize(loam__base *b, const loam__vocab *v, const char *text, size_t n,
                           const uint8_t *typed, uint32_t flags, loam_token *tokens,
                           size_t capacity, size_t *n_tokens)
{
    loam__encoder e;
    bool special = (flags & LOAM_TOKENIZE_SPECIAL) != 0;
    e.base = b;
    e.v = v;
    e.tokens = tokens;
    e.capacity = capacity;
    e.n_tokens = 0;
    e.writing = NULL;
    e.merger = (loam__merger){.base = b};
    e.word = (loam__scratch){e.word_few, sizeof e.word_few, false};
    e.parts = (loam__scratch){e.parts_few, sizeof e.parts_few, false};
    if (!loam__memo_init(&e.memo, b, n)) return LOAM_ERR_NOMEM;
    if (special && v->add_bos && v->bos >= 0) loam__emit(&e, (uint32_t)v->bos);
    loam_status st = encode_all(&e, text, n, typed, (flags & LOAM_TOKENIZE_CONTROL) != 0);
    if (special && v->add_eos && v->eos >= 0) loam__emit(&e, (uint32_t)v->eos);
    loam__memo_free(&e.memo, b);
    loam__merger_free(&e.merger);
    loam__scratch_free(&e.word, b);
    loam__scratch_free(&e.parts, b);
    *n_tokens = st == LOAM_OK ? e.n_tokens : 0;
    return st;
}
