/* Sixteen activations, half of a block, to int8: for the panels of AVX2 with and without VNNI. */
#ifndef LOAM__CPU_ROUND_AVX2_H
#define LOAM__CPU_ROUND_AVX2_H

#include "floats_avx2.h"

/* The bits of the largest |x|; NaN is above infinity. */
LOAM__INLINE uint32_t largest_bits(const float *x)
{
    const __m256i bits = _mm256_set1_epi32(0x7fffffff);
    const __m256i a = _mm256_castps_si256(_mm256_loadu_ps(x));
    const __m256i b = _mm256_castps_si256(_mm256_loadu_ps(x + 8));
    const __m256i m = _mm256_max_epi32(_mm256_and_si256(a, bits), _mm256_and_si256(b, bits));
    __m128i h = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4E));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(h);
}

/* Round the values times `inverse`; gives the sum. */
LOAM__INLINE int round_half(const float *x, float inverse, int8_t *to)
{
    const __m256 by = _mm256_set1_ps(inverse);
    const __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), by));
    const __m256i b = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), by));
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8);
    const __m128i low = _mm256_castsi256_si128(words), high = _mm256_extracti128_si256(words, 1);
    _mm_storeu_si128((__m128i *)(void *)to, _mm_packs_epi16(low, high));
    __m128i sum = _mm_madd_epi16(_mm_add_epi16(low, high), _mm_set1_epi16(1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    return _mm_cvtsi128_si32(sum);
}

#endif
