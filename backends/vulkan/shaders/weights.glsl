// Weights as layout.c orders them: groups of 64 rows (the last may have fewer); in a group first
// the words of all rows, word after word, then what is left of each block in the same way.
const uint GROUP = 64;

Words weights;
uint group_at;    // the group's first word
uint group_rows;  // 64, or fewer in the last group
uint row_in;      // this invocation's row in its group
uint tails_at;    // the group's first tail, in words
uint row_words;   // words of a row
uint row_values;
float w[32];

void find_row(uint row, uint rows, uint row_bytes, uint words, uint values)
{
    uint group = row / GROUP;
    row_in = row % GROUP;
    group_rows = min(GROUP, rows - group * GROUP);
    group_at = group * (GROUP / 4) * row_bytes;
    tails_at = group_at + words * group_rows;
    row_words = words;
    row_values = values;
}

uint word(uint i)
{
    return weights.at[group_at + i * group_rows + row_in];
}

uint tail16(uint block)
{
    uint i = block * group_rows + row_in;
    return weights.at[tails_at + i / 2] >> (i & 1) * 16 & 0xffffu;
}

uint tail8(uint block)
{
    uint i = block * group_rows + row_in;
    return weights.at[tails_at + i / 4] >> (i & 3) * 8 & 255u;
}

// Sixteen signed bytes in four words.
float look_up(uvec4 table, uint i)
{
    uint low = (i & 4) != 0 ? table.y : table.x, high = (i & 4) != 0 ? table.w : table.z;
    uint four = (i & 8) != 0 ? high : low;
    return float(int(four << (24 - 8 * (i & 3))) >> 24);
}

// Where each format has its own: 32 weights of this row, those of columns 32 * unit and on, in w[].
void decode(uint unit);
