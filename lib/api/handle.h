/* The handle behind every public call, and the small moves that all of them make. */
#ifndef LOAM__HANDLE_H
#define LOAM__HANDLE_H

#include <stdatomic.h>

#include "lib/base/os.h"
#include "lib/chat/chat.h"
#include "lib/run/run.h"
#include "lib/text/text.h"

/* A backend that is open. */
typedef struct loam__opened {
    const loam_backend *backend;
    void *self;
    void *library; /* of a module */
    loam_backend_host host;
} loam__opened;

/* A module that is linked into the library (LOAM_STATIC_MODULES); the build writes the list, whose
 * last has no name. */
typedef struct loam__linked {
    const char *name;
    loam_backend_module_fn *module;
} loam__linked;
extern const loam__linked loam__linked_modules[];

typedef struct loam__backends {
    uint32_t n;
    loam__opened opened[LOAM__PLACE_DEVICES];
} loam__backends;

struct loam {
    loam__base base;
    loam__account account;
    loam__mutex lock;
    bool has_lock;
    atomic_int cancel; /* set by loam_cancel(), taken back by the call that it ends */
    loam__gguf *gguf;
    loam__vocab *vocab;
    loam__backends backends;
    loam_options options; /* checked; what they pointed to is gone */
    loam__plan plan;
    loam__run run;
    uint32_t queues; /* open: the handle stays until they are closed */
    bool freed;      /* by loam_free(), and waits for them */
    bool runs;       /* loaded for computing, not for its vocabulary alone */
    bool lost;       /* a device is gone */
    char *architecture, *name, *chat_template; /* copies that end in NUL */
    size_t n_chat_template;
    uint64_t parameters, weights_bytes;
};

/* Read a caller's options of any age, start a base with their hooks, and check them (load.c). b can
 * be used in any case: it has the sentence of a failure. */
loam_status loam__begin(loam__base *b, const loam_options *options, loam_options *o);
/* load.c: a handle for any options, so that there is one to carry the text; *o: what they say, with
 * defaults filled in; *st: whether they are good. */
loam *loam__handle_new(const loam_options *options, loam_options *o, loam_status *st);
/* Everything but the vocabulary's tables, the arenas and the programs, once the container is open:
 * quick, for it reads no more than a header's counts. LOAM_ERR_NOFIT: the plan is whole all the
 * same. */
loam_status loam__handle_plan(loam *m, const loam_options *o);

/* What options point to is the caller's, for the call only. */
void loam__options_forget(loam_options *o);
/* load.c: whether a load or plan with "auto" that failed should be made again: then *o names the
 * host alone, and the handle is as loam__handle_new() made it. */
bool loam__handle_retry(loam *m, loam_options *o, loam_status st);

/* backends.c: whether the accelerators that are found are to be used. */
bool loam__wants_auto(const loam_options *o);
/* Open the backends of the options' devices, each once, and list the devices. all is
 * kept in its place; close it in any case. */
loam_status loam__backends_open(loam__base *b, const loam_options *o, loam__backends *all,
                                loam__sites *sites);
void loam__backends_close(loam__backends *all); /* a zeroed one is fine */
/* cache.c: what options.cache has of a backend, or NULL. */
const void *loam__cache_find(const loam_options *o, const char *name, uint64_t *bytes);

/* Unload, and give back the handle itself. */
void loam__handle_free(loam *m);

/* text.c: whether there is a chat template, and the tokens that it may write by name; a list that
 * ends with a NULL name. */
loam_status loam__chat_template(loam *m, loam__chat_default defaults[3]);
/* The sentence of a failure for a caller without a handle, cut to fit; "" if there was none. */
void loam__tell(const loam__base *b, loam_status st, char *error, size_t capacity);

/* compute.c: read and check a caller's sampling of any age; NULL: greedy. */
loam_status loam__read_sampling(loam *m, const loam_sampling *sampling, loam__sampler *sampler);

/* Take and give back the handle's lock; loam__enter fails without a loaded model, or when a device
 * is gone, when compute is true. */
loam_status loam__enter(loam *m, bool compute);
loam_status loam__leave(loam *m, loam_status st);

#endif
