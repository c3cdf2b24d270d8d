/* libFuzzer target: any bytes as a model, loaded and run as a host would. The last byte says how.
 *
 * What must hold: loading ends with a status and, if that is no success, a sentence; what it
 * allocates stays within the limit that was set; tokens are in range; all memory comes back; and
 * with FUZZ_TWICE another source, thread count and cut of the prompt give the same logits. */
#define _POSIX_C_SOURCE 200809L
#include <loam/loam.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same as in tests/data/make_fuzz_models.py. */
enum {
    FUZZ_CALLBACK = 1,
    FUZZ_TWO_THREADS = 2,
    FUZZ_PACK = 4,
    FUZZ_KV_F32 = 8,
    FUZZ_SCALAR = 16,
    FUZZ_SEQUENCES = 32,
    FUZZ_TWICE = 64,
    FUZZ_VOCAB = 128
};

#define FUZZ_LIMIT   ((size_t)64 << 20)  /* what a load may take */
#define FUZZ_HEAP    ((size_t)256 << 20) /* what the host has */
#define FUZZ_CONTEXT 32u
#define FUZZ_PROMPT  11u
#define FUZZ_TOKENS  256u

static void require(int holds)
{
    if (!holds) abort();
}

typedef struct fuzz_heap {
    size_t live, peak;
} fuzz_heap;

static void *fuzz_alloc(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes, size_t align)
{
    fuzz_heap *heap = ctx;
    void *p = NULL;
    require(ptr || old_bytes == 0);
    require(heap->live >= old_bytes);
    if (new_bytes == 0) {
        heap->live -= old_bytes;
        free(ptr);
        return NULL;
    }
    if (new_bytes > FUZZ_HEAP - (heap->live - old_bytes)) return NULL;
    if (align < sizeof(void *)) align = sizeof(void *);
    if (posix_memalign(&p, align, new_bytes) != 0) return NULL;
    if (ptr) memcpy(p, ptr, old_bytes < new_bytes ? old_bytes : new_bytes);
    free(ptr);
    heap->live += new_bytes - old_bytes;
    if (heap->live > heap->peak) heap->peak = heap->live;
    return p;
}

typedef struct fuzz_bytes {
    const uint8_t *p;
    size_t n;
} fuzz_bytes;

static int32_t fuzz_read(void *ctx, uint64_t offset, void *buffer, size_t n)
{
    const fuzz_bytes *bytes = ctx;
    require(offset <= bytes->n && n <= bytes->n - offset);
    memcpy(buffer, bytes->p + offset, n);
    return 0;
}

static loam *fuzz_load(fuzz_bytes *bytes, uint32_t mode, fuzz_heap *heap)
{
    loam *m = NULL;
    loam_hooks hooks;
    loam_source source;
    loam_options options;
    const loam_source *parts[] = {&source};
    loam_hooks_init(&hooks);
    hooks.alloc = fuzz_alloc;
    hooks.alloc_ctx = heap;
    loam_source_init(&source);
    source.size_bytes = bytes->n;
    source.data = mode & FUZZ_CALLBACK ? NULL : bytes->p;
    source.read = fuzz_read;
    source.ctx = bytes;
    loam_options_init(&options);
    options.hooks = &hooks;
    options.flags = mode & FUZZ_VOCAB ? LOAM_LOAD_VOCAB : mode & FUZZ_PACK ? LOAM_LOAD_PACK : 0;
    options.memory_limit_bytes = FUZZ_LIMIT;
    options.context_tokens = FUZZ_CONTEXT;
    options.sequences = mode & FUZZ_SEQUENCES ? 3 : 1;
    options.threads = mode & FUZZ_TWO_THREADS ? 2 : 1;
    options.step_tokens = mode & FUZZ_SEQUENCES ? 4 : FUZZ_CONTEXT;
    options.kv_type = mode & FUZZ_KV_F32 ? LOAM_KV_F32 : LOAM_KV_F16;
    options.isa = mode & FUZZ_SCALAR ? "scalar" : "";
    loam_status st = loam_load_sources(parts, 1, &options, &m);
    require(heap->peak <= FUZZ_LIMIT);
    require(m && (st == LOAM_OK || (st < 0 && loam_error(m)[0])));
    if (st == LOAM_OK) return m;
    loam_free(m);
    return NULL;
}

static size_t fuzz_text(loam *m, loam_token *tokens)
{
    static const char text[] = "the theb a\n</s> \xC3\xA9 \xE2\x96\x81 \xFF";
    static const char request[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"the</s>\"}],"
                                  "\"add_generation_prompt\":true}";
    size_t n = 0, n_bytes = 0;
    char out[1024];
    loam_stream stream;
    loam_stream_init(&stream);
    uint32_t flags = LOAM_TOKENIZE_SPECIAL | LOAM_TOKENIZE_CONTROL;
    loam_status st = loam_tokenize(m, text, sizeof text - 1, flags, tokens, FUZZ_TOKENS, &n);
    require(st == LOAM_OK || loam_error(m)[0]);
    if (st != LOAM_OK) n = 0;
    st = loam_detokenize(m, tokens, n, 0, out, sizeof out, &n_bytes);
    require(st == LOAM_OK || st == LOAM_ERR_BUFFER);
    for (size_t i = 0; i < n; i++) {
        loam_token_is_end(m, tokens[i]);
        st = loam_stream_push(m, &stream, tokens[i], out, sizeof out, &n_bytes);
        require(st == LOAM_OK || st == LOAM_ERR_BUFFER);
    }
    loam_chat_render(m, request, sizeof request - 1, out, sizeof out, &n_bytes);
    loam_token chat[FUZZ_TOKENS];
    loam_chat_tokenize(m, request, sizeof request - 1, chat, FUZZ_TOKENS, &n_bytes);
    return n;
}

static uint32_t fuzz_vocabulary(loam *m)
{
    loam_info info;
    loam_info_init(&info);
    require(loam_get_info(m, &info) == LOAM_OK);
    return info.vocabulary_tokens;
}

/* Ids in range, of the text as far as it reaches. */
static void fuzz_prompt(uint32_t vocabulary, const loam_token *text, size_t n, loam_token *prompt)
{
    for (uint32_t i = 0; i < FUZZ_PROMPT; i++) {
        prompt[i] = (loam_token)(i * 7919u % vocabulary);
        if (i < n && (uint32_t)text[i] < vocabulary) prompt[i] = text[i];
    }
}

static void fuzz_sample(loam *m, loam_seq seq, uint32_t vocabulary, loam_token *token)
{
    static const loam_sampling ways[] = {
        {.struct_size = sizeof(loam_sampling)},
        {.struct_size = sizeof(loam_sampling), .temperature = 0.8f, .top_p = 0.9f, .min_p = 0.05f},
        {.struct_size = sizeof(loam_sampling),
         .temperature = 1e-6f,
         .top_k = 5,
         .repeat_penalty = 1.2f},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        require(loam_seq_sampling(m, seq, &ways[i]) == LOAM_OK);
        require(loam_sample(m, seq, token) == LOAM_OK);
        require(*token >= 0 && (uint32_t)*token < vocabulary);
    }
}

static void fuzz_generate(loam *m, const loam_token *prompt, uint32_t vocabulary)
{
    loam_token tokens[2];
    loam_seq seqs[2] = {0};
    require(loam_prefill(m, 0, prompt, FUZZ_PROMPT) == LOAM_OK);
    fuzz_sample(m, 0, vocabulary, &tokens[0]);
    require(loam_decode(m, seqs, tokens, 1) == LOAM_OK);
    if (loam_seq_fork(m, 0, &seqs[1]) == LOAM_OK) {
        for (size_t i = 0; i < 2; i++)
            fuzz_sample(m, seqs[i], vocabulary, &tokens[i]);
        for (size_t i = 0; i < 6; i++)
            require(loam_decode(m, seqs, tokens, 2) == LOAM_OK);
    }
    fuzz_sample(m, 0, vocabulary, &tokens[0]);
}

/* NaN is a number like any other here. */
static int fuzz_same(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) return 0;
    return 1;
}

/* Another way to the same logits. */
static void fuzz_again(loam *m, fuzz_bytes *bytes, uint32_t mode, const loam_token *prompt,
                       uint32_t vocabulary)
{
    fuzz_heap heap = {0};
    loam *other =
        fuzz_load(bytes, mode ^ (FUZZ_CALLBACK | FUZZ_TWO_THREADS | FUZZ_SEQUENCES), &heap);
    if (other) {
        require(loam_seq_truncate(m, 0, 0) == LOAM_OK);
        require(loam_prefill(m, 0, prompt, FUZZ_PROMPT) == LOAM_OK);
        require(loam_prefill(other, 0, prompt, 3) == LOAM_OK);
        require(loam_prefill(other, 0, prompt + 3, FUZZ_PROMPT - 3) == LOAM_OK);
        require(fuzz_same(loam_logits(m, 0), loam_logits(other, 0), vocabulary));
    }
    loam_free(other);
    require(heap.live == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_heap heap = {0};
    fuzz_bytes bytes = {data, size};
    loam_token text[FUZZ_TOKENS], prompt[FUZZ_PROMPT];
    if (size == 0) return 0; /* data may be NULL */
    uint32_t mode = data[size - 1];
    loam *m = fuzz_load(&bytes, mode, &heap);
    if (m) {
        size_t n = fuzz_text(m, text);
        uint32_t vocabulary = fuzz_vocabulary(m);
        fuzz_prompt(vocabulary, text, n, prompt);
        if (mode & FUZZ_VOCAB) require(loam_prefill(m, 0, prompt, 1) == LOAM_ERR_STATE);
        else fuzz_generate(m, prompt, vocabulary);
        if (!(mode & FUZZ_VOCAB) && (mode & FUZZ_TWICE))
            fuzz_again(m, &bytes, mode, prompt, vocabulary);
    }
    loam_free(m);
    require(heap.live == 0);
    return 0;
}
