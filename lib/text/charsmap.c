#include "charsmap.h"

#include <string.h>

static uint32_t read_u32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

bool loam__charsmap_open(loam__charsmap *map, const uint8_t *bytes, size_t n)
{
    *map = (loam__charsmap){0};
    if (n == 0) return true;
    if (n < 4) return false;
    uint32_t n_tree = read_u32(bytes);
    if (n_tree > n - 4 || n_tree % 4 != 0) return false;
    *map =
        (loam__charsmap){bytes + 4, n_tree / 4, (const char *)bytes + 4 + n_tree, n - 4 - n_tree};
    return true;
}

/* ---- the parts of a unit ---- */

static uint32_t offset_of(uint32_t unit)
{
    return unit >> 10 << (unit >> 6 & 8);
}

static bool has_leaf(uint32_t unit)
{
    return unit >> 8 & 1;
}

/* The byte that leads here; never one for a unit that holds a value. */
static uint32_t label_of(uint32_t unit)
{
    return unit & 0x800000FFu;
}

static uint32_t value_of(uint32_t unit)
{
    return unit & 0x7FFFFFFFu;
}

static uint32_t unit_at(const loam__charsmap *map, uint32_t i)
{
    return i < map->n_units ? read_u32(map->units + 4 * (size_t)i) : 0x80000000u;
}

/* What a value stands for; false: nothing that can be used. */
static bool text_of(const loam__charsmap *map, uint32_t value, const char **text, size_t *n_text)
{
    if (value >= map->n_texts) return false;
    size_t most = map->n_texts - value;
    if (most > LOAM__CHARSMAP_TEXT_MAX + 1) most = LOAM__CHARSMAP_TEXT_MAX + 1;
    const char *from = map->texts + value, *end = memchr(from, 0, most);
    if (!end) return false;
    *text = from;
    *n_text = (size_t)(end - from);
    return true;
}

/* Follow a byte from the place whose unit has been entered. */
static bool enter(const loam__charsmap *map, uint32_t *at, char byte, uint32_t *unit)
{
    *at ^= (uint8_t)byte;
    *unit = unit_at(map, *at);
    *at ^= offset_of(*unit);
    return label_of(*unit) == (uint8_t)byte;
}

bool loam__charsmap_starts(const loam__charsmap *map, const char *p, size_t n)
{
    uint32_t unit, at = offset_of(unit_at(map, 0));
    for (size_t i = 0; i < n; i++)
        if (!enter(map, &at, p[i], &unit)) return false;
    return map->n_units > 0;
}

size_t loam__charsmap_find(const loam__charsmap *map, const char *p, size_t n, const char **text,
                           size_t *n_text)
{
    size_t longest = 0;
    uint32_t unit;
    if (map->n_units == 0) return 0;
    if (n > LOAM__CHARSMAP_KEY_MAX) n = LOAM__CHARSMAP_KEY_MAX;
    uint32_t at = offset_of(unit_at(map, 0));
    for (size_t i = 0; i < n; i++) {
        if (!enter(map, &at, p[i], &unit)) break;
        if (has_leaf(unit) && text_of(map, value_of(unit_at(map, at)), text, n_text))
            longest = i + 1;
    }
    return longest;
}
