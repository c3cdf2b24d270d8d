/* What this machine does at most: the roofs that speeds are held against. Measured, in a fraction
 * of a second. */
#ifndef LOAM_COMMAND_ROOFS_H
#define LOAM_COMMAND_ROOFS_H

#include <loam/loam.h>
#include <stdint.h>

/* Bytes a second that n_threads read together from main memory (0: one a processor), EQ OM2.1; 0.0
 * where it cannot be measured. */
double roof_read(uint32_t n_threads);

/* Products and sums a second that n_threads make together of numbers in registers, with the best
 * instructions that the library's instruction set of that name has for weights of the format: those
 * of block formats are multiplied as 8-bit integers. 0.0 for a name that is not known here. */
double roof_multiply(const char *isa, loam_format format, uint32_t n_threads);

#endif
