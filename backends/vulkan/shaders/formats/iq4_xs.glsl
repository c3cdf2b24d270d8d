#include "nibbles.glsl"

void decode(uint unit)
{
    uint block = unit / 8 * 34, run = unit % 8;
    uint head = word(block), lower = word(block + 1) >> 4 * run & 15;
    uint scale = lower | (head >> 16 + 2 * run & 3) << 4;
    look_up_32(IQ4, block + 2 + 4 * run, f16(head) * (float(scale) - 32));
}
