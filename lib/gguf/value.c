/* Metadata values, once the header is checked. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "inside.h"

static const uint8_t *element_at(const uint8_t *header, const loam__entry *entry, uint64_t e)
{
    return header + entry->at + e * loam__gguf_value_bytes[entry->element];
}

/* An integer or boolean as 64 bits, which are two's complement if it is negative. */
static bool integer(const uint8_t *header, const loam__entry *entry, uint64_t e, uint64_t *bits,
                    bool *negative)
{
    const uint8_t *p = element_at(header, entry, e);
    switch (entry->element) {
    case LOAM_META_U8:
    case LOAM_META_BOOL:
        *bits = p[0];
        break;
    case LOAM_META_I8:
        *bits = (uint64_t)(int8_t)p[0];
        break;
    case LOAM_META_U16:
        *bits = (uint16_t)(p[0] | p[1] << 8);
        break;
    case LOAM_META_I16:
        *bits = (uint64_t)(int16_t)(p[0] | p[1] << 8);
        break;
    case LOAM_META_U32:
        *bits = loam__le32(p);
        break;
    case LOAM_META_I32:
        *bits = (uint64_t)(int32_t)loam__le32(p);
        break;
    case LOAM_META_U64:
    case LOAM_META_I64:
        *bits = loam__le64(p);
        break;
    default:
        return false;
    }
    *negative = entry->element != LOAM_META_U64 && *bits > INT64_MAX;
    return true;
}

bool loam__gguf_unsigned(const uint8_t *header, const loam__entry *entry, uint64_t e,
                         uint64_t *value)
{
    uint64_t bits;
    bool negative;
    if (!integer(header, entry, e, &bits, &negative) || negative) return false;
    *value = bits;
    return true;
}

static const loam__entry *entry_of(const loam__gguf *g, size_t i, const uint8_t **header)
{
    *header = loam__part_head(&g->parts[0]);
    return &g->meta.entries[i];
}

loam_status loam__gguf_u64(const loam__gguf *g, size_t i, uint64_t e, uint64_t *value)
{
    const uint8_t *header;
    const loam__entry *entry = entry_of(g, i, &header);
    return loam__gguf_unsigned(header, entry, e, value) ? LOAM_OK : LOAM_ERR_METADATA;
}

loam_status loam__gguf_i64(const loam__gguf *g, size_t i, uint64_t e, int64_t *value)
{
    const uint8_t *header;
    const loam__entry *entry = entry_of(g, i, &header);
    uint64_t bits;
    bool negative;
    if (!integer(header, entry, e, &bits, &negative)) return LOAM_ERR_METADATA;
    if (!negative && bits > INT64_MAX) return LOAM_ERR_METADATA;
    *value = (int64_t)bits;
    return LOAM_OK;
}

loam_status loam__gguf_f64(const loam__gguf *g, size_t i, uint64_t e, double *value)
{
    const uint8_t *header;
    const loam__entry *entry = entry_of(g, i, &header);
    uint64_t bits;
    uint32_t bits32;
    float single;
    bool negative;
    if (entry->element == LOAM_META_F32) {
        bits32 = loam__le32(element_at(header, entry, e));
        memcpy(&single, &bits32, sizeof single);
        *value = (double)single;
        return LOAM_OK;
    }
    if (entry->element == LOAM_META_F64) {
        bits = loam__le64(element_at(header, entry, e));
        memcpy(value, &bits, sizeof *value);
        return LOAM_OK;
    }
    if (entry->element == LOAM_META_BOOL || !integer(header, entry, e, &bits, &negative))
        return LOAM_ERR_METADATA;
    *value = negative ? (double)(int64_t)bits : (double)bits;
    return LOAM_OK;
}

loam_status loam__gguf_string(const loam__gguf *g, size_t i, uint64_t e, const char **text,
                              size_t *n)
{
    const uint8_t *header;
    const loam__entry *entry = entry_of(g, i, &header);
    if (entry->element != LOAM_META_STRING) return LOAM_ERR_METADATA;
    loam__strings s = {header + entry->at};
    if (entry->marks) s.at = header + entry->marks[e / LOAM__MARKED];
    for (e %= LOAM__MARKED; e > 0; e--)
        loam__strings_next(&s, n);
    *text = loam__strings_next(&s, n);
    return LOAM_OK;
}

loam__strings loam__gguf_strings(const loam__gguf *g, size_t i)
{
    const uint8_t *header;
    const loam__entry *entry = entry_of(g, i, &header);
    return (loam__strings){header + entry->at};
}

const char *loam__strings_next(loam__strings *s, size_t *n)
{
    const char *text = (const char *)s->at + 8;
    *n = (size_t)loam__le64(s->at);
    s->at += 8 + *n;
    return text;
}

uint64_t loam__gguf_text_bytes(const loam__gguf *g, size_t i)
{
    const loam__entry *entry = &g->meta.entries[i];
    return entry->bytes - 8 * entry->count;
}

/* ---- many elements at once ---- */

loam_status loam__gguf_i32s(const loam__gguf *g, size_t i, uint64_t first, size_t n,
                            int32_t *values)
{
    const uint8_t *header;
    const loam__entry *entry = entry_of(g, i, &header);
    const uint8_t *p = element_at(header, entry, first);
    int64_t v;
    for (size_t k = 0; k < n; k++) {
        if (entry->element == LOAM_META_I32) {
            values[k] = (int32_t)loam__le32(p + 4 * k);
            continue;
        }
        if (loam__gguf_i64(g, i, first + k, &v) != LOAM_OK || v < INT32_MIN || v > INT32_MAX)
            return LOAM_ERR_METADATA;
        values[k] = (int32_t)v;
    }
    return LOAM_OK;
}

loam_status loam__gguf_f32s(const loam__gguf *g, size_t i, uint64_t first, size_t n, float *values)
{
    const uint8_t *header;
    const loam__entry *entry = entry_of(g, i, &header);
    const uint8_t *p = element_at(header, entry, first);
    double v;
    for (size_t k = 0; k < n; k++) {
        if (entry->element == LOAM_META_F32) {
            uint32_t bits = loam__le32(p + 4 * k);
            memcpy(&values[k], &bits, sizeof bits);
            continue;
        }
        if (loam__gguf_f64(g, i, first + k, &v) != LOAM_OK) return LOAM_ERR_METADATA;
        values[k] = (float)v;
    }
    return LOAM_OK;
}

/* ---- scalars by key ---- */

static const loam__entry *scalar(const loam__gguf *g, const char *key, size_t *i, loam_status *st)
{
    int64_t found = loam__gguf_find_meta(g, key);
    *st = LOAM_OK;
    if (found < 0) return NULL;
    *i = (size_t)found;
    if (g->meta.entries[found].type != LOAM_META_ARRAY) return &g->meta.entries[found];
    *st = loam__fail(g->base, LOAM_ERR_METADATA,
                     "%s: metadata key '%s' is a list where one value is expected",
                     g->parts[0].label, key);
    return NULL;
}

static loam_status unwanted(const loam__gguf *g, const char *key, const char *wanted)
{
    return loam__fail(g->base, LOAM_ERR_METADATA,
                      "%s: metadata key '%s' is not %s; the file was badly converted",
                      g->parts[0].label, key, wanted);
}

loam_status loam__gguf_want_u32(const loam__gguf *g, const char *key, uint32_t *value)
{
    size_t i;
    uint64_t v;
    loam_status st;
    const loam__entry *entry = scalar(g, key, &i, &st);
    if (!entry) return st;
    if (entry->type == LOAM_META_BOOL || loam__gguf_u64(g, i, 0, &v) != LOAM_OK || v > UINT32_MAX)
        return unwanted(g, key, "a whole number from 0 to 4294967295");
    *value = (uint32_t)v;
    return LOAM_OK;
}

loam_status loam__gguf_want_f32(const loam__gguf *g, const char *key, float *value)
{
    size_t i;
    double v;
    loam_status st;
    if (!scalar(g, key, &i, &st)) return st;
    if (loam__gguf_f64(g, i, 0, &v) != LOAM_OK) return unwanted(g, key, "a number");
    /* what is finite must stay so; infinities and NaN are the reader's to judge */
    if ((v > (double)FLT_MAX || v < -(double)FLT_MAX) && isfinite(v))
        return unwanted(g, key, "in the range of a 32-bit float");
    *value = (float)v;
    return LOAM_OK;
}

loam_status loam__gguf_want_bool(const loam__gguf *g, const char *key, bool *value)
{
    size_t i;
    uint64_t v;
    loam_status st;
    const loam__entry *entry = scalar(g, key, &i, &st);
    if (!entry) return st;
    if (entry->type != LOAM_META_BOOL || loam__gguf_u64(g, i, 0, &v) != LOAM_OK)
        return unwanted(g, key, "true or false");
    *value = v != 0;
    return LOAM_OK;
}

loam_status loam__gguf_want_string(const loam__gguf *g, const char *key, const char **text,
                                   size_t *n)
{
    size_t i;
    loam_status st;
    if (!scalar(g, key, &i, &st)) return st;
    return loam__gguf_string(g, i, 0, text, n) == LOAM_OK ? LOAM_OK : unwanted(g, key, "text");
}
