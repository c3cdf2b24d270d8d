void decode(uint unit)
{
    float d = f16(tail16(unit / 4));
    uint bits = quad(unit / 4)[unit % 4];
    [[unroll]] for (uint i = 0; i < 32; i++)
        w[i] = with_sign(d, ~bits, i);
}
