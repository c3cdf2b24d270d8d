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

/* What a byte does to the stretches of text that are kept in the memo. */
enum {
    INSIDE, /* it is part of one */
    SPACE,  /* it parts them and is nothing else */
    ALONE,  /* it is one */
    HAN     /* the character that it starts is one: those from U+5000 to U+9FFF are words */
};

typedef struct wordpiece {
    loam__trie trie;
    bool lower, strip; /* text in lower case, accents go */
    uint8_t kinds[256];
} wordpiece;

/* ---- loading ---- */

static loam_status open_wordpiece(loam__base *b, loam__vocab *v, size_t *table_bytes)
{
    wordpiece *k = v->state;
    k->lower = true;
    loam__read_flag(v, "tokenizer.ggml.normalizer.lowercase", &k->lower);
    k->strip = k->lower;
    loam__read_flag(v, "tokenizer.ggml.normalizer.strip_accents", &k->strip);
    return loam__trie_room(b, v, 0, table_bytes);
}

/* ---- characters ---- */

/* Of a character that is no white space. */
static utf8proc_category_t category_of(int32_t c)
{
    if (c >= 0x80) return utf8proc_category(c);
    if (c < 0x20 || c == 0x7F) return UTF8PROC_CATEGORY_CC;
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (letter || (c >= '0' && c <= '9')) return UTF8PROC_CATEGORY_LO;
    return UTF8PROC_CATEGORY_PO; /* all of ASCII's symbols */
}

/* Control characters, private ones, and what stands for one that was lost. */
static bool is_dropped(int32_t c, utf8proc_category_t category)
{
    return c == 0xFFFD || category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
           category == UTF8PROC_CATEGORY_CO;
}

/* Characters that are words of their own: punctuation and Han. */
static bool stands_alone(int32_t c, utf8proc_category_t category)
{
    static const int32_t han[][2] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                                     {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F},
                                     {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
    if (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO) return true;
    for (size_t i = 0; c >= han[0][0] && i < sizeof han / sizeof *han; i++)
        if (c >= han[i][0] && c <= han[i][1]) return true;
    return false;
}

static uint8_t kind_of(int32_t byte)
{
    if (byte >= 0x80) return byte >= 0xE5 && byte <= 0xE9 ? HAN : INSIDE;
    if (loam__is_white(byte)) return SPACE;
    return stands_alone(byte, category_of(byte)) ? ALONE : INSIDE;
}

static loam_status fill(loam__base *b, loam__vocab *v, void *table)
{
    wordpiece *k = v->state;
    uint32_t bytes[256]; /* there is no byte fallback */
    (void)b;
    loam__decode_spellings(v, bytes, true);
    loam__plant_keys(v, &k->trie, table);
    for (int32_t c = 0; c < 256; c++)
        k->kinds[c] = kind_of(c);
    return LOAM_OK;
}

/* ---- encoding ---- */

typedef struct words {
    loam__encoder *e;
    const wordpiece *kind;
    size_t n;         /* bytes of the word */
    uint32_t n_chars; /* of it; of a long one no more are kept than tell so */
    char word[LOAM__SPACE_BYTES + 4 * (WORD_MAX + 1)];
} words;

static void end_word(words *w)
{
    loam__encoder *e = w->e;
    size_t first = e->n_tokens, n = w->n, n_key = 0;
    bool known = w->n_chars <= WORD_MAX;
    if (w->n_chars == 0) return;
    for (size_t at = 0; known && at < n; at += n_key) {
        uint32_t id = loam__trie_longest(&w->kind->trie, w->word + at, n - at, &n_key);
        /* what starts a word is no token inside of one, also where the text has U+2581 there */
        bool starts = id != LOAM__NO_ID && loam__is_space(w->word + at, n_key);
        known =
            id != LOAM__NO_ID && starts == (at == 0) && n_key > (starts ? LOAM__SPACE_BYTES : 0);
        if (known) loam__emit(e, id);
    }
    if (!known) {
        loam__retract(e, first);
        if (e->v->unknown >= 0) loam__emit(e, (uint32_t)e->v->unknown);
    }
    w->n = LOAM__SPACE_BYTES;
    w->n_chars = 0;
}

/* One character; a decomposed one if accents go. */
static void take(words *w, int32_t c)
{
    if (loam__is_white(c)) {
        end_word(w);
        return;
    }
    utf8proc_category_t category = category_of(c);
    if (is_dropped(c, category)) return;
    if (w->kind->strip && category == UTF8PROC_CATEGORY_MN) return;
    bool alone = stands_alone(c, category);
    if (alone) end_word(w);
    if (w->kind->lower) c = c < 0x80 ? c | (c >= 'A' && c <= 'Z' ? 0x20 : 0) : utf8proc_tolower(c);
    if (w->n_chars <= WORD_MAX) {
        w->n += (size_t)utf8proc_encode_char(c, (uint8_t *)w->word + w->n);
        w->n_chars++;
    }
    if (alone) end_word(w);
}

/* No character decomposes into more (Unicode, canonical decompositions). */
#define DECOMPOSED_MAX 4

/* A stretch of text that other words do not reach into. */
static void encode_stretch(words *w, const loam__word *stretch)
{
    const char *text = stretch->p;
    const size_t n = stretch->n;
    if (n == 0 || loam__recall(w->e, stretch)) return;
    for (size_t at = 0, step; at < n; at += step) {
        int32_t parts[DECOMPOSED_MAX] = {(uint8_t)text[at]};
        int boundclass = 0;
        loam__utf8_state state;
        utf8proc_ssize_t n_parts = 1;
        step = loam__utf8_scan(text + at, n - at, &state);
        if (state != LOAM__UTF8_WHOLE) continue; /* as a character that was lost */
        if (step > 1) utf8proc_iterate((const uint8_t *)text + at, (utf8proc_ssize_t)step, parts);
        if (step > 1 && w->kind->strip)
            n_parts = utf8proc_decompose_char(*parts, parts, DECOMPOSED_MAX, UTF8PROC_DECOMPOSE,
                                              &boundclass);
        for (utf8proc_ssize_t i = 0; i < n_parts && i < DECOMPOSED_MAX; i++)
            take(w, parts[i]);
    }
    end_word(w);
    loam__keep(w->e);
}

static size_t stretch_end(const wordpiece *k, const char *p, size_t n)
{
    loam__utf8_state state;
    size_t i = 0;
    uint8_t kind = k->kinds[(uint8_t)*p];
    if (kind == HAN) return loam__utf8_scan(p, n, &state);
    while (i < n && k->kinds[(uint8_t)p[i]] == INSIDE)
        i++;
    return i ? i : 1;
}

static loam_status encode(loam__encoder *e, const char *text, size_t n, bool fresh)
{
    words w = {.e = e, .kind = e->v->state, .n = LOAM__SPACE_BYTES, .word = LOAM__SPACE};
    loam__word waits = {0};
    (void)fresh;
    for (size_t at = 0, m; at < n; at += m) {
        m = 1;
        if (w.kind->kinds[(uint8_t)text[at]] == SPACE) continue;
        m = stretch_end(w.kind, text + at, n - at);
        loam__word next = loam__word_at(e, text + at, m);
        encode_stretch(&w, &waits);
        waits = next;
    }
    encode_stretch(&w, &waits);
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
