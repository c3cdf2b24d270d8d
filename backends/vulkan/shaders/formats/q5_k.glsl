#include "k_scales.glsl"

void decode(uint unit)
{
    uint block = unit / 8 * 11, group = unit % 8;
    uvec4 head = quad(block);
    vec2 dm = unpackHalf2x16(head.x) * vec2(group_scale(head.yzw, group));
    [[unroll]] for (uint j = 0; j < 2; j++) {
        uvec4 q = quad(block + 3 + group / 2 * 2 + j) >> group % 2 * 4;
        uvec4 fifth = quad(block + 1 + j) >> group;
        [[unroll]] for (uint i = 0; i < 16; i++) {
            uint five = q[i / 4] >> i % 4 * 8 & 15 | (fifth[i / 4] >> i % 4 * 8 & 1) << 4;
            w[16 * j + i] = fma(dm.x, float(five), -dm.y);
        }
    }
}
