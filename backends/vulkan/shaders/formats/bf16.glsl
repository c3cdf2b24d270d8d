#define BF16
#include "f16.glsl"
