#version 450
#extension GL_GOOGLE_include_directive : require
// Attention of one query head of one token, a workgroup each: online softmax (Milakov and
// Gimelshein 2018) over LANES positions at a time. An invocation has one position's score, and then
// V_EACH of the results. What is added in which order depends on the position alone.
//
// src0 queries, src1 K cells, src2 V cells
// u: 0 heads, 1 KV heads, 2 values of a V head, 3 positions of a block, 4 window, 5 group, 6 halves
// of a block's row of K, 7 of V, 8 words from src0[t] to src0[t + 1], 9 the same of dst, 10 first t
// f: 0 scale, 1 softcap
layout(constant_id = 0) const uint LANES = 64;
layout(constant_id = 1) const uint K_TYPE = 0;
layout(constant_id = 2) const uint V_TYPE = 0;
layout(constant_id = 3) const uint K_TRANSPOSED = 0;
layout(constant_id = 4) const uint K_VALUES = 64;
layout(constant_id = 5) const uint V_EACH = 1;
layout(local_size_x_id = 0) in;

#include "common.glsl"
#include "cells.glsl"

shared float q[K_VALUES];
shared float scores[LANES];

float soften(float x)
{
    x *= p.f[0];
    if (p.f[1] <= 0) return x;
    float t = clamp(x / p.f[1], -20.0, 20.0);
    return p.f[1] * (1 - 2 / (exp(2 * t) + 1));
}

// q . k, the key's numbers beginning at half `at`
float score(uint at)
{
    Words k = Words(p.src1);
    float sum = 0;
    [[unroll]] for (uint j = 0; j < K_VALUES; j++) {
        float x;
        if (K_TRANSPOSED == 0) x = cell(K_TYPE, k, at, j);
        else if (K_TYPE == F32) x = uintBitsToFloat(k.at[at / 2 + j * p.u[3]]);
        else x = from_half(K_TYPE, half_at(k, at + j * p.u[3]));
        sum += q[j] * x;
    }
    return sum;
}

void main()
{
    uint lane = gl_LocalInvocationID.x, t = p.u[10] + gl_WorkGroupID.y;
    if (t >= n_tokens()) return;
    uint head = gl_WorkGroupID.x, kv_head = head / (p.u[0] / p.u[1]), block = p.u[3];
    uint last = position_of(t), table = table_of(p.u[5], t);
    uint first = p.u[4] != 0 && last >= p.u[4] ? last - p.u[4] + 1 : 0;
    uint k_row = cell_halves(K_TYPE, K_VALUES), v_row = cell_halves(V_TYPE, p.u[2]);
    uint k_step = K_TRANSPOSED == 0 ? k_row : K_TYPE == F32 ? 2 : 1;
    Words tables = block_tables();

    for (uint j = lane; j < K_VALUES; j += LANES)
        q[j] = Floats(p.src0).at[t * p.u[8] + head * K_VALUES + j];
    float most = -3.402823466e38, total = 0, y[V_EACH];
    [[unroll]] for (uint e = 0; e < V_EACH; e++)
        y[e] = 0;
    for (uint from = first; from <= last; from += LANES) {
        barrier(); // q is there; the scores before are used
        uint position = from + lane;
        float s = -3.402823466e38;
        if (position <= last) {
            uint row = tables.at[table + position / block];
            s = soften(score(row * p.u[6] + kv_head * block * k_row + position % block * k_step));
        }
        scores[lane] = s;
        barrier();
        float peak = most;
        [[unroll]] for (uint i = 0; i < LANES; i++)
            peak = max(peak, scores[i]);
        float factor = position <= last ? exp(s - peak) : 0, shrink = exp(most - peak);
        barrier();
        scores[lane] = factor;
        barrier();
        most = peak;
        total *= shrink;
        [[unroll]] for (uint i = 0; i < LANES; i++)
            total += scores[i];
        [[unroll]] for (uint e = 0; e < V_EACH; e++)
            y[e] *= shrink;
        for (uint i = 0; i < LANES && from + i <= last; i++) {
            uint row = tables.at[table + (from + i) / block];
            uint at = row * p.u[7] + (kv_head * block + (from + i) % block) * v_row;
            [[unroll]] for (uint e = 0; e < V_EACH; e++) {
                uint j = min(e * LANES + lane, p.u[2] - 1);
                y[e] += scores[i] * cell(V_TYPE, Words(p.src2), at, j);
            }
        }
    }
    [[unroll]] for (uint e = 0; e < V_EACH; e++) {
        uint j = e * LANES + lane;
        if (j < p.u[2]) Floats(p.dst).at[t * p.u[9] + head * p.u[2] + j] = y[e] / total;
    }
}
