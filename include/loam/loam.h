/* loam.h - run open-weight language models from GGUF files inside your own program.
 *
 * One opaque handle, six verbs: load, tokenize, prefill, decode, sample, free. Everything else is
 * optional.
 *
 *     loam *m;
 *     if (loam_load("model.gguf", NULL, &m) != LOAM_OK) return puts(loam_error(m)), 1;
 *     loam_tokenize(m, "Once upon", 9, LOAM_TOKENIZE_SPECIAL, tokens, 64, &n);
 *     loam_prefill(m, 0, tokens, n);
 *     while (loam_sample(m, 0, &t) == LOAM_OK && !loam_token_is_end(m, t))
 *         loam_decode(m, &seq, &t, 1);
 *     loam_free(m);
 *
 * Rules that hold for every call
 *   Status    what can fail returns a loam_status: 0 is good, negative is bad; the numbers never
 *             change their meaning. loam_error() then has a sentence that names the thing and says
 *             what to do.
 *   Pointers  borrowed: used during the call only; kept: must outlive the handle; owned: the caller
 *             frees it.
 *   Strings   UTF-8, going in with a length in bytes (file paths end in NUL).
 *   Buffers   a call that fills a caller's buffer also takes its capacity and always says how much
 *             there is; too small is LOAM_ERR_BUFFER, and a second call with that capacity succeeds
 *             (a NULL buffer of capacity 0 asks the size).
 *   Structs   begin with struct_size, set by their _init() function; they grow only at the end,
 *             zero is the default.
 *   Threads   calls on one handle are serialised by the handle itself; different handles are
 *             independent.
 *   Host      loam never aborts, exits, prints, reads the environment or changes process state. */
#ifndef LOAM_LOAM_H
#define LOAM_LOAM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LOAM_VERSION_MAJOR 0
#define LOAM_VERSION_MINOR 1
#define LOAM_VERSION_PATCH 0

#if defined(_WIN32) && defined(LOAM_SHARED)
#define LOAM_API __declspec(dllimport)
#elif defined(__GNUC__)
#define LOAM_API __attribute__((visibility("default")))
#else
#define LOAM_API
#endif

typedef struct loam loam;    /* a loaded model with all it needs to run */
typedef int32_t loam_status; /* LOAM_OK or a LOAM_ERR_* */
typedef int32_t loam_token;  /* in [0, vocabulary size) */
typedef int32_t loam_seq;    /* one conversation inside the handle */
typedef int32_t loam_format; /* a LOAM_TYPE_* number format */

enum {
    LOAM_OK = 0,
    LOAM_ERR_ARG = -1,        /* an argument is NULL, out of its range or unknown */
    LOAM_ERR_NEWER = -2,      /* an option is set that this library is too old to know */
    LOAM_ERR_NOMEM = -3,      /* the allocator had no memory */
    LOAM_ERR_IO = -4,         /* the system or a host callback failed to read */
    LOAM_ERR_NOT_FOUND = -5,  /* no such file */
    LOAM_ERR_DIRECTORY = -6,  /* the path names a directory */
    LOAM_ERR_EMPTY = -7,      /* the file has no bytes */
    LOAM_ERR_MAGIC = -8,      /* not a GGUF file */
    LOAM_ERR_VERSION = -9,    /* a GGUF version that is not read */
    LOAM_ERR_ENDIAN = -10,    /* a big-endian GGUF file */
    LOAM_ERR_TRUNCATED = -11, /* the file ends before its header says: a partial download */
    LOAM_ERR_CORRUPT = -12,   /* the file contradicts itself */
    LOAM_ERR_LIMIT = -13,     /* a stated limit of loam is exceeded (sizes, depth, steps) */
    LOAM_ERR_ARCH = -14,      /* an architecture that loam does not run */
    LOAM_ERR_METADATA = -15,  /* a metadata key is missing or has a wrong type or value */
    LOAM_ERR_TENSOR_MISSING = -16,
    LOAM_ERR_TENSOR_SHAPE = -17,
    LOAM_ERR_TENSOR_TYPE = -18, /* a number format that loam or this backend does not know */
    LOAM_ERR_TOKENIZER = -19,   /* no vocabulary, or a kind that is not supported */
    LOAM_ERR_TEMPLATE = -20,    /* the chat template is missing, wrong, or raised an error */
    LOAM_ERR_JSON = -21,        /* text that should be JSON is not */
    LOAM_ERR_NOFIT = -22,       /* the plan exceeds the memory limit */
    LOAM_ERR_FULL = -23,        /* no room in the sequence's context or in the KV cache */
    LOAM_ERR_TOKEN = -24,       /* a token id outside the vocabulary */
    LOAM_ERR_SEQ = -25,         /* the sequence is closed or never was open */
    LOAM_ERR_BUFFER = -26,      /* the caller's buffer is too small; the needed size was stored */
    LOAM_ERR_STATE = -27,       /* the call came out of order, such as sample before prefill */
    LOAM_ERR_CANCELLED = -28,   /* loam_cancel() was called */
    LOAM_ERR_DEADLINE = -29,    /* the time budget is used up; the same call again goes on */
    LOAM_ERR_DEVICE = -30,      /* the device is gone; only loam_free() is left */
    LOAM_ERR_BACKEND = -31,     /* no backend of that name, or it lacks what is asked */
    LOAM_ERR_UNSUPPORTED = -32, /* valid, but not built into this version */
    LOAM_ERR_INTERNAL = -33,    /* a broken invariant inside loam: please report it */
    LOAM_ERR_FOREIGN = -34      /* a saved state of another model, or of other KV cell types */
};

/* Number formats; the numbers are GGUF's tensor types (ggml/docs/gguf.md). */
enum {
    LOAM_TYPE_F32 = 0,
    LOAM_TYPE_F16 = 1,
    LOAM_TYPE_Q4_0 = 2,
    LOAM_TYPE_Q4_1 = 3,
    LOAM_TYPE_Q5_0 = 6,
    LOAM_TYPE_Q5_1 = 7,
    LOAM_TYPE_Q8_0 = 8,
    LOAM_TYPE_Q2_K = 10,
    LOAM_TYPE_Q3_K = 11,
    LOAM_TYPE_Q4_K = 12,
    LOAM_TYPE_Q5_K = 13,
    LOAM_TYPE_Q6_K = 14,
    LOAM_TYPE_IQ2_XXS = 16,
    LOAM_TYPE_IQ2_XS = 17,
    LOAM_TYPE_IQ3_XXS = 18,
    LOAM_TYPE_IQ1_S = 19,
    LOAM_TYPE_IQ4_NL = 20,
    LOAM_TYPE_IQ3_S = 21,
    LOAM_TYPE_IQ2_S = 22,
    LOAM_TYPE_IQ4_XS = 23,
    LOAM_TYPE_IQ1_M = 29,
    LOAM_TYPE_BF16 = 30,
    LOAM_TYPE_TQ1_0 = 34,
    LOAM_TYPE_TQ2_0 = 35,
    LOAM_TYPE_MXFP4 = 39,
    LOAM_TYPE_NVFP4 = 40,
    LOAM_TYPE_Q1_0 = 41,
    LOAM_TYPE_Q2_0 = 42
};

/* ---- Host ------------------------------------------------------------------------------------ */

enum { LOAM_LOG_ERROR = 1, LOAM_LOG_WARN = 2, LOAM_LOG_INFO = 3, LOAM_LOG_DEBUG = 4 };

typedef void (*loam_task)(void *arg, uint32_t index);

/* What the host lends. Every member may be NULL; the callbacks must be safe from any thread that
 * calls loam. */
typedef struct loam_hooks {
    uint32_t struct_size; /* caller's sizeof; set by loam_hooks_init() */
    uint32_t flags;       /* 0 */
    /* All memory. new 0 frees ptr (old bytes, same align) and returns NULL; ptr NULL allocates;
     * NULL means failure and leaves ptr as it was. align is a power of two. NULL hook: the C
     * library. */
    void *(*alloc)(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes, size_t align);
    void *alloc_ctx;
    /* Take one line; level is a LOAM_LOG_*. NULL: silence. */
    void (*log)(void *ctx, int32_t level, const char *text);
    void *log_ctx;
    /* Run task(arg, 0) .. task(arg, n-1), in any order and on any threads, and return when all are
     * done. NULL: loam starts options.threads - 1 threads of its own, which sleep when idle. */
    void (*parallel)(void *ctx, loam_task task, void *arg, uint32_t n);
    void *parallel_ctx;
    /* Civil time in seconds since 1970-01-01 00:00, for templates. NULL: the system's UTC. */
    int64_t (*clock)(void *ctx);
    void *clock_ctx;
} loam_hooks; /* 0.1 ends here */

/* A model's bytes, when it is not a file: in memory, or read through the host. */
typedef struct loam_source {
    uint32_t struct_size; /* set by loam_source_init() */
    uint32_t flags;       /* 0 */
    uint64_t size_bytes;  /* of the whole part */
    const void *data;     /* kept: the bytes, any alignment; or NULL and read() is used */
    void *ctx;            /* for read() */
    /* Give all n bytes and return 0, or return anything else. */
    int32_t (*read)(void *ctx, uint64_t offset, void *buffer, size_t n);
    void *reserved; /* NULL */
} loam_source;      /* 0.1 ends here */

/* ---- Load and free --------------------------------------------------------------------------- */

enum {
    LOAM_LOAD_VOCAB = 1, /* vocabulary and chat template only; computing gives LOAM_ERR_STATE */
    /* Where weights lie. With neither flag they are copied into memory of loam's own, in the order
     * in which the backend reads them fastest, if it has one for most of them and they fit so. */
    LOAM_LOAD_PACK = 2, /* copy them always */
    LOAM_LOAD_MAP = 8,  /* use them where the file is mapped: ready at once, and shared with other
                           processes, but slower */
    LOAM_LOAD_NO_SHARING = 4, /* compute every prompt whole: do not look for its beginning in the KV
                                 blocks of other sequences and of those that were closed lately */
    LOAM_LOAD_PROFILE = 16    /* note how long each kind of op takes, for loam_profile_get(): two
                                 readings of the clock an op */
};

/* Cell types of the KV cache; the default is F16. Q8_0 and Q4_0 take 8.5 and 4.5 bits a number and
 * want heads of a multiple of 32 values. Q4_0 hurts keys far more than values, so set it as v_type.
 */
enum {
    LOAM_KV_DEFAULT = 0,
    LOAM_KV_F32 = 1,
    LOAM_KV_F16 = 2,
    LOAM_KV_BF16 = 3,
    LOAM_KV_Q8_0 = 4,
    LOAM_KV_Q4_0 = 5
};

/* A device to put layers on. */
typedef struct loam_device {
    uint32_t struct_size;        /* set by loam_device_init() */
    uint32_t index;              /* of the backend's devices, from 0 */
    const char *backend;         /* borrowed: "cpu", or the name of a module */
    uint64_t memory_limit_bytes; /* of its memory that may be used; 0: 0.9 of what is free */
    int32_t layers;    /* how many it takes, next in the order of the devices; -1: any number (those
                          before such a device count from the first layer, those behind it from the
                          last) */
    uint32_t reserved; /* 0 */
    const void *native; /* borrowed, and what it points to kept: a device of the host's own, as the
                           module's header says, such as a loam_vulkan; NULL: loam opens one */
    const void *reserved_pointer; /* NULL */
} loam_device;                    /* 0.1 ends here */

typedef struct loam_options {
    uint32_t struct_size;        /* caller's sizeof; set by loam_options_init() */
    uint32_t flags;              /* LOAM_LOAD_*; an unknown bit is refused */
    uint64_t memory_limit_bytes; /* hard cap over all private memory and mapped weights; 0: none */
    uint64_t kv_tokens;          /* most tokens that the KV cache holds, of all sequences together,
                                    shared ones counted once; 0: all contexts at once */
    uint32_t context_tokens;     /* most tokens of one sequence; 0: the model's own, at most 4096 */
    uint32_t sequences;          /* most sequences open at once; 0: 1 */
    uint32_t threads;            /* 0: one per processor this process may use, at most 64 */
    uint32_t step_tokens;        /* most tokens computed at once, the width of prefill; 0: 512 */
    int32_t kv_type;             /* LOAM_KV_*: cells of the keys, and of the values too */
    int32_t v_type;              /* LOAM_KV_*: cells of the values; 0: as kv_type */
    uint32_t kv_block_tokens;    /* positions in a block of the KV cache: 8, 16, .. 256; 0: 16 */
    uint32_t n_devices;          /* 0: those of `backend` */
    /* borrowed: "scalar"; on x86-64 "avx2", "avxvnni", "avx512", "avx512bf16"; on 64-bit ARM
     * "neon", "dotprod", "i8mm"; NULL or "": the best. The module openblas also takes "blas", or
     * "blas:" and one of these: it multiplies all it can */
    const char *isa;
    /* borrowed: "cpu", which is built in, or the name of a module, whose first device gets all
     * layers that fit there and the host the rest. "auto": the accelerators that are found take
     * layers where the plan's bound says that this is faster than the host alone, and else the
     * host; a device that is not there or fails is no error, but a line of the log, and the bits of
     * the results depend on what is found. NULL or "": "cpu", whatever is found */
    const char *backend;
    const loam_hooks *hooks;           /* borrowed: its members are kept; NULL: none */
    const loam_device *const *devices; /* borrowed: where the model may lie, instead of backend */
    const char *modules; /* borrowed: the folder where modules are; NULL or "": the folder
                            loam-modules beside the library */
    const void *cache;   /* borrowed: what loam_cache_get() gave in an earlier run; NULL */
    size_t cache_bytes;
    const void *reserved_pointer; /* NULL */
} loam_options;                   /* 0.1 ends here */

/* Zero a struct and stamp its size. NULL is fine.
 * Since    0.1 */
LOAM_API void loam_options_init(loam_options *options);
LOAM_API void loam_hooks_init(loam_hooks *hooks);
LOAM_API void loam_device_init(loam_device *device);
LOAM_API void loam_source_init(loam_source *source);

/* Load a model. A name that ends in -00001-of-0000N.gguf brings its other parts along. Sequence 0
 * is open afterwards.
 *
 * path     borrowed; UTF-8, a GGUF file, which is mapped and must not change while the handle lives
 * options  borrowed; NULL: defaults
 * out      owned: the handle, also when loading failed, so that loam_error() can say why; NULL only
 *          with LOAM_ERR_NOMEM, or LOAM_ERR_ARG when path or out is NULL. Free it with loam_free().
 * Errors   LOAM_ERR_ARG, NEWER, NOMEM, IO, NOT_FOUND, DIRECTORY, EMPTY, MAGIC, VERSION, ENDIAN,
 *          TRUNCATED, CORRUPT, LIMIT, ARCH, METADATA, TENSOR_MISSING, TENSOR_SHAPE, TENSOR_TYPE,
 *          TOKENIZER, NOFIT, BACKEND
 * Threads  any
 * Source   EQ OM2.5: what is allocated is what loam_plan() says, on each device
 * Since    0.1 */
LOAM_API loam_status loam_load(const char *path, const loam_options *options, loam **out);

/* The same from sources: one, or the parts of a split model in order.
 *
 * parts    n_parts pointers, borrowed; the bytes or the read callback behind each are kept
 * Errors   as loam_load()
 * Since    0.1 */
LOAM_API loam_status loam_load_sources(const loam_source *const *parts, size_t n_parts,
                                       const loam_options *options, loam **out);

/* Free a handle and all that belongs to it; NULL is fine. While queues (queue.h) are open on it, it
 * stays until the last of them is closed.
 * Threads  no other call on this handle may be running
 * Since    0.1 */
LOAM_API void loam_free(loam *m);

/* What the backends learnt of their devices, such as compiled shaders, for the host to keep and to
 * give to a later load as options.cache, which is then quicker. Bytes of another version, driver or
 * machine do no harm.
 *
 * bytes    char[capacity]; n how many there are, also with LOAM_ERR_BUFFER; 0: nothing is worth
 *          keeping
 * Errors   LOAM_ERR_ARG, STATE, BUFFER, DEVICE
 * Since    0.1 */
LOAM_API loam_status loam_cache_get(loam *m, void *bytes, size_t capacity, size_t *n);

/* ---- Errors and facts ------------------------------------------------------------------------ */

/* The last failure of this handle as a sentence, "" if there was none; valid until the next call on
 * the handle.
 * m        borrowed; NULL gives a sentence that says so
 * Since    0.1 */
LOAM_API const char *loam_error(const loam *m);

/* The name of a status, such as "LOAM_ERR_FULL"; "unknown status" for a number that is none. Never
 * NULL.
 * Since    0.1 */
LOAM_API const char *loam_status_name(loam_status status);

/* "MAJOR.MINOR.PATCH" of the library at run time.
 * Since    0.1 */
LOAM_API const char *loam_version(void);

typedef struct loam_info {
    uint32_t struct_size; /* set by loam_info_init() */
    uint32_t vocabulary_tokens;
    uint32_t layers;
    uint32_t embedding_values; /* width of the residual stream */
    uint32_t context_tokens;   /* of a sequence in this handle */
    uint32_t trained_tokens;   /* context the model was trained for */
    uint32_t sequences;        /* most open at once */
    uint32_t threads;
    loam_token bos, eos; /* -1: the vocabulary has none */
    uint64_t parameters; /* weights, counted from the tensors */
    uint64_t weights_bytes;
    const char *architecture; /* these live as long as the handle; "" where unknown */
    const char *name;
    const char *isa;           /* instruction set in use */
    const char *chat_template; /* source text, NULL if the file has none */
} loam_info;                   /* 0.1 ends here */

LOAM_API void loam_info_init(loam_info *info);

/* Facts about a loaded model.
 * info     filled up to its struct_size
 * Errors   LOAM_ERR_ARG, LOAM_ERR_NEWER
 * Since    0.1 */
LOAM_API loam_status loam_get_info(loam *m, loam_info *info);

/* ---- Text ------------------------------------------------------------------------------------ */

enum {
    LOAM_TOKENIZE_SPECIAL = 1, /* add what the vocabulary wants at the start and end (BOS, EOS) */
    LOAM_TOKENIZE_CONTROL = 2  /* read control tokens such as <|im_end|> in the text as themselves;
                                  leave this off for text from users, which then stays text */
};

/* Turn text into tokens.
 *
 * text       borrowed; n bytes of UTF-8 (bytes that are not become byte tokens or replacement
 *            characters)
 * flags      LOAM_TOKENIZE_*
 * tokens     int32[capacity], caller's; may be NULL when capacity is 0
 * n_tokens   how many tokens the text has, also with LOAM_ERR_BUFFER
 * Errors     LOAM_ERR_ARG, TOKENIZER, BUFFER, NOMEM (temporary memory for long texts)
 * Since      0.1 */
LOAM_API loam_status loam_tokenize(loam *m, const char *text, size_t n, uint32_t flags,
                                   loam_token *tokens, size_t capacity, size_t *n_tokens);

enum { LOAM_DETOKENIZE_SKIP_CONTROL = 1 }; /* leave control tokens out of the text */

/* Turn a whole list of tokens back into bytes, which are the model's and so not always valid UTF-8.
 * No NUL is added.
 *
 * text     char[capacity]; n_bytes how many there are, also with LOAM_ERR_BUFFER
 * Errors   LOAM_ERR_ARG, TOKEN, TOKENIZER, BUFFER
 * Since    0.1 */
LOAM_API loam_status loam_detokenize(loam *m, const loam_token *tokens, size_t n, uint32_t flags,
                                     char *text, size_t capacity, size_t *n_bytes);

/* The bytes of one token alone: often no whole characters.
 *
 * text     char[capacity]; n_bytes how many there are, also with LOAM_ERR_BUFFER
 * Errors   LOAM_ERR_ARG, TOKEN, BUFFER, STATE
 * Since    0.1 */
LOAM_API loam_status loam_token_text(loam *m, loam_token token, char *text, size_t capacity,
                                     size_t *n_bytes);

/* Text that streams: holds back an unfinished UTF-8 character. Caller's; zero it with
 * loam_stream_init(). */
typedef struct loam_stream {
    uint32_t struct_size;
    uint32_t flags; /* LOAM_DETOKENIZE_* */
    uint32_t n_held;
    uint8_t held[4];
} loam_stream; /* 0.1 ends here */

LOAM_API void loam_stream_init(loam_stream *stream);

/* Add a token and take the text that is now complete: whole UTF-8 characters only, a broken one
 * becomes U+FFFD.
 *
 * token    -1 ends the text and gives what is held back (as U+FFFD)
 * text     char[capacity]; 256 is enough for most vocabularies; with LOAM_ERR_BUFFER nothing has
 *          changed
 * Errors   LOAM_ERR_ARG, TOKEN, TOKENIZER, BUFFER
 * Since    0.1 */
LOAM_API loam_status loam_stream_push(loam *m, loam_stream *stream, loam_token token, char *text,
                                      size_t capacity, size_t *n_bytes);

/* 1 if the token ends a generation (end of text, end of turn), else 0; also 0 for a NULL handle or
 * a wrong id.
 * Since    0.1 */
LOAM_API int32_t loam_token_is_end(loam *m, loam_token token);

/* ---- Chat ------------------------------------------------------------------------------------ */

/* Render messages through the model's own chat template (a Jinja subset).
 *
 * request  borrowed; n bytes, a JSON object such as {"messages": [{"role": ..., "content": ...}],
 *          "tools": null, "add_generation_prompt": true}; every member becomes a variable of the
 *          template; bos_token and eos_token are added where they are not given
 * text     char[capacity]; n_bytes how many there are, also with LOAM_ERR_BUFFER
 * Errors   LOAM_ERR_ARG, JSON, TEMPLATE (with the template's line), LIMIT, NOMEM, BUFFER
 * Since    0.1 */
LOAM_API loam_status loam_chat_render(loam *m, const char *request, size_t n, char *text,
                                      size_t capacity, size_t *n_bytes);

/* The same, as tokens: control tokens count where the template wrote them, and stay text inside
 * message content.
 * Errors   as loam_chat_render(), and TOKENIZER
 * Since    0.1 */
LOAM_API loam_status loam_chat_tokenize(loam *m, const char *request, size_t n, loam_token *tokens,
                                        size_t capacity, size_t *n_tokens);

/* Render any template text without a model: variables is a JSON object.
 *
 * hooks    borrowed, may be NULL; its clock is what strftime_now() sees
 * error    char[error_capacity], may be NULL: the sentence on failure, cut to fit, ends in NUL
 * Errors   as loam_chat_render()
 * Threads  any
 * Since    0.1 */
LOAM_API loam_status loam_template_render(const char *source, size_t n_source,
                                          const char *variables, size_t n_variables,
                                          const loam_hooks *hooks, char *text, size_t capacity,
                                          size_t *n_bytes, char *error, size_t error_capacity);

/* The way back: a reader takes a model's text, as it streams, apart into content, reasoning and
 * tool calls. How this model writes them is found by asking its chat template to render messages
 * whose parts are known, and, where the template leaves them out, by well-known marks in its
 * source.
 *
 *     loam_reader_open(m, request, n, &reader);       // the request that was rendered
 *     while (...) {                                   // text of loam_stream_push(), which must not
 *         loam_reader_push(reader, text, n_text);     // skip control tokens
 *         while (loam_reader_next(reader, &event) == LOAM_OK && event.kind != LOAM_READ_NONE)
 *             show(&event);
 *     }
 *     loam_reader_end(reader);                        // and take the last events
 *     loam_reader_message(reader, json, sizeof json, &n_json);
 *     loam_reader_close(reader);
 *
 * A mark that is cut by a push is held back until it is clear, and a call until it is whole: the
 * message does not depend on the cuts. Text never fails to be read: a call that is broken, or names
 * none of the tools where a model marks its calls by nothing, is content. White space next to marks
 * is dropped, and so are marks that end the turn. */
typedef struct loam_reader loam_reader;

/* Open a reader for the answer to a request, the JSON of loam_chat_render(): its tools give the
 * types of parameters, and with add_generation_prompt what the prompt ends with (as "<think>") is
 * taken into account. It renders the template some twenty times.
 *
 * reader   owned: close it with loam_reader_close(); NULL on failure. It keeps nothing of the
 *          handle but the alloc hook.
 * Errors   as loam_chat_render(), but a template that fails is read by its source
 * Since    0.1 */
LOAM_API loam_status loam_reader_open(loam *m, const char *request, size_t n, loam_reader **reader);

/* The same for any template text, without a model. bos_token and eos_token are variables like all
 * others.
 *
 * hooks    borrowed, may be NULL: its members are kept
 * error    char[error_capacity], may be NULL: the sentence on failure, cut to fit, ends in NUL
 * Errors   as loam_reader_open()
 * Threads  any
 * Since    0.1 */
LOAM_API loam_status loam_reader_open_source(const char *source, size_t n_source,
                                             const char *request, size_t n, const loam_hooks *hooks,
                                             loam_reader **reader, char *error,
                                             size_t error_capacity);

/* Free a reader; NULL is fine.
 * Since    0.1 */
LOAM_API void loam_reader_close(loam_reader *reader);

/* Read n more bytes of the model's text. Events that were not taken are dropped.
 *
 * text     borrowed; need not be whole characters, but events are cut where pushes are
 * Errors   LOAM_ERR_ARG, NOMEM
 *          LOAM_ERR_LIMIT              the message would be longer than 64 MiB
 *          LOAM_ERR_STATE              the message has ended
 * Threads  one at a time per reader, as for all calls on it
 * Since    0.1 */
LOAM_API loam_status loam_reader_push(loam_reader *reader, const char *text, size_t n);

/* The text has ended: what was held back becomes events. Again: nothing.
 * Errors   LOAM_ERR_ARG, NOMEM
 * Since    0.1 */
LOAM_API loam_status loam_reader_end(loam_reader *reader);

enum {
    LOAM_READ_NONE = 0,      /* there is no event now */
    LOAM_READ_CONTENT = 1,   /* more of the content */
    LOAM_READ_REASONING = 2, /* more of what the model thinks before it answers */
    LOAM_READ_CALL = 3,      /* a tool call begins: text is the function's name */
    LOAM_READ_ARGUMENTS = 4  /* more of a call's arguments, which are a JSON object in the end */
};

typedef struct loam_read_event {
    uint32_t struct_size; /* set by loam_read_event_init() */
    int32_t kind;         /* LOAM_READ_* */
    const char *text;     /* valid until the next push, end or close */
    size_t text_bytes;
    const char *id; /* of LOAM_READ_CALL: the model's, or one made of nine letters and digits */
    size_t id_bytes;
    uint32_t call;     /* number of the tool call, from 0 */
    uint32_t reserved; /* 0 */
} loam_read_event;     /* 0.1 ends here */

LOAM_API void loam_read_event_init(loam_read_event *event);

/* Take the oldest event; LOAM_READ_NONE if there is none.
 *
 * event    filled up to its struct_size
 * Errors   LOAM_ERR_ARG, NEWER
 * Since    0.1 */
LOAM_API loam_status loam_reader_next(loam_reader *reader, loam_read_event *event);

/* The message until now, whole after loam_reader_end(), as JSON:
 * {"role": "assistant", "content": "...", "reasoning_content": "...", "tool_calls":
 * [{"id": "...", "type": "function", "function": {"name": "...", "arguments": "{...}"}}]}
 * The last two members are there where there is something in them; arguments is JSON in a string.
 * Bytes that are not UTF-8 are U+FFFD.
 *
 * json     char[capacity]; n how many there are, also with LOAM_ERR_BUFFER
 * Errors   LOAM_ERR_ARG, NOMEM, LIMIT, BUFFER
 * Since    0.1 */
LOAM_API loam_status loam_reader_message(loam_reader *reader, char *json, size_t capacity,
                                         size_t *n);

/* The last failure of this reader as a sentence, "" if there was none; valid until the next call.
 * Since    0.1 */
LOAM_API const char *loam_reader_error(const loam_reader *reader);

/* ---- Sequences ------------------------------------------------------------------------------- */

/* Open an empty sequence.
 * Errors   LOAM_ERR_ARG, STATE, FULL (options.sequences are open)
 * Since    0.1 */
LOAM_API loam_status loam_seq_open(loam *m, loam_seq *seq);

/* Close a sequence and give its KV blocks back; its number is not valid any more. An unfinished
 * call is dropped.
 * Errors   LOAM_ERR_ARG, SEQ
 * Since    0.1 */
LOAM_API loam_status loam_seq_close(loam *m, loam_seq seq);

/* Open a sequence that begins with all of another's tokens; whole KV blocks are shared. Sampling
 * starts from the defaults; logits are copied.
 * Errors   LOAM_ERR_ARG, STATE, SEQ, FULL
 * Since    0.1 */
LOAM_API loam_status loam_seq_fork(loam *m, loam_seq seq, loam_seq *fork);

/* Forget all but the first n_tokens; more than it has is LOAM_ERR_ARG. Its logits are gone.
 * Errors   LOAM_ERR_ARG, SEQ
 * Since    0.1 */
LOAM_API loam_status loam_seq_truncate(loam *m, loam_seq seq, size_t n_tokens);

/* How many tokens a sequence holds.
 * Errors   LOAM_ERR_ARG, SEQ
 * Since    0.1 */
LOAM_API loam_status loam_seq_length(loam *m, loam_seq seq, size_t *n_tokens);

/* Save a whole generation as bytes: tokens, KV cells, logits, sampling and its random state. The
 * size depends on the tokens that the sequence holds. Saving drops an unfinished call. Allocates
 * nothing.
 *
 * state    char[capacity]; n_bytes how many there are, also with LOAM_ERR_BUFFER
 * Errors   LOAM_ERR_ARG, STATE, SEQ, BUFFER, IO
 * Since    0.1 */
LOAM_API loam_status loam_seq_save(loam *m, loam_seq seq, void *state, size_t capacity,
                                   size_t *n_bytes);

/* Open a sequence from saved bytes, in this process or another one: it goes on with the same bits
 * on the same instruction set. The handle may have other sizes, but the same model and KV cell
 * types. Its KV blocks are never shared with other sequences. A refused state changes nothing.
 * Allocates nothing. The state's checksum finds damage, not malice: tokens and cells are taken as
 * they are.
 *
 * state    borrowed; n bytes from loam_seq_save()
 * Errors   LOAM_ERR_ARG, STATE, MAGIC (no saved state), VERSION, TRUNCATED, CORRUPT, FOREIGN, IO,
 *          FULL (no free sequence, a longer text than options.context_tokens, or no KV blocks)
 * Since    0.1 */
LOAM_API loam_status loam_seq_restore(loam *m, const void *state, size_t n, loam_seq *seq);

/* What the KV cache holds and has saved. */
typedef struct loam_usage {
    uint32_t struct_size;     /* set by loam_usage_init() */
    uint32_t sequences;       /* open */
    uint32_t kv_block_tokens; /* positions in a block */
    uint32_t kv_blocks;       /* of the layers that see the whole context, or else of the others */
    uint32_t kv_blocks_used;  /* of these, by sequences; one that several share counts once */
    uint32_t kv_blocks_idle;  /* kept for prompts that begin like one of lately */
    uint64_t tokens_computed; /* since load: rows that went through the model */
    uint64_t tokens_shared;   /* since load: prompt tokens that were found in the cache instead */
} loam_usage;                 /* 0.1 ends here */

LOAM_API void loam_usage_init(loam_usage *usage);

/* Errors   LOAM_ERR_ARG, NEWER, STATE
 * Since    0.1 */
LOAM_API loam_status loam_get_usage(loam *m, loam_usage *usage);

/* ---- Compute --------------------------------------------------------------------------------- */

/* Append n tokens to a sequence and compute the logits that follow the last. Allocates nothing.
 *
 * seq      open; 0 is open after loading
 * tokens   borrowed; int32[n], n at least 1, each in [0, vocabulary size)
 * Shapes   afterwards loam_logits(m, seq) is float[vocabulary size]
 * Errors   LOAM_ERR_ARG, STATE, SEQ, TOKEN, FULL (longer than what is left of the context) nothing
 *          has changed
 *          LOAM_ERR_CANCELLED           as before the call
 *          LOAM_ERR_NOMEM               as before the call: a driver had no memory to take the work
 *          LOAM_ERR_DEADLINE            call again with the same arguments to go on; any other call
 *                                       drops the work
 *          LOAM_ERR_DEVICE              the device is gone; only loam_free() is left
 * Threads  one at a time per handle
 * Since    0.1 */
LOAM_API loam_status loam_prefill(loam *m, loam_seq seq, const loam_token *tokens, size_t n);

/* As loam_prefill(), and the logits of every position: for perplexity, evaluation and tests.
 * logits   float[n][vocabulary size], caller's; undefined unless LOAM_OK
 * Since    0.1 */
LOAM_API loam_status loam_prefill_logits(loam *m, loam_seq seq, const loam_token *tokens, size_t n,
                                         float *logits);

/* Append one token to each of n sequences and compute their next-token logits. Allocates nothing.
 *
 * seqs     borrowed; n open sequences, no two alike
 * tokens   borrowed; tokens[i] goes to seqs[i]
 * Errors   as loam_prefill(); on failure no sequence has changed
 * Source   EQ OM2.1, the bound its speed is measured against
 * Since    0.1 */
LOAM_API loam_status loam_decode(loam *m, const loam_seq *seqs, const loam_token *tokens, size_t n);

/* The logits of a sequence: float[vocabulary size], valid until the next call that changes it; NULL
 * if it has none.
 * Since    0.1 */
LOAM_API const float *loam_logits(loam *m, loam_seq seq);

/* Stop the compute call that is running, or else the next one, which returns LOAM_ERR_CANCELLED
 * within milliseconds.
 * Threads  any, at any time while the handle lives
 * Since    0.1 */
LOAM_API void loam_cancel(loam *m);

/* Give each later compute call a time budget, as a game gives each frame; 0: none.
 * Errors   LOAM_ERR_ARG
 * Since    0.1 */
LOAM_API loam_status loam_set_budget(loam *m, uint64_t budget_ns);

/* ---- Profile --------------------------------------------------------------------------------- */

/* What one kind of op has taken since the model was loaded. The parts are disjoint, so their sum is
 * within the time that the compute calls took; the difference of two readings is the time of what
 * was computed between them. */
typedef struct loam_profile {
    uint32_t struct_size; /* set by loam_profile_init() */
    loam_format type;     /* of the weights or KV cells that it touches; -1: none */
    uint64_t runs;
    uint64_t ns;
    uint32_t head; /* 1: of the head, which computes logits */
    uint32_t reserved;
    const char *name; /* "matmul", "attention", ... in the backend's words; lives as long as m */
    const void *reserved_pointer;
} loam_profile; /* 0.1 ends here */

LOAM_API void loam_profile_init(loam_profile *profile);

/* The parts that have run, in the order in which they did first: none without LOAM_LOAD_PROFILE. A
 * part keeps its number; new ones come behind. NULL has none.
 * Errors   LOAM_ERR_ARG (NULL, no such part), NEWER, STATE
 * Since    0.1 */
LOAM_API size_t loam_profile_count(loam *m);
LOAM_API loam_status loam_profile_get(loam *m, size_t i, loam_profile *profile);

/* ---- Sampling -------------------------------------------------------------------------------- */

/* How the next token is chosen. All zero: greedy. Order: penalties, top_k, top_p, min_p,
 * temperature, draw. */
typedef struct loam_sampling {
    uint32_t struct_size; /* set by loam_sampling_init() */
    float temperature;    /* 0: greedy, the largest logit, the lowest id on a tie */
    uint64_t seed;        /* same seed, same text; independent of other sequences */
    uint32_t top_k;       /* keep the k largest; 0: all */
    float top_p;          /* keep the fewest whose probabilities reach this; 0: all */
    float min_p;          /* keep those of at least this share of the largest probability; 0: all */
    float repeat_penalty; /* divide positive and multiply negative logits of recent tokens; 0 or 1:
                             off */
    float frequency_penalty; /* subtract this for each time a recent token occurred */
    float presence_penalty;  /* subtract this once if it occurred */
    uint32_t penalty_tokens; /* how many of the last tokens are recent; 0: 64 */
    uint32_t reserved;       /* 0 */
} loam_sampling;             /* 0.1 ends here */

LOAM_API void loam_sampling_init(loam_sampling *sampling);

/* Set how a sequence samples, and restart its random numbers from the seed. NULL: greedy.
 * Errors   LOAM_ERR_ARG (a value is negative or not finite), NEWER, STATE, SEQ
 * Since    0.1 */
LOAM_API loam_status loam_seq_sampling(loam *m, loam_seq seq, const loam_sampling *sampling);

/* Choose the next token of a sequence from its logits. It is not appended: give it to
 * loam_decode(). Allocates nothing.
 * Errors   LOAM_ERR_ARG, SEQ, STATE (no logits: prefill or decode first)
 * Since    0.1 */
LOAM_API loam_status loam_sample(loam *m, loam_seq seq, loam_token *token);

#ifdef __cplusplus
}
#endif
#endif
