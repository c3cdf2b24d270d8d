// dst[t][r] = sum over c of weight[r][c] * x[t][c], plus bias[r]
//
// A subgroup has ROWS * SUBGROUP rows, ROWS an invocation, and COLS tokens. Its invocations read 32
// numbers of each token together and hand them to each other, so that no number is read twice.
// Columns are cut into SEGMENTS, which the subgroups of a workgroup share out; the sums of segments
// are joined in order. So each result is made of the same sums whatever ROWS, COLS and the workgroup
// are, and whatever other tokens a step has.
//
// src0 weight, src1 x, src2 bias, extra grids
// u: 0 rows, 1 bytes of a row, 2 words of a row, 3 columns, 4 words from x[t] to x[t + 1], 5 the
// same of dst, 6 which rows a step has, 7 first row, 8 end, 9 whether there is a bias, 10 first t
#extension GL_KHR_shader_subgroup_ballot : require

layout(constant_id = 0) const uint LANES = 32;
layout(constant_id = 1) const uint SUBGROUP = 32;
layout(constant_id = 2) const uint ROWS = 1;
layout(constant_id = 3) const uint COLS = 1;
layout(local_size_x_id = 0) in;

#include "common.glsl"
#include "weights.glsl"

const uint SEGMENTS = 8;
const uint UNIT = 32;
const uint PARTS = LANES / SUBGROUP;
const uint READS = 8; // of a token's numbers in a unit, where a subgroup is of 4

shared float joined[PARTS == 1 ? 1 : SEGMENTS * COLS * ROWS * SUBGROUP];

Row rows[ROWS];
float all[ROWS * UNIT];
float x[READS];
float sum[COLS * ROWS];

// This invocation's share of a token's numbers in a unit.
void read_token(uint t, uint n, uint unit)
{
    [[unroll]] for (uint i = 0; i < READS; i++) {
        uint k = unit * UNIT + i * SUBGROUP + gl_SubgroupInvocationID;
        x[i] = 0;
        if (i * SUBGROUP < UNIT && t < n && k < p.u[3]) x[i] = Floats(p.src1).at[t * p.u[4] + k];
    }
}

float number(uint k)
{
    return subgroupBroadcast(x[k / SUBGROUP], k % SUBGROUP);
}

void add_unit(uint first, uint n, uint unit)
{
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        row = rows[r];
        decode(unit);
        [[unroll]] for (uint i = 0; i < UNIT; i++)
            all[r * UNIT + i] = w[i];
    }
    [[unroll]] for (uint c = 0; c < COLS; c++) {
        read_token(first + c, n, unit);
        [[unroll]] for (uint j = 0; j < UNIT; j += 4) {
            float a = number(j), b = number(j + 1), d = number(j + 2), e = number(j + 3);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                float four = all[r * UNIT + j] * a;
                four = fma(all[r * UNIT + j + 1], b, four);
                four = fma(all[r * UNIT + j + 2], d, four);
                four = fma(all[r * UNIT + j + 3], e, four);
                sum[c * ROWS + r] += four;
            }
        }
    }
}

void sum_segment(uint segment, uint first, uint n)
{
    uint units = (p.u[3] + UNIT - 1) / UNIT;
    uint unit = segment * units / SEGMENTS, end = (segment + 1) * units / SEGMENTS;
    [[unroll]] for (uint i = 0; i < COLS * ROWS; i++)
        sum[i] = 0;
    for (; unit < end; unit++)
        add_unit(first, n, unit);
}

void main()
{
    uint lane = gl_SubgroupInvocationID, part = PARTS == 1 ? 0 : gl_SubgroupID;
    uint own = p.u[7] + gl_WorkGroupID.x * ROWS * SUBGROUP + lane;
    uint first = p.u[10] + gl_WorkGroupID.y * COLS, n = n_rows(p.u[6]);
    if (first >= n) return;
    float total[COLS * ROWS];
    weights = Words(p.src0);
    row_words = p.u[2];
    row_values = p.u[3];
    [[unroll]] for (uint r = 0; r < ROWS; r++)
        rows[r] = find_row(min(own + r * SUBGROUP, p.u[0] - 1), p.u[0], p.u[1]);
    [[unroll]] for (uint i = 0; i < COLS * ROWS; i++)
        total[i] = 0;
    for (uint segment = part; segment < SEGMENTS; segment += PARTS) {
        sum_segment(segment, first, n);
        [[unroll]] for (uint i = 0; i < COLS * ROWS; i++)
            if (PARTS == 1) total[i] += sum[i];
            else joined[(segment * COLS * ROWS + i) * SUBGROUP + lane] = sum[i];
    }
    if (PARTS > 1) {
        barrier();
        if (part > 0) return;
        for (uint segment = 0; segment < SEGMENTS; segment++)
            [[unroll]] for (uint i = 0; i < COLS * ROWS; i++)
                total[i] += joined[(segment * COLS * ROWS + i) * SUBGROUP + lane];
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint i = own + r * SUBGROUP;
        if (i >= p.u[8]) return;
        float bias = p.u[9] != 0 ? Floats(p.src2).at[i] : 0;
        [[unroll]] for (uint c = 0; c < COLS; c++)
            if (first + c < n) Floats(p.dst).at[(first + c) * p.u[5] + i] = total[c * ROWS + r] + bias;
    }
}
