#version 450
#extension GL_GOOGLE_include_directive : require
// Rotary embedding with the step's table of cosines and sines (step.c): an invocation a number.
//
// src0 x, src1 table
// u: 0 columns, 1 values of a head, 2 of them that turn, 3 LOAM_ROPE_*, 4 words from x[t] to
// x[t + 1], 5 the same of dst, 6 which rows a step has
layout(constant_id = 0) const uint LANES = 64;
layout(local_size_x_id = 0) in;

#include "common.glsl"

const uint PAIRS = 1;

void main()
{
    uint t = gl_WorkGroupID.y, i = gl_WorkGroupID.x * LANES + gl_LocalInvocationID.x;
    if (t >= n_rows(p.u[6]) || i >= p.u[0]) return;
    uint rotary = p.u[2], within = i % p.u[1];
    uint from = t * p.u[4] + i;
    Floats x = Floats(p.src0), table = Floats(p.src1);
    float y = x.at[from];
    if (within < rotary) {
        bool second = p.u[3] == PAIRS ? within % 2 != 0 : within >= rotary / 2;
        uint distance = p.u[3] == PAIRS ? 1 : rotary / 2;
        uint pair = p.u[3] == PAIRS ? within / 2 : within % (rotary / 2);
        float c = table.at[t * rotary + 2 * pair], s = table.at[t * rotary + 2 * pair + 1];
        float other = x.at[second ? from - distance : from + distance];
        y = second ? other * s + y * c : y * c - other * s;
    }
    Floats(p.dst).at[t * p.u[5] + i] = y;
}
