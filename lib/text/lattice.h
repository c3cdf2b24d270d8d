/* All ways to cut a text into the tokens of a tree, and the best of them (Viterbi 1967): the one
 * with the highest sum of scores. */
#ifndef LOAM__TEXT_LATTICE_H
#define LOAM__TEXT_LATTICE_H

#include "vocab.h"

/* The best way to get to a place: the last token and its length. Once all is known: the token that
 * leaves it. */
typedef struct loam__step {
    double score; /* of all tokens up to here */
    uint32_t id;  /* LOAM__NO_ID: an unknown character */
    uint32_t length;
} loam__step;

typedef struct loam__lattice {
    loam__encoder *e;
    const loam__trie *trie; /* with scores */
    /* Gets the tokens one after the other; id LOAM__NO_ID: an unknown character of n bytes. */
    void (*emit)(struct loam__lattice *l, uint32_t id, const char *p, size_t n);
    double unknown;     /* the score of a character */
    bool longest_first; /* of ways that are equally good, not the one with the longest last token */
    bool was_unknown;   /* for the owner */
    loam__step *steps;  /* steps[i]: to the byte i behind where this stretch starts */
    size_t n, room;
    bool tied; /* several ways to a place are equally good */
} loam__lattice;

/* Cut a text. Linear in n. */
loam_status loam__lattice_cut(loam__lattice *l, const char *text, size_t n);

#endif
