// Weights as layout.c orders them: groups of 64 rows (the last may have fewer); in a group first
// the words of all rows, word after word, then what is left of each block in the same way.
const uint GROUP = 64;

struct Row {
    uint group_at;   // the group's first word
    uint group_rows; // 64, or fewer in the last group
    uint within;     // the row's place in its group
    uint tails_at;   // the group's first tail, in words
};

Words weights;
uint row_words; // words of a row
uint row_values;
Row row;        // the one that is decoded
float w[32];

Row find_row(uint i, uint rows, uint row_bytes)
{
    uint group = i / GROUP, n = min(GROUP, rows - group * GROUP);
    uint at = group * (GROUP / 4) * row_bytes;
    return Row(at, n, i % GROUP, at + row_words * n);
}

uint word(uint i)
{
    return weights.at[row.group_at + i * row.group_rows + row.within];
}

uint tail16(uint block)
{
    uint i = block * row.group_rows + row.within;
    return weights.at[row.tails_at + i / 2] >> (i & 1) * 16 & 0xffffu;
}

uint tail8(uint block)
{
    uint i = block * row.group_rows + row.within;
    return weights.at[row.tails_at + i / 4] >> (i & 3) * 8 & 255u;
}

// Sixteen signed bytes in four words. By selections: on CPUs branches cost much, and so do shifts
// by what differs between invocations.
float look_up(uvec4 table, uint i)
{
    bvec4 bits = notEqual(uvec4(i) & uvec4(1, 2, 4, 8), uvec4(0));
    uint four = mix(mix(table.x, table.y, bits.z), mix(table.z, table.w, bits.z), bits.w);
    uint two = mix(four, four >> 16, bits.y);
    return float(int(mix(two << 24, two << 16, bits.x)) >> 24);
}

// Bit i of signs is that of the number.
float with_sign(float value, uint signs, uint i)
{
    return uintBitsToFloat(floatBitsToUint(value) ^ signs << 31 - i & 0x80000000u);
}

// Each format has its own: 32 weights of the row, those of columns 32 * unit and on, into w[].
void decode(uint unit);
