// dst[t] = scale * table[tokens[t]]: a workgroup a token; an invocation decodes 32 numbers at a
// time.
//
// src0 table, extra grids
// u: 0 to 3, 11 and 12 as in weights.glsl, 5 words from dst[t] to dst[t + 1], 7 first row, 8 end:
// tokens of other rows are left to another dispatch; f: 0 scale
layout(constant_id = 0) const uint LANES = 64;
layout(local_size_x_id = 0) in;

#include "common.glsl"
#include "weights.glsl"

void main()
{
    uint t = gl_WorkGroupID.x;
    if (t >= n_tokens()) return;
    uint token = token_of(t);
    if (token < p.u[7] || token >= p.u[8]) return;
    row = find_row(token);
    for (uint unit = gl_LocalInvocationID.x; unit * 32 < p.u[3]; unit += LANES) {
        decode(unit);
        [[unroll]] for (uint i = 0; i < 32; i++)
            if (unit * 32 + i < p.u[3])
                Floats(p.dst).at[t * p.u[5] + unit * 32 + i] = w[i] * p.f[0];
    }
}
