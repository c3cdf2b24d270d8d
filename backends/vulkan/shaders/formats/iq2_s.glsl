#include "grid.glsl"

void decode(uint unit)
{
    uint block = unit / 8 * 5, run = unit % 8;
    uint low = quad(block + run / 4)[run % 4], signs = quad(block + 2 + run / 4)[run % 4];
    uvec4 rest = quad(block + 4);
    uint upper = byte_of(run < 4 ? rest.x : rest.y, run % 4);
    uint scales = byte_of(run < 4 ? rest.z : rest.w, run % 4);
    float d = f16(tail16(unit / 8));
    [[unroll]] for (uint g = 0; g < 4; g++) {
        uint i = byte_of(low, g) | (upper >> g * 2 & 3) << 8;
        float scale = d * float(2 * (scales >> g / 2 * 4 & 15) + 1) * 0.125;
        put_iq2(8 * g, point_of(GRID_IQ2_S, i), byte_of(signs, g), scale);
    }
}
