/* How fast this machine reads main memory: the roof of EQ OM2.1. */
#ifndef LOAM_COMMAND_BANDWIDTH_H
#define LOAM_COMMAND_BANDWIDTH_H

#include <stdint.h>

/* Bytes a second that n_threads read together (0: one a processor), in under 0.3 s; 0.0 where it
 * cannot be measured. */
double bandwidth_measure(uint32_t n_threads);

#endif
