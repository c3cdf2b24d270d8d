void decode(uint unit)
{
    uint block = unit / 8 * 52, run = unit % 8, side = run / 4, quarter = run % 4;
    float d = f16(tail16(unit / 8));
    uint scales = word(block + 48 + run / 2) >> run % 2 * 16;
    [[unroll]] for (uint j = 0; j < 8; j++) {
        float scale = d * float(signed_byte(scales, j / 4));
        uint low = word(block + side * 16 + quarter % 2 * 8 + j) >> quarter / 2 * 4;
        uint upper = word(block + 32 + side * 8 + j) >> quarter * 2;
        [[unroll]] for (uint i = 0; i < 4; i++)
            w[4 * j + i] = scale * (float(low >> 8 * i & 15 | (upper >> 8 * i & 3) << 4) - 32);
    }
}
