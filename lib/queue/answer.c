#include "answer.h"

#include <string.h>

#define MOST_OF_A_BYTE 3u /* one that is no character becomes U+FFFD */

size_t loam__answer_bytes(const loam__vocab *v, uint32_t stop_bytes)
{
    size_t most = 0, n, ends = sizeof((loam_stream *)0)->held;
    for (uint32_t i = 0; i < loam__vocab_size(v); i++) {
        loam__token_bytes(v, (loam_token)i, 0, &n);
        if (n > most) most = n;
    }
    return stop_bytes + (most + 2 * ends) * MOST_OF_A_BYTE;
}

void loam__answer_begin(loam__answer *a, uint32_t flags)
{
    a->stream = (loam_stream){.struct_size = sizeof a->stream, .flags = flags};
    a->n_stops = a->n_given = a->n_text = 0;
}

/* ---- the search (Knuth, Morris, Pratt, "Fast pattern matching in strings", 1977) ---- */

/* How many bytes of a stop string the text ends with after one more, where it ended with `matched`
 * before. failures[i]: the longest beginning that bytes [0, i] also end with. */
static uint32_t match_more(const char *stop, const uint32_t *failures, uint32_t matched, char byte)
{
    while (matched > 0 && stop[matched] != byte)
        matched = failures[matched - 1];
    return matched + (stop[matched] == byte);
}

void loam__answer_add_stop(loam__answer *a, const char *text, uint32_t n)
{
    loam__stop *last = a->n_stops ? &a->stops[a->n_stops - 1] : NULL;
    loam__stop *s = &a->stops[a->n_stops++];
    *s = (loam__stop){.at = last ? last->at + last->n : 0, .n = n};
    uint32_t *failures = a->failures + s->at;
    memcpy(a->stop_text + s->at, text, n);
    failures[0] = 0;
    for (uint32_t i = 1; i < n; i++)
        failures[i] = match_more(text, failures, failures[i - 1], text[i]);
}

/* The longest stop string that is complete with one more byte; 0: none. */
static uint32_t match_byte(loam__answer *a, char byte)
{
    uint32_t longest = 0;
    for (uint32_t i = 0; i < a->n_stops; i++) {
        loam__stop *s = &a->stops[i];
        s->matched = match_more(a->stop_text + s->at, a->failures + s->at, s->matched, byte);
        if (s->matched == s->n && s->n > longest) longest = s->n;
    }
    return longest;
}

static uint32_t held_back(const loam__answer *a)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < a->n_stops; i++)
        if (a->stops[i].matched > most) most = a->stops[i].matched;
    return most;
}

/* ---- the text ---- */

/* Give out what is there but for the last bytes. */
static loam__span give(loam__answer *a, uint32_t held)
{
    loam__span given = {a->text + a->n_given, a->n_text - held - a->n_given};
    a->n_given = a->n_text - held;
    return given;
}

/* Write what a token (-1: the end) adds behind the text; gives how much. */
static uint32_t stream_token(loam__answer *a, const loam__vocab *v, loam_token token)
{
    size_t n = 0;
    if (token >= 0 && (uint32_t)token >= loam__vocab_size(v)) return 0; /* a row of padding */
    loam__stream_push(v, &a->stream, token, a->text + a->n_text, a->capacity - a->n_text, &n);
    return (uint32_t)n;
}

bool loam__answer_push(loam__answer *a, const loam__vocab *v, loam_token token, loam__span *given)
{
    a->n_text -= a->n_given;
    memmove(a->text, a->text + a->n_given, a->n_text);
    a->n_given = 0;
    for (uint32_t n = stream_token(a, v, token); n > 0; n--) {
        uint32_t complete = match_byte(a, a->text[a->n_text++]);
        if (complete == 0) continue;
        a->n_text -= complete;
        a->stream.n_held = 0;
        *given = give(a, 0);
        return false;
    }
    *given = give(a, held_back(a));
    return true;
}

loam__span loam__answer_end(loam__answer *a, const loam__vocab *v)
{
    a->n_text += stream_token(a, v, -1);
    return give(a, 0);
}
