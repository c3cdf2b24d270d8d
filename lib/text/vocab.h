/* A vocabulary from the inside: what all kinds of tokenizer share, and the seam behind which they
 * differ. */
#ifndef LOAM__TEXT_VOCAB_H
#define LOAM__TEXT_VOCAB_H

#include "map.h"
#include "memo.h"
#include "merge.h"
#include "text.h"
#include "trie.h"

/* tokenizer.ggml.token_type */
enum {
    LOAM__TOKEN_NORMAL = 1,
    LOAM__TOKEN_UNKNOWN = 2,
    LOAM__TOKEN_CONTROL = 3,
    LOAM__TOKEN_USER = 4,
    LOAM__TOKEN_UNUSED = 5,
    LOAM__TOKEN_BYTE = 6
};

/* Flags of a token. */
enum {
    LOAM__TOKEN_END = 1,         /* ends a generation */
    LOAM__TOKEN_STRIP_LEFT = 2,  /* swallows the white space in front of it */
    LOAM__TOKEN_STRIP_RIGHT = 4, /* and behind it */
    LOAM__TOKEN_MERGED = 8       /* ordinary text may become it */
};

typedef struct loam__token_info {
    const char *bytes; /* what it puts out */
    uint32_t n;
    uint8_t type;
    uint8_t flags;
} loam__token_info;

/* Tokens that are looked for in the text before it is cut into words, sorted by their bytes. */
typedef struct loam__specials {
    uint32_t *ids;
    uint32_t n, most;    /* room in ids */
    uint32_t first[257]; /* ids[first[c]] to ids[first[c + 1]] start with c */
    uint8_t starts[256]; /* whether a token starts with c: bit 0 user-defined, bit 1 control */
} loam__specials;

struct loam__encoder;

/* One kind of tokenizer. */
typedef struct loam__kind {
    const char *model; /* tokenizer.ggml.model */
    uint32_t state_bytes;
    bool hashed; /* it uses loam__map_keys() */
    bool add_bos, add_eos, space_prefix, clean_spaces;
    bool framed;                   /* whatever the file says of BOS and EOS, they are added */
    int32_t bos, eos, unknown;     /* where the file does not say; -1: none */
    const char *bos_key, *eos_key; /* that go before the usual ones; NULL: none */
    /* See that the file has what the kind needs, and count: *table_bytes, of the kind's own table.
     */
    loam_status (*open)(loam__base *b, loam__vocab *v, size_t *table_bytes);
    /* Fill the kind's table, keys, the map, and the bytes of the tokens. */
    loam_status (*fill)(loam__base *b, loam__vocab *v, void *table);
    void (*free)(loam__vocab *v); /* NULL: nothing to free */
    /* Tokens of a text without special tokens; fresh: it starts the text or follows a special
     * token. */
    loam_status (*encode)(struct loam__encoder *e, const char *text, size_t n, bool fresh);
} loam__kind;

extern const loam__kind loam__kind_bpe, loam__kind_gemma4, loam__kind_spm, loam__kind_unigram,
    loam__kind_wordpiece, loam__kind_rwkv, loam__kind_plamo2, loam__kind_whitespace;

/* Where the tables lie in their one block: what is reported and what is allocated. */
typedef struct loam__vocab_layout {
    size_t tokens_at, keys_at, slots_at, decoded_at, specials_at, table_at;
    size_t n_slots, bytes;
} loam__vocab_layout;

struct loam__vocab {
    loam__base *base;
    const loam__gguf *gguf;
    const loam__kind *kind;
    void *state;      /* the kind's */
    size_t spellings; /* the metadata entry of the tokens */
    int64_t types;    /* and of their types, -1: there is none */
    uint32_t n;
    loam__vocab_layout layout;
    void *tables; /* the block; NULL until loam__vocab_fill() */
    loam__token_info *tokens;
    loam__key
        *keys; /* what ordinary text must be, in the kind's own alphabet, to become the token */
    loam__text_map map;
    char *decoded; /* bytes of the tokens that the file spells differently */
    loam__specials specials;
    loam_token bos, eos, unknown;
    bool add_bos, add_eos, space_prefix;
    bool clean_spaces; /* the detokenizer removes spaces in front of punctuation */
};

#define LOAM__FEW_PARTS 256

/* One call of loam__tokenize. */
typedef struct loam__encoder {
    loam__base *base;
    const loam__vocab *v;
    loam_token *tokens;
    size_t capacity, n_tokens;
    loam__merger merger;
    const char *text; /* that is merged */
    loam__memo memo;
    loam__memo_slot *writing; /* gets the tokens that are emitted; NULL: none */
    loam__scratch word, parts;
    _Alignas(16) char word_few[4 * LOAM__FEW_PARTS];
    _Alignas(16) loam__part parts_few[LOAM__FEW_PARTS];
} loam__encoder;

/* Add n bytes to the *n_word in e->word. False: no memory. */
static inline bool loam__append(loam__encoder *e, size_t *n_word, const char *p, size_t n)
{
    char *word = loam__scratch_need(&e->word, e->base, *n_word + n, 1);
    if (!word) return false;
    memcpy(word + *n_word, p, n);
    *n_word += n;
    return true;
}

static inline void loam__emit(loam__encoder *e, uint32_t id)
{
    if (e->n_tokens < e->capacity) e->tokens[e->n_tokens] = (loam_token)id;
    e->n_tokens++;
    if (!e->writing) return;
    if (e->writing->n_ids < LOAM__MEMO_IDS) e->writing->ids[e->writing->n_ids] = id;
    e->writing->n_ids++;
}

/* Take back the tokens from n_tokens on, which are no more than those of the word being kept. */
static inline void loam__retract(loam__encoder *e, size_t n_tokens)
{
    if (e->writing) e->writing->n_ids -= (uint32_t)(e->n_tokens - n_tokens);
    e->n_tokens = n_tokens;
}

/* A word, and where the memo keeps it. */
typedef struct loam__word {
    const char *p;
    size_t n; /* 0: none */
    loam__memo_slot *slot;
    uint64_t key[3];
} loam__word;

/* The word at p. Its place in the memo is on its way from then on: who has many words finds one
 * ahead. */
static inline loam__word loam__word_at(const loam__encoder *e, const char *p, size_t n)
{
    loam__word w = {.p = p, .n = n};
    w.slot = loam__memo_find(&e->memo, p, n, w.key);
    if (w.slot) LOAM__PREFETCH(w.slot);
    return w;
}

/* Emit the tokens of a word that came before. False: cut it, and then call loam__keep(). */
static inline bool loam__recall(loam__encoder *e, const loam__word *w)
{
    if (!w->slot) return false;
    if (loam__memo_has(w->slot, w->key)) {
        for (uint32_t i = 0; i < w->slot->n_ids; i++)
            loam__emit(e, w->slot->ids[i]);
        return true;
    }
    memcpy(w->slot->key, w->key, sizeof w->key);
    w->slot->n_ids = 0;
    e->writing = w->slot;
    return false;
}

static inline void loam__keep(loam__encoder *e)
{
    if (e->writing && e->writing->n_ids > LOAM__MEMO_IDS) e->writing->key[2] = 0;
    e->writing = NULL;
}

/* Do not keep it. */
static inline void loam__forget(loam__encoder *e)
{
    if (e->writing) e->writing->key[2] = 0;
    e->writing = NULL;
}

/* vocab.c: the entry of a key that has one value, not a list; -1: there is none. */
int64_t loam__single(const loam__gguf *g, const char *key);
/* Set *flag if the file says what it is. */
void loam__read_flag(const loam__vocab *v, const char *key, bool *flag);
/* The entry of the tokens' scores, which are numbers. */
loam_status loam__find_scores(loam__base *b, const loam__vocab *v, size_t *entry);
/* The bytes of a tree for all keys and of extra ones behind it. */
loam_status loam__trie_room(loam__base *b, const loam__vocab *v, size_t extra, size_t *n_bytes);
/* Give the keys with LOAM__TOKEN_MERGED to a tree in memory for all of them. */
void loam__plant_keys(const loam__vocab *v, loam__trie *trie, void *memory);
/* Enter every key with LOAM__TOKEN_MERGED into the map. */
loam_status loam__map_keys(loam__base *b, loam__vocab *v);
uint32_t loam__find_key(const loam__vocab *v, const char *p, size_t n);
/* Whether id is what loam__find_key() would find. */
bool loam__is_key(const loam__vocab *v, uint32_t id, const char *p, size_t n);

/* known.c: what is known by spelling or by name and is not in the file. It makes no more than
 * loam__known_most() tokens special that the file does not call so. */
uint32_t loam__known_most(void);
void loam__apply_known(loam__vocab *v);

static inline bool loam__is_special(int32_t type)
{
    return type == LOAM__TOKEN_CONTROL || type == LOAM__TOKEN_UNKNOWN || type == LOAM__TOKEN_USER;
}

/* special.c: find the special tokens, once everything else is known; ids and most are set. */
void loam__specials_fill(loam__vocab *v);

typedef struct loam__special_match {
    size_t at, n;
    uint32_t id;
} loam__special_match;

/* The leftmost special token in text at or after from, the longest of several; false: none. */
bool loam__specials_find(const loam__vocab *v, const char *text, size_t n, size_t from,
                         const uint8_t *typed, bool control, loam__special_match *match);

/* clean.c: what the detokenizer of some vocabularies does to spaces. */
typedef struct loam__sink {
    char *p;
    size_t capacity, n;
} loam__sink;

typedef struct loam__cleaner {
    loam__sink out;
    uint8_t held_1, held_2, held_3;
    char letter;
} loam__cleaner;

void loam__clean_push(loam__cleaner *c, char byte);
void loam__clean_end(loam__cleaner *c);

static inline void loam__sink_add(loam__sink *s, char byte)
{
    if (s->n < s->capacity) s->p[s->n] = byte;
    s->n++;
}

#endif
