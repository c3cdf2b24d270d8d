#include "grid.glsl"

void decode(uint unit)
{
    uint block = unit / 8, run = unit % 8;
    uint low = quad(block * 3 + run / 4)[run % 4];
    uint uppers = quad(block * 3 + 2)[run / 2] >> run % 2 * 16;
    uint a = single(block * 2), b = single(block * 2 + 1);
    float d = f16(a >> 12 & 15 | (a >> 28) << 4 | (b >> 12 & 15) << 8 | (b >> 28) << 12);
    uint scales = (run < 4 ? a : b) >> run / 2 % 2 * 16;
    [[unroll]] for (uint g = 0; g < 4; g++) {
        uint upper = uppers >> g * 4 & 15;
        uint s = scales >> (run % 2 * 2 + g / 2) * 3 & 7;
        put_iq1(8 * g, point_of(GRID_IQ1, byte_of(low, g) | (upper & 7) << 8),
                (upper & 8) != 0 ? -0.125 : 0.125, d * float(2 * s + 1));
    }
}
