// BF16 is defined for bfloat16.
#include "plain.glsl"

float plain(uint bits)
{
#ifdef BF16
    return uintBitsToFloat(bits << 16);
#else
    return f16(bits);
#endif
}

void decode(uint unit)
{
    [[unroll]] for (uint i = 0; i < 4; i++) {
        uvec4 four = plain_words(unit * 4 + i);
        [[unroll]] for (uint j = 0; j < 4; j++) {
            w[8 * i + 2 * j] = plain(four[j] & 0xffffu);
            w[8 * i + 2 * j + 1] = plain(four[j] >> 16);
        }
    }
}
