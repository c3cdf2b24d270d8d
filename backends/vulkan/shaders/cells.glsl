// KV cells, TYPE being a LOAM_TYPE_*. Those of 16 bits and of blocks are reached by halves of
// words.
const uint F32 = 0, F16 = 1, Q4_0 = 2, Q8_0 = 8, BF16 = 30;
const uint CELL_BLOCK = 32;

bool in_blocks(uint type)
{
    return type == Q4_0 || type == Q8_0;
}

// Halves of n numbers.
uint cell_halves(uint type, uint n)
{
    if (type == Q8_0) return n / CELL_BLOCK * 17;
    if (type == Q4_0) return n / CELL_BLOCK * 9;
    return type == F32 ? 2 * n : n;
}

uint half_at(Words cells, uint i)
{
    return cells.at[i / 2] >> (i & 1) * 16 & 0xffffu;
}

float from_half(uint type, uint bits)
{
    return type == BF16 ? uintBitsToFloat(bits << 16) : f16(bits);
}

// Number j of those that begin at half `at` and lie one behind the other.
float cell(uint type, Words cells, uint at, uint j)
{
    if (type == F32) return uintBitsToFloat(cells.at[at / 2 + j]);
    if (!in_blocks(type)) return from_half(type, half_at(cells, at + j));
    uint block = at + j / CELL_BLOCK * (type == Q8_0 ? 17 : 9), i = j % CELL_BLOCK;
    float d = f16(half_at(cells, block));
    if (type == Q8_0)
        return d * float(signed_byte(half_at(cells, block + 1 + i / 2), i & 1));
    uint two = half_at(cells, block + 1 + i % 16 / 2);
    return d * (float(two >> (i & 1) * 8 + i / 16 * 4 & 15) - 8);
}
