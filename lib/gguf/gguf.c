/* Opening, split models, and look-ups. */
#include "gguf.h"

#include <stdio.h>
#include <string.h>

#include "inside.h"
#include "limits.h"

typedef unsigned long long ull; /* for %llu */

#define NOT_SAID UINT64_MAX

/* What the metadata of one part say about the split; a file that is not split is part 0 of 1. */
typedef struct split {
    uint64_t no, count;
    uint64_t tensors; /* in all parts, or NOT_SAID */
} split;

/* A key that is absent leaves *value as it is. */
static loam_status split_number(loam__gguf *g, size_t part, const loam__meta *meta, const char *key,
                                uint64_t *value)
{
    int64_t i = loam__index_find(&meta->index, key);
    if (i < 0) return LOAM_OK;
    const loam__entry *e = &meta->entries[i];
    const uint8_t *header = loam__part_head(&g->parts[part]);
    if (e->type != LOAM_META_ARRAY && loam__gguf_unsigned(header, e, 0, value)) return LOAM_OK;
    return loam__fail(g->base, LOAM_ERR_CORRUPT, "%s: %s is not a whole number; get the file again",
                      g->parts[part].label, key);
}

static loam_status split_of(loam__gguf *g, size_t part, const loam__meta *meta, split *s)
{
    loam_status st;
    *s = (split){.no = 0, .count = 1, .tensors = NOT_SAID};
    if ((st = split_number(g, part, meta, "split.count", &s->count)) != LOAM_OK) return st;
    if (s->count <= 1) { /* merged models keep the keys, with a count of 0 */
        s->count = 1;
        return LOAM_OK;
    }
    if (s->count > LOAM__GGUF_PARTS_MAX)
        return loam__fail(g->base, LOAM_ERR_LIMIT,
                          "%s is one of %llu parts, loam's limit is %u; merge them into fewer",
                          g->parts[part].label, (ull)s->count, LOAM__GGUF_PARTS_MAX);
    if ((st = split_number(g, part, meta, "split.no", &s->no)) != LOAM_OK) return st;
    if (s->no >= s->count)
        return loam__fail(g->base, LOAM_ERR_CORRUPT,
                          "%s says that split.no is %llu and split.count %llu; get it again",
                          g->parts[part].label, (ull)s->no, (ull)s->count);
    return split_number(g, part, meta, "split.tensors.count", &s->tensors);
}

/* ---- building ---- */

static loam__gguf *new_container(loam__base *b, size_t n_parts)
{
    loam__gguf *g = loam__alloc(b, sizeof *g);
    if (!g) return NULL;
    g->base = b;
    loam__arena_init(&g->arena, b, 0);
    g->parts = loam__alloc_array(b, n_parts, sizeof *g->parts);
    if (!g->parts) {
        loam__gguf_close(g);
        return NULL;
    }
    return g;
}

void loam__gguf_close(loam__gguf *g)
{
    if (!g) return;
    loam__base *b = g->base;
    loam__gguf_meta_free(b, &g->meta);
    loam__index_free(b, &g->tensors);
    loam__free(b, g->slots);
    loam__arena_free(&g->arena);
    for (size_t i = 0; i < g->n_parts; i++)
        loam__part_close(b, &g->parts[i]);
    loam__free(b, g->parts);
    loam__free(b, g);
}

/* Read the header of a part after the first, which must fit what the first has said. */
static loam_status read_further(loam__gguf *g, uint32_t part, const split *first)
{
    loam__meta meta = {0};
    split s;
    loam__part *p = &g->parts[part];
    loam_status st = loam__gguf_header(g, part, &meta);
    if (st == LOAM_OK) st = split_of(g, part, &meta, &s);
    if (st == LOAM_OK && (s.count != first->count || s.no != part))
        st = loam__fail(g->base, LOAM_ERR_CORRUPT,
                        "%s says that it is part %llu of %llu where part %lu of %llu belongs; give "
                        "the parts of one model in order",
                        p->label, (ull)s.no + 1, (ull)s.count, (unsigned long)part + 1,
                        (ull)first->count);
    if (st == LOAM_OK && s.tensors != NOT_SAID && s.tensors != first->tensors)
        st = loam__fail(g->base, LOAM_ERR_CORRUPT,
                        "%s belongs to a model of %llu tensors, unlike the first part; get the "
                        "parts of one model",
                        p->label, (ull)s.tensors);
    loam__gguf_meta_free(g->base, &meta);
    return st == LOAM_OK ? loam__part_shrink(g->base, p, 0) : st;
}

/* After all headers: the look-up table of tensors, and the sums over the parts. */
static loam_status finish(loam__gguf *g, const split *first)
{
    loam_status st;
    if (first->tensors != NOT_SAID && first->tensors != g->n_slots)
        return loam__fail(g->base, LOAM_ERR_CORRUPT,
                          "%s: the parts hold %zu tensors instead of %llu; get them again",
                          g->parts[0].label, g->n_slots, (ull)first->tensors);
    if ((st = loam__index_init(g->base, &g->tensors, (uint32_t)g->n_slots)) != LOAM_OK) return st;
    for (size_t i = 0; i < g->n_slots; i++) {
        const loam__slot *s = &g->slots[i];
        st = loam__index_add(&g->tensors, s->name);
        if (st != LOAM_OK)
            return loam__fail(g->base, st, "%s: tensor '%s' %s; the file is damaged, get it again",
                              g->parts[s->part].label, loam__gguf_show(s->name).text,
                              st == LOAM_ERR_CORRUPT ? "is there twice"
                                                     : "collides with too many others by its name");
    }
    return loam__part_shrink(g->base, &g->parts[0], g->meta.end);
}

/* ---- files ---- */

#define SUFFIX_MAX 32

/* "-00001-of-00003.gguf" */
static size_t split_suffix(char suffix[SUFFIX_MAX], uint64_t no, uint64_t count)
{
    return (size_t)snprintf(suffix, SUFFIX_MAX, "-%05u-of-%05u.gguf", (unsigned)no + 1,
                            (unsigned)count);
}

/* How long a first part's name is in front of that suffix; 0 if it does not end so. */
static size_t split_prefix(const char *path, uint64_t count)
{
    char suffix[SUFFIX_MAX];
    size_t n = strlen(path), m = split_suffix(suffix, 0, count);
    return n > m && memcmp(path + n - m, suffix, m) == 0 ? n - m : 0;
}

static loam_status map_further(loam__gguf *g, const char *path, size_t prefix, uint32_t part,
                               const split *first)
{
    char *name = loam__alloc_array(g->base, prefix + SUFFIX_MAX, 1);
    if (!name) return LOAM_ERR_NOMEM;
    memcpy(name, path, prefix);
    split_suffix(name + prefix, part, first->count);
    loam_status st = loam__part_map(g->base, name, &g->parts[part]);
    if (st == LOAM_ERR_NOT_FOUND)
        loam__fail(g->base, st, "%s, part %lu of %llu, is missing; put all parts into one folder",
                   g->parts[part].label, (unsigned long)part + 1, (ull)first->count);
    loam__free(g->base, name);
    return st;
}

static loam_status open_further_files(loam__gguf *g, const char *path, const split *first)
{
    size_t prefix = split_prefix(path, first->count);
    const char *label = g->parts[0].label;
    if (first->no != 0)
        return loam__fail(
            g->base, LOAM_ERR_ARG,
            "%s is part %llu of %llu; name the first part, whose name ends in -00001-of-%05u.gguf",
            label, (ull)first->no + 1, (ull)first->count, (unsigned)first->count);
    if (!prefix)
        return loam__fail(g->base, LOAM_ERR_ARG,
                          "%s is the first of %llu parts, but its name does not end in "
                          "-00001-of-%05u.gguf; give all parts their names back",
                          label, (ull)first->count, (unsigned)first->count);
    for (uint32_t part = 1; part < first->count; part++) {
        g->n_parts = part + 1;
        loam_status st = map_further(g, path, prefix, part, first);
        if (st == LOAM_OK) st = read_further(g, part, first);
        if (st != LOAM_OK) return st;
    }
    return LOAM_OK;
}

static loam_status open_path(loam__gguf *g, const char *path)
{
    split first;
    loam_status st;
    g->n_parts = 1;
    if ((st = loam__part_map(g->base, path, &g->parts[0])) != LOAM_OK) return st;
    if ((st = loam__gguf_header(g, 0, &g->meta)) != LOAM_OK) return st;
    if ((st = split_of(g, 0, &g->meta, &first)) != LOAM_OK) return st;
    if (first.count > 1) {
        loam__part *parts = loam__alloc_array(g->base, (size_t)first.count, sizeof *parts);
        if (!parts) return LOAM_ERR_NOMEM;
        parts[0] = g->parts[0];
        loam__free(g->base, g->parts);
        g->parts = parts;
        if ((st = open_further_files(g, path, &first)) != LOAM_OK) return st;
    }
    return finish(g, &first);
}

loam_status loam__gguf_open(loam__base *b, const char *path, loam__gguf **out)
{
    *out = NULL;
    loam__gguf *g = new_container(b, 1);
    if (!g) return LOAM_ERR_NOMEM;
    loam_status st = open_path(g, path);
    if (st == LOAM_OK) *out = g;
    else loam__gguf_close(g);
    return st;
}

/* ---- sources ---- */

static loam_status open_sources(loam__gguf *g, const loam_source *const *parts, size_t n_parts)
{
    split first;
    loam_status st;
    g->n_parts = n_parts;
    for (size_t i = 0; i < n_parts; i++) {
        st = loam__part_source(g->base, parts[i], i + 1, n_parts, &g->parts[i]);
        if (st != LOAM_OK) return st;
    }
    if ((st = loam__gguf_header(g, 0, &g->meta)) != LOAM_OK) return st;
    if ((st = split_of(g, 0, &g->meta, &first)) != LOAM_OK) return st;
    if (first.count != n_parts)
        return loam__fail(g->base, LOAM_ERR_ARG,
                          "%zu sources are given, but the model has split.count %llu; give each "
                          "part once, in order",
                          n_parts, (ull)first.count);
    if (first.no != 0)
        return loam__fail(g->base, LOAM_ERR_ARG,
                          "the first source is part %llu of %llu; give the parts in order",
                          (ull)first.no + 1, (ull)first.count);
    for (uint32_t i = 1; i < n_parts; i++)
        if ((st = read_further(g, i, &first)) != LOAM_OK) return st;
    return finish(g, &first);
}

loam_status loam__gguf_open_sources(loam__base *b, const loam_source *const *parts, size_t n_parts,
                                    loam__gguf **out)
{
    *out = NULL;
    if (!parts || n_parts == 0 || n_parts > LOAM__GGUF_PARTS_MAX)
        return loam__fail(b, LOAM_ERR_ARG, "a model has 1 to %u sources; %zu are given",
                          LOAM__GGUF_PARTS_MAX, parts ? n_parts : 0);
    loam__gguf *g = new_container(b, n_parts);
    if (!g) return LOAM_ERR_NOMEM;
    loam_status st = open_sources(g, parts, n_parts);
    if (st == LOAM_OK) *out = g;
    else loam__gguf_close(g);
    return st;
}

/* ---- looking up ---- */

uint32_t loam__gguf_version(const loam__gguf *g)
{
    return g->version;
}

size_t loam__gguf_parts(const loam__gguf *g)
{
    return g->n_parts;
}

size_t loam__gguf_meta_count(const loam__gguf *g)
{
    return g->meta.index.n;
}

size_t loam__gguf_tensor_count(const loam__gguf *g)
{
    return g->n_slots;
}

void loam__gguf_meta(const loam__gguf *g, size_t i, loam_gguf_meta *meta)
{
    const loam__entry *e = &g->meta.entries[i];
    loam_gguf_meta_init(meta);
    meta->type = e->type;
    meta->element_type = e->element;
    meta->count = e->count;
    meta->key = e->key;
}

void loam__gguf_tensor(const loam__gguf *g, size_t i, loam_gguf_tensor *tensor)
{
    const loam__slot *s = &g->slots[i];
    const uint8_t *data = g->parts[s->part].data;
    loam_gguf_tensor_init(tensor);
    tensor->type = (loam_format)s->type;
    tensor->n_dims = s->n_dims;
    tensor->part = s->part;
    memcpy(tensor->dims, s->dims, sizeof tensor->dims);
    tensor->offset_bytes = s->offset;
    tensor->size_bytes = s->size;
    tensor->name = s->name;
    tensor->data = data ? data + s->offset : NULL;
}

int64_t loam__gguf_find_meta(const loam__gguf *g, const char *key)
{
    return loam__index_find(&g->meta.index, key);
}

int64_t loam__gguf_find_tensor(const loam__gguf *g, const char *name)
{
    return loam__index_find(&g->tensors, name);
}

const uint8_t *loam__gguf_part_data(const loam__gguf *g, size_t part, uint64_t *size_bytes)
{
    *size_bytes = g->parts[part].size;
    return g->parts[part].data;
}

loam_status loam__gguf_read(const loam__gguf *g, size_t part, uint64_t offset, void *buffer,
                            size_t n)
{
    return loam__part_read(g->base, &g->parts[part], offset, buffer, n);
}

void loam__gguf_forget_tensors(const loam__gguf *g, size_t part)
{
    loam__forget_pages(&g->parts[part].map, part == 0 ? g->meta.end : 0);
}

uint64_t loam__gguf_header_pages(const loam__gguf *g)
{
    return g->parts[0].map.data ? g->meta.end : 0;
}
