// The grids of the IQ formats (tables.c): points of 16 bits, two a word, at p.extra.
const uint GRID_IQ1 = 0, GRID_IQ2_XXS = 2048, GRID_IQ2_XS = 2304, GRID_IQ2_S = 2816,
           GRID_IQ3_XXS = 3840, GRID_IQ3_S = 4096;

uint point_of(uint grid, uint i)
{
    i += grid;
    uint two = TEXELS ? texelFetch(grid_words, int(i / 2)).x : Words(p.extra).at[i / 2];
    return two >> (i & 1) * 16 & 0xffffu;
}

// Seven signs; the eighth makes the number of minus signs even.
uint even_signs(uint seven)
{
    return seven | (uint(bitCount(seven)) & 1) << 7;
}

// Eight weights of an IQ2 format from w[at] on. Digits stand for 8, 25 and 43.
void put_iq2(uint at, uint point, uint signs, float scale)
{
    [[unroll]] for (uint i = 0; i < 8; i++) {
        uint digit = point >> i % 2 * 8 + i / 2 * 2 & 3;
        w[at + i] = with_sign(scale * float(8 + 17 * digit + digit / 2), signs, i);
    }
}

// Eight weights of an IQ1 format: scale * (-1, 0 or 1, and delta, which is +-1/8)
void put_iq1(uint at, uint point, float delta, float scale)
{
    [[unroll]] for (uint i = 0; i < 8; i++)
        w[at + i] = scale * (float(point >> i % 2 * 8 + i / 2 * 2 & 3) - 1 + delta);
}

// Four weights of an IQ3 format. Digits stand for step * digit + least; the last for `more` more.
void put_iq3(uint at, uint point, uint step, uint least, uint more, uint signs, float scale)
{
    [[unroll]] for (uint i = 0; i < 4; i++) {
        uint digit = point >> i % 2 * 8 + i / 2 * 4 & 7;
        w[at + i] =
            with_sign(scale * float(step * digit + least + (digit + 1) / 8 * more), signs, i);
    }
}
