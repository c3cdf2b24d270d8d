/* Small parts that several AVX2 kernel files share. */
#ifndef LOAM__CPU_INLINE_AVX2_H
#define LOAM__CPU_INLINE_AVX2_H

#include <immintrin.h>
#include <string.h>

#include "avx2.h"
#include "lib/base/compiler.h"

/* The eight lanes in a fixed order: ((0+4) + (2+6)) + ((1+5) + (3+7)). */
LOAM__INLINE float add_lanes(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

#endif
