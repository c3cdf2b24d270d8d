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
    uint scales = single(unit / 2);
    uvec4 q = quad(unit);
    [[unroll]] for (uint side = 0; side < 2; side++) {
        float d = half_e4m3(byte_of(scales, unit % 2 * 2 + side));
        [[unroll]] for (uint i = 0; i < 8; i++) {
            uint two = q[side * 2 + i / 4] >> i % 4 * 8;
            w[16 * side + i] = d * look_up(E2M1, two & 15);
            w[16 * side + 8 + i] = d * look_up(E2M1, two >> 4 & 15);
        }
    }
}
