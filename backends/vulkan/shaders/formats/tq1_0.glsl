// The first ternary digit of byte / 256, after `skip` others.
float digit(uint byte, uint skip)
{
    uint power = skip < 2 ? (skip == 0 ? 1 : 3) : skip == 2 ? 9 : skip == 3 ? 27 : 81;
    return float((byte * power & 255) * 3 >> 8) - 1;
}

// Runs 0 to 4 are the digits of 32 bytes, 5 to 7 those of 16 bytes; at the end four of 4 bytes.
void decode(uint unit)
{
    uint block = unit / 8 * 3, run = unit % 8;
    float d = f16(tail16(unit / 8));
    if (run < 5) {
        [[unroll]] for (uint j = 0; j < 2; j++) {
            uvec4 q = quad(block + j);
            [[unroll]] for (uint i = 0; i < 16; i++)
                w[16 * j + i] = d * digit(byte_of(q[i / 4], i % 4), run);
        }
        return;
    }
    uint last = single(unit / 8), skip = (run - 5) * 2;
    uvec4 q = quad(block + 2);
    [[unroll]] for (uint i = 0; i < 16; i++) {
        uint byte = byte_of(q[i / 4], i % 4);
        w[i] = d * digit(byte, skip);
        w[16 + i] = d * (run < 7 ? digit(byte, skip + 1) : digit(byte_of(last, i % 4), i / 4));
    }
}
