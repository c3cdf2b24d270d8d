/* Reading a vocabulary: the tables that every kind of tokenizer shares. */
#include "vocab.h"

#include <string.h>

static const loam__kind *const kinds[] = {&loam__kind_spm, &loam__kind_bpe};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- metadata ---- */

int64_t loam__single(const loam__gguf *g, const char *key)
{
    loam_gguf_meta meta = {.struct_size = sizeof meta};
    int64_t entry = loam__gguf_find_meta(g, key);
    if (entry < 0) return -1;
    loam__gguf_meta(g, (size_t)entry, &meta);
    return meta.type == LOAM_META_ARRAY ? -1 : entry;
}

static loam_status pick_kind(loam__base *b, loam__vocab *v)
{
    const char *model = NULL;
    size_t n = 0;
    int64_t entry = loam__single(v->gguf, "tokenizer.ggml.model");
    if (entry < 0 || loam__gguf_string(v->gguf, (size_t)entry, 0, &model, &n) != LOAM_OK)
        return loam__fail(b, LOAM_ERR_TOKENIZER,
                          "the file has no vocabulary (no text under 'tokenizer.ggml.model'); give "
                          "token ids instead of text or convert the model again");
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (n == strlen(kinds[i]->model) && memcmp(model, kinds[i]->model, n) == 0)
            v->kind = kinds[i];
    if (v->kind) return LOAM_OK;
    return loam__fail(
        b, LOAM_ERR_TOKENIZER,
        "the vocabulary is of kind '%.*s', and this version reads 'llama' (SentencePiece "
        "BPE) and 'gpt2' (byte-level BPE); use another model or a newer loam",
        n < 32 ? (int)n : 32, model);
}

/* A list of the vocabulary with one element a token. LOAM_OK with *entry -1 if it is not there. */
static loam_status list_of(loam__base *b, const loam__vocab *v, const char *key, int64_t *entry,
                           loam_gguf_meta *meta)
{
    *entry = loam__gguf_find_meta(v->gguf, key);
    if (*entry < 0) return LOAM_OK;
    *meta = (loam_gguf_meta){.struct_size = sizeof *meta};
    loam__gguf_meta(v->gguf, (size_t)*entry, meta);
    if (meta->type != LOAM_META_ARRAY)
        return loam__fail(b, LOAM_ERR_TOKENIZER,
                          "'%s' is one value where a list is expected; convert the model again",
                          key);
    if (v->n && meta->count != v->n)
        return loam__fail(b, LOAM_ERR_TOKENIZER,
                          "'%s' has %llu elements for %lu tokens; convert the model again", key,
                          (unsigned long long)meta->count, (unsigned long)v->n);
    return LOAM_OK;
}

static loam_status read_tokens(loam__base *b, loam__vocab *v)
{
    static const char key[] = "tokenizer.ggml.tokens";
    loam_gguf_meta meta;
    int64_t entry;
    loam_status st = list_of(b, v, key, &entry, &meta);
    if (st != LOAM_OK) return st;
    if (entry < 0 || meta.element_type != LOAM_META_STRING || meta.count == 0)
        return loam__fail(b, LOAM_ERR_TOKENIZER,
                          "'%s' is missing, empty or not a list of texts; convert the model again",
                          key);
    if (meta.count > INT32_MAX)
        return loam__fail(b, LOAM_ERR_LIMIT, "%llu tokens are more than ids can name",
                          (unsigned long long)meta.count);
    v->n = (uint32_t)meta.count;
    v->spellings = (size_t)entry;
    v->tokens = loam__alloc_array(b, v->n, sizeof *v->tokens);
    v->keys = loam__alloc_array(b, v->n, sizeof *v->keys);
    if (!v->tokens || !v->keys) return LOAM_ERR_NOMEM;
    for (uint32_t i = 0; i < v->n; i++) {
        loam__key spelling = loam__spelling(v, i);
        v->tokens[i].type = LOAM__TOKEN_NORMAL;
        v->tokens[i].bytes = spelling.p;
        v->tokens[i].n = spelling.n;
        v->keys[i] = spelling;
    }
    return LOAM_OK;
}

static loam_status read_types(loam__base *b, loam__vocab *v)
{
    static const char key[] = "tokenizer.ggml.token_type";
    loam_gguf_meta meta;
    int64_t entry, type;
    loam_status st = list_of(b, v, key, &entry, &meta);
    if (st != LOAM_OK) return st;
    for (uint32_t i = 0; i < v->n; i++) {
        loam__token_info *t = &v->tokens[i];
        if (entry >= 0) {
            if (loam__gguf_i64(v->gguf, (size_t)entry, i, &type) != LOAM_OK)
                return loam__fail(b, LOAM_ERR_TOKENIZER,
                                  "'%s' is not a list of integers; convert the model again", key);
            if (type >= LOAM__TOKEN_NORMAL && type <= LOAM__TOKEN_BYTE) t->type = (uint8_t)type;
        }
        if (t->n > 0 && t->type != LOAM__TOKEN_CONTROL && t->type != LOAM__TOKEN_UNKNOWN)
            t->flags |= LOAM__TOKEN_MERGED;
    }
    return LOAM_OK;
}

/* The id under key, or fallback where that is in the vocabulary, or -1. */
static loam_token special_id(loam__base *b, const loam__vocab *v, const char *key, int32_t fallback)
{
    uint64_t id;
    int64_t entry = loam__single(v->gguf, key);
    if (entry >= 0) {
        if (loam__gguf_u64(v->gguf, (size_t)entry, 0, &id) == LOAM_OK && id < v->n)
            return (loam_token)id;
        loam__log(b, LOAM_LOG_WARN, "'%s' is not one of the %lu tokens; it is left out", key,
                  (unsigned long)v->n);
    }
    return fallback >= 0 && (uint32_t)fallback < v->n ? fallback : -1;
}

static void read_flag(const loam__vocab *v, const char *key, bool *flag)
{
    uint64_t value;
    int64_t entry = loam__single(v->gguf, key);
    if (entry >= 0 && loam__gguf_u64(v->gguf, (size_t)entry, 0, &value) == LOAM_OK)
        *flag = value != 0;
}

/* ---- a vocabulary's life ---- */

static loam_status load(loam__base *b, loam__vocab *v)
{
    loam_status st = pick_kind(b, v);
    if (st == LOAM_OK) st = read_tokens(b, v);
    if (st == LOAM_OK) st = read_types(b, v);
    if (st != LOAM_OK) return st;
    v->bos = special_id(b, v, "tokenizer.ggml.bos_token_id", v->kind->bos);
    v->eos = special_id(b, v, "tokenizer.ggml.eos_token_id", v->kind->eos);
    v->unknown = special_id(b, v, "tokenizer.ggml.unknown_token_id", v->kind->unknown);
    v->add_bos = v->kind->add_bos;
    v->space_prefix = v->kind->space_prefix;
    loam__apply_known(v);
    v->state = loam__alloc(b, v->kind->state_bytes);
    if (!v->state) return LOAM_ERR_NOMEM;
    if ((st = v->kind->load(b, v)) != LOAM_OK) return st;
    read_flag(v, "tokenizer.ggml.add_bos_token", &v->add_bos);
    read_flag(v, "tokenizer.ggml.add_eos_token", &v->add_eos);
    read_flag(v, "tokenizer.ggml.add_space_prefix", &v->space_prefix);
    return loam__specials_new(b, v);
}

loam_status loam__vocab_new(loam__base *b, const loam__gguf *g, loam__vocab **out)
{
    *out = NULL;
    loam__vocab *v = loam__alloc(b, sizeof *v);
    if (!v) return LOAM_ERR_NOMEM;
    v->base = b;
    v->gguf = g;
    loam_status st = load(b, v);
    if (st != LOAM_OK) {
        loam__vocab_free(v);
        return st;
    }
    *out = v;
    return LOAM_OK;
}

void loam__vocab_free(loam__vocab *v)
{
    if (!v) return;
    if (v->state) v->kind->free(v);
    loam__free(v->base, v->state);
    loam__specials_free(v->base, &v->specials);
    loam__text_map_free(&v->map, v->base);
    loam__free(v->base, v->decoded);
    loam__free(v->base, v->keys);
    loam__free(v->base, v->tokens);
    loam__free(v->base, v);
}

loam_status loam__map_keys(loam__base *b, loam__vocab *v)
{
    size_t n = 0;
    for (uint32_t i = 0; i < v->n; i++)
        n += (v->tokens[i].flags & LOAM__TOKEN_MERGED) != 0;
    loam_status st = loam__text_map_new(&v->map, b, n);
    if (st != LOAM_OK) return st;
    for (uint32_t i = 0; i < v->n; i++) {
        uint32_t replaced;
        if (!(v->tokens[i].flags & LOAM__TOKEN_MERGED)) continue;
        if (!loam__text_map_add(&v->map, v->keys, i, &replaced))
            return loam__fail(
                b, LOAM_ERR_TOKENIZER,
                "the vocabulary's texts collide in the hash table at token %lu: it is "
                "made to slow its readers down; do not use this file",
                (unsigned long)i);
        if (replaced != LOAM__NO_ID) v->tokens[replaced].flags &= (uint8_t)~LOAM__TOKEN_MERGED;
    }
    return LOAM_OK;
}

uint32_t loam__find_key(const loam__vocab *v, const char *p, size_t n)
{
    return loam__text_map_find(&v->map, v->keys, p, n);
}

bool loam__is_key(const loam__vocab *v, uint32_t id, const char *p, size_t n)
{
    return id < v->n && (v->tokens[id].flags & LOAM__TOKEN_MERGED) && v->keys[id].n == n &&
           memcmp(v->keys[id].p, p, n) == 0;
}

/* ---- look-ups ---- */

loam__key loam__spelling(const loam__vocab *v, uint32_t id)
{
    const char *text = "";
    size_t n = 0;
    loam__gguf_string(v->gguf, v->spellings, id, &text, &n);
    return (loam__key){text, n < UINT32_MAX ? (uint32_t)n : 0};
}

uint32_t loam__vocab_size(const loam__vocab *v)
{
    return v->n;
}

loam_token loam__vocab_bos(const loam__vocab *v)
{
    return v->bos;
}

loam_token loam__vocab_eos(const loam__vocab *v)
{
    return v->eos;
}

bool loam__vocab_is_end(const loam__vocab *v, loam_token token)
{
    return token >= 0 && (uint32_t)token < v->n && (v->tokens[token].flags & LOAM__TOKEN_END) != 0;
}

const char *loam__vocab_spelling(const loam__vocab *v, loam_token token, size_t *n)
{
    loam__key key = loam__spelling(v, (uint32_t)token);
    *n = key.n;
    return key.p;
}
