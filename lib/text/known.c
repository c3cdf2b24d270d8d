/* What vocabularies leave unsaid in the file and is known by the spelling of a token or the name of
 * a model. */
#include <string.h>

#include "vocab.h"

enum { ENDS = 1, CONTROLS = 2 };

/* Tokens that models end a text or a turn with, or that frame code to fill in. Files often list
 * them as ordinary tokens; they are control tokens whatever the file says. */
static const struct {
    const char *text;
    uint8_t what;
} spellings[] = {
    {"</s>", ENDS},
    {"<eos>", ENDS},
    {"<EOT>", ENDS},
    {"_<EOT>", ENDS},
    {"[EOS]", ENDS},
    {"[EOT]", ENDS},
    {"<|endoftext|>", ENDS},
    {"<|end_of_text|>", ENDS},
    {"<|eot_id|>", ENDS},
    {"<|eom_id|>", ENDS},
    {"<|im_end|>", ENDS},
    {"<|end|>", ENDS},
    {"<|return|>", ENDS},
    {"<|call|>", ENDS},
    {"<|calls|>", ENDS},
    {"<|flush|>", ENDS},
    {"<turn|>", ENDS},
    {"<|tool_response>", ENDS},
    {"<end_of_turn>", ENDS},
    {"<end_of_utterance>", ENDS},
    {"[e~[", ENDS},
    {"<｜end▁of▁sentence｜>", ENDS},
    {"<|fim_pad|>", ENDS},
    {"<fim-pad>", ENDS},
    {"<fim_pad>", ENDS},
    {"<PAD>", ENDS},
    {"[PAD]", ENDS},
    {"<|fim_repo|>", ENDS},
    {"<|repo_name|>", ENDS},
    {"<fim-repo>", ENDS},
    {"<REPO>", ENDS},
    {"<reponame>", ENDS},
    {"<|file_sep|>", ENDS},
    {"<|fim_prefix|>", CONTROLS},
    {"<fim-prefix>", CONTROLS},
    {"<fim_prefix>", CONTROLS},
    {"<｜fim▁begin｜>", CONTROLS},
    {"<PRE>", CONTROLS},
    {"▁<PRE>", CONTROLS},
    {"<|code_prefix|>", CONTROLS},
    {"<|prefix|>", CONTROLS},
    {"<|plamo:fim_prefix|>", CONTROLS},
    {"<|fim_suffix|>", CONTROLS},
    {"<fim-suffix>", CONTROLS},
    {"<fim_suffix>", CONTROLS},
    {"<｜fim▁hole｜>", CONTROLS},
    {"<SUF>", CONTROLS},
    {"▁<SUF>", CONTROLS},
    {"<|code_suffix|>", CONTROLS},
    {"<|suffix|>", CONTROLS},
    {"<|plamo:fim_suffix|>", CONTROLS},
    {"<|fim_middle|>", CONTROLS},
    {"<fim-middle>", CONTROLS},
    {"<fim_middle>", CONTROLS},
    {"<｜fim▁end｜>", CONTROLS},
    {"<MID>", CONTROLS},
    {"▁<MID>", CONTROLS},
    {"<|code_middle|>", CONTROLS},
    {"<|middle|>", CONTROLS},
    {"<|plamo:fim_middle|>", CONTROLS},
};

/* White space that a token swallows. A row holds for files whose text under key contains part;
 * token NULL: every special token of the file. Later rows overrule earlier ones. */
static const struct {
    const char *key, *part, *token;
    uint8_t strip;
} strips[] = {
    {"tokenizer.ggml.pre", "jina-v2-de", "<mask>", LOAM__TOKEN_STRIP_LEFT},
    {"tokenizer.ggml.pre", "jina-v2-es", "<mask>", LOAM__TOKEN_STRIP_LEFT},
    {"tokenizer.ggml.pre", "jina-v2-code", "<mask>", LOAM__TOKEN_STRIP_LEFT},
    {"general.architecture", "nomic-bert-moe", "<mask>", LOAM__TOKEN_STRIP_LEFT},
    {"general.architecture", "jina-bert-v3", "<mask>", LOAM__TOKEN_STRIP_LEFT},
    {"general.name", "modern-bert", "[MASK]", LOAM__TOKEN_STRIP_LEFT},
    {"general.name", "phi-3", NULL, LOAM__TOKEN_STRIP_RIGHT},
    {"general.name", "phi3", NULL, LOAM__TOKEN_STRIP_RIGHT},
    {"general.name", "phi-3", "<unk>", 0},
    {"general.name", "phi3", "<unk>", 0},
    {"general.name", "phi-3", "<s>", 0},
    {"general.name", "phi3", "<s>", 0},
    {"general.name", "phi-3", "<|endoftext|>", 0},
    {"general.name", "phi3", "<|endoftext|>", 0},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool spelled(loam__key key, const char *text)
{
    return key.n == strlen(text) && memcmp(key.p, text, key.n) == 0;
}

/* Whether it begins and ends as the known ones do. */
static bool may_be_known(loam__key key)
{
    return key.n >= 4 && key.n <= 32 && memchr(">][", key.p[key.n - 1], 3) &&
           memchr("<[_\xE2", key.p[0], 4);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether a text entry of the file contains part, which is in lower case; false also if there is
 * none. */
static bool entry_contains(const loam__vocab *v, const char *key, const char *part)
{
    const char *text;
    size_t n, m = strlen(part);
    int64_t entry = loam__single(v->gguf, key);
    if (entry < 0 || loam__gguf_string(v->gguf, (size_t)entry, 0, &text, &n) != LOAM_OK)
        return false;
    for (size_t i = 0; i + m <= n; i++) {
        size_t same = 0;
        while (same < m && lower(text[i + same]) == part[same])
            same++;
        if (same == m) return true;
    }
    return false;
}

static void apply_strips(loam__vocab *v)
{
    const uint8_t both = LOAM__TOKEN_STRIP_LEFT | LOAM__TOKEN_STRIP_RIGHT;
    for (size_t r = 0; r < COUNT(strips); r++) {
        if (!entry_contains(v, strips[r].key, strips[r].part)) continue;
        for (uint32_t i = 0; i < v->n; i++) {
            loam__token_info *t = &v->tokens[i];
            if (!loam__is_special(t->type)) continue;
            if (strips[r].token && !spelled(v->keys[i], strips[r].token)) continue;
            t->flags = (uint8_t)((t->flags & ~both) | strips[r].strip);
        }
    }
}

/* Tokens that tell which of the others end a generation. */
typedef struct hints {
    uint32_t end, text_end; /* the ids of <|end|> and </s> */
    bool has_call, has_return, has_tag;
} hints;

static void note_hint(hints *h, loam__key key, uint32_t id)
{
    if (spelled(key, "<|end|>")) h->end = id;
    if (spelled(key, "</s>")) h->text_end = id;
    h->has_call |= spelled(key, "<|call|>") || spelled(key, "<|calls|>");
    h->has_return |= spelled(key, "<|return|>") || spelled(key, "<|flush|>");
    h->has_tag |= spelled(key, "<|tool_response>");
}

/* OpenAI's harmony format writes <|end|> between the messages of one answer, which <|return|> or
 * <|call|> ends; Solar does the like. Gemma 4 has </s> as a tag of HTML. */
static void spare_inner_ends(loam__vocab *v, const hints *h)
{
    if (h->end != LOAM__NO_ID && h->has_call && h->has_return)
        v->tokens[h->end].flags &= (uint8_t)~LOAM__TOKEN_END;
    if (h->text_end == LOAM__NO_ID || !h->has_tag) return;
    v->tokens[h->text_end].flags = LOAM__TOKEN_MERGED;
    v->tokens[h->text_end].type = LOAM__TOKEN_NORMAL;
}

/* A token of a known spelling, which ordinary text does not become any more; room: how many more
 * may become special. Only a file that spells several tokens alike needs more than there are
 * spellings. */
static void make_known(loam__token_info *t, uint8_t what, uint32_t *room)
{
    if (what == ENDS) t->flags |= LOAM__TOKEN_END;
    if (!loam__is_special(t->type)) {
        if (*room == 0) return;
        --*room;
    }
    t->type = LOAM__TOKEN_CONTROL;
    t->flags &= (uint8_t)~LOAM__TOKEN_MERGED;
}

uint32_t loam__known_most(void)
{
    return COUNT(spellings);
}

static void apply_spellings(loam__vocab *v)
{
    uint32_t room = loam__known_most();
    hints h = {.end = LOAM__NO_ID, .text_end = LOAM__NO_ID};
    for (uint32_t i = 0; i < v->n; i++) {
        loam__key key = v->keys[i];
        if (!may_be_known(key)) continue;
        for (size_t s = 0; s < COUNT(spellings); s++)
            if (spelled(key, spellings[s].text))
                make_known(&v->tokens[i], spellings[s].what, &room);
        note_hint(&h, key, i);
    }
    spare_inner_ends(v, &h);
}

/* Ordinary text never becomes a token that frames one, also where the file names it as the unknown
 * one. */
static void check_unknown(loam__vocab *v)
{
    bool frames = v->unknown == v->bos || v->unknown == v->eos;
    if (v->unknown >= 0 && (frames || (v->tokens[v->unknown].flags & LOAM__TOKEN_END)))
        v->unknown = -1;
}

void loam__apply_known(loam__vocab *v)
{
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    apply_spellings(v);
    apply_strips(v);
    for (size_t i = 0; i < COUNT(keys); i++) {
        uint64_t id;
        int64_t entry = loam__single(v->gguf, keys[i]);
        if (entry < 0 || loam__gguf_u64(v->gguf, (size_t)entry, 0, &id) != LOAM_OK) continue;
        if (id < v->n) v->tokens[id].flags |= LOAM__TOKEN_END;
    }
    check_unknown(v);
}
