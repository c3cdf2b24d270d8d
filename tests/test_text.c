#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <jansson.h>
#include <sys/stat.h>

#include "lib/text/text.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

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
    char small[16];
    size_t n = 0, m = json_array_size(ids), n_detok = 0;
    uint32_t flags = 0;
    if (json_is_true(json_object_get(row, "add_special"))) flags |= LOAM_TOKENIZE_SPECIAL;
    if (json_is_true(json_object_get(row, "parse_special"))) flags |= LOAM_TOKENIZE_CONTROL;
    assert_true(m <= COUNT(want));
    loam_status st = loam__tokenize(b, v, json_string_value(text), json_string_length(text), NULL, flags,
                                    tokens, COUNT(tokens), &n);
    if (st != LOAM_OK || (!same_ids(ids, tokens, n) && !same_ids(json_object_get(row, "hf_ids"), tokens, n))) {
        print_error("line %zu flags %u: ids differ: %.200s\n  ", line, (unsigned)flags, json_string_value(text));
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
        const char *piece = loam__token_bytes(v, want[i], 0, small, &n_piece);
        if (same_bytes(json_array_get(pieces, i), piece, n_piece)) continue;
        print_error("line %zu: the bytes of token %d differ: '%.*s'\n", line, (int)want[i], (int)n_piece, piece);
        return false;
    }
    loam__detokenize(v, want, m, 0, detok, sizeof detok, &n_detok);
    if (n_detok <= sizeof detok && same_bytes(json_object_get(row, "detok"), detok, n_detok)) return true;
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
    assert_int_equal(loam__vocab_new(&b, g, &v), LOAM_OK);
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

#define GOLDEN(name) {"test_golden__" name, test_golden__ids_pieces_and_text, NULL, NULL, (void *)(uintptr_t)name}

static const struct CMUnitTest tests[] = {
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
};

RUN(tests)
