/* Placement: which device gets which layers, so that a token takes the least time and every device
 * keeps to its limit. A pure function of two arrays: devices in, units in, an assignment out.
 *
 * A unit is what is never cut: the embedding (the first), each layer, the output (the last). Units
 * keep their order, and each device takes one run of those that are not pinned, so that activations
 * cross between devices as seldom as possible.
 *
 *   time of a token = sum over the units of bytes read / bandwidth of their device     EQ OM2.1
 *                   + for every cut the transfers from the one device to the host and on to the
 * other
 *                   + the transfer of the logits to the host */
#ifndef LOAM__PLACE_H
#define LOAM__PLACE_H

#include "lib/base/base.h"

#define LOAM__PLACE_DEVICES 9u /* eight and the host */
#define LOAM__PLACE_UNITS   1026u

typedef struct loam__place_device {
    uint64_t limit_bytes;
    uint64_t always_bytes; /* taken in any case */
    uint64_t fixed_bytes;  /* taken as soon as it has a unit */
    double byte_seconds;   /* to read one */
    double hop_seconds;    /* activations of a token to the host or from it; 0 for the host */
    double result_seconds; /* logits to the host; 0 for the host */
    bool host;
} loam__place_device;

typedef struct loam__place_unit {
    uint64_t bytes;      /* that it takes of a device: weights and KV */
    uint64_t read_bytes; /* of these, what a token reads */
    /* Experts come beside those, and may lie on the host while the rest is elsewhere. */
    uint64_t expert_bytes, expert_read_bytes;
    int32_t pin; /* its device; -1: any. Neither the first nor the last, where they share bytes */
} loam__place_unit;

typedef struct loam__place_problem {
    const loam__place_device *devices;
    const loam__place_unit *units;
    uint32_t n_devices, n_units;
    uint64_t shared_bytes; /* of the first and the last unit, held once where one device has both */
} loam__place_problem;

typedef struct loam__placement {
    double seconds;                             /* of a token */
    double device_seconds[LOAM__PLACE_DEVICES]; /* of these, what the device reads */
    uint64_t bytes[LOAM__PLACE_DEVICES];
    uint8_t device[LOAM__PLACE_UNITS];
    bool experts_on_host[LOAM__PLACE_UNITS]; /* while the unit's device is another one */
    uint32_t first_spilled;                  /* units from here on have their experts on the host */
    bool fits;
} loam__placement;

/* The placement with the least time of all that fit. When none fits, fits is false, and where
 * excess is asked for it is the one whose fullest device is the least beyond its limit. Errors:
 * LOAM_ERR_NOMEM. */
loam_status loam__place(loam__base *b, const loam__place_problem *problem, bool excess,
                        loam__placement *best);
/* Add the bytes and seconds of an assignment up anew, for the problem with other numbers. */
void loam__place_measure(const loam__place_problem *problem, loam__placement *placement);

#endif
