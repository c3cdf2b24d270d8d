void decode(uint unit)
{
    uint block = unit / 8 * 21, run = unit % 8;
    vec2 dm = unpackHalf2x16(word(block + 20));
    uint scales = word(block + run / 2) >> run % 2 * 16;
    [[unroll]] for (uint side = 0; side < 2; side++) {
        float d = dm.x * float(scales >> 8 * side & 15), m = dm.y * float(scales >> 8 * side + 4 & 15);
        [[unroll]] for (uint j = 0; j < 4; j++) {
            uint q = word(block + 4 + run / 4 * 8 + side * 4 + j) >> run % 4 * 2;
            [[unroll]] for (uint i = 0; i < 4; i++)
                w[16 * side + 4 * j + i] = fma(d, float(q >> 8 * i & 3), -m);
        }
    }
}
