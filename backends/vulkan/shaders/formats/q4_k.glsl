#include "k_scales.glsl"

void decode(uint unit)
{
    uint block = unit / 8 * 9, group = unit % 8;
    uvec4 head = quad(block);
    vec2 dm = unpackHalf2x16(head.x) * vec2(group_scale(head.yzw, group));
    [[unroll]] for (uint j = 0; j < 2; j++) {
        uvec4 q = quad(block + 1 + group / 2 * 2 + j) >> group % 2 * 4;
        [[unroll]] for (uint i = 0; i < 16; i++)
            w[16 * j + i] = fma(dm.x, float(q[i / 4] >> i % 4 * 8 & 15), -dm.y);
    }
}
