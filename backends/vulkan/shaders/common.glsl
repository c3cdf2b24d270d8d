// What every kernel shares: how memory is reached, the push constants (struct loam__vk_push in
// vulkan.h) and the step's own data (step.c).
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words {
    uint at[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats {
    float at[];
};

layout(push_constant, std430) uniform Push {
    uvec2 dst, src0, src1, src2, step, extra; // addresses
    uint u[14];
    float f[6];
} p;

// The step: a head of 8 words, then four arrays of as many words as a step has tokens at most.
const uint STEP_HEAD = 8;

uint n_tokens()
{
    return Words(p.step).at[0];
}

// rows: LOAM_ROWS_TOKENS (1) or LOAM_ROWS_OUTPUTS (2)
uint n_rows(uint rows)
{
    return Words(p.step).at[rows - 1];
}

uint step_array(uint array, uint i)
{
    Words s = Words(p.step);
    return s.at[STEP_HEAD + array * s.at[6] + i];
}

uint token_of(uint t)
{
    return step_array(0, t);
}

uint position_of(uint t)
{
    return step_array(1, t);
}

uint output_row(uint j)
{
    return step_array(3, j);
}

// Entry 0 of the block table of token t.
uint table_of(uint group, uint t)
{
    Words s = Words(p.step);
    return (group * s.at[3] + step_array(2, t)) * s.at[2];
}

Words block_tables()
{
    Words s = Words(p.step);
    return Words(uvec2(s.at[4], s.at[5]));
}

float f16(uint bits)
{
    return unpackHalf2x16(bits & 0xffffu).x;
}

int signed_byte(uint word, uint i)
{
    return bitfieldExtract(int(word), int(i) * 8, 8);
}

uint byte_of(uint word, uint i)
{
    return word >> i * 8 & 255u;
}
