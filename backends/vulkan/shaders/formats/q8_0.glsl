void decode(uint unit)
{
    float d = f16(tail16(unit));
    [[unroll]] for (uint j = 0; j < 2; j++) {
        uvec4 q = quad(unit * 2 + j);
        [[unroll]] for (uint i = 0; i < 16; i++)
            w[16 * j + i] = float(signed_byte(q[i / 4], i % 4)) * d;
    }
}
