#include "model.h"

/* A family is one file in arch/ and one line here, twice: its declaration and its place. */
extern const loam__arch loam__arch_llama;
extern const loam__arch loam__arch_gemma3;

static const loam__arch *const families[] = {
    &loam__arch_llama,
    &loam__arch_gemma3,
};

const loam__arch *loam__arch_at(size_t i)
{
    return i < sizeof families / sizeof *families ? families[i] : NULL;
}
