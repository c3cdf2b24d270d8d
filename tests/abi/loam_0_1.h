/* What loam's headers declared in version 0.1, the first, kept as it was: a program that includes
 * this instead of today's headers was, for all that matters, compiled then. Never changes. */
#ifndef LOAM_0_1_H
#define LOAM_0_1_H

#include <stddef.h>
#include <stdint.h>

typedef struct loam loam;
typedef int32_t loam_status;
typedef int32_t loam_token;
typedef int32_t loam_seq;
typedef int32_t loam_format;

enum {
    LOAM_OK = 0,
    LOAM_ERR_ARG = -1,
    LOAM_ERR_NEWER = -2,
    LOAM_ERR_NOMEM = -3,
    LOAM_ERR_IO = -4,
    LOAM_ERR_NOT_FOUND = -5,
    LOAM_ERR_DIRECTORY = -6,
    LOAM_ERR_EMPTY = -7,
    LOAM_ERR_MAGIC = -8,
    LOAM_ERR_VERSION = -9,
    LOAM_ERR_ENDIAN = -10,
    LOAM_ERR_TRUNCATED = -11,
    LOAM_ERR_CORRUPT = -12,
    LOAM_ERR_LIMIT = -13,
    LOAM_ERR_ARCH = -14,
    LOAM_ERR_METADATA = -15,
    LOAM_ERR_TENSOR_MISSING = -16,
    LOAM_ERR_TENSOR_SHAPE = -17,
    LOAM_ERR_TENSOR_TYPE = -18,
    LOAM_ERR_TOKENIZER = -19,
    LOAM_ERR_TEMPLATE = -20,
    LOAM_ERR_JSON = -21,
    LOAM_ERR_NOFIT = -22,
    LOAM_ERR_FULL = -23,
    LOAM_ERR_TOKEN = -24,
    LOAM_ERR_SEQ = -25,
    LOAM_ERR_BUFFER = -26,
    LOAM_ERR_STATE = -27,
    LOAM_ERR_CANCELLED = -28,
    LOAM_ERR_DEADLINE = -29,
    LOAM_ERR_DEVICE = -30,
    LOAM_ERR_BACKEND = -31,
    LOAM_ERR_UNSUPPORTED = -32,
    LOAM_ERR_INTERNAL = -33,
    LOAM_ERR_FOREIGN = -34
};

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

enum { LOAM_LOG_ERROR = 1, LOAM_LOG_WARN = 2, LOAM_LOG_INFO = 3, LOAM_LOG_DEBUG = 4 };
typedef void (*loam_task)(void *arg, uint32_t index);

typedef struct loam_hooks {
    uint32_t struct_size;
    uint32_t flags;
    void *(*alloc)(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes, size_t align);
    void *alloc_ctx;
    void (*log)(void *ctx, int32_t level, const char *text);
    void *log_ctx;
    void (*parallel)(void *ctx, loam_task task, void *arg, uint32_t n);
    void *parallel_ctx;
    int64_t (*clock)(void *ctx);
    void *clock_ctx;
} loam_hooks;

typedef struct loam_source {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t size_bytes;
    const void *data;
    void *ctx;
    int32_t (*read)(void *ctx, uint64_t offset, void *buffer, size_t n);
    void *reserved;
} loam_source;

enum {
    LOAM_LOAD_VOCAB = 1,
    LOAM_LOAD_PACK = 2,
    LOAM_LOAD_MAP = 8,
    LOAM_LOAD_NO_SHARING = 4,
    LOAM_LOAD_PROFILE = 16
};

enum {
    LOAM_KV_DEFAULT = 0,
    LOAM_KV_F32 = 1,
    LOAM_KV_F16 = 2,
    LOAM_KV_BF16 = 3,
    LOAM_KV_Q8_0 = 4,
    LOAM_KV_Q4_0 = 5
};

typedef struct loam_device {
    uint32_t struct_size;
    uint32_t index;
    const char *backend;
    uint64_t memory_limit_bytes;
    int32_t layers;
    uint32_t reserved;
    const void *native;
    const void *reserved_pointer;
} loam_device;

typedef struct loam_options {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t memory_limit_bytes;
    uint64_t kv_tokens;
    uint32_t context_tokens;
    uint32_t sequences;
    uint32_t threads;
    uint32_t step_tokens;
    int32_t kv_type;
    int32_t v_type;
    uint32_t kv_block_tokens;
    uint32_t n_devices;
    const char *isa;
    const char *backend;
    const loam_hooks *hooks;
    const loam_device *const *devices;
    const char *modules;
    const void *cache;
    size_t cache_bytes;
    const void *reserved_pointer;
} loam_options;

void loam_options_init(loam_options *options);
void loam_hooks_init(loam_hooks *hooks);
void loam_device_init(loam_device *device);
void loam_source_init(loam_source *source);
loam_status loam_load(const char *path, const loam_options *options, loam **out);
loam_status loam_load_sources(const loam_source *const *parts, size_t n_parts,
                              const loam_options *options, loam **out);
void loam_free(loam *m);
loam_status loam_cache_get(loam *m, void *bytes, size_t capacity, size_t *n);
const char *loam_error(const loam *m);
const char *loam_status_name(loam_status status);
const char *loam_version(void);

typedef struct loam_info {
    uint32_t struct_size;
    uint32_t vocabulary_tokens;
    uint32_t layers;
    uint32_t embedding_values;
    uint32_t context_tokens;
    uint32_t trained_tokens;
    uint32_t sequences;
    uint32_t threads;
    loam_token bos, eos;
    uint64_t parameters;
    uint64_t weights_bytes;
    const char *architecture;
    const char *name;
    const char *isa;
    const char *chat_template;
} loam_info;

void loam_info_init(loam_info *info);
loam_status loam_get_info(loam *m, loam_info *info);

enum { LOAM_TOKENIZE_SPECIAL = 1, LOAM_TOKENIZE_CONTROL = 2 };

loam_status loam_tokenize(loam *m, const char *text, size_t n, uint32_t flags, loam_token *tokens,
                          size_t capacity, size_t *n_tokens);

enum { LOAM_DETOKENIZE_SKIP_CONTROL = 1 };
loam_status loam_detokenize(loam *m, const loam_token *tokens, size_t n, uint32_t flags, char *text,
                            size_t capacity, size_t *n_bytes);
loam_status loam_token_text(loam *m, loam_token token, char *text, size_t capacity,
                            size_t *n_bytes);

typedef struct loam_stream {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t n_held;
    uint8_t held[4];
} loam_stream;

void loam_stream_init(loam_stream *stream);
loam_status loam_stream_push(loam *m, loam_stream *stream, loam_token token, char *text,
                             size_t capacity, size_t *n_bytes);
int32_t loam_token_is_end(loam *m, loam_token token);
loam_status loam_chat_render(loam *m, const char *request, size_t n, char *text, size_t capacity,
                             size_t *n_bytes);
loam_status loam_chat_tokenize(loam *m, const char *request, size_t n, loam_token *tokens,
                               size_t capacity, size_t *n_tokens);
loam_status loam_template_render(const char *source, size_t n_source, const char *variables,
                                 size_t n_variables, const loam_hooks *hooks, char *text,
                                 size_t capacity, size_t *n_bytes, char *error,
                                 size_t error_capacity);
loam_status loam_seq_open(loam *m, loam_seq *seq);
loam_status loam_seq_close(loam *m, loam_seq seq);
loam_status loam_seq_fork(loam *m, loam_seq seq, loam_seq *fork);
loam_status loam_seq_truncate(loam *m, loam_seq seq, size_t n_tokens);
loam_status loam_seq_length(loam *m, loam_seq seq, size_t *n_tokens);
loam_status loam_seq_save(loam *m, loam_seq seq, void *state, size_t capacity, size_t *n_bytes);
loam_status loam_seq_restore(loam *m, const void *state, size_t n, loam_seq *seq);

typedef struct loam_usage {
    uint32_t struct_size;
    uint32_t sequences;
    uint32_t kv_block_tokens;
    uint32_t kv_blocks;
    uint32_t kv_blocks_used;
    uint32_t kv_blocks_idle;
    uint64_t tokens_computed;
    uint64_t tokens_shared;
} loam_usage;

void loam_usage_init(loam_usage *usage);
loam_status loam_get_usage(loam *m, loam_usage *usage);
loam_status loam_prefill(loam *m, loam_seq seq, const loam_token *tokens, size_t n);
loam_status loam_prefill_logits(loam *m, loam_seq seq, const loam_token *tokens, size_t n,
                                float *logits);
loam_status loam_decode(loam *m, const loam_seq *seqs, const loam_token *tokens, size_t n);
const float *loam_logits(loam *m, loam_seq seq);
void loam_cancel(loam *m);
loam_status loam_set_budget(loam *m, uint64_t budget_ns);

typedef struct loam_profile {
    uint32_t struct_size;
    loam_format type;
    uint64_t runs;
    uint64_t ns;
    uint32_t head;
    uint32_t reserved;
    const char *name;
    const void *reserved_pointer;
} loam_profile;

void loam_profile_init(loam_profile *profile);
size_t loam_profile_count(loam *m);
loam_status loam_profile_get(loam *m, size_t i, loam_profile *profile);

typedef struct loam_sampling {
    uint32_t struct_size;
    float temperature;
    uint64_t seed;
    uint32_t top_k;
    float top_p;
    float min_p;
    float repeat_penalty;
    float frequency_penalty;
    float presence_penalty;
    uint32_t penalty_tokens;
    uint32_t reserved;
} loam_sampling;

void loam_sampling_init(loam_sampling *sampling);
loam_status loam_seq_sampling(loam *m, loam_seq seq, const loam_sampling *sampling);
loam_status loam_sample(loam *m, loam_seq seq, loam_token *token);
typedef struct loam_gguf loam_gguf;

enum {
    LOAM_META_U8 = 0,
    LOAM_META_I8 = 1,
    LOAM_META_U16 = 2,
    LOAM_META_I16 = 3,
    LOAM_META_U32 = 4,
    LOAM_META_I32 = 5,
    LOAM_META_F32 = 6,
    LOAM_META_BOOL = 7,
    LOAM_META_STRING = 8,
    LOAM_META_ARRAY = 9,
    LOAM_META_U64 = 10,
    LOAM_META_I64 = 11,
    LOAM_META_F64 = 12
};

loam_status loam_gguf_open(const char *path, const loam_hooks *hooks, loam_gguf **out);
loam_status loam_gguf_open_sources(const loam_source *const *parts, size_t n_parts,
                                   const loam_hooks *hooks, loam_gguf **out);
const char *loam_gguf_error(const loam_gguf *g);
void loam_gguf_close(loam_gguf *g);
uint32_t loam_gguf_version(const loam_gguf *g);
size_t loam_gguf_parts(const loam_gguf *g);
size_t loam_gguf_meta_count(const loam_gguf *g);
size_t loam_gguf_tensor_count(const loam_gguf *g);

typedef struct loam_gguf_meta {
    uint32_t struct_size;
    int32_t type;
    int32_t element_type;
    uint32_t reserved;
    uint64_t count;
    const char *key;
    const void *reserved_pointer;
} loam_gguf_meta;

typedef struct loam_gguf_tensor {
    uint32_t struct_size;
    loam_format type;
    uint32_t n_dims;
    uint32_t part;
    uint64_t dims[4];
    uint64_t offset_bytes;
    uint64_t size_bytes;
    const char *name;
    const void *data;
} loam_gguf_tensor;

void loam_gguf_meta_init(loam_gguf_meta *meta);
void loam_gguf_tensor_init(loam_gguf_tensor *tensor);
loam_status loam_gguf_get_meta(const loam_gguf *g, size_t i, loam_gguf_meta *meta);
loam_status loam_gguf_get_tensor(const loam_gguf *g, size_t i, loam_gguf_tensor *tensor);
int64_t loam_gguf_find_meta(const loam_gguf *g, const char *key);
int64_t loam_gguf_find_tensor(const loam_gguf *g, const char *name);
loam_status loam_gguf_get_u64(const loam_gguf *g, size_t i, uint64_t e, uint64_t *value);
loam_status loam_gguf_get_i64(const loam_gguf *g, size_t i, uint64_t e, int64_t *value);
loam_status loam_gguf_get_f64(const loam_gguf *g, size_t i, uint64_t e, double *value);
loam_status loam_gguf_get_string(const loam_gguf *g, size_t i, uint64_t e, const char **text,
                                 size_t *n);

typedef struct loam_format_info {
    uint32_t struct_size;
    loam_format type;
    uint32_t block_values;
    uint32_t block_bytes;
    const char *name;
    void *reserved;
} loam_format_info;

void loam_format_info_init(loam_format_info *info);
loam_status loam_format_describe(loam_format type, loam_format_info *info);
loam_status loam_quant_decode(loam_format type, const void *blocks, float *values, size_t n);
typedef struct loam_plan loam_plan;
loam_status loam_plan_file(const char *path, const loam_options *options, loam_plan **out);

typedef struct loam_plan_geometry {
    uint32_t struct_size;
    uint32_t layers;
    double parameters;
    double bits_per_weight;
    uint32_t kv_heads;
    uint32_t head_values;
    uint64_t overhead_bytes;
    uint64_t kv_bytes;
    double expert_parameters;
    uint32_t experts;
    uint32_t experts_used;
    uint32_t vocabulary_tokens;
    uint32_t embedding_values;
} loam_plan_geometry;

void loam_plan_geometry_init(loam_plan_geometry *geometry);
loam_status loam_plan_describe(const loam_plan_geometry *geometry, const loam_options *options,
                               loam_plan **out);
const char *loam_plan_error(const loam_plan *plan);
void loam_plan_free(loam_plan *plan);

typedef struct loam_plan_target {
    uint32_t struct_size;
    uint32_t is_host;
    uint64_t memory_bytes;
    double bandwidth_bytes_s;
    double link_bytes_s;
    double link_seconds;
    const char *name;
    const void *reserved;
} loam_plan_target;

typedef struct loam_plan_pin {
    uint32_t first_layer, last_layer;
    uint32_t target;
    uint32_t reserved;
} loam_plan_pin;

typedef struct loam_plan_machine {
    uint32_t struct_size;
    uint32_t n_targets;
    uint32_t n_pins;
    uint32_t reserved;
    double fill;
    const loam_plan_target *const *targets;
    const loam_plan_pin *pins;
} loam_plan_machine;

void loam_plan_target_init(loam_plan_target *target);
void loam_plan_machine_init(loam_plan_machine *machine);
loam_status loam_plan_place_file(const char *path, const loam_options *options,
                                 const loam_plan_machine *machine, loam_plan **out);
loam_status loam_plan_place_describe(const loam_plan_geometry *geometry,
                                     const loam_options *options, const loam_plan_machine *machine,
                                     loam_plan **out);

typedef struct loam_plan_totals {
    uint32_t struct_size;
    uint32_t fits;
    uint64_t weights_bytes;
    uint64_t weights_mapped_bytes;
    uint64_t kv_bytes;
    uint64_t overhead_bytes;
    uint64_t total_bytes;
    uint64_t shared_bytes;
    uint64_t private_bytes;
    uint64_t peak_resident_bytes;
    uint64_t limit_bytes;
    uint64_t token_read_bytes;
    uint64_t kv_token_bytes;
    double parameters;
    double bits_per_weight;
    double fill;
    uint32_t context_tokens;
    uint32_t sequences;
    uint32_t block_tokens;
    uint32_t blocks_per_sequence;
    uint64_t token_products;
} loam_plan_totals;

enum { LOAM_PLAN_HOST = 1, LOAM_PLAN_EMBEDDING = 2, LOAM_PLAN_OUTPUT = 4, LOAM_PLAN_EXPERTS = 8 };

typedef struct loam_plan_device {
    uint32_t struct_size;
    uint32_t layers;
    uint64_t bytes;
    uint64_t limit_bytes;
    double token_seconds;
    uint32_t first_layer;
    uint32_t flags;
    const char *name;
    const void *reserved;
} loam_plan_device;

typedef struct loam_plan_area {
    uint32_t struct_size;
    uint32_t device;
    uint64_t bytes;
    const char *name;
    const void *reserved;
} loam_plan_area;

typedef struct loam_plan_bound {
    uint32_t struct_size;
    uint32_t context_tokens;
    uint64_t weights_bytes;
    uint64_t kv_bytes;
    double token_seconds;
    double tok_s;
} loam_plan_bound;

void loam_plan_totals_init(loam_plan_totals *totals);
void loam_plan_device_init(loam_plan_device *device);
void loam_plan_area_init(loam_plan_area *area);
void loam_plan_bound_init(loam_plan_bound *bound);
loam_status loam_plan_get_totals(const loam_plan *plan, loam_plan_totals *totals);
size_t loam_plan_device_count(const loam_plan *plan);
loam_status loam_plan_get_device(const loam_plan *plan, size_t i, loam_plan_device *device);
size_t loam_plan_area_count(const loam_plan *plan);
loam_status loam_plan_get_area(const loam_plan *plan, size_t i, loam_plan_area *area);
int32_t loam_plan_layer_device(const loam_plan *plan, uint32_t layer);
loam_status loam_plan_get_bound(const loam_plan *plan, uint32_t context_tokens,
                                double bandwidth_bytes_s, loam_plan_bound *bound);
loam_status loam_plan_sequences_fit(const loam_plan *plan, uint32_t mean_tokens,
                                    uint32_t *sequences);

enum {
    LOAM_CHANGE_SEQUENCES = 1,
    LOAM_CHANGE_KV_TOKENS = 2,
    LOAM_CHANGE_KV_TYPE = 3,
    LOAM_CHANGE_CONTEXT = 4,
    LOAM_CHANGE_FORMAT = 5
};

typedef struct loam_plan_change {
    uint32_t struct_size;
    int32_t kind;
    double value;
    uint64_t total_bytes;
    uint32_t choice;
    uint32_t reserved;
    const char *name;
    const void *reserved_pointer;
} loam_plan_change;

void loam_plan_change_init(loam_plan_change *change);
size_t loam_plan_change_count(const loam_plan *plan);
loam_status loam_plan_get_change(const loam_plan *plan, size_t i, loam_plan_change *change);

typedef struct loam_quality {
    uint32_t struct_size;
    uint32_t beaten;
    double bits_per_weight;
    double perplexity_percent;
    const char *name;
    const void *reserved;
} loam_quality;

void loam_quality_init(loam_quality *quality);
size_t loam_quality_count(void);
loam_status loam_quality_get(size_t i, loam_quality *quality);
loam_status loam_quality_find(const char *name, loam_quality *quality);
double loam_quality_at(double bits_per_weight);
typedef struct loam_queue loam_queue;

typedef struct loam_queue_options {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t requests;
    uint32_t request_tokens;
    uint32_t step_tokens;
    uint32_t stop_bytes;
} loam_queue_options;

void loam_queue_options_init(loam_queue_options *options);
loam_status loam_queue_open(loam *m, const loam_queue_options *options, loam_queue **q);
void loam_queue_close(loam_queue *q);

enum { LOAM_SUBMIT_IGNORE_END = 1, LOAM_SUBMIT_SKIP_CONTROL = 2 };

typedef struct loam_submission {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t tag;
    int32_t priority;
    uint32_t max_tokens;
    const loam_token *tokens;
    size_t n_tokens;
    const loam_sampling *sampling;
    const char *const *stops;
    const size_t *stop_bytes;
    size_t n_stops;
} loam_submission;

void loam_submission_init(loam_submission *submission);
loam_status loam_queue_submit(loam_queue *q, const loam_submission *submission, uint64_t *request);
loam_status loam_queue_cancel(loam_queue *q, uint64_t request);
loam_status loam_queue_step(loam_queue *q);
int32_t loam_queue_idle(loam_queue *q);

enum { LOAM_EVENT_NONE = 0, LOAM_EVENT_TOKEN = 1, LOAM_EVENT_FINISHED = 2 };

enum {
    LOAM_FINISH_NONE = 0,
    LOAM_FINISH_END = 1,
    LOAM_FINISH_STOP = 2,
    LOAM_FINISH_LENGTH = 3,
    LOAM_FINISH_CANCELLED = 4,
    LOAM_FINISH_ERROR = 5
};

typedef struct loam_queue_event {
    uint32_t struct_size;
    int32_t kind;
    uint64_t request, tag;
    const char *text;
    size_t text_bytes;
    loam_token token;
    int32_t finish;
    loam_status status;
    uint32_t prompt_tokens;
    uint32_t shared_tokens;
    uint32_t answer_tokens;
    uint32_t suspensions;
    uint32_t reserved;
} loam_queue_event;

void loam_queue_event_init(loam_queue_event *event);
loam_status loam_queue_next(loam_queue *q, loam_queue_event *event);

typedef struct loam_queue_stats {
    uint32_t struct_size;
    uint32_t running, waiting;
    uint32_t most_running;
    uint64_t unused_cells;
    uint64_t steps;
    uint64_t computed_tokens;
    uint64_t shared_tokens;
    uint64_t answer_tokens;
    uint64_t suspensions;
} loam_queue_stats;

void loam_queue_stats_init(loam_queue_stats *stats);
loam_status loam_queue_get_stats(loam_queue *q, loam_queue_stats *stats);

/* Their sizes where pointers have eight bytes. */
#if UINTPTR_MAX == UINT64_MAX
_Static_assert(sizeof(loam_hooks) == 72, "loam_hooks");
_Static_assert(sizeof(loam_source) == 48, "loam_source");
_Static_assert(sizeof(loam_device) == 48, "loam_device");
_Static_assert(sizeof(loam_options) == 120, "loam_options");
_Static_assert(sizeof(loam_info) == 88, "loam_info");
_Static_assert(sizeof(loam_stream) == 16, "loam_stream");
_Static_assert(sizeof(loam_usage) == 40, "loam_usage");
_Static_assert(sizeof(loam_profile) == 48, "loam_profile");
_Static_assert(sizeof(loam_sampling) == 48, "loam_sampling");
_Static_assert(sizeof(loam_gguf_meta) == 40, "loam_gguf_meta");
_Static_assert(sizeof(loam_gguf_tensor) == 80, "loam_gguf_tensor");
_Static_assert(sizeof(loam_format_info) == 32, "loam_format_info");
_Static_assert(sizeof(loam_plan_geometry) == 72, "loam_plan_geometry");
_Static_assert(sizeof(loam_plan_target) == 56, "loam_plan_target");
_Static_assert(sizeof(loam_plan_pin) == 16, "loam_plan_pin");
_Static_assert(sizeof(loam_plan_machine) == 40, "loam_plan_machine");
_Static_assert(sizeof(loam_plan_totals) == 144, "loam_plan_totals");
_Static_assert(sizeof(loam_plan_device) == 56, "loam_plan_device");
_Static_assert(sizeof(loam_plan_area) == 32, "loam_plan_area");
_Static_assert(sizeof(loam_plan_bound) == 40, "loam_plan_bound");
_Static_assert(sizeof(loam_plan_change) == 48, "loam_plan_change");
_Static_assert(sizeof(loam_quality) == 40, "loam_quality");
_Static_assert(sizeof(loam_queue_options) == 24, "loam_queue_options");
_Static_assert(sizeof(loam_submission) == 72, "loam_submission");
_Static_assert(sizeof(loam_queue_event) == 72, "loam_queue_event");
_Static_assert(sizeof(loam_queue_stats) == 64, "loam_queue_stats");
#endif
#endif
