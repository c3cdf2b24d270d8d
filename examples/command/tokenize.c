/* loam tokenize MODEL: JSON lines of text to JSON lines of token ids, and back. */
#include "command.h"
#include "lines.h"
#include "model.h"

typedef struct tokenize {
    common shared;
    const char *places[1];
    bool back; /* --detokenize */
    loam *m;
    ids tokens;
    text bytes;
} tokenize;

static json_t *to_ids(void *ctx, const json_t *line)
{
    tokenize *t = ctx;
    const json_t *given = json_object_get(line, "text");
    bool special, control;
    uint32_t flags;
    json_t *answer;

    if (!json_is_string(given)) return line_error("\"text\" must be a string");
    if (!line_flag(line, "add_special", true, &special, &answer)) return answer;
    if (!line_flag(line, "parse_special", false, &control, &answer)) return answer;
    flags = (special ? LOAM_TOKENIZE_SPECIAL : 0u) | (control ? LOAM_TOKENIZE_CONTROL : 0u);
    if (tokenize_text(t->m, json_string_value(given), json_string_length(given), flags,
                      &t->tokens) != LOAM_OK)
        return line_error("%s", loam_error(t->m));
    answer = must(json_object());
    put(answer, "ids", json_ids(&t->tokens));
    return answer;
}

/* ---- back ---- */

static json_t *json_base64(const char *bytes, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)bytes;
    text out = {0};
    json_t *value;

    text_reserve(&out, n / 3 * 4 + 4);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t three = (uint32_t)p[i] << 16;
        if (i + 1 < n) three |= (uint32_t)p[i + 1] << 8;
        if (i + 2 < n) three |= p[i + 2];
        out.p[out.n++] = digits[three >> 18];
        out.p[out.n++] = digits[three >> 12 & 63];
        out.p[out.n++] = i + 1 < n ? digits[three >> 6 & 63] : '=';
        out.p[out.n++] = i + 2 < n ? digits[three & 63] : '=';
    }
    value = must(json_stringn(out.p, out.n));
    text_free(&out);
    return value;
}

static loam_status detokenize(tokenize *t, const loam_token *tokens, size_t n)
{
    loam_status status;
    do
        status = loam_detokenize(t->m, tokens, n, 0, t->bytes.p, t->bytes.capacity, &t->bytes.n);
    while (status == LOAM_ERR_BUFFER && text_reserve(&t->bytes, t->bytes.n));
    return status;
}

static json_t *piece_base64(tokenize *t, loam_token token)
{
    loam_status status;
    do
        status = loam_token_text(t->m, token, t->bytes.p, t->bytes.capacity, &t->bytes.n);
    while (status == LOAM_ERR_BUFFER && text_reserve(&t->bytes, t->bytes.n));
    return status == LOAM_OK ? json_base64(t->bytes.p, t->bytes.n) : NULL;
}

static bool read_ids(const json_t *list, ids *tokens)
{
    const json_t *id;
    size_t i;

    tokens->n = 0;
    if (!json_is_array(list)) return false;
    json_array_foreach(list, i, id)
    {
        json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
        if (n < 0 || n > INT32_MAX) return false;
        ids_add(tokens, (loam_token)n);
    }
    return true;
}

static json_t *to_text(void *ctx, const json_t *line)
{
    tokenize *t = ctx;
    json_t *answer, *pieces, *piece;
    bool wanted;

    if (!read_ids(json_object_get(line, "ids"), &t->tokens))
        return line_error("\"ids\" must be an array of token ids");
    if (!line_flag(line, "pieces", false, &wanted, &answer)) return answer;
    if (detokenize(t, t->tokens.p, t->tokens.n) != LOAM_OK)
        return line_error("%s", loam_error(t->m));
    answer = must(json_object());
    put(answer, "text", json_text(t->bytes.p, t->bytes.n));
    put(answer, "base64", json_base64(t->bytes.p, t->bytes.n));
    if (!wanted) return answer;
    pieces = must(json_array());
    put(answer, "pieces_base64", pieces);
    for (size_t i = 0; i < t->tokens.n; i++) {
        if (!(piece = piece_base64(t, t->tokens.p[i]))) {
            json_decref(answer);
            return line_error("%s", loam_error(t->m));
        }
        append(pieces, piece);
    }
    return answer;
}

int verb_tokenize(int argc, char **argv)
{
    tokenize t = {0};
    const option own[] = {
        {"detokenize", OPTION_FLAG, &t.back, NULL, "token ids to text"},
    };
    const usage u = {
        .synopsis = "tokenize MODEL",
        .about = "Read JSON lines and print one for each:\n"
                 "  {\"text\": \"...\", \"add_special\": true, \"parse_special\": false}\n"
                 "  gives {\"ids\": [...]}; with --detokenize\n"
                 "  {\"ids\": [...], \"pieces\": false}\n"
                 "  gives {\"text\": \"...\", \"base64\": \"...\", \"pieces_base64\": [...]}.\n"
                 "base64 has the exact bytes, pieces_base64 those of each token, if asked for. A\n"
                 "line that fails gives {\"error\": \"...\"}. The model may be a vocabulary alone.",
        .groups = {{NULL, own, COUNT(own)}},
        .shared = &t.shared,
        .places = t.places,
        .least_places = 1,
        .most_places = 1,
    };
    loam_options options;
    loam_hooks hooks;
    int status = options_read(&u, argc, argv);

    if (status == READ_ON) status = model_options(&t.shared, &hooks, &options);
    if (status != READ_ON) return status;
    options.flags = LOAM_LOAD_VOCAB;
    t.m = model_open(t.places[0], &options);
    status = t.m ? answer_lines(t.back ? to_text : to_ids, &t) : EXIT_FAILED;
    loam_free(t.m);
    ids_free(&t.tokens);
    text_free(&t.bytes);
    return status;
}
