#include "account.h"

#include <string.h>

static void *count(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes, size_t align)
{
    loam__account *a = ctx;
    if (!ptr) old_bytes = 0;
    if (new_bytes ==
        0) { /* the last block to be freed holds the account itself: nothing is touched after */
        atomic_fetch_sub(&a->live_bytes, old_bytes);
        return a->alloc(a->ctx, ptr, old_bytes, 0, align);
    }
    if (new_bytes <= old_bytes) {
        void *less = a->alloc(a->ctx, ptr, old_bytes, new_bytes, align);
        if (less) atomic_fetch_sub(&a->live_bytes, old_bytes - new_bytes);
        return less;
    }
    size_t more = new_bytes - old_bytes, live = atomic_fetch_add(&a->live_bytes, more);
    bool fits = live <= a->limit_bytes && more <= a->limit_bytes - live;
    void *p = fits ? a->alloc(a->ctx, ptr, old_bytes, new_bytes, align) : NULL;
    if (!fits) atomic_store(&a->refused, true);
    if (!p) {
        atomic_fetch_sub(&a->live_bytes, more);
        return NULL;
    }
    size_t peak = atomic_load(&a->peak_bytes);
    while (live + more > peak &&
           !atomic_compare_exchange_weak(&a->peak_bytes, &peak, live + more)) {
    }
    return p;
}

void loam__account_open(loam__account *a, loam__base *b, size_t live_bytes)
{
    a->alloc = b->hooks.alloc;
    a->ctx = b->hooks.alloc_ctx;
    a->limit_bytes = SIZE_MAX;
    atomic_store(&a->live_bytes, live_bytes);
    atomic_store(&a->peak_bytes, live_bytes);
    b->hooks.alloc = count;
    b->hooks.alloc_ctx = a;
}

void loam__account_restart(loam__account *a)
{
    const size_t live = atomic_load(&a->live_bytes);
    memset(a->held, 0, sizeof a->held);
    a->held[LOAM__HELD_HANDLE] = a->noted_bytes = live;
    a->limit_bytes = SIZE_MAX;
    atomic_store(&a->peak_bytes, live);
    atomic_store(&a->refused, false);
}

void loam__account_note(loam__account *a, int what)
{
    size_t live = atomic_load(&a->live_bytes);
    a->held[what] += live - a->noted_bytes;
    a->noted_bytes = live;
}

void loam__account_expect(loam__account *a, int what, size_t bytes)
{
    a->held[what] += bytes;
}

loam_status loam__account_reason(const loam__account *a, loam__base *b, loam_status st)
{
    if (st != LOAM_ERR_NOMEM || !atomic_load(&a->refused)) return st;
    return loam__fail(b, LOAM_ERR_NOFIT,
                      "the model does not fit: of the limit of %zu bytes %zu were in use when more "
                      "were needed; raise "
                      "options.memory_limit_bytes",
                      a->limit_bytes, atomic_load(&a->live_bytes));
}
