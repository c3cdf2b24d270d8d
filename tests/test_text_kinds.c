/* WordPiece, Unigram, RWKV's and PLaMo-2's tokenizers, on small vocabularies. */
#define _POSIX_C_SOURCE 200809L
#include "lib/text/charsmap.h"
#include "lib/text/trie.h"
#include "vocab_data.h"

/* ---- the tree of keys ---- */

typedef struct tree {
    loam__trie trie;
    void *memory;
    loam__key keys[64];
} tree;

static void grow(tree *t, const char *const *texts, uint32_t n)
{
    size_t n_bytes;
    assert_true(loam__trie_bytes(n, &n_bytes));
    t->memory = malloc(n_bytes);
    loam__trie_init(&t->trie, t->memory, n);
    for (uint32_t i = 0; i < n; i++) {
        t->keys[i] = (loam__key){texts[i], (uint32_t)strlen(texts[i])};
        loam__trie_add(&t->trie, i);
    }
    loam__trie_build(&t->trie, t->keys);
}

static void test_trie__finds_every_key_that_a_text_starts_with(void **state)
{
    static const char *const texts[] = {"abc", "a",  "abcdefgh1", "abcdefgh2", "b",
                                        "",    "ab", "b",         "\xFF",      "abd"};
    static const char text[] = "abcdefgh2x";
    static const uint32_t ids[] = {1, 6, 0, 3};
    static const size_t lengths[] = {1, 2, 3, 9};
    size_t n = 0;
    tree t;
    (void)state;
    grow(&t, texts, COUNT(texts));
    loam__trie_walk walk = loam__trie_start(&t.trie, text, strlen(text));
    for (uint32_t id; (id = loam__trie_next(&walk)) != LOAM__NO_ID; n++) {
        assert_int_equal(id, ids[n]);
        assert_int_equal(walk.at, lengths[n]);
    }
    assert_int_equal(n, COUNT(ids));
    assert_int_equal(loam__trie_longest(&t.trie, "abcdef", 6, &n), 0);
    assert_int_equal(n, 3);
    assert_int_equal(loam__trie_longest(&t.trie, "bb", 2, &n), 7); /* of two the later one */
    assert_int_equal(loam__trie_longest(&t.trie, "\xFF", 1, &n), 8);
    assert_int_equal(loam__trie_longest(&t.trie, "c", 1, &n), LOAM__NO_ID);
    assert_int_equal(loam__trie_longest(&t.trie, "", 0, &n), LOAM__NO_ID);
    free(t.memory);
    grow(&t, texts + 5, 1); /* an empty key is none */
    assert_int_equal(loam__trie_longest(&t.trie, "a", 1, &n), LOAM__NO_ID);
    free(t.memory);
}

static void test_trie__agrees_with_looking_at_every_key(void **state)
{
    uint32_t random = 3;
    (void)state;
    for (size_t round = 0; round < 300; round++) {
        static char texts[64][8];
        const char *list[64];
        uint32_t n = 1 + (uint32_t)round % 64;
        tree t;
        for (uint32_t i = 0; i < n; i++) {
            random = random * 1664525 + 1013904223;
            size_t length = (random >> 28) % 7;
            for (size_t k = 0; k < length; k++)
                texts[i][k] = (char)('a' + (random >> (2 * k + 5)) % 3);
            texts[i][length] = 0;
            list[i] = texts[i];
        }
        grow(&t, list, n);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t longest = LOAM__NO_ID;
            size_t want = 0, got;
            for (uint32_t k = 0; k < n; k++) {
                size_t m = strlen(list[k]);
                if (m == 0 || m < want || strncmp(list[i], list[k], m) != 0) continue;
                want = m;
                longest = k;
            }
            uint32_t id = loam__trie_longest(&t.trie, list[i], strlen(list[i]), &got);
            assert_int_equal(id, longest);
            if (id != LOAM__NO_ID) assert_int_equal(got, want);
        }
        free(t.memory);
    }
}

/* ---- WordPiece ---- */

static const token words[] = {
    {"[PAD]", 0, CONTROL}, {"[UNK]", 0, CONTROL}, {"[CLS]", 0, CONTROL}, {"[SEP]", 0, CONTROL},
    {"▁hello", 0, 0},      {"▁hel", 0, 0},        {"lo", 0, 0},          {"s", 0, 0},
    {"▁.", 0, 0},          {"▁world", 0, 0},      {"▁e", 0, 0},          {"▁中", 0, 0},
    {"▁x", 0, 0},          {"▁", 0, 0},           {"▁+", 0, 0},
};

static void put_wordpiece(gguf_writer *w)
{
    put_tokens(w, "bert", words, COUNT(words));
    put_number(w, "tokenizer.ggml.unknown_token_id", 1);
    put_number(w, "tokenizer.ggml.cls_token_id", 2);
    put_number(w, "tokenizer.ggml.seperator_token_id", 3);
}

static void open_wordpiece(fixture *f)
{
    memset(f, 0, sizeof *f);
    put_wordpiece(&f->w);
    assert_int_equal(open_vocab(f, NULL), LOAM_OK);
}

static void test_wordpiece__takes_the_longest_piece_or_gives_the_word_up(void **state)
{
    fixture f;
    (void)state;
    open_wordpiece(&f);
    check_tokens(&f, "hello", 0, "▁hello|");
    check_tokens(&f, "hellolos", 0, "▁hello|lo|s|");
    check_tokens(&f, "hells", 0, "[UNK]|");
    check_tokens(&f, "lo", 0, "[UNK]|");     /* only behind the start of a word */
    check_tokens(&f, "hellox", 0, "[UNK]|"); /* only at the start */
    check_tokens(&f, "hello world", LOAM_TOKENIZE_SPECIAL, "[CLS]|▁hello|▁world|[SEP]|");
    check_tokens(&f, "", LOAM_TOKENIZE_SPECIAL, "[CLS]|[SEP]|");
    check_tokens(&f, "hello▁world", 0, "[UNK]|");
    check_tokens(&f, "[SEP]hello", LOAM_TOKENIZE_CONTROL, "[SEP]|▁hello|");
    check_tokens(&f, " \n\t ", 0, "");
    close_vocab(&f);
}

static void test_wordpiece__is_framed_whatever_the_file_says(void **state)
{
    fixture f = {0};
    (void)state;
    put_wordpiece(&f.w);
    put_number(&f.w, "tokenizer.ggml.add_bos_token", 0);
    put_number(&f.w, "tokenizer.ggml.add_eos_token", 0);
    put_number(&f.w, "tokenizer.ggml.bos_token_id", 0); /* CLS and SEP go before */
    put_number(&f.w, "tokenizer.ggml.eos_token_id", 0);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "x", LOAM_TOKENIZE_SPECIAL, "[CLS]|▁x|[SEP]|");
    close_vocab(&f);
}

static void test_wordpiece__keeps_case_and_accents_where_the_file_says(void **state)
{
    static const token cased[] = {{"[UNK]", 0, CONTROL}, {"▁A", 0, 0}, {"▁a", 0, 0},
                                  {"▁É", 0, 0},          {"▁é", 0, 0}, {"▁E", 0, 0}};
    fixture f = {0};
    (void)state;
    put_tokens(&f.w, "bert", cased, COUNT(cased));
    put_number(&f.w, "tokenizer.ggml.unknown_token_id", 0);
    put_number(&f.w, "tokenizer.ggml.normalizer.lowercase", 0);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "A a É é", 0, "▁A|▁a|▁É|▁é|");
    close_vocab(&f);
    put_tokens(&f.w, "bert", cased, COUNT(cased));
    put_number(&f.w, "tokenizer.ggml.unknown_token_id", 0);
    put_number(&f.w, "tokenizer.ggml.normalizer.strip_accents", 0);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "A É", 0, "▁a|▁é|");
    close_vocab(&f);
    put_tokens(&f.w, "bert", cased, COUNT(cased));
    put_number(&f.w, "tokenizer.ggml.normalizer.lowercase", 0);
    put_number(&f.w, "tokenizer.ggml.normalizer.strip_accents", 1);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "A É", 0, "▁A|▁E|");
    close_vocab(&f);
}

static void test_wordpiece__cuts_and_cleans_as_bert_does(void **state)
{
    fixture f;
    (void)state;
    open_wordpiece(&f);
    check_tokens(&f, "HELLO.World", 0, "▁hello|▁.|▁world|");
    check_tokens(&f, "É e\u0301 \u00E9", 0, "▁e|▁e|▁e|"); /* accents go */
    check_tokens(&f, "中x中", 0, "▁中|▁x|▁中|");
    check_tokens(&f, "hel\u00ADlo\u200B", 0, "▁hello|"); /* and what does not print */
    check_tokens(&f, "x+", 0, "▁x|▁+|");
    check_tokens(&f, "hello\u2028world\u00A0x", 0, "▁hello|▁world|▁x|");
    assert_string_equal(tokens_of(&f, "hel\xFFlo\xC3", 7, NULL, 0), "▁hello|");
    assert_string_equal(tokens_of(&f, "hel\0lo", 6, NULL, 0), "▁hello|");
    close_vocab(&f);
}

static void test_wordpiece__a_long_word_is_unknown(void **state)
{
    static char text[2000000];
    fixture f;
    (void)state;
    open_wordpiece(&f);
    memset(text, 's', sizeof text);
    memcpy(text, "hello", 5);
    loam_token ids[200];
    size_t n;
    assert_int_equal(loam__tokenize(&f.b, f.v, text, 100, NULL, 0, ids, COUNT(ids), &n), LOAM_OK);
    assert_int_equal(n, 96);
    assert_int_equal(loam__tokenize(&f.b, f.v, text, 101, NULL, 0, ids, COUNT(ids), &n), LOAM_OK);
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], 1);
    assert_int_equal(loam__tokenize(&f.b, f.v, text, sizeof text, NULL, 0, ids, COUNT(ids), &n),
                     LOAM_OK);
    assert_int_equal(n, 1);
    close_vocab(&f);
}

static void test_wordpiece__text_comes_back_with_spaces_cleaned(void **state)
{
    fixture f;
    const loam_token ids[] = {4, 8, 9, 6};
    (void)state;
    open_wordpiece(&f);
    assert_string_equal(text_of(&f, ids, COUNT(ids), 0), " hello. worldlo");
    assert_int_equal(loam__vocab_bos(f.v), 2);
    assert_int_equal(loam__vocab_eos(f.v), 3);
    close_vocab(&f);
}

/* ---- Unigram ---- */

static const token pieces[] = {
    {"<pad>", 0, CONTROL}, {"</s>", 0, CONTROL}, {"<unk>", 0, UNKNOWN}, {"▁", -2, 0},
    {"a", -4, 0},          {"b", -4, 0},         {"ab", -5, 0},         {"▁a", -3, 0},
    {"ba", -9, 0},         {"bab", -10, 0},      {"<x>", 0, USER},      {"▁ab▁a", -3, 0},
};

static void put_unigram(gguf_writer *w)
{
    put_tokens(w, "t5", pieces, COUNT(pieces));
    put_number(w, "tokenizer.ggml.add_space_prefix", 1);
}

static void open_unigram(fixture *f)
{
    memset(f, 0, sizeof *f);
    put_unigram(&f->w);
    assert_int_equal(open_vocab(f, NULL), LOAM_OK);
}

static void test_unigram__takes_the_likeliest_way(void **state)
{
    fixture f;
    (void)state;
    open_unigram(&f);
    check_tokens(&f, "ab", 0, "▁|ab|"); /* as ▁a and b: the longer token at the end */
    check_tokens(&f, "abab", 0, "▁|ab|ab|");
    check_tokens(&f, "bab", 0, "▁|b|ab|"); /* -11, before bab with -12 */
    check_tokens(&f, "ab a", 0, "▁ab▁a|"); /* over a space */
    check_tokens(&f, "a", LOAM_TOKENIZE_SPECIAL, "▁a|</s>|");
    check_tokens(&f, "", LOAM_TOKENIZE_SPECIAL, "</s>|");
    check_tokens(&f, "a<x>a", 0, "▁a|<x>|▁a|");
    check_tokens(&f, "a</s>a", LOAM_TOKENIZE_CONTROL, "▁a|</s>|▁a|");
    close_vocab(&f);
}

static void test_unigram__unknown_neighbours_are_one_token(void **state)
{
    fixture f;
    (void)state;
    open_unigram(&f);
    check_tokens(&f, "éü", 0, "▁|<unk>|");
    check_tokens(&f, "éaü", 0, "▁|<unk>|a|<unk>|");
    assert_string_equal(tokens_of(&f,
                                  "a\xFF\xC3"
                                  "a",
                                  4, NULL, 0),
                        "▁a|<unk>|a|");
    close_vocab(&f);
}

static void test_unigram__spaces_as_the_file_says(void **state)
{
    const loam_token ids[] = {7, 3, 4};
    fixture f;
    (void)state;
    open_unigram(&f);
    check_tokens(&f, "  a  b ", 0, "▁|▁|▁a|▁|▁|b|▁|");
    assert_string_equal(text_of(&f, ids, COUNT(ids), 0), "a a");
    close_vocab(&f);
    put_tokens(&f.w, "t5", pieces, COUNT(pieces));
    put_number(&f.w, "tokenizer.ggml.add_space_prefix", 0);
    put_number(&f.w, "tokenizer.ggml.add_eos_token", 0);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "a  b", LOAM_TOKENIZE_SPECIAL, "a|▁|▁|b|");
    assert_string_equal(text_of(&f, ids, COUNT(ids), 0), " a a");
    close_vocab(&f);
    put_unigram(&f.w);
    put_number(&f.w, "tokenizer.ggml.remove_extra_whitespaces", 1);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "  a  b ", 0, "▁a|▁|b|");
    check_tokens(&f, "   ", 0, "");
    close_vocab(&f);
}

static void test_unigram__falls_back_to_bytes_where_it_has_them(void **state)
{
    static char spelling[256][8];
    token tokens[256 + COUNT(pieces)];
    fixture f = {0};
    (void)state;
    memcpy(tokens, pieces, sizeof pieces);
    for (size_t c = 0; c < 256; c++) {
        snprintf(spelling[c], sizeof spelling[c], "<0x%02X>", (unsigned)c);
        tokens[COUNT(pieces) + c] = (token){spelling[c], 0, BYTE};
    }
    put_tokens(&f.w, "t5", tokens, COUNT(tokens));
    put_number(&f.w, "tokenizer.ggml.add_space_prefix", 1);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "aéa", 0, "▁a|<0xC3>|<0xA9>|a|");
    check_tokens(&f, "<0xC3>", 0, "▁|<0x3C>|<0x30>|<0x78>|<0x43>|<0x33>|<0x3E>|");
    close_vocab(&f);
}

/* ---- the normalizer map ---- */

/* A double-array tree that replaces one byte: the unit of the root, those of its children at the
 * places 1 ^ byte, and behind each the value at place ^ 256. */
typedef struct map_writer {
    uint8_t bytes[4 + 4 * 1024 + 64];
    size_t n_texts;
} map_writer;

static void put_unit(map_writer *w, uint32_t at, uint32_t unit)
{
    for (size_t i = 0; i < 4; i++)
        w->bytes[4 + 4 * at + i] = (uint8_t)(unit >> (8 * i));
}

static void map_byte(map_writer *w, uint8_t from, const char *to)
{
    uint32_t place = 512u ^ from;
    put_unit(w, 0, 512u << 10);
    put_unit(w, place, 256u << 10 | 1u << 8 | from); /* has a leaf, at place ^ 256 */
    put_unit(w, place ^ 256u, 0x80000000u | (uint32_t)w->n_texts);
    memcpy(w->bytes + 4 + 4 * 1024 + w->n_texts, to, strlen(to) + 1);
    w->n_texts += strlen(to) + 1;
    w->bytes[1] = 4096 >> 8;
}

/* The only text that is replaced, of three bytes at most: another bit of the places for each. */
static void map_text(map_writer *w, const char *from, const char *to)
{
    uint32_t at = 512;
    for (uint32_t i = 0; i < 1024; i++)
        put_unit(w, i, 0x80000000u); /* leads nowhere */
    put_unit(w, 0, 512u << 10);
    for (uint32_t i = 0; from[i]; i++) {
        uint32_t offset = 256u >> i;
        at ^= (uint8_t)from[i];
        put_unit(w, at, offset << 10 | (from[i + 1] ? 0 : 1u << 8) | (uint8_t)from[i]);
        at ^= offset;
    }
    put_unit(w, at, 0x80000000u | (uint32_t)w->n_texts);
    memcpy(w->bytes + 4 + 4 * 1024 + w->n_texts, to, strlen(to) + 1);
    w->n_texts += strlen(to) + 1;
    w->bytes[1] = 4096 >> 8;
}

static size_t map_bytes(const map_writer *w)
{
    return 4 + 4 * 1024 + w->n_texts;
}

static void put_map(gguf_writer *w, const uint8_t *bytes, size_t n)
{
    put_list(w, "tokenizer.ggml.precompiled_charsmap", LOAM_META_U8, n);
    put(w, bytes, n);
}

static void test_unigram__normalizes_by_the_files_map(void **state)
{
    map_writer map = {0};
    fixture f = {0};
    (void)state;
    map_byte(&map, 'A', "a");
    map_byte(&map, '\t', " ");
    map_byte(&map, 'Z', "");
    map_byte(&map, 'W', "ab a");
    put_unigram(&f.w);
    put_map(&f.w, map.bytes, map_bytes(&map));
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "Ab", 0, "▁|ab|");
    check_tokens(&f, "a\tZZb", 0, "▁a|▁|b|");
    check_tokens(&f, "W", 0, "▁ab▁a|");
    check_tokens(&f, "ZZ", 0, "");
    close_vocab(&f);
}

static void test_unigram__normalizes_several_characters_at_once(void **state)
{
    static const struct {
        const char *from, *to, *text, *want;
    } rows[] = {
        {"a\u0301", "b", "aba\u0301aa", "▁|ab|b|a|a|"}, {"a\u0301", "b", "ba", "▁|b|a|"},
        {"a\u0301", "b", "a\u0302 a", "▁a|<unk>|▁a|"},  {"ba", "b", "bbaab", "▁|b|b|ab|"},
        {"é", "ab", "bé éa", "▁|b|ab|▁|ab|a|"},         {"éa", "b", "éb éa", "▁|<unk>|b|▁|b|"}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        map_writer map = {0};
        fixture f = {0};
        map_text(&map, rows[i].from, rows[i].to);
        put_unigram(&f.w);
        put_map(&f.w, map.bytes, map_bytes(&map));
        assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
        check_tokens(&f, rows[i].text, 0, rows[i].want);
        close_vocab(&f);
    }
}

static void test_charsmap__trusts_nothing(void **state)
{
    map_writer map = {0};
    loam__charsmap m;
    const char *text;
    size_t n, n_bytes;
    (void)state;
    map_byte(&map, 'A', "bcd");
    n_bytes = map_bytes(&map);
    assert_true(loam__charsmap_open(&m, map.bytes, n_bytes));
    assert_int_equal(loam__charsmap_find(&m, "AA", 2, &text, &n), 1);
    assert_int_equal(n, 3);
    assert_int_equal(loam__charsmap_find(&m, "B", 1, &text, &n), 0);
    assert_true(loam__charsmap_open(&m, map.bytes, n_bytes - 1)); /* the text does not end */
    assert_int_equal(loam__charsmap_find(&m, "A", 1, &text, &n), 0);
    assert_true(loam__charsmap_open(&m, map.bytes, n_bytes - 4)); /* and is not there */
    assert_int_equal(loam__charsmap_find(&m, "A", 1, &text, &n), 0);
    assert_true(loam__charsmap_open(&m, NULL, 0));
    assert_int_equal(loam__charsmap_find(&m, "A", 1, &text, &n), 0);
    assert_false(loam__charsmap_open(&m, map.bytes, 3));
    assert_false(loam__charsmap_open(&m, map.bytes, 100)); /* the tree is larger */
    put_unit(&map, 0, 0x7FFFFFFFu & ~(1u << 9));           /* beyond its end */
    assert_true(loam__charsmap_open(&m, map.bytes, n_bytes));
    assert_int_equal(loam__charsmap_find(&m, "A", 1, &text, &n), 0);
}

/* ---- RWKV ---- */

static const token world[] = {
    {"<s>", 0, CONTROL}, {"a", 0, 0},    {"\\n", 0, 0},    {"ab", 0, 0}, {"\\xc3\\xa9", 0, 0},
    {"abc\\n", 0, 0},    {"\\\\", 0, 0}, {"\\'", 0, 0},    {"b", 0, 0},  {"\\xff", 0, 0},
    {"\\x", 0, 0},       {"c\\", 0, 0},  {"\\t\\r", 0, 0},
};

static void open_rwkv(fixture *f)
{
    memset(f, 0, sizeof *f);
    put_tokens(&f->w, "rwkv", world, COUNT(world));
    assert_int_equal(open_vocab(f, NULL), LOAM_OK);
}

static void test_rwkv__takes_the_longest_token(void **state)
{
    const loam_token ids[] = {5, 4, 6, 7, 12};
    fixture f;
    (void)state;
    open_rwkv(&f);
    check_tokens(&f, "aabab\n", 0, "a|ab|ab|\\n|");
    check_tokens(&f, "abc\nabb", LOAM_TOKENIZE_SPECIAL, "abc\\n|ab|b|");
    check_tokens(&f, "é\\'\t\r", 0, "\\xc3\\xa9|\\\\|\\'|\\t\\r|");
    assert_string_equal(tokens_of(&f, "\xFF\xC3", 2, NULL, 0), "\\xff|"); /* one has no token */
    check_tokens(&f, "xc\\", 0, "\\x|c\\|"); /* escapes that are none stand for themselves */
    check_tokens(&f, "<s>a", LOAM_TOKENIZE_CONTROL, "<s>|a|");
    assert_string_equal(text_of(&f, ids, COUNT(ids), 0), "abc\né\\'\t\r");
    close_vocab(&f);
}

/* ---- PLaMo-2 ---- */

static const token plamo[] = {
    {"<|plamo:unk|>", 0, UNKNOWN},
    {"<|plamo:bos|>", 0, CONTROL},
    {"<|plamo:eos|>", 0, CONTROL},
    {"<|plamo:pad|>", 0, CONTROL},
    {"a", -3, 0},
    {"b", -3, 0},
    {"ab", -4, 0},
    {"ba", -4, 0},
    {"aba", -7, 0},
    {"bb", -9, 0},
    {" a", -2.5f, 0},
    {"é", -2, 0},
    {"あ", -1, 0},
    {"あa", -4, 0},
    {"never", -2000, 0},
    {"nev", -1500, 0},
    {" ", -0.00004f, 0},
    {"bé ab", -5.5f, 0},
};

static char byte_spellings[256][8];

static void put_plamo(gguf_writer *w)
{
    token tokens[COUNT(plamo) + 256];
    memcpy(tokens, plamo, sizeof plamo);
    for (size_t c = 0; c < 256; c++) {
        snprintf(byte_spellings[c], sizeof byte_spellings[c], "<0x%02X>", (unsigned)c);
        tokens[COUNT(plamo) + c] = (token){byte_spellings[c], 0, BYTE};
    }
    put_tokens(w, "plamo2", tokens, COUNT(tokens));
}

static void open_plamo(fixture *f)
{
    memset(f, 0, sizeof *f);
    put_plamo(&f->w);
    assert_int_equal(open_vocab(f, NULL), LOAM_OK);
}

static void test_plamo2__takes_the_cheapest_way(void **state)
{
    const loam_token ids[] = {10, 11, COUNT(plamo) + 0xE3};
    fixture f;
    (void)state;
    open_plamo(&f);
    check_tokens(&f, "aba", 0, "aba|"); /* as ab and a, and as a and ba: the longest first */
    check_tokens(&f, "abab", 0, "ab|ab|");
    check_tokens(&f, "bab", 0, "ba|b|"); /* as b and ab */
    check_tokens(&f, "あa", 0, "あa|");
    check_tokens(&f, "bé ab", 0, "bé ab|");
    check_tokens(&f, "bé aa", 0, "b|é| a|a|");
    check_tokens(&f, "xあ", 0, "<0x78>|あ|");
    check_tokens(&f, "日\n", 0, "<0xE6>|<0x97>|<0xA5>|<0x0A>|");
    check_tokens(&f, "never", 0, "nev|<0x65>|<0x72>|");
    check_tokens(&f, "<0x78>", 0, "<0x3C>|<0x30>|<0x78>|<0x37>|<0x38>|<0x3E>|");
    assert_string_equal(tokens_of(&f, "a\xE3\x81", 3, NULL, 0), "a|<0xE3>|<0x81>|");
    check_tokens(&f, "a<|plamo:eos|>", LOAM_TOKENIZE_CONTROL | LOAM_TOKENIZE_SPECIAL,
                 "a|<|plamo:eos|>|");
    assert_string_equal(text_of(&f, ids, COUNT(ids), 0), " aé\xE3");
    close_vocab(&f);
}

/* What the whole text costs from each place on, and the first token there, by looking at every
 * token from the end to the start. */
static size_t plamo_by_looking(const char *text, size_t n, loam_token *ids)
{
    static double cost[1001];
    static size_t first[1000], n_first[1000];
    size_t n_ids = 0;
    cost[n] = 0;
    for (size_t at = n; at-- > 0;) {
        size_t step = 1;
        while (at + step < n && (text[at + step] & 0xC0) == 0x80)
            step++;
        cost[at] = 1e7 + cost[at + step];
        first[at] = COUNT(plamo);
        n_first[at] = step;
        for (size_t i = 4; i < COUNT(plamo); i++) {
            size_t m = strlen(plamo[i].text);
            if (plamo[i].score <= -2000 || m > n - at || memcmp(text + at, plamo[i].text, m) != 0)
                continue;
            double c = cost[at + m] - (double)(long)(plamo[i].score * 1e4 - 0.5);
            if (c > cost[at] || (c == cost[at] && first[at] < COUNT(plamo) && m < n_first[at]))
                continue;
            cost[at] = c;
            first[at] = i;
            n_first[at] = m;
        }
    }
    for (size_t at = 0; at < n; at += n_first[at]) {
        if (first[at] < COUNT(plamo)) ids[n_ids++] = (loam_token)first[at];
        else
            for (size_t i = 0; i < n_first[at]; i++)
                ids[n_ids++] = (loam_token)(COUNT(plamo) + (uint8_t)text[at + i]);
    }
    return n_ids;
}

static void test_plamo2__agrees_with_looking_at_every_token(void **state)
{
    static const char *const units[] = {"a", "b", "ab", "é", " ", "あ", "日", "n", "nev"};
    uint32_t random = 7;
    fixture f;
    (void)state;
    open_plamo(&f);
    for (int round = 0; round < 300; round++) {
        char text[1000];
        loam_token want[1000], got[1000];
        size_t n = 0, n_got;
        while (n < 3u * (size_t)round) {
            random = random * 1664525 + 1013904223;
            const char *unit =
                units[random >> 24 & (round & 1 ? 1 : 15) ? (random >> 24) % COUNT(units) : 0];
            memcpy(text + n, unit, strlen(unit));
            n += strlen(unit);
        }
        size_t n_want = plamo_by_looking(text, n, want);
        assert_int_equal(loam__tokenize(&f.b, f.v, text, n, NULL, 0, got, COUNT(got), &n_got),
                         LOAM_OK);
        assert_int_equal(n_got, n_want);
        assert_memory_equal(got, want, n_want * sizeof *want);
    }
    close_vocab(&f);
}

/* ---- all of them ---- */

static void (*const kinds[])(fixture *) = {open_wordpiece, open_unigram, open_rwkv, open_plamo};

static void test_special__typed_text_is_never_control(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        fixture f;
        kinds[k](&f);
        check_prompts(&f);
        close_vocab(&f);
    }
}

static void test_special__an_unknown_token_frames_no_text(void **state)
{
    fixture f = {0};
    (void)state;
    put_tokens(&f.w, "rwkv", world, COUNT(world));
    put_number(&f.w, "tokenizer.ggml.unknown_token_id", 0); /* which is the end as well */
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "<a", 0, "a|");
    close_vocab(&f);
}

static void test_load__refuses_with_a_sentence(void **state)
{
    static const uint8_t no_map[] = {255, 255, 255, 255, 0};
    fixture f = {0};
    (void)state;
    put_unigram(&f.w);
    put_map(&f.w, no_map, sizeof no_map);
    refuse(&f, "no normalizer map");
    put_unigram(&f.w);
    put_string(&f.w, "tokenizer.ggml.precompiled_charsmap", "text");
    refuse(&f, "not a list of bytes");
    put_string(&f.w, "tokenizer.ggml.model", "t5");
    put_list(&f.w, "tokenizer.ggml.tokens", LOAM_META_STRING, 1);
    put_text(&f.w, "a", 1);
    refuse(&f, "tokenizer.ggml.scores");
}

static void test_load__takes_scores_that_are_no_numbers(void **state)
{
    float nan, inf;
    uint32_t bits = 0x7FC00000u;
    memcpy(&nan, &bits, sizeof nan);
    bits = 0x7F800000u;
    memcpy(&inf, &bits, sizeof inf);
    const token tokens[] = {
        {"a", nan, 0}, {"b", inf, 0}, {"c", -inf, 0}, {"ab", nan, 0}, {"<unk>", 0, UNKNOWN}};
    fixture f = {0};
    (void)state;
    put_tokens(&f.w, "t5", tokens, COUNT(tokens));
    put_number(&f.w, "tokenizer.ggml.unknown_token_id", 4);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "abcx", 0, "a|b|c|<unk>|");
    close_vocab(&f);
}

static void test_load__survives_every_failed_allocation(void **state)
{
    map_writer map = {0};
    fixture f = {0};
    (void)state;
    map_byte(&map, 'A', "a");
    put_unigram(&f.w);
    put_map(&f.w, map.bytes, map_bytes(&map));
    check_faults(&f, 4);
    memset(&f, 0, sizeof f);
    put_wordpiece(&f.w);
    check_faults(&f, 4);
    memset(&f, 0, sizeof f);
    put_tokens(&f.w, "rwkv", world, COUNT(world));
    check_faults(&f, 4);
    memset(&f, 0, sizeof f);
    put_plamo(&f.w);
    check_faults(&f, 4);
}

static void test_tokenize__what_is_made_to_be_slow(void **state)
{
    static const char *const units[] = {"a",      "b",  "ab",      "ab ",   " ",    "x",
                                        "\u0301", "é",  "a\u0301", "中",    "\xFF", "bé",
                                        "(",      "あ", "\u3000",  "hello", "</s",  "\n"};
    const size_t n = 300000;
    char *text = malloc(n);
    (void)state;
    assert_non_null(text);
    for (size_t k = 0; k < COUNT(kinds); k++) {
        fixture f;
        kinds[k](&f);
        for (size_t u = 0; u < COUNT(units); u++) {
            size_t count;
            fill(text, n, units[u]);
            assert_int_equal(
                loam__tokenize(&f.b, f.v, text, n, NULL, LOAM_TOKENIZE_CONTROL, NULL, 0, &count),
                LOAM_OK);
        }
        close_vocab(&f);
    }
    free(text);
}

static void test_tokenize__one_endless_word(void **state)
{
    static const struct {
        void (*open)(fixture *f);
        const char *unit;
        size_t n_tokens;
    } rows[] = {
        {open_unigram, "b", 3000001}, {open_rwkv, "ab", 1500000}, {open_plamo, "ab", 1500000}};
    static char text[3000000];
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        fixture f;
        size_t n;
        rows[i].open(&f);
        fill(text, sizeof text, rows[i].unit);
        assert_int_equal(loam__tokenize(&f.b, f.v, text, sizeof text, NULL, 0, NULL, 0, &n),
                         LOAM_OK);
        assert_int_equal(n, rows[i].n_tokens);
        close_vocab(&f);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_trie__finds_every_key_that_a_text_starts_with),
    cmocka_unit_test(test_trie__agrees_with_looking_at_every_key),
    cmocka_unit_test(test_wordpiece__takes_the_longest_piece_or_gives_the_word_up),
    cmocka_unit_test(test_wordpiece__is_framed_whatever_the_file_says),
    cmocka_unit_test(test_wordpiece__keeps_case_and_accents_where_the_file_says),
    cmocka_unit_test(test_wordpiece__cuts_and_cleans_as_bert_does),
    cmocka_unit_test(test_wordpiece__a_long_word_is_unknown),
    cmocka_unit_test(test_wordpiece__text_comes_back_with_spaces_cleaned),
    cmocka_unit_test(test_unigram__takes_the_likeliest_way),
    cmocka_unit_test(test_unigram__unknown_neighbours_are_one_token),
    cmocka_unit_test(test_unigram__spaces_as_the_file_says),
    cmocka_unit_test(test_unigram__falls_back_to_bytes_where_it_has_them),
    cmocka_unit_test(test_unigram__normalizes_by_the_files_map),
    cmocka_unit_test(test_unigram__normalizes_several_characters_at_once),
    cmocka_unit_test(test_charsmap__trusts_nothing),
    cmocka_unit_test(test_rwkv__takes_the_longest_token),
    cmocka_unit_test(test_plamo2__takes_the_cheapest_way),
    cmocka_unit_test(test_plamo2__agrees_with_looking_at_every_token),
    cmocka_unit_test(test_special__typed_text_is_never_control),
    cmocka_unit_test(test_special__an_unknown_token_frames_no_text),
    cmocka_unit_test(test_load__refuses_with_a_sentence),
    cmocka_unit_test(test_load__takes_scores_that_are_no_numbers),
    cmocka_unit_test(test_load__survives_every_failed_allocation),
    cmocka_unit_test(test_tokenize__what_is_made_to_be_slow),
    cmocka_unit_test(test_tokenize__one_endless_word),
};

RUN(tests)
