void decode(uint unit)
{
    float d = f16(tail16(unit / 2));
    [[unroll]] for (uint j = 0; j < 2; j++) {
        uint q = word(unit * 2 + j);
        [[unroll]] for (uint i = 0; i < 16; i++)
            w[16 * j + i] = d * (float(q >> 2 * i & 3) - 1);
    }
}
