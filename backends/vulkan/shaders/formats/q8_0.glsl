void decode(uint unit)
{
    float d = f16(tail16(unit));
    [[unroll]] for (uint j = 0; j < 8; j++) {
        uint q = word(unit * 8 + j);
        [[unroll]] for (uint i = 0; i < 4; i++)
            w[4 * j + i] = float(signed_byte(q, i)) * d;
    }
}
