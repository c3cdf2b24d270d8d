/* SentencePiece's precompiled normalizer map (Kudo and Richardson 2018): a double-array tree (Aoe
 * 1989, in the units of Darts-clone) from texts to what they are replaced by. Nothing in it is
 * trusted. */
#ifndef LOAM__TEXT_CHARSMAP_H
#define LOAM__TEXT_CHARSMAP_H

#include "lib/base/base.h"

/* Longer texts are not replaced, nor are any by longer ones: a made-up map stays quick. */
#define LOAM__CHARSMAP_KEY_MAX  64u
#define LOAM__CHARSMAP_TEXT_MAX 255u

typedef struct loam__charsmap {
    const uint8_t *units; /* n_units numbers of four bytes, little-endian */
    uint32_t n_units;
    const char *texts; /* each ends in NUL */
    size_t n_texts;
} loam__charsmap;

/* False: these bytes are no map. No bytes are one that replaces nothing. */
bool loam__charsmap_open(loam__charsmap *map, const uint8_t *bytes, size_t n);
/* The longest text at the start of p that is replaced: its length, and by what. 0: there is none.
 */
size_t loam__charsmap_find(const loam__charsmap *map, const char *p, size_t n, const char **text,
                           size_t *n_text);
/* Whether it may replace something that starts with these bytes. */
bool loam__charsmap_starts(const loam__charsmap *map, const char *p, size_t n);

#endif
