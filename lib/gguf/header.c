/* A part's header: magic, version, counts and metadata. */
#include <stdio.h>
#include <string.h>

#include "inside.h"
#include "limits.h"

typedef unsigned long long ull; /* for %llu */

/* The smallest entry: length and one byte of a key, a type, one byte of value. */
#define ENTRY_MIN 14u
/* The smallest tensor description: length and one byte of a name, n_dims, one dim, type, offset. */
#define TENSOR_MIN 33u
#define STRING_MIN 8u  /* a length */
#define ARRAY_MIN  12u /* a type and a length */

const uint8_t loam__gguf_value_bytes[LOAM__META_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

loam__shown loam__gguf_show(const char *name)
{
    loam__shown shown;
    size_t n = strlen(name), room = sizeof shown.text - 4;
    size_t kept = n > room ? room : n;
    for (size_t i = 0; i < kept; i++)
        shown.text[i] = name[i] >= 0x20 && name[i] < 0x7f ? name[i] : '?';
    snprintf(shown.text + kept, 4, "%s", n > room ? "..." : "");
    return shown;
}

/* What people offer instead of a GGUF file. */
/* clang-format off */
static const struct { uint8_t at, n; const char *bytes, *hint; } foreign[] = {
    { 0,  7, "version",          "a Git LFS pointer: run git lfs pull" },
    { 0,  4, "PK\3\4",           "a zip archive, perhaps of PyTorch: unpack or convert it" },
    { 8,  2, "{\"",              "perhaps safetensors: convert it to GGUF" },
    { 0,  1, "<",                "perhaps a web page in place of the file: download it again" },
    { 0,  1, "{",                "perhaps JSON: name the GGUF file beside it" },
    { 0,  2, "\x1f\x8b",         "a gzip archive: unpack it" },
    { 0,  4, "ggml",             "a model from before GGUF: get a GGUF version of it" },
    { 0,  4, "lmgg",             "a model from before GGUF: get a GGUF version of it" },
    { 0,  4, "fmgg",             "a model from before GGUF: get a GGUF version of it" },
    { 0,  4, "tjgg",             "a model from before GGUF: get a GGUF version of it" },
};
/* clang-format on */

static loam_status wrong_magic(loam__cursor *c)
{
    char first[64];
    const char *hint = "name a GGUF file";
    uint64_t n = c->part->size < 10 ? c->part->size : 10;
    c->at = 0;
    const uint8_t *p = loam__cursor_take(c, n);
    if (!p) return c->status;
    for (size_t i = 0; i < n && i < 4; i++)
        snprintf(first + 3 * i, 4, " %02x", p[i]);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        if ((uint64_t)foreign[i].at + foreign[i].n > n) continue;
        if (memcmp(p + foreign[i].at, foreign[i].bytes, foreign[i].n) != 0) continue;
        hint = foreign[i].hint;
        break;
    }
    return loam__fail(
        c->base, LOAM_ERR_MAGIC,
        "%s is not a GGUF file: it begins with the bytes%s instead of 47 47 55 46; %s",
        c->part->label, first, hint);
}

static loam_status read_version(loam__cursor *c, uint32_t *version)
{
    static const char magic[4] = {'G', 'G', 'U', 'F'};
    size_t n = c->part->size < 4 ? (size_t)c->part->size : 4;
    c->what = "the magic";
    const uint8_t *p = loam__cursor_take(c, n);
    if (!p) return c->status;
    if (memcmp(p, magic, n) != 0) return wrong_magic(c);
    c->at = 0;
    if (!loam__cursor_take(c, 4)) return c->status;
    c->what = "the version";
    uint32_t v = *version = loam__cursor_u32(c);
    if (c->status != LOAM_OK) return c->status;
    if ((v & 0xffff) == 0 && v != 0)
        return loam__fail(c->base, LOAM_ERR_ENDIAN,
                          "%s is a big-endian GGUF file; loam reads little-endian ones: convert it",
                          c->part->label);
    if (v != 2 && v != 3)
        return loam__fail(c->base, LOAM_ERR_VERSION,
                          "%s has GGUF version %lu; loam reads 2 and 3: get a current version "
                          "of the model or of loam",
                          c->part->label, (unsigned long)v);
    return LOAM_OK;
}

static void corrupt(loam__cursor *c, const char *why, unsigned long number)
{
    c->status =
        loam__fail(c->base, LOAM_ERR_CORRUPT, "%s: %s %s %lu; the file is damaged, get it again",
                   c->part->label, c->what, why, number);
}

static uint32_t read_type(loam__cursor *c)
{
    uint32_t type = loam__cursor_u32(c);
    if (type < LOAM__META_TYPES) return type;
    corrupt(c, "has the unknown value type", type);
    return 0;
}

static void read_array(loam__cursor *c, unsigned depth, uint32_t *type, uint64_t *count)
{
    if (depth > LOAM__GGUF_DEPTH_MAX) {
        c->status = loam__fail(c->base, LOAM_ERR_LIMIT,
                               "%s: %s nests arrays deeper than loam's limit of %u", c->part->label,
                               c->what, LOAM__GGUF_DEPTH_MAX);
        return;
    }
    *type = read_type(c);
    uint32_t bytes = loam__gguf_value_bytes[*type];
    if (*type == LOAM_META_STRING) bytes = STRING_MIN;
    if (*type == LOAM_META_ARRAY) bytes = ARRAY_MIN;
    *count = loam__cursor_count(c, LOAM__GGUF_HEADER_MAX / bytes, bytes);
}

static void skip_bools(loam__cursor *c, uint64_t count)
{
    const uint8_t *p = loam__cursor_take(c, count);
    for (uint64_t i = 0; p && i < count; i++) {
        if (p[i] <= 1) continue;
        corrupt(c, "has a boolean of value", p[i]);
        return;
    }
}

/* Step over values and check them. depth counts the arrays that are open; marks: of strings. */
static void skip_values(loam__cursor *c, uint32_t type, uint64_t count, unsigned depth,
                        uint32_t *marks)
{
    if (type == LOAM_META_BOOL) {
        skip_bools(c, count);
    } else if (type == LOAM_META_STRING) {
        loam__cursor_strings(c, count, LOAM__GGUF_STRING_MAX, marks);
    } else if (type == LOAM_META_ARRAY) {
        for (uint64_t i = 0; i < count && c->status == LOAM_OK; i++) {
            uint32_t element = 0;
            uint64_t n = 0;
            read_array(c, depth + 1, &element, &n);
            if (c->status == LOAM_OK) skip_values(c, element, n, depth + 1, NULL);
        }
    } else {
        /* loam__cursor_count() has checked the product */
        loam__cursor_take(c, count * loam__gguf_value_bytes[type]);
    }
}

/* For finding the strings of a list without walking all of it. */
static loam_status make_marks(loam__meta *meta, loam__entry *entry)
{
    if (entry->type != LOAM_META_ARRAY || entry->element != LOAM_META_STRING) return LOAM_OK;
    uint64_t n = (entry->count + LOAM__MARKED - 1) / LOAM__MARKED;
    entry->marks = loam__arena_alloc(&meta->arena, (size_t)n * sizeof *entry->marks);
    return entry->marks ? LOAM_OK : LOAM_ERR_NOMEM;
}

static loam_status read_entry(loam__cursor *c, loam__meta *meta, loam__entry *entry)
{
    char what[sizeof(loam__shown) + 24];
    entry->key = loam__cursor_name(c, LOAM__GGUF_KEY_MAX, &meta->arena);
    if (!entry->key) return c->status;
    snprintf(what, sizeof what, "metadata key '%s'", loam__gguf_show(entry->key).text);
    c->what = what;
    c->number = -1;
    uint32_t type = read_type(c), element = type;
    entry->count = 1;
    if (c->status == LOAM_OK && type == LOAM_META_ARRAY) read_array(c, 1, &element, &entry->count);
    entry->type = (int32_t)type;
    entry->element = (int32_t)element;
    entry->at = c->at;
    if (c->status == LOAM_OK) c->status = make_marks(meta, entry);
    if (c->status == LOAM_OK) skip_values(c, element, entry->count, 1, entry->marks);
    entry->bytes = c->at - entry->at;
    c->what = "the header";
    return c->status;
}

static loam_status read_entries(loam__cursor *c, uint64_t n, loam__meta *meta)
{
    loam__arena_init(&meta->arena, c->base, 0);
    loam_status st = loam__index_init(c->base, &meta->index, (uint32_t)n);
    if (st != LOAM_OK) return st;
    meta->entries = loam__alloc_array(c->base, (size_t)n, sizeof *meta->entries);
    if (!meta->entries) return LOAM_ERR_NOMEM;
    for (uint64_t i = 0; i < n; i++) {
        loam__entry *entry = &meta->entries[i];
        c->what = "metadata entry";
        c->number = (int64_t)i;
        if ((st = read_entry(c, meta, entry)) != LOAM_OK) return st;
        if ((st = loam__index_add(&meta->index, entry->key)) == LOAM_OK) continue;
        const char *why =
            st == LOAM_ERR_CORRUPT ? "is there twice" : "collides with too many others";
        return loam__fail(c->base, st,
                          "%s: metadata key '%s' %s; the file is damaged, get it again",
                          c->part->label, loam__gguf_show(entry->key).text, why);
    }
    meta->end = c->at;
    return LOAM_OK;
}

static loam_status read_alignment(loam__cursor *c, const loam__meta *meta, uint64_t *align)
{
    int64_t i = loam__index_find(&meta->index, "general.alignment");
    *align = LOAM__GGUF_ALIGN_DEFAULT;
    if (i < 0) return LOAM_OK;
    const loam__entry *e = &meta->entries[i];
    bool whole =
        e->type != LOAM_META_ARRAY && loam__gguf_unsigned(loam__part_head(c->part), e, 0, align);
    if (whole && *align >= LOAM__GGUF_ALIGN_MIN && *align <= LOAM__GGUF_ALIGN_MAX &&
        (*align & (*align - 1)) == 0)
        return LOAM_OK;
    return loam__fail(c->base, LOAM_ERR_CORRUPT,
                      "%s: general.alignment is not a power of two from %u to %u; get the file "
                      "again",
                      c->part->label, LOAM__GGUF_ALIGN_MIN, LOAM__GGUF_ALIGN_MAX);
}

loam_status loam__gguf_header(loam__gguf *g, uint32_t part, loam__meta *meta)
{
    loam__cursor c = {.base = g->base, .part = &g->parts[part], .number = -1};
    uint32_t version = 0;
    uint64_t align;
    loam_status st = read_version(&c, &version);
    if (st != LOAM_OK) return st;
    if (part == 0) g->version = version;
    c.what = "the number of tensors";
    uint64_t n_tensors = loam__cursor_count(&c, LOAM__GGUF_TENSORS_MAX, TENSOR_MIN);
    c.what = "the number of metadata entries";
    uint64_t n_entries = loam__cursor_count(&c, LOAM__GGUF_KEYS_MAX, ENTRY_MIN);
    if (c.status != LOAM_OK) return c.status;
    if ((st = read_entries(&c, n_entries, meta)) != LOAM_OK) return st;
    if ((st = read_alignment(&c, meta, &align)) != LOAM_OK) return st;
    return loam__gguf_slots(g, &c, part, n_tensors, align);
}

void loam__gguf_meta_free(loam__base *b, loam__meta *meta)
{
    loam__index_free(b, &meta->index);
    loam__free(b, meta->entries);
    loam__arena_free(&meta->arena);
    *meta = (loam__meta){0};
}
