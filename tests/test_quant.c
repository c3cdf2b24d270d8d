/* Number formats: blocks worked out by hand, golden blocks bit for bit, the half formats
 * exhaustively. */
#define _POSIX_C_SOURCE 200809L
#include "kernels_data.h"

#include <float.h>
#include <math.h>

enum { K = 256, LARGEST_BLOCK = 210 };

/* F16 numbers as they lie in a block. */
#define F16_HALF    0x00, 0x38 /* 0.5 */
#define F16_QUARTER 0x00, 0x34 /* 0.25 */
#define F16_MINUS_3 0x00, 0xc2 /* -3 */

static void decode(loam_format type, const void *block, float *values, size_t n)
{
    assert_int_equal(loam_quant_decode(type, block, values, n), LOAM_OK);
}

static void put_u16(uint8_t *p, unsigned n)
{
    p[0] = (uint8_t)n;
    p[1] = (uint8_t)(n >> 8);
}

/* ---- blocks by hand --------------------------------------------------------------------- */

/* In blocks of 32 byte i holds the nibbles i and 15 - i. */
static void put_nibbles(uint8_t *p)
{
    for (int i = 0; i < 16; i++)
        p[i] = (uint8_t)(i | (15 - i) << 4);
}

static void test_decode__q4_0(void **state)
{
    uint8_t block[18] = {F16_HALF};
    float y[32];
    (void)state;
    put_nibbles(block + 2);
    decode(LOAM_TYPE_Q4_0, block, y, 32);
    for (int i = 0; i < 16; i++) {
        assert_true(y[i] == (float)(i - 8) * 0.5f);
        assert_true(y[16 + i] == (float)(7 - i) * 0.5f);
    }
}

static void test_decode__q4_1(void **state)
{
    uint8_t block[20] = {F16_QUARTER, F16_MINUS_3};
    float y[32];
    (void)state;
    put_nibbles(block + 4);
    decode(LOAM_TYPE_Q4_1, block, y, 32);
    for (int i = 0; i < 16; i++) {
        assert_true(y[i] == (float)i * 0.25f - 3);
        assert_true(y[16 + i] == (float)(15 - i) * 0.25f - 3);
    }
}

/* The fifth bits 0x80010006 are those of digits 1, 2, 16 and 31. */
static int fifth_bit(int i)
{
    return i == 1 || i == 2 || i == 16 || i == 31 ? 16 : 0;
}

static void test_decode__q5_0(void **state)
{
    uint8_t block[22] = {F16_HALF, 0x06, 0x00, 0x01, 0x80};
    float y[32];
    (void)state;
    put_nibbles(block + 6);
    decode(LOAM_TYPE_Q5_0, block, y, 32);
    for (int i = 0; i < 16; i++) {
        assert_true(y[i] == (float)(i + fifth_bit(i) - 16) * 0.5f);
        assert_true(y[16 + i] == (float)(15 - i + fifth_bit(16 + i) - 16) * 0.5f);
    }
}

static void test_decode__q5_1(void **state)
{
    uint8_t block[24] = {F16_QUARTER, F16_MINUS_3, 0x06, 0x00, 0x01, 0x80};
    float y[32];
    (void)state;
    put_nibbles(block + 8);
    decode(LOAM_TYPE_Q5_1, block, y, 32);
    for (int i = 0; i < 16; i++) {
        assert_true(y[i] == (float)(i + fifth_bit(i)) * 0.25f - 3);
        assert_true(y[16 + i] == (float)(15 - i + fifth_bit(16 + i)) * 0.25f - 3);
    }
}

static void test_decode__q8_0(void **state)
{
    uint8_t block[34] = {F16_QUARTER, 0x80, 0x7f, 0xff, 0x00, 0x01};
    static const float want[5] = {-32, 31.75f, -0.25f, 0, 0.25f};
    float y[32];
    (void)state;
    block[33] = 0xfe;
    decode(LOAM_TYPE_Q8_0, block, y, 32);
    for (int i = 0; i < 5; i++)
        assert_true(y[i] == want[i]);
    assert_true(y[31] == -0.5f);
}

/* Scales 1 2 3 63 16 33 50 62 and minima 0 5 63 7 31 48 1 60, packed. */
#define PACKED 0x41, 0x82, 0xc3, 0xff, 0x40, 0xc5, 0x3f, 0xc7, 0xf0, 0x01, 0x12, 0xce
static const int scales[8] = {1, 2, 3, 63, 16, 33, 50, 62};
static const int minima[8] = {0, 5, 63, 7, 31, 48, 1, 60};

/* Digit i of group g of the K blocks below. */
static int nibble(int g, int i)
{
    return g % 2 ? (15 - i - g / 2) & 15 : (i + g / 2) & 15;
}

static void put_k_nibbles(uint8_t *p)
{
    for (int i = 0; i < 128; i++)
        p[i] = (uint8_t)(nibble(i / 32 * 2, i % 32) | nibble(i / 32 * 2 + 1, i % 32) << 4);
}

static void test_decode__q4_k(void **state)
{
    uint8_t block[144] = {F16_HALF, F16_QUARTER, PACKED};
    float y[K];
    (void)state;
    put_k_nibbles(block + 16);
    decode(LOAM_TYPE_Q4_K, block, y, K);
    for (int i = 0; i < K; i++) {
        int g = i / 32, q = nibble(g, i % 32);
        assert_true(y[i] == 0.5f * (float)(scales[g] * q) - 0.25f * (float)minima[g]);
    }
}

static void test_decode__q5_k(void **state)
{
    uint8_t block[176] = {F16_HALF, F16_QUARTER, PACKED};
    float y[K];
    (void)state;
    for (int i = 0; i < 32; i++)
        block[16 + i] = (uint8_t)(1 << i % 8); /* digit i has its fifth bit in group i % 8 */
    put_k_nibbles(block + 48);
    decode(LOAM_TYPE_Q5_K, block, y, K);
    for (int i = 0; i < K; i++) {
        int g = i / 32, q = nibble(g, i % 32) + (i % 8 == g ? 16 : 0);
        assert_true(y[i] == 0.5f * (float)(scales[g] * q) - 0.25f * (float)minima[g]);
    }
}

/* The two bits of value i in 64 bytes whose halves hold four runs of 32. */
static int bit_pair(const uint8_t *p, int i)
{
    static const int ones[4] = {1, 4, 16, 64};
    return p[i / 128 * 32 + i % 32] / ones[i % 128 / 32] % 4;
}

static void put_varied_bytes(uint8_t *p, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 37 + i / 16);
}

static void test_decode__q2_k(void **state)
{
    uint8_t block[84];
    float y[K];
    (void)state;
    put_varied_bytes(block, 80);
    memcpy(block + 80, (uint8_t[]){F16_HALF, F16_QUARTER}, 4);
    decode(LOAM_TYPE_Q2_K, block, y, K);
    for (int i = 0; i < K; i++) {
        int scale = block[i / 16] % 16, minimum = block[i / 16] / 16;
        assert_true(y[i] ==
                    0.5f * (float)(scale * bit_pair(block + 16, i)) - 0.25f * (float)minimum);
    }
}

static void test_decode__q3_k(void **state)
{
    static const int signed_scales[16] = {-32, 31, 0,  1,   -1, 16, -17, 7,
                                          2,   -3, 30, -31, 9,  -9, 24,  -24};
    static const uint8_t packed[14] = {0x20, 0xdf, 0xe0, 0x11, 0x9f, 0x70,       0x8f,
                                       0x87, 0xa4, 0x5f, 0xf2, 0x0a, F16_QUARTER};
    uint8_t block[110];
    float y[K];
    (void)state;
    put_varied_bytes(block, 96);
    memcpy(block + 96, packed, sizeof packed);
    decode(LOAM_TYPE_Q3_K, block, y, K);
    for (int i = 0; i < K; i++) {
        int q = bit_pair(block + 32, i) + (block[i % 32] & 1 << i / 32 ? 4 : 0);
        assert_true(y[i] == 0.25f * (float)(signed_scales[i / 16] * (q - 4)));
    }
}

static void test_decode__q6_k(void **state)
{
    uint8_t block[210];
    float y[K];
    (void)state;
    put_varied_bytes(block, 208);
    memcpy(block + 208, (uint8_t[]){F16_QUARTER}, 2);
    decode(LOAM_TYPE_Q6_K, block, y, K);
    for (int half = 0; half < 2; half++) {
        const uint8_t *low = block + 64 * half, *upper = block + 128 + 32 * half;
        const int8_t *s = (const int8_t *)block + 192 + 8 * half;
        const float *v = y + 128 * half;
        for (int i = 0; i < 32; i++) {
            int q0 = low[i] % 16 + upper[i] % 4 * 16 - 32;
            int q1 = low[i + 32] % 16 + upper[i] / 4 % 4 * 16 - 32;
            int q2 = low[i] / 16 + upper[i] / 16 % 4 * 16 - 32;
            int q3 = low[i + 32] / 16 + upper[i] / 64 * 16 - 32;
            assert_true(v[i] == 0.25f * (float)(s[0 + i / 16] * q0));
            assert_true(v[i + 32] == 0.25f * (float)(s[2 + i / 16] * q1));
            assert_true(v[i + 64] == 0.25f * (float)(s[4 + i / 16] * q2));
            assert_true(v[i + 96] == 0.25f * (float)(s[6 + i / 16] * q3));
        }
    }
}

static const int iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                            1,    13,   25,  38,  53,  69,  89,  113};

static void test_decode__iq4_nl(void **state)
{
    uint8_t block[18] = {F16_HALF};
    float y[32];
    (void)state;
    put_nibbles(block + 2);
    decode(LOAM_TYPE_IQ4_NL, block, y, 32);
    for (int i = 0; i < 16; i++) {
        assert_true(y[i] == 0.5f * (float)iq4[i]);
        assert_true(y[16 + i] == 0.5f * (float)iq4[15 - i]);
    }
}

static void test_decode__iq4_xs(void **state)
{
    static const int signed_scales[8] = {-32, 31, 0, 1, -1, 16, -17, 7};
    uint8_t block[136] = {F16_QUARTER, 0xac, 0x8d, 0xf0, 0x10, 0x0f, 0x7f};
    float y[K];
    (void)state;
    for (int i = 0; i < 8; i++)
        put_nibbles(block + 8 + 16 * i);
    decode(LOAM_TYPE_IQ4_XS, block, y, K);
    for (int i = 0; i < K; i++) {
        int q = i % 32 < 16 ? i % 16 : 15 - i % 16;
        assert_true(y[i] == 0.25f * (float)(signed_scales[i / 32] * iq4[q]));
    }
}

/* What the MX specification says a float of 4 bits (E2M1) is. */
static float e2m1(int bits)
{
    int exponent = bits >> 1 & 3, fraction = bits & 1;
    float magnitude = exponent ? ldexpf(2 + (float)fraction, exponent - 2) : (float)fraction / 2;
    return bits & 8 ? -magnitude : magnitude;
}

static void test_decode__mxfp4(void **state)
{
    uint8_t block[17];
    float y[32];
    (void)state;
    put_nibbles(block + 1);
    for (int scale = 0; scale < 253; scale++) { /* above, 6 times the scale is infinite */
        block[0] = (uint8_t)scale;
        decode(LOAM_TYPE_MXFP4, block, y, 32);
        for (int i = 0; i < 16; i++) {
            assert_true(y[i] == ldexpf(e2m1(i), scale - 127));
            assert_true(y[16 + i] == ldexpf(e2m1(15 - i), scale - 127));
        }
    }
}

/* An unsigned E4M3; NaN counts as zero. */
static float e4m3(int bits)
{
    int exponent = bits >> 3, fraction = bits & 7;
    if (bits == 127) return 0;
    return exponent ? ldexpf(8 + (float)fraction, exponent - 10) : ldexpf((float)fraction, -9);
}

static void test_decode__nvfp4(void **state)
{
    uint8_t block[36];
    float y[64];
    (void)state;
    put_nibbles(block + 4);
    put_nibbles(block + 20);
    for (int scale = 0; scale < 128; scale++) {
        for (int i = 0; i < 4; i++)
            block[i] = (uint8_t)((scale + 30 * i) % 128);
        decode(LOAM_TYPE_NVFP4, block, y, 64);
        for (int i = 0; i < 64; i++) {
            int byte = i / 16 % 2 * 8 + i % 8, q = i % 16 < 8 ? byte : 15 - byte;
            assert_true(y[i] == e2m1(q) * e4m3(block[i / 16]));
        }
    }
}

/* Digit i of the ternary block below. */
static int trit(int i)
{
    return (i * 7 + i / 5 + i / 27) % 3;
}

/* A byte of n digits, which begin at `first` and are `step` apart: the fraction 0.ddddd in base 3,
 * rounded up to 1/256. */
static uint8_t ternary_byte(int first, int step, int n)
{
    int number = 0;
    for (int digit = 0; digit < 5; digit++)
        number = number * 3 + (digit < n ? trit(first + digit * step) : 0);
    return (uint8_t)((number * 256 + 242) / 243);
}

static void test_decode__tq1_0(void **state)
{
    uint8_t block[54];
    float y[K];
    (void)state;
    for (int i = 0; i < 32; i++)
        block[i] = ternary_byte(i, 32, 5);
    for (int i = 0; i < 16; i++)
        block[32 + i] = ternary_byte(160 + i, 16, 5);
    for (int i = 0; i < 4; i++)
        block[48 + i] = ternary_byte(240 + i, 4, 4);
    memcpy(block + 52, (uint8_t[]){F16_HALF}, 2);
    decode(LOAM_TYPE_TQ1_0, block, y, K);
    for (int i = 0; i < K; i++)
        assert_true(y[i] == 0.5f * (float)(trit(i) - 1));
}

static void test_decode__tq2_0(void **state)
{
    uint8_t block[66];
    float y[K];
    (void)state;
    put_varied_bytes(block, 64);
    memcpy(block + 64, (uint8_t[]){F16_QUARTER}, 2);
    decode(LOAM_TYPE_TQ2_0, block, y, K);
    for (int i = 0; i < K; i++)
        assert_true(y[i] == 0.25f * (float)(bit_pair(block, i) - 1));
}

static void test_decode__q1_0(void **state)
{
    uint8_t block[18] = {F16_MINUS_3, 0x01, 0x80, 0xf0};
    float y[128];
    (void)state;
    decode(LOAM_TYPE_Q1_0, block, y, 128);
    for (int i = 0; i < 128; i++) {
        bool set = i == 0 || i == 15 || (i >= 20 && i < 24);
        assert_true(y[i] == (set ? -3.0f : 3.0f));
    }
}

static void test_decode__q2_0(void **state)
{
    uint8_t block[18] = {F16_MINUS_3};
    float y[64];
    (void)state;
    for (int i = 0; i < 16; i++)
        block[2 + i] = i % 2 ? 0x1b : 0xe4; /* 3 2 1 0, from the lowest bits on, or 0 1 2 3 */
    decode(LOAM_TYPE_Q2_0, block, y, 64);
    for (int i = 0; i < 64; i++) {
        int q = i / 4 % 2 ? 3 - i % 4 : i % 4;
        assert_true(y[i] == -3.0f * (float)(q - 1));
    }
}

/* ---- points of grids, worked out by hand ---- */

static const float iq2_means[] = {8, 25, 43};
static const float iq3_xxs_means[] = {4, 12, 20, 28, 36, 44, 52, 62};
static const float iq3_s_means[] = {1, 3, 5, 7, 9, 11, 13, 15};

/* y is a point of these digits; bit i of `minus` is the sign of the number i. */
static void expect_point(const float *y, const char *digits, const float *means, unsigned minus,
                         float scale)
{
    for (size_t i = 0; digits[i]; i++) {
        float want = scale * means[digits[i] - '0'];
        assert_true(y[i] == (minus >> i & 1 ? -want : want));
    }
}

static void test_decode__iq2_xxs(void **state)
{
    uint8_t block[66] = {F16_HALF};
    float y[K];
    (void)state;
    memcpy(block + 2 + 5 * 8, (uint8_t[]){1, 85, 129, 254}, 4);
    uint32_t rest = 0x00u | 0x01u << 7 | 0x7fu << 14 | 0x28u << 21 | 5u << 28;
    for (int i = 0; i < 4; i++)
        block[2 + 5 * 8 + 4 + i] = (uint8_t)(rest >> 8 * i);
    decode(LOAM_TYPE_IQ2_XXS, block, y, K);
    expect_point(y, "00000000", iq2_means, 0, 0.5f * 0.125f);
    expect_point(y + 160, "20000000", iq2_means, 0x00, 0.5f * 11 * 0.125f);
    expect_point(y + 168, "22111010", iq2_means, 0x81, 0.5f * 11 * 0.125f);
    expect_point(y + 176, "00200220", iq2_means, 0xff, 0.5f * 11 * 0.125f);
    expect_point(y + 184, "00110222", iq2_means, 0x28, 0.5f * 11 * 0.125f);
}

static void test_decode__iq2_xs(void **state)
{
    uint8_t block[74] = {F16_HALF};
    float y[K];
    (void)state;
    put_u16(block + 2 + 9 * 2, 170 | 0x01 << 9);
    put_u16(block + 2 + 10 * 2, 510 | 0x7f << 9);
    block[66 + 2] = 0x73; /* runs of 16: 4 and 5 */
    decode(LOAM_TYPE_IQ2_XS, block, y, K);
    expect_point(y + 72, "00102010", iq2_means, 0x81, 0.5f * 7 * 0.125f);
    expect_point(y + 80, "10122222", iq2_means, 0xff, 0.5f * 15 * 0.125f);
    expect_point(y + 88, "00000000", iq2_means, 0, 0.5f * 15 * 0.125f);
}

static void test_decode__iq2_s(void **state)
{
    uint8_t block[82] = {F16_HALF};
    float y[K];
    (void)state;
    block[2 + 22] = 1022 & 255;
    block[66 + 5] = 3 << 4; /* points 20 to 23 */
    block[34 + 22] = 0x91;
    block[74 + 5] = 0xa0; /* runs 10 and 11 */
    decode(LOAM_TYPE_IQ2_S, block, y, K);
    expect_point(y + 176, "02022222", iq2_means, 0x91, 0.5f * 21 * 0.125f);
    expect_point(y + 168, "00000000", iq2_means, 0, 0.5f * 0.125f);
}

static void test_decode__iq3_xxs(void **state)
{
    uint8_t block[98] = {F16_HALF};
    float y[K];
    (void)state;
    block[2 + 12] = 85;
    block[2 + 13] = 254;
    uint32_t rest = 0x51u << 14 | 9u << 28; /* of numbers 32 to 63; three signs, so a fourth */
    for (int i = 0; i < 4; i++)
        block[66 + 4 + i] = (uint8_t)(rest >> 8 * i);
    decode(LOAM_TYPE_IQ3_XXS, block, y, K);
    expect_point(y + 48, "6431", iq3_xxs_means, 0x1, 0.5f * 19 * 0.25f);
    expect_point(y + 52, "4257", iq3_xxs_means, 0xd, 0.5f * 19 * 0.25f);
    expect_point(y + 64, "0000", iq3_xxs_means, 0, 0.5f * 0.25f);
}

static void test_decode__iq3_s(void **state)
{
    uint8_t block[110] = {F16_HALF};
    float y[K];
    (void)state;
    block[2 + 62] = 170;
    block[2 + 63] = 510 & 255;
    block[66 + 7] = 0x80;
    block[74 + 31] = 0x5a;
    block[106 + 3] = 0xc0;
    decode(LOAM_TYPE_IQ3_S, block, y, K);
    expect_point(y + 248, "3341", iq3_s_means, 0xa, 0.5f * 25);
    expect_point(y + 252, "1367", iq3_s_means, 0x5, 0.5f * 25);
    expect_point(y + 220, "0000", iq3_s_means, 0, 0.5f);
}

static void test_decode__iq1_s(void **state)
{
    static const float below[] = {-1.125f, -0.125f, 0.875f}, above[] = {-0.875f, 0.125f, 1.125f};
    uint8_t block[50] = {F16_HALF};
    float y[K];
    (void)state;
    block[2 + 30] = 2046 & 255;
    put_u16(block + 34 + 7 * 2, 7 << 6 | 6 << 12 | 1 << 15);
    decode(LOAM_TYPE_IQ1_S, block, y, K);
    expect_point(y + 240, "02222222", below, 0, 0.5f * 13);
    expect_point(y + 248, "00000000", below, 0, 0.5f * 13);
    expect_point(y + 216, "00000000", above, 0, 0.5f);
}

static void test_decode__iq1_m(void **state)
{
    static const float below[] = {-1.125f, -0.125f, 0.875f}, above[] = {-0.875f, 0.125f, 1.125f};
    uint8_t block[56] = {0};
    float y[K];
    (void)state;
    block[5] = 682 & 255;
    block[32 + 2] = 0xa0; /* points 4 and 5: upper bits, sign of delta */
    put_u16(block + 48, 5 << 6);
    put_u16(block + 52, 4 << 12); /* of the scale, 0x3400 */
    put_u16(block + 54, 3 << 12);
    decode(LOAM_TYPE_IQ1_M, block, y, K);
    expect_point(y + 32, "00000000", above, 0, 0.25f * 11);
    expect_point(y + 40, "21102001", below, 0, 0.25f * 11);
    expect_point(y + 48, "00000000", above, 0, 0.25f);
}

/* FNV-1a (Fowler, Noll and Vo) of all digits in their order; no bits but those of digits. */
static uint32_t grid_sum(const uint16_t *grid, size_t points, int digits, uint32_t most)
{
    const int bits = 16 / digits;
    uint32_t sum = 2166136261u;
    for (size_t p = 0; p < points; p++) {
        uint32_t rest = grid[p];
        for (int i = 0; i < digits; i++) {
            int at = i % 2 * 8 + i / 2 * bits;
            uint32_t digit = grid[p] >> at & ((1u << bits) - 1);
            assert_true(digit <= most);
            rest &= ~(digit << at);
            sum = (sum ^ digit) * 16777619u;
        }
        assert_int_equal(rest, 0);
    }
    return sum;
}

/* The sums were made of another reader's grids. */
static void test_grids__are_those_of_the_formats(void **state)
{
    (void)state;
    assert_int_equal(grid_sum(loam__grid_iq2_xxs, 256, 8, 2), 0xfc7456c3);
    assert_int_equal(grid_sum(loam__grid_iq2_xs, 512, 8, 2), 0x8f9cc713);
    assert_int_equal(grid_sum(loam__grid_iq2_s, 1024, 8, 2), 0xb3ab4ebd);
    assert_int_equal(grid_sum(loam__grid_iq1, 2048, 8, 2), 0x99bacd40);
    assert_int_equal(grid_sum(loam__grid_iq3_xxs, 256, 4, 7), 0x7a16ded5);
    assert_int_equal(grid_sum(loam__grid_iq3_s, 512, 4, 7), 0x0e68d97b);
}

static void test_decode__plain_numbers(void **state)
{
    static const uint8_t f32[] = {0x00, 0x00, 0xc0, 0x3f, 0x00, 0x00, 0x00, 0x80};
    static const uint8_t f16[] = {0x00, 0x3e, 0x01, 0x80};  /* 1.5 and -2^-24 */
    static const uint8_t bf16[] = {0xc0, 0x3f, 0x80, 0xff}; /* 1.5 and -infinity */
    float y[2];
    (void)state;
    decode(LOAM_TYPE_F32, f32, y, 2);
    assert_true(y[0] == 1.5f && y[1] == 0 && signbit(y[1]));
    decode(LOAM_TYPE_F16, f16, y, 2);
    assert_true(y[0] == 1.5f && y[1] == -0x1p-24f);
    decode(LOAM_TYPE_BF16, bf16, y, 2);
    assert_true(y[0] == 1.5f && y[1] == -INFINITY);
}

/* ---- every format ----------------------------------------------------------------------- */

static void test_decode__reads_blocks_at_any_address(void **state)
{
    random_state r = {1};
    const loam__format *f;
    (void)state;
    for (size_t i = 0; (f = loam__format_at(i)); i++) {
        uint8_t blocks[3 * LARGEST_BLOCK];
        float want[3 * K], got[3 * K];
        size_t bytes = 3 * f->block_bytes, n = 3 * f->block_values;
        random_blocks(&r, f, blocks, 3);
        f->decode(blocks, want, n);
        for (size_t b = 0; b < 3; b++) { /* a block does not depend on its neighbours */
            f->decode(blocks + b * f->block_bytes, got + b * f->block_values, f->block_values);
        }
        assert_memory_equal(got, want, n * sizeof *got);
        for (size_t shift = 1; shift < 8; shift++) {
            void *memory;
            f->decode(memcpy(shifted_memory(bytes, shift, &memory), blocks, bytes), got, n);
            assert_memory_equal(got, want, n * sizeof *got);
            free(memory);
        }
    }
}

static void test_decode__scales_that_are_not_finite_stay_so(void **state)
{
    random_state r = {2};
    (void)state;
    for (size_t i = 0; i < sizeof scale_places / sizeof scale_places[0]; i++) {
        const loam__format *f = loam__format_find(scale_places[i].type);
        static const float bad[] = {NAN, INFINITY, -INFINITY};
        if (scale_places[i].at[0] < 0) continue; /* cannot hold such a scale */
        for (int j = 0; j < 3; j++) {
            uint8_t block[LARGEST_BLOCK];
            float y[K];
            random_blocks(&r, f, block, 1);
            put_scale(&scale_places[i], 0, block, bad[j]);
            f->decode(block, y, f->block_values);
            for (size_t v = 0; v < f->block_values; v++)
                assert_false(isfinite(y[v]));
        }
    }
}

static void *read_golden(const char *name, const char *ending, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.%s", SHARED("quant"), name, ending);
    FILE *file = fopen(path, "rb");
    if (!file) skip();
    void *p = malloc(n);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, n, file), n);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    return p;
}

static void test_decode__golden_blocks_bit_for_bit(void **state)
{
    enum { VALUES = 16 * 512 };
    const loam__format *f;
    (void)state;
    for (size_t i = 0; (f = loam__format_at(i)); i++) {
        uint64_t bytes;
        assert_true(loam__format_row_bytes(f, VALUES, &bytes));
        uint8_t *blocks = read_golden(f->name, "bin", (size_t)bytes);
        float *want = read_golden(f->name, "f32", VALUES * sizeof *want), got[VALUES];
        decode(f->type, blocks, got, VALUES);
        assert_memory_equal(got, want, sizeof got);
        free(blocks);
        free(want);
    }
}

static void test_row_bytes__refuses_parts_of_blocks_and_overflow(void **state)
{
    const loam__format *f32 = loam__format_find(LOAM_TYPE_F32);
    const loam__format *q8_0 = loam__format_find(LOAM_TYPE_Q8_0);
    uint64_t bytes = 7;
    (void)state;
    assert_true(loam__format_row_bytes(f32, 3, &bytes));
    assert_int_equal(bytes, 12);
    assert_true(loam__format_row_bytes(f32, UINT64_MAX / 4, &bytes));
    assert_false(loam__format_row_bytes(f32, UINT64_MAX / 4 + 1, &bytes));
    assert_true(loam__format_row_bytes(q8_0, 64, &bytes));
    assert_int_equal(bytes, 68);
    assert_true(loam__format_row_bytes(q8_0, 0, &bytes));
    assert_int_equal(bytes, 0);
    assert_false(loam__format_row_bytes(q8_0, 63, &bytes));
    assert_true(loam__format_row_bytes(q8_0, UINT64_MAX / 34 * 32, &bytes));
    assert_false(loam__format_row_bytes(q8_0, UINT64_MAX / 34 * 32 + 32, &bytes));
}

static void test_formats__are_found_by_their_numbers(void **state)
{
    const loam__format *f;
    size_t n = 0;
    (void)state;
    for (; (f = loam__format_at(n)); n++) {
        assert_ptr_equal(loam__format_find(f->type), f);
        if (n) assert_true(loam__format_at(n - 1)->type < f->type);
    }
    assert_int_equal(n, 28);
    assert_null(loam__format_at(SIZE_MAX));
    assert_null(loam__format_find(4)); /* a number that GGUF has given up */
    assert_null(loam__format_find(-1));
}

/* ---- the half formats ------------------------------------------------------------------- */

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* What the definition of binary16 says a half is. */
static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double sign = h & 0x8000 ? -1 : 1;
    if (exponent == 31) return fraction ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexp(fraction, -24);
    return sign * ldexp(1024 + fraction, exponent - 25);
}

static void test_f16__every_half_has_its_value_and_comes_back(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= UINT16_MAX; i++) {
        uint16_t h = (uint16_t)i;
        float f = loam__f16_to_f32(h);
        double want = half_value(h);
        assert_int_equal(!!signbit(f), h >> 15);
        if (isnan(want)) {
            uint32_t quiet = (uint32_t)(h | 0x200); /* the rest of a NaN is kept */
            assert_int_equal(bits_of(f),
                             (quiet & 0x8000) << 16 | 0x7f800000 | (quiet & 1023) << 13);
            assert_int_equal(loam__f32_to_f16(f), quiet);
        } else {
            assert_true((double)f == want);
            assert_int_equal(loam__f32_to_f16(f), h);
        }
    }
}

/* Between any two neighbours: the middle goes to the even one, and the floats beside it to the
 * nearer. */
static void test_f16__rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 0x7c00; i++) {
        uint16_t below = (uint16_t)i, above = (uint16_t)(i + 1), even = i % 2 ? above : below;
        double next = above == 0x7c00 ? 65536 : half_value(above);
        float middle = (float)((half_value(below) + next) / 2); /* exact */
        assert_int_equal(loam__f32_to_f16(middle), even);
        assert_int_equal(loam__f32_to_f16(nextafterf(middle, 0)), below);
        assert_int_equal(loam__f32_to_f16(nextafterf(middle, INFINITY)), above);
        assert_int_equal(loam__f32_to_f16(-middle), even | 0x8000);
    }
    assert_int_equal(loam__f32_to_f16(FLT_MIN), 0);
    assert_int_equal(loam__f32_to_f16(-0x1p-149f), 0x8000);
    assert_int_equal(loam__f32_to_f16(FLT_MAX), 0x7c00);
    assert_int_equal(loam__f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(loam__f32_to_f16(float_of(0xff802001)), 0xfe01);
}

static void test_bf16__is_the_upper_half_of_a_float(void **state)
{
    (void)state;
    for (uint32_t i = 0; i <= UINT16_MAX; i++) {
        uint32_t bits = i << 16, magnitude = i & 0x7fff;
        float f = loam__bf16_to_f32((uint16_t)i), want = float_of(bits);
        assert_memory_equal(&f, &want, sizeof f);
        if (magnitude > 0x7f80) {
            assert_int_equal(loam__f32_to_bf16(f), i | 0x40);
            continue;
        }
        assert_int_equal(loam__f32_to_bf16(f), i);
        if (magnitude == 0x7f80) continue;
        assert_int_equal(loam__f32_to_bf16(float_of(bits + 0x7fff)), i);
        assert_int_equal(loam__f32_to_bf16(float_of(bits + 0x8000)), i + i % 2);
        assert_int_equal(loam__f32_to_bf16(float_of(bits + 0x8001)), i + 1);
    }
    assert_true(isnan(loam__bf16_to_f32(loam__f32_to_bf16(float_of(0x7f800001)))));
}

/* ---- the public functions --------------------------------------------------------------- */

static void test_describe__tells_what_the_table_has(void **state)
{
    struct {
        loam_format_info info;
        uint64_t newer;
    } grown;
    loam_format_info info;
    (void)state;
    loam_format_info_init(&info);
    assert_int_equal(loam_format_describe(LOAM_TYPE_Q6_K, &info), LOAM_OK);
    assert_int_equal(info.struct_size, sizeof info);
    assert_int_equal(info.type, LOAM_TYPE_Q6_K);
    assert_int_equal(info.block_values, 256);
    assert_int_equal(info.block_bytes, 210);
    assert_string_equal(info.name, "Q6_K");

    grown.info.struct_size = sizeof grown;
    grown.newer = 1;
    assert_int_equal(loam_format_describe(LOAM_TYPE_F16, &grown.info), LOAM_OK);
    assert_string_equal(grown.info.name, "F16");
    assert_int_equal(grown.newer, 0);

    assert_int_equal(loam_format_describe(LOAM_TYPE_F16, NULL), LOAM_ERR_ARG);
    assert_int_equal(loam_format_describe(99, &info), LOAM_ERR_TENSOR_TYPE);
    info.struct_size = 8;
    assert_int_equal(loam_format_describe(LOAM_TYPE_F16, &info), LOAM_ERR_ARG);
}

static void test_decode__refuses_wrong_arguments(void **state)
{
    uint8_t block[34] = {0};
    float y[32];
    (void)state;
    assert_int_equal(loam_quant_decode(5, block, y, 32), LOAM_ERR_TENSOR_TYPE);
    assert_int_equal(loam_quant_decode(LOAM_TYPE_Q8_0, block, y, 31), LOAM_ERR_ARG);
    assert_int_equal(loam_quant_decode(LOAM_TYPE_Q8_0, NULL, y, 32), LOAM_ERR_ARG);
    assert_int_equal(loam_quant_decode(LOAM_TYPE_Q8_0, block, NULL, 32), LOAM_ERR_ARG);
    assert_int_equal(loam_quant_decode(LOAM_TYPE_F32, block, y, SIZE_MAX), LOAM_ERR_ARG);
    assert_int_equal(loam_quant_decode(LOAM_TYPE_Q8_0, NULL, NULL, 0), LOAM_OK);
}

/* ---- encoders --------------------------------------------------------------------------- */

static void encode(loam_format type, const float *values, uint8_t *blocks, size_t n)
{
    const loam__format *f = loam__format_find(type);
    assert_non_null(f->encode);
    f->encode(values, blocks, n);
}

/* Steps of 0.5: whole ones stay, halves go away from zero. */
static void test_encode__q8_0(void **state)
{
    float x[32] = {-63.5f, 0.25f, -0.25f, 0.75f, 0.2f, 63.0f};
    const uint8_t want[34] = {F16_HALF, 129, 1, 255, 2, 0, 126};
    uint8_t block[34];
    (void)state;
    encode(LOAM_TYPE_Q8_0, x, block, 32);
    assert_memory_equal(block, want, sizeof want);
}

/* The number of largest magnitude is -8 steps, so the step of a positive one is negative. */
static void test_encode__q4_0(void **state)
{
    float x[32] = {1.5f, -24, 24, 22, 0, 4.5f};
    const uint8_t minus_3[] = {F16_MINUS_3};
    uint8_t block[18];
    (void)state;
    x[16] = 9;
    x[31] = -23;
    encode(LOAM_TYPE_Q4_0, x, block, 32); /* the first of two equals is -24: steps of 3 */
    assert_int_equal(block[0], minus_3[0]);
    assert_int_equal(block[1], minus_3[1] & 0x7f);
    const uint8_t want[6] = {9 | 11 << 4, 0 | 8 << 4, 15 | 8 << 4,
                             15 | 8 << 4, 8 | 8 << 4, 10 | 8 << 4};
    assert_memory_equal(block + 2, want, sizeof want);
    assert_int_equal(block[17], 8 | 0 << 4);
    x[1] = 0;
    encode(LOAM_TYPE_Q4_0, x, block, 32); /* now 24 is the first */
    assert_memory_equal(block, minus_3, 2);
    assert_int_equal(block[4] & 15, 0);
    assert_int_equal(block[17] >> 4, 15);
}

static void test_encode__halves_are_the_conversions(void **state)
{
    random_state r = {8};
    float x[64];
    uint8_t half[128], brain[128], full[256];
    (void)state;
    random_floats(&r, x, 64);
    encode(LOAM_TYPE_F16, x, half, 64);
    encode(LOAM_TYPE_BF16, x, brain, 64);
    encode(LOAM_TYPE_F32, x, full, 64);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(half[2 * i] | half[2 * i + 1] << 8, loam__f32_to_f16(x[i]));
        assert_int_equal(brain[2 * i] | brain[2 * i + 1] << 8, loam__f32_to_bf16(x[i]));
    }
    assert_memory_equal(full, x, sizeof full);
}

/* Off by at most half a step; by a whole one at the far end of Q4_0, which has 7 steps there.
 * The step's own rounding to F16 adds 2^-11. */
static void test_encode__rounds_to_the_nearest_step(void **state)
{
    static const struct {
        loam_format type;
        float steps, worst;
    } formats[] = {{LOAM_TYPE_Q8_0, 127, 0.5f}, {LOAM_TYPE_Q4_0, 8, 1.0f}};
    random_state r = {9};
    (void)state;
    for (size_t round = 0; round < 2000; round++) {
        float x[32], y[32], most = 0, size = ldexpf(1, (int)random_size(&r, 0, 14) - 4);
        uint8_t block[34];
        for (size_t i = 0; i < 32; i++) {
            x[i] = random_float(&r) * size;
            most = fmaxf(most, fabsf(x[i]));
        }
        for (size_t f = 0; f < 2; f++) {
            encode(formats[f].type, x, block, 32);
            decode(formats[f].type, block, y, 32);
            float limit = most / formats[f].steps * formats[f].worst + most * 0x1p-11f;
            for (size_t i = 0; i < 32; i++)
                assert_true(fabsf(x[i] - y[i]) <= limit);
        }
    }
}

/* What is no number does not vanish: the whole block becomes NaN. Next to nothing becomes 0. */
static void test_encode__wild_numbers_stay_visible(void **state)
{
    static const float wild[] = {NAN, INFINITY, -INFINITY};
    static const loam_format types[] = {LOAM_TYPE_Q8_0, LOAM_TYPE_Q4_0};
    (void)state;
    for (size_t t = 0; t < 6; t++) {
        float x[32] = {1, 2, 3}, y[32], tiny[32] = {FLT_MIN / 4, -FLT_MIN};
        uint8_t block[34];
        x[t] = wild[t / 2];
        encode(types[t % 2], x, block, 32);
        decode(types[t % 2], block, y, 32);
        for (size_t i = 0; i < 32; i++)
            assert_true(isnan(y[i]));
        encode(types[t % 2], tiny, block, 32);
        decode(types[t % 2], block, y, 32);
        for (size_t i = 0; i < 32; i++)
            assert_true(y[i] == 0);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_decode__q4_0),
    cmocka_unit_test(test_decode__q4_1),
    cmocka_unit_test(test_decode__q5_0),
    cmocka_unit_test(test_decode__q5_1),
    cmocka_unit_test(test_decode__q8_0),
    cmocka_unit_test(test_decode__q2_k),
    cmocka_unit_test(test_decode__q3_k),
    cmocka_unit_test(test_decode__q4_k),
    cmocka_unit_test(test_decode__q5_k),
    cmocka_unit_test(test_decode__q6_k),
    cmocka_unit_test(test_decode__iq4_nl),
    cmocka_unit_test(test_decode__iq4_xs),
    cmocka_unit_test(test_decode__mxfp4),
    cmocka_unit_test(test_decode__nvfp4),
    cmocka_unit_test(test_decode__tq1_0),
    cmocka_unit_test(test_decode__tq2_0),
    cmocka_unit_test(test_decode__q1_0),
    cmocka_unit_test(test_decode__q2_0),
    cmocka_unit_test(test_decode__iq2_xxs),
    cmocka_unit_test(test_decode__iq2_xs),
    cmocka_unit_test(test_decode__iq2_s),
    cmocka_unit_test(test_decode__iq3_xxs),
    cmocka_unit_test(test_decode__iq3_s),
    cmocka_unit_test(test_decode__iq1_s),
    cmocka_unit_test(test_decode__iq1_m),
    cmocka_unit_test(test_grids__are_those_of_the_formats),
    cmocka_unit_test(test_decode__plain_numbers),
    cmocka_unit_test(test_decode__reads_blocks_at_any_address),
    cmocka_unit_test(test_decode__scales_that_are_not_finite_stay_so),
    cmocka_unit_test(test_decode__golden_blocks_bit_for_bit),
    cmocka_unit_test(test_row_bytes__refuses_parts_of_blocks_and_overflow),
    cmocka_unit_test(test_formats__are_found_by_their_numbers),
    cmocka_unit_test(test_f16__every_half_has_its_value_and_comes_back),
    cmocka_unit_test(test_f16__rounds_to_nearest_even),
    cmocka_unit_test(test_bf16__is_the_upper_half_of_a_float),
    cmocka_unit_test(test_describe__tells_what_the_table_has),
    cmocka_unit_test(test_decode__refuses_wrong_arguments),
    cmocka_unit_test(test_encode__q8_0),
    cmocka_unit_test(test_encode__q4_0),
    cmocka_unit_test(test_encode__halves_are_the_conversions),
    cmocka_unit_test(test_encode__rounds_to_the_nearest_step),
    cmocka_unit_test(test_encode__wild_numbers_stay_visible),
};

RUN(tests)
