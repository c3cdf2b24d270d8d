void decode(uint unit)
{
    uint block = unit / 8 * 5, run = unit % 8;
    vec2 dm = unpackHalf2x16(single(unit / 8));
    uint scales = quad(block)[run / 2] >> run % 2 * 16;
    [[unroll]] for (uint side = 0; side < 2; side++) {
        float d = dm.x * float(scales >> 8 * side & 15), m = dm.y * float(scales >> 8 * side + 4 & 15);
        uvec4 q = quad(block + 1 + run / 4 * 2 + side) >> run % 4 * 2;
        [[unroll]] for (uint i = 0; i < 16; i++)
            w[16 * side + i] = fma(d, float(q[i / 4] >> i % 4 * 8 & 3), -m);
    }
}
