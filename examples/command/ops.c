#include "ops.h"

#include <loam/quant.h>
#include <stdlib.h>

typedef struct ops_row {
    loam_profile part;
    uint64_t marked_ns, ns[PHASES];
} ops_row;

static const char *const phase_names[PHASES] = {"prefill", "decode"};

/* Read the profile; parts that are new have nothing yet. */
static void read_parts(ops *o, loam *m)
{
    size_t n = loam_profile_count(m);

    if (n > o->n) {
        o->rows = must(realloc(o->rows, n * sizeof *o->rows));
        for (; o->n < n; o->n++)
            o->rows[o->n] = (ops_row){.marked_ns = 0};
    }
    for (size_t i = 0; i < n; i++) {
        loam_profile_init(&o->rows[i].part);
        loam_profile_get(m, i, &o->rows[i].part);
    }
}

void ops_mark(ops *o, loam *m)
{
    read_parts(o, m);
    for (size_t i = 0; i < o->n; i++)
        o->rows[i].marked_ns = o->rows[i].part.ns;
}

void ops_add(ops *o, loam *m, phase which, double seconds, uint64_t count)
{
    read_parts(o, m);
    for (size_t i = 0; i < o->n; i++)
        o->rows[i].ns[which] += o->rows[i].part.ns - o->rows[i].marked_ns;
    o->seconds[which] += seconds;
    o->count[which] += count;
}

void ops_free(ops *o)
{
    free(o->rows);
}

/* ---- what was measured ---- */

static double share(const ops *o, double seconds, phase which)
{
    return o->seconds[which] > 0 ? seconds / o->seconds[which] : 0;
}

/* For one token, or one step. */
static double microseconds(const ops *o, double seconds, phase which)
{
    return o->count[which] ? seconds * 1e6 / (double)o->count[which] : 0;
}

static double seconds_of(const ops_row *row, phase which)
{
    return (double)row->ns[which] * 1e-9;
}

static double rest(const ops *o, phase which)
{
    double left = o->seconds[which];

    for (size_t i = 0; i < o->n; i++)
        left -= seconds_of(&o->rows[i], which);
    return left > 0 ? left : 0;
}

static int by_time(const void *a, const void *b)
{
    const ops_row *x = a, *y = b;
    uint64_t one = x->ns[PHASE_PREFILL] + x->ns[PHASE_DECODE];
    uint64_t two = y->ns[PHASE_PREFILL] + y->ns[PHASE_DECODE];

    return (one < two) - (one > two);
}

static void sort(ops *o)
{
    if (o->n) qsort(o->rows, o->n, sizeof *o->rows, by_time);
}

/* NULL: it touches no weights or cells. */
static const char *format_name(const ops_row *row)
{
    loam_format_info info;

    loam_format_info_init(&info);
    if (row->part.type < 0 || loam_format_describe(row->part.type, &info) != LOAM_OK) return NULL;
    return info.name;
}

static void print_line(const ops *o, const char *name, const double seconds[PHASES])
{
    printf("  %-28s", name);
    for (int p = 0; p < PHASES; p++)
        printf("  %10.2f us %5.1f %%", microseconds(o, seconds[p], (phase)p),
               100 * share(o, seconds[p], (phase)p));
    printf("\n");
}

void ops_print(ops *o)
{
    double left[PHASES];

    sort(o);
    printf("  %-28s  %21s  %21s\n", "", "prefill, for a token", "decode, for a step");
    for (size_t i = 0; i < o->n; i++) {
        const ops_row *row = &o->rows[i];
        const char *format = format_name(row);
        double seconds[PHASES];
        char name[64];
        for (int p = 0; p < PHASES; p++)
            seconds[p] = seconds_of(row, (phase)p);
        snprintf(name, sizeof name, "%s%s%s%s", row->part.head ? "head: " : "", row->part.name,
                 format ? " " : "", format ? format : "");
        print_line(o, name, seconds);
    }
    for (int p = 0; p < PHASES; p++)
        left[p] = rest(o, (phase)p);
    print_line(o, "the rest", left);
    print_line(o, "all", o->seconds);
}

static void put_phase(const ops *o, json_t *object, phase which, double seconds)
{
    char key[32];

    snprintf(key, sizeof key, "%s_us", phase_names[which]);
    put(object, key, json_real(microseconds(o, seconds, which)));
    snprintf(key, sizeof key, "%s_share", phase_names[which]);
    put(object, key, json_real(share(o, seconds, which)));
}

json_t *ops_json(ops *o)
{
    json_t *rows = must(json_array()), *last = must(json_object());

    sort(o);
    for (size_t i = 0; i < o->n; i++) {
        json_t *object = must(json_object());
        const char *format = format_name(&o->rows[i]);
        put(object, "op", json_string(o->rows[i].part.name));
        put(object, "format", format ? json_string(format) : json_null());
        put(object, "head", json_boolean(o->rows[i].part.head));
        for (int p = 0; p < PHASES; p++)
            put_phase(o, object, (phase)p, seconds_of(&o->rows[i], (phase)p));
        append(rows, object);
    }
    put(last, "op", json_string("the rest"));
    put(last, "format", json_null());
    put(last, "head", json_false());
    for (int p = 0; p < PHASES; p++)
        put_phase(o, last, (phase)p, rest(o, (phase)p));
    append(rows, last);
    return rows;
}
