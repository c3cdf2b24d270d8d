void decode(uint unit)
{
    vec2 dm = unpackHalf2x16(single(unit * 2));
    uint fifth = single(unit * 2 + 1);
    uvec4 q = quad(unit);
    [[unroll]] for (uint i = 0; i < 16; i++) {
        uint low = q[i / 4] >> i % 4 * 8 & 15 | (fifth >> i & 1) << 4;
        uint high = q[i / 4] >> i % 4 * 8 + 4 & 15 | (fifth >> 16 + i & 1) << 4;
        w[i] = fma(float(low), dm.x, dm.y);
        w[16 + i] = fma(float(high), dm.x, dm.y);
    }
}
