/* What a handle holds of the host's memory: counted call by call, and kept below the host's limit.
 * It stands between the base and the host's allocator, so that the backends' memory is seen too. */
#ifndef LOAM__ACCOUNT_H
#define LOAM__ACCOUNT_H

#include <stdatomic.h>

#include "lib/base/base.h"

/* On what the memory went. */
enum {
    LOAM__HELD_HANDLE = 0,
    LOAM__HELD_CONTAINER,
    LOAM__HELD_BACKEND,
    LOAM__HELD_GRAPH,
    LOAM__HELD_VOCABULARY,
    LOAM__N_HELD
};

typedef struct loam__account {
    void *(*alloc)(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes,
                   size_t align); /* the host's */
    void *ctx;
    atomic_size_t live_bytes, peak_bytes;
    size_t limit_bytes;
    atomic_bool refused; /* an allocation would have gone beyond the limit */
    size_t noted_bytes;  /* live at the last note */
    size_t held[LOAM__N_HELD];
} loam__account;

/* Stand between b and its allocator, without a limit yet. live_bytes: what b's owner holds already.
 * The account is kept, at its place. */
void loam__account_open(loam__account *a, loam__base *b, size_t live_bytes);
/* Begin again, when only what the handle itself takes is held. */
void loam__account_restart(loam__account *a);
/* Put down what has come since the last note. */
void loam__account_note(loam__account *a, int what);
/* Bytes that will come after the plan has been made. */
void loam__account_expect(loam__account *a, int what, size_t bytes);
/* LOAM_ERR_NOMEM becomes LOAM_ERR_NOFIT, with its own sentence, where the limit was the reason. */
loam_status loam__account_reason(const loam__account *a, loam__base *b, loam_status st);

#endif
