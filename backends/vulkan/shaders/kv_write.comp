#version 450
#extension GL_GOOGLE_include_directive : require
// Rows of keys or values into the KV cells of their tokens' positions. An invocation writes one
// number, or a block of 32.
//
// src0 rows, dst cells
// u: 0 heads, 1 values of a head, 2 positions of a block, 3 group, 4 halves of a block's row,
// 5 words from src0[t] to src0[t + 1]
layout(constant_id = 0) const uint LANES = 64;
layout(constant_id = 1) const uint TYPE = 0;
layout(constant_id = 2) const uint TRANSPOSED = 0;
layout(local_size_x_id = 0) in;

#include "common.glsl"
#include "cells.glsl"

// bits / 2^shift, rounded to nearest, ties to even
uint round_shift(uint bits, uint shift)
{
    return bits + ((1u << shift - 1) - 1) + (bits >> shift & 1) >> shift;
}

uint to_f16(float x)
{
    uint bits = floatBitsToUint(x), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return sign | 0x7e00u;
    if (magnitude >= 0x47800000u) return sign | 0x7c00u;
    if (magnitude >= 0x38800000u) return sign | round_shift(magnitude - (112u << 23), 13);
    if (magnitude < 0x33000000u) return sign;
    return sign | round_shift(magnitude & 0x7fffffu | 0x800000u, 126 - (magnitude >> 23));
}

uint to_bf16(float x)
{
    uint bits = floatBitsToUint(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return bits >> 16 | 0x40u;
    return round_shift(bits, 16);
}

// The other half of the word is another invocation's.
void put_half(uint i, uint bits)
{
    Words cells = Words(p.dst);
    uint shift = (i & 1) * 16;
    atomicAnd(cells.at[i / 2], ~(0xffffu << shift));
    atomicOr(cells.at[i / 2], bits << shift);
}

// 1 / d, or 0 where all numbers of a block become 0
float inverse(float d)
{
    return abs(d) >= 1.17549435e-38 && abs(d) <= 3.402823466e38 ? 1 / d : 0;
}

// Halves away from zero.
int nearest(float x)
{
    float whole = trunc(x);
    return int(abs(x - whole) >= 0.5 ? whole + sign(x) : whole);
}

// The number of largest magnitude, the first of equals, becomes 127 d or -127 d; or -8 d.
void put_block(uint at, uint from)
{
    Floats x = Floats(p.src0);
    float peak = 0;
    for (uint i = 0; i < CELL_BLOCK; i++)
        if (abs(x.at[from + i]) > abs(peak)) peak = x.at[from + i];
    float d = TYPE == Q8_0 ? abs(peak) / 127 : peak / -8, steps = inverse(d);
    put_half(at, to_f16(d));
    if (TYPE == Q8_0) {
        for (uint i = 0; i < CELL_BLOCK; i += 2) {
            int a = nearest(x.at[from + i] * steps), b = nearest(x.at[from + i + 1] * steps);
            put_half(at + 1 + i / 2, uint(a) & 255 | (uint(b) & 255) << 8);
        }
        return;
    }
    for (uint i = 0; i < CELL_BLOCK / 2; i += 2) {
        uint bits = 0;
        for (uint j = 0; j < 4; j++) {
            float q = x.at[from + i + (j & 1) + j / 2 * 16] * steps + 8.5;
            bits |= (steps != 0 ? min(uint(q), 15u) : 8) << (j & 1) * 8 + j / 2 * 4;
        }
        put_half(at + 1 + i / 2, bits);
    }
}

void main()
{
    uint each = in_blocks(TYPE) ? CELL_BLOCK : 1, values = p.u[1], block = p.u[2];
    uint t = gl_WorkGroupID.y;
    uint i = (gl_WorkGroupID.x * LANES + gl_LocalInvocationID.x) * each;
    if (t >= n_tokens() || i >= p.u[0] * values) return;
    uint position = position_of(t), head = i / values, j = i % values;
    uint row = block_tables().at[table_of(p.u[3], t) + position / block];
    uint from = t * p.u[5] + i;
    uint at = row * p.u[4] + head * block * cell_halves(TYPE, values);
    if (in_blocks(TYPE)) {
        put_block(at + position % block * cell_halves(TYPE, values) + cell_halves(TYPE, j), from);
        return;
    }
    uint place = TRANSPOSED != 0 ? j * block + position % block : position % block * values + j;
    float x = Floats(p.src0).at[from];
    if (TYPE == F32) Floats(p.dst).at[at / 2 + place] = x;
    else put_half(at + place, TYPE == BF16 ? to_bf16(x) : to_f16(x));
}
