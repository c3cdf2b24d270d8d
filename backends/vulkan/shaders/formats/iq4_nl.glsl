#include "nibbles.glsl"

void decode(uint unit)
{
    look_up_32(IQ4, quad(unit), f16(tail16(unit)));
}
