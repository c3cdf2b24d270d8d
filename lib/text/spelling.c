#include "spelling.h"

#include <string.h>
#include <utf8proc.h>

bool loam__is_white(int32_t c)
{
    if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
    utf8proc_category_t category = utf8proc_category(c);
    return c == 0x85 || category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP;
}

static bool has_space(loam__key key)
{
    for (uint32_t i = 0; i < key.n; i++)
        if (loam__is_space(key.p + i, key.n - i)) return true;
    return false;
}

static uint32_t to_bytes(loam__key key, char *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < key.n;) {
        bool space = loam__is_space(key.p + i, key.n - i);
        out[n++] = space ? ' ' : key.p[i];
        i += space ? LOAM__SPACE_BYTES : 1;
    }
    return n;
}

int loam__hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/* The byte that a token spelled <0x0A> stands for, or -1. */
static int byte_of(loam__key key)
{
    if (key.n != 6 || memcmp(key.p, "<0x", 3) != 0 || key.p[5] != '>') return -1;
    int high = loam__hex_digit(key.p[3]), low = loam__hex_digit(key.p[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool is_decoded(const loam__vocab *v, uint32_t i, bool spaces)
{
    uint8_t type = v->tokens[i].type;
    if (type == LOAM__TOKEN_BYTE) return true;
    return spaces && type == LOAM__TOKEN_NORMAL && has_space(v->keys[i]);
}

void loam__decode_spellings(loam__vocab *v, uint32_t bytes[256], bool spaces)
{
    char *out = v->decoded;
    for (uint32_t c = 0; c < 256; c++)
        bytes[c] = LOAM__NO_ID;
    for (uint32_t i = 0; i < v->n; i++) {
        loam__token_info *t = &v->tokens[i];
        int byte = byte_of(v->keys[i]);
        if (byte >= 0) bytes[byte] = i;
        if (!is_decoded(v, i, spaces)) continue;
        t->bytes = out;
        t->n = 1;
        /* a byte's token is not found by its spelling */
        if (t->type == LOAM__TOKEN_BYTE) t->flags &= (uint8_t)~LOAM__TOKEN_MERGED;
        if (t->type == LOAM__TOKEN_NORMAL) t->n = to_bytes(v->keys[i], out);
        else if (byte >= 0) *out = (char)byte;
        else t->n = 0;
        out += t->n;
    }
}

void loam__find_spaces(const loam__vocab *v, bool before_space[256])
{
    for (uint32_t i = 0; i < v->n; i++) {
        const loam__key key = v->keys[i];
        for (uint32_t at = 1; at < key.n; at++)
            if (loam__is_space(key.p + at, key.n - at)) before_space[(uint8_t)key.p[at - 1]] = true;
    }
}
