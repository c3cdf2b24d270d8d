/* The exported functions of <loam/gguf.h>: check arguments, call the room. */
#include "lib/gguf/gguf.h"

#include "lib/base/base.h"

struct loam_gguf {
    loam__base base;
    loam__gguf *g; /* NULL after a failed open */
};

/* A handle even when hooks are wrong, so that it can say so: then its memory is the C library's. */
static loam_status new_handle(const loam_hooks *hooks, loam_gguf **out)
{
    loam__base base;
    loam_status st = loam__base_init(&base, hooks);
    *out = loam__alloc(&base, sizeof **out);
    if (!*out) return LOAM_ERR_NOMEM;
    (*out)->base = base;
    return st;
}

loam_status loam_gguf_open(const char *path, const loam_hooks *hooks, loam_gguf **out)
{
    if (out) *out = NULL;
    if (!path || !out) return LOAM_ERR_ARG;
    loam_status st = new_handle(hooks, out);
    return st == LOAM_OK ? loam__gguf_open(&(*out)->base, path, &(*out)->g) : st;
}

loam_status loam_gguf_open_sources(const loam_source *const *parts, size_t n_parts,
                                   const loam_hooks *hooks, loam_gguf **out)
{
    if (out) *out = NULL;
    if (!parts || !out) return LOAM_ERR_ARG;
    loam_status st = new_handle(hooks, out);
    return st == LOAM_OK ? loam__gguf_open_sources(&(*out)->base, parts, n_parts, &(*out)->g) : st;
}

const char *loam_gguf_error(const loam_gguf *g)
{
    return g ? g->base.error : "there is no container handle: it is NULL";
}

void loam_gguf_close(loam_gguf *g)
{
    if (!g) return;
    loam__base base = g->base;
    loam__gguf_close(g->g);
    loam__free(&base, g);
}

uint32_t loam_gguf_version(const loam_gguf *g)
{
    return g && g->g ? loam__gguf_version(g->g) : 0;
}

size_t loam_gguf_parts(const loam_gguf *g)
{
    return g && g->g ? loam__gguf_parts(g->g) : 0;
}

size_t loam_gguf_meta_count(const loam_gguf *g)
{
    return g && g->g ? loam__gguf_meta_count(g->g) : 0;
}

size_t loam_gguf_tensor_count(const loam_gguf *g)
{
    return g && g->g ? loam__gguf_tensor_count(g->g) : 0;
}

loam_status loam_gguf_get_meta(const loam_gguf *g, size_t i, loam_gguf_meta *meta)
{
    loam_gguf_meta found;
    if (!meta || i >= loam_gguf_meta_count(g)) return LOAM_ERR_ARG;
    loam__gguf_meta(g->g, i, &found);
    return loam__options_write(meta, LOAM__UP_TO(loam_gguf_meta, reserved_pointer), &found,
                               sizeof found);
}

loam_status loam_gguf_get_tensor(const loam_gguf *g, size_t i, loam_gguf_tensor *tensor)
{
    loam_gguf_tensor found;
    if (!tensor || i >= loam_gguf_tensor_count(g)) return LOAM_ERR_ARG;
    loam__gguf_tensor(g->g, i, &found);
    return loam__options_write(tensor, LOAM__UP_TO(loam_gguf_tensor, data), &found, sizeof found);
}

int64_t loam_gguf_find_meta(const loam_gguf *g, const char *key)
{
    return g && g->g && key ? loam__gguf_find_meta(g->g, key) : -1;
}

int64_t loam_gguf_find_tensor(const loam_gguf *g, const char *name)
{
    return g && g->g && name ? loam__gguf_find_tensor(g->g, name) : -1;
}

static int has_element(const loam_gguf *g, size_t i, uint64_t e)
{
    loam_gguf_meta meta;
    if (i >= loam_gguf_meta_count(g)) return 0;
    loam__gguf_meta(g->g, i, &meta);
    return e < meta.count;
}

loam_status loam_gguf_get_u64(const loam_gguf *g, size_t i, uint64_t e, uint64_t *value)
{
    return value && has_element(g, i, e) ? loam__gguf_u64(g->g, i, e, value) : LOAM_ERR_ARG;
}

loam_status loam_gguf_get_i64(const loam_gguf *g, size_t i, uint64_t e, int64_t *value)
{
    return value && has_element(g, i, e) ? loam__gguf_i64(g->g, i, e, value) : LOAM_ERR_ARG;
}

loam_status loam_gguf_get_f64(const loam_gguf *g, size_t i, uint64_t e, double *value)
{
    return value && has_element(g, i, e) ? loam__gguf_f64(g->g, i, e, value) : LOAM_ERR_ARG;
}

loam_status loam_gguf_get_string(const loam_gguf *g, size_t i, uint64_t e, const char **text,
                                 size_t *n)
{
    return text && n && has_element(g, i, e) ? loam__gguf_string(g->g, i, e, text, n)
                                             : LOAM_ERR_ARG;
}
