// Tables of 16 values, a byte each: IQ4's steps, and E2M1 of "OCP Microscaling Formats (MX)
// Specification" 1.0 times two.
const uvec4 IQ4 = uvec4(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);
const uvec4 E2M1 = uvec4(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);

// 32 weights of four words, the low nibbles first.
void look_up_32(uvec4 table, uint at, float d)
{
    [[unroll]] for (uint j = 0; j < 4; j++) {
        uint q = word(at + j);
        [[unroll]] for (uint i = 0; i < 4; i++) {
            w[4 * j + i] = d * look_up(table, q >> 8 * i & 15);
            w[16 + 4 * j + i] = d * look_up(table, q >> 8 * i + 4 & 15);
        }
    }
}
