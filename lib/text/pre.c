#define PCRE2_CODE_UNIT_WIDTH 8
#include "pre.h"

#include <pcre2.h>
#include <string.h>

#include "lib/base/utf8.h"

struct loam__patterns {
    loam__base *base;
    pcre2_general_context *memory;
    pcre2_code *codes[LOAM__PATTERNS_MAX];
    size_t n;
};

/* PCRE2's memory. It fills what it uses, so that zeroing is not needed but harmless. */
static void *pcre2_alloc(PCRE2_SIZE n, void *base)
{
    return loam__alloc(base, n);
}

static void pcre2_release(void *p, void *base)
{
    loam__free(base, p);
}

static loam_status compile(loam__base *b, loam__patterns *p, const char *pattern)
{
    int error;
    PCRE2_SIZE at;
    pcre2_compile_context *context = pcre2_compile_context_create(p->memory);
    if (!context) return LOAM_ERR_NOMEM;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                      PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error, &at, context);
    pcre2_compile_context_free(context);
    if (!code) {
        if (error == PCRE2_ERROR_HEAP_FAILED) return LOAM_ERR_NOMEM;
        return loam__fail(b, LOAM_ERR_INTERNAL,
                          "PCRE2 refuses the pattern '%s' at %zu with error %d; link a newer PCRE2",
                          pattern, (size_t)at, error);
    }
    p->codes[p->n++] = code;
    pcre2_jit_compile(code,
                      PCRE2_JIT_COMPLETE); /* without it the interpreter gives the same answers */
    return LOAM_OK;
}

loam_status loam__patterns_new(loam__base *b, const loam__pre *pre, loam__patterns **out)
{
    loam_status st = LOAM_OK;
    loam__patterns *p = *out = loam__alloc(b, sizeof *p);
    if (!p) return LOAM_ERR_NOMEM;
    p->base = b;
    p->memory = pcre2_general_context_create(pcre2_alloc, pcre2_release, b);
    if (!p->memory) st = LOAM_ERR_NOMEM;
    for (size_t i = 0; st == LOAM_OK && i < LOAM__PATTERNS_MAX && pre->patterns[i]; i++)
        st = compile(b, p, pre->patterns[i]);
    if (st == LOAM_OK) return LOAM_OK;
    loam__patterns_free(p);
    *out = NULL;
    return st;
}

void loam__patterns_free(loam__patterns *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n; i++)
        pcre2_code_free(p->codes[i]);
    pcre2_general_context_free(p->memory);
    loam__free(p->base, p);
}

/* ---- splitting ---- */

typedef struct run {
    const loam__patterns *patterns;
    loam__base *base;
    pcre2_match_data *match;
    pcre2_match_context *limits;
    loam__word_fn fn;
    void *ctx;
} run;

/* The next match at or after *start; false: none, or *st says what failed. */
static bool next_match(const run *r, const pcre2_code *code, const char *text, size_t n,
                       size_t *start, size_t *end, loam_status *st)
{
    uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int rc = pcre2_match(code, (PCRE2_SPTR)text, n, *start, options, r->match, r->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(code, (PCRE2_SPTR)text, n, *start, options | PCRE2_NO_JIT, r->match,
                         r->limits);
    *st = LOAM_OK;
    if (rc == PCRE2_ERROR_NOMATCH) return false;
    if (rc == PCRE2_ERROR_NOMEMORY) {
        *st = LOAM_ERR_NOMEM;
    } else if (rc < 0) {
        *st = loam__fail(r->base, LOAM_ERR_LIMIT,
                         "cutting a text of %zu bytes into words ended with PCRE2's error %d; "
                         "tokenize it in parts",
                         n, rc);
    } else {
        const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(r->match);
        *start = bounds[0];
        *end = bounds[1];
    }
    return *st == LOAM_OK;
}

/* Recursion ends at the number of patterns. */
static loam_status split(const run *r, size_t level, const char *text, size_t n)
{
    size_t at = 0, start = 0, end = 0;
    loam_status st = LOAM_OK;
    if (level == r->patterns->n) return r->fn(r->ctx, text, n);
    while (at < n && next_match(r, r->patterns->codes[level], text, n, &start, &end, &st)) {
        if (start > at) st = split(r, level + 1, text + at, start - at);
        if (st == LOAM_OK) st = split(r, level + 1, text + start, end - start);
        if (st != LOAM_OK) return st;
        at = start = end;
    }
    return st == LOAM_OK && at < n ? split(r, level + 1, text + at, n - at) : st;
}

static size_t invalid_run(const char *text, size_t n)
{
    size_t i = 0;
    while (i < n) {
        loam__utf8_state state;
        size_t step = loam__utf8_scan(text + i, n - i, &state);
        if (state == LOAM__UTF8_WHOLE) break;
        i += step;
    }
    return i;
}

static loam_status split_all(const run *r, const char *text, size_t n)
{
    loam_status st = LOAM_OK;
    for (size_t at = 0; st == LOAM_OK && at < n;) {
        size_t valid = loam__utf8_valid(text + at, n - at);
        if (valid) st = split(r, 0, text + at, valid);
        at += valid;
        size_t invalid = invalid_run(text + at, n - at);
        if (st == LOAM_OK && invalid) st = r->fn(r->ctx, text + at, invalid);
        at += invalid;
    }
    return st;
}

loam_status loam__patterns_split(const loam__patterns *p, loam__base *b, const char *text, size_t n,
                                 loam__word_fn fn, void *ctx)
{
    run r = {.patterns = p, .base = b, .fn = fn, .ctx = ctx};
    loam_status st = LOAM_ERR_NOMEM;
    pcre2_general_context *memory = pcre2_general_context_create(pcre2_alloc, pcre2_release, b);
    if (!memory) return st;
    r.match = pcre2_match_data_create(1, memory);
    r.limits = pcre2_match_context_create(memory);
    if (r.limits) /* the patterns take few steps a byte, and a text may have many bytes */
        pcre2_set_match_limit(r.limits, UINT32_MAX);
    if (r.match && r.limits) st = split_all(&r, text, n);
    pcre2_match_context_free(r.limits);
    pcre2_match_data_free(r.match);
    pcre2_general_context_free(memory);
    return st;
}
