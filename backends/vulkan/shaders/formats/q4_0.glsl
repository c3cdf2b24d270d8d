void decode(uint unit)
{
    float d = f16(tail16(unit));
    uvec4 q = quad(unit);
    [[unroll]] for (uint i = 0; i < 16; i++) {
        w[i] = (float(q[i / 4] >> i % 4 * 8 & 15) - 8) * d;
        w[16 + i] = (float(q[i / 4] >> i % 4 * 8 + 4 & 15) - 8) * d;
    }
}
