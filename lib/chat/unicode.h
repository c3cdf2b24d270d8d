/* Code points: reading them and what Python says of them. Private to lib/chat. */
#ifndef LOAM__CHAT_UNICODE_H
#define LOAM__CHAT_UNICODE_H

#include "vm.h"

/* Length in bytes of the code point at p, n > 0 bytes left; a byte that is not UTF-8 counts as
 * U+FFFD. */
size_t loam__point(const char *p, size_t n, int32_t *point);
size_t loam__point_back(const char *p, size_t n, int32_t *point); /* the last one of n > 0 bytes */

bool loam__is_space(int32_t c);
bool loam__is_line_end(int32_t c);
bool loam__is_printable(int32_t c);
bool loam__is_alpha(int32_t c);
bool loam__is_decimal(int32_t c);
bool loam__is_digit(int32_t c);
bool loam__is_numeric(int32_t c);
bool loam__is_alnum(int32_t c);
bool loam__is_lower(int32_t c);
bool loam__is_upper(int32_t c); /* title case counts */

/* The full mapping: up to 3 code points; the number is returned. */
typedef enum case_map { CASE_LOWER, CASE_UPPER, CASE_TITLE, CASE_FOLD } case_map;
size_t loam__map_case(int32_t c, case_map to, int32_t out[3]);

#endif
