#include "number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- decimal to double, exactly: a quotient of two large integers ---- */

enum {
    WORDS = 136,      /* 10 to the 1200 and the shifts below fit */
    MAX_DIGITS = 800, /* more cannot change the nearest double, but for whether any is not 0 */
};

typedef struct big {
    uint32_t w[WORDS]; /* least significant first */
    int n;
} big;

static void big_mul_add(big *b, uint32_t factor, uint32_t add)
{
    uint64_t carry = add;
    for (int i = 0; i < b->n; i++) {
        carry += (uint64_t)b->w[i] * factor;
        b->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry && b->n < WORDS) b->w[b->n++] = (uint32_t)carry;
}

static void big_times_ten_to(big *b, int64_t exponent)
{
    for (; exponent >= 9; exponent -= 9)
        big_mul_add(b, 1000000000u, 0);
    for (; exponent > 0; exponent--)
        big_mul_add(b, 10, 0);
}

static int big_bits(const big *b)
{
    int bits = 0;
    for (uint32_t top = b->n ? b->w[b->n - 1] : 0; top; top >>= 1)
        bits++;
    return b->n ? bits + 32 * (b->n - 1) : 0;
}

static void big_shift_left(big *b, int bits)
{
    int words = bits / 32;
    if (words > 0 && b->n > 0) {
        memmove(b->w + words, b->w, (size_t)b->n * sizeof *b->w);
        memset(b->w, 0, (size_t)words * sizeof *b->w);
        b->n += words;
    }
    if (bits % 32) big_mul_add(b, UINT32_C(1) << bits % 32, 0);
}

static int big_order(const big *a, const big *b)
{
    if (a->n != b->n) return a->n > b->n ? 1 : -1;
    for (int i = a->n; i-- > 0;)
        if (a->w[i] != b->w[i]) return a->w[i] > b->w[i] ? 1 : -1;
    return 0;
}

static void big_subtract(big *a, const big *b)
{
    int64_t carry = 0;
    for (int i = 0; i < a->n; i++) {
        carry += (int64_t)a->w[i] - (i < b->n ? (int64_t)b->w[i] : 0);
        a->w[i] = (uint32_t)carry;
        carry = carry < 0 ? -1 : 0;
    }
    while (a->n > 0 && a->w[a->n - 1] == 0)
        a->n--;
}

/* a / b as the nearest double; both are changed. */
static double quotient(big *a, big *b)
{
    int exponent = big_bits(a) - big_bits(b), keep, drop;
    uint64_t q = 0;
    if (exponent > 0) big_shift_left(b, exponent);
    if (exponent < 0) big_shift_left(a, -exponent);
    if (big_order(a, b) < 0) { /* now 1 <= a / b < 2 */
        big_mul_add(a, 2, 0);
        exponent--;
    }
    for (int i = 0; i < 64; i++) {
        q <<= 1;
        if (big_order(a, b) >= 0) {
            big_subtract(a, b);
            q |= 1;
        }
        big_mul_add(a, 2, 0);
    }
    keep = exponent < DBL_MIN_EXP - 1 ? DBL_MANT_DIG - (DBL_MIN_EXP - 1 - exponent) : DBL_MANT_DIG;
    if (keep < 0) return 0;
    drop = 64 - keep;
    uint64_t rest = keep == 0 ? q : q & ((UINT64_C(1) << drop) - 1), half = UINT64_C(1)
                                                                            << (drop - 1);
    uint64_t whole = keep == 0 ? 0 : q >> drop;
    if (rest > half || (rest == half && (a->n > 0 || (whole & 1)))) whole++;
    return ldexp((double)whole, exponent - 63 + drop);
}

double loam__from_decimal(const char *digits, size_t n, int64_t exponent)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    big a = {.n = 0}, b = {.w = {1}, .n = 1};
    while (n > 0 && *digits == '0') {
        digits++;
        n--;
    }
    if (n == 0) return 0;
    if (exponent > 310 || exponent + (int64_t)n > 310) return HUGE_VAL;
    if (exponent + (int64_t)n < -330) return 0;
    if (n <= 15 && exponent >= -22 && exponent <= 22) { /* both exact, so one rounding */
        double f = 0;
        for (size_t i = 0; i < n; i++)
            f = f * 10 + (digits[i] - '0');
        return exponent < 0 ? f / tens[-exponent] : f * tens[exponent];
    }
    for (size_t i = 0; i < n && i < MAX_DIGITS; i++) {
        big_mul_add(&a, 10, (uint32_t)(digits[i] - '0'));
    }
    if (n > MAX_DIGITS) {
        exponent += (int64_t)(n - MAX_DIGITS) - 1;
        big_mul_add(&a, 10, 1);
    }
    if (exponent > 0) big_times_ten_to(&a, exponent);
    if (exponent < 0) big_times_ten_to(&b, -exponent);
    return quotient(&a, &b);
}

/* ---- reading ---- */

static bool is_blank(char c)
{
    return c == ' ' || (c >= 9 && c <= 13);
}

static void trim(const char **p, size_t *n)
{
    while (*n > 0 && is_blank(**p)) {
        ++*p;
        --*n;
    }
    while (*n > 0 && is_blank((*p)[*n - 1]))
        --*n;
}

static bool take_sign(const char **p, size_t *n)
{
    bool minus = *n > 0 && **p == '-';
    if (*n > 0 && (**p == '-' || **p == '+')) {
        ++*p;
        --*n;
    }
    return minus;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'z') return c - 'a' + 10;
    if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
    return 99;
}

bool loam__read_int(const char *p, size_t n, int base, int64_t *out)
{
    bool digit_before = false, prefixed = false;
    uint64_t u = 0;
    trim(&p, &n);
    bool minus = take_sign(&p, &n);
    if (n > 2 && *p == '0') {
        int named = digit_of(p[1]) == 33   ? 16
                    : digit_of(p[1]) == 24 ? 8
                    : digit_of(p[1]) == 11 ? 2
                                           : 99;
        prefixed = base == 0 ? named != 99 : named == base;
        if (prefixed) base = named;
    }
    if (prefixed) {
        p += 2;
        n -= 2;
        if (n > 1 && *p == '_') digit_before = true;
    }
    if (base == 0) base = 10;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '_' && digit_before) {
            digit_before = false;
            continue;
        }
        uint64_t d = (uint64_t)digit_of(p[i]);
        if (d >= (uint64_t)base || u > (UINT64_MAX - d) / (uint64_t)base) return false;
        u = u * (uint64_t)base + d;
        digit_before = true;
    }
    if (!digit_before || u > (uint64_t)INT64_MAX + minus) return false;
    *out = minus ? (int64_t)(0 - u) : (int64_t)u;
    return true;
}

static bool is_word(const char *p, size_t n, const char *word)
{
    if (strlen(word) != n) return false;
    for (size_t i = 0; i < n; i++)
        if ((p[i] | 32) != word[i]) return false;
    return true;
}

/* Digits with underscores between them, appended to out; false: none, or an underscore in a wrong
 * place. */
static bool take_digits(const char **p, size_t *n, char *out, size_t *n_out, size_t *dropped)
{
    bool before = false;
    while (*n > 0 && ((**p >= '0' && **p <= '9') || (**p == '_' && before))) {
        before = **p != '_';
        if (before && *n_out < MAX_DIGITS + 1) out[(*n_out)++] = **p;
        else if (before) ++*dropped;
        ++*p;
        --*n;
    }
    return before;
}

bool loam__read_float(const char *p, size_t n, double *out)
{
    char digits[MAX_DIGITS + 1];
    size_t n_digits = 0, dropped = 0;
    int64_t exponent = 0, shift = 0;
    trim(&p, &n);
    bool minus = take_sign(&p, &n);
    if (is_word(p, n, "inf") || is_word(p, n, "infinity")) {
        *out = minus ? -HUGE_VAL : HUGE_VAL;
        return true;
    }
    if (is_word(p, n, "nan")) {
        *out = NAN;
        return true;
    }
    while (n > 1 && *p == '0' && p[1] >= '0' && p[1] <= '9') {
        p++;
        n--;
    }
    bool any = take_digits(&p, &n, digits, &n_digits, &dropped);
    exponent = (int64_t)dropped;
    if (n > 0 && *p == '.') {
        size_t whole = n_digits;
        p++;
        n--;
        dropped = 0;
        if (n > 0 && *p >= '0' && *p <= '9') {
            if (!take_digits(&p, &n, digits, &n_digits, &dropped)) return false;
            any = true;
        }
        exponent -= (int64_t)(n_digits - whole);
    }
    if (!any) return false;
    if (n > 0 && (*p | 32) == 'e') {
        p++;
        n--;
        bool down = take_sign(&p, &n);
        if (n == 0) return false;
        for (; n > 0 && *p >= '0' && *p <= '9'; p++, n--)
            if (shift < 1000000) shift = shift * 10 + (*p - '0');
        exponent += down ? -shift : shift;
    }
    if (n > 0) return false;
    double f = loam__from_decimal(digits, n_digits, exponent);
    *out = minus ? -f : f;
    return true;
}

/* ---- writing ---- */

/* The digits and the power of ten of "%.*e", whatever the locale puts between them. */
static int scientific(double f, int precision, char digits[24], size_t *n)
{
    char line[64];
    int exponent = 0;
    size_t i = 0;
    snprintf(line, sizeof line, "%.*e", precision, f);
    *n = 0;
    for (; line[i] != 'e'; i++)
        if (line[i] >= '0' && line[i] <= '9') digits[(*n)++] = line[i];
    bool minus = line[++i] == '-';
    for (i++; line[i]; i++)
        exponent = exponent * 10 + (line[i] - '0');
    return minus ? -exponent : exponent;
}

/* Add one to the last digit. False: that would need a further digit. */
static bool bump(char *digits, size_t n)
{
    while (n-- > 0) {
        if (digits[n] < '9') {
            digits[n]++;
            return true;
        }
        digits[n] = '0';
    }
    return false;
}

/* The fewest digits that read back as f; below a power of two the nearest ones of that length may
 * not, but the next. */
static int shortest(double f, char digits[24], size_t *n)
{
    int exponent = 0;
    for (int precision = 0; precision < 17; precision++) {
        exponent = scientific(f, precision, digits, n);
        if (loam__from_decimal(digits, *n, exponent - precision) == f) break;
        if (bump(digits, *n) && loam__from_decimal(digits, *n, exponent - precision) == f) break;
    }
    while (*n > 1 && digits[*n - 1] == '0')
        --*n;
    return exponent;
}

size_t loam__float_text(double f, char out[FLOAT_TEXT])
{
    char digits[24];
    size_t n = 0, count;
    if (isnan(f) || isinf(f))
        return (size_t)snprintf(out, FLOAT_TEXT, "%s", isnan(f) ? "nan" : f > 0 ? "inf" : "-inf");
    if (signbit(f)) out[n++] = '-';
    int exponent = f == 0 ? 0 : shortest(fabs(f), digits, &count);
    if (f == 0) {
        digits[0] = '0';
        count = 1;
    }
    if (exponent < -4 || exponent >= 16) {
        out[n++] = digits[0];
        if (count > 1) out[n++] = '.';
        for (size_t i = 1; i < count; i++)
            out[n++] = digits[i];
        return n + (size_t)snprintf(out + n, FLOAT_TEXT - n, "e%c%02d", exponent < 0 ? '-' : '+',
                                    exponent < 0 ? -exponent : exponent);
    }
    int point =
        exponent + 1; /* how many digits are before it; less than one: zeros come behind it first */
    if (point <= 0) out[n++] = '0';
    for (int i = point < 0 ? point : 0; i < point || i < (int)count; i++) {
        if (i == point) out[n++] = '.';
        out[n++] = i >= 0 && i < (int)count ? digits[i] : '0';
    }
    if ((int)count <= point) {
        out[n++] = '.';
        out[n++] = '0';
    }
    out[n] = 0;
    return n;
}

size_t loam__float_printf(double f, char kind, int precision, bool alternate, char out[FIXED_TEXT])
{
    char raw[FIXED_TEXT];
    const char format[] = {'%', alternate ? '#' : '-', '.', '*', kind, 0};
    size_t n = 0;
    if (precision > 100) precision = 100;
    if (isnan(f) || isinf(f))
        return (size_t)snprintf(out, FIXED_TEXT, "%s", isnan(f) ? "nan" : f > 0 ? "inf" : "-inf");
    snprintf(raw, sizeof raw, format, precision, f);
    for (size_t i = 0; raw[i]; i++) {
        bool plain =
            (raw[i] >= '0' && raw[i] <= '9') || raw[i] == '-' || raw[i] == '+' || raw[i] == 'e';
        if (plain) out[n++] = raw[i];
        else if (n > 0 && out[n - 1] != '.') out[n++] = '.';
    }
    out[n] = 0;
    return n;
}

double loam__float_round(double f, int digits)
{
    char line[FIXED_TEXT];
    double rounded = f;
    if (isnan(f) || isinf(f) || digits > 100) return f;
    if (digits < 0) {
        double scale = pow(10, -digits);
        return isinf(scale) ? 0 * f : nearbyint(f / scale) * scale;
    }
    size_t n = loam__float_printf(f, 'f', digits, false, line);
    return loam__read_float(line, n, &rounded) ? rounded : f;
}
