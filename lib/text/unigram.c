/* SentencePiece's Unigram (Kudo 2018): text is normalized by the file's map, spaces become U+2581,
 * and of all ways to cut it into tokens the one with the highest sum of scores is taken. */
#include <string.h>
#include <utf8proc.h>

#include "charsmap.h"
#include "lattice.h"
#include "lib/base/utf8.h"
#include "spelling.h"

/* What an unknown character costs beyond the least likely token. */
#define UNKNOWN_PENALTY 10.0

/* Scores beyond this are taken for it, so that every sum is a number. */
#define SCORE_MAX 1e30f

#define PLAIN_END 0x10000u

typedef struct unigram {
    size_t scores_entry;
    int64_t map_entry; /* -1: there is none */
    size_t n_map;
    loam__trie trie;
    loam__charsmap map;
    double unknown_score;
    uint32_t bytes[256]; /* the token that stands for a byte, or LOAM__NO_ID */
    bool all_bytes;      /* every byte has one, and unknown characters become these */
    bool merge_spaces;   /* runs of spaces are one, and there are none around the text */
    bool before_space[256];
    uint8_t *plain; /* of each character below PLAIN_END, when it stays as it is */
} unigram;

/* ---- loading ---- */

static loam_status find_map(loam__base *b, loam__vocab *v)
{
    static const char key[] = "tokenizer.ggml.precompiled_charsmap";
    unigram *k = v->state;
    loam_gguf_meta meta = {.struct_size = sizeof meta};
    k->map_entry = loam__gguf_find_meta(v->gguf, key);
    if (k->map_entry < 0) return LOAM_OK;
    loam__gguf_meta(v->gguf, (size_t)k->map_entry, &meta);
    if (meta.type != LOAM_META_ARRAY ||
        (meta.element_type != LOAM_META_U8 && meta.element_type != LOAM_META_I8))
        return loam__fail(b, LOAM_ERR_TOKENIZER,
                          "'%s' is not a list of bytes; convert the model again", key);
    if (meta.count > UINT32_MAX)
        return loam__fail(b, LOAM_ERR_LIMIT, "'%s' has %llu bytes; the limit is 2^32", key,
                          (unsigned long long)meta.count);
    k->n_map = (size_t)meta.count;
    return LOAM_OK;
}

/* The tree, then what is plain, then the map. */
static loam_status open_unigram(loam__base *b, loam__vocab *v, size_t *table_bytes)
{
    unigram *k = v->state;
    loam_status st = loam__find_scores(b, v, &k->scores_entry);
    if (st == LOAM_OK) st = find_map(b, v);
    if (st != LOAM_OK) return st;
    loam__read_flag(v, "tokenizer.ggml.remove_extra_whitespaces", &k->merge_spaces);
    return loam__trie_room(b, v, PLAIN_END + k->n_map, table_bytes);
}

static float score_of(const loam__vocab *v, uint32_t id)
{
    const unigram *k = v->state;
    float score = 0;
    loam__gguf_f32s(v->gguf, k->scores_entry, id, 1, &score);
    if (!(score > -SCORE_MAX)) return -SCORE_MAX;
    return score > SCORE_MAX ? SCORE_MAX : score;
}

static void read_scores(loam__vocab *v)
{
    unigram *k = v->state;
    float least = 0;
    for (uint32_t i = 0; i < v->n; i++) {
        float score = v->tokens[i].type == LOAM__TOKEN_NORMAL ? score_of(v, i) : 0;
        if (score < least) least = score;
    }
    k->unknown_score = least - UNKNOWN_PENALTY;
    for (uint32_t i = 0; i < k->trie.n; i++) {
        uint32_t id = k->trie.nodes[i].id;
        if (id == LOAM__NO_ID) continue;
        bool user = v->tokens[id].type == LOAM__TOKEN_USER; /* likelier than any other */
        k->trie.scores[i] = user ? 0 : score_of(v, id);
    }
}

/* When a character stays as it is. */
enum {
    NEVER,        /* the map replaces it; or it is a space */
    BEFORE_ASCII, /* and at the end of the text: it may be replaced with what comes behind it */
    ALWAYS
};

static uint8_t plain_of(const loam__charsmap *map, int32_t c)
{
    char p[5];
    const char *text;
    size_t n_text, n = (size_t)utf8proc_encode_char(c, (uint8_t *)p);
    if (c == ' ' || loam__charsmap_find(map, p, n, &text, &n_text) > 0) return NEVER;
    if (!loam__charsmap_starts(map, p, n)) return ALWAYS;
    for (int next = 0; next < 0x80; next++) {
        p[n] = (char)next;
        if (loam__charsmap_starts(map, p, n + 1)) return NEVER;
    }
    return BEFORE_ASCII;
}

static loam_status read_map(loam__base *b, loam__vocab *v, uint8_t *map)
{
    unigram *k = v->state;
    int32_t bytes[256];
    for (size_t i = 0, m; i < k->n_map; i += m) {
        m = k->n_map - i < 256 ? k->n_map - i : 256;
        loam__gguf_i32s(v->gguf, (size_t)k->map_entry, i, m, bytes);
        for (size_t j = 0; j < m; j++)
            map[i + j] = (uint8_t)bytes[j];
    }
    if (!loam__charsmap_open(&k->map, map, k->n_map))
        return loam__fail(b, LOAM_ERR_TOKENIZER,
                          "'tokenizer.ggml.precompiled_charsmap' of %zu bytes is no normalizer "
                          "map; convert the model again",
                          k->n_map);
    for (uint32_t c = 0; c < PLAIN_END; c++)
        k->plain[c] = plain_of(&k->map, (int32_t)c);
    return LOAM_OK;
}

static loam_status fill(loam__base *b, loam__vocab *v, void *table)
{
    unigram *k = v->state;
    size_t n_trie;
    loam__trie_bytes(v->n, &n_trie);
    loam__decode_spellings(v, k->bytes, true);
    k->all_bytes = true;
    for (uint32_t c = 0; c < 256; c++)
        k->all_bytes &= k->bytes[c] != LOAM__NO_ID;
    loam__plant_keys(v, &k->trie, table);
    read_scores(v);
    loam__find_spaces(v, k->before_space);
    k->plain = (uint8_t *)table + n_trie;
    return read_map(b, v, k->plain + PLAIN_END);
}

/* ---- normalizing ---- */

typedef struct normalizer {
    loam__encoder *e;
    const char *text;
    size_t n_text, at; /* of the text, and how much of it is done */
    size_t n;          /* bytes in e->word */
    bool inside;       /* a word */
    bool prefix;       /* a space is yet to be put in front of the text */
} normalizer;

/* Part of a word. */
static bool put_inside(normalizer *z, const char *p, size_t n)
{
    const unigram *k = z->e->v->state;
    bool starts = !z->inside && (z->prefix || k->merge_spaces);
    if (starts && !loam__append(z->e, &z->n, LOAM__SPACE, LOAM__SPACE_BYTES)) return false;
    z->inside = true;
    z->prefix = false;
    return loam__append(z->e, &z->n, p, n);
}

static bool put_space(normalizer *z)
{
    const unigram *k = z->e->v->state;
    z->inside = false;
    return k->merge_spaces || loam__append(z->e, &z->n, LOAM__SPACE, LOAM__SPACE_BYTES);
}

static bool put_normal(normalizer *z, const char *p, size_t n)
{
    bool good = true;
    for (size_t i = 0, m; good && i < n; i += m) {
        for (m = 0; i + m < n && p[i + m] != ' ';)
            m++;
        if (m > 0) good = put_inside(z, p + i, m);
        else good = put_space(z);
        m += m == 0;
    }
    return good;
}

/* What stands for the text at p: its length, and of how many bytes. */
static size_t replacement(const unigram *k, const char **p, size_t n, size_t *taken)
{
    size_t n_p = 0;
    loam__utf8_state state;
    *taken = loam__charsmap_find(&k->map, *p, n, p, &n_p);
    if (*taken > 0) return n_p;
    *taken = loam__utf8_scan(*p, n, &state);
    if (state == LOAM__UTF8_WHOLE) return *taken;
    *taken = 1;
    *p = "\xEF\xBF\xBD";
    return 3;
}

/* Bytes of the character at p if it stays as it is, else 0. */
static size_t plain_at(const unigram *k, const char *p, size_t n)
{
    const uint8_t *s = (const uint8_t *)p;
    loam__utf8_state state = LOAM__UTF8_WHOLE;
    size_t length = s[0] < 0x80 ? 1 : loam__utf8_scan(p, n, &state);
    if (state != LOAM__UTF8_WHOLE || length > 3) return 0; /* PLAIN_END is where four bytes start */
    uint32_t c = s[0];
    if (length == 2) c = (c & 0x1Fu) << 6 | (s[1] & 0x3Fu);
    if (length == 3) c = (c & 0x0Fu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu);
    bool stays = k->plain[c] >= (length == n || s[length] < 0x80 ? BEFORE_ASCII : ALWAYS);
    return stays ? length : 0;
}

/* More of the text in e->word, in UTF-8, until there are enough bytes. */
static bool normalize(normalizer *z, size_t enough)
{
    const unigram *k = z->e->v->state;
    bool good = true;
    while (good && z->at < z->n_text && z->n < enough) {
        const char *p = z->text + z->at;
        size_t left = z->n_text - z->at, most = left < enough ? left : enough;
        size_t taken = 0, length;
        while (taken < most && (length = plain_at(k, p + taken, left - taken)) > 0)
            taken += length;
        if (taken > 0) {
            good = put_inside(z, p, taken);
        } else {
            size_t n_p = replacement(k, &p, left, &taken);
            good = put_normal(z, p, n_p);
        }
        z->at += taken;
    }
    return good;
}

/* ---- cutting ---- */

static void emit(loam__lattice *l, uint32_t id, const char *p, size_t n)
{
    const loam__vocab *v = l->e->v;
    const unigram *k = v->state;
    bool before = l->was_unknown;
    l->was_unknown = id == LOAM__NO_ID;
    if (!l->was_unknown) {
        loam__emit(l->e, id);
        return;
    }
    for (size_t i = 0; k->all_bytes && i < n; i++)
        loam__emit(l->e, k->bytes[(uint8_t)p[i]]);
    /* neighbours are one token */
    if (!k->all_bytes && !before && v->unknown >= 0) loam__emit(l->e, (uint32_t)v->unknown);
}

static size_t word_end(const unigram *k, const char *p, size_t n)
{
    size_t i = 1;
    while (i < n && (!loam__is_space(p + i, n - i) || k->before_space[(uint8_t)p[i - 1]]))
        i++;
    return i;
}

static loam_status encode_word(loam__lattice *l, loam__word *w)
{
    if (l->was_unknown) w->slot = NULL; /* its first token may belong to the word before */
    if (w->n == 0 || loam__recall(l->e, w)) return LOAM_OK;
    loam_status st = loam__lattice_cut(l, w->p, w->n);
    if (l->was_unknown) loam__forget(l->e); /* as may its last one to the next */
    loam__keep(l->e);
    return st;
}

/* The words of e->word, of which the last one may go on; *n_done: what they have taken. */
static loam_status encode_words(loam__lattice *l, size_t n, bool goes_on, size_t *n_done)
{
    const unigram *k = l->e->v->state;
    const char *words = l->e->word.p;
    loam__word waits = {0};
    loam_status st = LOAM_OK;
    size_t at = 0;
    for (size_t m; st == LOAM_OK && at < n; at += m) {
        m = word_end(k, words + at, n - at);
        if (goes_on && at + m == n) break;
        loam__word next = loam__word_at(l->e, words + at, m);
        st = encode_word(l, &waits);
        waits = next;
    }
    *n_done = at;
    return st == LOAM_OK ? encode_word(l, &waits) : st;
}

/* Normalized text to cut at once: it stays in the cache. */
#define BATCH 32768u

static loam_status encode(loam__encoder *e, const char *text, size_t n, bool fresh)
{
    const unigram *k = e->v->state;
    loam__lattice l = {.e = e, .trie = &k->trie, .emit = emit, .unknown = k->unknown_score};
    normalizer z = {.e = e, .text = text, .n_text = n, .prefix = e->v->space_prefix};
    loam_status st = LOAM_OK;
    (void)fresh;
    while (st == LOAM_OK && z.at < n) {
        size_t n_done;
        if (!normalize(&z, 2 * z.n + BATCH)) return LOAM_ERR_NOMEM; /* a long word is seen seldom */
        st = encode_words(&l, z.n, z.at < n, &n_done);
        z.n -= n_done;
        memmove(e->word.p, (char *)e->word.p + n_done, z.n);
    }
    return st;
}

const loam__kind loam__kind_unigram = {
    .model = "t5",
    .state_bytes = sizeof(unigram),
    .add_eos = true,
    .bos = -1,
    .eos = 1,
    .unknown = 2,
    .open = open_unigram,
    .fill = fill,
    .encode = encode,
};
