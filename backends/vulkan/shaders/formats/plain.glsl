// Formats of one number a block: a row is one block.

// Four words, of which those behind the row's end are 0; of a row of an odd number of halves the
// last is its tail.
uvec4 plain_words(uint i)
{
    if (WHOLE) return quad(i);
    uvec4 four = uvec4(0);
    if (i < p.u[2]) return quad(i);
    [[unroll]] for (uint j = 0; j < 4; j++) {
        uint s = (i - p.u[2]) * 4 + j;
        if (s < p.u[11]) four[j] = single(s);
        if (s == p.u[11] && p.u[1] % 4 != 0) four[j] = tail16(0);
    }
    return four;
}
