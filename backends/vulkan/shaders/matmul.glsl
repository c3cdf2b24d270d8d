// dst[t][r] = sum over c of weight[r][c] * x[t][c], plus bias[r]
//
// A workgroup has LANES rows, one an invocation, and COLS tokens, whose values lie in shared memory
// 32 at a time. Columns are cut into SEGMENTS, of which PARTS are summed at once; their sums are
// joined in order. So each result is made of the same sums whatever LANES, PARTS, COLS are and
// whatever other tokens a step has.
//
// src0 weight, src1 x, src2 bias, extra grids
// u: 0 rows, 1 bytes of a row, 2 words of a row, 3 columns, 4 words from x[t] to x[t + 1], 5 the
// same of dst, 6 which rows a step has, 7 first row, 8 end, 9 whether there is a bias, 10 first t
layout(constant_id = 0) const uint LANES = 64;
layout(constant_id = 1) const uint PARTS = 1;
layout(constant_id = 2) const uint COLS = 1;
layout(local_size_x_id = 0, local_size_y_id = 1) in;

#include "common.glsl"
#include "weights.glsl"

const uint SEGMENTS = 8;
const uint UNIT = 32;

shared float xs[PARTS * COLS * UNIT];
shared float joined[PARTS == 1 ? 1 : SEGMENTS * COLS * LANES];

float sum[COLS];

void load_tile(uint part, uint first, uint n, uint unit)
{
    for (uint i = gl_LocalInvocationID.x; i < COLS * UNIT; i += LANES) {
        uint t = first + i / UNIT, k = unit * UNIT + i % UNIT;
        bool inside = t < n && k < p.u[3];
        xs[part * COLS * UNIT + i] = inside ? Floats(p.src1).at[t * p.u[4] + k] : 0;
    }
}

void add_unit(uint part, uint unit)
{
    decode(unit);
    [[unroll]] for (uint c = 0; c < COLS; c++) {
        uint at = (part * COLS + c) * UNIT;
        [[unroll]] for (uint j = 0; j < UNIT; j += 4) {
            float four = w[j] * xs[at + j];
            four = fma(w[j + 1], xs[at + j + 1], four);
            four = fma(w[j + 2], xs[at + j + 2], four);
            four = fma(w[j + 3], xs[at + j + 3], four);
            sum[c] += four;
        }
    }
}

void sum_segment(uint part, uint segment, uint first, uint n)
{
    uint units = (p.u[3] + UNIT - 1) / UNIT;
    uint unit = segment * units / SEGMENTS, end = (segment + 1) * units / SEGMENTS;
    uint turns = PARTS == 1 ? end - unit : (units + SEGMENTS - 1) / SEGMENTS;
    [[unroll]] for (uint c = 0; c < COLS; c++)
        sum[c] = 0;
    for (uint turn = 0; turn < turns; turn++, unit++) {
        barrier();
        load_tile(part, first, n, unit);
        barrier();
        if (PARTS == 1 || unit < end) add_unit(part, unit);
    }
}

void main()
{
    uint part = PARTS == 1 ? 0 : gl_LocalInvocationID.y;
    uint row = p.u[7] + gl_WorkGroupID.x * LANES + gl_LocalInvocationID.x;
    uint first = p.u[10] + gl_WorkGroupID.y * COLS, n = n_rows(p.u[6]);
    if (first >= n) return;
    float total[COLS];
    weights = Words(p.src0);
    find_row(min(row, p.u[0] - 1), p.u[0], p.u[1], p.u[2], p.u[3]);
    [[unroll]] for (uint c = 0; c < COLS; c++)
        total[c] = 0;
    for (uint segment = part; segment < SEGMENTS; segment += PARTS) {
        sum_segment(part, segment, first, n);
        [[unroll]] for (uint c = 0; c < COLS; c++)
            if (PARTS == 1) total[c] += sum[c];
            else joined[(segment * COLS + c) * LANES + gl_LocalInvocationID.x] = sum[c];
    }
    if (PARTS > 1) {
        barrier();
        if (part > 0) return;
        for (uint segment = 0; segment < SEGMENTS; segment++)
            [[unroll]] for (uint c = 0; c < COLS; c++)
                total[c] += joined[(segment * COLS + c) * LANES + gl_LocalInvocationID.x];
    }
    if (row >= p.u[8]) return;
    float bias = p.u[9] != 0 ? Floats(p.src2).at[row] : 0;
    [[unroll]] for (uint c = 0; c < COLS; c++)
        if (first + c < n) Floats(p.dst).at[(first + c) * p.u[5] + row] = total[c] + bias;
}
