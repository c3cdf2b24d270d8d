void decode(uint unit)
{
    float d = f16(tail16(unit));
    uint fifth = single(unit);
    uvec4 q = quad(unit);
    [[unroll]] for (uint i = 0; i < 16; i++) {
        uint low = q[i / 4] >> i % 4 * 8 & 15 | (fifth >> i & 1) << 4;
        uint high = q[i / 4] >> i % 4 * 8 + 4 & 15 | (fifth >> 16 + i & 1) << 4;
        w[i] = (float(low) - 16) * d;
        w[16 + i] = (float(high) - 16) * d;
    }
}
