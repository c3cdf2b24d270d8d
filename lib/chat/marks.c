#include "style.h"

#include <string.h>

bool loam__is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("_.:/-", c));
}

mark loam__mark(const char *s)
{
    return (mark){s, strlen(s)};
}

mark loam__mark_trim(mark k)
{
    while (k.n && loam__is_space(k.p[0]))
        k.p++, k.n--;
    while (k.n && loam__is_space(k.p[k.n - 1]))
        k.n--;
    return k;
}

mark loam__mark_cut(mark k, size_t from, size_t to)
{
    if (!k.p) return k;
    return (mark){k.p + from, to > from ? to - from : 0};
}

bool loam__mark_same(mark a, mark b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

found loam__mark_at(mark k, const char *p, size_t n, size_t *length)
{
    size_t i = 0;
    for (size_t j = 0; j < k.n;) {
        if (loam__is_space(k.p[j])) {
            size_t from = i;
            while (j < k.n && loam__is_space(k.p[j]))
                j++;
            while (i < n && i - from < MAX_GAP && loam__is_space(p[i]))
                i++;
            continue;
        }
        if (i == n) return FOUND_MAYBE;
        if (p[i++] != k.p[j++]) return FOUND_NO;
    }
    *length = i;
    return FOUND;
}

size_t loam__mark_find(mark k, const char *needle, size_t from)
{
    size_t n = strlen(needle);
    for (; from + n <= k.n; from++) {
        const char *hit = memchr(k.p + from, needle[0], k.n - n + 1 - from);
        if (!hit) break;
        from = (size_t)(hit - k.p);
        if (memcmp(hit, needle, n) == 0) return from;
    }
    return NOT_FOUND;
}

size_t loam__mark_find_last(mark k, const char *needle, size_t to)
{
    size_t n = strlen(needle);
    for (size_t at = to + 1; at-- > 0;)
        if (at + n <= to && memcmp(k.p + at, needle, n) == 0) return at;
    return NOT_FOUND;
}

size_t loam__mark_prefix(mark a, mark b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    return n;
}

size_t loam__mark_suffix(mark a, mark b)
{
    size_t n = 0;
    while (n < a.n && n < b.n && a.p[a.n - 1 - n] == b.p[b.n - 1 - n])
        n++;
    return n;
}

size_t loam__mark_whole(mark k, size_t n)
{
    for (size_t at = n; at-- > 0 && !loam__is_space(k.p[at]);) {
        if (k.p[at] == '>' || k.p[at] == ']') break;
        if (k.p[at] == '<' || k.p[at] == '[') return at;
    }
    while (n && n < k.n && loam__is_name_char(k.p[n - 1]) && loam__is_name_char(k.p[n]))
        n--; /* nor a word */
    return n;
}

bool loam__mark_tag(mark k, size_t *at, mark *tag)
{
    for (size_t i = *at; i < k.n; i++) {
        if (k.p[i] != '<' && k.p[i] != '[') continue;
        char close = k.p[i] == '<' ? '>' : ']';
        size_t end = i + 1;
        while (end < k.n && k.p[end] != close && k.p[end] != '\n')
            end++;
        if (end < k.n && k.p[end] == close) end++;
        *tag = loam__mark_cut(k, i, end);
        *at = end;
        if (tag->n > 2) return true;
    }
    return false;
}
