#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_arithmetic : require
// Attention of HEADS query heads that have one KV head, for one token: a subgroup. Online softmax
// (Milakov and Gimelshein 2018) over as many positions at a time as it has invocations: first each
// has the scores of one position, then a share of the results. What is added in which order depends
// on the position alone.
//
// src0 queries, src1 K cells, src2 V cells
// u: 0 heads, 1 KV heads, 3 positions of a block, 4 window, 5 group,
// 6 halves of a block's row of K, 7 of V, 8 words from src0[t] to src0[t + 1], 9 the same of dst,
// 10 first t; f: 0 scale, 1 softcap
layout(constant_id = 0) const uint SUBGROUP = 32;
layout(constant_id = 1) const uint K_TYPE = 0;
layout(constant_id = 2) const uint V_TYPE = 0;
layout(constant_id = 3) const uint K_TRANSPOSED = 0;
layout(constant_id = 4) const uint K_VALUES = 64;
layout(constant_id = 5) const uint V_VALUES = 64;
layout(constant_id = 6) const uint HEADS = 1;
layout(local_size_x_id = 0) in;

#include "common.glsl"
#include "cells.glsl"

const uint V_EACH = (V_VALUES + 2 * SUBGROUP - 1) / (2 * SUBGROUP) * 2;

// Of two numbers in one word an invocation takes both.
bool in_pairs(uint type, uint values)
{
    return (type == F16 || type == BF16) && values % 2 == 0;
}

float q[HEADS]; // of SUBGROUP numbers of each head, one
float y[HEADS * V_EACH];
float scores[HEADS];

float soften(float x)
{
    x *= p.f[0];
    if (p.f[1] <= 0) return x;
    float t = clamp(x / p.f[1], -20.0, 20.0);
    return p.f[1] * (1 - 2 / (exp(2 * t) + 1));
}

void read_queries(uint at, uint first)
{
    uint j = min(first + gl_SubgroupInvocationID, K_VALUES - 1);
    [[unroll]] for (uint h = 0; h < HEADS; h++)
        q[h] = Floats(p.src0).at[at + h * K_VALUES + j];
}

void add_key(uint i, float x)
{
    [[unroll]] for (uint h = 0; h < HEADS; h++)
        scores[h] += subgroupBroadcast(q[h], i) * x;
}

// Number j of this invocation's key, which begins at half `at`.
float key(uint at, uint j)
{
    Words k = Words(p.src1);
    if (K_TRANSPOSED == 0) return cell(K_TYPE, k, at, j);
    if (K_TYPE == F32) return uintBitsToFloat(k.at[at / 2 + j * p.u[3]]);
    return from_half(K_TYPE, half_at(k, at + j * p.u[3]));
}

// q . k of this invocation's key, as many numbers at a time as a subgroup has invocations: so the
// kernel stays small with large heads, and drivers compile it soon.
void find_scores(uint queries, uint at)
{
    [[unroll]] for (uint h = 0; h < HEADS; h++)
        scores[h] = 0;
    for (uint first = 0; first < K_VALUES; first += SUBGROUP) {
        read_queries(queries, first);
        if (K_TRANSPOSED == 0 && in_pairs(K_TYPE, K_VALUES)) {
            [[unroll]] for (uint i = 0; i < SUBGROUP; i += 2) {
                if (first + i >= K_VALUES) break;
                uint two = Words(p.src1).at[(at + first + i) / 2];
                add_key(i, from_half(K_TYPE, two & 0xffffu));
                add_key(i + 1, from_half(K_TYPE, two >> 16));
            }
            continue;
        }
        [[unroll]] for (uint i = 0; i < SUBGROUP; i++) {
            if (first + i >= K_VALUES) break;
            add_key(i, key(at, first + i));
        }
    }
}

// Which number of a head is number e of this invocation's.
uint place(uint e)
{
    return in_pairs(V_TYPE, V_VALUES) ? 2 * (e / 2 * SUBGROUP + gl_SubgroupInvocationID) + e % 2
                                      : e * SUBGROUP + gl_SubgroupInvocationID;
}

void add_value(uint e, uint i, float x)
{
    [[unroll]] for (uint h = 0; h < HEADS; h++)
        y[h * V_EACH + e] += subgroupBroadcast(scores[h], i) * x;
}

// Position i of those at hand, whose numbers begin at half `at`; scores are factors now.
void add_values(uint i, uint at)
{
    Words v = Words(p.src2);
    if (in_pairs(V_TYPE, V_VALUES)) {
        [[unroll]] for (uint e = 0; e < V_EACH; e += 2) {
            uint two = v.at[at / 2 + min(place(e), V_VALUES - 2) / 2];
            add_value(e, i, from_half(V_TYPE, two & 0xffffu));
            add_value(e + 1, i, from_half(V_TYPE, two >> 16));
        }
        return;
    }
    [[unroll]] for (uint e = 0; e < V_EACH; e++)
        add_value(e, i, cell(V_TYPE, v, at, min(place(e), V_VALUES - 1)));
}

void main()
{
    uint lane = gl_SubgroupInvocationID, t = p.u[10] + gl_WorkGroupID.y;
    if (t >= n_tokens()) return;
    uint head = gl_WorkGroupID.x * HEADS, kv_head = head / (p.u[0] / p.u[1]), block = p.u[3];
    uint last = position_of(t), table = table_of(p.u[5], t);
    uint first = p.u[4] != 0 && last >= p.u[4] ? last - p.u[4] + 1 : 0;
    uint k_row = cell_halves(K_TYPE, K_VALUES), v_row = cell_halves(V_TYPE, V_VALUES);
    uint k_step = K_TRANSPOSED == 0 ? k_row : K_TYPE == F32 ? 2 : 1;
    Words tables = block_tables();
    float most[HEADS], total[HEADS];

    [[unroll]] for (uint h = 0; h < HEADS; h++) {
        most[h] = -3.402823466e38;
        total[h] = 0;
        [[unroll]] for (uint e = 0; e < V_EACH; e++)
            y[h * V_EACH + e] = 0;
    }
    for (uint from = first; from <= last; from += SUBGROUP) {
        // Invocations behind the last position have its key, and factors of 0.
        uint position = min(from + lane, last), within = position % block;
        uint row = tables.at[table + position / block];
        find_scores(t * p.u[8] + head * K_VALUES,
                    row * p.u[6] + kv_head * block * k_row + within * k_step);
        [[unroll]] for (uint h = 0; h < HEADS; h++) {
            float s = soften(scores[h]), peak = max(most[h], subgroupMax(s));
            float shrink = exp(most[h] - peak);
            scores[h] = from + lane <= last ? exp(s - peak) : 0;
            total[h] = total[h] * shrink + subgroupAdd(scores[h]);
            most[h] = peak;
            [[unroll]] for (uint e = 0; e < V_EACH; e++)
                y[h * V_EACH + e] *= shrink;
        }
        uint at = row * p.u[7] + (kv_head * block + within) * v_row;
        for (uint i = 0; i < SUBGROUP && from + i <= last; i++)
            add_values(i, subgroupBroadcast(at, i));
    }
    [[unroll]] for (uint h = 0; h < HEADS; h++) {
        [[unroll]] for (uint e = 0; e < V_EACH; e++) {
            uint to = t * p.u[9] + (head + h) * V_VALUES + place(e);
            if (place(e) < V_VALUES) Floats(p.dst).at[to] = y[h * V_EACH + e] / total[h];
        }
    }
}
