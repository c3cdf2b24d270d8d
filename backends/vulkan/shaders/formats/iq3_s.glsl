#include "grid.glsl"

void decode(uint unit)
{
    uint block = unit / 8, run = unit % 8;
    uvec4 four = quad(block * 6 + run / 2);
    uvec2 q = run % 2 == 0 ? four.xy : four.zw;
    uvec4 rest = quad(block * 6 + 4 + min((run + 2) / 4, 1));
    uvec4 ninths = quad(block * 6 + 4);
    uint ninth = byte_of(run < 4 ? ninths.x : ninths.y, run % 4);
    uint signs = run < 6 ? rest[(run + 2) % 4] : single(block * 3 + max(run, 6) - 6);
    uint s = byte_of(single(block * 3 + 2), run / 2) >> run % 2 * 4 & 15;
    float scale = f16(tail16(block)) * float(2 * s + 1);
    [[unroll]] for (uint j = 0; j < 2; j++) {
        [[unroll]] for (uint i = 0; i < 4; i++) {
            uint point = byte_of(q[j], i) | (ninth >> 4 * j + i & 1) << 8;
            put_iq3(16 * j + 4 * i, point_of(GRID_IQ3_S, point), 2, 1, 0,
                    signs >> 16 * j + 4 * i, scale);
        }
    }
}
