#include "k_scales.glsl"

void decode(uint unit)
{
    uint block = unit / 8 * 44, group = unit % 8;
    vec2 dm = unpackHalf2x16(word(block)) * vec2(group_scale(block + 1, group));
    [[unroll]] for (uint j = 0; j < 8; j++) {
        uint q = word(block + 12 + group / 2 * 8 + j) >> group % 2 * 4;
        uint fifth = word(block + 4 + j) >> group;
        [[unroll]] for (uint i = 0; i < 4; i++)
            w[4 * j + i] = fma(dm.x, float(q >> 8 * i & 15 | (fifth >> 8 * i & 1) << 4), -dm.y);
    }
}
