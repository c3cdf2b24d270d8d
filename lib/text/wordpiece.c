/* WordPiece as BERT uses it (Devlin et al. 2019; Schuster and Nakajima 2012): text, mostly in lower
 * case and without accents, is cut at white space and around punctuation and Han characters; of
 * each word the longest token that it starts with, and so on. Tokens that start a word are spelled
 * with U+2581 in front. */
#include <string.h>
#include <utf8proc.h>

#include "lib/base/utf8.h"
#include "spelling.h"

/* Longer words, in characters, are unknown ones. */
#define WORD_MAX 100u

typedef struct wordpiece {
    loam__trie trie;
    bool lower, strip; /* text in lower case, accents go */
} wordpiece;

/* ---- loading ---- */

static loam_status open_wordpiece(loam__base *b, loam__vocab *v, size_t *table_bytes)
{
    wordpiece *k = v->state;
    k->lower = true;
    loam__read_flag(v, "tokenizer.ggml.normalizer.lowercase", &k->lower);
    k->strip = k->lower;
    loam__read_flag(v, "tokenizer.ggml.normalizer.strip_accents", &k->strip);
    if (loam__trie_bytes(v->n, table_bytes)) return LOAM_OK;
    return loam__fail(b, LOAM_ERR_LIMIT, "the table of %lu tokens does not fit into any memory",
                      (unsigned long)v->n);
}

static loam_status fill(loam__base *b, loam__vocab *v, void *table)
{
    wordpiece *k = v->state;
    uint32_t bytes[256]; /* there is no byte fallback */
    (void)b;
    loam__decode_spellings(v, bytes);
    loam__plant_keys(v, &k->trie, table);
    return LOAM_OK;
}

/* ---- characters ---- */

static bool is_space(int32_t c)
{
    if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
    utf8proc_category_t category = utf8proc_category(c);
    return c == 0x85 || category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP;
}

/* Control characters, private ones, and what stands for one that was lost. */
static bool is_dropped(int32_t c)
{
    if (c < 0x80) return c < 0x20 || c == 0x7F;
    utf8proc_category_t category = utf8proc_category(c);
    return c == 0xFFFD || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
           category == UTF8PROC_CATEGORY_CO;
}

/* Characters that are words of their own: punctuation, all of ASCII's symbols, and Han. */
static bool stands_alone(int32_t c)
{
    static const int32_t han[][2] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                                     {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F},
                                     {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
    if (c < 0x80)
        return !((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
    utf8proc_category_t category = utf8proc_category(c);
    if (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO) return true;
    for (size_t i = 0; i < sizeof han / sizeof *han; i++)
        if (c >= han[i][0] && c <= han[i][1]) return true;
    return false;
}

/* ---- encoding ---- */

typedef struct words {
    loam__encoder *e;
    const wordpiece *kind;
    size_t n;         /* bytes of the word in e->word */
    uint32_t n_chars; /* of it; of a long one no more are kept than tell so */
} words;

static void end_word(words *w)
{
    const loam__encoder *e = w->e;
    const wordpiece *k = w->kind;
    const char *word = e->word.p;
    size_t first = e->n_tokens, n = w->n, n_key = 0;
    bool known = w->n_chars <= WORD_MAX;
    uint64_t key[3];
    loam__memo_slot *slot = loam__memo_find(&e->memo, word, n, key);
    w->n = w->n_chars = 0;
    if (n == 0 || loam__recall(w->e, slot, key)) return;
    for (size_t at = 0; known && at < n; at += n_key) {
        uint32_t id = loam__trie_longest(&k->trie, word + at, n - at, &n_key);
        /* what starts a word is no token inside of one, also where the text has U+2581 there */
        bool starts = id != LOAM__NO_ID && loam__is_space(word + at, n_key);
        known =
            id != LOAM__NO_ID && starts == (at == 0) && n_key > (starts ? LOAM__SPACE_BYTES : 0);
        if (known) loam__emit(w->e, id);
    }
    if (!known) {
        loam__forget(w->e);
        w->e->n_tokens = first;
        if (e->v->unknown >= 0) loam__emit(w->e, (uint32_t)e->v->unknown);
    }
    loam__keep(w->e);
}

static bool add_char(words *w, int32_t c)
{
    if (w->n_chars > WORD_MAX) return true;
    char *word = loam__scratch_need(&w->e->word, w->e->base, LOAM__SPACE_BYTES + w->n + 4, 1);
    if (!word) return false;
    if (w->n_chars++ == 0) {
        memcpy(word, LOAM__SPACE, LOAM__SPACE_BYTES);
        w->n = LOAM__SPACE_BYTES;
    }
    w->n += (size_t)utf8proc_encode_char(c, (uint8_t *)word + w->n);
    return true;
}

/* One character; a decomposed one if accents go. */
static bool take(words *w, int32_t c)
{
    if (is_space(c)) {
        end_word(w);
        return true;
    }
    if (is_dropped(c)) return true;
    if (w->kind->strip && c >= 0x80 && utf8proc_category(c) == UTF8PROC_CATEGORY_MN) return true;
    if (w->kind->lower) c = c < 0x80 ? c | (c >= 'A' && c <= 'Z' ? 0x20 : 0) : utf8proc_tolower(c);
    bool alone = stands_alone(c);
    if (alone) end_word(w);
    if (!add_char(w, c)) return false;
    if (alone) end_word(w);
    return true;
}

/* No character decomposes into more (Unicode, canonical decompositions). */
#define DECOMPOSED_MAX 4

static loam_status encode(loam__encoder *e, const char *text, size_t n, bool fresh)
{
    words w = {.e = e, .kind = e->v->state};
    (void)fresh;
    for (size_t at = 0, step; at < n; at += step) {
        int32_t c, parts[DECOMPOSED_MAX];
        int boundclass = 0;
        loam__utf8_state state;
        utf8proc_ssize_t n_parts = 1;
        step = loam__utf8_scan(text + at, n - at, &state);
        if (state != LOAM__UTF8_WHOLE) continue; /* as a character that was lost */
        c = (uint8_t)text[at];
        if (step > 1) utf8proc_iterate((const uint8_t *)text + at, (utf8proc_ssize_t)step, &c);
        parts[0] = c;
        if (w.kind->strip && c >= 0x80)
            n_parts =
                utf8proc_decompose_char(c, parts, DECOMPOSED_MAX, UTF8PROC_DECOMPOSE, &boundclass);
        for (utf8proc_ssize_t i = 0; i < n_parts && i < DECOMPOSED_MAX; i++)
            if (!take(&w, parts[i])) return LOAM_ERR_NOMEM;
    }
    end_word(&w);
    return LOAM_OK;
}

const loam__kind loam__kind_wordpiece = {
    .model = "bert",
    .state_bytes = sizeof(wordpiece),
    .add_bos = true,
    .add_eos = true,
    .framed = true,
    .clean_spaces = true,
    .bos = 101,
    .eos = 102,
    .unknown = 100,
    .bos_key = "tokenizer.ggml.cls_token_id",
    .eos_key = "tokenizer.ggml.seperator_token_id",
    .open = open_wordpiece,
    .fill = fill,
    .encode = encode,
};
