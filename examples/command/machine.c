#include "machine.h"
#include "command.h"
#include "options.h"

#include <string.h>

static bool is_value(option_kind kind, const char *given, void *value)
{
    const option o = {.kind = kind, .value = value};
    return option_value(&o, given);
}

/* NAME:MEMORY:GB/S, with :GB/S of the link behind. */
static bool read_device(const char *given, loam_plan_target *target, char name[64])
{
    const char *fields[4] = {given, NULL, NULL, NULL};
    char memory[32], speed[32];
    double link = 0;
    size_t n = 1, length;

    for (const char *p = given; n < 4 && (p = strchr(p, ':')); n++)
        fields[n] = ++p;
    if (n < 3) return false;
    length = (size_t)(fields[1] - given - 1);
    if (length == 0 || length > 63) return false;
    memcpy(name, given, length);
    name[length] = 0;
    snprintf(memory, sizeof memory, "%.*s", (int)(fields[2] - fields[1] - 1), fields[1]);
    length = fields[3] ? (size_t)(fields[3] - fields[2] - 1) : strlen(fields[2]);
    snprintf(speed, sizeof speed, "%.*s", (int)(length < 31 ? length : 31), fields[2]);
    loam_plan_target_init(target);
    target->name = name;
    target->is_host = strcmp(name, "host") == 0 || strcmp(name, "cpu") == 0;
    if (!is_value(OPTION_BYTES, memory, &target->memory_bytes) ||
        !is_value(OPTION_REAL, speed, &target->bandwidth_bytes_s) ||
        (fields[3] && !is_value(OPTION_REAL, fields[3], &link)))
        return false;
    target->bandwidth_bytes_s *= 1e9;
    target->link_bytes_s = link * 1e9;
    return true;
}

/* LAYER=DEVICE or FIRST-LAST=DEVICE; a device by its name. */
static bool read_pin(const machine *m, const char *given, loam_plan_pin *pin)
{
    const char *name = strchr(given, '='), *dash = strchr(given, '-');
    char first[16], last[16];

    if (!name) return false;
    if (dash > name) dash = NULL;
    snprintf(first, sizeof first, "%.*s", (int)((dash ? dash : name) - given), given);
    snprintf(last, sizeof last, "%.*s", (int)(dash ? name - dash - 1 : name - given),
             dash ? dash + 1 : given);
    *pin = (loam_plan_pin){0};
    if (!is_value(OPTION_COUNT, first, &pin->first_layer) ||
        !is_value(OPTION_COUNT, last, &pin->last_layer))
        return false;
    for (uint32_t i = 0; i < m->machine.n_targets; i++, pin->target++)
        if (strcmp(m->names[i], name + 1) == 0) return true;
    return false;
}

static bool is_twice(const machine *m, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++)
        if (strcmp(m->names[j], m->names[i]) == 0) return true;
    return false;
}

int machine_read(machine *m, const texts *devices, const texts *pins)
{
    loam_plan_machine_init(&m->machine);
    m->machine.targets = m->pointers;
    m->machine.pins = m->pins;
    if (devices->n > COUNT(m->targets)) return misuse("plan", "at most 9 devices can be given");
    if (pins->n > COUNT(m->pins)) return misuse("plan", "at most 64 pins can be given");
    for (; m->machine.n_targets < devices->n; m->machine.n_targets++) {
        uint32_t i = m->machine.n_targets;
        m->pointers[i] = &m->targets[i];
        if (!read_device(devices->p[i], &m->targets[i], m->names[i]))
            return misuse("plan", "--device takes NAME:MEMORY:GB/S or NAME:MEMORY:GB/S:LINK-GB/S, "
                                  "such as gpu:24G:900");
    }
    for (uint32_t i = 0; i < m->machine.n_targets; i++)
        if (is_twice(m, i)) return misuse("plan", "two devices have one name");
    for (; m->machine.n_pins < pins->n; m->machine.n_pins++)
        if (!read_pin(m, pins->p[m->machine.n_pins], &m->pins[m->machine.n_pins]))
            return misuse("plan", "--pin takes LAYER=DEVICE or FIRST-LAST=DEVICE, with a device "
                                  "that --device names");
    return READ_ON;
}
