#include "nibbles.glsl"

// Half of an unsigned E4M3; all bits set, a NaN, counts as zero.
float half_e4m3(uint bits)
{
    uint exponent = bits >> 3 & 15, fraction = bits & 7;
    if ((bits & 127) == 127) return 0;
    if (exponent == 0) return float(fraction) / 1024;
    return uintBitsToFloat(exponent + 119 << 23 | fraction << 20);
}

void decode(uint unit)
{
    uint block = unit / 2 * 9;
    [[unroll]] for (uint side = 0; side < 2; side++) {
        uint part = unit % 2 * 2 + side;
        float d = half_e4m3(byte_of(word(block), part));
        [[unroll]] for (uint j = 0; j < 2; j++) {
            uint q = word(block + 1 + part * 2 + j);
            [[unroll]] for (uint i = 0; i < 4; i++) {
                w[16 * side + 4 * j + i] = d * look_up(E2M1, q >> 8 * i & 15);
                w[16 * side + 8 + 4 * j + i] = d * look_up(E2M1, q >> 8 * i + 4 & 15);
            }
        }
    }
}
