/* What string methods and the filters of the same names share. Private to lib/chat. Each gives NULL
 * if the vm failed. */
#ifndef LOAM__CHAT_STRINGS_H
#define LOAM__CHAT_STRINGS_H

#include "unicode.h"
#include "value.h"

typedef enum letter_case {
    ALL_LOWER,
    ALL_UPPER,
    ALL_FOLDED,
    SWAPPED,
    CAPITAL,
    WORD_CAPITALS
} letter_case;
text *loam__text_case(vm *m, const text *t, letter_case how);

enum { STRIP_LEFT = 1, STRIP_RIGHT = 2 };
text *loam__text_strip(vm *m, const text *t, const text *chars,
                       int sides); /* chars NULL: white space */
text *loam__text_replace(vm *m, const text *t, const text *old, const text *new,
                         int64_t count); /* -1: all */

enum { PAD_LEFT = 1, PAD_RIGHT = 2 };
text *loam__text_pad(vm *m, text *t, int64_t width, const text *fill,
                     int sides); /* fill NULL: spaces */

/* sep NULL: runs of white space. max: how many splits, -1: all. */
list *loam__text_split(vm *m, const text *t, const text *sep, int64_t max);
list *loam__text_split_right(vm *m, const text *t, const text *sep, int64_t max);
list *loam__text_lines(vm *m, const text *t, bool keep_ends);
bool loam__text_all(const text *t, bool (*is)(int32_t)); /* and at least one */

#endif
