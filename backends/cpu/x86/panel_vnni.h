/* Activations and pieces of the products that sum four bytes to a lane at once (VNNI), at any
 * width: see panel.h. A set's own header brings its lanes and add_products() first. Lanes do not
 * meet, so the sets give the same bits. */
#ifndef LOAM__CPU_PANEL_VNNI_H
#define LOAM__CPU_PANEL_VNNI_H

enum { BLOCK = 32, HALF = 16 };

/* 32 activations: value i is scale[i / 16] * q[i].
 *
 * Integer sums are made into floats by where they begin: the bits of 1.5 * 2^23, plus a whole
 * number n with |n| < 2^22, are those of the float 1.5 * 2^23 + n. To take that away again is part
 * of the multiplication by a scale, for which `base` is -1.5 * 2^23 * scale. A scale has 22
 * significant bits, so a product of a whole number and a scale alone loses nothing by it, and one
 * together with another half at most the weight of 1 in q. */
typedef struct q8 {
    int8_t q[BLOCK];
    float scale[2], base[2], both_bases;
    float sum;              /* of the values, for weights with a minimum */
    union {                 /* for each half */
        int32_t start[2];   /* of a sum for weights with a center: MAGIC_BITS - center * sum of q */
        float half_sums[2]; /* of the values, for weights with a minimum in each half */
    };
} q8;

#define MAGIC      0x1.8p23f
#define MAGIC_BITS 0x4b400000

/* How weights multiply. */
enum {
    OFFSET,            /* weight = scale * w + min */
    CENTERED,          /* weight = scale * (w - center) */
    SIGNED = CENTERED, /* weight = scale * (int8_t)w, with a center of 128 */
    SIX_BITS,          /* weight = scale[i / 16] * (w - center) */
    SEVEN_BITS = SIX_BITS,
    HALVES, /* weight = scale[i / 16] * w + min[i / 16] / HALF_MIN */
    CENTERED_HALVES = SIX_BITS
};
#define HALF_MIN 1.0f
#define EACH_KIND(do)                                                                              \
    do                                                                                             \
    (OFFSET) do(CENTERED) do(SIX_BITS) do(HALVES)

typedef struct piece {
    ints w[8];
    floats scale;
    floats extra;  /* min; or for SIX_BITS and HALVES the scale of the second half */
    floats min[2]; /* for HALVES */
} piece;

LOAM__INLINE void set_min(piece *p, floats min)
{
    p->extra = min;
}

/* The center is part of the activations. */
LOAM__INLINE void set_center(piece *p, int center)
{
    (void)p;
    (void)center;
}

LOAM__INLINE void set_sixteens(piece *p, floats scale, ints first, ints second)
{
    p->scale = times(scale, VECTOR(cvtepi32_ps)(first));
    p->extra = times(scale, VECTOR(cvtepi32_ps)(second));
}

LOAM__INLINE void set_halves(piece *p, floats first, floats second)
{
    p->scale = first;
    p->extra = second;
}

LOAM__INLINE void set_half_mins(piece *p, floats first, floats second)
{
    p->min[0] = first;
    p->min[1] = second;
}

LOAM__INLINE void set_half_centers(piece *p, int center)
{
    set_center(p, center);
}

/* Signed bytes as the kind SIGNED has them. */
LOAM__INLINE ints signed_bytes(ints v)
{
    return bits_xor(v, VECTOR(set1_epi8)(-128));
}

LOAM__INLINE void set_signed(piece *p)
{
    for (int j = 0; j < 8; j++)
        p->w[j] = signed_bytes(p->w[j]);
}

LOAM__INLINE ints broadcast4(const void *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return VECTOR(set1_epi32)(v);
}

/* Where the sum of a half begins: MAGIC more than it is. */
LOAM__INLINE ints start_of(int kind, const q8 *x, int half)
{
    const bool centered = kind != OFFSET && kind != HALVES;
    return VECTOR(set1_epi32)(centered ? x->start[half] : MAGIC_BITS);
}

LOAM__INLINE floats add_mins(int kind, const piece *p, const q8 *x, floats sum)
{
    if (kind == OFFSET) return times_plus(p->extra, spread(x->sum), sum);
    if (kind != HALVES) return sum;
    sum = times_plus(p->min[0], spread(x->half_sums[0]), sum);
    return times_plus(p->min[1], spread(x->half_sums[1]), sum);
}

/* The exact sum of a half becomes part of the float sum. Where halves share a scale of the weights,
 * `both` lasts from the first to the second, and the sum changes with that. */
LOAM__INLINE void add_half(int kind, const piece *p, const q8 *x, int half, ints exact,
                           floats *both, floats *sum)
{
    const floats s = as_floats(exact), scale = spread(x->scale[half]);
    if (kind == SIX_BITS || kind == HALVES) {
        const floats scaled = times_plus(s, scale, spread(x->base[half]));
        *sum = times_plus(scaled, half ? p->extra : p->scale, *sum);
    } else {
        *both = times_plus(s, scale, half ? *both : spread(x->both_bases));
        if (half) *sum = times_plus(*both, p->scale, *sum);
    }
    if (half) *sum = add_mins(kind, p, x, *sum);
}

LOAM__INLINE floats add_piece(int kind, const piece *p, const q8 *x, floats sum)
{
    floats both;
    for (int half = 0; half < 2; half++) {
        ints s = start_of(kind, x, half);
        for (int j = 4 * half; j < 4 * half + 4; j++)
            s = add_products(s, p->w[j], broadcast4(x->q + 4 * j));
        add_half(kind, p, x, half, s, &both, &sum);
    }
    return sum;
}

#include "backends/cpu/panel.h"

#endif
