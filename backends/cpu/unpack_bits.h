/* Parts of bytes, for the unpackers: the panel header of an instruction set comes before. */
#ifndef LOAM__CPU_UNPACK_BITS_H
#define LOAM__CPU_UNPACK_BITS_H

/* Sixteen bytes of each row: the low nibbles are values 0..15, the high ones 16..31. */
LOAM__INLINE void unpack_nibbles(row_pointers rows, size_t at, piece *p)
{
    const ints mask = VECTOR(set1_epi8)(15);
    ints v[4];
    gather16(rows, at, v);
    p->w[0] = bits_and(v[0], mask);
    p->w[1] = bits_and(v[1], mask);
    p->w[2] = bits_and(v[2], mask);
    p->w[3] = bits_and(v[3], mask);
    p->w[4] = bits_and(VECTOR(srli_epi16)(v[0], 4), mask);
    p->w[5] = bits_and(VECTOR(srli_epi16)(v[1], 4), mask);
    p->w[6] = bits_and(VECTOR(srli_epi16)(v[2], 4), mask);
    p->w[7] = bits_and(VECTOR(srli_epi16)(v[3], 4), mask);
}

LOAM__INLINE void low_nibbles(const ints v[8], ints w[8])
{
    const ints mask = VECTOR(set1_epi8)(15);
    for (int j = 0; j < 8; j++)
        w[j] = bits_and(v[j], mask);
}

LOAM__INLINE void high_nibbles(const ints v[8], ints w[8])
{
    const ints mask = VECTOR(set1_epi8)(15);
    for (int j = 0; j < 8; j++)
        w[j] = bits_and(VECTOR(srli_epi16)(v[j], 4), mask);
}

/* Bits 2i and 2i + 1 of every byte. */
LOAM__INLINE void bit_pairs(const ints v[8], int i, ints w[8])
{
    const ints mask = VECTOR(set1_epi8)(3);
    for (int j = 0; j < 8; j++)
        w[j] = bits_and(i ? VECTOR(srli_epi16)(v[j], 2 * i) : v[j], mask);
}

/* 32 bytes of each row. */
LOAM__INLINE void gather32(row_pointers rows, size_t at, ints out[8])
{
    gather16(rows, at, out);
    gather16(rows, at + 16, out + 4);
}

/* A byte of each lane, as a number. */
LOAM__INLINE floats byte_as_float(ints v, int byte)
{
    const ints order = VECTOR(add_epi32)(repeated(0, 4, 8, 12), VECTOR(set1_epi32)(byte));
    const ints one_byte = bits_or(order, VECTOR(set1_epi32)((int)0xffffff00u));
    return VECTOR(cvtepi32_ps)(VECTOR(shuffle_epi8)(v, one_byte));
}

#endif
