/* The data of the page of loam plan --html. The page computes nothing of its own: its sliders have
 * stops, and for every stop it is given here what the library's planner says. */
#include "page.h"
#include "command.h"
#include "output.h"

#include <loam/gguf.h>
#include <loam/quant.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_STOPS    16
#define LEAST_CONTEXT 512u
#define MOST_CONTEXT  131072u /* beyond it only the model's own maximum is a stop */
#define MOST_MEMORY                                                                                \
    ((uint64_t)1 << 50) /* shown where the system does not say how much there is                   \
                         */
#define MOST_FORMATS   64
#define MOST_BITS      16.0           /* a weight, in the table of formats: nobody ships more */
#define DATA_PLACE     "/*DATA*/null" /* in the template */
#define TEXT_OF(array) (array), strlen(array)

extern const unsigned char page_template[];
extern const size_t page_template_size;

typedef struct stops {
    uint32_t at[MOST_STOPS];
    size_t n;
} stops;

typedef struct kv_choice {
    const char *name;
    int32_t type;
} kv_choice;

typedef struct page {
    const page_request *r;
    loam_options options;    /* of the plan that is being made */
    char *name, *format;     /* of the model and of most of its weights; owned, may be NULL */
    loam_plan_totals totals; /* of the plan that was asked for */
    uint32_t trained_tokens; /* 0: unknown */
    stops contexts, users, fills;
    kv_choice kv[5];
    size_t n_kv;
    double gflops;
    json_t *measured; /* owned, or NULL */
} page;

/* ---- stops ---- */

/* Keep the stops rising and different. */
static void stops_add(stops *s, uint32_t value)
{
    size_t i = s->n;

    while (i > 0 && s->at[i - 1] >= value)
        i--;
    if (!value || (i < s->n && s->at[i] == value) || s->n == MOST_STOPS) return;
    memmove(&s->at[i + 1], &s->at[i], (s->n - i) * sizeof s->at[0]);
    s->at[i] = value;
    s->n++;
}

static json_t *json_stops(const stops *s)
{
    json_t *array = must(json_array());
    for (size_t i = 0; i < s->n; i++)
        append(array, json_integer(s->at[i]));
    return array;
}

static void set_stops(page *p)
{
    uint32_t most = p->trained_tokens ? p->trained_tokens : MOST_CONTEXT;

    for (uint32_t n = LEAST_CONTEXT; n <= most && n <= MOST_CONTEXT; n *= 2)
        stops_add(&p->contexts, n);
    stops_add(&p->contexts, most);
    stops_add(&p->contexts, p->totals.context_tokens);
    for (uint32_t n = 1; n <= 32; n *= 2)
        stops_add(&p->users, n);
    stops_add(&p->users, p->totals.sequences);
}

/* ---- plans ---- */

/* A whole plan, or NULL where there is none: a KV type that is not offered, a size beyond limits.
 */
static loam_plan *plan_at(page *p, uint32_t context, uint32_t users, int32_t kv,
                          loam_plan_totals *totals)
{
    loam_plan *plan = NULL;
    loam_status status;

    p->options.context_tokens = context;
    p->options.sequences = users;
    p->options.kv_type = kv;
    status = p->r->model ? loam_plan_file(p->r->model, &p->options, &plan)
                         : loam_plan_describe(p->r->geometry, &p->options, &plan);
    loam_plan_totals_init(totals);
    if (status == LOAM_OK || status == LOAM_ERR_NOFIT) status = loam_plan_get_totals(plan, totals);
    if (status == LOAM_OK) return plan;
    loam_plan_free(plan);
    return NULL;
}

static void find_kv_types(page *p)
{
    static const kv_choice all[] = {{"q4_0", LOAM_KV_Q4_0},
                                    {"q8_0", LOAM_KV_Q8_0},
                                    {"bf16", LOAM_KV_BF16},
                                    {"f16", LOAM_KV_F16},
                                    {"f32", LOAM_KV_F32}};
    loam_plan_totals totals;

    for (size_t i = 0; i < COUNT(all); i++) {
        loam_plan *plan = NULL;
        /* as large as F16, so it is a stop of its own only for those who ask for it */
        if (all[i].type == LOAM_KV_BF16 && p->r->options->kv_type != LOAM_KV_BF16) continue;
        plan = plan_at(p, p->contexts.at[0], 1, all[i].type, &totals);
        if (plan) p->kv[p->n_kv++] = all[i];
        loam_plan_free(plan);
    }
}

/* ---- will it fit ---- */

static json_t *json_count(uint64_t n)
{
    return n <= INT64_MAX ? json_integer((json_int_t)n) : json_real((double)n);
}

static json_t *json_areas(const loam_plan *plan)
{
    json_t *bytes = must(json_array());
    loam_plan_area area;

    for (size_t i = 0; i < loam_plan_area_count(plan); i++) {
        loam_plan_area_init(&area);
        if (loam_plan_get_area(plan, i, &area) != LOAM_OK) continue;
        append(bytes, json_count(area.bytes));
    }
    return bytes;
}

static json_t *json_area_names(const loam_plan *plan)
{
    json_t *names = must(json_array());
    loam_plan_area area;

    for (size_t i = 0; i < loam_plan_area_count(plan); i++) {
        loam_plan_area_init(&area);
        if (loam_plan_get_area(plan, i, &area) != LOAM_OK) continue;
        append(names, json_text(TEXT_OF(area.name)));
    }
    return names;
}

/* One stop of all three sliders. null: the planner refuses it. */
static json_t *json_cell(page *p, json_t *fit, uint32_t context, uint32_t users, int32_t kv)
{
    loam_plan_totals t;
    loam_plan *plan = plan_at(p, context, users, kv, &t);
    json_t *cell;

    if (!plan) return json_null();
    cell = must(json_object());
    put_count(cell, "weights", t.weights_bytes);
    put_count(cell, "kv", t.kv_bytes);
    put_count(cell, "other", t.overhead_bytes);
    put_count(cell, "total", t.total_bytes);
    put(cell, "areas", json_areas(plan));
    if (!json_object_get(fit, "areas")) put(fit, "areas", json_area_names(plan));
    loam_plan_free(plan);
    return cell;
}

static json_t *json_start(const page *p)
{
    int32_t kv = p->r->options->kv_type ? p->r->options->kv_type : LOAM_KV_F16;
    json_t *start = must(json_object());

    put_count(start, "context", p->totals.context_tokens);
    put_count(start, "users", p->totals.sequences);
    for (size_t i = 0; i < p->n_kv; i++)
        if (p->kv[i].type == kv) put(start, "kv", json_string(p->kv[i].name));
    put(start, "ceiling",
        json_real(p->r->options->memory_limit_bytes ? 100 : round(100 * p->totals.fill)));
    return start;
}

static json_t *json_fit(page *p)
{
    double share = p->r->options->memory_limit_bytes ? 1 : p->totals.fill;
    double memory = (double)p->totals.limit_bytes / share;
    json_t *fit = must(json_object()), *cells = must(json_array()), *kv = must(json_array());

    for (size_t k = 0; k < p->n_kv; k++) {
        append(kv, json_string(p->kv[k].name));
        for (size_t c = 0; c < p->contexts.n; c++)
            for (size_t u = 0; u < p->users.n; u++)
                append(cells, json_cell(p, fit, p->contexts.at[c], p->users.at[u], p->kv[k].type));
    }
    put(fit, "contexts", json_stops(&p->contexts));
    put(fit, "users", json_stops(&p->users));
    put(fit, "kv", kv);
    put(fit, "cells", cells);
    put(fit, "start", json_start(p));
    put_count(fit, "memory", memory < (double)MOST_MEMORY ? (uint64_t)memory : MOST_MEMORY);
    put(fit, "limited", json_boolean(p->r->options->memory_limit_bytes > 0));
    return fit;
}

/* ---- quant explorer ---- */

/* The model at so many bits a weight, by EQ OM2.2 and OM2.1. */
static bool describe_at(const page *p, double bits_per_weight, loam_plan_totals *totals)
{
    loam_plan_geometry geometry;
    loam_plan *plan = NULL;
    loam_status status;

    loam_plan_geometry_init(&geometry);
    geometry.parameters = p->totals.parameters;
    geometry.bits_per_weight = bits_per_weight;
    status = loam_plan_describe(&geometry, NULL, &plan);
    loam_plan_totals_init(totals);
    if (status == LOAM_OK || status == LOAM_ERR_NOFIT) status = loam_plan_get_totals(plan, totals);
    loam_plan_free(plan);
    return status == LOAM_OK;
}

static json_t *json_bound(const page *p, const loam_plan_totals *t)
{
    if (!t->token_read_bytes || !(p->r->bandwidth > 0)) return json_null();
    return json_real(p->r->bandwidth * 1e9 / (double)t->token_read_bytes);
}

static json_t *json_format(const page *p, const loam_quality *q)
{
    json_t *row = must(json_object());
    loam_plan_totals t;

    put(row, "name", json_string(q->name));
    put(row, "bpw", json_real(q->bits_per_weight));
    put(row, "loss", json_real(q->perplexity_percent));
    put(row, "beaten", json_boolean(q->beaten));
    if (describe_at(p, q->bits_per_weight, &t)) {
        put_count(row, "bytes", t.weights_bytes);
        put(row, "bound", json_bound(p, &t));
    }
    return row;
}

static json_t *json_quant(const page *p)
{
    json_t *quant = must(json_object()), *rows = must(json_array()), *own = must(json_object());
    loam_quality q;

    for (size_t i = 0; i < loam_quality_count(); i++) {
        loam_quality_init(&q);
        if (loam_quality_get(i, &q) != LOAM_OK || q.bits_per_weight > MOST_BITS) continue;
        append(rows, json_format(p, &q));
    }
    put(own, "name", p->format ? json_string(p->format) : json_null());
    put(own, "bpw", json_real(p->totals.bits_per_weight));
    put(own, "loss", json_real(loam_quality_at(p->totals.bits_per_weight)));
    put_count(own, "bytes", p->totals.weights_bytes);
    put(own, "bound", json_bound(p, &p->totals));
    put(quant, "rows", rows);
    put(quant, "own", own);
    return quant;
}

/* ---- throughput ---- */

static const uint32_t batches[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128};

/* What one step of a batch takes: weights once and the KV cache of each sequence are read, and each
 * weight is multiplied once for each sequence. */
typedef struct step_costs {
    double weights_s, kv_s, multiply_s; /* kv_s and multiply_s: of one sequence */
} step_costs;

static double step_seconds(const step_costs *c, double batch)
{
    return fmax(c->weights_s + batch * c->kv_s, batch * c->multiply_s);
}

static const char *limit_name(const step_costs *c, double batch)
{
    if (batch * c->multiply_s > c->weights_s + batch * c->kv_s) return "multiply";
    return batch * c->kv_s > c->weights_s ? "kv" : "weights";
}

/* Where a larger batch begins to pay less: multiplying takes as long as reading; or else the KV
 * caches are as long to read as the weights. 0: nowhere. */
static double find_knee(const step_costs *c)
{
    if (c->multiply_s > c->kv_s) return c->weights_s / (c->multiply_s - c->kv_s);
    return c->kv_s > 0 ? c->weights_s / c->kv_s : 0;
}

static json_t *json_point(const step_costs *c, double batch)
{
    json_t *point = must(json_object());

    put(point, "batch", json_real(batch));
    put(point, "tok_s", json_real(batch / step_seconds(c, batch)));
    put(point, "limit", json_string(limit_name(c, batch)));
    return point;
}

/* A multiplication and an addition for each weight that a token touches. */
static double token_flops(const page *p)
{
    return 2 * 8 * (double)p->totals.token_read_bytes / p->totals.bits_per_weight;
}

/* fill: tokens in the context of each sequence. */
static step_costs find_costs(const page *p, uint32_t fill)
{
    const double bytes_s = p->r->bandwidth * 1e9;
    step_costs c = {.weights_s = (double)p->totals.token_read_bytes / bytes_s};
    loam_plan_bound bound;

    loam_plan_bound_init(&bound);
    if (fill && loam_plan_get_bound(p->r->plan, fill, bytes_s, &bound) == LOAM_OK)
        c.kv_s = (double)bound.kv_bytes / bytes_s;
    if (p->gflops > 0) c.multiply_s = token_flops(p) / (p->gflops * 1e9);
    return c;
}

static json_t *json_curve(const page *p, uint32_t fill)
{
    json_t *curve = must(json_object()), *points = must(json_array());
    step_costs c = find_costs(p, fill);
    double knee = find_knee(&c);

    for (size_t i = 0; i < COUNT(batches); i++)
        append(points, json_point(&c, batches[i]));
    put_count(curve, "fill", fill);
    put(curve, "points", points);
    put(curve, "knee", knee >= 1 ? json_point(&c, knee) : json_null());
    return curve;
}

static json_t *json_throughput(const page *p)
{
    json_t *throughput = must(json_object()), *curves = must(json_array());

    append(curves, json_curve(p, 0));
    for (size_t i = 0; i < p->contexts.n; i++)
        append(curves, json_curve(p, p->contexts.at[i]));
    put(throughput, "curves", curves);
    put(throughput, "measured", p->measured ? json_incref(p->measured) : json_null());
    put(throughput, "gflops", p->gflops > 0 ? json_real(p->gflops) : json_null());
    put(throughput, "gflops_given", json_boolean(p->r->gflops > 0));
    put(throughput, "token_gflop", json_real(token_flops(p) / 1e9));
    return throughput;
}

/* ---- what was measured ---- */

static json_t *json_measured_row(const json_t *row)
{
    const json_t *parallel = json_object_get(row, "parallel"),
                 *speed = json_object_get(row, "decode_tok_s");
    json_t *kept;

    if (!json_is_number(parallel) || !json_is_number(speed)) return NULL;
    if (!(json_number_value(parallel) >= 1) || !(json_number_value(speed) > 0)) return NULL;
    kept = must(json_object());
    put(kept, "batch", json_real(json_number_value(parallel)));
    put(kept, "tok_s", json_real(json_number_value(speed)));
    return kept;
}

/* The curve of bench --sweep-batch. Its best speed, where no rate is given, is also what the
 * machine is known to multiply at. */
static int read_measured(page *p)
{
    const char *path = p->r->measured;
    json_error_t error;
    json_t *file, *sweep, *knee, *rows, *row;
    size_t i;

    if (!path) return EXIT_DONE;
    file = json_load_file(path, 0, &error);
    if (!file) return complain("%s: %s", path, error.text);
    sweep = json_object_get(file, "sweep");
    knee = json_object_get(file, "knee");
    rows = must(json_array());
    json_array_foreach(sweep, i, row)
    {
        json_t *kept = json_measured_row(row);
        if (kept) append(rows, kept);
    }
    if (!json_array_size(rows) || json_array_size(rows) != json_array_size(sweep)) {
        json_decref(rows);
        json_decref(file);
        return complain("%s is not what loam bench --sweep-batch --json prints", path);
    }
    p->measured = must(json_object());
    put(p->measured, "rows", rows);
    put(p->measured, "knee", json_is_number(knee) ? json_incref(knee) : json_null());
    json_array_foreach(rows, i, row)
    {
        double rate = json_real_value(json_object_get(row, "tok_s")) * token_flops(p) / 1e9;
        if (!(p->r->gflops > 0) && rate > p->gflops) p->gflops = rate;
    }
    json_decref(file);
    return EXIT_DONE;
}

/* ---- facts about the model ---- */

static char *copy_text(const char *from, size_t n)
{
    text valid = {0};

    text_add_valid(&valid, from, n);
    text_add(&valid, "", 1);
    return valid.p;
}

static char *meta_text(const loam_gguf *g, const char *key)
{
    int64_t at = loam_gguf_find_meta(g, key);
    const char *found;
    size_t n;

    if (at < 0 || loam_gguf_get_string(g, (size_t)at, 0, &found, &n) != LOAM_OK || !n) return NULL;
    return copy_text(found, n);
}

static uint32_t trained_tokens(const loam_gguf *g)
{
    char *architecture = meta_text(g, "general.architecture"), key[128];
    uint64_t tokens = 0;
    int64_t at;

    snprintf(key, sizeof key, "%s.context_length", architecture ? architecture : "");
    at = loam_gguf_find_meta(g, key);
    free(architecture);
    if (at < 0 || loam_gguf_get_u64(g, (size_t)at, 0, &tokens) != LOAM_OK) return 0;
    return tokens <= UINT32_MAX ? (uint32_t)tokens : UINT32_MAX;
}

static uint64_t tensor_values(const loam_gguf_tensor *t)
{
    return t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3]; /* checked when it was opened */
}

/* The format that most weights have. */
static char *main_format(const loam_gguf *g)
{
    uint64_t values[MOST_FORMATS] = {0};
    loam_format most = 0;
    loam_format_info format;
    loam_gguf_tensor t;

    for (size_t i = 0; i < loam_gguf_tensor_count(g); i++) {
        loam_gguf_tensor_init(&t);
        if (loam_gguf_get_tensor(g, i, &t) != LOAM_OK || t.type < 0 || t.type >= MOST_FORMATS)
            continue;
        values[t.type] += tensor_values(&t);
        if (values[t.type] > values[most]) most = t.type;
    }
    loam_format_info_init(&format);
    if (loam_format_describe(most, &format) != LOAM_OK) return NULL;
    return copy_text(TEXT_OF(format.name));
}

static int learn_facts(page *p)
{
    loam_gguf *g = NULL;
    const char *slash;

    loam_plan_totals_init(&p->totals);
    if (loam_plan_get_totals(p->r->plan, &p->totals) != LOAM_OK)
        return complain("%s", loam_plan_error(p->r->plan));
    if (!p->r->model) return EXIT_DONE;
    if (loam_gguf_open(p->r->model, NULL, &g) != LOAM_OK) {
        int status = complain("%s", loam_gguf_error(g));
        loam_gguf_close(g);
        return status;
    }
    slash = strrchr(p->r->model, '/');
    p->name = meta_text(g, "general.name");
    if (!p->name) p->name = copy_text(TEXT_OF(slash ? slash + 1 : p->r->model));
    p->trained_tokens = trained_tokens(g);
    p->format = main_format(g);
    loam_gguf_close(g);
    return EXIT_DONE;
}

static json_t *json_model(const page *p)
{
    json_t *model = must(json_object());

    put(model, "name", p->name ? json_string(p->name) : json_null());
    put(model, "parameters", json_real(p->totals.parameters));
    put(model, "bpw", json_real(p->totals.bits_per_weight));
    put(model, "format", p->format ? json_string(p->format) : json_null());
    put(model, "trained", p->trained_tokens ? json_integer(p->trained_tokens) : json_null());
    put(model, "bandwidth", json_real(p->r->bandwidth));
    put(model, "bandwidth_measured", json_boolean(p->r->bandwidth_measured));
    return model;
}

/* ---- the file ---- */

/* JSON in a script element: without '<', nothing in it can end the element. */
static void write_data(FILE *f, const json_t *data)
{
    size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(10);
    char *line = must(json_dumps(data, flags));

    for (const char *c = line; *c; c++)
        if (*c == '<') fputs("\\u003c", f);
        else fputc(*c, f);
    free(line);
}

static int write_file(const char *path, const json_t *data)
{
    const size_t n_place = strlen(DATA_PLACE);
    size_t at = 0;
    bool good;
    FILE *f = fopen(path, "wb");

    if (!f) return complain("%s: cannot be written", path);
    while (memcmp(page_template + at, DATA_PLACE, n_place) != 0)
        at++;
    fwrite(page_template, 1, at, f);
    write_data(f, data);
    fwrite(page_template + at + n_place, 1, page_template_size - at - n_place, f);
    good = !ferror(f);
    good = fclose(f) == 0 && good;
    return good ? EXIT_DONE : complain("%s: could not be written to its end", path);
}

int page_write(const page_request *r, const char *path)
{
    page p = {.r = r, .options = *r->options, .gflops = r->gflops};
    json_t *data = must(json_object());
    int status;

    p.options.hooks = NULL; /* what there is to warn of was said once, of the plan itself */
    p.options.memory_limit_bytes = 0;
    p.options.v_type = LOAM_KV_DEFAULT;
    status = learn_facts(&p);
    if (status == EXIT_DONE) status = read_measured(&p);
    if (status == EXIT_DONE) {
        set_stops(&p);
        find_kv_types(&p);
        put(data, "version", json_string(loam_version()));
        put(data, "model", json_model(&p));
        put(data, "fit", json_fit(&p));
        put(data, "quant", json_quant(&p));
        put(data, "throughput", json_throughput(&p));
        status = write_file(path, data);
    }
    json_decref(data);
    json_decref(p.measured);
    free(p.name);
    free(p.format);
    return status;
}
