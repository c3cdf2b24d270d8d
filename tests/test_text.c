#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <dirent.h>
#include <jansson.h>
#include <sys/stat.h>

#include "lib/text/pre.h"
#include "vocab_data.h"

/* ---- SentencePiece BPE ---- */

static const token spm_tokens[] = {
    {"<unk>", 0, UNKNOWN}, {"<s>", 0, CONTROL}, {"</s>", 0, CONTROL}, {"<0xC3>", 0, BYTE},
    {"<0x9F>", 0, BYTE},   {"▁", -9, 0},        {"a", -9, 0},         {"b", -9, 0},
    {"ab", -2, 0},         {"ba", -1, 0},       {"aba", -3, 0},       {"▁a", -4, 0},
    {">", -9, 0},          {">▁a", -5, 0},      {"<", -9, 0},         {"s", -9, 0},
    {"s>", -3, 0},
};

static void open_spm(fixture *f)
{
    memset(f, 0, sizeof *f);
    put_tokens(&f->w, "llama", spm_tokens, COUNT(spm_tokens));
    assert_int_equal(open_vocab(f, NULL), LOAM_OK);
}

static void test_spm__joins_the_highest_score_and_then_the_leftmost(void **state)
{
    fixture f;
    (void)state;
    open_spm(&f);
    check_tokens(&f, "ab", 0, "▁|ab|"); /* -2 for ab is before -4 for ▁a */
    check_tokens(&f, "aab", 0, "▁a|ab|");
    check_tokens(&f, "babab", 0, "▁|ba|ba|b|"); /* ba, -1, wins over ab on its left */
    check_tokens(&f, "", 0, "");
    check_tokens(&f, "", LOAM_TOKENIZE_SPECIAL, "<s>|");
    close_vocab(&f);
}

static void test_spm__joins_over_a_space_where_a_token_does(void **state)
{
    fixture f;
    (void)state;
    open_spm(&f);
    check_tokens(&f, "b> a", 0, "▁|b|>▁a|");
    check_tokens(&f, "b a", 0, "▁|b|▁a|");
    check_tokens(&f, "b▁a", 0, "▁|b|▁a|"); /* U+2581 in the text is a space */
    close_vocab(&f);
}

static void test_spm__falls_back_to_bytes_and_then_to_unknown(void **state)
{
    fixture f;
    (void)state;
    open_spm(&f);
    check_tokens(&f, "ß", 0, "▁|<0xC3>|<0x9F>|");
    check_tokens(&f, "é", 0, "▁|<0xC3>|<unk>|"); /* no <0xA9> */
    assert_string_equal(tokens_of(&f, "\xC3", 1, NULL, 0), "▁|<0xC3>|");
    assert_string_equal(tokens_of(&f, "a\0a", 3, NULL, 0), "▁a|<unk>|a|");
    close_vocab(&f);
}

static void test_spm__puts_a_space_at_the_start_and_behind_special_tokens(void **state)
{
    fixture f;
    const loam_token ids[] = {11, 8}, special[] = {1, 11};
    (void)state;
    open_spm(&f);
    check_tokens(&f, "a</s>a", LOAM_TOKENIZE_SPECIAL | LOAM_TOKENIZE_CONTROL, "<s>|▁a|</s>|▁a|");
    assert_string_equal(text_of(&f, ids, 2, 0), "aab"); /* and takes it away again */
    assert_string_equal(text_of(&f, special, 2, 0), "<s> a");
    assert_string_equal(text_of(&f, special, 2, LOAM_DETOKENIZE_SKIP_CONTROL), "a");
    close_vocab(&f);
    put_tokens(&f.w, "llama", spm_tokens, COUNT(spm_tokens));
    put_number(&f.w, "tokenizer.ggml.add_space_prefix", 0);
    put_number(&f.w, "tokenizer.ggml.add_bos_token", 0);
    put_number(&f.w, "tokenizer.ggml.add_eos_token", 1);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "ab a", LOAM_TOKENIZE_SPECIAL, "ab|▁a|</s>|");
    assert_string_equal(text_of(&f, ids, 2, 0), " aab");
    close_vocab(&f);
}

/* ---- byte-level BPE ---- */

static const char *const bpe_merges[] = {"l o",  "h e", "he l", "hel lo", "Ġ w",
                                         "lo w", "1 2", "12 3", "< |"};
static const token bpe_specials[] = {
    {"<|im_end|>", 0, CONTROL}, {"<|im", 0, CONTROL}, {"\n\n", 0, USER},
    {"\n\n\n", 0, USER},        {"</s>", 0, 0},       {"", 0, 0},
    {"gone", 0, UNUSED},
};

static void open_bpe(fixture *f, const char *pre)
{
    memset(f, 0, sizeof *f);
    put_bpe(&f->w, pre, bpe_merges, COUNT(bpe_merges), bpe_specials, COUNT(bpe_specials));
    assert_int_equal(open_vocab(f, NULL), LOAM_OK);
}

static void test_bpe__joins_in_the_order_of_the_merges(void **state)
{
    fixture f;
    (void)state;
    open_bpe(&f, "gpt-2");
    check_tokens(&f, "hello", 0, "hello|");
    check_tokens(&f, "hel", 0, "hel|");
    check_tokens(&f, "ello", 0, "e|l|lo|");
    check_tokens(&f, "low", 0, "low|");
    check_tokens(&f, "lo w", 0, "lo|Ġw|");
    check_tokens(&f, "1234", 0, "123|4|");
    close_vocab(&f);
    open_bpe(&f, "starcoder"); /* each digit a word */
    check_tokens(&f, "1234", 0, "1|2|3|4|");
    close_vocab(&f);
}

static void test_bpe__whole_words_come_before_merges(void **state)
{
    static const char *const merges[] = {"a b", "c d", "b c"};
    const token whole[] = {{"abc", 0, 0}};
    fixture f = {0};
    (void)state;
    put_bpe(&f.w, "gpt-2", merges, COUNT(merges), whole, 1);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "abc", 0, "ab|c|");
    close_vocab(&f);
    put_bpe(&f.w, "llama-bpe", merges, COUNT(merges), whole, 1);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "abc", 0, "abc|");
    check_tokens(&f, "abcd", 0, "ab|cd|");
    close_vocab(&f);
}

static void test_bpe__gives_every_byte_back(void **state)
{
    static const char *const pres[] = {
        "gpt-2",   "llama-bpe",  "qwen2",      "deepseek-llm", "deepseek-v3", "falcon", "gpt-4o",
        "bloom",   "kimi-k2",    "tekken",     "superbpe",     "chameleon",   "qwen35", "command-r",
        "afmoe",   "exaone-moe", "jais-2",     "tiny_aya",     "youtu",       "laguna", "sophia",
        "longcat", "spark2_5",   "k2-horizon", "ufakzeka"};
    char text[2000];
    uint32_t random = 1;
    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        random = random * 1664525 + 1013904223;
        text[i] = (char)(i < 256 ? i : random >> 24);
    }
    for (size_t i = 0; i < COUNT(pres); i++) {
        fixture f;
        loam_token ids[2000];
        char back[2000];
        size_t n, m;
        open_bpe(&f, pres[i]);
        assert_int_equal(loam__tokenize(&f.b, f.v, text, sizeof text, NULL, 0, ids, COUNT(ids), &n),
                         LOAM_OK);
        for (size_t k = 0, at = 0; k < n;
             k++, at += m) { /* the decoder of some removes spaces, the tokens do not */
            const char *p = loam__token_bytes(f.v, ids[k], 0, &m);
            assert_true(at + m <= sizeof text);
            memcpy(back + at, p, m);
            if (k + 1 == n) assert_int_equal(at + m, sizeof text);
        }
        assert_memory_equal(back, text, sizeof text);
        close_vocab(&f);
    }
}

/* ---- BPE over characters ---- */

static const token gemma_tokens[] = {
    {"<pad>", 0, CONTROL}, {"<eos>", 0, CONTROL}, {"<bos>", 0, CONTROL}, {"<unk>", 0, UNKNOWN},
    {"▁", 0, 0},           {"a", 0, 0},           {"b", 0, 0},           {"é", 0, 0},
    {"ab", 0, 0},          {"▁a", 0, 0},          {"ab▁a", 0, 0},        {"\n", 0, 0},
    {"\n\n", 0, 0},        {"<0xC3>", 0, BYTE},   {"<0x9F>", 0, BYTE},   {"aé", 0, 0},
};

static void put_gemma(gguf_writer *w, const char *model)
{
    static const char *const merges[] = {"a b", "▁ a", "ab ▁a", "a é", "b a"};
    put_tokens(w, model, gemma_tokens, COUNT(gemma_tokens));
    put_list(w, "tokenizer.ggml.merges", LOAM_META_STRING, COUNT(merges));
    for (size_t i = 0; i < COUNT(merges); i++)
        put_text(w, merges[i], strlen(merges[i]));
}

static void test_bpe__over_characters(void **state)
{
    const loam_token ids[] = {9, 7, 13};
    fixture f = {0};
    (void)state;
    put_gemma(&f.w, "gemma4");
    put_number(&f.w, "tokenizer.ggml.add_bos_token", 0); /* as some files say, and are wrong */
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "ab a", LOAM_TOKENIZE_SPECIAL, "<bos>|ab▁a|"); /* no words */
    check_tokens(&f, "aéba", 0, "aé|b|a|");                         /* no token for "ba" */
    check_tokens(&f, "aß", 0, "a|<0xC3>|<0x9F>|");
    check_tokens(&f, "x", 0, "<unk>|");
    check_tokens(&f, "a\n\nb\n", 0, "a|\n\n|b|\n|");
    assert_string_equal(tokens_of(&f,
                                  "\xC3"
                                  "a",
                                  2, NULL, 0),
                        "<0xC3>|a|");
    assert_string_equal(text_of(&f, ids, 3, 0), " aé\xC3");
    close_vocab(&f);
    put_gemma(&f.w, "gpt2");
    put_string(&f.w, "tokenizer.ggml.pre", "sarvam-moe");
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "ab a", LOAM_TOKENIZE_SPECIAL, "ab▁a|");
    close_vocab(&f);
    put_gemma(&f.w, "gpt2"); /* each line starts with a space, and a word ends in front of one */
    put_string(&f.w, "tokenizer.ggml.pre", "mmbert");
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "ab a  a\n\na\n b", 0, "▁|ab|▁a|▁|▁a|\n\n|▁a|\n|▁|b|");
    check_tokens(&f, "▁a\n", 0, "▁a|\n|");
    close_vocab(&f);
}

static void test_bpe__over_words_without_spaces(void **state)
{
    fixture f = {0};
    (void)state;
    put_gemma(&f.w, "whitespace");
    put_string(&f.w, "tokenizer.ggml.pre", "whitespace");
    put_number(&f.w, "tokenizer.ggml.normalizer.lowercase", 1);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, " AB\u3000\u2028aÉ\n\nab ab\u00A0", 0, "ab|aé|ab|ab|");
    check_tokens(&f, " \n\t", 0, "");
    check_tokens(&f, "▁a", 0, "▁a|");
    assert_string_equal(tokens_of(&f, "a\xC3 B", 4, NULL, 0), "a|<0xC3>|b|");
    close_vocab(&f);
    put_gemma(&f.w, "whitespace");
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "ab A", 0, "ab|"); /* case stays, and what has no token is lost */
    close_vocab(&f);
}

/* ---- pre-tokenizers ---- */

typedef struct words {
    char out[1024];
    size_t n;
} words;

static loam_status add_word(void *ctx, const char *word, size_t n)
{
    words *w = ctx;
    assert_true(w->n + n + 2 < sizeof w->out);
    memcpy(w->out + w->n, word, n);
    w->n += n;
    w->out[w->n++] = '|';
    w->out[w->n] = 0;
    return LOAM_OK;
}

static void check_words(const char *pre, const char *text, const char *want)
{
    loam__base b;
    loam__patterns *p;
    words w = {{0}, 0};
    const loam__pre *row = loam__pre_find(pre, strlen(pre));
    assert_non_null(row);
    assert_int_equal(loam__base_init(&b, NULL), LOAM_OK);
    assert_int_equal(loam__patterns_new(&b, row, &p), LOAM_OK);
    assert_int_equal(loam__patterns_split(p, &b, text, strlen(text), add_word, &w), LOAM_OK);
    assert_string_equal(w.out, want);
    loam__patterns_free(p);
}

static void test_pre__cuts_words_as_published(void **state)
{
    (void)state;
    check_words("gpt-2", "I'm 12  years\n old!?", "I|'m| 12| | years|\n| old|!?|");
    check_words("llama-bpe", "I'M 12345 \n\n x.y(", "I|'M| |123|45| \n\n| x|.y|(|");
    check_words("qwen2", "a1234 b", "a|1|2|3|4| b|");
    check_words("qwen35", "ก็ได้", "ก็ได้|");
    check_words("qwen2", "ก็ได้", "ก|็ได|้|");
    check_words("default", "a=b+12345", "a|=|b|+|123|45|");
    check_words("falcon", "x`1234", "x|`|123|4|");
    check_words("deepseek-coder", "a1b中\n", "a|1|b|中|\n|");
    check_words("deepseek-v3", "a_bc中1234", "a|_bc|中|123|4|");
    check_words("gpt-4o", "HelloWORLDs don't", "Hello|WORLDs| don't|");
    check_words("kimi-k2", "Hi中文 ab", "Hi|中文| ab|");
    check_words("tekken", "abC12", "ab|C|1|2|");
    check_words("bloom", "a, b.c", "a|,| b|.|c|");
    check_words("viking", "a12", "a|1|2|");
    check_words("superbpe", "x1234567 12", "x|1|234|567| |12|");
    check_words("superbpe", "a b\nc 1", "a b\nc |1|");
    check_words("tiny_aya", "1234567 1234a", "1|234|567| |123|4|a|");
    check_words("afmoe", "x1234\n\u0E01\u0E02 b", "x|1|234|\n|\u0E01\u0E02| b|");
    check_words("laguna", "a\n\n b1", "a|\n\n| b|1|");
    check_words("minicpm5", "a1234", "a|123|4|");
    check_words("youtu", "\uAC00\uAC01\u4E2D ab12", "\uAC00\uAC01|\u4E2D| ab|1|2|");
    check_words("exaone-moe", "ab c d1 e\n\n", "ab c d|1| e|\n\n|");
    check_words("jais-2", "a       b\n c", "a|    |  | b|\n| c|");
    check_words("chameleon", "IMGIMGAZ\t12!", "IMGIMGAZ|\t|1|2|!|");
    check_words("spark2_5", "x.y a-b\n\n 1234 中文ab!\n",
                "x|.y| a|-b|\n|\n| |1|2|3|4| |中文|ab|!|\n|");
    check_words("spark2_5", "a  b\r\n", "a| | b|\r|\n|");
    check_words("hy_v4", "x.y a-b\n\n 1234 中文ab!\n", "x|.y| a|-b|\n\n| |123|4| |中文|ab|!\n|");
    check_words("ufakzeka", "Ankara'da 12 I'm\n\n x", "Ankara|'da| |1|2| I|'m|\n\n| x|");
    check_words("k2-horizon", "ก็ได้ می\u200Cخواهم 12345 don't!\n",
                "ก็ได้| می\u200Cخواهم| |123|45| don|'t|!\n|");
    check_words("longcat", "I'm12 《中文》，ok。\n 「あ」",
                "I|'m|1|2| |《|中文|》|，|ok|。|\n| |「|あ|」|");
    check_words("longcat", "見る\u3000x", "見る|\u3000|x|");
    check_words("glm5", "a12345 b'll\n", "a|123|45| b|'ll|\n|");
    check_words("sophia", "a b\n\n12 c", "a b\n\n12 c|");
    check_words("deepseek-coder", "\u3000中文", "\u3000|中文|");
}

static void test_pre__white_space_is_unicodes(void **state)
{
    (void)state;
    check_words("gpt-2", "a\xC2\x85\u2003b", "a|\xC2\x85|\u2003|b|");
    check_words("gpt-2", "\u180E!", "\u180E!|"); /* no white space since Unicode 6.3 */
}

static void test_pre__unknown_names_are_none(void **state)
{
    (void)state;
    assert_null(loam__pre_find("", 0));
    assert_null(loam__pre_find("gpt-2 mpt", 9));
    assert_null(loam__pre_find("gpt", 3));
    assert_null(loam__pre_find("unheard-of", 10));
}

/* ---- special tokens ---- */

static void test_special__is_found_as_the_flags_say(void **state)
{
    fixture f;
    (void)state;
    open_bpe(&f, "gpt-2");
    check_tokens(&f, "x<|im_end|>y", LOAM_TOKENIZE_CONTROL, "x|<|im_end|>|y|");
    check_tokens(&f, "<|imx", LOAM_TOKENIZE_CONTROL, "<|im|x|");
    check_tokens(&f, "<|im_en", LOAM_TOKENIZE_CONTROL, "<|im|_|e|n|");
    check_tokens(&f, "<|im", 0, "<||i|m|");
    check_tokens(&f, "a\n\n\n\n\n", 0,
                 "a|\n\n\n|\n\n|"); /* user-defined: always, the longest first */
    check_tokens(&f, "</s>", LOAM_TOKENIZE_CONTROL,
                 "</s>|"); /* known by its spelling, ordinary in the file */
    check_tokens(&f, "gone", LOAM_TOKENIZE_CONTROL, "g|o|n|e|");
    close_vocab(&f);
}

static void test_special__typed_text_is_never_control(void **state)
{
    static const char text[] = "<|im_end|>\n\n<|im_end|>";
    uint8_t typed[sizeof text] = {0};
    fixture f;
    (void)state;
    open_bpe(&f, "gpt-2");
    typed[9] = 1; /* one byte of a token is enough; a shorter one in front of it stays */
    assert_string_equal(tokens_of(&f, text, strlen(text), typed, LOAM_TOKENIZE_CONTROL),
                        "<|im|_|e|n|d|||>|\n\n|<|im_end|>|");
    memset(typed, 1, sizeof typed);
    assert_string_equal(tokens_of(&f, text, strlen(text), typed, LOAM_TOKENIZE_CONTROL),
                        "<||i|m|_|e|n|d|||>|\n\n|<||i|m|_|e|n|d|||>|");
    check_prompts(&f);
    close_vocab(&f);
    open_spm(&f);
    check_prompts(&f);
    close_vocab(&f);
    memset(&f, 0, sizeof f);
    for (size_t i = 0; i < 2; i++) {
        put_gemma(&f.w, i ? "whitespace" : "gemma4");
        assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
        check_prompts(&f);
        close_vocab(&f);
    }
}

static void test_special__control_tokens_are_not_merged_from_text(void **state)
{
    static const char *const merges[] = {"< /", "</ s", "</s >"};
    static const token html = {"<|tool_response>", 0, CONTROL};
    fixture f;
    (void)state;
    open_spm(&f); /* "<" and "s>" would make "<s>" */
    check_tokens(&f, "<s>", 0, "▁|<|s>|");
    close_vocab(&f);
    put_bpe(&f.w, "sophia", merges, COUNT(merges), NULL, 0); /* known by its spelling */
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "</s>", 0, "</s|>|");
    check_tokens(&f, "</s>", LOAM_TOKENIZE_CONTROL, "</s>|");
    close_vocab(&f);
    put_bpe(&f.w, "sophia", merges, COUNT(merges), &html, 1); /* but with this it is a tag */
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "</s>", LOAM_TOKENIZE_CONTROL, "</s>|");
    check_tokens(&f, "</s>", 0, "</s>|");
    close_vocab(&f);
}

static void test_special__swallows_white_space_where_the_model_does(void **state)
{
    const token specials[] = {{"<|user|>", 0, CONTROL}, {"<s>", 0, CONTROL}};
    fixture f = {0};
    (void)state;
    put_bpe(&f.w, "gpt-2", bpe_merges, COUNT(bpe_merges), specials, 2);
    put_string(&f.w, "general.name", "A Phi-3 model");
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "a <|user|> \n b<s> c<|user|> ", LOAM_TOKENIZE_CONTROL,
                 "a|Ġ|<|user|>|b|<s>|Ġ|c|<|user|>|");
    close_vocab(&f);
    put_bpe(&f.w, "jina-v2-code", bpe_merges, COUNT(bpe_merges), (token[]){{"<mask>", 0, CONTROL}},
            1);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "a \n<mask> b", LOAM_TOKENIZE_CONTROL, "a|<mask>|Ġ|b|");
    close_vocab(&f);
}

static void test_ends__by_id_and_by_spelling(void **state)
{
    const token harmony[] = {
        {"<|end|>", 0, CONTROL}, {"<|return|>", 0, CONTROL}, {"<|call|>", 0, CONTROL}};
    const token solar[] = {{"<|end|>", 0, CONTROL},
                           {"<|calls|>", 0, CONTROL},
                           {"<|flush|>", 0, CONTROL},
                           {"[e~[", 0, CONTROL}};
    fixture f;
    (void)state;
    open_bpe(&f, "gpt-2");
    const loam_token first = 256 + COUNT(bpe_merges);
    assert_true(loam__vocab_is_end(f.v, first));
    assert_false(loam__vocab_is_end(f.v, first + 1));
    assert_true(loam__vocab_is_end(f.v, first + 4));
    assert_false(loam__vocab_is_end(f.v, -1));
    assert_false(loam__vocab_is_end(f.v, (loam_token)loam__vocab_size(f.v)));
    assert_int_equal(loam__vocab_bos(f.v), -1);
    close_vocab(&f);
    put_bpe(&f.w, "gpt-2", bpe_merges, COUNT(bpe_merges), harmony, 3);
    put_number(&f.w, "tokenizer.ggml.eos_token_id", 97);
    put_number(&f.w, "tokenizer.ggml.eot_token_id", 98);
    put_number(&f.w, "tokenizer.ggml.bos_token_id", 99999); /* no such token: a warning, and none */
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    assert_int_equal(loam__vocab_eos(f.v), 97);
    assert_int_equal(loam__vocab_bos(f.v), -1);
    assert_true(loam__vocab_is_end(f.v, 97) && loam__vocab_is_end(f.v, 98));
    assert_false(loam__vocab_is_end(f.v, first)); /* <|end|> only ends a message there */
    assert_true(loam__vocab_is_end(f.v, first + 1) && loam__vocab_is_end(f.v, first + 2));
    close_vocab(&f);
    put_bpe(&f.w, "gpt-2", bpe_merges, COUNT(bpe_merges), solar, COUNT(solar));
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    assert_false(loam__vocab_is_end(f.v, first));
    assert_true(loam__vocab_is_end(f.v, first + 1) && loam__vocab_is_end(f.v, first + 2));
    assert_true(loam__vocab_is_end(f.v, first + 3));
    close_vocab(&f);
}

static void test_bos__by_kind_and_file(void **state)
{
    const token bos[] = {{"<bos>", 0, CONTROL}};
    static const char *const pres[] = {"llama-bpe", "tekken", "gpt-2"};
    fixture f = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(pres); i++) {
        put_bpe(&f.w, pres[i], bpe_merges, 0, bos, 1);
        put_number(&f.w, "tokenizer.ggml.bos_token_id", 256);
        assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
        check_tokens(&f, "a", LOAM_TOKENIZE_SPECIAL, i < 2 ? "<bos>|a|" : "a|");
        check_tokens(&f, "<bos>a", LOAM_TOKENIZE_SPECIAL | LOAM_TOKENIZE_CONTROL,
                     i < 2 ? "<bos>|<bos>|a|" : "<bos>|a|"); /* two are two */
        close_vocab(&f);
    }
}

/* ---- tokens to text ---- */

/* The three passes of the decoder over the whole text, plainly. */
static void clean_plainly(char *text)
{
    char out[256];
    size_t n = 0;
    for (size_t i = 0; text[i]; i++) {
        if (i && text[i - 1] == ' ' && strchr("?!.,", text[i])) n--;
        out[n++] = text[i];
    }
    out[n] = 0;
    n = 0;
    for (size_t i = 0; out[i]; i++) {
        bool lone = out[i] == '\'' && i && out[i - 1] == ' ' && out[i + 1] == ' ';
        if (lone) n--;
        text[n++] = out[i];
        if (lone) out[++i] = '_'; /* used up */
    }
    text[n] = 0;
    n = 0;
    for (size_t i = 0; text[i]; i++) {
        bool joins = text[i] == '\'' && i && text[i - 1] == ' ' && text[i + 1] &&
                     (strchr("sm", text[i + 1]) ||
                      ((text[i + 1] == 'r' || text[i + 1] == 'v') && text[i + 2] == 'e'));
        if (joins) n--;
        out[n++] = text[i];
    }
    out[n] = 0;
    strcpy(text, out);
}

static void test_detokenize__cleans_spaces_like_three_passes(void **state)
{
    static const char chars[] = " '.sre vmtd ' x ,";
    fixture f;
    uint32_t random = 7;
    (void)state;
    open_bpe(&f, "gpt-2");
    for (size_t round = 0; round < 20000; round++) {
        char text[40];
        loam_token ids[40];
        size_t n = round % 24;
        for (size_t i = 0; i < n; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = chars[(random >> 16) % (sizeof chars - 1)];
            ids[i] = (uint8_t)text[i];
        }
        text[n] = 0;
        clean_plainly(text);
        assert_string_equal(text_of(&f, ids, n, 0), text);
    }
    close_vocab(&f);
    open_bpe(&f, "qwen2");
    assert_string_equal(text_of(&f, (loam_token[]){' ', '.', ' ', '\'', 's'}, 5, 0), " . 's");
    close_vocab(&f);
}

static void test_detokenize__leaves_out_what_is_asked(void **state)
{
    fixture f;
    const loam_token first = 256 + COUNT(bpe_merges);
    const loam_token ids[] = {'a', first, 'b', first + 6,
                              first + 5}; /* unused and empty tokens are silent */
    size_t n;
    char two[2];
    (void)state;
    open_bpe(&f, "qwen2");
    assert_string_equal(text_of(&f, ids, 5, 0), "a<|im_end|>b");
    assert_string_equal(text_of(&f, ids, 5, LOAM_DETOKENIZE_SKIP_CONTROL), "ab");
    loam__detokenize(f.v, ids, 5, 0, two, sizeof two, &n);
    assert_int_equal(n, 12);
    assert_memory_equal(two, "a<", 2);
    close_vocab(&f);
}

static void push(fixture *f, loam_stream *stream, loam_token id, const char *want)
{
    char out[64];
    size_t n, need;
    if (*want) { /* too small first: nothing changes */
        loam_stream before = *stream;
        assert_false(loam__stream_push(f->v, stream, id, out, strlen(want) - 1, &need));
        assert_int_equal(need, strlen(want));
        assert_memory_equal(&before, stream, sizeof before);
    }
    assert_true(loam__stream_push(f->v, stream, id, out, sizeof out, &n));
    assert_int_equal(n, strlen(want));
    assert_memory_equal(out, want, n);
}

static void test_stream__gives_whole_characters(void **state)
{
    loam_stream s = {.struct_size = sizeof s};
    fixture f;
    (void)state;
    open_bpe(&f, "gpt-2");
    push(&f, &s, 0xF0, "");
    push(&f, &s, 0x9F, "");
    push(&f, &s, 0x98, "");
    push(&f, &s, 0x80, "\U0001F600");
    push(&f, &s, 'a', "a");
    push(&f, &s, 0xE2, "");
    push(&f, &s, 'b', "\uFFFDb"); /* broken off by another character */
    push(&f, &s, 0x80, "\uFFFD");
    push(&f, &s, 0xE2, "");
    push(&f, &s, 0x82, "");
    push(&f, &s, 0xE2, "\uFFFD"); /* one for the two that began a character */
    push(&f, &s, 0x82, "");
    push(&f, &s, 0xAC, "\u20AC");
    push(&f, &s, 0xED, "");
    push(&f, &s, 0xA0, "\uFFFD\uFFFD"); /* surrogates are no characters */
    push(&f, &s, 0xC3, "");
    push(&f, &s, -1, "\uFFFD");
    push(&f, &s, -1, "");
    push(&f, &s, 256 + COUNT(bpe_merges), "<|im_end|>");
    s.flags = LOAM_DETOKENIZE_SKIP_CONTROL;
    push(&f, &s, 256 + COUNT(bpe_merges), "");
    s.n_held = 200; /* a caller's mistake */
    memset(s.held, 0xFF, sizeof s.held);
    push(&f, &s, -1, "\uFFFD\uFFFD\uFFFD");
    close_vocab(&f);
}

/* ---- sizes ---- */

static void test_tokenize__counts_beyond_the_capacity(void **state)
{
    fixture f;
    loam_token ids[3] = {-7, -7, -7};
    size_t n;
    (void)state;
    open_bpe(&f, "gpt-2");
    assert_int_equal(loam__tokenize(&f.b, f.v, "abcdef", 6, NULL, 0, ids, 2, &n), LOAM_OK);
    assert_int_equal(n, 6);
    assert_int_equal(ids[1], 'b');
    assert_int_equal(ids[2], -7);
    assert_int_equal(loam__tokenize(&f.b, f.v, "abcdef", 6, NULL, 0, NULL, 0, &n), LOAM_OK);
    assert_int_equal(n, 6);
    close_vocab(&f);
}

typedef struct letters {
    char s[16];
} letters;

/* Join the lowest and leftmost pair until there is none, looking at all of them each time. */
static size_t merge_plainly(const char *const *merges, size_t n_merges, letters *parts, size_t n)
{
    for (;;) {
        char both[40];
        size_t best = n_merges, at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            snprintf(both, sizeof both, "%.15s %.15s", parts[i].s, parts[i + 1].s);
            for (size_t m = 0; m < best; m++) {
                if (strcmp(both, merges[m]) != 0) continue;
                best = m;
                at = i;
            }
        }
        if (best == n_merges) return n;
        snprintf(both, sizeof both, "%.15s%.15s", parts[at].s, parts[at + 1].s);
        memcpy(parts[at].s, both, sizeof parts[at].s);
        memmove(&parts[at + 1], &parts[at + 2], (n - at - 2) * sizeof *parts);
        n--;
    }
}

static void test_bpe__long_words_merge_as_short_ones_do(void **state)
{
    static const char *const merges[] = {"a b",   "b a", "ab a",  "a a",  "ab ab",
                                         "aa ab", "b b", "aba b", "bb aa"};
    static letters parts[200];
    static char want[4096];
    fixture f = {0};
    uint32_t random = 3;
    (void)state;
    put_bpe(&f.w, "gpt-2", merges, COUNT(merges), NULL, 0);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    for (size_t n = 1; n < COUNT(parts); n++) {
        char text[COUNT(parts)];
        for (size_t i = 0; i < n; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = random >> 30 ? 'a' : 'b';
            parts[i] = (letters){{text[i], 0}};
        }
        size_t m = merge_plainly(merges, COUNT(merges), parts, n);
        want[0] = 0;
        for (size_t i = 0; i < m; i++) {
            strcat(want, parts[i].s);
            strcat(want, "|");
        }
        assert_string_equal(tokens_of(&f, text, n, NULL, 0), want);
    }
    close_vocab(&f);
}

static void test_tokenize__one_endless_word(void **state)
{
    static const char *const pres[] = {"gpt-2",      "llama-bpe", "deepseek-llm", "gpt-4o",
                                       "kimi-k2",    "superbpe",  "falcon",       "afmoe",
                                       "exaone-moe", "jais-2",    "tiny_aya",     "youtu",
                                       "sophia",     "longcat",   "spark2_5",     "k2-horizon"};
    static const char *const units[] = {"x", " ", "1",    "A",     "中", "\n ", "\xF0\x9F\x98\x80",
                                        "<", "'", "\xFF", "\n\n\n"};
    const size_t n = 300000;
    char *text = malloc(n + 1);
    fixture f;
    size_t count;
    (void)state;
    assert_non_null(text);
    for (size_t p = 0; p <= COUNT(pres); p++) {
        if (p < COUNT(pres)) open_bpe(&f, pres[p]);
        else open_spm(&f);
        for (size_t u = 0; u < COUNT(units); u++) {
            fill(text, n, units[u]);
            text[n] = '1'; /* behind spaces, where a search for their end starts again and again */
            assert_int_equal(loam__tokenize(&f.b, f.v, text, n + 1, NULL, LOAM_TOKENIZE_CONTROL,
                                            NULL, 0, &count),
                             LOAM_OK);
            assert_true(count > n / 8);
        }
        close_vocab(&f);
    }
    free(text);
}

/* ---- what is wrong ---- */

typedef struct log_lines {
    size_t n;
    char last[512];
} log_lines;

static void keep_line(void *ctx, int32_t level, const char *text)
{
    log_lines *log = ctx;
    assert_int_equal(level, LOAM_LOG_WARN);
    log->n++;
    snprintf(log->last, sizeof log->last, "%s", text);
}

/* A vocabulary's beginning: one token, and neither scores nor types. */
static void put_only_a(gguf_writer *w)
{
    put_string(w, "tokenizer.ggml.model", "llama");
    put_list(w, "tokenizer.ggml.tokens", LOAM_META_STRING, 1);
    put_text(w, "a", 1);
}

static void test_load__refuses_with_a_sentence(void **state)
{
    const token one[] = {{"a", 0, 0}};
    fixture f = {0};
    (void)state;
    put_string(&f.w, "general.name", "nothing");
    refuse(&f, "tokenizer.ggml.model");
    put_tokens(&f.w, "unheard-of", one, 1);
    refuse(&f, "'unheard-of'");
    put_only_a(&f.w);
    put_list(&f.w, "tokenizer.ggml.token_type", LOAM_META_F32, 1);
    put_u32(&f.w, 0);
    refuse(&f, "not a list of integers");
    put_only_a(&f.w);
    put_list(&f.w, "tokenizer.ggml.scores", LOAM_META_BOOL, 1);
    put(&f.w, "", 1);
    refuse(&f, "not a list of numbers");
    put_tokens(&f.w, "llama", one, 0);
    refuse(&f, "tokenizer.ggml.tokens");
    put_tokens(&f.w, "gpt2", one, 1);
    refuse(&f, "tokenizer.ggml.merges");
    put_only_a(&f.w);
    put_list(&f.w, "tokenizer.ggml.token_type", LOAM_META_U32, 2);
    put_u64(&f.w, 0);
    refuse(&f, "2 elements for 1 tokens");
    put_only_a(&f.w);
    refuse(&f, "tokenizer.ggml.scores");
    put_string(&f.w, "tokenizer.ggml.model", "llama");
    put_list(&f.w, "tokenizer.ggml.tokens", LOAM_META_U32, 1);
    put_u32(&f.w, 1);
    refuse(&f, "tokenizer.ggml.tokens");
}

static void test_load__warns_of_an_unknown_pre_tokenizer(void **state)
{
    log_lines log = {0};
    loam_hooks hooks;
    fixture f = {0};
    (void)state;
    loam_hooks_init(&hooks);
    hooks.log = keep_line;
    hooks.log_ctx = &log;
    put_bpe(&f.w, "unheard-of", bpe_merges, COUNT(bpe_merges), NULL, 0);
    assert_int_equal(open_vocab(&f, &hooks), LOAM_OK);
    assert_int_equal(log.n, 1);
    assert_non_null(strstr(log.last, "unheard-of"));
    check_tokens(&f, "1234", 0, "123|4|"); /* the default pattern */
    close_vocab(&f);
    put_bpe(&f.w, "default", bpe_merges, COUNT(bpe_merges), NULL, 0);
    assert_int_equal(open_vocab(&f, &hooks), LOAM_OK);
    assert_int_equal(log.n, 1);
    close_vocab(&f);
}

static void test_load__takes_odd_merges_and_twins(void **state)
{
    static const char *const odd[] = {"a b", "no token", "x", " ", "a  b", "l l", "l l", "日 本"};
    const token twins[] = {{"tw", 0, 0}, {"tw", 0, 0}, {"日本", 0, 0}};
    fixture f = {0};
    (void)state;
    put_bpe(&f.w, "gpt-2", odd, 1, twins, 3);
    put_list(&f.w, "tokenizer.ggml.unknown_list", LOAM_META_STRING, 0);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "tw ab 日", 0, "t|w|Ġ|ab|Ġ|æ|Ĺ|¥|");
    close_vocab(&f);
    put_tokens(&f.w, "gpt2", twins, 3);
    put_list(&f.w, "tokenizer.ggml.merges", LOAM_META_STRING, COUNT(odd));
    for (size_t i = 0; i < COUNT(odd); i++)
        put_text(&f.w, odd[i], strlen(odd[i]));
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "any text", 0, ""); /* no byte has a token */
    close_vocab(&f);
}

static void test_load__known_spellings_need_no_more_room_than_there_is(void **state)
{
    static token tokens[512];
    loam_token id;
    size_t n;
    fixture f = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(tokens); i++)
        tokens[i] = (token){i < 256 ? "</s>" : "<|end|>", 0, 0};
    put_tokens(&f.w, "llama", tokens, COUNT(tokens));
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    assert_int_equal(loam__tokenize(&f.b, f.v, "</s>", 4, NULL, LOAM_TOKENIZE_CONTROL, &id, 1, &n),
                     LOAM_OK);
    assert_int_equal(n, 1);
    for (loam_token i = 0; i < (loam_token)COUNT(tokens); i++)
        assert_true(loam__vocab_is_end(f.v, i));
    close_vocab(&f);
}

static void test_load__leaves_endless_merges_out(void **state)
{
    static char merge[5000];
    fixture f = {0};
    (void)state;
    memset(merge, 'a', sizeof merge);
    merge[2500] = ' ';
    put_tokens(&f.w, "gpt2", (token[]){{"a", 0, 0}, {"aa", 0, 0}}, 2);
    put_list(&f.w, "tokenizer.ggml.merges", LOAM_META_STRING, 2);
    put_text(&f.w, merge, sizeof merge);
    put_text(&f.w, "a a", 3);
    assert_int_equal(open_vocab(&f, NULL), LOAM_OK);
    check_tokens(&f, "aaa", 0, "aa|a|");
    close_vocab(&f);
}

static void test_load__survives_every_failed_allocation(void **state)
{
    fixture f = {0};
    (void)state;
    put_bpe(&f.w, "deepseek-llm", bpe_merges, COUNT(bpe_merges), bpe_specials, COUNT(bpe_specials));
    check_faults(&f, 20);
    memset(&f, 0, sizeof f);
    put_tokens(&f.w, "llama", spm_tokens, COUNT(spm_tokens));
    check_faults(&f, 12);
    memset(&f, 0, sizeof f);
    put_gemma(&f.w, "gemma4");
    check_faults(&f, 12);
}

/* ---- reference data: whole vocabularies with the tokens that other programs give ---- */

typedef struct bytes {
    uint8_t *p;
    size_t n;
} bytes;

static bytes unbase64(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes out = {malloc(strlen(text) + 1), 0};
    uint32_t bits = 0, have = 0;
    for (; *text && *text != '='; text++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, *text) - digits);
        if ((have += 6) < 8) continue;
        have -= 8;
        out.p[out.n++] = (uint8_t)(bits >> have);
    }
    return out;
}

static bool same_ids(const json_t *want, const loam_token *ids, size_t n)
{
    if (!want || json_array_size(want) != n) return false;
    for (size_t i = 0; i < n; i++)
        if (json_integer_value(json_array_get(want, i)) != ids[i]) return false;
    return true;
}

static bool same_bytes(const json_t *want, const char *p, size_t n)
{
    bytes b = unbase64(json_string_value(want));
    bool same = b.n == n && (n == 0 || memcmp(b.p, p, n) == 0);
    free(b.p);
    return same;
}

/* Whether one row agrees; why not is printed. */
static bool check_row(loam__base *b, const loam__vocab *v, const json_t *row, size_t line)
{
    const json_t *text = json_object_get(row, "text"), *ids = json_object_get(row, "ids");
    const json_t *pieces = json_object_get(row, "pieces");
    static loam_token tokens[32768], want[32768];
    static char detok[65536];
    size_t n = 0, m = json_array_size(ids), n_detok = 0;
    uint32_t flags = 0;
    if (json_is_true(json_object_get(row, "add_special"))) flags |= LOAM_TOKENIZE_SPECIAL;
    if (json_is_true(json_object_get(row, "parse_special"))) flags |= LOAM_TOKENIZE_CONTROL;
    assert_true(m <= COUNT(want));
    loam_status st = loam__tokenize(b, v, json_string_value(text), json_string_length(text), NULL,
                                    flags, tokens, COUNT(tokens), &n);
    if (st != LOAM_OK ||
        (!same_ids(ids, tokens, n) && !same_ids(json_object_get(row, "hf_ids"), tokens, n))) {
        print_error("line %zu flags %u: ids differ: %.200s\n  ", line, (unsigned)flags,
                    json_string_value(text));
        for (size_t i = 0; i < n && i < 40; i++)
            print_error("%d ", (int)tokens[i]);
        print_error("\n  ");
        for (size_t i = 0; i < m && i < 40; i++)
            print_error("%d ", (int)json_integer_value(json_array_get(ids, i)));
        print_error("\n");
        return false;
    }
    for (size_t i = 0; i < m; i++) {
        size_t n_piece;
        want[i] = (loam_token)json_integer_value(json_array_get(ids, i));
        const char *piece = loam__token_bytes(v, want[i], 0, &n_piece);
        if (same_bytes(json_array_get(pieces, i), piece, n_piece)) continue;
        print_error("line %zu: the bytes of token %d differ: '%.*s'\n", line, (int)want[i],
                    (int)n_piece, piece);
        return false;
    }
    loam__detokenize(v, want, m, 0, detok, sizeof detok, &n_detok);
    if (n_detok <= sizeof detok && same_bytes(json_object_get(row, "detok"), detok, n_detok))
        return true;
    print_error("line %zu: the text differs: '%.*s'\n", line, (int)n_detok, detok);
    return false;
}

static void check_golden(const char *gguf, const char *rows)
{
    loam__base b;
    loam__gguf *g;
    loam__vocab *v;
    char *line = NULL;
    size_t capacity = 0, n = 0, bad = 0;
    ssize_t got;
    FILE *file = fopen(rows, "rb");
    assert_non_null(file);
    assert_int_equal(loam__base_init(&b, NULL), LOAM_OK);
    assert_int_equal(loam__gguf_open(&b, gguf, &g), LOAM_OK);
    assert_int_equal(new_vocab(&b, g, &v), LOAM_OK);
    while ((got = getline(&line, &capacity, file)) > 0) {
        json_error_t error;
        json_t *row = json_loadb(line, (size_t)got, JSON_ALLOW_NUL, &error);
        assert_non_null(row);
        bad += !check_row(&b, v, row, ++n);
        json_decref(row);
    }
    free(line);
    fclose(file);
    loam__vocab_free(v);
    loam__gguf_close(g);
    if (bad) print_error("%s: %zu of %zu rows differ\n", gguf, bad, n);
    assert_int_equal(bad, 0);
    assert_true(n > 300);
}

static bool exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}

static void test_golden__ids_pieces_and_text(void **state)
{
    const char *name = *state;
    char gguf[512], command[2048], rows[512];
    snprintf(rows, sizeof rows, SHARED("tokenizer/%s.jsonl"), name);
    snprintf(gguf, sizeof gguf, SHARED("tokenizer/vocab/%s.gguf"), name);
    if (!exists(rows)) skip();
    if (!exists(gguf)) {
        snprintf(gguf, sizeof gguf, LOAM_TEST_TMP "/%s.gguf", name);
        snprintf(command, sizeof command,
                 "gzip -dc '" SHARED("tokenizer/vocab/%s.gguf.gz") "' > '%s'", name, gguf);
        if (!exists(gguf)) assert_int_equal(system(command), 0);
    }
    check_golden(gguf, rows);
}

/* The rows inside the small models, for the kinds that are read. */
static bool check_tiny(const char *name)
{
    char path[512];
    loam__base b;
    loam__gguf *g = NULL;
    loam__vocab *v = NULL;
    json_error_t error;
    size_t r;
    json_t *row;
    snprintf(path, sizeof path, SHARED("models/tiny/%s.gguf"), name);
    assert_int_equal(loam__base_init(&b, NULL), LOAM_OK);
    assert_int_equal(loam__gguf_open(&b, path, &g), LOAM_OK);
    snprintf(path, sizeof path, SHARED("models/tiny/%s.json"), name);
    json_t *file = json_load_file(path, 0, &error);
    json_t *rows = json_object_get(file, "tokenize");
    loam_status st = rows ? new_vocab(&b, g, &v) : LOAM_ERR_TOKENIZER;
    assert_true(st == LOAM_OK || st == LOAM_ERR_TOKENIZER);
    if (st == LOAM_OK) json_array_foreach(rows, r, row)
        {
            const json_t *text = json_object_get(row, "text");
            loam_token ids[512];
            size_t n;
            for (uint32_t flags = 0; flags < 2; flags++) {
                assert_int_equal(loam__tokenize(&b, v, json_string_value(text),
                                                json_string_length(text), NULL, flags, ids,
                                                COUNT(ids), &n),
                                 LOAM_OK);
                if (same_ids(json_object_get(row, flags ? "ids_with_special" : "ids_plain"), ids,
                             n))
                    continue;
                fail_msg("%s: row %zu, flags %u", name, r, (unsigned)flags);
            }
        }
    json_decref(file);
    loam__vocab_free(v);
    loam__gguf_close(g);
    return st == LOAM_OK;
}

static void test_golden__small_models(void **state)
{
    size_t n = 0;
    DIR *folder = opendir(SHARED("models/tiny"));
    (void)state;
    if (!folder) skip();
    for (struct dirent *entry; (entry = readdir(folder));) {
        char *dot = strstr(entry->d_name, ".json");
        if (!dot) continue;
        *dot = 0;
        n += check_tiny(entry->d_name);
    }
    closedir(folder);
    assert_true(n > 40);
}

#define GOLDEN(name)                                                                               \
    {                                                                                              \
        "test_golden__" name, test_golden__ids_pieces_and_text, NULL, NULL,                        \
            (void *)(uintptr_t)name                                                                \
    }

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_spm__joins_the_highest_score_and_then_the_leftmost),
    cmocka_unit_test(test_spm__joins_over_a_space_where_a_token_does),
    cmocka_unit_test(test_spm__falls_back_to_bytes_and_then_to_unknown),
    cmocka_unit_test(test_spm__puts_a_space_at_the_start_and_behind_special_tokens),
    cmocka_unit_test(test_bpe__joins_in_the_order_of_the_merges),
    cmocka_unit_test(test_bpe__whole_words_come_before_merges),
    cmocka_unit_test(test_bpe__gives_every_byte_back),
    cmocka_unit_test(test_bpe__over_characters),
    cmocka_unit_test(test_bpe__over_words_without_spaces),
    cmocka_unit_test(test_pre__cuts_words_as_published),
    cmocka_unit_test(test_pre__white_space_is_unicodes),
    cmocka_unit_test(test_pre__unknown_names_are_none),
    cmocka_unit_test(test_special__is_found_as_the_flags_say),
    cmocka_unit_test(test_special__typed_text_is_never_control),
    cmocka_unit_test(test_special__control_tokens_are_not_merged_from_text),
    cmocka_unit_test(test_special__swallows_white_space_where_the_model_does),
    cmocka_unit_test(test_ends__by_id_and_by_spelling),
    cmocka_unit_test(test_bos__by_kind_and_file),
    cmocka_unit_test(test_detokenize__cleans_spaces_like_three_passes),
    cmocka_unit_test(test_detokenize__leaves_out_what_is_asked),
    cmocka_unit_test(test_stream__gives_whole_characters),
    cmocka_unit_test(test_tokenize__counts_beyond_the_capacity),
    cmocka_unit_test(test_bpe__long_words_merge_as_short_ones_do),
    cmocka_unit_test(test_tokenize__one_endless_word),
    cmocka_unit_test(test_load__refuses_with_a_sentence),
    cmocka_unit_test(test_load__warns_of_an_unknown_pre_tokenizer),
    cmocka_unit_test(test_load__takes_odd_merges_and_twins),
    cmocka_unit_test(test_load__known_spellings_need_no_more_room_than_there_is),
    cmocka_unit_test(test_load__leaves_endless_merges_out),
    cmocka_unit_test(test_load__survives_every_failed_allocation),
    cmocka_unit_test(test_golden__small_models),
    GOLDEN("llama-spm"),
    GOLDEN("phi-3"),
    GOLDEN("gemma-3-270m"),
    GOLDEN("baichuan"),
    GOLDEN("llama-bpe"),
    GOLDEN("gpt-2"),
    GOLDEN("qwen2"),
    GOLDEN("deepseek-llm"),
    GOLDEN("falcon"),
    GOLDEN("starcoder"),
    GOLDEN("smollm2-135m"),
    GOLDEN("bert-bge"),
    GOLDEN("nomic-bert-moe"),
};

RUN(tests)
