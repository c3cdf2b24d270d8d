void decode(uint unit)
{
    vec2 dm = unpackHalf2x16(word(unit * 5));
    [[unroll]] for (uint j = 0; j < 4; j++) {
        uint q = word(unit * 5 + 1 + j);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            w[4 * j + i] = fma(float(q >> 8 * i & 15), dm.x, dm.y);
            w[16 + 4 * j + i] = fma(float(q >> 8 * i + 4 & 15), dm.x, dm.y);
        }
    }
}
