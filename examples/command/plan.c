/* loam plan MODEL, or a model that is only described: will it fit, where does it go, how fast can
 * it be at best. */
#include "bandwidth.h"
#include "command.h"
#include "model.h"
#include "page.h"

#include <loam/plan.h>
#include <string.h>

typedef struct planning {
    common shared;
    const char *places[1];
    uint32_t sequences;
    double params, bpw, bandwidth; /* bandwidth in GB/s; 0: measure it */
    uint32_t layers, kv_heads, head_values;
    uint64_t overhead;
    bool measured;
    const char *html, *sweep; /* the page to write; what bench --sweep-batch measured */
    double gflops;
    loam_plan *plan;
    loam_plan_totals totals;
} planning;

static double bound_tok_s(const planning *p)
{
    return p->totals.token_read_bytes ? p->bandwidth * 1e9 / (double)p->totals.token_read_bytes : 0;
}

/* ---- for programs ---- */

static json_t *json_device(const planning *p, size_t i)
{
    json_t *object = must(json_object());
    loam_plan_device device;

    loam_plan_device_init(&device);
    if (loam_plan_get_device(p->plan, i, &device) != LOAM_OK) return object;
    put(object, "name", json_text(device.name, strlen(device.name)));
    put_count(object, "bytes", device.bytes);
    put_count(object, "limit_bytes", device.limit_bytes);
    put_count(object, "layers", device.layers);
    return object;
}

static json_t *json_area(const planning *p, size_t i)
{
    json_t *object = must(json_object());
    loam_plan_area area;

    loam_plan_area_init(&area);
    if (loam_plan_get_area(p->plan, i, &area) != LOAM_OK) return object;
    put(object, "name", json_text(area.name, strlen(area.name)));
    put_count(object, "device", area.device);
    put_count(object, "bytes", area.bytes);
    return object;
}

static void print_plan_json(const planning *p)
{
    const loam_plan_totals *t = &p->totals;
    json_t *object = must(json_object()), *devices = must(json_array()),
           *areas = must(json_array());

    for (size_t i = 0; i < loam_plan_device_count(p->plan); i++)
        append(devices, json_device(p, i));
    for (size_t i = 0; i < loam_plan_area_count(p->plan); i++)
        append(areas, json_area(p, i));
    put(object, "fits", json_boolean(t->fits));
    put_count(object, "weights_bytes", t->weights_bytes);
    put_count(object, "weights_mapped_bytes", t->weights_mapped_bytes);
    put_count(object, "kv_bytes", t->kv_bytes);
    put_count(object, "overhead_bytes", t->overhead_bytes);
    put_count(object, "total_bytes", t->total_bytes);
    put_count(object, "peak_resident_bytes", t->peak_resident_bytes);
    put_count(object, "limit_bytes", t->limit_bytes);
    put_count(object, "kv_token_bytes", t->kv_token_bytes);
    put_count(object, "token_read_bytes", t->token_read_bytes);
    put(object, "bandwidth_gb_s", json_real(p->bandwidth));
    put(object, "decode_bound_tok_s", p->bandwidth > 0 ? json_real(bound_tok_s(p)) : json_null());
    put(object, "devices", devices);
    put(object, "areas", areas);
    print_json(object);
}

/* ---- for people ---- */

static void print_size(const char *name, uint64_t bytes, const char *remark)
{
    char words[24];
    printf("  %-14s %12s  %s\n", name, size_words(bytes, words), remark);
}

static void print_devices(const planning *p)
{
    char bytes[24], limit[24];

    for (size_t i = 0; i < loam_plan_device_count(p->plan); i++) {
        loam_plan_device device;
        loam_plan_device_init(&device);
        if (loam_plan_get_device(p->plan, i, &device) != LOAM_OK) continue;
        printf("  on %-11s %12s  of %s, %u layers\n", device.name, size_words(device.bytes, bytes),
               size_words(device.limit_bytes, limit), device.layers);
    }
}

static void print_plan(const planning *p)
{
    const loam_plan_totals *t = &p->totals;
    char words[24], remark[64];

    printf("memory plan of %s\n", p->places[0] ? p->places[0] : "the described model");
    snprintf(remark, sizeof remark, "(%s in the mapped file)",
             size_words(t->weights_mapped_bytes, words));
    print_size("weights", t->weights_bytes, t->weights_mapped_bytes ? remark : "");
    snprintf(remark, sizeof remark, "(%s a token)", size_words(t->kv_token_bytes, words));
    print_size("KV cache", t->kv_bytes, remark);
    print_size("overhead", t->overhead_bytes, "(activations, logits, vocabulary, tables)");
    print_size("total", t->total_bytes, t->fits ? "fits" : "does not fit");
    print_size("limit", t->limit_bytes,
               p->shared.memory_limit ? "(--memory-limit)" : "(of the memory available)");
    print_size("peak resident", t->peak_resident_bytes, "(with the whole context in use)");
    print_devices(p);
    if (p->bandwidth > 0)
        printf("  %-14s %6.1f tok/s  at best: %.1f GB/s%s, %s read a token\n", "decode",
               bound_tok_s(p), p->bandwidth, p->measured ? " measured" : "",
               size_words(t->token_read_bytes, words));
}

/* ---- the verb ---- */

static int check(const planning *p)
{
    bool described = p->params > 0 || p->bpw > 0 || p->layers || p->kv_heads || p->head_values;

    if (p->places[0] && described) return misuse("plan", "give a model or its geometry, not both");
    if (!p->places[0] && !described) return misuse("plan", "the model is missing");
    if (described && !(p->params > 0 && p->bpw > 0 && p->layers && p->kv_heads && p->head_values))
        return misuse("plan",
                      "a geometry needs --params, --bpw, --layers, --kv-heads and --head-dim");
    if ((p->sweep || p->gflops > 0) && !p->html)
        return misuse("plan", "--measured and --gflops are for the page of --html");
    return READ_ON;
}

static loam_plan_geometry geometry_of(const planning *p)
{
    loam_plan_geometry geometry;

    loam_plan_geometry_init(&geometry);
    geometry.parameters = p->params;
    geometry.bits_per_weight = p->bpw;
    geometry.layers = p->layers;
    geometry.kv_heads = p->kv_heads;
    geometry.head_values = p->head_values;
    geometry.overhead_bytes = p->overhead;
    return geometry;
}

static loam_status make_plan(planning *p, const loam_options *options)
{
    loam_plan_geometry geometry = geometry_of(p);

    return p->places[0] ? loam_plan_file(p->places[0], options, &p->plan)
                        : loam_plan_describe(&geometry, options, &p->plan);
}

static int write_page(const planning *p, const loam_options *options)
{
    loam_plan_geometry geometry = geometry_of(p);
    page_request r = {
        .model = p->places[0],
        .geometry = p->places[0] ? NULL : &geometry,
        .options = options,
        .totals = &p->totals,
        .bandwidth = p->bandwidth,
        .bandwidth_measured = p->measured,
        .gflops = p->gflops,
        .measured = p->sweep,
    };

    return page_write(&r, p->html);
}

/* A plan that does not fit is an answer, not a failure. */
static int answer(planning *p, const loam_options *options)
{
    loam_status status = make_plan(p, options);

    loam_plan_totals_init(&p->totals);
    if (status == LOAM_OK || status == LOAM_ERR_NOFIT)
        status = loam_plan_get_totals(p->plan, &p->totals);
    if (status != LOAM_OK) return complain("%s", loam_plan_error(p->plan));
    p->measured = !(p->bandwidth > 0);
    if (p->measured) p->bandwidth = bandwidth_measure(p->shared.threads) / 1e9;
    if (p->shared.json) print_plan_json(p);
    else print_plan(p);
    return p->html ? write_page(p, options) : EXIT_DONE;
}

int verb_plan(int argc, char **argv)
{
    planning p = {0};
    const option own[] = {
        {"sequences", OPTION_COUNT, &p.sequences, "N",
         "sequences open at once, each with a whole context (1)"},
        {"bandwidth", OPTION_REAL, &p.bandwidth, "GB/S", "read bandwidth of the memory (measured)"},
    };
    const option page[] = {
        {"html", OPTION_TEXT, &p.html, "FILE", "write a page with the plan's instruments"},
        {"measured", OPTION_TEXT, &p.sweep, "FILE",
         "show what bench --sweep-batch --json printed beside the model's curve"},
        {"gflops", OPTION_REAL, &p.gflops, "GFLOP/S",
         "what the machine multiplies at (the best of --measured)"},
    };
    const option geometry[] = {
        {"params", OPTION_REAL, &p.params, "N", "weights, such as 8e9"},
        {"bpw", OPTION_REAL, &p.bpw, "BITS", "bits a weight, such as 4.5"},
        {"layers", OPTION_COUNT, &p.layers, "N", "layers"},
        {"kv-heads", OPTION_COUNT, &p.kv_heads, "N", "heads of keys and values"},
        {"head-dim", OPTION_COUNT, &p.head_values, "N", "values of a head"},
        {"overhead", OPTION_BYTES, &p.overhead, "BYTES", "memory beside weights and KV cache (0)"},
    };
    const usage u = {
        .synopsis =
            "plan MODEL, or plan --params N --bpw BITS --layers N --kv-heads N --head-dim N",
        .about = "Say what a model will allocate and how fast it can decode at best (EQ OM2.1:\n"
                 "read bandwidth over bytes read a token), from its header or from its\n"
                 "geometry alone.",
        .groups = {{NULL, own, COUNT(own)},
                   {"A page for a browser, in one file", page, COUNT(page)},
                   {"A model that is only described", geometry, COUNT(geometry)}},
        .shared = &p.shared,
        .places = p.places,
        .least_places = 0,
        .most_places = 1,
    };
    loam_options options;
    loam_hooks hooks;
    int status = options_read(&u, argc, argv);

    if (status == READ_ON) status = check(&p);
    if (status == READ_ON) status = model_options(&p.shared, &hooks, &options);
    if (status == READ_ON) {
        options.sequences = p.sequences;
        status = answer(&p, &options);
    }
    loam_plan_free(p.plan);
    return status;
}
