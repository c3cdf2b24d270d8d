#include "grid.glsl"

void decode(uint unit)
{
    uint block = unit / 8 * 3, run = unit % 8;
    uint low = quad(block + run / 4)[run % 4];
    uint rest = quad(block + 2)[run / 2] >> run % 2 * 16 & 0xffffu;
    float scale = f16(tail16(unit / 8)) * float(2 * (rest >> 12 & 7) + 1);
    [[unroll]] for (uint g = 0; g < 4; g++) {
        uint point = byte_of(low, g) | (rest >> g * 3 & 7) << 8;
        put_iq1(8 * g, point_of(GRID_IQ1, point), rest >> 15 != 0 ? -0.125 : 0.125, scale);
    }
}
