/* The pre-tokenizers that GGUF files name, as their models' tokenizer.json or source states the
 * patterns. */
#include <string.h>

#include "pre.h"

/* clang-format off */

/* Unicode's White_Space, inside a class. PCRE2's \s also takes U+180E, which no longer is one. */
#define SPACE                                                                                      \
    "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}"       \
    "\\x{3000}"
#define S "[" SPACE "]"

/* Script=Han, inside a class. PCRE2's \p{Han} changed its meaning to the script extensions
 * in 10.40. */
#define HAN                                                                                        \
    "\\x{2E80}-\\x{2E99}\\x{2E9B}-\\x{2EF3}\\x{2F00}-\\x{2FD5}\\x{3005}\\x{3007}"                  \
    "\\x{3021}-\\x{3029}\\x{3038}-\\x{303B}\\x{3400}-\\x{4DBF}\\x{4E00}-\\x{9FFF}"                 \
    "\\x{F900}-\\x{FA6D}\\x{FA70}-\\x{FAD9}\\x{16FE2}\\x{16FE3}\\x{16FF0}\\x{16FF1}"               \
    "\\x{20000}-\\x{2A6DF}\\x{2A700}-\\x{2B739}\\x{2B740}-\\x{2B81D}\\x{2B820}-\\x{2CEA1}"         \
    "\\x{2CEB0}-\\x{2EBE0}\\x{2F800}-\\x{2FA1D}\\x{30000}-\\x{3134A}\\x{31350}-\\x{323AF}"

/* ---- what many patterns have in common ---- */

#define ENGLISH          "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"
#define LINES_AND_SPACES S "*[\\r\\n]+|" S "+(?![^" SPACE "])|" S "+"

#define GPT2                                                                                       \
    "'(?:[stmd]|re|ve|ll)| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE "\\p{L}\\p{N}]+|" S "+(?![^" SPACE       \
    "])|" S "+"

/* letter: what words consist of; digits: how many stay together */
#define WORDS(letter, digits)                                                                      \
    "[^\\r\\n\\p{L}\\p{N}]?" letter "+|\\p{N}" digits "| ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n]*"
#define GPT4_WORDS(digits) ENGLISH "|" WORDS("\\p{L}", digits)
#define GPT4(digits)       GPT4_WORDS(digits) "|" LINES_AND_SPACES

/* A word of o200k and its kin: an upper-case part and a lower-case part, of which one may be empty.
 */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(upper, lower, suffix)                                                                \
    "[^\\r\\n\\p{L}\\p{N}]?" upper "*" lower "+" suffix "|[^\\r\\n\\p{L}\\p{N}]?" upper "+" lower  \
    "*" suffix

/* digits: how many stay together */
#define GPT4O(digits)                                                                              \
    CASED(UPPER, LOWER, "(?:" ENGLISH ")?") "|\\p{N}" digits "| ?[^" SPACE                         \
                                            "\\p{L}\\p{N}]+[\\r\\n/]*|" LINES_AND_SPACES

/* The same letters without Han ones, as what is left when all else is taken away. */
#define UPPER_NOT_HAN "[^\\p{Ll}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}" HAN "]"
#define LOWER_NOT_HAN "[^\\p{Lu}\\p{Lt}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}" HAN "]"

#define BLOOM_MARKS   "|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C}"
#define BLOOM         " ?[^(" SPACE BLOOM_MARKS ")]+"

/* What consists of digits alone, in groups of three that are counted from the right. */
#define THREES        "(?s)^\\d*+\\D.*+|^\\d{1,2}(?=(?:\\d{3})++$)|\\d{3}"

/* Scripts without spaces between words, as AFMoE's tokenizer lists their blocks. */
#define ASIAN                                                                                      \
    "[\\x{4E00}-\\x{9FFF}\\x{3400}-\\x{4DBF}\\x{F900}-\\x{FAFF}\\x{3040}-\\x{30FF}"                \
    "\\x{FF65}-\\x{FF9F}\\x{2F00}-\\x{2FDF}\\x{E00}-\\x{EFF}\\x{1780}-\\x{17FF}"                   \
    "\\x{1000}-\\x{109F}\\x{AA60}-\\x{AA7F}\\x{A9E0}-\\x{A9FF}\\x{AC00}-\\x{D7AF}"                 \
    "\\x{1100}-\\x{11FF}]+"

/* U+3000 and its like are white space, though they lie in the published class. */
#define CJK                                                                                        \
    "[\\x{800}-\\x{167F}\\x{1681}-\\x{1FFF}\\x{200B}-\\x{2027}\\x{202A}-\\x{202E}"                 \
    "\\x{2030}-\\x{205E}\\x{2060}-\\x{2FFF}\\x{3001}-\\x{9FA5}\\x{AC00}-\\x{D7FF}]+"
#define CJK_KANA      "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{30FF}]+"

/* Letters that have case, as DeepSeek's tokenizer lists them. */
#define CASED_LETTERS                                                                              \
    "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}"         \
    "-\\x{293}"                                                                                    \
    "\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}\\x{386}"          \
    "\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}"                 \
    "\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}"  \
    "\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}"                 \
    "\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}"                 \
    "\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}"         \
    "\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}"        \
    "\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}"                 \
    "\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}"         \
    "\\x{2124}\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}"          \
    "-\\x{213F}"                                                                                   \
    "\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}"         \
    "\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}"                  \
    "\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}"                 \
    "\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}"                 \
    "\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}"         \
    "\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}"

/* DeepSeek V3's words: one ASCII punctuation mark with letters behind it, letters and marks,
 * punctuation and symbols. */
#define DEEPSEEK3_WORDS                                                                            \
    "[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+"
#define DEEPSEEK3 DEEPSEEK3_WORDS "[\\r\\n]*|" LINES_AND_SPACES

#define CLEAN LOAM__PRE_CLEAN_SPACES
#define WHOLE LOAM__PRE_WHOLE_WORDS
#define BOS   LOAM__PRE_ADD_BOS
#define CHARS LOAM__PRE_CHARACTERS

/* clang-format on */

static const loam__pre table[] = {
    {" default ", CLEAN, {"[\\p{P}$+<=>^~|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {" llama-bpe llama3 llama-v3 falcon3 falcon_e falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano ",
     CLEAN | WHOLE | BOS,
     {GPT4("{1,3}")}},
    {" dbrx smaug-bpe chatglm-bpe ", CLEAN, {GPT4("{1,3}")}},
    {" glm4 glm5 ", CLEAN | WHOLE, {GPT4("{1,3}")}},
    {" gpt-2 phi-2 mpt olmo jais jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code "
     "gigachat roberta-bpe exaone4 a.x-4.0 mellum modern-bert ",
     CLEAN,
     {GPT2}},
    {" trillion granite-docling ", 0, {GPT2}},
    {" qwen2 deepseek-r1-qwen hunyuan grok-2 kormo solar-open f2llmv2 ", 0, {GPT4("")}},
    {" stablelm2 megrez ", CLEAN, {GPT4("")}},
    {" ufakzeka ", 0, {WORDS("\\p{L}", "") "|" LINES_AND_SPACES}},
    {" k2-horizon ",
     0,
     {ENGLISH "|" WORDS("[\\p{L}\\p{M}\\x{200C}\\x{200D}]", "{1,3}") "|" LINES_AND_SPACES}},
    {" longcat ",
     0,
     {GPT4(""),
      " ?[\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}\\x{300A}"
      "-\\x{300D}\\x{3010}\\x{3011}]+",
      CJK}},
    {" qwen35 ",
     0,
     {ENGLISH "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^" SPACE
              "\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" LINES_AND_SPACES}},
    {" deepseek-llm ",
     0,
     {"[\\r\\n]", S "?[" CASED_LETTERS "]+",
      /* U+3000 is white space here, though the published class starts with it */
      S "?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3001}\\x{3002}]+",
      "(?<!" S ")" S "++$", CJK, "\\p{N}+"}},
    {" deepseek-coder ", 0, {"[\\r\\n]", S "?\\p{L}+", S "?\\p{P}+", CJK, "\\p{N}"}},
    {" deepseek-v3 hunyuan-dense joyai-llm hy_v4 ", 0, {"\\p{N}{1,3}", CJK_KANA, DEEPSEEK3}},
    {" spark2_5 ",
     0,
     {"\\p{N}{1,3}", CJK_KANA, DEEPSEEK3_WORDS "|[\\r\\n]|" S "+(?![^" SPACE "])|" S "+",
      "\\p{N}"}},
    {" falcon ", CLEAN, {"[\\p{P}$+<=>^~|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {" starcoder refact codeshell exaone minerva-7b mellum2 ", CLEAN, {"\\p{N}", GPT2}},
    {" command-r smollm ", 0, {"\\p{N}", GPT2}},
    {" bloom gpt3-finnish ", CLEAN, {BLOOM}},
    {" poro-chat ", 0, {BLOOM}},
    {" viking ", 0, {BLOOM, "\\p{N}"}},
    {" tekken ",
     WHOLE | BOS,
     {CASED(UPPER, LOWER, "") "|\\p{N}| ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n/]*|" LINES_AND_SPACES}},
    {" gpt-4o llama4 kanana2 minimax-m2 talkie ", 0, {GPT4O("{1,3}")}},
    {" granite-embed-multi-97m ", WHOLE, {GPT4O("{1,3}")}},
    {" tiny_aya cohere2moe ", 0, {"(?<!\\d)\\d++\\b", THREES, GPT4O("{1,3}")}},
    {" youtu ",
     WHOLE,
     {"[\\x{AC00}-\\x{D7A3}\\x{3131}-\\x{318E}]+|[\\x{FF01}\\x{2026}\\x{201C}\\x{201D}\\x{2018}"
      "\\x{2019}\\x{2014}\\x{FF1A}\\x{FF1B}\\x{FF0C}\\x{3001}-\\x{303F}\\x{FE30}-\\x{FE4F}]+|"
      "[\\x{3105}-\\x{312F}]+|" CJK_KANA,
      GPT4O("")}},
    {" kimi-k2 ",
     0,
     {"[" HAN "]+|" CASED(UPPER_NOT_HAN, LOWER_NOT_HAN,
                          "(?:" ENGLISH ")?") "|\\p{N}{1,3}| ?[^" SPACE
                                              "\\p{L}\\p{N}]+[\\r\\n]*|" LINES_AND_SPACES}},
    {" gemma4 ", CLEAN | BOS | CHARS, {"\\n+"}},
    {" granite-embed-multi-311m ", CLEAN | CHARS, {"\\n+"}},
    {" sarvam-moe ", CHARS, {"\\n+"}},
    {" mmbert ", CHARS | LOAM__PRE_LINE_SPACES, {"\\n+", "\\x{2581}[^\\x{2581}]*"}},
    {" whitespace ", CLEAN | CHARS | LOAM__PRE_NO_SPACES, {" +"}},
    {" sophia ", 0, {NULL}}, /* the text is one word */
    {" chameleon ",
     BOS,
     {"<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", "[\\t\\n]|    |  ", "\\p{N}",
      "[\\p{P}!-/:-@\\[-`{-~]", GPT2}},
    {" bailingmoe bailingmoe2 llada-moe ",
     0,
     {ENGLISH "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n]*|" S
              "*[\\r\\n]|" S "+(?![^" SPACE "])|" S "+"}},
    {" seed-coder ",
     0,
     {ENGLISH "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^" SPACE
              "\\p{L}\\p{N}\\r\\n]+|" LINES_AND_SPACES}},
    {" superbpe ", 0, {"\\p{N}+", THREES}},
    {" afmoe ", 0, {"\\d+", THREES, ASIAN, DEEPSEEK3}},
    {" laguna ", 0, {"\\n+", GPT4("")}},
    {" minicpm5 ", CLEAN | WHOLE, {"\\p{N}{1,3}", GPT4("+")}},
    /* letters with single spaces between them stay together */
    {" exaone-moe ",
     CLEAN,
     {ENGLISH "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++|\\p{N}| ?[^" SPACE
              "\\p{L}\\p{N}]+[\\r\\n/]?|" S "*[\\r\\n]|" S "+(?![^" SPACE "])|" S "+"}},
    /* spaces by powers of two; the line ends behind at most 4096, which keeps it linear */
    {" jais-2 ",
     CLEAN,
     {GPT4_WORDS("{1,3}") "|" S "{0,4096}[\\r\\n]+|(?:" S "{512}|" S "{256}|" S "{128}|" S "{64}|" S
                          "{32}|" S "{16}|" S "{8}|" S "{4}|" S "{1,2})(?![^" SPACE "])|" S}},
};

const loam__pre *loam__pre_default(void)
{
    return &table[0];
}

const loam__pre *loam__pre_find(const char *name, size_t n)
{
    if (n == 0 || memchr(name, ' ', n)) return NULL;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *at = table[i].names;
        for (size_t left = strlen(at); left >= n + 2; at++, left--)
            if (at[0] == ' ' && at[n + 1] == ' ' && memcmp(at + 1, name, n) == 0) return &table[i];
    }
    return NULL;
}
