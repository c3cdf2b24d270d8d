/* The search is exact: dynamic programming over (devices used, last device, units placed), where
 * for each such state the best beginning of the last device's run is the least over a window of
 * beginnings that its memory allows, kept in a monotone queue. That is 2^D * D^2 * n steps for D
 * devices and n units.
 *
 * Experts are spilled from the last layer towards the first, and the search is made anew for each
 * number of layers whose experts lie on the host. */
#include "place.h"

#include <math.h>
#include <string.h>

#define SPILLS  16u /* numbers of spilled layers that are tried, at most */
#define NARROW  12  /* halvings when the least excess is looked for */
#define NOTHING (-1)

/* The best way to a state: devices in `used` (a set) have units [0, n), the last of them `last`. */
typedef struct state {
    double seconds;
    uint16_t begin; /* of the last device's run */
    uint8_t before; /* the device before it; LOAM__PLACE_DEVICES: none */
} state;

/* Pinned units between two that are free: which devices the activations pass there. */
typedef struct gap {
    int32_t first, last; /* devices; NOTHING: there is no pinned unit */
    double seconds;      /* of the cuts between the pinned ones */
} gap;

typedef struct search {
    loam__base *base;
    const loam__place_problem *p;
    double stretch;  /* limits are taken times this */
    uint32_t spill;  /* units from here on have their experts on the host */
    int32_t host;    /* NOTHING: none is described */
    uint32_t n;      /* free units */
    uint16_t *unit;  /* [n] which these are */
    gap *gaps;       /* [n + 1] before each of them, and behind the last */
    uint64_t *bytes; /* [n + 1] sums from the first on */
    double *seconds; /* [n_devices][n + 1] the same, of running them all on that device */
    state *states;   /* [2^n_devices][n_devices][n + 1] */
    uint16_t *queue; /* [n + 1] beginnings, the best first */
    double *value;   /* [n + 1] of a beginning */
    uint8_t *before; /* [n + 1] which device goes before it */
    int64_t room[LOAM__PLACE_DEVICES]; /* for free units */
    int32_t twin[LOAM__PLACE_DEVICES]; /* the device before that is just like it; NOTHING: none */
} search;

/* ---- what things cost ---- */

/* Activations, from one device to another. */
static double cut(const search *s, int32_t from, int32_t to)
{
    const loam__place_device *d = s->p->devices;
    return from == to || from < 0 || to < 0 ? 0 : d[from].hop_seconds + d[to].hop_seconds;
}

static bool is_spilled(const search *s, uint32_t unit, int32_t device)
{
    return unit >= s->spill && device != s->host && s->p->units[unit].expert_bytes;
}

static uint64_t bytes_on(const search *s, uint32_t unit)
{
    const loam__place_unit *u = &s->p->units[unit];
    return unit >= s->spill ? u->bytes : u->bytes + u->expert_bytes;
}

static double seconds_on(const search *s, uint32_t unit, int32_t device)
{
    const loam__place_unit *u = &s->p->units[unit];
    double own = s->p->devices[device].byte_seconds;
    if (!is_spilled(s, unit, device))
        return ((double)u->read_bytes + (double)u->expert_read_bytes) * own;
    return (double)u->read_bytes * own +
           (double)u->expert_read_bytes * s->p->devices[s->host].byte_seconds +
           2 * cut(s, device, s->host);
}

/* From device to device over the gap before free unit i; NOTHING: the beginning or the end. */
static double pass(const search *s, uint32_t i, int32_t from, int32_t to)
{
    const gap *g = &s->gaps[i];
    double seconds = g->first == NOTHING
                         ? cut(s, from, to)
                         : cut(s, from, g->first) + g->seconds + cut(s, g->last, to);
    if (to != NOTHING) return seconds;
    return seconds + s->p->devices[g->first == NOTHING ? from : g->last].result_seconds;
}

/* ---- preparing ---- */

static bool allocate(search *s)
{
    size_t n = s->p->n_units + 1, devices = s->p->n_devices;
    s->unit = loam__alloc_array(s->base, n, sizeof *s->unit);
    s->gaps = loam__alloc_array(s->base, n, sizeof *s->gaps);
    s->bytes = loam__alloc_array(s->base, n, sizeof *s->bytes);
    s->seconds = loam__alloc_array(s->base, n * devices, sizeof *s->seconds);
    s->states = loam__alloc_array(s->base, (n * devices) << devices, sizeof *s->states);
    s->queue = loam__alloc_array(s->base, n, sizeof *s->queue);
    s->value = loam__alloc_array(s->base, n, sizeof *s->value);
    s->before = loam__alloc_array(s->base, n, sizeof *s->before);
    return s->unit && s->gaps && s->bytes && s->seconds && s->states && s->queue && s->value &&
           s->before;
}

static void release(search *s)
{
    loam__free(s->base, s->unit);
    loam__free(s->base, s->gaps);
    loam__free(s->base, s->bytes);
    loam__free(s->base, s->seconds);
    loam__free(s->base, s->states);
    loam__free(s->base, s->queue);
    loam__free(s->base, s->value);
    loam__free(s->base, s->before);
}

/* Part the units into free ones and gaps of pinned ones. */
static void part_units(search *s)
{
    s->n = 0;
    s->gaps[0] = (gap){NOTHING, NOTHING, 0};
    for (uint32_t u = 0; u < s->p->n_units; u++) {
        int32_t pin = s->p->units[u].pin;
        gap *g = &s->gaps[s->n];
        if (pin < 0) {
            s->unit[s->n++] = (uint16_t)u;
            s->gaps[s->n] = (gap){NOTHING, NOTHING, 0};
            continue;
        }
        if (g->first == NOTHING) g->first = pin;
        else g->seconds += cut(s, g->last, pin);
        g->last = pin;
    }
}

static bool alike(const loam__place_device *a, const loam__place_device *b)
{
    return a->limit_bytes == b->limit_bytes && a->always_bytes == b->always_bytes &&
           a->fixed_bytes == b->fixed_bytes && a->byte_seconds == b->byte_seconds &&
           a->hop_seconds == b->hop_seconds && a->result_seconds == b->result_seconds &&
           a->host == b->host;
}

static void minus(int64_t *room, uint64_t bytes)
{
    *room = bytes > INT64_MAX || *room < INT64_MIN + (int64_t)bytes ? INT64_MIN
                                                                    : *room - (int64_t)bytes;
}

/* What each device has for free units; false if what must be there is too much already. */
static bool find_room(search *s)
{
    const loam__place_problem *p = s->p;
    uint32_t pinned = 0;
    for (uint32_t d = 0; d < p->n_devices; d++) {
        double room = (double)p->devices[d].limit_bytes * s->stretch;
        s->room[d] = s->stretch == 1 && p->devices[d].limit_bytes <= INT64_MAX
                         ? (int64_t)p->devices[d].limit_bytes
                     : room < 9e18 ? (int64_t)room
                                   : INT64_MAX;
        minus(&s->room[d], p->devices[d].always_bytes);
    }
    for (uint32_t u = 0; u < p->n_units; u++) {
        int32_t pin = p->units[u].pin;
        if (u >= s->spill && s->host >= 0) minus(&s->room[s->host], p->units[u].expert_bytes);
        if (pin < 0) continue;
        minus(&s->room[pin], bytes_on(s, u));
        if (!(pinned >> pin & 1)) minus(&s->room[pin], p->devices[pin].fixed_bytes);
        pinned |= 1u << pin;
    }
    bool enough = true;
    for (uint32_t d = 0; d < p->n_devices; d++) {
        bool must = pinned >> d & 1 || p->devices[d].always_bytes || (int32_t)d == s->host;
        if (must && s->room[d] < 0) enough = false;
        if (!(pinned >> d & 1)) minus(&s->room[d], p->devices[d].fixed_bytes);
    }
    for (uint32_t d = 0; d < p->n_devices; d++) { /* a pinned device is like no other */
        s->twin[d] = NOTHING;
        for (uint32_t e = 0; e < d && !(pinned >> d & 1); e++)
            if (!(pinned >> e & 1) && alike(&p->devices[e], &p->devices[d]))
                s->twin[d] = (int32_t)e;
    }
    return enough;
}

static void sum_units(search *s)
{
    s->bytes[0] = 0;
    for (uint32_t i = 0; i < s->n; i++)
        s->bytes[i + 1] = s->bytes[i] + bytes_on(s, s->unit[i]);
    for (uint32_t d = 0; d < s->p->n_devices; d++) {
        double *sum = s->seconds + (size_t)d * (s->n + 1);
        sum[0] = 0;
        for (uint32_t i = 0; i < s->n; i++)
            sum[i + 1] = sum[i] + seconds_on(s, s->unit[i], (int32_t)d) +
                         (i ? pass(s, i, (int32_t)d, (int32_t)d) : 0);
    }
}

/* ---- searching ---- */

static state *state_at(const search *s, uint32_t used, uint32_t last, uint32_t n)
{
    return &s->states[((size_t)used * s->p->n_devices + last) * (s->n + 1) + n];
}

/* What a run of `device` that begins at free unit `at` builds upon, less what sums before it. */
static void value_beginning(search *s, uint32_t others, uint32_t device, uint32_t at)
{
    const double *sum = s->seconds + (size_t)device * (s->n + 1);
    double best = INFINITY;
    s->before[at] = LOAM__PLACE_DEVICES;
    if (at == 0 && others == 0) best = pass(s, 0, NOTHING, (int32_t)device);
    for (uint32_t d = 0; d < s->p->n_devices && at; d++) {
        if (!(others >> d & 1)) continue;
        double seconds =
            state_at(s, others, d, at)->seconds + pass(s, at, (int32_t)d, (int32_t)device);
        if (seconds >= best) continue;
        best = seconds;
        s->before[at] = (uint8_t)d;
    }
    s->value[at] = best - sum[at] - (at ? pass(s, at, (int32_t)device, (int32_t)device) : 0);
}

static bool has_room(const search *s, uint32_t device, uint32_t begin, uint32_t end)
{
    uint64_t bytes = s->bytes[end] - s->bytes[begin];
    if (begin == 0 && end == s->n) bytes -= s->p->shared_bytes;
    return s->room[device] >= 0 && bytes <= (uint64_t)s->room[device];
}

/* All runs of one device behind those of the others. */
static void run_device(search *s, uint32_t others, uint32_t device)
{
    const double *sum = s->seconds + (size_t)device * (s->n + 1);
    uint32_t head = 0, tail = 0;
    state *out = state_at(s, others | 1u << device, device, 0);
    out[0] = (state){INFINITY, 0, 0};
    for (uint32_t end = 1; end <= s->n; end++) {
        value_beginning(s, others, device, end - 1);
        while (tail > head && s->value[s->queue[tail - 1]] > s->value[end - 1])
            tail--;
        s->queue[tail++] = (uint16_t)(end - 1);
        while (head < tail && s->bytes[end] - s->bytes[s->queue[head]] >
                                  (s->room[device] < 0 ? 0 : (uint64_t)s->room[device]))
            head++;
        uint32_t begin = head < tail && s->room[device] >= 0 ? s->queue[head] : end;
        /* All on one device: what the first and the last share may be what makes it fit. */
        if (end == s->n && others == 0 && has_room(s, device, 0, end)) begin = 0;
        out[end] = (state){INFINITY, 0, 0};
        if (begin == end || !isfinite(s->value[begin])) continue;
        out[end] = (state){s->value[begin] + sum[end], (uint16_t)begin, s->before[begin]};
    }
}

static void run_all(search *s)
{
    for (uint32_t used = 1; used < 1u << s->p->n_devices; used++)
        for (uint32_t d = 0; d < s->p->n_devices; d++) {
            if (!(used >> d & 1)) continue;
            /* Of devices that are alike, the first goes first. */
            if (s->twin[d] != NOTHING && !(used >> s->twin[d] & 1)) {
                for (uint32_t n = 0; n <= s->n; n++)
                    *state_at(s, used, d, n) = (state){INFINITY, 0, 0};
                continue;
            }
            run_device(s, used & ~(1u << d), d);
        }
}

static bool read_back(const search *s, loam__placement *out)
{
    double best = INFINITY;
    uint32_t used = 0, last = 0;
    for (uint32_t u = 0; u < s->p->n_units; u++)
        if (s->p->units[u].pin >= 0) out->device[u] = (uint8_t)s->p->units[u].pin;
    if (s->n == 0) return true;
    for (uint32_t set = 1; set < 1u << s->p->n_devices; set++)
        for (uint32_t d = 0; d < s->p->n_devices; d++) {
            if (!(set >> d & 1)) continue;
            double seconds =
                state_at(s, set, d, s->n)->seconds + pass(s, s->n, (int32_t)d, NOTHING);
            if (seconds >= best) continue;
            best = seconds;
            used = set;
            last = d;
        }
    if (!isfinite(best)) return false;
    for (uint32_t end = s->n; end;) {
        const state *at = state_at(s, used, last, end);
        for (uint32_t i = at->begin; i < end; i++)
            out->device[s->unit[i]] = (uint8_t)last;
        used &= ~(1u << last);
        last = at->before;
        end = at->begin;
    }
    return true;
}

/* Add up what an assignment takes, device by device. */
static void add_up(const search *s, loam__placement *out)
{
    const loam__place_problem *p = s->p;
    uint32_t used = 0;
    for (uint32_t d = 0; d < p->n_devices; d++) {
        out->bytes[d] = p->devices[d].always_bytes;
        out->device_seconds[d] = 0;
    }
    out->seconds = 0;
    for (uint32_t u = 0; u < p->n_units; u++) {
        const loam__place_unit *unit = &p->units[u];
        uint32_t d = out->device[u];
        bool spilled = is_spilled(s, u, (int32_t)d);
        out->experts_on_host[u] = spilled;
        out->bytes[d] += unit->bytes + (spilled ? 0 : unit->expert_bytes);
        out->device_seconds[d] += (double)unit->read_bytes * p->devices[d].byte_seconds;
        uint32_t with = spilled ? (uint32_t)s->host : d;
        if (spilled) out->bytes[with] += unit->expert_bytes;
        out->device_seconds[with] +=
            (double)unit->expert_read_bytes * p->devices[with].byte_seconds;
        out->seconds += seconds_on(s, u, (int32_t)d);
        if (u) out->seconds += cut(s, out->device[u - 1], (int32_t)d);
        if (!(used >> d & 1)) out->bytes[d] += p->devices[d].fixed_bytes;
        used |= 1u << d;
    }
    uint32_t last = out->device[p->n_units - 1];
    if (p->n_units > 1 && out->device[0] == last) out->bytes[last] -= p->shared_bytes;
    out->seconds += p->devices[last].result_seconds;
    out->first_spilled = s->spill;
}

/* The best placement with that many spilled units, if there is one. */
static bool try_spill(search *s, uint32_t spill, loam__placement *out)
{
    s->spill = spill;
    part_units(s);
    if (!find_room(s)) return false;
    sum_units(s);
    run_all(s);
    if (!read_back(s, out)) return false;
    add_up(s, out);
    return true;
}

static bool try_stretch(search *s, double stretch, loam__placement *best, loam__placement *other)
{
    const loam__place_problem *p = s->p;
    uint32_t first = p->n_units;
    bool found;
    for (uint32_t u = p->n_units; u-- > 0;)
        if (p->units[u].expert_bytes) first = u;
    uint32_t step = (p->n_units - first) / SPILLS + 1;
    s->stretch = stretch;
    found = try_spill(s, p->n_units, best);
    for (uint32_t spill = p->n_units; s->host >= 0 && spill > first;) {
        spill = spill > first + step ? spill - step : first;
        if (!try_spill(s, spill, other)) continue;
        if (!found || other->seconds < best->seconds) *best = *other;
        found = true;
    }
    return found;
}

/* No placement fits: the least excess, by doubling and halving. */
static void least_excess(search *s, loam__placement *best, loam__placement *other)
{
    double low = 1, high = 2;
    while (high < 1e19 && !try_stretch(s, high, best, other)) {
        low = high;
        high *= 2;
    }
    for (int i = 0; i < NARROW; i++) {
        double middle = low + (high - low) / 2;
        if (try_stretch(s, middle, best, other)) high = middle;
        else low = middle;
    }
    if (!try_stretch(s, high, best, other)) memset(best, 0, sizeof *best);
    best->fits = false;
}

static int32_t find_host(const loam__place_problem *p)
{
    for (uint32_t d = 0; d < p->n_devices; d++)
        if (p->devices[d].host) return (int32_t)d;
    return NOTHING;
}

loam_status loam__place(loam__base *b, const loam__place_problem *problem, bool excess,
                        loam__placement *best)
{
    search s = {.base = b, .p = problem, .host = find_host(problem)};
    loam__placement *other = loam__alloc(b, sizeof *other);
    loam_status st = LOAM_ERR_NOMEM;
    memset(best, 0, sizeof *best);
    if (other && allocate(&s)) {
        st = LOAM_OK;
        best->fits = try_stretch(&s, 1, best, other);
        if (!best->fits && excess) least_excess(&s, best, other);
    }
    release(&s);
    loam__free(b, other);
    return st;
}

void loam__place_measure(const loam__place_problem *problem, loam__placement *placement)
{
    search s = {.p = problem, .spill = placement->first_spilled, .host = find_host(problem)};
    add_up(&s, placement);
}
