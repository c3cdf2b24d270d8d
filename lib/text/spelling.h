/* How SentencePiece and its kin spell tokens: U+2581 for a space, <0x0A> for a byte. */
#ifndef LOAM__TEXT_SPELLING_H
#define LOAM__TEXT_SPELLING_H

#include "vocab.h"

#define LOAM__SPACE       "\xE2\x96\x81" /* U+2581 */
#define LOAM__SPACE_BYTES 3u

/* Whether U+2581 is the first of n bytes at p. */
static inline bool loam__is_space(const char *p, size_t n)
{
    return n >= LOAM__SPACE_BYTES && p[0] == LOAM__SPACE[0] && p[1] == LOAM__SPACE[1] &&
           p[2] == LOAM__SPACE[2];
}

/* What a hexadecimal digit stands for, or -1. */
int loam__hex_digit(char c);

/* Unicode's White_Space. */
bool loam__is_white(int32_t c);

/* Tokens that are not spelled as their bytes get these. bytes: the token that stands for each byte,
 * or LOAM__NO_ID. spaces: U+2581 is one. */
void loam__decode_spellings(loam__vocab *v, uint32_t bytes[256], bool spaces);
/* Whether a token that ordinary text may become has U+2581 behind a character that ends in a byte.
 * Where none has, a word ends: no token reaches over that place. */
void loam__find_spaces(const loam__vocab *v, bool before_space[256]);

#endif
