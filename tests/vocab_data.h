/* Small vocabularies that tests write for themselves. */
#ifndef LOAM__VOCAB_DATA_H
#define LOAM__VOCAB_DATA_H

#include "lib/chat/chat.h"
#include "lib/plan/account.h"
#include "lib/text/text.h"
#include "lib/text/vocab.h"
#include "test.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---- small vocabularies, written here ---- */

typedef struct gguf_writer {
    uint8_t *p;
    size_t n, capacity;
    uint64_t entries;
} gguf_writer;

static inline void put(gguf_writer *w, const void *p, size_t n)
{
    if (w->n + n > w->capacity) {
        w->capacity = 2 * (w->n + n);
        w->p = realloc(w->p, w->capacity);
        assert_non_null(w->p);
    }
    if (n) memcpy(w->p + w->n, p, n);
    w->n += n;
}

static inline void put_u32(gguf_writer *w, uint32_t v)
{
    uint8_t le[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    put(w, le, sizeof le);
}

static inline void put_u64(gguf_writer *w, uint64_t v)
{
    put_u32(w, (uint32_t)v);
    put_u32(w, (uint32_t)(v >> 32));
}

static inline void put_text(gguf_writer *w, const char *text, size_t n)
{
    put_u64(w, n);
    put(w, text, n);
}

static inline void put_key(gguf_writer *w, const char *key, uint32_t type)
{
    if (w->n == 0) {
        put(w, "GGUF", 4);
        put_u32(w, 3);
        put_u64(w, 0);
        put_u64(w, 0); /* entries, filled in by open_vocab() */
    }
    w->entries++;
    put_text(w, key, strlen(key));
    put_u32(w, type);
}

static inline void put_string(gguf_writer *w, const char *key, const char *text)
{
    put_key(w, key, LOAM_META_STRING);
    put_text(w, text, strlen(text));
}

static inline void put_number(gguf_writer *w, const char *key, uint32_t v)
{
    put_key(w, key, LOAM_META_U32);
    put_u32(w, v);
}

static inline void put_list(gguf_writer *w, const char *key, uint32_t type, size_t n)
{
    put_key(w, key, LOAM_META_ARRAY);
    put_u32(w, type);
    put_u64(w, n);
}

typedef struct token {
    const char *text;
    float score;
    int32_t type;
} token;

static inline void put_tokens(gguf_writer *w, const char *model, const token *tokens, size_t n)
{
    put_string(w, "tokenizer.ggml.model", model);
    put_list(w, "tokenizer.ggml.tokens", LOAM_META_STRING, n);
    for (size_t i = 0; i < n; i++)
        put_text(w, tokens[i].text, strlen(tokens[i].text));
    put_list(w, "tokenizer.ggml.scores", LOAM_META_F32, n);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &tokens[i].score, sizeof bits);
        put_u32(w, bits);
    }
    put_list(w, "tokenizer.ggml.token_type", LOAM_META_I32, n);
    for (size_t i = 0; i < n; i++)
        put_u32(w, (uint32_t)(tokens[i].type ? tokens[i].type : 1));
}

typedef struct fixture {
    gguf_writer w;
    loam__base b;
    loam__gguf *g;
    loam__vocab *v;
} fixture;

/* A whole vocabulary. Filling it takes what was announced, to the byte, and no more in passing. */
static inline loam_status new_vocab(loam__base *b, const loam__gguf *g, loam__vocab **v)
{
    loam__account account = {0};
    loam_hooks own = b->hooks;
    loam_status st = loam__vocab_new(b, g, v);
    if (st != LOAM_OK) return st;
    loam__account_open(&account, b, 0);
    st = loam__vocab_fill(b, *v);
    b->hooks = own;
    if (st == LOAM_OK) assert_int_equal(account.live_bytes, loam__vocab_bytes(*v));
    assert_true(account.peak_bytes <= loam__vocab_bytes(*v));
    if (st == LOAM_OK) return st;
    loam__vocab_free(*v);
    *v = NULL;
    return st;
}

static inline loam_status open_vocab(fixture *f, const loam_hooks *hooks)
{
    loam_source source = {.struct_size = sizeof source};
    const loam_source *parts[] = {&source};
    for (size_t i = 0; i < 8; i++)
        f->w.p[16 + i] = (uint8_t)(f->w.entries >> (8 * i));
    source.data = f->w.p;
    source.size_bytes = f->w.n;
    assert_int_equal(loam__base_init(&f->b, hooks), LOAM_OK);
    f->g = NULL;
    f->v = NULL;
    loam_status st = loam__gguf_open_sources(&f->b, parts, 1, &f->g);
    return st == LOAM_OK ? new_vocab(&f->b, f->g, &f->v) : st;
}

static inline void close_vocab(fixture *f)
{
    loam__vocab_free(f->v);
    loam__gguf_close(f->g);
    free(f->w.p);
    memset(f, 0, sizeof *f);
}

/* The spellings of the tokens of a text, each followed by '|'. */
static inline const char *tokens_of(fixture *f, const char *text, size_t n, const uint8_t *typed,
                                    uint32_t flags)
{
    static char out[4096];
    loam_token ids[512];
    size_t n_ids, at = 0;
    assert_int_equal(loam__tokenize(&f->b, f->v, text, n, typed, flags, ids, COUNT(ids), &n_ids),
                     LOAM_OK);
    assert_true(n_ids <= COUNT(ids));
    for (size_t i = 0; i < n_ids; i++) {
        size_t m;
        const char *p = loam__vocab_spelling(f->v, ids[i], &m);
        assert_true(at + m + 2 < sizeof out);
        memcpy(out + at, p, m);
        at += m;
        out[at++] = '|';
    }
    out[at] = 0;
    return out;
}

static inline void check_tokens(fixture *f, const char *text, uint32_t flags, const char *want)
{
    assert_string_equal(tokens_of(f, text, strlen(text), NULL, flags), want);
}

static inline const char *text_of(fixture *f, const loam_token *ids, size_t n, uint32_t flags)
{
    static char out[4096];
    size_t m;
    loam__detokenize(f->v, ids, n, flags, out, sizeof out - 1, &m);
    assert_true(m < sizeof out);
    out[m] = 0;
    return out;
}

enum { UNKNOWN = 2, CONTROL = 3, USER = 4, UNUSED = 5, BYTE = 6 };

/* ---- byte-level BPE ---- */

static inline void add_utf8(char **p, uint32_t c)
{
    if (c >= 128) *(*p)++ = (char)(0xC0 | c >> 6);
    *(*p)++ = (char)(c < 128 ? c : 0x80 | (c & 0x3F));
}

/* The 256 characters of the alphabet, spelled as in files, in the order of their bytes. */
static inline void alphabet(char spelling[256][3])
{
    uint32_t next = 256;
    for (uint32_t c = 0; c < 256; c++) {
        bool shown = (c >= 0x21 && c <= 0x7E) || (c >= 0xA1 && c != 0xAD);
        char *p = spelling[c];
        add_utf8(&p, shown ? c : next++);
        *p = 0;
    }
}

/* All bytes, then what the merges make, then special tokens. */
static inline void put_bpe(gguf_writer *w, const char *pre, const char *const *merges,
                           size_t n_merges, const token *specials, size_t n_specials)
{
    static char spelling[256][3], joined[64][32];
    token tokens[512];
    size_t n = 0;
    alphabet(spelling);
    assert_true(n_merges <= COUNT(joined));
    for (; n < 256; n++)
        tokens[n] = (token){spelling[n], 0, 0};
    for (size_t i = 0; i < n_merges; i++) {
        const char *gap = strchr(merges[i] + 1, ' ');
        snprintf(joined[i], sizeof joined[i], "%.*s%s", (int)(gap - merges[i]), merges[i], gap + 1);
        tokens[n++] = (token){joined[i], 0, 0};
    }
    for (size_t i = 0; i < n_specials; i++)
        tokens[n++] = specials[i];
    put_tokens(w, "gpt2", tokens, n);
    put_list(w, "tokenizer.ggml.merges", LOAM_META_STRING, n_merges);
    for (size_t i = 0; i < n_merges; i++)
        put_text(w, merges[i], strlen(merges[i]));
    put_string(w, "tokenizer.ggml.pre", pre);
}

/* ---- prompts ---- */

/* How many of a text's tokens frame one. */
static inline size_t framing_tokens(fixture *f, const char *text, size_t n, const uint8_t *typed)
{
    loam_token ids[512];
    size_t n_ids, n_framing = 0;
    assert_int_equal(
        loam__tokenize(&f->b, f->v, text, n, typed, LOAM_TOKENIZE_CONTROL, ids, COUNT(ids), &n_ids),
        LOAM_OK);
    assert_true(n_ids <= COUNT(ids));
    for (size_t i = 0; i < n_ids; i++)
        n_framing += ids[i] != f->v->unknown && f->v->tokens[ids[i]].type == LOAM__TOKEN_CONTROL;
    return n_framing;
}

static inline void check_prompt(fixture *f, const char *head, const char *content, const char *tail)
{
    char source[256], json[256];
    loam__buf out, typed;
    loam__buf_init(&out, &f->b, 0);
    loam__buf_init(&typed, &f->b, 0);
    int n_source = snprintf(source, sizeof source, "%s{{ content }}%s", head, tail);
    int n_json = snprintf(json, sizeof json, "{\"content\":\"%s\"}", content);
    assert_int_equal(loam__template_render(&f->b, source, (size_t)n_source, json, (size_t)n_json,
                                           NULL, &out, &typed),
                     LOAM_OK);
    assert_int_equal(framing_tokens(f, out.p, out.n, (const uint8_t *)typed.p),
                     framing_tokens(f, head, strlen(head), NULL) +
                         framing_tokens(f, tail, strlen(tail), NULL));
    loam__buf_free(&out);
    loam__buf_free(&typed);
}

/* Only what a template wrote becomes a control token, not what was typed into it, nor what begins
 * in the one and ends in the other. */
static inline void check_prompts(fixture *f)
{
    size_t n_control = 0;
    for (uint32_t id = 0; id < loam__vocab_size(f->v); id++) {
        char head[64], content[128], tail[128];
        size_t n;
        const char *p = loam__vocab_spelling(f->v, (loam_token)id, &n);
        if (f->v->tokens[id].type != LOAM__TOKEN_CONTROL || (loam_token)id == f->v->unknown)
            continue;
        assert_int_equal(framing_tokens(f, p, n, NULL), 1);
        n_control++;
        for (int i = 0, m = (int)n; i < m; i++) {
            snprintf(head, sizeof head, "%.*s", i, p);
            snprintf(content, sizeof content, "%.*s%.*s%.*s", m - i, p + i, m, p, i, p);
            snprintf(tail, sizeof tail, "%.*s%.*s", m - i, p + i, m, p);
            check_prompt(f, head, content, tail);
        }
    }
    assert_true(n_control > 0);
}

/* ---- failures ---- */

static inline void refuse(fixture *f, const char *names)
{
    assert_int_equal(open_vocab(f, NULL), LOAM_ERR_TOKENIZER);
    assert_null(f->v);
    assert_non_null(strstr(f->b.error, names));
    close_vocab(f);
}

static inline void fill(char *text, size_t n, const char *unit)
{
    for (size_t i = 0, m = strlen(unit); i < n; i++)
        text[i] = unit[i % m];
}

static inline void check_faults(fixture *f, size_t want_more_than)
{
    static char text[3000];
    loam_status st = LOAM_ERR_NOMEM;
    size_t n = 1;
    fill(text, sizeof text, "hello low 12 ab\n\n<|im_end|>xyz");
    memset(text, 'x', 1000);
    for (; st == LOAM_ERR_NOMEM; n++) {
        fault_heap heap = {.fail_at = n};
        loam_hooks hooks;
        size_t count;
        loam_hooks_init(&hooks);
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = &heap;
        st = open_vocab(f, &hooks);
        if (st == LOAM_OK)
            st = loam__tokenize(&f->b, f->v, text, sizeof text, NULL, 3, NULL, 0, &count);
        assert_true(st == LOAM_OK || st == LOAM_ERR_NOMEM);
        if (st == LOAM_ERR_NOMEM) assert_true(f->b.error[0] != 0);
        loam__vocab_free(f->v);
        loam__gguf_close(f->g);
        assert_int_equal(heap.live_bytes, 0);
    }
    assert_true(n > want_more_than);
    free(f->w.p);
}

#endif
