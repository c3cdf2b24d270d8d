#include "nibbles.glsl"

void decode(uint unit)
{
    uint block = unit / 8, run = unit % 8;
    uint head = single(block * 2), lower = single(block * 2 + 1) >> 4 * run & 15;
    uint scale = lower | (head >> 16 + 2 * run & 3) << 4;
    look_up_32(IQ4, quad(unit), f16(head) * (float(scale) - 32));
}
