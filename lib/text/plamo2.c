/* PLaMo-2's tokenizer (Preferred Networks 2025): of all ways to cut a text into tokens, with bytes
 * for the characters that none has, the one with the highest sum of scores; of several the one
 * whose first token is the longest, and so on. */
#include <math.h>

#include "lib/base/utf8.h"
#include "spelling.h"

/* Scores count in steps of 1/10000. Tokens of LEAST or less are never taken. */
#define STEPS   1e4
#define LEAST   (-2e7)
#define UNKNOWN (-1e7)

typedef struct plamo {
    size_t scores; /* the metadata entry of the scores */
    loam__trie trie;
    uint32_t bytes[256]; /* the token that stands for a byte, or LOAM__NO_ID */
} plamo;

static loam_status open_plamo(loam__base *b, loam__vocab *v, size_t *table_bytes)
{
    plamo *k = v->state;
    loam_status st = loam__find_scores(b, v, &k->scores);
    if (st != LOAM_OK) return st;
    if (loam__trie_bytes(v->n, table_bytes)) return LOAM_OK;
    return loam__fail(b, LOAM_ERR_LIMIT, "the table of %lu tokens does not fit into any memory",
                      (unsigned long)v->n);
}

static loam_status fill(loam__base *b, loam__vocab *v, void *table)
{
    plamo *k = v->state;
    (void)b;
    loam__decode_spellings(v, k->bytes, false);
    loam__plant_keys(v, &k->trie, table);
    for (uint32_t i = 0; i < k->trie.n; i++) {
        loam__trie_node *node = &k->trie.nodes[i];
        float score = 0;
        if (node->id == LOAM__NO_ID) continue;
        loam__gguf_f32s(v->gguf, k->scores, node->id, 1, &score);
        node->score = round((double)score * STEPS);
        if (!(node->score > LEAST && node->score < -LEAST)) node->score = -HUGE_VAL;
    }
    return LOAM_OK;
}

/* The best way from a place to the end of the stretch. */
typedef struct step {
    double score;
    uint32_t id;     /* of the first token, or LOAM__NO_ID: a character as bytes */
    uint32_t length; /* of it; before it is known, of the character; 0: no character starts here */
} step;

/* Where no token reaches beyond a place, all ways lead through it, and each side is cut by itself.
 * Long enough to be worth it, short enough for the cache. */
#define STRETCH 256u

/* The characters of a stretch at the start of text, *n bytes of it. */
static step *find_stretch(loam__encoder *e, const char *text, size_t n_text, size_t *n)
{
    const plamo *k = e->v->state;
    size_t reach = 0, at = 0;
    step *steps = NULL;
    do {
        loam__utf8_state state;
        size_t n_key = 0, length = loam__utf8_scan(text + at, n_text - at, &state);
        loam__trie_longest(&k->trie, text + at, n_text - at, &n_key);
        if (n_key < length) n_key = length;
        if (at + n_key > reach) reach = at + n_key;
        steps = loam__scratch_need(&e->parts, e->base, at + length + 1, sizeof *steps);
        if (!steps) return NULL;
        for (size_t i = 0; i <= length; i++)
            steps[at + i] = (step){-HUGE_VAL, LOAM__NO_ID, 0};
        steps[at].length = (uint32_t)length;
        at += length;
    } while (at < reach || (at < STRETCH && at < n_text));
    steps[at].score = 0;
    *n = at;
    return steps;
}

static void find_ways(const plamo *k, const char *text, size_t n, step *steps)
{
    for (size_t at = n; at-- > 0;) {
        step *s = &steps[at];
        if (s->length == 0) continue;
        loam__trie_walk walk = loam__trie_start(&k->trie, text + at, n - at);
        s->score = steps[at + s->length].score + UNKNOWN;
        for (uint32_t id; (id = loam__trie_next(&walk)) != LOAM__NO_ID;) {
            double score = steps[at + walk.at].score + walk.score;
            if (score >= s->score) *s = (step){score, id, (uint32_t)walk.at};
        }
    }
}

static void emit_bytes(loam__encoder *e, const char *p, size_t n)
{
    const plamo *k = e->v->state;
    for (size_t i = 0; i < n; i++) {
        uint32_t id = k->bytes[(uint8_t)p[i]];
        if (id == LOAM__NO_ID && e->v->unknown >= 0) id = (uint32_t)e->v->unknown;
        if (id != LOAM__NO_ID) loam__emit(e, id);
    }
}

static loam_status encode(loam__encoder *e, const char *text, size_t n, bool fresh)
{
    (void)fresh;
    for (size_t m; n > 0; text += m, n -= m) {
        const step *steps = find_stretch(e, text, n, &m);
        if (!steps) return LOAM_ERR_NOMEM;
        find_ways(e->v->state, text, m, e->parts.p);
        for (size_t at = 0; at < m; at += steps[at].length) {
            if (steps[at].id != LOAM__NO_ID) loam__emit(e, steps[at].id);
            else emit_bytes(e, text + at, steps[at].length);
        }
    }
    return LOAM_OK;
}

const loam__kind loam__kind_plamo2 = {
    .model = "plamo2",
    .state_bytes = sizeof(plamo),
    .bos = 1,
    .eos = 2,
    .unknown = 0,
    .open = open_plamo,
    .fill = fill,
    .encode = encode,
};
