/* Numbers and their digits, exact and without the host's locale. Private to lib/chat. */
#ifndef LOAM__CHAT_NUMBER_H
#define LOAM__CHAT_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLOAT_TEXT = 32, FIXED_TEXT = 512 };

/* Digits '0' to '9' as an integer, times ten to the exponent: the nearest double, ties to even; may
 * be infinite. */
double loam__from_decimal(const char *digits, size_t n, int64_t exponent);

/* A number as Python's int() and float() read it, spaces around it and underscores inside it
 * allowed. False: it is not one, or (of an int) it does not fit. base: 2 to 36, or 0 to go by the
 * prefix. */
bool loam__read_int(const char *p, size_t n, int base, int64_t *out);
bool loam__read_float(const char *p, size_t n, double *out);

/* Python's repr(): the shortest digits that are this number and no other. The length is returned.
 */
size_t loam__float_text(double f, char out[FLOAT_TEXT]);

/* As printf's %.*f, %.*e and %.*g, with a point in any locale; precision at most 100. */
size_t loam__float_printf(double f, char kind, int precision, bool alternate, char out[FIXED_TEXT]);

/* Python's round(f, digits). */
double loam__float_round(double f, int digits);

#endif
