#include "generate.h"
#include "model.h"

#include <string.h>
#include <time.h>

/* ---- options ---- */

void generation_init(generation *g)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    memset(g, 0, sizeof *g);
    g->temperature = 0.7;
    g->top_p = 0.9;
    g->predict = 256;
    g->seed = ((uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec) & UINT32_MAX;
}

void generation_options(generation *g, option table[GENERATION_OPTIONS])
{
    const option options[GENERATION_OPTIONS] = {
        {"predict", OPTION_COUNT, &g->predict, "N", "most tokens to make (256)"},
        {"temp", OPTION_REAL, &g->temperature, "T", "temperature (0.7); 0: greedy"},
        {"top-k", OPTION_COUNT, &g->top_k, "K", "keep the K likeliest tokens (0: all)"},
        {"top-p", OPTION_REAL, &g->top_p, "P", "keep the likeliest that sum to P (0.9; 0: all)"},
        {"min-p", OPTION_REAL, &g->min_p, "P",
         "keep those of at least P times the likeliest (0: all)"},
        {"repeat-penalty", OPTION_REAL, &g->repeat_penalty, "R",
         "divide the logits of recent tokens by R (1: off)"},
        {"seed", OPTION_NUMBER, &g->seed, "N", "same seed, same text (from the clock)"},
        {"ignore-end", OPTION_FLAG, &g->ignore_end, NULL, "go on after end-of-text tokens"},
    };
    memcpy(table, options, sizeof options);
}

loam_status generation_start(loam *m, const generation *g)
{
    loam_sampling how;

    loam_sampling_init(&how);
    how.temperature = (float)g->temperature;
    how.seed = g->seed;
    how.top_k = g->top_k;
    how.top_p = (float)g->top_p;
    how.min_p = (float)g->min_p;
    how.repeat_penalty = (float)g->repeat_penalty;
    return loam_seq_sampling(m, 0, &how);
}

/* ---- reading the answer ---- */

static void show_event(const generation *g, const loam_read_event *e, answer *a)
{
    bool dim = e->kind == LOAM_READ_REASONING;

    if (dim && !g->dim) return;
    if (dim != a->dimmed) fputs(dim ? "\033[2m" : "\033[0m\n\n", stdout);
    a->dimmed = dim;
    if (e->kind == LOAM_READ_CALL) fputs("\ncalls ", stdout);
    if (e->kind == LOAM_READ_ARGUMENTS) fputc(' ', stdout);
    fwrite(e->text, 1, e->text_bytes, stdout);
    fflush(stdout);
}

/* Give the reader what the token completes (-1: the end), control tokens with it. */
static loam_status read_token(loam *m, loam_stream *stream, loam_token token, const generation *g,
                              answer *a)
{
    text part = {0};
    loam_read_event event;
    loam_status status;

    text_reserve(&part, 256);
    do
        status = loam_stream_push(m, stream, token, part.p, part.capacity, &part.n);
    while (status == LOAM_ERR_BUFFER && text_reserve(&part, part.n));
    if (status == LOAM_OK) status = loam_reader_push(g->reader, part.p, part.n);
    for (int ends = token == -1; status == LOAM_OK; ends--) {
        loam_read_event_init(&event);
        while (loam_reader_next(g->reader, &event) == LOAM_OK && event.kind != LOAM_READ_NONE)
            if (g->show) show_event(g, &event, a);
        if (ends <= 0) break;
        status = loam_reader_end(g->reader);
    }
    if (token == -1 && a->dimmed) fputs("\033[0m", stdout);
    text_free(&part);
    return status;
}

/* ---- generation ---- */

typedef struct streams {
    loam_stream text, whole; /* without and with control tokens */
} streams;

/* Take the text that the token completes (-1: the rest). */
static loam_status take_text(loam *m, streams *s, loam_token token, const generation *g, answer *a)
{
    text *words = &a->words;
    loam_status status;
    size_t n = 0;

    text_reserve(words, words->n + 256);
    do
        status = loam_stream_push(m, &s->text, token, words->p + words->n,
                                  words->capacity - words->n, &n);
    while (status == LOAM_ERR_BUFFER && text_reserve(words, words->n + n));
    if (status != LOAM_OK) return status;
    if (g->show && n && !g->reader) {
        fwrite(words->p + words->n, 1, n, stdout);
        fflush(stdout);
    }
    words->n += n;
    return g->reader ? read_token(m, &s->whole, token, g, a) : LOAM_OK;
}

/* Sample and decode until something ends the answer and names the reason. */
static loam_status make_tokens(loam *m, const generation *g, streams *s, answer *a)
{
    const loam_seq seq = 0;
    loam_status status;
    loam_token token;

    a->finish = "length";
    while (a->tokens.n < g->predict) {
        if (g->stop && *g->stop) {
            a->finish = "cancelled";
            return LOAM_OK;
        }
        if ((status = loam_sample(m, seq, &token)) != LOAM_OK) return status;
        ids_add(&a->tokens, token);
        if (!g->ignore_end && loam_token_is_end(m, token)) {
            a->finish = "stop";
            return LOAM_OK;
        }
        if ((status = take_text(m, s, token, g, a)) != LOAM_OK) return status;
        if (a->tokens.n == g->predict) return LOAM_OK;
        if ((status = loam_decode(m, &seq, &token, 1)) != LOAM_OK) {
            a->finish = status == LOAM_ERR_FULL ? "context" : "cancelled";
            return status == LOAM_ERR_FULL || status == LOAM_ERR_CANCELLED ? LOAM_OK : status;
        }
        a->decoded++;
    }
    return LOAM_OK;
}

loam_status generate(loam *m, const ids *prompt, const generation *g, answer *a)
{
    streams s;
    loam_status status;
    double start = seconds_now();

    memset(a, 0, sizeof *a);
    loam_stream_init(&s.text);
    loam_stream_init(&s.whole);
    s.text.flags = LOAM_DETOKENIZE_SKIP_CONTROL;
    if ((status = loam_prefill(m, 0, prompt->p, prompt->n)) != LOAM_OK) return status;
    a->prefilled = prompt->n;
    a->prefill_s = seconds_now() - start;

    start = seconds_now();
    status = make_tokens(m, g, &s, a);
    a->decode_s = seconds_now() - start;
    return status == LOAM_OK ? take_text(m, &s, -1, g, a) : status;
}

void answer_free(answer *a)
{
    text_free(&a->words);
    ids_free(&a->tokens);
}

json_t *answer_json(const answer *a, const generation *g, size_t n_prompt)
{
    json_t *object = must(json_object());
    put(object, "text", json_text(a->words.p, a->words.n));
    put(object, "tokens", json_ids(&a->tokens));
    put_count(object, "prompt_tokens", n_prompt);
    put_count(object, "prefill_tokens", a->prefilled);
    put(object, "prefill_tok_s", json_speed((double)a->prefilled, a->prefill_s));
    put(object, "decode_tok_s", json_speed((double)a->decoded, a->decode_s));
    put(object, "finish", json_string(a->finish));
    put_count(object, "seed", g->seed);
    if (g->reader) put(object, "message", reader_message(g->reader));
    return object;
}
