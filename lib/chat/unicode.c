#include "unicode.h"

#include <utf8proc.h>

size_t loam__point(const char *p, size_t n, int32_t *point)
{
    utf8proc_int32_t c;
    if ((unsigned char)*p < 0x80) {
        *point = (unsigned char)*p;
        return 1;
    }
    utf8proc_ssize_t len =
        utf8proc_iterate((const utf8proc_uint8_t *)p, n > 4 ? 4 : (utf8proc_ssize_t)n, &c);
    *point = len > 0 ? c : 0xFFFD;
    return len > 0 ? (size_t)len : 1;
}

size_t loam__point_back(const char *p, size_t n, int32_t *point)
{
    size_t len = 1;
    while (len < 4 && len < n && ((unsigned char)p[n - len] & 0xC0) == 0x80)
        len++;
    if (loam__point(p + n - len, len, point) == len) return len;
    *point = 0xFFFD;
    return 1;
}

bool loam__is_space(int32_t c)
{
    if (c < 128) return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
    return c == 0x85 || utf8proc_category(c) == UTF8PROC_CATEGORY_ZS || c == 0x2028 || c == 0x2029;
}

bool loam__is_line_end(int32_t c)
{
    return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool loam__is_printable(int32_t c)
{
    if (c < 127) return c >= 32;
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return true;
    }
}

bool loam__is_alpha(int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

bool loam__is_decimal(int32_t c)
{
    return utf8proc_category(c) == UTF8PROC_CATEGORY_ND;
}

/* Decimal digits, and those that stand above, below or in a circle. */
bool loam__is_digit(int32_t c)
{
    return loam__is_decimal(c) || c == 0xB2 || c == 0xB3 || c == 0xB9 || c == 0x2070 ||
           (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089) ||
           (c >= 0x2460 && c <= 0x2468) || (c >= 0x2474 && c <= 0x247C) ||
           (c >= 0x2488 && c <= 0x2490) || (c >= 0x24F5 && c <= 0x24FD) ||
           (c >= 0x2776 && c <= 0x277E) || (c >= 0x2780 && c <= 0x2788) ||
           (c >= 0x278A && c <= 0x2792);
}

/* Letters that stand for numbers count too; of the Han ones those in daily use. */
bool loam__is_numeric(int32_t c)
{
    static const uint16_t han[] = {0x3007, 0x4E00, 0x4E8C, 0x4E09, 0x56DB, 0x4E94, 0x516D, 0x4E03,
                                   0x516B, 0x4E5D, 0x5341, 0x767E, 0x5343, 0x4E07, 0x842C, 0x5104};
    utf8proc_category_t k = utf8proc_category(c);
    if (k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO)
        return true;
    for (size_t i = 0; i < sizeof han / sizeof *han; i++)
        if (c == han[i]) return true;
    return false;
}

bool loam__is_alnum(int32_t c)
{
    return loam__is_alpha(c) || loam__is_numeric(c);
}

bool loam__is_lower(int32_t c)
{
    return utf8proc_category(c) == UTF8PROC_CATEGORY_LL || c == 0xAA || c == 0xBA;
}

bool loam__is_upper(int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LT;
}

/* Letters whose other case is more than one letter (Unicode's SpecialCasing.txt), without the Greek
 * ones that carry an iota subscript. */
static const struct special {
    uint16_t from;
    uint16_t title[3], upper[3];
} specials[] = {
    {0x00DF, {'S', 's'}, {'S', 'S'}},
    {0x0149, {0x2BC, 'N'}, {0x2BC, 'N'}},
    {0x01F0, {'J', 0x30C}, {'J', 0x30C}},
    {0x0390, {0x399, 0x308, 0x301}, {0x399, 0x308, 0x301}},
    {0x03B0, {0x3A5, 0x308, 0x301}, {0x3A5, 0x308, 0x301}},
    {0x0587, {0x535, 0x582}, {0x535, 0x552}},
    {0x1E96, {'H', 0x331}, {'H', 0x331}},
    {0x1E97, {'T', 0x308}, {'T', 0x308}},
    {0x1E98, {'W', 0x30A}, {'W', 0x30A}},
    {0x1E99, {'Y', 0x30A}, {'Y', 0x30A}},
    {0x1E9A, {'A', 0x2BE}, {'A', 0x2BE}},
    {0xFB00, {'F', 'f'}, {'F', 'F'}},
    {0xFB01, {'F', 'i'}, {'F', 'I'}},
    {0xFB02, {'F', 'l'}, {'F', 'L'}},
    {0xFB03, {'F', 'f', 'i'}, {'F', 'F', 'I'}},
    {0xFB04, {'F', 'f', 'l'}, {'F', 'F', 'L'}},
    {0xFB05, {'S', 't'}, {'S', 'T'}},
    {0xFB06, {'S', 't'}, {'S', 'T'}},
};

static size_t map_special(int32_t c, case_map to, int32_t out[3])
{
    size_t n = 0;
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        const uint16_t *letters = to == CASE_UPPER ? specials[i].upper : specials[i].title;
        if (specials[i].from != c) continue;
        while (n < 3 && letters[n]) {
            out[n] = to == CASE_FOLD ? utf8proc_tolower(letters[n]) : letters[n];
            n++;
        }
    }
    return n;
}

size_t loam__map_case(int32_t c, case_map to, int32_t out[3])
{
    size_t n = 0;
    if (to == CASE_LOWER && c == 0x130) { /* I with a dot keeps its dot */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    if (c >= 0xDF && to != CASE_LOWER) n = map_special(c, to, out);
    if (n > 0) return n;
    if (to == CASE_UPPER) *out = utf8proc_toupper(c);
    else if (to == CASE_TITLE) *out = utf8proc_totitle(c);
    else *out = utf8proc_tolower(c);
    if (to == CASE_FOLD && c == 0x3C2) *out = 0x3C3;
    return 1;
}
