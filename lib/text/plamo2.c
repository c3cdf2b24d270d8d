/* PLaMo-2's tokenizer (Preferred Networks 2025): of all ways to cut a text into tokens, with bytes
 * for the characters that none has, the one with the highest sum of scores; of several the one
 * whose first token is the longest, and so on. */
#include <math.h>

#include "lattice.h"
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
    return loam__trie_room(b, v, 0, table_bytes);
}

static loam_status fill(loam__base *b, loam__vocab *v, void *table)
{
    plamo *k = v->state;
    (void)b;
    loam__decode_spellings(v, k->bytes, false);
    loam__plant_keys(v, &k->trie, table);
    for (uint32_t i = 0; i < k->trie.n; i++) {
        uint32_t id = k->trie.nodes[i].id;
        float score = 0;
        if (id == LOAM__NO_ID) continue;
        loam__gguf_f32s(v->gguf, k->scores, id, 1, &score);
        double steps = round((double)score * STEPS);
        k->trie.scores[i] = steps > LEAST && steps < -LEAST ? steps : -HUGE_VAL;
    }
    return LOAM_OK;
}

static void emit(loam__lattice *l, uint32_t id, const char *p, size_t n)
{
    const loam__vocab *v = l->e->v;
    const plamo *k = v->state;
    if (id != LOAM__NO_ID) loam__emit(l->e, id);
    for (size_t i = 0; id == LOAM__NO_ID && i < n; i++) {
        uint32_t byte = k->bytes[(uint8_t)p[i]];
        if (byte == LOAM__NO_ID && v->unknown >= 0) byte = (uint32_t)v->unknown;
        if (byte != LOAM__NO_ID) loam__emit(l->e, byte);
    }
}

static loam_status encode(loam__encoder *e, const char *text, size_t n, bool fresh)
{
    const plamo *k = e->v->state;
    loam__lattice l = {
        .e = e, .trie = &k->trie, .emit = emit, .unknown = UNKNOWN, .longest_first = true};
    (void)fresh;
    return loam__lattice_cut(&l, text, n);
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
