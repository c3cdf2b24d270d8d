#include "grid.glsl"

void decode(uint unit)
{
    uint points = word(unit * 2), rest = word(unit * 2 + 1);
    float scale = f16(tail16(unit / 8)) * float(2 * (rest >> 28) + 1) * 0.125;
    [[unroll]] for (uint g = 0; g < 4; g++)
        put_iq2(8 * g, point_of(GRID_IQ2_XXS, byte_of(points, g)),
                even_signs(rest >> 7 * g & 127), scale);
}
