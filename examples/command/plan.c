/* loam plan MODEL, or a model that is only described: will it fit, where does it go, how fast can
 * it be at best. */
#include "command.h"
#include "machine.h"
#include "model.h"
#include "page.h"
#include "placement.h"
#include "roofs.h"

#include <loam/plan.h>
#include <math.h>
#include <string.h>

typedef struct planning {
    common shared;
    const char *places[1];
    uint32_t sequences;
    double params, bpw, bandwidth; /* bandwidth in GB/s; 0: measure it */
    double fill;
    const char *format;
    uint32_t layers, kv_heads, head_values, vocabulary, embedding, experts, experts_used;
    double expert_params;
    uint64_t overhead, kv_bytes, kv_tokens;
    uint32_t at, mean;   /* tokens; 0: the planned context */
    texts devices, pins; /* as they were given */
    bool measured;
    const char *html, *sweep; /* the page to write; what bench --sweep-batch measured */
    double gflops;
    loam_plan *plan;
    loam_plan_totals totals;
    loam_plan_bound bound;
} planning;

/* ---- for programs ---- */

static json_t *json_runs(const planning *p, size_t device)
{
    json_t *runs = must(json_array());

    for (uint32_t first = 0, last; placement_run(p->plan, device, &first, &last);
         first = last + 1) {
        json_t *run = must(json_array());
        append(run, json_integer(first));
        append(run, json_integer(last));
        append(runs, run);
    }
    return runs;
}

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
    put(object, "layer_runs", json_runs(p, i));
    put(object, "embedding", json_boolean(device.flags & LOAM_PLAN_EMBEDDING));
    put(object, "output", json_boolean(device.flags & LOAM_PLAN_OUTPUT));
    put(object, "experts", json_boolean(device.flags & LOAM_PLAN_EXPERTS));
    put(object, "token_seconds",
        device.token_seconds > 0 ? json_real(device.token_seconds) : json_null());
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

static const char *kind_of(const loam_plan_change *change)
{
    static const char *const names[] = {
        [LOAM_CHANGE_SEQUENCES] = "sequences", [LOAM_CHANGE_KV_TOKENS] = "kv_tokens",
        [LOAM_CHANGE_KV_TYPE] = "kv_type",     [LOAM_CHANGE_CONTEXT] = "context_tokens",
        [LOAM_CHANGE_FORMAT] = "format",       [LOAM_CHANGE_LAYERS] = "layers",
        [LOAM_CHANGE_LIMIT] = "limit_bytes",
    };
    return names[change->kind];
}

static json_t *json_change(const planning *p, size_t i)
{
    json_t *object = must(json_object());
    loam_plan_change change;
    bool local;

    loam_plan_change_init(&change);
    if (loam_plan_get_change(p->plan, i, &change) != LOAM_OK) return object;
    local = change.kind == LOAM_CHANGE_LAYERS || change.kind == LOAM_CHANGE_LIMIT;
    put(object, "kind", must(json_string(kind_of(&change))));
    if (change.kind == LOAM_CHANGE_FORMAT) put(object, "bpw", json_real(change.value));
    else if (local || !change.name) put_count(object, "value", (uint64_t)change.value);
    if (change.name) put(object, "name", json_text(change.name, strlen(change.name)));
    if (local) put_count(object, "device", change.device);
    put_count(object, "total_bytes", change.total_bytes);
    put_count(object, "choice", change.choice);
    return object;
}

/* The row of the table that is nearest, or the one that was asked for. */
static bool quality_of(const planning *p, loam_quality *quality)
{
    double nearest = 1e9;
    size_t best = 0;

    loam_quality_init(quality);
    if (p->format) return loam_quality_find(p->format, quality) == LOAM_OK;
    for (size_t i = 0; i < loam_quality_count(); i++) {
        double away;
        if (loam_quality_get(i, quality) != LOAM_OK) return false;
        away = fabs(quality->bits_per_weight - p->totals.bits_per_weight);
        if (away >= nearest) continue;
        nearest = away;
        best = i;
    }
    return loam_quality_get(best, quality) == LOAM_OK;
}

static json_t *json_quality(const planning *p)
{
    json_t *object = must(json_object());
    double percent = loam_quality_at(p->totals.bits_per_weight);
    loam_quality quality;

    if (!quality_of(p, &quality)) return object;
    if (p->format) percent = quality.perplexity_percent;
    put(object, p->format ? "format" : "nearest_format", must(json_string(quality.name)));
    put(object, "perplexity_increase_percent", json_real(percent));
    return object;
}

static void put_bound(json_t *object, const planning *p)
{
    bool known = p->bound.tok_s > 0;

    put(object, "bandwidth_gb_s", p->bandwidth > 0 ? json_real(p->bandwidth) : json_null());
    put_count(object, "token_read_bytes", p->bound.weights_bytes + p->bound.kv_bytes);
    put_count(object, "token_read_weights_bytes", p->bound.weights_bytes);
    put_count(object, "token_read_kv_bytes", p->bound.kv_bytes);
    put_count(object, "at_tokens", p->bound.context_tokens);
    put(object, "token_seconds", known ? json_real(p->bound.token_seconds) : json_null());
    put(object, "decode_bound_tok_s", known ? json_real(p->bound.tok_s) : json_null());
}

static void put_kv(json_t *object, const planning *p)
{
    const loam_plan_totals *t = &p->totals;
    uint32_t sequences = 0;

    put_count(object, "context_tokens", t->context_tokens);
    put_count(object, "sequences", t->sequences);
    put_count(object, "kv_token_bytes", t->kv_token_bytes);
    put_count(object, "block_tokens", t->block_tokens);
    put_count(object, "blocks_per_sequence", t->blocks_per_sequence);
    if (t->kv_token_bytes && loam_plan_sequences_fit(p->plan, p->mean, &sequences) == LOAM_OK)
        put_count(object, "sequences_fit", sequences);
    else put(object, "sequences_fit", json_null());
}

static void print_plan_json(const planning *p)
{
    const loam_plan_totals *t = &p->totals;
    json_t *object = must(json_object()), *devices = must(json_array()),
           *areas = must(json_array()), *changes = must(json_array());

    for (size_t i = 0; i < loam_plan_device_count(p->plan); i++)
        append(devices, json_device(p, i));
    for (size_t i = 0; i < loam_plan_area_count(p->plan); i++)
        append(areas, json_area(p, i));
    for (size_t i = 0; i < loam_plan_change_count(p->plan); i++)
        append(changes, json_change(p, i));
    put(object, "fits", json_boolean(t->fits));
    put_count(object, "weights_bytes", t->weights_bytes);
    put_count(object, "weights_mapped_bytes", t->weights_mapped_bytes);
    put(object, "weights_bpw", json_real(t->bits_per_weight));
    put_count(object, "kv_bytes", t->kv_bytes);
    put_count(object, "overhead_bytes", t->overhead_bytes);
    put_count(object, "total_bytes", t->total_bytes);
    put_count(object, "shared_bytes", t->shared_bytes);
    put_count(object, "private_bytes", t->private_bytes);
    put_count(object, "peak_resident_bytes", t->peak_resident_bytes);
    put_count(object, "limit_bytes", t->limit_bytes);
    put(object, "fill", json_real(t->fill));
    put_kv(object, p);
    put_bound(object, p);
    put(object, "quality", json_quality(p));
    put(object, "devices", devices);
    put(object, "areas", areas);
    put(object, "changes", changes);
    if (!t->fits)
        put(object, "error", json_text(loam_plan_error(p->plan), strlen(loam_plan_error(p->plan))));
    print_json(object);
}

/* ---- for people ---- */

static void print_size(const char *name, uint64_t bytes, const char *remark)
{
    char words[24];
    printf("  %-14s %12s  %s\n", name, size_words(bytes, words), remark);
}

static void print_quality(const planning *p)
{
    loam_quality quality;
    if (!quality_of(p, &quality)) return;
    printf("  %-14s %8.2f bits  a weight, about %s: perplexity typically %.2g %% up\n", "format",
           p->totals.bits_per_weight, quality.name,
           p->format ? quality.perplexity_percent : loam_quality_at(p->totals.bits_per_weight));
}

static void print_bound(const planning *p)
{
    char words[24];
    if (!(p->bound.tok_s > 0)) return;
    printf("  %-14s %6.1f tok/s  at best with %u tokens: %s read a token", "decode", p->bound.tok_s,
           p->bound.context_tokens, size_words(p->bound.weights_bytes + p->bound.kv_bytes, words));
    if (p->bandwidth > 0) printf(", %.1f GB/s%s", p->bandwidth, p->measured ? " measured" : "");
    printf("\n");
}

static void print_plan(const planning *p)
{
    const loam_plan_totals *t = &p->totals;
    char words[24], remark[96];
    uint32_t sequences = 0;

    printf("memory plan of %s\n", p->places[0] ? p->places[0] : "the described model");
    snprintf(remark, sizeof remark, "(%s in the mapped file)",
             size_words(t->weights_mapped_bytes, words));
    print_size("weights", t->weights_bytes, t->weights_mapped_bytes ? remark : "");
    snprintf(remark, sizeof remark, "(%s a token, %u blocks of %u tokens a sequence)",
             size_words(t->kv_token_bytes, words), t->blocks_per_sequence, t->block_tokens);
    print_size("KV cache", t->kv_bytes, remark);
    print_size("overhead", t->overhead_bytes, "(activations, logits, vocabulary, tables)");
    print_size("total", t->total_bytes, t->fits ? "fits" : "does not fit");
    snprintf(remark, sizeof remark, "(%.0f %% of the memory available)", t->fill * 100);
    if (loam_plan_device_count(p->plan) > 1)
        snprintf(remark, sizeof remark, "(of all devices together)");
    print_size("limit", t->limit_bytes, p->shared.memory_limit ? "(--memory-limit)" : remark);
    print_size("private", t->private_bytes, "");
    print_size("shared", t->shared_bytes, "(with all who map the file)");
    print_size("peak resident", t->peak_resident_bytes, "(with the whole context in use)");
    placement_print(stdout, p->plan);
    print_quality(p);
    if (t->kv_token_bytes && loam_plan_sequences_fit(p->plan, p->mean, &sequences) == LOAM_OK)
        printf("  %-14s %12u  fit, of %u tokens\n", "sequences", sequences,
               p->mean ? p->mean : t->context_tokens);
    print_bound(p);
    if (!t->fits) printf("  %s\n", loam_plan_error(p->plan));
}

/* ---- the verb ---- */

static int check(planning *p)
{
    bool described = p->params > 0 || p->bpw > 0 || p->format || p->layers || p->kv_heads ||
                     p->head_values || p->kv_bytes;
    loam_quality quality;

    if (p->places[0] && described) return misuse("plan", "give a model or its geometry, not both");
    if (!p->places[0] && !described) return misuse("plan", "the model is missing");
    if (p->format && p->bpw > 0) return misuse("plan", "give --bpw or --format, not both");
    loam_quality_init(&quality);
    if (p->format && loam_quality_find(p->format, &quality) != LOAM_OK)
        return misuse("plan", "--format takes the name of a format, such as Q4_K_M or bf16");
    if (p->format) p->bpw = quality.bits_per_weight;
    if (described && !(p->params > 0 && p->bpw > 0))
        return misuse("plan", "a geometry needs --params, and --bpw or --format");
    if (!p->kv_heads != !p->head_values || (p->kv_heads && !p->layers))
        return misuse("plan",
                      "a KV cache needs --layers, --kv-heads and --head-dim, or --kv-bytes");
    if ((p->sweep || p->gflops > 0) && !p->html)
        return misuse("plan", "--measured and --gflops are for the page of --html");
    if (p->html && (p->devices.n || p->pins.n))
        return misuse("plan", "the page of --html is for one memory, without --device and --pin");
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
    geometry.kv_bytes = p->kv_bytes;
    geometry.expert_parameters = p->expert_params;
    geometry.experts = p->experts;
    geometry.experts_used = p->experts_used;
    geometry.vocabulary_tokens = p->vocabulary;
    geometry.embedding_values = p->embedding;
    return geometry;
}

static loam_status make_plan(planning *p, const loam_options *options, const machine *m)
{
    loam_plan_geometry geometry = geometry_of(p);

    return p->places[0] ? loam_plan_place_file(p->places[0], options, &m->machine, &p->plan)
                        : loam_plan_place_describe(&geometry, options, &m->machine, &p->plan);
}

static int write_page(const planning *p, const loam_options *options)
{
    loam_plan_geometry geometry = geometry_of(p);
    page_request r = {
        .model = p->places[0],
        .geometry = p->places[0] ? NULL : &geometry,
        .options = options,
        .plan = p->plan,
        .bandwidth = p->bandwidth,
        .bandwidth_measured = p->measured,
        .gflops = p->gflops,
        .measured = p->sweep,
    };

    return page_write(&r, p->html);
}

/* A plan that does not fit is an answer, not a failure. */
static int answer(planning *p, const loam_options *options, const machine *m)
{
    loam_status status = make_plan(p, options, m);
    bool placed = m->machine.n_targets > 0;

    loam_plan_totals_init(&p->totals);
    loam_plan_bound_init(&p->bound);
    if (status == LOAM_OK || status == LOAM_ERR_NOFIT)
        status = loam_plan_get_totals(p->plan, &p->totals);
    if (status != LOAM_OK) return complain("%s", loam_plan_error(p->plan));
    if (p->mean > p->totals.context_tokens)
        return complain("--mean is %u, more than the %u tokens of context", p->mean,
                        p->totals.context_tokens);
    p->measured = !(p->bandwidth > 0) && !placed;
    if (p->measured) p->bandwidth = roof_read(p->shared.threads) / 1e9;
    if (p->bandwidth > 0 || placed) {
        status = loam_plan_get_bound(p->plan, p->at, p->bandwidth * 1e9, &p->bound);
        if (status != LOAM_OK) return complain("the bound: %s", loam_status_name(status));
    }
    if (p->shared.json) print_plan_json(p);
    else print_plan(p);
    return p->html ? write_page(p, options) : EXIT_DONE;
}

int verb_plan(int argc, char **argv)
{
    planning p = {0};
    machine m = {0};
    const option own[] = {
        {"sequences", OPTION_COUNT, &p.sequences, "N",
         "sequences open at once, each with a whole context (1)"},
        {"kv-tokens", OPTION_NUMBER, &p.kv_tokens, "N",
         "tokens that the KV cache holds of all sequences together (all their contexts)"},
        {"mean", OPTION_COUNT, &p.mean, "TOKENS",
         "mean length when sequences that fit are counted (the context)"},
        {"at", OPTION_COUNT, &p.at, "TOKENS", "context that the bound of decoding is for (all)"},
        {"bandwidth", OPTION_REAL, &p.bandwidth, "GB/S", "read bandwidth of the memory (measured)"},
        {"fill", OPTION_REAL, &p.fill, "PART", "of each memory, what may be used (0.9)"},
        {"device", OPTION_TEXTS, &p.devices, "NAME:MEMORY:GB/S",
         "a device to plan for, again for more; the one called host is the host; :GB/S of its link "
         "may follow (25)"},
        {"pin", OPTION_TEXTS, &p.pins, "LAYERS=NAME",
         "layers that go to a device: 3=gpu or 0-9=gpu; again for more"},
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
        {"format", OPTION_TEXT, &p.format, "NAME", "or the format that has them, such as Q4_K_M"},
        {"layers", OPTION_COUNT, &p.layers, "N", "layers"},
        {"kv-heads", OPTION_COUNT, &p.kv_heads, "N", "heads of keys and values"},
        {"head-dim", OPTION_COUNT, &p.head_values, "N", "values of a head"},
        {"kv-bytes", OPTION_BYTES, &p.kv_bytes, "BYTES", "all KV, instead of its geometry"},
        {"overhead", OPTION_BYTES, &p.overhead, "BYTES", "memory beside weights and KV cache (0)"},
        {"vocab", OPTION_COUNT, &p.vocabulary, "N",
         "with --embed: embedding and output, of --params"},
        {"embed", OPTION_COUNT, &p.embedding, "N", "width of the model"},
        {"expert-params", OPTION_REAL, &p.expert_params, "N", "of --params, those of experts"},
        {"experts", OPTION_COUNT, &p.experts, "N", "experts of a layer"},
        {"experts-used", OPTION_COUNT, &p.experts_used, "N", "of these, for one token"},
    };
    const usage u = {
        .synopsis =
            "plan MODEL, or plan --params N --bpw BITS [--layers N --kv-heads N --head-dim N]",
        .about = "Say what a model will allocate, what goes where and how fast it can decode at\n"
                 "best (EQ OM2.1: read bandwidth over bytes read a token), from its header or\n"
                 "from its geometry alone; and where it does not fit, what would make it.",
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
    if (status == READ_ON) status = machine_read(&m, &p.devices, &p.pins);
    m.machine.fill = p.fill;
    if (status == READ_ON) status = model_options(&p.shared, &hooks, &options);
    if (status == READ_ON) {
        options.sequences = p.sequences;
        options.kv_tokens = p.kv_tokens;
        status = answer(&p, &options, &m);
    }
    loam_plan_free(p.plan);
    texts_free(&p.devices);
    texts_free(&p.pins);
    return status;
}
