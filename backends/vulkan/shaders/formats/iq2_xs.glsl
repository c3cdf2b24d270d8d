#include "grid.glsl"

void decode(uint unit)
{
    uint block = unit / 8, run = unit % 8;
    uint scales = byte_of(single(block * 2 + run / 4), run % 4);
    uvec4 four = quad(block * 4 + run / 2);
    uvec2 q = run % 2 == 0 ? four.xy : four.zw;
    float d = f16(tail16(block));
    [[unroll]] for (uint g = 0; g < 4; g++) {
        uint bits = q[g / 2] >> g % 2 * 16 & 0xffffu;
        float scale = d * float(2 * (scales >> g / 2 * 4 & 15) + 1) * 0.125;
        put_iq2(8 * g, point_of(GRID_IQ2_XS, bits & 511), even_signs(bits >> 9), scale);
    }
}
