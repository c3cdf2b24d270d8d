#include "roofs.h"
#include "command.h"
#include "output.h"
#include "products.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define MOST_THREADS 64

static uint32_t thread_count(uint32_t wanted)
{
    long online = wanted ? (long)wanted : sysconf(_SC_NPROCESSORS_ONLN);
    if (online < 1) return 1;
    return online < MOST_THREADS ? (uint32_t)online : MOST_THREADS;
}

/* Run the task on each of n items of that size, each on a thread of its own. */
static bool on_threads(void *(*task)(void *), void *items, size_t size, uint32_t n)
{
    pthread_t threads[MOST_THREADS];
    uint32_t started = 0;

    while (started < n &&
           pthread_create(&threads[started], NULL, task, (char *)items + started * size) == 0)
        started++;
    for (uint32_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return started == n;
}

/* ---- reading ---- */

#define BUFFER_BYTES ((size_t)256 << 20) /* larger than the caches */
#define LANES        32 /* independent sums, so that the reads do not wait for each other */
#define READ_SECONDS 0.1

typedef struct slice {
    uint64_t *words;
    size_t n; /* a multiple of LANES */
    uint64_t sum;
} slice;

static void *fill(void *arg)
{
    slice *s = arg;
    memset(s->words, 1, s->n * sizeof *s->words);
    return NULL;
}

static void *read_all(void *arg)
{
    slice *s = arg;
    uint64_t sums[LANES] = {0};

    for (size_t i = 0; i < s->n; i += LANES)
        for (size_t j = 0; j < LANES; j++)
            sums[j] ^= s->words[i + j];
    for (size_t j = 0; j < LANES; j++)
        s->sum ^= sums[j];
    return NULL;
}

double roof_read(uint32_t n_threads)
{
    uint32_t n = thread_count(n_threads);
    size_t share = BUFFER_BYTES / sizeof(uint64_t) / n / LANES * LANES;
    uint64_t *words = aligned_alloc(64, BUFFER_BYTES);
    slice slices[MOST_THREADS];
    double best = 0;
    bool ok = words != NULL;

    for (uint32_t i = 0; i < n && ok; i++)
        slices[i] = (slice){words + i * share, share, 0};
    ok = ok && on_threads(fill, slices, sizeof *slices, n);
    for (double begin = seconds_now(), start = begin; ok && start - begin < READ_SECONDS;) {
        double rate;
        start = seconds_now();
        ok = on_threads(read_all, slices, sizeof *slices, n);
        rate = (double)(share * sizeof(uint64_t) * n) / (seconds_now() - start);
        if (ok && rate > best) best = rate;
    }
    free(words);
    return best;
}

/* ---- multiplying ---- */

/* What the compiler makes of plain C, in F32; the factors are in the nearest cache. */
static double products_scalar(void)
{
    float sums[LANES] = {0}, x[PASSES / 4], all = 0;

    for (size_t i = 0; i < COUNT(x); i++)
        x[i] = (float)i;
    KEEP("m", x);
    for (int k = 0; k < 32; k++)
        for (size_t i = 0; i < COUNT(x); i += LANES)
            for (size_t j = 0; j < LANES; j++)
                sums[j] += x[i + j] * 0.001f;
    for (size_t j = 0; j < LANES; j++)
        all += sums[j];
    KEEP("m", all);
    return 32.0 * COUNT(x);
}

#if defined(__x86_64__)
#define FOR_SET(set) __attribute__((target(set)))

/* Two rows and two columns; four products become 16-bit sums before they are widened. */
FOR_SET("avx2") static double products_avx2(void)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i w[2], x[2], sums[2][2];

    for (int k = 0; k < 2; k++) {
        w[k] = _mm256_set1_epi8((char)(3 + k));
        x[k] = _mm256_set1_epi8((char)(7 + k));
        sums[k][0] = sums[k][1] = _mm256_setzero_si256();
    }
    for (int i = 0; i < PASSES; i++) {
        __m256i narrow[2][2];
        for (int j = 0; j < 4; j++)
            for (int c = 0; c < 2; c++) {
                KEEP("x", x[c]);
                for (int r = 0; r < 2; r++) {
                    const __m256i two = _mm256_maddubs_epi16(w[r], x[c]);
                    narrow[r][c] = j ? _mm256_add_epi16(narrow[r][c], two) : two;
                    KEEP("x", narrow[r][c]);
                }
            }
        for (int k = 0; k < 4; k++)
            sums[k / 2][k % 2] =
                _mm256_add_epi32(sums[k / 2][k % 2], _mm256_madd_epi16(narrow[k / 2][k % 2], ones));
    }
    for (int k = 0; k < 4; k++)
        KEEP("x", sums[k / 2][k % 2]);
    return 4.0 * 4 * 32 * PASSES;
}

FOR_SET("avx2,fma") static double products_avx2_float(void)
{
    const __m256 w = _mm256_set1_ps(0.5f), x = _mm256_set1_ps(0.25f);

    RUN_CHAINS(__m256, "x", _mm256_set1_ps((float)c), _mm256_fmadd_ps(w, x, sum));
    return 8.0 * CHAINS * PASSES;
}

FOR_SET("avx2,avxvnni") static double products_avxvnni(void)
{
    const __m256i w = _mm256_set1_epi8(3), x = _mm256_set1_epi8(7);
    __m256i sums[CHAINS];

    for (int c = 0; c < CHAINS; c++)
        sums[c] = _mm256_set1_epi32(c);
    for (int i = 0; i < PASSES; i++)
        for (int c = 0; c < CHAINS; c++)
            sums[c] = _mm256_dpbusd_avx_epi32(sums[c], w, x);
    for (int c = 0; c < CHAINS; c++)
        KEEP("x", sums[c]);
    return 32.0 * CHAINS * PASSES;
}

FOR_SET("avx512f,avx512vnni") static double products_avx512(void)
{
    const __m512i w = _mm512_set1_epi8(3), x = _mm512_set1_epi8(7);

    RUN_CHAINS(__m512i, "v", _mm512_set1_epi32(c), _mm512_dpbusd_epi32(sum, w, x));
    return 64.0 * CHAINS * PASSES;
}

FOR_SET("avx512f") static double products_avx512_float(void)
{
    const __m512 w = _mm512_set1_ps(0.5f), x = _mm512_set1_ps(0.25f);

    RUN_CHAINS(__m512, "v", _mm512_set1_ps((float)c), _mm512_fmadd_ps(w, x, sum));
    return 16.0 * CHAINS * PASSES;
}

FOR_SET("avx512f,avx512bf16") static double products_avx512_bf16(void)
{
    const __m512bh w = _mm512_cvtne2ps_pbh(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f));

    RUN_CHAINS(__m512, "v", _mm512_set1_ps((float)c), _mm512_dpbf16_ps(sum, w, w));
    return 32.0 * CHAINS * PASSES;
}
#elif defined(__aarch64__)
/* Two products become a 16-bit sum before they are widened. */
static double products_neon(void)
{
    const int8x16_t x = vdupq_n_s8(7);
    int8x16_t w = vdupq_n_s8(3);
    int32x4_t sums[CHAINS];

    for (int c = 0; c < CHAINS; c++)
        sums[c] = vdupq_n_s32(c);
    for (int i = 0; i < PASSES; i++) {
#pragma GCC unroll 12 /* so that the sums are never in memory */
        for (int c = 0; c < CHAINS; c++) {
            KEEP("w", w);
            const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
            sums[c] = vpadalq_s16(sums[c], vpaddq_s16(low, vmull_high_s8(w, x)));
        }
    }
    for (int c = 0; c < CHAINS; c++)
        KEEP("w", sums[c]);
    return 16.0 * CHAINS * PASSES;
}

static double products_neon_float(void)
{
    const float32x4_t w = vdupq_n_f32(0.5f), x = vdupq_n_f32(0.25f);

    RUN_CHAINS(float32x4_t, "w", vdupq_n_f32((float)c), vfmaq_f32(sum, w, x));
    return 4.0 * CHAINS * PASSES;
}
#endif

/* Instruction sets by the library's names for them. The library runs a set only where this CPU has
 * it. */
static const struct set {
    const char *name;
    products_fn *integers, *floats, *bf16;
} sets[] = {
    {"scalar", products_scalar, products_scalar, products_scalar},
#if defined(__x86_64__)
    {"avx2", products_avx2, products_avx2_float, products_avx2_float},
    {"avxvnni", products_avxvnni, products_avx2_float, products_avx2_float},
    {"avx512", products_avx512, products_avx512_float, products_avx512_float},
    {"avx512bf16", products_avx512, products_avx512_float, products_avx512_bf16},
#elif defined(__aarch64__)
    {"neon", products_neon, products_neon_float, products_neon_float},
    {"dotprod", products_dotprod, products_neon_float, products_neon_float},
    {"i8mm", products_i8mm, products_neon_float, products_neon_float},
#endif
};

static products_fn *loop_of(const struct set *set, loam_format format)
{
    if (format == LOAM_TYPE_BF16) return set->bf16;
    return format == LOAM_TYPE_F32 || format == LOAM_TYPE_F16 ? set->floats : set->integers;
}

#define MULTIPLY_ROUNDS  4
#define MULTIPLY_SECONDS 0.015

typedef struct multiplier {
    products_fn *loop;
    double rate;
} multiplier;

static void *multiply(void *arg)
{
    multiplier *m = arg;
    double start = seconds_now(), taken, products = 0;

    do {
        products += m->loop();
        taken = seconds_now() - start;
    } while (taken < MULTIPLY_SECONDS);
    m->rate = products / taken;
    return NULL;
}

double roof_multiply(const char *isa, loam_format format, uint32_t n_threads)
{
    uint32_t n = thread_count(n_threads);
    multiplier all[MOST_THREADS];
    double best = 0;
    size_t s = 0;

    while (s < COUNT(sets) && strcmp(sets[s].name, isa) != 0)
        s++;
    if (s == COUNT(sets)) return 0;
    for (uint32_t i = 0; i < n; i++)
        all[i].loop = loop_of(&sets[s], format);
    for (int r = 0; r < MULTIPLY_ROUNDS; r++) {
        double sum = 0;
        if (!on_threads(multiply, all, sizeof *all, n)) return best;
        for (uint32_t i = 0; i < n; i++)
            sum += all[i].rate;
        if (sum > best) best = sum;
    }
    return best;
}
