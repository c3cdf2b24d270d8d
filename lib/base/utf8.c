#include "utf8.h"

#include <string.h>

/* The range of the second byte depends on the first; 0 in low: the first byte starts nothing. */
static size_t lead(uint8_t c, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (c >= 0xC2 && c <= 0xDF) return 2;
    if (c == 0xE0) *low = 0xA0;
    if (c == 0xED) *high = 0x9F;
    if (c >= 0xE0 && c <= 0xEF) return 3;
    if (c == 0xF0) *low = 0x90;
    if (c == 0xF4) *high = 0x8F;
    if (c >= 0xF0 && c <= 0xF4) return 4;
    return 0;
}

size_t loam__utf8_scan(const char *p, size_t n, loam__utf8_state *state)
{
    const uint8_t *s = (const uint8_t *)p;
    uint8_t low, high;
    *state = LOAM__UTF8_WHOLE;
    if (s[0] < 0x80) return 1;
    size_t want = lead(s[0], &low, &high);
    *state = LOAM__UTF8_BROKEN;
    if (want == 0) return 1;
    for (size_t i = 1; i < want; i++) {
        if (i == n) {
            *state = LOAM__UTF8_CUT;
            return i;
        }
        if (s[i] < low || s[i] > high) return i;
        low = 0x80;
        high = 0xBF;
    }
    *state = LOAM__UTF8_WHOLE;
    return want;
}

size_t loam__utf8_valid(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint64_t eight;
        if (n - i >= sizeof eight) {
            memcpy(&eight, p + i, sizeof eight);
            if (!(eight & 0x8080808080808080u)) {
                i += sizeof eight;
                continue;
            }
        }
        loam__utf8_state state;
        size_t step = loam__utf8_scan(p + i, n - i, &state);
        if (state != LOAM__UTF8_WHOLE) break;
        i += step;
    }
    return i;
}
