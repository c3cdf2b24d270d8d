#include "grid.glsl"

void decode(uint unit)
{
    uint block = unit / 8 * 6, run = unit % 8;
    uvec4 four = quad(block + run / 2);
    uvec2 q = run % 2 == 0 ? four.xy : four.zw;
    uint rest = quad(block + 4 + run / 4)[run % 4];
    float scale = f16(tail16(unit / 8)) * float(2 * (rest >> 28) + 1) * 0.25;
    [[unroll]] for (uint j = 0; j < 2; j++) {
        [[unroll]] for (uint i = 0; i < 4; i++) {
            uint signs = even_signs(rest >> (2 * j + i / 2) * 7 & 127) >> i % 2 * 4;
            put_iq3(16 * j + 4 * i, point_of(GRID_IQ3_XXS, byte_of(q[j], i)), 8, 4, 2, signs,
                    scale);
        }
    }
}
