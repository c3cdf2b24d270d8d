void decode(uint unit)
{
    uint run = unit % 8;
    float d = f16(tail16(unit / 8));
    [[unroll]] for (uint j = 0; j < 2; j++) {
        uvec4 q = quad(unit / 8 * 4 + run / 4 * 2 + j) >> run % 4 * 2;
        [[unroll]] for (uint i = 0; i < 16; i++)
            w[16 * j + i] = d * (float(q[i / 4] >> i % 4 * 8 & 3) - 1);
    }
}
