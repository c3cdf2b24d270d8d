/* A case: all that a plan was made from, so that it can be made again with other numbers. Holds the
 * answer against a machine, and looks for what would make it fit. */
#ifndef LOAM__CASE_H
#define LOAM__CASE_H

#include "account.h"
#include "costs.h"
#include "lib/model/model.h"

/* ---- machine.c: a described machine, checked ---- */

/* Where nobody says. */
#define LOAM__LINK_BYTES_S 25e9  /* PCIe 4.0 x16, as measured with large copies */
#define LOAM__LINK_SECONDS 10e-6 /* a copy's start and the wait for its end */

typedef struct loam__plan_target {
    char name[64];
    uint64_t memory_bytes;
    double bandwidth_bytes_s, link_bytes_s, link_seconds;
    bool host;
} loam__plan_target;

typedef struct loam__plan_machine {
    uint32_t n;        /* 0: this host */
    uint32_t n_pinned; /* the last pinned layer, and one */
    double fill;
    loam__plan_target targets[LOAM_PLAN_TARGETS_MAX];
    int8_t pins[LOAM__LAYERS_MAX]; /* target of a layer; -1: none */
} loam__plan_machine;

/* machine: any the caller gave, or NULL. available_bytes: of the host, where it is not said. */
loam_status loam__plan_machine_read(loam__base *b, const loam_plan_machine *machine,
                                    uint64_t available_bytes, loam__plan_machine *out);
/* The costs on that machine: units is room for costs->n, devices for machine->n. */
loam__place_problem loam__plan_problem(const loam__plan_machine *machine,
                                       const loam__plan_costs *costs, loam__place_unit *units,
                                       loam__place_device *devices);

/* ---- case.c ---- */

/* The numbers that may be changed. */
typedef struct loam__plan_wish {
    uint32_t context_tokens, sequences;
    uint64_t kv_tokens;
    uint32_t block_tokens;
    int32_t kv_type, v_type;
    double bits; /* a weight */
    /* Of one of the devices that are there: */
    uint32_t device;
    int32_t layers;                   /* that are wanted there; -1: any number */
    uint64_t limit_bytes, most_bytes; /* its limit, 0: not the caller's, and what it could be */
} loam__plan_wish;

typedef struct loam__plan_change {
    int32_t kind;
    uint32_t choice;
    uint32_t device;
    double value;
    uint64_t total_bytes;
    const char *name;
} loam__plan_change;

/* One of each kind, and two of each device. */
#define LOAM__PLAN_CHANGES (5u + 2 * LOAM__PLACE_DEVICES)

typedef struct loam__plan_case {
    const loam__plan *file; /* NULL: the geometry */
    const loam__account *held;
    loam_plan_geometry geometry;
    double kv_token_bytes; /* of the geometry with these options */
    loam_options options;  /* checked */
    uint64_t available_bytes;
    loam__plan_machine machine;
    double parameters, bits; /* of the file's weights */
    double scale;            /* of all weights, where no wish says their bits: 1 */
    bool spread;             /* the file lies on devices that are there, instead of a machine */
} loam__plan_case;

typedef struct loam__plan_share { /* of a device */
    uint64_t weights_bytes, kv_bytes, other_bytes, limit_bytes;
} loam__plan_share;

typedef struct loam__plan_answer {
    loam_plan_totals totals;
    loam__placement placement;                      /* where the machine has targets */
    loam__plan_share shares[LOAM_PLAN_TARGETS_MAX]; /* then, and what each has of it */
} loam__plan_answer;

/* The answer with these numbers; NULL: those of the options. LOAM_ERR_NOFIT, said in b: it is whole
 * all the same, where excess is asked for (see loam__place()). Where the case is spread there must
 * be a wish, and the answer has totals only, and those only where it fits. */
loam_status loam__plan_answer_case(const loam__plan_case *c, loam__base *b,
                                   const loam__plan_wish *wish, bool excess,
                                   loam__plan_answer *answer);
/* Seconds that a token takes on the machine's targets with that much context. */
loam_status loam__plan_token_seconds(const loam__plan_case *c, loam__base *b,
                                     const loam__plan_answer *answer, uint32_t context_tokens,
                                     double *seconds);

/* ---- advice.c ---- */

/* What would make a plan fit that does not: *n of changes. The sentence in b gets them too. */
loam_status loam__plan_advise(const loam__plan_case *c, loam__base *b,
                              const loam_plan_totals *totals,
                              loam__plan_change changes[LOAM__PLAN_CHANGES], size_t *n);
/* The most sequences that fit; 0: none. */
loam_status loam__plan_most_sequences(const loam__plan_case *c, loam__base *b,
                                      const loam_plan_totals *totals, uint32_t mean_tokens,
                                      uint32_t *sequences);

#endif
