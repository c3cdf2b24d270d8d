#include "nibbles.glsl"

// E8M0, halved for what E2M1 is doubled by; the two least are subnormal.
void decode(uint unit)
{
    uint e = tail8(unit);
    look_up_32(E2M1, quad(unit), uintBitsToFloat(e < 2 ? 0x200000u << e : (e - 1) << 23));
}
