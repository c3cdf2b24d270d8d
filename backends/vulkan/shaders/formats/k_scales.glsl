// The scale and the minimum of a group of Q4_K and Q5_K, 6 bits each, in three words.
uvec2 group_scale(uvec3 words, uint group)
{
    uint shift = group % 4 * 8;
    uvec3 three = words >> shift & 255;
    if (group < 4) return three.xy & 63;
    return uvec2(three.z & 15 | three.x >> 6 << 4, three.z >> 4 | three.y >> 6 << 4);
}
