#version 450
#extension GL_GOOGLE_include_directive : require
// dst = x / sqrt(mean(x^2) + eps) * weight in each group of a row: a workgroup a group.
//
// src0 x, src1 weight
// u: 0 values of a group, 1 words from x[t] to x[t + 1], 2 the same of dst, 6 which rows a step has
// f: 0 eps
layout(constant_id = 0) const uint LANES = 64;
layout(local_size_x_id = 0) in;

#include "common.glsl"

shared float squares[LANES];

void main()
{
    uint t = gl_WorkGroupID.y, n = p.u[0];
    if (t >= n_rows(p.u[6])) return;
    uint from = t * p.u[1] + gl_WorkGroupID.x * n, to = t * p.u[2] + gl_WorkGroupID.x * n;
    Floats x = Floats(p.src0), weight = Floats(p.src1), y = Floats(p.dst);
    float own = 0;
    for (uint i = gl_LocalInvocationID.x; i < n; i += LANES)
        own += x.at[from + i] * x.at[from + i];
    squares[gl_LocalInvocationID.x] = own;
    barrier();
    float all = 0;
    [[unroll]] for (uint i = 0; i < LANES; i++)
        all += squares[i];
    float scale = 1 / sqrt(all / float(n) + p.f[0]);
    for (uint i = gl_LocalInvocationID.x; i < n; i += LANES)
        y.at[to + i] = x.at[from + i] * scale * weight.at[i];
}
