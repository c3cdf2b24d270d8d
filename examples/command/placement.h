/* Which device has what of a plan, as plan and run print it. */
#ifndef LOAM_COMMAND_PLACEMENT_H
#define LOAM_COMMAND_PLACEMENT_H

#include <loam/plan.h>
#include <stdbool.h>
#include <stdio.h>

/* The next run of layers of a device, from *first on; false: there is none. */
bool placement_run(const loam_plan *plan, size_t device, uint32_t *first, uint32_t *last);

/* A line for each device. */
void placement_print(FILE *out, const loam_plan *plan);

/* Where a loaded model lies, on standard error, if the options name devices. */
void placement_announce(loam *m, const loam_options *options);

#endif
