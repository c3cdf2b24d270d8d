void decode(uint unit)
{
    vec2 dm = unpackHalf2x16(word(unit * 6));
    uint fifth = word(unit * 6 + 1);
    [[unroll]] for (uint j = 0; j < 4; j++) {
        uint q = word(unit * 6 + 2 + j);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            uint low = q >> 8 * i & 15 | (fifth >> 4 * j + i & 1) << 4;
            uint high = q >> 8 * i + 4 & 15 | (fifth >> 16 + 4 * j + i & 1) << 4;
            w[4 * j + i] = fma(float(low), dm.x, dm.y);
            w[16 + 4 * j + i] = fma(float(high), dm.x, dm.y);
        }
    }
}
