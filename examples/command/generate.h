/* From a prompt's tokens to an answer: what run and chat share. */
#ifndef LOAM_COMMAND_GENERATE_H
#define LOAM_COMMAND_GENERATE_H

#include "options.h"
#include "output.h"

#include <signal.h>

/* How to sample, and when to stop. */
typedef struct generation {
    double temperature, top_p, min_p, repeat_penalty;
    uint64_t seed;
    uint32_t top_k, predict;
    bool ignore_end;
    bool show;                         /* print the text as it is made */
    bool dim;                          /* and dimmed what the model thinks, which is not printed
                                          otherwise; with a reader only */
    loam_reader *reader;               /* NULL, or it takes the text apart */
    const volatile sig_atomic_t *stop; /* NULL, or end as soon as it is set */
} generation;

typedef struct answer {
    text words; /* valid UTF-8 */
    ids tokens; /* with the one that ended it */
    size_t prefilled, decoded;
    double prefill_s, decode_s;
    const char *finish; /* "stop", "length", "context", "cancelled" */
    bool dimmed;        /* what was printed last */
} answer;

#define GENERATION_OPTIONS 8

/* The defaults, with a seed taken from the clock; and the table of options that change them. */
void generation_init(generation *g);
void generation_options(generation *g, option table[GENERATION_OPTIONS]);

/* Set how sequence 0 samples. */
loam_status generation_start(loam *m, const generation *g);

/* Prefill the prompt into sequence 0 and generate. The answer is zeroed first, is whole whenever
 * text was made, and is freed by answer_free() in every case. LOAM_ERR_CANCELLED: the prefill was.
 */
loam_status generate(loam *m, const ids *prompt, const generation *g, answer *a);
void answer_free(answer *a);

/* The object that --json prints. n_prompt: all tokens of the prompt, of which some may have been in
 * the sequence. */
json_t *answer_json(const answer *a, const generation *g, size_t n_prompt);

#endif
