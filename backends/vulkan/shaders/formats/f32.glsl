#include "plain.glsl"

void decode(uint unit)
{
    [[unroll]] for (uint i = 0; i < 8; i++) {
        uvec4 four = plain_words(unit * 8 + i);
        [[unroll]] for (uint j = 0; j < 4; j++)
            w[4 * i + j] = uintBitsToFloat(four[j]);
    }
}
