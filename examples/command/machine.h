/* A machine from the command line: devices and pins. */
#ifndef LOAM_COMMAND_MACHINE_H
#define LOAM_COMMAND_MACHINE_H

#include "output.h"

#include <loam/plan.h>

typedef struct machine { /* must not move once it is read */
    loam_plan_machine machine;
    loam_plan_target targets[LOAM_PLAN_TARGETS_MAX];
    const loam_plan_target *pointers[LOAM_PLAN_TARGETS_MAX];
    loam_plan_pin pins[64];
    char names[LOAM_PLAN_TARGETS_MAX][64];
} machine;

/* READ_ON, or the exit status after a complaint. */
int machine_read(machine *m, const texts *devices, const texts *pins);

#endif
