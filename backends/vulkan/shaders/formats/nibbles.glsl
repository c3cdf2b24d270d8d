// Tables of 16 values, a byte each: IQ4's steps, and E2M1 of "OCP Microscaling Formats (MX)
// Specification" 1.0 times two.
const uvec4 IQ4 = uvec4(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);
const uvec4 E2M1 = uvec4(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);

// 32 weights of four words, the low nibbles first.
void look_up_32(uvec4 table, uvec4 q, float d)
{
    [[unroll]] for (uint i = 0; i < 16; i++) {
        w[i] = d * look_up(table, q[i / 4] >> i % 4 * 8 & 15);
        w[16 + i] = d * look_up(table, q[i / 4] >> i % 4 * 8 + 4 & 15);
    }
}
