/* Reading a vocabulary: the tables that every kind of tokenizer shares. */
#include "vocab.h"

#include <string.h>

static const loam__kind *const kinds[] = {
    &loam__kind_spm,       &loam__kind_bpe,  &loam__kind_gemma4, &loam__kind_unigram,
    &loam__kind_wordpiece, &loam__kind_rwkv, &loam__kind_plamo2, &loam__kind_whitespace};

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
        "BPE), 'gpt2' (byte-level BPE), 'gemma4' and 'whitespace' (BPE over characters), 't5' "
        "(Unigram), 'bert' (WordPiece), 'rwkv' and 'plamo2'; use another model or a newer loam",
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

static loam_status count_tokens(loam__base *b, loam__vocab *v)
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
    return LOAM_OK;
}

#define TYPES_AT_ONCE 256u

/* The types from token first on, of as many as there are up to TYPES_AT_ONCE. False: no integers.
 */
static bool types_from(const loam__vocab *v, uint32_t first, int32_t types[TYPES_AT_ONCE],
                       uint32_t *n)
{
    *n = v->n - first < TYPES_AT_ONCE ? v->n - first : TYPES_AT_ONCE;
    for (uint32_t i = 0; i < *n; i++)
        types[i] = LOAM__TOKEN_NORMAL;
    return v->types < 0 || loam__gguf_i32s(v->gguf, (size_t)v->types, first, *n, types) == LOAM_OK;
}

/* How many special tokens there can be. */
static loam_status count_specials(loam__base *b, loam__vocab *v)
{
    static const char key[] = "tokenizer.ggml.token_type";
    int32_t types[TYPES_AT_ONCE];
    loam_gguf_meta meta;
    uint32_t m, most = loam__known_most();
    loam_status st = list_of(b, v, key, &v->types, &meta);
    for (uint32_t i = 0; st == LOAM_OK && i < v->n; i += m) {
        if (!types_from(v, i, types, &m))
            st = loam__fail(b, LOAM_ERR_TOKENIZER,
                            "'%s' is not a list of integers; convert the model again", key);
        for (uint32_t k = 0; k < m; k++)
            most += loam__is_special(types[k]);
    }
    v->specials.most = most;
    return st;
}

loam_status loam__find_scores(loam__base *b, const loam__vocab *v, size_t *entry)
{
    static const char key[] = "tokenizer.ggml.scores";
    double first;
    loam_gguf_meta meta;
    int64_t found;
    loam_status st = list_of(b, v, key, &found, &meta);
    if (st != LOAM_OK) return st;
    if (found < 0)
        return loam__fail(b, LOAM_ERR_TOKENIZER, "'%s' is missing; convert the model again", key);
    if (loam__gguf_f64(v->gguf, (size_t)found, 0, &first) != LOAM_OK)
        return loam__fail(b, LOAM_ERR_TOKENIZER,
                          "'%s' is not a list of numbers; convert the model again", key);
    *entry = (size_t)found;
    return LOAM_OK;
}

/* The id under key if the file has one, else *id stays. */
static void read_id(loam__base *b, const loam__vocab *v, const char *key, loam_token *id)
{
    uint64_t value;
    int64_t entry = key ? loam__single(v->gguf, key) : -1;
    if (entry < 0) return;
    if (loam__gguf_u64(v->gguf, (size_t)entry, 0, &value) == LOAM_OK && value < v->n)
        *id = (loam_token)value;
    else
        loam__log(b, LOAM_LOG_WARN, "'%s' is not one of the %lu tokens; it is left out", key,
                  (unsigned long)v->n);
}

/* The id under the first of two keys, or fallback where that is in the vocabulary, or -1. */
static loam_token special_id(loam__base *b, const loam__vocab *v, const char *first,
                             const char *second, int32_t fallback)
{
    loam_token id = fallback >= 0 && (uint32_t)fallback < v->n ? fallback : -1;
    read_id(b, v, second, &id);
    read_id(b, v, first, &id);
    return id;
}

void loam__read_flag(const loam__vocab *v, const char *key, bool *flag)
{
    uint64_t value;
    int64_t entry = loam__single(v->gguf, key);
    if (entry >= 0 && loam__gguf_u64(v->gguf, (size_t)entry, 0, &value) == LOAM_OK)
        *flag = value != 0;
}

/* ---- what the counts tell ---- */

/* Another table behind those of *bytes; false: larger than memory can be. */
static bool reserve(size_t *bytes, uint64_t count, size_t size, size_t *at)
{
    size_t n;
    *at = *bytes;
    return count <= SIZE_MAX && loam__mul_size((size_t)count, size, &n) &&
           loam__add_size(*bytes, n, &n) && n < SIZE_MAX - LOAM__ALIGN &&
           (*bytes = (size_t)loam__align_up(n), true);
}

static loam_status lay_out(loam__base *b, loam__vocab *v, size_t table_bytes)
{
    loam__vocab_layout *l = &v->layout;
    l->n_slots = v->kind->hashed ? loam__hash_slots(v->n) : 0;
    if (reserve(&l->bytes, v->n, sizeof *v->tokens, &l->tokens_at) &&
        reserve(&l->bytes, v->n, sizeof *v->keys, &l->keys_at) &&
        reserve(&l->bytes, l->n_slots, sizeof *v->map.slots, &l->slots_at) &&
        reserve(&l->bytes, v->specials.most, sizeof *v->specials.ids, &l->specials_at) &&
        reserve(&l->bytes, table_bytes, 1, &l->table_at) &&
        reserve(&l->bytes, loam__gguf_text_bytes(v->gguf, v->spellings), 1, &l->decoded_at))
        return LOAM_OK;
    return loam__fail(b, LOAM_ERR_LIMIT, "the tables of %lu tokens do not fit into any memory",
                      (unsigned long)v->n);
}

static loam_status open_vocab(loam__base *b, loam__vocab *v)
{
    size_t table_bytes = 0;
    loam_status st = pick_kind(b, v);
    if (st == LOAM_OK) st = count_tokens(b, v);
    if (st == LOAM_OK) st = count_specials(b, v);
    if (st != LOAM_OK) return st;
    v->bos = special_id(b, v, v->kind->bos_key, "tokenizer.ggml.bos_token_id", v->kind->bos);
    v->eos = special_id(b, v, v->kind->eos_key, "tokenizer.ggml.eos_token_id", v->kind->eos);
    v->unknown = special_id(b, v, NULL, "tokenizer.ggml.unknown_token_id", v->kind->unknown);
    v->add_bos = v->kind->add_bos;
    v->add_eos = v->kind->add_eos;
    v->space_prefix = v->kind->space_prefix;
    v->clean_spaces = v->kind->clean_spaces;
    v->state = loam__alloc(b, v->kind->state_bytes);
    if (!v->state) return LOAM_ERR_NOMEM;
    if ((st = v->kind->open(b, v, &table_bytes)) != LOAM_OK) return st;
    if (!v->kind->framed) {
        loam__read_flag(v, "tokenizer.ggml.add_bos_token", &v->add_bos);
        loam__read_flag(v, "tokenizer.ggml.add_eos_token", &v->add_eos);
    }
    loam__read_flag(v, "tokenizer.ggml.add_space_prefix", &v->space_prefix);
    return lay_out(b, v, table_bytes);
}

loam_status loam__vocab_new(loam__base *b, const loam__gguf *g, loam__vocab **out)
{
    *out = NULL;
    loam__vocab *v = loam__alloc(b, sizeof *v);
    if (!v) return LOAM_ERR_NOMEM;
    v->base = b;
    v->gguf = g;
    loam_status st = open_vocab(b, v);
    if (st != LOAM_OK) {
        loam__vocab_free(v);
        return st;
    }
    *out = v;
    return LOAM_OK;
}

size_t loam__vocab_bytes(const loam__vocab *v)
{
    return loam__alloc_cost(v->layout.bytes, LOAM__ALIGN);
}

void loam__vocab_free(loam__vocab *v)
{
    if (!v) return;
    if (v->state && v->kind->free) v->kind->free(v);
    loam__free(v->base, v->state);
    loam__free(v->base, v->tables);
    loam__free(v->base, v);
}

/* ---- the tables ---- */

static void read_tokens(loam__vocab *v)
{
    int32_t types[TYPES_AT_ONCE];
    uint32_t m = 0;
    loam__strings spellings = loam__gguf_strings(v->gguf, v->spellings);
    for (uint32_t i = 0; i < v->n; i++) {
        loam__token_info *t = &v->tokens[i];
        size_t n, k = i % TYPES_AT_ONCE;
        const char *p = loam__strings_next(&spellings, &n); /* n is far below 2^32 */
        if (k == 0) types_from(v, i, types, &m);
        bool known = types[k] >= LOAM__TOKEN_NORMAL && types[k] <= LOAM__TOKEN_BYTE;
        *t = (loam__token_info){p, (uint32_t)n, LOAM__TOKEN_NORMAL, 0};
        if (known) t->type = (uint8_t)types[k];
        if (n > 0 && t->type != LOAM__TOKEN_CONTROL && t->type != LOAM__TOKEN_UNKNOWN)
            t->flags = LOAM__TOKEN_MERGED;
        v->keys[i] = (loam__key){p, (uint32_t)n};
    }
}

loam_status loam__vocab_fill(loam__base *b, loam__vocab *v)
{
    const loam__vocab_layout *l = &v->layout;
    char *tables = v->tables = loam__alloc_aligned(b, l->bytes, LOAM__ALIGN);
    if (!tables) return LOAM_ERR_NOMEM;
    v->tokens = (void *)(tables + l->tokens_at);
    v->keys = (void *)(tables + l->keys_at);
    v->specials.ids = (void *)(tables + l->specials_at);
    v->decoded = tables + l->decoded_at;
    if (v->kind->hashed) loam__text_map_init(&v->map, (void *)(tables + l->slots_at), l->n_slots);
    read_tokens(v);
    loam__apply_known(v);
    loam_status st = v->kind->fill(b, v, tables + l->table_at);
    if (st == LOAM_OK) loam__specials_fill(v);
    return st;
}

#define KEYS_AT_ONCE 32u

loam_status loam__map_keys(loam__base *b, loam__vocab *v)
{
    uint32_t hashes[KEYS_AT_ONCE], replaced;
    for (uint32_t i = 0; i < v->n; i++) {
        if (i % KEYS_AT_ONCE == 0)
            for (uint32_t k = 0; k < KEYS_AT_ONCE && i + k < v->n; k++)
                hashes[k] = loam__text_map_hash(&v->map, v->keys[i + k].p, v->keys[i + k].n);
        if (!(v->tokens[i].flags & LOAM__TOKEN_MERGED)) continue;
        if (!loam__text_map_add(&v->map, v->keys, i, hashes[i % KEYS_AT_ONCE], &replaced))
            return loam__fail(
                b, LOAM_ERR_TOKENIZER,
                "the vocabulary's texts collide in the hash table at token %lu: it is "
                "made to slow its readers down; do not use this file",
                (unsigned long)i);
        if (replaced != LOAM__NO_ID) v->tokens[replaced].flags &= (uint8_t)~LOAM__TOKEN_MERGED;
    }
    return LOAM_OK;
}

loam_status loam__trie_room(loam__base *b, const loam__vocab *v, size_t extra, size_t *n_bytes)
{
    if (loam__trie_bytes(v->n, n_bytes) && loam__add_size(*n_bytes, extra, n_bytes)) return LOAM_OK;
    return loam__fail(b, LOAM_ERR_LIMIT, "the table of %lu tokens does not fit into any memory",
                      (unsigned long)v->n);
}

void loam__plant_keys(const loam__vocab *v, loam__trie *trie, void *memory)
{
    loam__trie_init(trie, memory, v->n);
    for (uint32_t i = 0; i < v->n; i++)
        if (v->tokens[i].flags & LOAM__TOKEN_MERGED) loam__trie_add(trie, i);
    loam__trie_build(trie, v->keys);
}

uint32_t loam__find_key(const loam__vocab *v, const char *p, size_t n)
{
    if (n > v->map.longest) return LOAM__NO_ID;
    return loam__text_map_find(&v->map, v->keys, p, n, loam__text_map_hash(&v->map, p, n));
}

bool loam__is_key(const loam__vocab *v, uint32_t id, const char *p, size_t n)
{
    return id < v->n && (v->tokens[id].flags & LOAM__TOKEN_MERGED) && v->keys[id].n == n &&
           memcmp(v->keys[id].p, p, n) == 0;
}

/* ---- look-ups ---- */

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
    const char *text = "";
    *n = 0;
    loam__gguf_string(v->gguf, v->spellings, (uint64_t)token, &text, n);
    return text;
}
