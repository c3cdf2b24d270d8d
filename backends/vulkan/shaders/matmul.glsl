// dst[t][r] = sum over c of weight[r][c] * x[t][c], plus bias[r]
//
// A workgroup has ROWS * ROW_LANES rows, ROWS an invocation, and COLS tokens. Columns are cut into
// SEGMENTS, which the parts of a workgroup share out; the sums of segments are joined in order. So
// on one device, where SEGMENTS is always the same, each result is made of the same sums whatever
// ROWS, COLS and the workgroup are, and whatever other tokens a step has.
//
// src0 weight, src1 x, src2 bias, extra grids
// u: 0 to 3, 11 and 12 as in weights.glsl, 4 words from x[t] to x[t + 1], 5 the same of dst,
// 6 which rows a step has, 7 first row, 8 end, 9 whether there is a bias, 10 first t
layout(constant_id = 0) const uint LANES = 32;
layout(constant_id = 1) const uint ROW_LANES = 32;
layout(constant_id = 2) const uint ROWS = 1;
layout(constant_id = 3) const uint COLS = 1;
layout(constant_id = 6) const uint SEGMENTS = 8;
layout(local_size_x_id = 0) in;

#include "common.glsl"
#include "weights.glsl"

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer FloatQuads {
    vec4 at[];
};

const uint UNIT = 32;
const uint PARTS = LANES / ROW_LANES;

shared float joined[PARTS == 1 ? 1 : SEGMENTS * COLS * ROWS * ROW_LANES];

Row rows[ROWS];
float all[ROWS * UNIT];
float sum[COLS * ROWS];

// Four numbers of a token, from column k on.
vec4 x_at(uint t, uint k)
{
    uint at = t * p.u[4] + k;
    if (WHOLE) return TEXELS ? texelFetch(x_quads, int(at / 4)) : FloatQuads(p.src1).at[at / 4];
    vec4 x = vec4(0);
    [[unroll]] for (uint i = 0; i < 4; i++)
        if (k + i < p.u[3]) x[i] = Floats(p.src1).at[at + i];
    return x;
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
        uint t = min(first + c, n - 1); // those behind the last are not stored
        [[unroll]] for (uint j = 0; j < UNIT; j += 4) {
            vec4 x = x_at(t, unit * UNIT + j);
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                float four = all[r * UNIT + j] * x.x;
                four = fma(all[r * UNIT + j + 1], x.y, four);
                four = fma(all[r * UNIT + j + 2], x.z, four);
                four = fma(all[r * UNIT + j + 3], x.w, four);
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
    uint lane = gl_LocalInvocationIndex % ROW_LANES, part = gl_LocalInvocationIndex / ROW_LANES;
    uint own = p.u[7] + gl_WorkGroupID.x * ROWS * ROW_LANES + lane;
    uint first = p.u[10] + gl_WorkGroupID.y * COLS, n = n_rows(p.u[6]);
    if (first >= n) return;
    float total[COLS * ROWS];
    [[unroll]] for (uint r = 0; r < ROWS; r++)
        rows[r] = find_row(min(own + r * ROW_LANES, p.u[8] - 1));
    [[unroll]] for (uint i = 0; i < COLS * ROWS; i++)
        total[i] = 0;
    for (uint segment = part; segment < SEGMENTS; segment += PARTS) {
        sum_segment(segment, first, n);
        [[unroll]] for (uint i = 0; i < COLS * ROWS; i++)
            if (PARTS == 1) total[i] += sum[i];
            else joined[(segment * COLS * ROWS + i) * ROW_LANES + lane] = sum[i];
    }
    if (PARTS > 1) {
        barrier();
        if (part > 0) return;
        for (uint segment = 0; segment < SEGMENTS; segment++)
            [[unroll]] for (uint i = 0; i < COLS * ROWS; i++)
                total[i] += joined[(segment * COLS * ROWS + i) * ROW_LANES + lane];
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        uint i = own + r * ROW_LANES;
        if (i >= p.u[8]) return;
        float bias = p.u[9] != 0 ? Floats(p.src2).at[i] : 0;
        [[unroll]] for (uint c = 0; c < COLS; c++)
            if (first + c < n) Floats(p.dst).at[(first + c) * p.u[5] + i] = total[c * ROWS + r] + bias;
    }
}
