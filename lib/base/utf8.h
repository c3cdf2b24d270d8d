/* UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF (Unicode, table 3-7).
 */
#ifndef LOAM__UTF8_H
#define LOAM__UTF8_H

#include <stddef.h>
#include <stdint.h>

typedef enum loam__utf8_state {
    LOAM__UTF8_WHOLE,  /* a character */
    LOAM__UTF8_BROKEN, /* a maximal subpart of an ill-formed sequence: one U+FFFD stands for it */
    LOAM__UTF8_CUT     /* the text ends inside what may still become a character */
} loam__utf8_state;

/* How many bytes (1 to 4) the character or the broken part at p takes; n is at least 1. */
size_t loam__utf8_scan(const char *p, size_t n, loam__utf8_state *state);

/* Length of the valid text at the start of p, which may be 0. */
size_t loam__utf8_valid(const char *p, size_t n);

#endif
