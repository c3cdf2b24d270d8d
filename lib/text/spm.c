/* SentencePiece's BPE (Kudo and Richardson 2018): spaces become U+2581, a word starts as its
 * characters, and neighbours that make a token are joined, the highest score first. Characters
 * without a token fall back to bytes. */
#include <string.h>

#include "lib/base/utf8.h"
#include "spelling.h"

typedef struct spm {
    size_t scores;        /* the metadata entry of the scores */
    uint32_t *order;      /* of each token: lower is joined earlier */
    uint32_t bytes[256];  /* the token that stands for a byte, or LOAM__NO_ID */
    uint32_t single[256]; /* the token of a byte that is a character, or LOAM__NO_ID */
    uint32_t space;
    bool before_space[256]; /* whether a token has U+2581 behind a character that ends in this byte
                             */
} spm;

/* Map a float to an integer that orders the other way round. */
static uint32_t order_of(float f)
{
    uint32_t bits;
    if (f != f) return UINT32_MAX - 1;
    if (f == 0) f = 0; /* no negative zero */
    memcpy(&bits, &f, sizeof bits);
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return bits == 0 ? UINT32_MAX - 1 : ~bits;
}

static loam_status open_spm(loam__base *b, loam__vocab *v, size_t *table_bytes)
{
    spm *k = v->state;
    loam_status st = loam__find_scores(b, v, &k->scores);
    if (st != LOAM_OK) return st;
    if (loam__mul_size(v->n, sizeof *k->order, table_bytes)) return LOAM_OK;
    return loam__fail(b, LOAM_ERR_LIMIT, "%lu scores do not fit into any memory",
                      (unsigned long)v->n);
}

static void read_scores(loam__vocab *v)
{
    spm *k = v->state;
    float scores[256];
    for (uint32_t i = 0, m; i < v->n; i += m) {
        m = v->n - i < 256 ? v->n - i : 256;
        loam__gguf_f32s(v->gguf, k->scores, i, m, scores);
        for (uint32_t j = 0; j < m; j++)
            k->order[i + j] = order_of(scores[j]);
    }
}

static loam_status fill(loam__base *b, loam__vocab *v, void *table)
{
    spm *k = v->state;
    k->order = table;
    read_scores(v);
    loam__decode_spellings(v, k->bytes, true);
    loam_status st = loam__map_keys(b, v);
    if (st != LOAM_OK) return st;
    loam__find_spaces(v, k->before_space);
    k->space = loam__find_key(v, LOAM__SPACE, LOAM__SPACE_BYTES);
    for (uint32_t c = 0; c < 256; c++) {
        char byte = (char)c;
        k->single[c] = loam__find_key(v, &byte, 1);
        if (k->bytes[c] == LOAM__NO_ID) k->bytes[c] = k->single[c];
        if (k->bytes[c] == LOAM__NO_ID && v->unknown >= 0) k->bytes[c] = (uint32_t)v->unknown;
    }
    return LOAM_OK;
}

/* ---- encoding ---- */

static bool find_pair(const void *ctx, const loam__part *left, const loam__part *right,
                      uint32_t end, loam__pair *pair)
{
    const loam__encoder *e = ctx;
    const spm *k = e->v->state;
    const char *word = e->word.p;
    (void)right;
    uint32_t id = loam__find_key(e->v, word + left->at, end - left->at);
    if (id == LOAM__NO_ID) return false;
    *pair = (loam__pair){k->order[id], id};
    return true;
}

/* The characters of the word as parts. */
static loam_status cut_word(loam__encoder *e, size_t n, size_t *n_parts)
{
    const spm *k = e->v->state;
    const char *word = e->word.p;
    loam__part *parts = loam__scratch_need(&e->parts, e->base, n, sizeof *parts);
    if (!parts) return LOAM_ERR_NOMEM;
    *n_parts = 0;
    for (size_t at = 0, step; at < n; at += step) {
        loam__utf8_state state;
        step = loam__utf8_scan(word + at, n - at, &state);
        if (state != LOAM__UTF8_WHOLE) step = 1;
        uint32_t id = loam__is_space(word + at, step) ? k->space
                      : step == 1                     ? k->single[(uint8_t)word[at]]
                                                      : loam__find_key(e->v, word + at, step);
        parts[(*n_parts)++] = (loam__part){id, (uint32_t)at};
    }
    return LOAM_OK;
}

static loam_status end_word(loam__encoder *e, size_t n_bytes)
{
    const spm *k = e->v->state;
    const uint8_t *word = e->word.p;
    size_t n_parts;
    loam__word w = loam__word_at(e, e->word.p, n_bytes);
    if (n_bytes == 0 || loam__recall(e, &w)) return LOAM_OK;
    loam_status st = cut_word(e, n_bytes, &n_parts);
    if (st == LOAM_OK) st = loam__merge(&e->merger, e->parts.p, &n_parts, (uint32_t)n_bytes);
    if (st != LOAM_OK) return st;
    const loam__part *parts = e->parts.p;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].id != LOAM__NO_ID) {
            loam__emit(e, parts[i].id);
            continue;
        }
        size_t end = i + 1 < n_parts ? parts[i + 1].at : n_bytes;
        for (size_t at = parts[i].at; at < end; at++)
            if (k->bytes[word[at]] != LOAM__NO_ID) loam__emit(e, k->bytes[word[at]]);
    }
    loam__keep(e);
    return LOAM_OK;
}

/* Bytes of the space at p, which has two spellings, or 0. */
static size_t space_at(const char *p, size_t n)
{
    if (p[0] == ' ') return 1;
    return loam__is_space(p, n) ? LOAM__SPACE_BYTES : 0;
}

/* Bytes at p up to what may be a space. */
static size_t others_at(const char *p, size_t n)
{
    size_t i = 1;
    while (i < n && p[i] != ' ' && p[i] != LOAM__SPACE[0])
        i++;
    return i;
}

/* A word ends in front of a space, unless a token of the vocabulary reaches over such a place: what
 * is joined on one side cannot depend on the other. */
static loam_status encode(loam__encoder *e, const char *text, size_t n, bool fresh)
{
    const spm *k = e->v->state;
    size_t n_bytes = 0;
    e->merger.pair = find_pair;
    e->merger.ctx = e;
    if (fresh && e->v->space_prefix && !loam__append(e, &n_bytes, LOAM__SPACE, LOAM__SPACE_BYTES))
        return LOAM_ERR_NOMEM;
    for (size_t at = 0, step; at < n; at += step) {
        step = space_at(text + at, n - at);
        bool space = step > 0;
        if (space && n_bytes && !k->before_space[((uint8_t *)e->word.p)[n_bytes - 1]]) {
            loam_status st = end_word(e, n_bytes);
            if (st != LOAM_OK) return st;
            n_bytes = 0;
        }
        if (!space) step = others_at(text + at, n - at);
        if (n_bytes > UINT32_MAX - LOAM__SPACE_BYTES - step)
            return loam__fail(
                e->base, LOAM_ERR_LIMIT,
                "a text of %zu bytes without a break is too long; tokenize it in parts", n_bytes);
        if (!loam__append(e, &n_bytes, space ? LOAM__SPACE : text + at,
                          space ? LOAM__SPACE_BYTES : step))
            return LOAM_ERR_NOMEM;
    }
    return end_word(e, n_bytes);
}

const loam__kind loam__kind_spm = {
    .model = "llama",
    .state_bytes = sizeof(spm),
    .hashed = true,
    .add_bos = true,
    .space_prefix = true,
    .bos = 1,
    .eos = 2,
    .unknown = 0,
    .open = open_spm,
    .fill = fill,
    .encode = encode,
};
