void decode(uint unit)
{
    uint run = unit % 8;
    float d = f16(tail16(unit / 8));
    [[unroll]] for (uint j = 0; j < 8; j++) {
        uint q = word(unit / 8 * 16 + run / 4 * 8 + j) >> run % 4 * 2;
        [[unroll]] for (uint i = 0; i < 4; i++)
            w[4 * j + i] = d * (float(q >> 8 * i & 3) - 1);
    }
}
