void decode(uint unit)
{
    vec2 dm = unpackHalf2x16(single(unit));
    uvec4 q = quad(unit);
    [[unroll]] for (uint i = 0; i < 16; i++) {
        w[i] = fma(float(q[i / 4] >> i % 4 * 8 & 15), dm.x, dm.y);
        w[16 + i] = fma(float(q[i / 4] >> i % 4 * 8 + 4 & 15), dm.x, dm.y);
    }
}
