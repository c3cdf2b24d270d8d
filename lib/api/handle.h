/* The handle behind every public call, and the small moves that all of them make. */
#ifndef LOAM__HANDLE_H
#define LOAM__HANDLE_H

#include <stdatomic.h>

#include "lib/base/os.h"
#include "lib/run/run.h"
#include "lib/text/text.h"

struct loam {
    loam__base base;
    loam__account account;
    loam__mutex lock;
    bool has_lock;
    atomic_int cancel; /* set by loam_cancel(), taken back by the call that it ends */
    loam__gguf *gguf;
    loam__vocab *vocab;
    const loam_backend *backend;
    void *self; /* the opened backend */
    loam_backend_host host;
    loam__plan plan;
    loam__run run;
    uint32_t queues; /* open: the handle stays until they are closed */
    bool freed;      /* by loam_free(), and waits for them */
    bool runs;       /* loaded for computing, not for its vocabulary alone */
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

/* backends.c */
loam_status loam__backend_find(loam__base *b, const char *name, const loam_backend **backend);
/* Open a backend; host is kept. Its errors come out in b. */
loam_status loam__backend_open(loam__base *b, const loam_backend *backend, const loam_options *o,
                               loam_backend_host *host, void **self);

/* Unload, and give back the handle itself. */
void loam__handle_free(loam *m);

/* compute.c: read and check a caller's sampling of any age; NULL: greedy. */
loam_status loam__read_sampling(loam *m, const loam_sampling *sampling, loam__sampler *sampler);

/* Take and give back the handle's lock; loam__enter fails without a loaded model when compute is
 * true. */
loam_status loam__enter(loam *m, bool compute);
loam_status loam__leave(loam *m, loam_status st);

#endif
