/* Command lines from tables: each verb lists its options once, and reading and --help both follow
 * the list. */
#ifndef LOAM_COMMAND_OPTIONS_H
#define LOAM_COMMAND_OPTIONS_H

#include "output.h"

#include <loam/loam.h>
#include <stdbool.h>
#include <stdint.h>

#define BATCHES_USUAL "1,2,4,8,16,32"
#define DEVICES       9 /* that a model may be spread over */

typedef enum option_kind {
    OPTION_FLAG,    /* bool */
    OPTION_COUNT,   /* uint32_t */
    OPTION_NUMBER,  /* uint64_t, up to INT64_MAX */
    OPTION_BYTES,   /* uint64_t; 64K, 512M, 4G count in 1024s */
    OPTION_REAL,    /* double, finite, at least 0 */
    OPTION_TEXT,    /* const char * */
    OPTION_TEXTS,   /* texts: one more each time that the option is given */
    OPTION_TOKENS,  /* ids: 1,2,3 */
    OPTION_BATCHES, /* ids: 1,2,3; without a value BATCHES_USUAL */
} option_kind;

typedef struct option {
    const char *name; /* without the dashes */
    option_kind kind;
    void *value;          /* of the kind's type; left alone when the option is not given */
    const char *argument; /* what --help calls its value; NULL for a flag */
    const char *help;
} option;

typedef struct option_group {
    const char *title; /* NULL: the verb's own */
    const option *options;
    size_t n;
} option_group;

/* The options that every verb takes. */
typedef struct common {
    uint32_t threads, context;
    uint64_t memory_limit;
    const char *isa, *backend, *modules, *kv, *kv_v;
    bool pack, map, json;
    texts on; /* devices as given, and as the library takes them */
    loam_device devices[DEVICES];
    const loam_device *pointers[DEVICES];
    char names[DEVICES][32];
} common;

#define USAGE_GROUPS 3

typedef struct usage {
    const char *synopsis; /* "bench MODEL" */
    const char *about;
    option_group groups[USAGE_GROUPS]; /* the last may be left for the common ones */
    common *shared;
    const char *
        *places; /* [most_places] the arguments that are no options; left NULL where not given */
    size_t least_places, most_places;
} usage;

#define READ_ON (-1)

/* Read a command line. READ_ON, or the exit status: after --help, or after a wrong usage, which is
 * complained about. */
int options_read(const usage *u, int argc, char **argv);

/* Read a value of the option's kind; false: it is none. */
bool option_value(const option *o, const char *given);

/* Say what is wrong with how the verb was called; returns EXIT_USAGE. */
int misuse(const char *verb, const char *sentence);

/* Fill the library's options, which point into c. READ_ON, or the exit status after a complaint
 * about the KV types or the devices. */
int common_apply(common *c, loam_options *options);

#endif
