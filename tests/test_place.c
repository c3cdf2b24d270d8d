/* Placement against a search through all assignments. */
#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <math.h>

#include "lib/plan/place.h"

#define UNITS   6u
#define DEVICES 3u

static uint32_t random_below(uint64_t *seed, uint32_t n)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 33) % n);
}

typedef struct trial {
    loam__place_device devices[DEVICES];
    loam__place_unit units[UNITS];
    loam__place_problem problem;
} trial;

static trial make_trial(uint64_t *seed, bool pins, bool experts)
{
    trial t = {0};
    uint32_t n = 2 + random_below(seed, UNITS - 1), d = 1 + random_below(seed, DEVICES);
    uint32_t host = random_below(seed, d + 1); /* d: none */
    for (uint32_t i = 0; i < d; i++) {
        loam__place_device *device = &t.devices[i];
        device->limit_bytes = 20 + random_below(seed, 120);
        device->fixed_bytes = random_below(seed, 2) * random_below(seed, 20);
        device->byte_seconds = 1.0 / (1 + random_below(seed, 5));
        device->host = i == host;
        if (device->host) device->always_bytes = random_below(seed, 30);
        else device->hop_seconds = random_below(seed, 8);
        if (!device->host) device->result_seconds = random_below(seed, 8);
        if (i && random_below(seed, 4) == 0 && !device->host && i - 1 != host)
            *device = t.devices[i - 1];
    }
    for (uint32_t i = 0; i < n; i++) {
        loam__place_unit *u = &t.units[i];
        bool layer = i > 0 && i + 1 < n;
        u->bytes = random_below(seed, 40);
        u->read_bytes = random_below(seed, (uint32_t)u->bytes + 1);
        u->pin = pins && layer && random_below(seed, 3) == 0 ? (int32_t)random_below(seed, d) : -1;
        if (experts && layer) u->expert_bytes = random_below(seed, 40);
        u->expert_read_bytes = u->expert_bytes / 4;
    }
    t.problem = (loam__place_problem){.n_devices = d, .n_units = n};
    uint64_t ends =
        t.units[0].bytes < t.units[n - 1].bytes ? t.units[0].bytes : t.units[n - 1].bytes;
    if (random_below(seed, 2)) t.problem.shared_bytes = ends;
    return t;
}

static int host_of(const trial *t)
{
    for (uint32_t d = 0; d < t->problem.n_devices; d++)
        if (t->devices[d].host) return (int)d;
    return -1;
}

/* Pins are honoured, and no device has two runs of the other units. */
static bool is_legal(const trial *t, const uint8_t *device)
{
    uint32_t left = 0;
    int last = -1;
    for (uint32_t u = 0; u < t->problem.n_units; u++) {
        int pin = t->units[u].pin;
        if (pin >= 0 && device[u] != pin) return false;
        if (pin >= 0 || device[u] == last) continue;
        if (left >> device[u] & 1) return false;
        left |= 1u << device[u];
        last = device[u];
    }
    return true;
}

typedef struct cost {
    double seconds, fullest; /* of the limit */
    uint64_t bytes[DEVICES];
} cost;

static cost cost_of(const trial *t, const uint8_t *device, uint32_t spill)
{
    cost c = {0};
    int host = host_of(t);
    uint32_t n = t->problem.n_units, used = 0;
    for (uint32_t u = 0; u < n; u++) {
        const loam__place_unit *unit = &t->units[u];
        const loam__place_device *d = &t->devices[device[u]];
        const loam__place_device *e = u >= spill ? &t->devices[host] : d;
        c.seconds += (double)unit->read_bytes * d->byte_seconds;
        c.seconds += (double)unit->expert_read_bytes * e->byte_seconds;
        if (e != d && unit->expert_bytes) c.seconds += 2 * (d->hop_seconds + e->hop_seconds);
        if (u && device[u] != device[u - 1])
            c.seconds += d->hop_seconds + t->devices[device[u - 1]].hop_seconds;
        c.bytes[device[u]] += unit->bytes;
        c.bytes[e - t->devices] += unit->expert_bytes;
        used |= 1u << device[u];
    }
    c.seconds += t->devices[device[n - 1]].result_seconds;
    if (device[0] == device[n - 1]) c.bytes[device[0]] -= t->problem.shared_bytes;
    for (uint32_t d = 0; d < t->problem.n_devices; d++) {
        c.bytes[d] += t->devices[d].always_bytes;
        if (used >> d & 1) c.bytes[d] += t->devices[d].fixed_bytes;
        double full = (double)c.bytes[d] / (double)t->devices[d].limit_bytes;
        if (full > c.fullest) c.fullest = full;
    }
    return c;
}

/* The least time of all that fit (infinite: none does), and the least fullest device of all. */
static cost brute_force(const trial *t)
{
    cost best = {.seconds = INFINITY, .fullest = INFINITY};
    uint32_t n = t->problem.n_units, d = t->problem.n_devices, all = 1;
    for (uint32_t u = 0; u < n; u++)
        all *= d;
    for (uint32_t i = 0; i < all; i++) {
        uint8_t device[UNITS];
        for (uint32_t u = 0, rest = i; u < n; u++, rest /= d)
            device[u] = (uint8_t)(rest % d);
        if (!is_legal(t, device)) continue;
        for (uint32_t spill = host_of(t) < 0 ? n : 0; spill <= n; spill++) {
            cost c = cost_of(t, device, spill);
            if (c.fullest <= 1 && c.seconds < best.seconds) best.seconds = c.seconds;
            if (c.fullest < best.fullest) best.fullest = c.fullest;
        }
    }
    return best;
}

static void check_trial(trial *t)
{
    loam__base b;
    loam__placement p;
    loam__base_init(&b, NULL);
    t->problem.devices = t->devices;
    t->problem.units = t->units;
    cost best = brute_force(t);
    assert_int_equal(loam__place(&b, &t->problem, true, &p), LOAM_OK);
    assert_true(is_legal(t, p.device));
    cost got = cost_of(t, p.device, p.first_spilled);
    assert_true(fabs(p.seconds - got.seconds) <= 1e-9 * (1 + got.seconds));
    for (uint32_t d = 0; d < t->problem.n_devices; d++)
        assert_int_equal(p.bytes[d], got.bytes[d]);
    assert_int_equal(p.fits, isfinite(best.seconds));
    if (p.fits) assert_true(got.fullest <= 1);
    if (p.fits) assert_true(fabs(got.seconds - best.seconds) <= 1e-9 * (1 + best.seconds));
    else assert_true(got.fullest <= best.fullest * 1.001 + 1e-9);
    loam__place_measure(&t->problem, &p);
    assert_true(fabs(p.seconds - got.seconds) <= 1e-9 * (1 + got.seconds));
}

static void check_trials(uint64_t seed, bool pins, bool experts)
{
    uint32_t fit = 0, n = 3000;
    for (uint32_t i = 0; i < n; i++) {
        trial t = make_trial(&seed, pins, experts);
        check_trial(&t);
        fit += isfinite(brute_force(&t).seconds);
    }
    assert_in_range(fit, n / 20, n - n / 20); /* the trials are of both kinds */
}

static void test_place__is_the_best_of_all_assignments(void **state)
{
    (void)state;
    check_trials(1, false, false);
}

static void test_place__is_the_best_that_honours_the_pins(void **state)
{
    (void)state;
    check_trials(2, true, false);
}

static void test_place__is_the_best_with_experts_on_the_host(void **state)
{
    (void)state;
    check_trials(3, false, true);
    check_trials(4, true, true);
}

/* The largest problem that there is: nine devices, none like another, 1024 layers. */
static void test_place__takes_the_largest_problem(void **state)
{
    static loam__place_unit units[LOAM__PLACE_UNITS];
    loam__place_device devices[LOAM__PLACE_DEVICES] = {{0}};
    loam__placement p;
    loam__base b;
    uint32_t n[LOAM__PLACE_DEVICES] = {0};
    (void)state;
    loam__base_init(&b, NULL);
    for (uint32_t u = 0; u < LOAM__PLACE_UNITS; u++)
        units[u] = (loam__place_unit){.bytes = 10, .read_bytes = 10, .pin = -1};
    for (uint32_t d = 0; d < LOAM__PLACE_DEVICES; d++)
        devices[d] =
            (loam__place_device){.limit_bytes = 1150 + d, .byte_seconds = 1 + d, .hop_seconds = 1};
    const loam__place_problem problem = {devices, units, LOAM__PLACE_DEVICES, LOAM__PLACE_UNITS, 0};
    assert_int_equal(loam__place(&b, &problem, true, &p), LOAM_OK);
    assert_true(p.fits);
    for (uint32_t u = 0; u < LOAM__PLACE_UNITS; u++)
        n[p.device[u]]++;
    for (uint32_t d = 0; d + 1 < LOAM__PLACE_DEVICES; d++)
        assert_int_equal(n[d], 115); /* the slowest has what is left */
    assert_int_equal(n[8], 1026 - 8 * 115);
}

static void test_place__survives_every_failed_allocation(void **state)
{
    uint64_t seed = 5;
    trial t = make_trial(&seed, true, true);
    loam_status st = LOAM_ERR_NOMEM;
    size_t n = 0;
    (void)state;
    t.problem.devices = t.devices;
    t.problem.units = t.units;
    while (st == LOAM_ERR_NOMEM) {
        fault_heap heap = {.fail_at = ++n};
        loam_hooks hooks;
        loam__placement p;
        loam__base b;
        loam_hooks_init(&hooks);
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = &heap;
        loam__base_init(&b, &hooks);
        st = loam__place(&b, &t.problem, true, &p);
        assert_true(st == LOAM_OK || st == LOAM_ERR_NOMEM);
        assert_int_equal(heap.live_bytes, 0);
    }
    assert_true(n > 8);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_place__is_the_best_of_all_assignments),
    cmocka_unit_test(test_place__is_the_best_that_honours_the_pins),
    cmocka_unit_test(test_place__is_the_best_with_experts_on_the_host),
    cmocka_unit_test(test_place__takes_the_largest_problem),
    cmocka_unit_test(test_place__survives_every_failed_allocation),
};

RUN(tests)
