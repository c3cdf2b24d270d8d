void decode(uint unit)
{
    float d = f16(tail16(unit));
    uint fifth = word(unit * 5);
    [[unroll]] for (uint j = 0; j < 4; j++) {
        uint q = word(unit * 5 + 1 + j);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            uint low = q >> 8 * i & 15 | (fifth >> 4 * j + i & 1) << 4;
            uint high = q >> 8 * i + 4 & 15 | (fifth >> 16 + 4 * j + i & 1) << 4;
            w[4 * j + i] = (float(low) - 16) * d;
            w[16 + 4 * j + i] = (float(high) - 16) * d;
        }
    }
}
