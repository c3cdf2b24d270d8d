#include "memo.h"

/* Four megabytes at most; below a kilobyte of text it is not worth it. */
#define SLOTS_MAX 65536u
#define TEXT_MIN  1024u

bool loam__memo_init(loam__memo *m, loam__base *b, size_t n)
{
    size_t slots = 64;
    *m = (loam__memo){0};
    if (n < TEXT_MIN) return true;
    while (slots < SLOTS_MAX && slots < n / 16)
        slots *= 2;
    m->slots = loam__alloc_aligned(b, slots * sizeof *m->slots, LOAM__ALIGN);
    if (!m->slots) return false;
    m->mask = (uint32_t)(slots - 1);
    return true;
}

void loam__memo_free(loam__memo *m, loam__base *b)
{
    loam__free(b, m->slots);
}
