void decode(uint unit)
{
    float d = f16(tail16(unit / 2));
    uvec4 four = quad(unit / 2);
    uvec2 q = unit % 2 == 0 ? four.xy : four.zw;
    [[unroll]] for (uint i = 0; i < 32; i++)
        w[i] = d * (float(q[i / 16] >> i % 16 * 2 & 3) - 1);
}
