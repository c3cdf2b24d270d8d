void decode(uint unit)
{
    uint block = unit / 8 * 6, words = unit / 8 * 3, run = unit % 8;
    float d = f16(tail16(unit / 8));
    uint lows = single(words + run % 4 / 2), uppers = single(words + 2);
    [[unroll]] for (uint side = 0; side < 2; side++) {
        uint s = run * 2 + side;
        uint low = byte_of(lows, s % 4) >> s / 8 * 4 & 15;
        uint upper = byte_of(uppers, s % 4) >> s / 4 * 2 & 3;
        float scale = d * (float(low + upper * 16) - 32);
        uvec4 third = quad(block + side) >> run;
        uvec4 q = quad(block + 2 + run / 4 * 2 + side) >> run % 4 * 2;
        [[unroll]] for (uint i = 0; i < 16; i++) {
            uint digit = q[i / 4] >> i % 4 * 8 & 3 | (third[i / 4] >> i % 4 * 8 & 1) << 2;
            w[16 * side + i] = scale * (float(digit) - 4);
        }
    }
}
