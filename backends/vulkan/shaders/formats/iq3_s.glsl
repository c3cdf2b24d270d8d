#include "grid.glsl"

void decode(uint unit)
{
    uint block = unit / 8 * 27, run = unit % 8;
    uint ninth = byte_of(word(block + 16 + run / 4), run % 4), signs = word(block + 18 + run);
    uint s = byte_of(word(block + 26), run / 2) >> run % 2 * 4 & 15;
    float scale = f16(tail16(unit / 8)) * float(2 * s + 1);
    [[unroll]] for (uint j = 0; j < 2; j++) {
        uint points = word(block + run * 2 + j);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            uint point = byte_of(points, i) | (ninth >> 4 * j + i & 1) << 8;
            put_iq3(16 * j + 4 * i, point_of(GRID_IQ3_S, point), 2, 1, 0,
                    signs >> 16 * j + 4 * i, scale);
        }
    }
}
