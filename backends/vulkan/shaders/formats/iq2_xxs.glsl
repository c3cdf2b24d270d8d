#include "grid.glsl"

void decode(uint unit)
{
    uvec4 four = quad(unit / 2);
    uvec2 q = unit % 2 == 0 ? four.xy : four.zw;
    float scale = f16(tail16(unit / 8)) * float(2 * (q.y >> 28) + 1) * 0.125;
    [[unroll]] for (uint g = 0; g < 4; g++)
        put_iq2(8 * g, point_of(GRID_IQ2_XXS, byte_of(q.x, g)), even_signs(q.y >> 7 * g & 127),
                scale);
}
