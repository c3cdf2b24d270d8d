// The scale and the minimum of a group of Q4_K and Q5_K, 6 bits each, in the three words from
// `at` on.
uvec2 group_scale(uint at, uint group)
{
    uint a = byte_of(word(at), group % 4), b = byte_of(word(at + 1), group % 4);
    if (group < 4) return uvec2(a & 63, b & 63);
    uint c = byte_of(word(at + 2), group % 4);
    return uvec2(c & 15 | a >> 6 << 4, c >> 4 | b >> 6 << 4);
}
