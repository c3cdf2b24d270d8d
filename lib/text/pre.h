/* Pre-tokenizers: how text is cut into words before byte-level BPE. Patterns are data; PCRE2 runs
 * them. */
#ifndef LOAM__TEXT_PRE_H
#define LOAM__TEXT_PRE_H

#include "lib/base/base.h"

#define LOAM__PATTERNS_MAX 6

enum {
    LOAM__PRE_WHOLE_WORDS = 1,  /* a word that is a token becomes it, whatever the merges say */
    LOAM__PRE_ADD_BOS = 2,      /* unless the file says otherwise */
    LOAM__PRE_CLEAN_SPACES = 4, /* the decoder removes spaces in front of punctuation */
    LOAM__PRE_CHARACTERS = 8,   /* words start as characters, spelled as in SentencePiece */
    LOAM__PRE_LINE_SPACES = 16, /* and each line with a space */
    LOAM__PRE_NO_SPACES = 32    /* white space is left out, and case too if the file says so */
};

/* Each pattern cuts the pieces of the one before it into its matches and what lies between them. */
typedef struct loam__pre {
    const char *names; /* of tokenizer.ggml.pre, with spaces around each */
    uint32_t flags;
    const char *patterns[LOAM__PATTERNS_MAX]; /* NULL ends the list */
} loam__pre;

/* pre_table.c. NULL: no such name. */
const loam__pre *loam__pre_find(const char *name, size_t n);
const loam__pre *loam__pre_default(void);

/* The compiled patterns; read-only afterwards. */
typedef struct loam__patterns loam__patterns;

loam_status loam__patterns_new(loam__base *b, const loam__pre *pre, loam__patterns **out);
void loam__patterns_free(loam__patterns *p); /* NULL is fine */

typedef loam_status (*loam__word_fn)(void *ctx, const char *word, size_t n);

/* Give the words of text to fn, one after the other and all of its bytes. Bytes that are not UTF-8
 * stand apart: each run of them is a word. Memory is b's, for the duration of the call. */
loam_status loam__patterns_split(const loam__patterns *p, loam__base *b, const char *text, size_t n,
                                 loam__word_fn fn, void *ctx);

#endif
