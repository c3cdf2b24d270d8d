#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plan.h"

#define FASTEST 1e18 /* bytes a second; a limit for sane numbers */
#define SLOWEST 1e3  /* seconds */

static bool is_speed(double bytes_s)
{
    return bytes_s > 0 && bytes_s <= FASTEST;
}

static loam_status read_target(loam__base *b, const loam_plan_target *given, uint32_t i,
                               uint64_t available_bytes, loam__plan_target *out)
{
    loam_plan_target t;
    if (!given) return loam__fail(b, LOAM_ERR_ARG, "machine.targets[%u] is NULL", i);
    loam_status st =
        loam__options_read(&t, sizeof t, LOAM__UP_TO(loam_plan_target, reserved), given);
    if (st != LOAM_OK)
        return loam__fail(b, st,
                          "machine.targets[%u]: struct_size or a field is not of this version", i);
    if (t.name) snprintf(out->name, sizeof out->name, "%s", t.name);
    else snprintf(out->name, sizeof out->name, "%s%u", t.is_host ? "host" : "device", i);
    out->host = t.is_host != 0;
    out->memory_bytes = t.memory_bytes ? t.memory_bytes : out->host ? available_bytes : 0;
    out->bandwidth_bytes_s = t.bandwidth_bytes_s;
    out->link_bytes_s = t.link_bytes_s == 0 ? LOAM__LINK_BYTES_S : t.link_bytes_s;
    out->link_seconds = t.link_seconds == 0 ? LOAM__LINK_SECONDS : t.link_seconds;
    if (!out->memory_bytes)
        return loam__fail(b, LOAM_ERR_ARG, "the memory of the target %s is not given", out->name);
    if (!is_speed(out->bandwidth_bytes_s) || !is_speed(out->link_bytes_s) ||
        !(out->link_seconds > 0) || !(out->link_seconds <= SLOWEST))
        return loam__fail(
            b, LOAM_ERR_ARG,
            "the target %s has a bandwidth of %g bytes/s and a link of %g bytes/s and "
            "%g s; speeds must be above 0 and up to %g, times up to %g",
            out->name, t.bandwidth_bytes_s, t.link_bytes_s, t.link_seconds, FASTEST, SLOWEST);
    return LOAM_OK;
}

static loam_status read_pin(loam__base *b, const loam_plan_pin *pin, loam__plan_machine *out)
{
    if (pin->target >= out->n)
        return loam__fail(b, LOAM_ERR_ARG, "a pin names target %u; the machine has %u", pin->target,
                          out->n);
    if (pin->first_layer > pin->last_layer || pin->last_layer >= LOAM__LAYERS_MAX || pin->reserved)
        return loam__fail(
            b, LOAM_ERR_ARG,
            "a pin of layers %u to %u makes no sense; the first comes first, and there "
            "are at most %u",
            pin->first_layer, pin->last_layer, LOAM__LAYERS_MAX);
    for (uint32_t i = pin->first_layer; i <= pin->last_layer; i++) {
        if (out->pins[i] >= 0 && out->pins[i] != (int8_t)pin->target)
            return loam__fail(b, LOAM_ERR_ARG, "layer %u is pinned to both %s and %s", i,
                              out->targets[out->pins[i]].name, out->targets[pin->target].name);
        out->pins[i] = (int8_t)pin->target;
    }
    if (pin->last_layer >= out->n_pinned) out->n_pinned = pin->last_layer + 1;
    return LOAM_OK;
}

loam_status loam__plan_machine_read(loam__base *b, const loam_plan_machine *machine,
                                    uint64_t available_bytes, loam__plan_machine *out)
{
    loam_plan_machine m;
    uint32_t hosts = 0;
    loam_status st =
        loam__options_read(&m, sizeof m, LOAM__UP_TO(loam_plan_machine, pins), machine);
    *out = (loam__plan_machine){.n = m.n_targets, .fill = m.fill == 0 ? LOAM__PLAN_FILL : m.fill};
    memset(out->pins, -1, sizeof out->pins);
    if (st != LOAM_OK)
        return loam__fail(b, st, "machine: struct_size or a field is not of this version");
    if (!(out->fill > 0) || !(out->fill <= 1))
        return loam__fail(b, LOAM_ERR_ARG, "machine.fill is %g; it must be above 0 and up to 1",
                          m.fill);
    if (m.n_targets > LOAM_PLAN_TARGETS_MAX)
        return loam__fail(b, LOAM_ERR_ARG, "the machine has %u targets; at most %u", m.n_targets,
                          LOAM_PLAN_TARGETS_MAX);
    if ((m.n_targets && !m.targets) || (m.n_pins && !m.pins) || m.reserved)
        return loam__fail(b, LOAM_ERR_ARG, "machine.targets or pins is NULL, or reserved is set");
    for (uint32_t i = 0; i < m.n_targets; i++) {
        st = read_target(b, m.targets[i], i, available_bytes, &out->targets[i]);
        if (st != LOAM_OK) return st;
        hosts += out->targets[i].host;
    }
    if (hosts > 1)
        return loam__fail(b, LOAM_ERR_ARG, "%u targets are the host; at most one", hosts);
    for (uint32_t i = 0; i < m.n_pins && st == LOAM_OK; i++)
        st = read_pin(b, &m.pins[i], out);
    return st;
}

static double transfer_seconds(const loam__plan_target *t, uint64_t bytes)
{
    return t->host ? 0 : t->link_seconds + (double)bytes / t->link_bytes_s;
}

loam__place_problem loam__plan_problem(const loam__plan_machine *m, const loam__plan_costs *c,
                                       loam__place_unit *units, loam__place_device *devices)
{
    for (uint32_t i = 0; i < m->n; i++) {
        const loam__plan_target *t = &m->targets[i];
        devices[i] = (loam__place_device){
            .limit_bytes = (uint64_t)((double)t->memory_bytes * m->fill),
            .always_bytes = t->host ? c->host_bytes : 0,
            .fixed_bytes = loam__plan_plus(c->device_bytes, m->n > 1 ? c->staging_bytes : 0),
            .byte_seconds = 1 / t->bandwidth_bytes_s,
            .hop_seconds = transfer_seconds(t, c->cut_bytes),
            .result_seconds = transfer_seconds(t, c->result_bytes),
            .host = t->host,
        };
    }
    for (uint32_t i = 0; i < c->n; i++) {
        const loam__plan_unit *u = &c->units[i];
        bool layer = i > 0 && i + 1 < c->n;
        units[i] = (loam__place_unit){
            .bytes = u->weights_bytes + u->kv_bytes + (i + 1 == c->n ? c->logits_bytes : 0),
            .read_bytes = u->weights_read_bytes + u->kv_read_bytes,
            .expert_bytes = u->expert_bytes,
            .expert_read_bytes = u->expert_read_bytes,
            .pin = layer ? m->pins[i - 1] : -1,
        };
    }
    return (loam__place_problem){devices, units, m->n, c->n, c->tied_bytes};
}
