// An odd last weight is the row's tail. BF16 is defined for bfloat16.
float plain(uint bits)
{
#ifdef BF16
    return uintBitsToFloat(bits << 16);
#else
    return f16(bits);
#endif
}

void decode(uint unit)
{
    if (unit * 32 + 32 <= row_words * 2) {
        [[unroll]] for (uint i = 0; i < 16; i++) {
            uint two = word(unit * 16 + i);
            w[2 * i] = plain(two & 0xffffu);
            w[2 * i + 1] = plain(two >> 16);
        }
        return;
    }
    [[unroll]] for (uint i = 0; i < 16; i++) {
        uint at = unit * 16 + i;
        uint two = at < row_words ? word(at) : 0;
        if (at == row_words && row_values % 2 != 0) two = tail16(0);
        w[2 * i] = plain(two & 0xffffu);
        w[2 * i + 1] = plain(two >> 16);
    }
}
