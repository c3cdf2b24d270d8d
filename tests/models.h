/* Reference data of models: token lists and arrays of floats, and how far two arrays are apart. */
#ifndef LOAM_TEST_MODELS_H
#define LOAM_TEST_MODELS_H

#include <loam/loam.h>
#include <math.h>

#include "test.h"

/* Files of tests/data/make_models.py, written when the tests are built. */
#define OWN(path) LOAM_TEST_DATA "/" path

/* The real models, in the folder that LOAM_MODELS names. */
#define SMOLLM2 "SmolLM2-135M-Instruct.Q4_1.gguf"
#define GEMMA3  "gemma-3-270m-q4_k_m.gguf"

/* The reference data's models that this version runs. */
static const char *const reference_models[] = {
    "tiny/llama-gqa",         "tiny/llama-tied",      "tiny/llama-attn-bias", "tiny/llama-mlp-bias",
    "tiny/llama-rope-linear", "tiny/llama-rope-yarn", "tiny/llama-ropefreqs", "tiny/gemma3",
    "quant/llama-bf16",       "quant/llama-q8_0",     "quant/llama-q4_0",     "quant/llama-q4_1",
    "quant/llama-q5_0",       "quant/llama-q5_1",     "quant/llama-q4_k",     "quant/llama-q5_k",
    "quant/llama-q6_k",       "quant/llama-q2_k",     "quant/llama-q3_k",     "quant/llama-iq4_nl",
    "quant/llama-iq4_xs",     "quant/llama-tq1_0",    "quant/llama-tq2_0",    "quant/llama-mxfp4",
    "quant/llama-nvfp4",      "quant/llama-q1_0",     "quant/gemma3-q4_0",    "quant/gemma3-q4_k_m",
    "quant/gemma3-iq4_xs",    "quant/llama-iq2_xxs",  "quant/llama-iq2_xs",   "quant/llama-iq2_s",
    "quant/llama-iq3_xxs",    "quant/llama-iq3_s",    "quant/llama-iq1_s",    "quant/llama-iq1_m",
};
#define N_REFERENCE_MODELS (sizeof reference_models / sizeof *reference_models)

/* The path of a real model, or the test is skipped. */
static inline void find_model(const char *file, char path[512])
{
    const char *folder = getenv("LOAM_MODELS");
    if (!folder) skip();
    snprintf(path, 512, "%s/%s", folder, file);
    FILE *f = fopen(path, "rb");
    if (!f) skip();
    fclose(f);
}

/* All bytes of a file, to be freed; the test fails without it. */
static inline char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    *n = 0;
    if (!f) fail_msg("%s is missing", path);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *bytes = malloc(*n + 1);
    assert_non_null(bytes);
    if (fread(bytes, 1, *n, f) != *n) fail_msg("%s cannot be read", path);
    fclose(f);
    return bytes;
}

static inline float *read_floats(const char *path, size_t *n)
{
    float *values = (float *)(void *)read_file(path, n);
    *n /= sizeof *values;
    return values;
}

static inline size_t read_ids(const char *path, loam_token *ids, size_t capacity)
{
    size_t n = 0;
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    while (n < capacity && fscanf(f, "%d", &ids[n]) == 1)
        n++;
    fclose(f);
    return n;
}

typedef struct distance {
    double most, squares;
    size_t n;
} distance;

static inline void measure(distance *d, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double delta = fabs((double)a[i] - (double)b[i]);
        if (isnan(delta)) delta = INFINITY;
        if (delta > d->most) d->most = delta;
        d->squares += delta * delta;
    }
    d->n += n;
}

static inline double rms(const distance *d)
{
    return sqrt(d->squares / (double)d->n);
}

/* The modules that the build makes, where it finds what they need. */
static const char *const module_names[] = {"openblas", "vulkan"};

static inline int is_module(const char *target)
{
    for (size_t i = 0; target && i < sizeof module_names / sizeof *module_names; i++)
        if (strcmp(target, module_names[i]) == 0) return 1;
    return 0;
}

/* Compute with an instruction set of the CPU, or with a module: openblas always, not only where it
 * is faster. */
static inline void set_target(loam_options *options, const char *target)
{
    options->modules = LOAM_MODULES;
    if (is_module(target)) options->backend = target;
    else options->isa = target;
    if (target && strcmp(target, "openblas") == 0) options->isa = "blas";
}

typedef struct model_options {
    const char *isa; /* or a module: see set_target() */
    uint32_t threads, context, step, sequences;
    int32_t kv, v;  /* LOAM_KV_*; 0: F32, and v as kv */
    uint32_t flags; /* LOAM_LOAD_* */
} model_options;

/* Load or fail the test with loam's own sentence. */
static inline loam *load_model(const char *path, model_options o)
{
    loam *m = NULL;
    loam_options options;
    loam_options_init(&options);
    set_target(&options, o.isa);
    options.threads = o.threads ? o.threads : 1;
    options.context_tokens = o.context ? o.context : 256;
    options.step_tokens = o.step;
    options.sequences = o.sequences;
    options.kv_type = o.kv ? o.kv : LOAM_KV_F32;
    options.v_type = o.v;
    options.flags = o.flags;
    if (loam_load(path, &options, &m) != LOAM_OK) fail_msg("%s: %s", path, loam_error(m));
    return m;
}

static inline uint32_t vocabulary_of(loam *m)
{
    loam_info info;
    loam_info_init(&info);
    assert_int_equal(loam_get_info(m, &info), LOAM_OK);
    return info.vocabulary_tokens;
}

/* Whether this machine runs an instruction set. */
static inline int has_isa(const char *isa)
{
    loam *m = NULL;
    loam_options options;
    loam_options_init(&options);
    set_target(&options, isa);
    options.threads = 1;
    int has = loam_load(OWN("tiny-llama.gguf"), &options, &m) == LOAM_OK;
    loam_free(m);
    return has;
}

/* Those of the targets that are here; skips the test when there is none. */
static inline void on_each(const char *const *targets, size_t n, void (*check)(const char *target))
{
    int found = 0;
    for (size_t i = 0; i < n; i++)
        if (has_isa(targets[i])) {
            check(targets[i]);
            found++;
        }
    if (!found) skip();
}

/* Every module that is there, with devices. */
static inline void on_each_module(void (*check)(const char *module))
{
    on_each(module_names, sizeof module_names / sizeof *module_names, check);
}

/* Every SIMD instruction set that this machine runs. */
static inline void on_each_simd(void (*check)(const char *isa))
{
    static const char *const sets[] = {"avx2", "avxvnni", "avx512", "avx512bf16",
                                       "neon", "dotprod", "i8mm"};
    on_each(sets, sizeof sets / sizeof *sets, check);
}

#endif
