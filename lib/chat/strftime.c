#include "builtins.h"

#include <stdio.h>
#include <string.h>

/* Civil time without the C library, whose names depend on the host's locale. */
typedef struct civil {
    int64_t year;
    int month, day; /* from 1 */
    int hour, minute, second;
    int weekday; /* 0: Sunday */
    int yearday; /* from 0 */
    int64_t seconds;
} civil;

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int64_t year, int month)
{
    static const int8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return lengths[month] + (month == 1 && is_leap(year));
}

/* Days of the years before this one, counted from 1 January of year 1. */
static int64_t days_before(int64_t year)
{
    int64_t y = year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400;
}

static civil civil_of(int64_t seconds)
{
    enum { DAYS_TO_1970 = 719162 };
    const int64_t last = INT64_C(253402300799),
                  first = -INT64_C(62135596800); /* years 1 to 9999, as Python's */
    civil t = {.seconds = seconds};
    if (seconds < first) seconds = first;
    if (seconds > last) seconds = last;
    int64_t day = seconds / 86400 + DAYS_TO_1970, rest = seconds % 86400;
    if (rest < 0) {
        rest += 86400;
        day--;
    }
    t.hour = (int)(rest / 3600);
    t.minute = (int)(rest / 60 % 60);
    t.second = (int)(rest % 60);
    t.weekday = (int)((day + 1) % 7);
    for (t.year = day / 366 + 1; days_before(t.year + 1) <= day; t.year++) {
    }
    t.yearday = (int)(day - days_before(t.year));
    t.day = t.yearday;
    for (; t.day >= month_days(t.year, t.month); t.month++)
        t.day -= month_days(t.year, t.month);
    t.month++;
    t.day++;
    return t;
}

/* The week of ISO 8601 and the year that it belongs to. */
static int iso_week(const civil *t, int64_t *year)
{
    int monday_based = (t->weekday + 6) % 7, week = (t->yearday - monday_based + 10) / 7;
    *year = t->year;
    if (week < 1) { /* it is the last one of the year before */
        int before = t->yearday + (is_leap(t->year - 1) ? 366 : 365);
        --*year;
        return (before - monday_based + 10) / 7;
    }
    if (week == 53 && t->yearday - monday_based + 3 >= (is_leap(t->year) ? 366 : 365)) {
        ++*year;
        return 1;
    }
    return week;
}

/* One number of a format: its least width, and what fills it up. flag: of glibc, '-', '_' or '0';
 * 0: none. */
static void put_number(vm *m, int64_t n, int width, char fill, char flag)
{
    char line[32];
    if (flag == '-') width = 0;
    if (flag == '_') fill = ' ';
    if (flag == '0') fill = '0';
    int len = fill == '0' ? snprintf(line, sizeof line, "%0*lld", width, (long long)n)
                          : snprintf(line, sizeof line, "%*lld", width, (long long)n);
    loam__put(m, line, (size_t)len, false);
}

static void put_name(vm *m, const char *name, size_t n, char flag)
{
    for (size_t i = 0; i < n && name[i]; i++) {
        char c = name[i];
        if (flag == '^' && c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
        loam__put(m, &c, 1, false);
    }
}

/* Codes that stand for several others. */
static const char *compound(char code)
{
    switch (code) {
    case 'c':
        return "%a %b %e %H:%M:%S %Y";
    case 'D':
    case 'x':
        return "%m/%d/%y";
    case 'F':
        return "%Y-%m-%d";
    case 'R':
        return "%H:%M";
    case 'r':
        return "%I:%M:%S %p";
    case 'T':
    case 'X':
        return "%H:%M:%S";
    default:
        return NULL;
    }
}

static bool put_numbers(vm *m, const civil *t, char code, char flag)
{
    int64_t iso_year, twelve = t->hour % 12 ? t->hour % 12 : 12;
    const struct {
        char code;
        int8_t width;
        char fill;
        int64_t n;
    } numbers[] = {
        {'d', 2, '0', t->day},
        {'e', 2, ' ', t->day},
        {'m', 2, '0', t->month},
        {'y', 2, '0', t->year % 100},
        {'Y', 1, '0', t->year},
        {'C', 2, '0', t->year / 100},
        {'H', 2, '0', t->hour},
        {'k', 2, ' ', t->hour},
        {'I', 2, '0', twelve},
        {'l', 2, ' ', twelve},
        {'M', 2, '0', t->minute},
        {'S', 2, '0', t->second},
        {'j', 3, '0', t->yearday + 1},
        {'w', 1, '0', t->weekday},
        {'u', 1, '0', t->weekday ? t->weekday : 7},
        {'U', 2, '0', (t->yearday + 7 - t->weekday) / 7},
        {'W', 2, '0', (t->yearday + 7 - (t->weekday + 6) % 7) / 7},
        {'V', 2, '0', iso_week(t, &iso_year)},
        {'f', 6, '0', 0},
        {'s', 1, '0', t->seconds},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].code == code) {
            put_number(m, numbers[i].n, numbers[i].width, numbers[i].fill, flag);
            return true;
        }
    iso_week(t, &iso_year);
    if (code == 'G') put_number(m, iso_year, 1, '0', flag);
    if (code == 'g') put_number(m, iso_year % 100, 2, '0', flag);
    return code == 'G' || code == 'g';
}

/* False: no such code. Time zones have no name and no offset, since civil time does not say which
 * it is in. */
static bool put_code(vm *m, const civil *t, char code, char flag)
{
    if (put_numbers(m, t, code, flag)) return true;
    switch (code) {
    case 'a':
    case 'A':
        put_name(m, days[t->weekday], code == 'a' ? 3 : 9, flag);
        return true;
    case 'b':
    case 'h':
    case 'B':
        put_name(m, months[t->month - 1], code == 'B' ? 9 : 3, flag);
        return true;
    case 'p':
        put_name(m,
                 t->hour < 12  ? (flag == '#' ? "am" : "AM")
                 : flag == '#' ? "pm"
                               : "PM",
                 2, flag);
        return true;
    case 'P':
        put_name(m, t->hour < 12 ? "am" : "pm", 2, flag);
        return true;
    case 'n':
        loam__put_string(m, "\n");
        return true;
    case 't':
        loam__put_string(m, "\t");
        return true;
    case '%':
        loam__put_string(m, "%");
        return true;
    default:
        return code == 'z' || code == 'Z';
    }
}

static void put_format(vm *m, const civil *t, const text *format)
{
    for (size_t i = 0; i < format->n; i++) {
        size_t at = i + 1;
        char flag = 0;
        if (at < format->n && format->p[i] == '%' && format->p[at] &&
            strchr("-_0^#", format->p[at]))
            flag = format->p[at++];
        const char *parts = at < format->n && format->p[i] == '%' ? compound(format->p[at]) : NULL;
        if (parts) {
            const text inner = {.p = parts, .n = strlen(parts)};
            put_format(m, t, &inner); /* once: parts hold no compound */
        } else if (format->p[i] != '%' || at >= format->n || !put_code(m, t, format->p[at], flag)) {
            loam__put_part(m, format, i, 1);
            continue;
        }
        i = at;
    }
}

bool loam__put_time(vm *m, const text *format, int64_t seconds)
{
    const civil t = civil_of(seconds);
    put_format(m, &t, format);
    return loam__vm_read(m, format->n) && loam__put_ok(m);
}
