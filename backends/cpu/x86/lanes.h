/* What the lanes of every instruction set are loaded with. */
#ifndef LOAM__CPU_LANES_H
#define LOAM__CPU_LANES_H

#include <immintrin.h>
#include <string.h>

#include "backends/cpu/inline.h"

LOAM__INLINE int load16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

LOAM__INLINE int load32(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Entries of a table whose numbers are the words of a and of b. */
LOAM__INLINE __m128i eight_words(const uint16_t *table, uint64_t a, uint64_t b)
{
    __m128i v = _mm_cvtsi32_si128(table[a & 0xffff]);
    v = _mm_insert_epi16(v, table[a >> 16 & 0xffff], 1);
    v = _mm_insert_epi16(v, table[a >> 32 & 0xffff], 2);
    v = _mm_insert_epi16(v, table[a >> 48], 3);
    v = _mm_insert_epi16(v, table[b & 0xffff], 4);
    v = _mm_insert_epi16(v, table[b >> 16 & 0xffff], 5);
    v = _mm_insert_epi16(v, table[b >> 32 & 0xffff], 6);
    return _mm_insert_epi16(v, table[b >> 48], 7);
}

#endif
