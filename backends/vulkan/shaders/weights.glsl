// Weights as layout.c orders them: groups of 64 rows (the last may have fewer); in a group first
// the quads of all rows, four words at a time, then the single words, then the blocks' tails.
//
// Through texels where TEXELS is set: drivers that run on a CPU fetch them in one go, and go from
// invocation to invocation where a kernel reads a buffer.
layout(constant_id = 4) const bool TEXELS = false;
layout(constant_id = 5) const bool WHOLE = true; // columns are a multiple of 32
layout(set = 0, binding = 0) uniform usamplerBuffer weight_quads;
layout(set = 0, binding = 1) uniform usamplerBuffer weight_words;
layout(set = 0, binding = 2) uniform samplerBuffer x_quads;
layout(set = 0, binding = 3) uniform usamplerBuffer grid_words;

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Quads {
    uvec4 at[];
};

const uint GROUP = 64;

struct Row {
    uint rows;       // of its group: 64, or fewer in the last one
    uint quads_at;   // its first quad
    uint singles_at; // its first single word
    uint tails_at;   // the group's first tail, in words
    uint within;     // the row's place in its group
};

Row row; // the one that is decoded
float w[32];

// Row i. u: 0 rows, 1 bytes of a row, 2 its quads, 3 columns, 11 its single words, 12 the row with
// which src0 begins
Row find_row(uint i)
{
    uint group = i / GROUP, n = min(GROUP, p.u[0] - group * GROUP), within = i % GROUP;
    uint at = (group - p.u[12] / GROUP) * (GROUP / 4) * p.u[1], singles = at + p.u[2] * 4 * n;
    return Row(n, at / 4 + within, singles + within, singles + p.u[11] * n, within);
}

uvec4 quad(uint i)
{
    uint at = row.quads_at + i * row.rows;
    return TEXELS ? texelFetch(weight_quads, int(at)) : Quads(p.src0).at[at];
}

uint weight_word(uint at)
{
    return TEXELS ? texelFetch(weight_words, int(at)).x : Words(p.src0).at[at];
}

uint single(uint i)
{
    return weight_word(row.singles_at + i * row.rows);
}

uint tail16(uint block)
{
    uint i = block * row.rows + row.within;
    return weight_word(row.tails_at + i / 2) >> (i & 1) * 16 & 0xffffu;
}

uint tail8(uint block)
{
    uint i = block * row.rows + row.within;
    return weight_word(row.tails_at + i / 4) >> (i & 3) * 8 & 255u;
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
