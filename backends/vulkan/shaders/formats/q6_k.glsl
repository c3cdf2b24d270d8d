void decode(uint unit)
{
    uint block = unit / 8 * 13, run = unit % 8, side = run / 4, quarter = run % 4;
    float d = f16(tail16(unit / 8));
    uint scales = quad(block + 12)[run / 2] >> run % 2 * 16;
    [[unroll]] for (uint j = 0; j < 2; j++) {
        float scale = d * float(signed_byte(scales, j));
        uvec4 low = quad(block + side * 4 + quarter % 2 * 2 + j) >> quarter / 2 * 4;
        uvec4 upper = quad(block + 8 + side * 2 + j) >> quarter * 2;
        [[unroll]] for (uint i = 0; i < 16; i++) {
            uint six = low[i / 4] >> i % 4 * 8 & 15 | (upper[i / 4] >> i % 4 * 8 & 3) << 4;
            w[16 * j + i] = scale * (float(six) - 32);
        }
    }
}
