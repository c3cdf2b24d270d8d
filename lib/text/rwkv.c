/* RWKV's tokenizer (Peng et al. 2023, "World"): the longest token that the bytes start with, and so
 * on. Tokens are spelled with escapes as in a Python literal. */
#include "spelling.h"

/* Under most first bytes begin tokens with many second ones: a table spares the search. */
#define PAIRS ((size_t)1 << 16)

typedef struct rwkv {
    loam__trie trie;
    uint32_t *pairs; /* the node that a first byte and the next one lead to, or LOAM__NO_ID */
} rwkv;

static loam_status open_rwkv(loam__base *b, loam__vocab *v, size_t *table_bytes)
{
    return loam__trie_room(b, v, PAIRS * sizeof(uint32_t), table_bytes);
}

/* The bytes that a spelling stands for, in out, which has room for as many as it has. */
static uint32_t unescape(loam__key key, char *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (c == '\\' && i + 1 < key.n) {
            c = key.p[++i];
            if (c == 'n') c = '\n';
            if (c == 't') c = '\t';
            if (c == 'r') c = '\r';
            int high = i + 2 < key.n ? loam__hex_digit(key.p[i + 1]) : -1;
            int low = high >= 0 ? loam__hex_digit(key.p[i + 2]) : -1;
            if (c == 'x' && low >= 0) {
                c = (char)(high * 16 + low);
                i += 2;
            }
        }
        out[n++] = c;
    }
    return n;
}

static void fill_pairs(rwkv *k)
{
    const loam__trie *t = &k->trie;
    for (uint32_t i = 0; i < PAIRS; i++) {
        const uint32_t root = t->first[i >> 8];
        k->pairs[i] = root == LOAM__NO_ID ? LOAM__NO_ID
                                          : loam__trie_child(t, &t->nodes[root], (char)(i & 0xff));
    }
}

static loam_status fill(loam__base *b, loam__vocab *v, void *table)
{
    rwkv *k = v->state;
    char *out = v->decoded;
    (void)b;
    for (uint32_t i = 0; i < v->n; i++) {
        loam__token_info *t = &v->tokens[i];
        if (t->type != LOAM__TOKEN_NORMAL && t->type != LOAM__TOKEN_BYTE) continue;
        t->bytes = out;
        t->n = unescape(v->keys[i], out);
        v->keys[i] = (loam__key){out, t->n};
        out += t->n;
    }
    k->pairs = table;
    loam__plant_keys(v, &k->trie, k->pairs + PAIRS);
    fill_pairs(k);
    return LOAM_OK;
}

/* The token that the text starts with, or LOAM__NO_ID. */
static uint32_t longest(const rwkv *k, const char *text, size_t n, size_t *step)
{
    const loam__trie *t = &k->trie;
    const uint32_t root = t->first[(uint8_t)*text];
    if (n < 2 || root == LOAM__NO_ID || t->nodes[root].n_label != 1)
        return loam__trie_longest(t, text, n, step);
    const uint32_t next = k->pairs[(uint8_t)text[0] << 8 | (uint8_t)text[1]];
    uint32_t found = t->nodes[root].id;
    loam__trie_walk walk = {t, text, n, 1, next, root};
    *step = 1;
    for (uint32_t id; (id = loam__trie_next(&walk)) != LOAM__NO_ID; *step = walk.at)
        found = id;
    return found;
}

static loam_status encode(loam__encoder *e, const char *text, size_t n, bool fresh)
{
    const rwkv *k = e->v->state;
    (void)fresh;
    for (size_t at = 0, step; at < n; at += step) {
        uint32_t id = longest(k, text + at, n - at, &step);
        if (id == LOAM__NO_ID) step = 1;
        if (id == LOAM__NO_ID && e->v->unknown >= 0) id = (uint32_t)e->v->unknown;
        if (id != LOAM__NO_ID) loam__emit(e, id);
    }
    return LOAM_OK;
}

const loam__kind loam__kind_rwkv = {
    .model = "rwkv",
    .state_bytes = sizeof(rwkv),
    .bos = 0,
    .eos = 0,
    .unknown = -1,
    .open = open_rwkv,
    .fill = fill,
    .encode = encode,
};
