void decode(uint unit)
{
    uint block = unit / 8 * 27, run = unit % 8;
    float d = f16(tail16(unit / 8));
    [[unroll]] for (uint side = 0; side < 2; side++) {
        uint s = run * 2 + side;
        uint low = byte_of(word(block + 24 + s % 8 / 4), s % 4) >> s / 8 * 4 & 15;
        uint upper = byte_of(word(block + 26), s % 4) >> s / 4 * 2 & 3;
        float scale = d * (float(low + upper * 16) - 32);
        [[unroll]] for (uint j = 0; j < 4; j++) {
            uint third = word(block + side * 4 + j) >> run;
            uint q = word(block + 8 + run / 4 * 8 + side * 4 + j) >> run % 4 * 2;
            [[unroll]] for (uint i = 0; i < 4; i++) {
                uint digit = q >> 8 * i & 3 | (third >> 8 * i & 1) << 2;
                w[16 * side + 4 * j + i] = scale * (float(digit) - 4);
            }
        }
    }
}
