void decode(uint unit)
{
    float d = f16(tail16(unit / 4));
    uint bits = word(unit);
    [[unroll]] for (uint i = 0; i < 32; i++)
        w[i] = with_sign(d, ~bits, i);
}
