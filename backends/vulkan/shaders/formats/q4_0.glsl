void decode(uint unit)
{
    float d = f16(tail16(unit));
    [[unroll]] for (uint j = 0; j < 4; j++) {
        uint q = word(unit * 4 + j);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            w[4 * j + i] = (float(q >> 8 * i & 15) - 8) * d;
            w[16 + 4 * j + i] = (float(q >> 8 * i + 4 & 15) - 8) * d;
        }
    }
}
