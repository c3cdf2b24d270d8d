void decode(uint unit)
{
    [[unroll]] for (uint i = 0; i < 32; i++)
        w[i] = uintBitsToFloat(word(min(unit * 32 + i, row_words - 1)));
}
