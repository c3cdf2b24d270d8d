/* libFuzzer target: any bytes as a container with a vocabulary, and the end of them as text for it.
 * Counting and storing must agree, ids must be in range, and streamed text must be valid UTF-8. */
#include <stdlib.h>
#include <string.h>

#include "lib/text/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_TEXT 512

static void fuzz_require(bool holds)
{
    if (!holds) abort();
}

/* Valid as far as a reader of UTF-8 needs it to find the characters. */
static bool fuzz_is_utf8(const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint8_t c = (uint8_t)p[i];
        size_t step = c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
        if (step == 0 || step > n - i) return false;
        for (size_t k = 1; k < step; k++)
            if (((uint8_t)p[i + k] & 0xC0) != 0x80) return false;
        i += step;
    }
    return true;
}

static void fuzz_stream(const loam__vocab *v, loam_stream *stream, loam_token token)
{
    size_t need, got = 0;
    loam_stream before = *stream;
    if (!loam__stream_push(v, stream, token, NULL, 0, &need))
        fuzz_require(memcmp(&before, stream, sizeof before) == 0);
    else *stream = before;
    char *out = malloc(need + 1);
    fuzz_require(out && loam__stream_push(v, stream, token, out, need, &got) && got == need);
    fuzz_require(fuzz_is_utf8(out, got));
    free(out);
}

static void fuzz_text(loam__base *b, const loam__vocab *v, const char *text, size_t n,
                      uint32_t flags)
{
    uint8_t typed[FUZZ_TEXT];
    size_t count, again, n_bytes, n_bytes_again;
    loam_stream stream = {.struct_size = sizeof stream};
    for (size_t i = 0; i < n; i++)
        typed[i] = (uint8_t)text[i] & 1;
    loam_status st =
        loam__tokenize(b, v, text, n, flags & 4 ? typed : NULL, flags, NULL, 0, &count);
    if (st != LOAM_OK) return;
    loam_token *tokens = calloc(count + 1, sizeof *tokens);
    fuzz_require(tokens != NULL);
    st = loam__tokenize(b, v, text, n, flags & 4 ? typed : NULL, flags, tokens, count, &again);
    fuzz_require(st == LOAM_OK && again == count);
    for (size_t i = 0; i < count; i++) {
        fuzz_require(tokens[i] >= 0 && (uint32_t)tokens[i] < loam__vocab_size(v));
        fuzz_stream(v, &stream, tokens[i]);
    }
    fuzz_stream(v, &stream, -1);
    loam__detokenize(v, tokens, count, flags & 1, NULL, 0, &n_bytes);
    char *out = malloc(n_bytes + 1);
    fuzz_require(out != NULL);
    loam__detokenize(v, tokens, count, flags & 1, out, n_bytes, &n_bytes_again);
    fuzz_require(n_bytes == n_bytes_again);
    free(out);
    free(tokens);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char words[] =
        "Hello, world's 12345 tests </s> <|im_end|>  \n\n x\xE2\x96\x81y \xF0\x9F\x98";
    loam__base b;
    loam__gguf *g = NULL;
    loam__vocab *v = NULL;
    loam_source source = {.struct_size = sizeof source, .size_bytes = size, .data = data};
    const loam_source *parts[] = {&source};
    size_t n = size < FUZZ_TEXT ? size : FUZZ_TEXT;
    fuzz_require(loam__base_init(&b, NULL) == LOAM_OK);
    if (loam__gguf_open_sources(&b, parts, 1, &g) == LOAM_OK &&
        loam__vocab_new(&b, g, &v) == LOAM_OK && loam__vocab_fill(&b, v) == LOAM_OK) {
        for (uint32_t i = 0; i < loam__vocab_size(v); i++) {
            size_t n_spelling;
            loam__vocab_spelling(v, (loam_token)i, &n_spelling);
            loam__vocab_is_end(v, (loam_token)i);
        }
        for (uint32_t flags = 0; flags < 8; flags++) {
            fuzz_text(&b, v, words, sizeof words, flags);
            fuzz_text(&b, v, (const char *)data + size - n, n, flags);
        }
    }
    loam__vocab_free(v);
    loam__gguf_close(g);
    return 0;
}
