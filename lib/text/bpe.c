/* BPE (Sennrich, Haddow, Birch 2016): text is cut into words by patterns, each word starts as its
 * bytes (Radford et al. 2019, GPT-2) or, in few vocabularies, as its characters, and pairs are
 * joined in the order in which the file lists them. */
#include <string.h>
#include <utf8proc.h>

#include "lib/base/utf8.h"
#include "pre.h"
#include "spelling.h"

typedef struct pair_slot {
    uint32_t left, right; /* left LOAM__NO_ID: empty */
    loam__pair to;
} pair_slot;

typedef struct bpe {
    loam__patterns *patterns;
    size_t merges; /* the metadata entry of the merges */
    uint32_t n_merges, pair_mask;
    pair_slot *pairs;
    loam__pair *byte_pairs; /* of the tokens of two bytes: [256][256] */
    uint8_t *filter;        /* a bit is set for every pair, and for few others */
    uint32_t single[256];   /* the token that a byte alone makes, or LOAM__NO_ID */
    uint32_t bytes[256];    /* the token that stands for a byte of an unknown character */
    bool whole_words, characters, line_spaces, no_spaces, lower;
} bpe;

/* ---- the alphabet: bytes that print stand for themselves, the others for U+0100 onwards ---- */

static bool prints(uint32_t c)
{
    return (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c <= 0xAC) || (c >= 0xAE && c <= 0xFF);
}

/* What byte a character stands for; -1: it is not in the alphabet. */
static void make_alphabet(int16_t byte_of[512])
{
    uint32_t next = 256;
    for (uint32_t c = 0; c < 512; c++)
        byte_of[c] = -1;
    for (uint32_t c = 0; c < 256; c++)
        byte_of[prints(c) ? c : next++] = (int16_t)c;
}

/* Decode p into out, which has room for n bytes. False: it holds characters outside of the
 * alphabet, which are kept. */
static bool decode(const int16_t byte_of[512], const char *p, size_t n, char *out, size_t *n_out)
{
    const uint8_t *s = (const uint8_t *)p;
    bool all = true;
    size_t m = 0;
    for (size_t i = 0; i < n;) {
        bool two = i + 1 < n && (s[i] & 0xE0) == 0xC0 && (s[i + 1] & 0xC0) == 0x80;
        uint32_t c = two ? (s[i] & 0x1Fu) << 6 | (s[i + 1] & 0x3Fu) : s[i];
        bool known = (two ? c >= 128 && c < 512 : c < 128) && byte_of[c] >= 0;
        all &= known;
        if (known) {
            out[m++] = (char)byte_of[c];
            i += two ? 2 : 1;
        } else {
            out[m++] = p[i++];
        }
    }
    *n_out = m;
    return all;
}

static bool plain(loam__key key)
{
    for (uint32_t i = 0; i < key.n; i++)
        if (key.p[i] < 0x21 || key.p[i] > 0x7E) return false;
    return true;
}

/* Most tokens are spelled as their bytes and stay in the file's memory; the others are decoded. */
static void decode_tokens(loam__vocab *v, const int16_t byte_of[512])
{
    char *out = v->decoded;
    for (uint32_t i = 0; i < v->n; i++) {
        loam__token_info *t = &v->tokens[i];
        loam__key *key = &v->keys[i];
        size_t n;
        if (plain(*key)) continue;
        /* a spelling outside of the alphabet can only be found as a special token */
        if (!decode(byte_of, key->p, key->n, out, &n)) t->flags &= (uint8_t)~LOAM__TOKEN_MERGED;
        *key = (loam__key){out, (uint32_t)n};
        if (t->type == LOAM__TOKEN_NORMAL || t->type == LOAM__TOKEN_BYTE) {
            t->bytes = out;
            t->n = (uint32_t)n;
        }
        out += n;
    }
}

/* ---- pairs ---- */

/* Longer merges, in bytes, are taken to name no tokens; real ones have some 100. */
#define MERGE_MAX  1024u

#define BYTE_PAIRS (256u * 256u)

/* Bits of the filter for each slot: half a byte, so that it stays in a cache where the slots do
 * not, and most pairs that are asked for and are none stop there. */
#define FILTER_BITS 4u

static uint64_t pair_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 32;
}

static uint8_t *filter_of(const bpe *k, uint64_t hash, uint8_t *bit)
{
    uint64_t at = hash >> 8 & ((uint64_t)(k->pair_mask + (uint64_t)1) * FILTER_BITS - 1);
    *bit = (uint8_t)(1u << (at & 7));
    return &k->filter[at >> 3];
}

/* The first mention of a pair counts. False: too many collisions. */
static bool add_pair(bpe *k, uint32_t left, uint32_t right, loam__pair to)
{
    uint64_t hash = pair_hash(left, right);
    uint32_t at = (uint32_t)hash;
    uint8_t bit, *filter = filter_of(k, hash, &bit);
    *filter |= bit;
    for (uint32_t i = 0; i < LOAM__PROBES_MAX; i++) {
        pair_slot *slot = &k->pairs[(at + i) & k->pair_mask];
        if (slot->left == left && slot->right == right) return true;
        if (slot->left != LOAM__NO_ID) continue;
        *slot = (pair_slot){left, right, to};
        return true;
    }
    return false;
}

static void add_byte_pair(bpe *k, const char two[2], loam__pair to)
{
    loam__pair *pair = &k->byte_pairs[(uint8_t)two[0] << 8 | (uint8_t)two[1]];
    if (pair->id == LOAM__NO_ID) *pair = to;
}

static bool find_pair(const void *ctx, const loam__part *left, const loam__part *right,
                      uint32_t end, loam__pair *pair)
{
    const loam__encoder *e = ctx;
    const bpe *k = e->v->state;
    if (end - left->at == 2) {
        const uint8_t *two = (const uint8_t *)e->text + left->at;
        *pair = k->byte_pairs[two[0] << 8 | two[1]];
        return pair->id != LOAM__NO_ID;
    }
    if (left->id == LOAM__NO_ID) return false;
    uint64_t hash = pair_hash(left->id, right->id);
    uint8_t bit;
    if (!(*filter_of(k, hash, &bit) & bit)) return false;
    uint32_t at = (uint32_t)hash;
    for (uint32_t i = 0; i < LOAM__PROBES_MAX; i++) {
        const pair_slot *slot = &k->pairs[(at + i) & k->pair_mask];
        if (slot->left == LOAM__NO_ID) break;
        if (slot->left != left->id || slot->right != right->id) continue;
        *pair = slot->to;
        return true;
    }
    return false;
}

/* One of the file's merges: "left right", in the alphabet; a space inside either is written as
 * another character. */
typedef struct merge {
    char text[MERGE_MAX]; /* the bytes of both */
    size_t n[2];
    uint32_t hash[2];
    bool good;
} merge;

#define MERGES_AT_ONCE 8u

static bool read_part(const loam__vocab *v, const int16_t byte_of[512], const char *p, size_t n,
                      char *out, size_t *n_out)
{
    const bpe *k = v->state;
    if (!k->characters) return decode(byte_of, p, n, out, n_out);
    memcpy(out, p, n);
    *n_out = n;
    return true;
}

static void read_merge(const loam__vocab *v, const int16_t byte_of[512], const char *p, size_t n,
                       merge *m)
{
    const char *gap = n > 1 ? memchr(p + 1, ' ', n - 1) : NULL;
    m->good =
        gap && n <= MERGE_MAX && read_part(v, byte_of, p, (size_t)(gap - p), m->text, &m->n[0]) &&
        read_part(v, byte_of, gap + 1, n - (size_t)(gap + 1 - p), m->text + m->n[0], &m->n[1]);
    if (!m->good) return;
    m->hash[0] = loam__text_map_hash(&v->map, m->text, m->n[0]);
    m->hash[1] = loam__text_map_hash(&v->map, m->text + m->n[0], m->n[1]);
}

/* The tokens of a merge: left, right, and what they become. Merges of what are no tokens cannot
 * take place and are left out. Merges mostly come in the order of the tokens that they make, so
 * that ids[2], of the merge before this one, is a good guess. */
static bool find_merge(const loam__vocab *v, const merge *m, uint32_t ids[3])
{
    size_t n = m->n[0] + m->n[1];
    if (!m->good) return false;
    ids[0] = loam__text_map_find(&v->map, v->keys, m->text, m->n[0], m->hash[0]);
    ids[1] = loam__text_map_find(&v->map, v->keys, m->text + m->n[0], m->n[1], m->hash[1]);
    if (loam__is_key(v, ids[2] + 1, m->text, n)) ids[2]++;
    else if (!loam__is_key(v, ids[2], m->text, n)) ids[2] = loam__find_key(v, m->text, n);
    return ids[0] != LOAM__NO_ID && ids[1] != LOAM__NO_ID && ids[2] != LOAM__NO_ID;
}

static loam_status fill_pairs(loam__base *b, loam__vocab *v, const int16_t byte_of[512])
{
    bpe *k = v->state;
    merge merges[MERGES_AT_ONCE];
    uint32_t unused = 0, ids[3] = {0};
    loam__strings list = loam__gguf_strings(v->gguf, k->merges);
    for (size_t i = 0; i <= k->pair_mask; i++)
        k->pairs[i].left = LOAM__NO_ID;
    for (size_t i = 0; i < BYTE_PAIRS; i++)
        k->byte_pairs[i].id = LOAM__NO_ID;
    for (uint32_t rank = 0; rank < k->n_merges; rank++) {
        uint32_t at = rank % MERGES_AT_ONCE;
        for (uint32_t i = 0; at == 0 && i < MERGES_AT_ONCE && rank + i < k->n_merges; i++) {
            size_t n;
            const char *p = loam__strings_next(&list, &n);
            read_merge(v, byte_of, p, n, &merges[i]);
        }
        if (!find_merge(v, &merges[at], ids)) {
            unused++;
            continue;
        }
        if (merges[at].n[0] + merges[at].n[1] == 2)
            add_byte_pair(k, merges[at].text, (loam__pair){rank, ids[2]});
        else if (!add_pair(k, ids[0], ids[1], (loam__pair){rank, ids[2]}))
            return loam__fail(
                b, LOAM_ERR_TOKENIZER,
                "the merges collide in the hash table at %lu: the vocabulary is made to "
                "slow its readers down; do not use this file",
                (unsigned long)rank);
    }
    if (unused)
        loam__log(b, LOAM_LOG_WARN,
                  "%lu of %lu merges name texts that are no tokens; they are left out",
                  (unsigned long)unused, (unsigned long)k->n_merges);
    return LOAM_OK;
}

static loam_status count_merges(loam__base *b, loam__vocab *v, size_t *table_bytes)
{
    static const char key[] = "tokenizer.ggml.merges";
    bpe *k = v->state;
    loam_gguf_meta meta = {.struct_size = sizeof meta};
    int64_t entry = loam__gguf_find_meta(v->gguf, key);
    if (entry >= 0) loam__gguf_meta(v->gguf, (size_t)entry, &meta);
    if (entry < 0 || meta.type != LOAM_META_ARRAY || meta.element_type != LOAM_META_STRING)
        return loam__fail(b, LOAM_ERR_TOKENIZER,
                          "'%s' is missing or not a list of texts; convert the model again", key);
    if (meta.count > INT32_MAX)
        return loam__fail(b, LOAM_ERR_LIMIT, "%llu merges are too many; the limit is 2^31",
                          (unsigned long long)meta.count);
    size_t slots = loam__hash_slots((size_t)meta.count);
    k->merges = (size_t)entry;
    k->n_merges = (uint32_t)meta.count;
    k->pair_mask = (uint32_t)(slots - 1);
    if (loam__mul_size(slots, sizeof *k->pairs, table_bytes) &&
        loam__add_size(*table_bytes, BYTE_PAIRS * sizeof *k->byte_pairs, table_bytes) &&
        loam__add_size(*table_bytes, slots / 8 * FILTER_BITS, table_bytes))
        return LOAM_OK;
    return loam__fail(b, LOAM_ERR_LIMIT, "the table of %lu merges does not fit into any memory",
                      (unsigned long)k->n_merges);
}

/* ---- loading ---- */

static const loam__pre *pick_pre(loam__base *b, const loam__vocab *v)
{
    const char *name = v->kind->model;
    size_t n = strlen(name);
    if (v->kind != &loam__kind_bpe) return loam__pre_find(name, n);
    int64_t entry = loam__single(v->gguf, "tokenizer.ggml.pre");
    if (entry < 0 || loam__gguf_string(v->gguf, (size_t)entry, 0, &name, &n) != LOAM_OK) {
        loam__log(
            b, LOAM_LOG_WARN,
            "the file does not name its pre-tokenizer ('tokenizer.ggml.pre'), and the default may "
            "cut text into other tokens than the model was trained on; convert the model again");
        return loam__pre_default();
    }
    const loam__pre *pre = loam__pre_find(name, n);
    if (pre) return pre;
    loam__log(b, LOAM_LOG_WARN,
              "'%.*s' is not a known pre-tokenizer ('tokenizer.ggml.pre'), and the default may cut "
              "text into other tokens than the model was trained on; use a newer loam",
              n < 64 ? (int)n : 64, name);
    return loam__pre_default();
}

static loam_status load_pre(loam__base *b, loam__vocab *v)
{
    bpe *k = v->state;
    const loam__pre *pre = pick_pre(b, v);
    k->whole_words = (pre->flags & LOAM__PRE_WHOLE_WORDS) != 0;
    k->characters = (pre->flags & LOAM__PRE_CHARACTERS) != 0;
    k->line_spaces = (pre->flags & LOAM__PRE_LINE_SPACES) != 0;
    k->no_spaces = (pre->flags & LOAM__PRE_NO_SPACES) != 0;
    loam__read_flag(v, "tokenizer.ggml.normalizer.lowercase", &k->lower);
    v->add_bos = (pre->flags & LOAM__PRE_ADD_BOS) != 0;
    v->clean_spaces = (pre->flags & LOAM__PRE_CLEAN_SPACES) != 0;
    return loam__patterns_new(b, pre, &k->patterns);
}

static loam_status open_bpe(loam__base *b, loam__vocab *v, size_t *table_bytes)
{
    loam_status st = count_merges(b, v, table_bytes);
    return st == LOAM_OK ? load_pre(b, v) : st;
}

static loam_status fill(loam__base *b, loam__vocab *v, void *table)
{
    bpe *k = v->state;
    int16_t byte_of[512];
    k->pairs = table;
    k->byte_pairs = (loam__pair *)(k->pairs + k->pair_mask + (size_t)1);
    k->filter = (uint8_t *)(k->byte_pairs + BYTE_PAIRS);
    make_alphabet(byte_of);
    if (k->characters) loam__decode_spellings(v, k->bytes, !k->no_spaces);
    else decode_tokens(v, byte_of);
    loam_status st = loam__map_keys(b, v);
    if (st != LOAM_OK) return st;
    for (uint32_t c = 0; c < 256; c++) {
        char byte = (char)c;
        k->single[c] = loam__find_key(v, &byte, 1);
    }
    return fill_pairs(b, v, byte_of);
}

static void unload(loam__vocab *v)
{
    bpe *k = v->state;
    loam__patterns_free(k->patterns);
}

/* ---- encoding ---- */

/* A word's bytes or characters. */
static size_t cut_word(const loam__vocab *v, const char *word, size_t n, loam__part *parts)
{
    const bpe *k = v->state;
    size_t n_parts = 0;
    for (size_t at = 0, step = 1; at < n; at += step) {
        loam__utf8_state state = LOAM__UTF8_WHOLE;
        if (k->characters) step = loam__utf8_scan(word + at, n - at, &state);
        if (state != LOAM__UTF8_WHOLE) step = 1;
        uint32_t id = step == 1 ? k->single[(uint8_t)word[at]] : loam__find_key(v, word + at, step);
        parts[n_parts++] = (loam__part){id, (uint32_t)at};
    }
    return n_parts;
}

/* The bytes of a part without a token; where single bytes have none, they are lost. */
static void emit_bytes(loam__encoder *e, const char *p, size_t n)
{
    const bpe *k = e->v->state;
    for (size_t i = 0; k->characters && i < n; i++) {
        uint32_t id = k->bytes[(uint8_t)p[i]];
        if (id == LOAM__NO_ID && e->v->unknown >= 0) id = (uint32_t)e->v->unknown;
        if (id != LOAM__NO_ID) loam__emit(e, id);
    }
}

static loam_status encode_word(loam__encoder *e, const loam__word *w)
{
    const bpe *k = e->v->state;
    const char *word = w->p;
    const size_t n = w->n;
    if (n == 0 || loam__recall(e, w)) return LOAM_OK;
    bool may_be_whole = k->whole_words || (k->characters && word[0] == '\n');
    uint32_t whole = may_be_whole ? loam__find_key(e->v, word, n) : LOAM__NO_ID;
    if (whole != LOAM__NO_ID) {
        loam__emit(e, whole);
        loam__keep(e);
        return LOAM_OK;
    }
    e->text = word;
    loam__part *parts = loam__scratch_need(&e->parts, e->base, n, sizeof *parts);
    if (!parts) return LOAM_ERR_NOMEM;
    size_t n_parts = cut_word(e->v, word, n, parts);
    loam_status st = loam__merge(&e->merger, parts, &n_parts, (uint32_t)n);
    if (st != LOAM_OK) return st;
    for (size_t i = 0; i < n_parts; i++) {
        size_t end = i + 1 < n_parts ? parts[i + 1].at : n;
        if (parts[i].id != LOAM__NO_ID) loam__emit(e, parts[i].id);
        else emit_bytes(e, word + parts[i].at, end - parts[i].at);
    }
    loam__keep(e);
    return LOAM_OK;
}

typedef struct words {
    loam__encoder *e;
    loam__word waits; /* until the next one is found */
} words;

static loam_status add_word(void *ctx, const char *p, size_t n)
{
    words *w = ctx;
    const bpe *k = w->e->v->state;
    if (k->no_spaces && *p == ' ') return LOAM_OK;
    loam__word next = loam__word_at(w->e, p, n);
    loam_status st = encode_word(w->e, &w->waits);
    w->waits = next;
    return st;
}

/* Whether a line starts at p without the space that it should have. */
static bool lacks_space(const bpe *k, const char *text, const char *p, size_t n)
{
    return k->line_spaces && (p == text || p[-1] == '\n') && *p != '\n' && *p != ' ' &&
           !loam__is_space(p, n);
}

/* The text with U+2581 for spaces, in e->word. */
static bool spell_spaces(loam__encoder *e, const char *text, size_t n, size_t *n_word)
{
    const bpe *k = e->v->state;
    size_t n_spaces = 0, most;
    for (size_t i = 0; i < n; i++)
        n_spaces += (text[i] == ' ') + lacks_space(k, text, text + i, n - i);
    if (!loam__mul_size(n_spaces, LOAM__SPACE_BYTES, &most) || !loam__add_size(n, most, &most))
        most = SIZE_MAX;
    char *out = loam__scratch_need(&e->word, e->base, most, 1);
    if (!out) return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == ' ' || lacks_space(k, text, text + i, n - i)) {
            memcpy(out, LOAM__SPACE, LOAM__SPACE_BYTES);
            out += LOAM__SPACE_BYTES;
        }
        if (text[i] != ' ') *out++ = text[i];
    }
    *n_word = (size_t)(out - (char *)e->word.p);
    return true;
}

/* What stands for the character of n bytes at p, in out: its length. */
static size_t even_character(const bpe *k, const char *p, size_t n, char out[4])
{
    int32_t c;
    memcpy(out, p, n);
    if (utf8proc_iterate((const uint8_t *)p, (utf8proc_ssize_t)n, &c) < 0) return n;
    if (loam__is_white(c)) {
        *out = ' ';
        return 1;
    }
    if (!k->lower) return n;
    return (size_t)utf8proc_encode_char(utf8proc_tolower(c), (uint8_t *)out);
}

/* The text with a space for all white space, and in lower case if that is asked, in e->word. */
static bool even_spaces(loam__encoder *e, const char *text, size_t n, size_t *n_word)
{
    bool good = true;
    *n_word = 0;
    for (size_t at = 0, step; good && at < n; at += step) {
        loam__utf8_state state;
        char out[4];
        step = loam__utf8_scan(text + at, n - at, &state);
        good = loam__append(e, n_word, out, even_character(e->v->state, text + at, step, out));
    }
    return good;
}

static loam_status encode(loam__encoder *e, const char *text, size_t n, bool fresh)
{
    const bpe *k = e->v->state;
    (void)fresh;
    e->merger.pair = find_pair;
    e->merger.ctx = e;
    if (k->characters) {
        bool good = k->no_spaces ? even_spaces(e, text, n, &n) : spell_spaces(e, text, n, &n);
        if (!good) return LOAM_ERR_NOMEM;
        text = e->word.p;
    }
    words w = {.e = e};
    loam_status st = loam__patterns_split(k->patterns, e->base, text, n, add_word, &w);
    return st == LOAM_OK ? encode_word(e, &w.waits) : st;
}

const loam__kind loam__kind_bpe = {
    .model = "gpt2",
    .state_bytes = sizeof(bpe),
    .hashed = true,
    .bos = -1,
    .eos = -1,
    .unknown = -1,
    .open = open_bpe,
    .fill = fill,
    .free = unload,
    .encode = encode,
};

/* The same over characters, with a pre-tokenizer of its own. */
const loam__kind loam__kind_gemma4 = {
    .model = "gemma4",
    .state_bytes = sizeof(bpe),
    .hashed = true,
    .add_bos = true,
    .framed = true,
    .bos = 2,
    .eos = 1,
    .unknown = 3,
    .open = open_bpe,
    .fill = fill,
    .free = unload,
    .encode = encode,
};

/* Jina's: words of characters, with nothing left of the spaces between them. */
const loam__kind loam__kind_whitespace = {
    .model = "whitespace",
    .state_bytes = sizeof(bpe),
    .hashed = true,
    .bos = -1,
    .eos = -1,
    .unknown = -1,
    .open = open_bpe,
    .fill = fill,
    .free = unload,
    .encode = encode,
};
