#version 450
#extension GL_GOOGLE_include_directive : require
// Ops that take each number by itself, OP being one of LOAM_OP_*.
//
// u: 0 columns, 1 words from src0[t] to src0[t + 1], 2 of src1, 3 of dst, 4 LOAM_ACT_*, 6 which
// rows a step has; f: 0 cap
layout(constant_id = 0) const uint LANES = 64;
layout(constant_id = 1) const uint OP = 4;
layout(local_size_x_id = 0) in;

#include "common.glsl"

const uint ADD = 4, GLU = 5, PICK_ROWS = 9, SOFTCAP = 10;
const uint EACH = 4; // numbers of an invocation

// SiLU is x / (1 + e^-x); and so is the tanh form of GELU (Hendrycks and Gimpel 2016) with another
// exponent, for (1 + tanh t) / 2 = 1 / (1 + e^-2t). Minus infinity would give infinity by infinity.
float activate(float x)
{
    x = max(x, -3.402823466e38);
    float t = x;
    if (p.u[4] == 2) t = x * 1.5957691216 * (x * x * 0.044715 + 1);
    return x / (1 + exp(-t));
}

float cap(float x)
{
    float t = clamp(x / p.f[0], -20.0, 20.0);
    return p.f[0] * (1 - 2 / (exp(2 * t) + 1));
}

void main()
{
    uint t = gl_WorkGroupID.y;
    if (t >= n_rows(p.u[6])) return;
    uint row = OP == PICK_ROWS ? output_row(t) : t;
    Floats a = Floats(p.src0), b = Floats(p.src1), y = Floats(p.dst);
    [[unroll]] for (uint e = 0; e < EACH; e++) {
        uint i = (gl_WorkGroupID.x * EACH + e) * LANES + gl_LocalInvocationID.x;
        if (i >= p.u[0]) return;
        float x = a.at[row * p.u[1] + i];
        if (OP == ADD) x += b.at[t * p.u[2] + i];
        if (OP == GLU) x = activate(x) * b.at[t * p.u[2] + i];
        if (OP == SOFTCAP) x = cap(x);
        y.at[t * p.u[3] + i] = x;
    }
}
