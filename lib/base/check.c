#include "base.h"

bool loam__add_size(size_t a, size_t b, size_t *sum)
{
    if (a > SIZE_MAX - b) return false;
    *sum = a + b;
    return true;
}

bool loam__mul_size(size_t a, size_t b, size_t *product)
{
    if (b && a > SIZE_MAX / b) return false;
    *product = a * b;
    return true;
}

bool loam__add_u64(uint64_t a, uint64_t b, uint64_t *sum)
{
    if (a > UINT64_MAX - b) return false;
    *sum = a + b;
    return true;
}

bool loam__mul_u64(uint64_t a, uint64_t b, uint64_t *product)
{
    if (b && a > UINT64_MAX / b) return false;
    *product = a * b;
    return true;
}

bool loam__align_u64(uint64_t a, uint64_t align, uint64_t *aligned)
{
    if (!loam__add_u64(a, align - 1, aligned)) return false;
    *aligned &= ~(align - 1);
    return true;
}
