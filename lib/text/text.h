/* Text in and out: Unicode, pre-tokenizers, tokenizers, and a detokenizer that never splits a UTF-8
 * character. */
#ifndef LOAM__TEXT_H
#define LOAM__TEXT_H

#include "lib/base/base.h"
#include "lib/gguf/gguf.h"

typedef struct loam__vocab loam__vocab;

/* The vocabulary of a container as far as its counts tell: of what kind and how large. Quick, and
 * enough for a plan. g must outlive it. b is used for this call's errors and kept for freeing.
 * Errors: LOAM_ERR_TOKENIZER (missing, contradictory, or a kind that is not supported), NOMEM,
 * LIMIT. */
loam_status loam__vocab_new(loam__base *b, const loam__gguf *g, loam__vocab **out);
/* The bytes that loam__vocab_fill() will allocate, as the hook sees them. */
size_t loam__vocab_bytes(const loam__vocab *v);
/* Read its tokens, once: only then is there text to give or take. Allocates one block, and nothing
 * in passing. Errors: LOAM_ERR_TOKENIZER (made to be slow, or a broken table), NOMEM. */
loam_status loam__vocab_fill(loam__base *b, loam__vocab *v);
void loam__vocab_free(loam__vocab *v); /* NULL is fine */

uint32_t loam__vocab_size(const loam__vocab *v);
loam_token loam__vocab_bos(const loam__vocab *v); /* -1: none */
loam_token loam__vocab_eos(const loam__vocab *v);
bool loam__vocab_is_end(const loam__vocab *v, loam_token token);

/* The token as the file spells it (not yet bytes): for templates' bos_token and for display. */
const char *loam__vocab_spelling(const loam__vocab *v, loam_token token, size_t *n);

/* Text to tokens. A vocabulary is read-only here: many threads may tokenize with it, each with its
 * own b (errors and temporary memory). typed: NULL, or one byte for each byte of text, nonzero
 * where a user typed it: no control token is read there even with LOAM_TOKENIZE_CONTROL. Stores at
 * most capacity tokens, and how many there are in *n_tokens; the caller turns *n_tokens > capacity
 * into LOAM_ERR_BUFFER. Linear in n up to a logarithm, whatever the text. */
loam_status loam__tokenize(loam__base *b, const loam__vocab *v, const char *text, size_t n,
                           const uint8_t *typed, uint32_t flags, loam_token *tokens,
                           size_t capacity, size_t *n_tokens);

/* The bytes of one token alone, in the vocabulary; token is valid. */
const char *loam__token_bytes(const loam__vocab *v, loam_token token, uint32_t flags, size_t *n);

/* See loam_detokenize(); the caller has checked the ids. Stores at most capacity bytes, *n_bytes
 * how many there are. */
void loam__detokenize(const loam__vocab *v, const loam_token *tokens, size_t n, uint32_t flags,
                      char *text, size_t capacity, size_t *n_bytes);

/* See loam_stream_push(); token is valid or -1. False: too small, *n_bytes says what is needed,
 * nothing has changed. */
bool loam__stream_push(const loam__vocab *v, loam_stream *stream, loam_token token, char *text,
                       size_t capacity, size_t *n_bytes);

#endif
