#include "model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define HEADS_MAX                                                                                  \
    65535u /* times the tokens of the widest step: still a 32-bit number of slices                 \
            */

/* ---- metadata ---- */

static void key_of(const loam__model *m, const char *suffix, char key[128])
{
    snprintf(key, 128, "%s.%s", m->arch->name, suffix);
}

loam_status loam__model_want_u32(loam__model *m, const char *suffix, uint32_t *value)
{
    char key[128];
    key_of(m, suffix, key);
    return loam__gguf_want_u32(m->gguf, key, value);
}

loam_status loam__model_want_f32(loam__model *m, const char *suffix, float *value)
{
    char key[128];
    key_of(m, suffix, key);
    loam_status st = loam__gguf_want_f32(m->gguf, key, value);
    if (st == LOAM_OK && !isfinite(*value))
        st = loam__fail(m->base, LOAM_ERR_METADATA,
                        "%s is not a finite number; the file is damaged", key);
    return st;
}

/* A count that the family cannot do without, within sane limits. */
static loam_status need_u32(loam__model *m, const char *suffix, uint32_t most, uint32_t *value)
{
    *value = 0;
    loam_status st = loam__model_want_u32(m, suffix, value);
    if (st == LOAM_OK && (*value == 0 || *value > most))
        st = loam__fail(m->base, LOAM_ERR_METADATA, "%s.%s is %s; it must be between 1 and %u",
                        m->arch->name, suffix, *value ? "too large" : "missing or 0", most);
    return st;
}

/* A number for each layer: one for all or an array; absent leaves the fields. field: its offset in
 * loam__layer. */
static loam_status per_layer(loam__model *m, const char *suffix, uint32_t most, size_t field)
{
    char key[128];
    loam_gguf_meta meta;
    loam__geometry *geo = &m->geometry;
    key_of(m, suffix, key);
    int64_t entry = loam__gguf_find_meta(m->gguf, key);
    if (entry < 0) return LOAM_OK;
    loam__gguf_meta(m->gguf, (size_t)entry, &meta);
    bool array = meta.type == LOAM_META_ARRAY;
    if (array && meta.count < geo->n_layers)
        return loam__fail(m->base, LOAM_ERR_METADATA, "%s has %llu numbers for %u layers", key,
                          (unsigned long long)meta.count, geo->n_layers);
    for (uint32_t i = 0; i < geo->n_layers; i++) {
        uint64_t value;
        if (loam__gguf_u64(m->gguf, (size_t)entry, array ? i : 0, &value) != LOAM_OK ||
            value == 0 || value > most)
            return loam__fail(m->base, LOAM_ERR_METADATA,
                              "%s: layer %u must have a number between 1 and %u there", key, i,
                              most);
        uint32_t number = (uint32_t)value;
        memcpy((char *)&geo->layers[i] + field, &number, sizeof number);
    }
    return LOAM_OK;
}

static loam_status read_rope(loam__model *m)
{
    loam__geometry *geo = &m->geometry;
    loam__rope *r = &geo->ropes[0];
    const char *type = "linear";
    size_t n = strlen(type);
    char key[128];
    loam_status st;
    *r = (loam__rope){.base = 10000.0f,
                      .factor = 0.0f,
                      .magnitude_factor = 1.0f,
                      .trained_tokens = geo->trained_tokens,
                      .beta_fast = 32.0f,
                      .beta_slow = 1.0f,
                      .rotary_values = geo->k_values};
    geo->n_ropes = 1;
    key_of(m, "rope.scaling.type", key);
    if ((st = loam__gguf_want_string(m->gguf, key, &type, &n)) != LOAM_OK ||
        (st = loam__model_want_f32(m, "rope.freq_base", &r->base)) != LOAM_OK ||
        (st = loam__model_want_f32(m, "rope.scale_linear", &r->factor)) !=
            LOAM_OK || /* the older name */
        (st = loam__model_want_f32(m, "rope.scaling.factor", &r->factor)) != LOAM_OK ||
        (st = loam__model_want_f32(m, "rope.scaling.attn_factor", &r->magnitude_factor)) !=
            LOAM_OK ||
        (st = loam__model_want_f32(m, "rope.scaling.yarn_beta_fast", &r->beta_fast)) != LOAM_OK ||
        (st = loam__model_want_f32(m, "rope.scaling.yarn_beta_slow", &r->beta_slow)) != LOAM_OK ||
        (st = loam__model_want_u32(m, "rope.scaling.original_context_length",
                                   &r->trained_tokens)) != LOAM_OK ||
        (st = loam__model_want_u32(m, "rope.dimension_count", &r->rotary_values)) != LOAM_OK)
        return st;
    bool yarn = n == 4 && memcmp(type, "yarn", 4) == 0;
    bool linear = n == 6 && memcmp(type, "linear", 6) == 0;
    if (!yarn && !linear && !(n == 4 && memcmp(type, "none", 4) == 0))
        return loam__fail(m->base, LOAM_ERR_UNSUPPORTED,
                          "%s is \"%.*s\"; this version knows none, linear and yarn", key,
                          (int)(n < 32 ? n : 32), type);
    r->scaling = r->factor <= 0 ? LOAM__ROPE_PLAIN
                 : yarn         ? LOAM__ROPE_YARN
                 : linear       ? LOAM__ROPE_LINEAR
                                : 0;
    if (r->base <= 1.0f || r->factor < 0 || r->trained_tokens == 0 || r->beta_fast <= 0 ||
        r->beta_slow <= 0 || r->rotary_values == 0 || r->rotary_values % 2 != 0 ||
        r->rotary_values > geo->k_values)
        return loam__fail(m->base, LOAM_ERR_METADATA,
                          "the %s.rope.* keys contradict each other or the width of a head (%u)",
                          m->arch->name, geo->k_values);
    r->factors = loam__gguf_find_tensor(m->gguf, "rope_freqs.weight");
    return LOAM_OK;
}

static loam_status read_layers(loam__model *m)
{
    loam__geometry *geo = &m->geometry;
    loam_status st;
    geo->layers = loam__alloc_array(m->base, geo->n_layers, sizeof *geo->layers);
    if (!geo->layers) return LOAM_ERR_NOMEM;
    if ((st = per_layer(m, "attention.head_count", HEADS_MAX, offsetof(loam__layer, heads))) !=
        LOAM_OK)
        return st;
    for (uint32_t i = 0; i < geo->n_layers; i++)
        geo->layers[i].kv_heads = geo->layers[i].heads;
    if ((st = per_layer(m, "attention.head_count_kv", HEADS_MAX,
                        offsetof(loam__layer, kv_heads))) != LOAM_OK ||
        (st = per_layer(m, "feed_forward_length", LOAM__WIDTH_MAX * 16,
                        offsetof(loam__layer, ff_values))) != LOAM_OK)
        return st;
    for (uint32_t i = 0; i < geo->n_layers; i++) {
        const loam__layer *layer = &geo->layers[i];
        if (!layer->heads || !layer->ff_values || layer->heads % layer->kv_heads != 0)
            return loam__fail(
                m->base, LOAM_ERR_METADATA,
                "layer %u: attention.head_count %u must be a multiple of head_count_kv %u, and "
                "feed_forward_length must be given",
                i, layer->heads, layer->kv_heads);
    }
    return LOAM_OK;
}

static loam_status read_geometry(loam__model *m)
{
    loam__geometry *geo = &m->geometry;
    loam_gguf_tensor table;
    loam_status st;
    if ((st = need_u32(m, "block_count", LOAM__LAYERS_MAX, &geo->n_layers)) != LOAM_OK ||
        (st = need_u32(m, "embedding_length", LOAM__WIDTH_MAX, &geo->n_embd)) != LOAM_OK ||
        (st = need_u32(m, "context_length", INT32_MAX, &geo->trained_tokens)) != LOAM_OK ||
        (st = read_layers(m)) != LOAM_OK)
        return st;
    geo->k_values = geo->n_embd / geo->layers[0].heads;
    if ((st = loam__model_want_u32(m, "attention.key_length", &geo->k_values)) != LOAM_OK)
        return st;
    geo->v_values = geo->k_values;
    if ((st = loam__model_want_u32(m, "attention.value_length", &geo->v_values)) != LOAM_OK)
        return st;
    if (!geo->k_values || !geo->v_values || geo->k_values > 65536 || geo->v_values > 65536)
        return loam__fail(m->base, LOAM_ERR_METADATA,
                          "heads of %u key and %u value numbers make no sense", geo->k_values,
                          geo->v_values);
    geo->eps = 1e-5f;
    if ((st = loam__model_want_f32(m, "attention.layer_norm_rms_epsilon", &geo->eps)) != LOAM_OK)
        return st;
    int64_t index = loam__gguf_find_tensor(m->gguf, "token_embd.weight");
    if (index < 0)
        return loam__fail(m->base, LOAM_ERR_TENSOR_MISSING,
                          "the tensor token_embd.weight is missing; the file is no whole model (a "
                          "vocabulary alone "
                          "can be loaded with LOAM_LOAD_VOCAB)");
    loam__gguf_tensor(m->gguf, (size_t)index, &table);
    if (table.dims[1] > INT32_MAX)
        return loam__fail(m->base, LOAM_ERR_LIMIT, "a vocabulary of %llu tokens is too large",
                          (unsigned long long)table.dims[1]);
    geo->n_vocab = (uint32_t)table.dims[1];
    geo->embed_scale = 1.0f;
    geo->attention_scale = 1.0f / sqrtf((float)geo->k_values);
    return read_rope(m);
}

static loam_status find_arch(loam__model *m)
{
    const char *name = NULL;
    char known[256] = "";
    size_t n = 0;
    loam_status st = loam__gguf_want_string(m->gguf, "general.architecture", &name, &n);
    if (st != LOAM_OK) return st;
    if (!name)
        return loam__fail(
            m->base, LOAM_ERR_METADATA,
            "general.architecture is missing; the file does not say what model it holds");
    for (size_t i = 0; (m->arch = loam__arch_at(i)); i++) {
        if (strlen(m->arch->name) == n && memcmp(m->arch->name, name, n) == 0) return LOAM_OK;
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", m->arch->name);
    }
    return loam__fail(m->base, LOAM_ERR_ARCH,
                      "the architecture \"%.*s\" is not built into this version, which runs %s",
                      (int)(n < 64 ? n : 64), name, known);
}

loam_status loam__model_open(loam__base *b, const loam__gguf *g, loam__model *m)
{
    loam_status st;
    *m = (loam__model){.base = b, .gguf = g};
    loam__graph_init(&m->graph, b, 0, 0);
    if ((st = find_arch(m)) != LOAM_OK || (st = read_geometry(m)) != LOAM_OK) return st;
    return m->arch->geometry(m);
}

/* ---- tensors ---- */

static bool shape_is(const loam_gguf_tensor *t, uint64_t rows, uint64_t cols)
{
    return t->dims[0] == cols && t->dims[1] == rows && t->dims[2] == 1 && t->dims[3] == 1;
}

/* Look a tensor up and hold it against what the geometry says; -1: absent or wrong (then the status
 * says so). */
static int64_t find(loam__model *m, bool needed, uint64_t rows, uint64_t cols, const char *format,
                    va_list args, loam_gguf_tensor *t)
{
    char name[128];
    if (m->graph.status != LOAM_OK) return -1;
    vsnprintf(name, sizeof name, format, args);
    int64_t i = loam__gguf_find_tensor(m->gguf, name);
    if (i < 0) {
        if (needed)
            m->graph.status = loam__fail(m->base, LOAM_ERR_TENSOR_MISSING,
                                         "the tensor %s is missing; the file is no whole %s model",
                                         name, m->arch->name);
        return -1;
    }
    loam__gguf_tensor(m->gguf, (size_t)i, t);
    if (shape_is(t, rows, cols)) return i;
    m->graph.status =
        loam__fail(m->base, LOAM_ERR_TENSOR_SHAPE,
                   "the tensor %s is %llu x %llu x %llu x %llu; the metadata ask for %llu x %llu",
                   name, (unsigned long long)t->dims[0], (unsigned long long)t->dims[1],
                   (unsigned long long)t->dims[2], (unsigned long long)t->dims[3],
                   (unsigned long long)cols, (unsigned long long)rows);
    return -1;
}

/* A factor for the whole matrix, such as files with NVFP4 can have: without it all is wrong. */
static bool refuse_scale(loam__model *m, const char *name)
{
    static const char ending[] = "weight";
    char scale[128];
    size_t n = strlen(name), stem = n - (sizeof ending - 1);
    if (n < sizeof ending || n >= sizeof scale || strcmp(name + stem, ending) != 0) return false;
    snprintf(scale, sizeof scale, "%.*sscale", (int)stem, name);
    if (loam__gguf_find_tensor(m->gguf, scale) < 0) return false;
    m->graph.status = loam__fail(m->base, LOAM_ERR_UNSUPPORTED,
                                 "the tensor %s scales a whole matrix, which is not built into "
                                 "this version: take a file that was quantized without it",
                                 scale);
    return true;
}

static loam__v matrix(loam__model *m, bool needed, uint64_t rows, uint64_t cols, const char *format,
                      va_list args)
{
    loam_gguf_tensor t;
    int64_t i = find(m, needed, rows, cols, format, args, &t);
    if (i < 0 || refuse_scale(m, t.name)) return -1;
    return loam__graph_weight(&m->graph, t.type, rows, cols, i);
}

static loam__v vector(loam__model *m, bool needed, uint64_t n, const char *format, va_list args)
{
    loam_gguf_tensor t;
    int64_t i = find(m, needed, 1, n, format, args, &t);
    return i < 0 ? -1 : loam__graph_constant(&m->graph, n, i, -1);
}

loam__v loam__model_matrix(loam__model *m, uint64_t rows, uint64_t cols, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    loam__v v = matrix(m, true, rows, cols, name, args);
    va_end(args);
    return v;
}

loam__v loam__model_matrix_if(loam__model *m, uint64_t rows, uint64_t cols, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    loam__v v = matrix(m, false, rows, cols, name, args);
    va_end(args);
    return v;
}

loam__v loam__model_vector(loam__model *m, uint64_t n, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    loam__v v = vector(m, true, n, name, args);
    va_end(args);
    return v;
}

loam__v loam__model_vector_if(loam__model *m, uint64_t n, const char *name, ...)
{
    va_list args;
    va_start(args, name);
    loam__v v = vector(m, false, n, name, args);
    va_end(args);
    return v;
}

/* ---- graph ---- */

static loam_status check_factors(const loam__model *m, const loam__rope *r)
{
    loam_gguf_tensor t;
    if (r->factors < 0) return LOAM_OK;
    loam__gguf_tensor(m->gguf, (size_t)r->factors, &t);
    if (shape_is(&t, 1, r->rotary_values / 2)) return LOAM_OK;
    return loam__fail(m->base, LOAM_ERR_TENSOR_SHAPE,
                      "the tensor %s has %llu numbers; half of rope.dimension_count is %u", t.name,
                      (unsigned long long)t.dims[0], r->rotary_values / 2);
}

void loam__model_group(loam__model *m, uint32_t context_tokens)
{
    loam__geometry *geo = &m->geometry;
    uint32_t whole = 0, widest = 0;
    for (uint32_t i = 0; i < geo->n_layers; i++) {
        uint32_t window = geo->layers[i].window;
        if (window == 0 || window >= context_tokens) whole = 1;
        else if (window > widest) widest = window;
    }
    geo->n_groups = 0;
    if (whole) geo->group_windows[geo->n_groups++] = 0;
    if (widest) geo->group_windows[geo->n_groups++] = widest;
    for (uint32_t i = 0; i < geo->n_layers; i++) {
        uint32_t window = geo->layers[i].window;
        geo->layers[i].group = window && window < context_tokens ? whole : 0;
    }
}

loam_status loam__model_build(loam__model *m, const loam__model_options *options)
{
    const loam__geometry *geo = &m->geometry;
    loam__graph_free(&m->graph);
    loam__graph_init(&m->graph, m->base, options->max_tokens, options->max_outputs);
    m->graph.n_tables = options->n_tables;
    m->graph.blocks_per_table = options->blocks_per_table;
    m->options = *options;
    for (uint32_t i = 0; i < geo->n_ropes; i++) {
        loam_status st = check_factors(m, &geo->ropes[i]);
        if (st != LOAM_OK) return st;
        m->rope_values[i] =
            loam__graph_constant(&m->graph, geo->ropes[i].rotary_values / 2, -1, (int32_t)i);
    }
    m->arch->graph(m);
    return m->graph.status;
}

void loam__model_free(loam__model *m)
{
    if (!m->base) return;
    loam__free(m->base, m->geometry.layers);
    loam__graph_free(&m->graph);
    *m = (loam__model){0};
}
