#include "options.h"
#include "command.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

static bool read_number(const char *given, uint64_t most, uint64_t *value, const char **end)
{
    char *stop;
    unsigned long long n;

    if (given[0] < '0' || given[0] > '9') return false; /* strtoull would take blanks and signs */
    errno = 0;
    n = strtoull(given, &stop, 10);
    if (errno || n > most) return false;
    *value = n;
    *end = stop;
    return true;
}

/* A number in front of *end; no sign, hex, inf or nan. */
static bool read_front(const char *given, double *value, char **end)
{
    size_t n = strspn(given, "0123456789.eE+-");

    if (given[0] == '-' || given[0] == '+') return false;
    *value = strtod(given, end);
    return *end != given && *end == given + n && isfinite(*value);
}

static bool read_real(const char *given, double *value)
{
    char *end;

    return read_front(given, value, &end) && !*end;
}

#define MOST_BYTES 0x1p62

static bool read_bytes(const char *given, uint64_t *value)
{
    static const char units[] = "KMGT";
    const char *unit;
    char *end;
    double bytes;

    if (!read_front(given, &bytes, &end)) return false;
    if (*end) {
        unit = strchr(units, *end);
        if (!unit || end[1]) return false;
        bytes = ldexp(bytes, 10 * (int)(unit - units + 1));
    }
    if (bytes > MOST_BYTES) return false;
    *value = (uint64_t)llround(bytes);
    return true;
}

static bool read_tokens(const char *given, ids *list)
{
    uint64_t id;

    list->n = 0;
    for (const char *p = given;; p++) {
        if (!read_number(p, INT32_MAX, &id, &p)) return false;
        ids_add(list, (loam_token)id);
        if (!*p) return true;
        if (*p != ',') return false;
    }
}

bool option_value(const option *o, const char *given)
{
    const char *end = "";
    uint64_t number = 0;
    bool ok = true;

    switch (o->kind) {
    case OPTION_FLAG:
        *(bool *)o->value = true;
        break;
    case OPTION_COUNT:
        ok = read_number(given, UINT32_MAX, &number, &end) && !*end;
        if (ok) *(uint32_t *)o->value = (uint32_t)number;
        break;
    case OPTION_NUMBER:
        ok = read_number(given, INT64_MAX, &number, &end) && !*end;
        if (ok) *(uint64_t *)o->value = number;
        break;
    case OPTION_BYTES:
        ok = read_bytes(given, o->value);
        break;
    case OPTION_REAL:
        ok = read_real(given, o->value);
        break;
    case OPTION_TEXT:
        *(const char **)o->value = given;
        break;
    case OPTION_TEXTS:
        texts_add(o->value, given);
        break;
    case OPTION_TOKENS:
    case OPTION_BATCHES:
        ok = read_tokens(given, o->value);
        break;
    }
    return ok;
}

static const char *kind_words(option_kind kind)
{
    switch (kind) {
    case OPTION_COUNT:
        return "a whole number below 2^32";
    case OPTION_NUMBER:
        return "a whole number";
    case OPTION_BYTES:
        return "a number of bytes, such as 2000000000, 2e9, 512M or 1.5G";
    case OPTION_REAL:
        return "a number that is not negative";
    case OPTION_TOKENS:
        return "token ids, such as 1,2,3";
    case OPTION_BATCHES:
        return "batch sizes, such as 1,2,4,8";
    case OPTION_FLAG:
    case OPTION_TEXT:
    case OPTION_TEXTS:
        break;
    }
    return "a text";
}

/* ---- help ---- */

static void print_group(const option_group *group)
{
    char left[40];

    printf("\n%s\n", group->title ? group->title : "Options");
    for (size_t i = 0; i < group->n; i++) {
        const option *o = &group->options[i];
        snprintf(left, sizeof left, "--%s %s", o->name, o->argument ? o->argument : "");
        printf("  %-24s %s\n", left, o->help);
    }
}

static int print_help(const usage *u, const option_group *groups, size_t n_groups)
{
    printf("usage: loam %s [options]\n\n%s\n", u->synopsis, u->about);
    for (size_t i = 0; i < n_groups; i++)
        print_group(&groups[i]);
    printf("  %-24s %s\n", "--help", "this text");
    return EXIT_DONE;
}

/* ---- reading ---- */

int misuse(const char *verb, const char *sentence)
{
    complain("%s; see loam %s --help", sentence, verb);
    return EXIT_USAGE;
}

static const option *find_option(const option_group *groups, size_t n_groups, const char *name,
                                 size_t n_name)
{
    for (size_t g = 0; g < n_groups; g++)
        for (size_t i = 0; i < groups[g].n; i++) {
            const option *o = &groups[g].options[i];
            if (strlen(o->name) == n_name && memcmp(o->name, name, n_name) == 0) return o;
        }
    return NULL;
}

/* The value of an option that was given without '=': the next argument, unless it takes none. Only
 * a list of numbers is that of an option whose value may be left out. */
static const char *next_value(const option *o, int argc, char **argv, int *i)
{
    const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;

    if (o->kind == OPTION_FLAG) return NULL;
    if (o->kind == OPTION_BATCHES && (!next || strspn(next, "0123456789,") != strlen(next)))
        return BATCHES_USUAL;
    if (next) (*i)++;
    return next;
}

/* Read the option at argv[*i], which begins with two dashes, and its value, which may be the next
 * argument. */
static int read_option(const option_group *groups, size_t n_groups, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2, *value = strchr(name, '=');
    size_t n_name = value ? (size_t)(value - name) : strlen(name);
    const option *o = find_option(groups, n_groups, name, n_name);
    char sentence[200];

    if (!o) {
        snprintf(sentence, sizeof sentence, "there is no option '--%.*s'",
                 (int)(n_name < 60 ? n_name : 60), name);
        return misuse(argv[0], sentence);
    }
    value = value ? value + 1 : next_value(o, argc, argv, i);
    if ((o->kind == OPTION_FLAG) != !value) {
        snprintf(sentence, sizeof sentence, "--%s %s", o->name,
                 value ? "takes no value" : "needs a value");
        return misuse(argv[0], sentence);
    }
    if (!option_value(o, value)) {
        snprintf(sentence, sizeof sentence, "--%s takes %s, not '%.60s'", o->name,
                 kind_words(o->kind), value);
        return misuse(argv[0], sentence);
    }
    return READ_ON;
}

static int read_all(const usage *u, const option_group *groups, size_t n_groups, int argc,
                    char **argv)
{
    bool only_places = false;
    size_t n_places = 0;

    for (int i = 1; i < argc; i++) {
        bool dashed = !only_places && argv[i][0] == '-' && argv[i][1];
        if (dashed && strcmp(argv[i], "--") == 0) {
            only_places = true;
        } else if (dashed && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            return print_help(u, groups, n_groups);
        } else if (dashed && argv[i][1] == '-') {
            int status = read_option(groups, n_groups, argc, argv, &i);
            if (status != READ_ON) return status;
        } else if (dashed) {
            return misuse(
                argv[0],
                "options begin with two dashes (put -- before a text that begins with one)");
        } else if (n_places == u->most_places) {
            return misuse(argv[0], "there are too many arguments (is a prompt not in quotes?)");
        } else {
            u->places[n_places++] = argv[i];
        }
    }
    return n_places < u->least_places ? misuse(argv[0], "the model is missing") : READ_ON;
}

#define ON_WORDS "BACKEND[:NUMBER][=LAYERS][@BYTES], such as vulkan:0=12@2G"
#define KV_NAMES "f32, f16, bf16, q8_0, q4_0"

int options_read(const usage *u, int argc, char **argv)
{
    common *c = u->shared;
    const option shared[] = {
        {"threads", OPTION_COUNT, &c->threads, "N", "threads to compute with (one per processor)"},
        {"isa", OPTION_TEXT, &c->isa, "NAME",
         "instruction set: scalar, avx2, avxvnni, avx512, avx512bf16, neon, dotprod, i8mm (the "
         "best); with --backend openblas also blas, or blas: and one of these"},
        {"backend", OPTION_TEXT, &c->backend, "NAME",
         "cpu; the name of a module; auto: accelerators that are found, where that is faster "
         "(cpu)"},
        {"on", OPTION_TEXTS, &c->on, "DEVICE", "put layers there, again for more: " ON_WORDS},
        {"modules", OPTION_TEXT, &c->modules, "FOLDER",
         "where modules are (loam-modules beside the library)"},
        {"kv", OPTION_TEXT, &c->kv, "TYPE", "cells of the KV cache: " KV_NAMES " (f16)"},
        {"kv-v", OPTION_TEXT, &c->kv_v, "TYPE", "cells of the values, apart (as --kv)"},
        {"ctx", OPTION_COUNT, &c->context, "N",
         "tokens of context (the model's own, at most 4096)"},
        {"memory-limit", OPTION_BYTES, &c->memory_limit, "BYTES", "refuse to use more; 512M, 4G"},
        {"pack", OPTION_FLAG, &c->pack, NULL, "copy the weights, in the order of the kernels"},
        {"map", OPTION_FLAG, &c->map, NULL, "use the weights where the file is mapped"},
        {"json", OPTION_FLAG, &c->json, NULL, "print JSON"},
    };
    option_group groups[USAGE_GROUPS + 1];
    size_t n_groups = 0;

    for (size_t i = 0; i < USAGE_GROUPS && u->groups[i].n; i++)
        groups[n_groups++] = u->groups[i];
    groups[n_groups++] = (option_group){"Common options", shared, COUNT(shared)};
    return read_all(u, groups, n_groups, argc, argv);
}

/* ---- to the library ---- */

static int read_kv(const char *name, const char *given, int32_t *type)
{
    static const char *const names[] = {
        [LOAM_KV_F32] = "f32",   [LOAM_KV_F16] = "f16",   [LOAM_KV_BF16] = "bf16",
        [LOAM_KV_Q8_0] = "q8_0", [LOAM_KV_Q4_0] = "q4_0",
    };

    *type = LOAM_KV_DEFAULT;
    if (!given) return READ_ON;
    for (size_t i = LOAM_KV_F32; i < COUNT(names); i++)
        if (strcmp(given, names[i]) == 0) *type = (int32_t)i;
    if (*type != LOAM_KV_DEFAULT) return READ_ON;
    return complain("--%s takes one of " KV_NAMES ", not '%.60s'", name, given), EXIT_USAGE;
}

/* BACKEND, its device's number (0), how many layers, how much of its memory. */
static bool read_place(const char *given, loam_device *device, char name[32])
{
    size_t n = strcspn(given, ":=@");
    const char *p = given + n;
    uint64_t number = 0;

    loam_device_init(device);
    if (n == 0 || n > 31) return false;
    memcpy(name, given, n);
    name[n] = 0;
    device->backend = name;
    if (*p == ':' && !read_number(p + 1, UINT32_MAX, &number, &p)) return false;
    device->index = (uint32_t)number;
    if (*p == '=') {
        if (!read_number(p + 1, INT32_MAX, &number, &p)) return false;
        device->layers = (int32_t)number;
    }
    if (*p == '@') return read_bytes(p + 1, &device->memory_limit_bytes);
    return !*p;
}

static int read_places(common *c, loam_options *options)
{
    if (c->on.n > DEVICES)
        return complain("--on can be given %d times at most", DEVICES), EXIT_USAGE;
    for (size_t i = 0; i < c->on.n; i++) {
        c->pointers[i] = &c->devices[i];
        if (!read_place(c->on.p[i], &c->devices[i], c->names[i]))
            return complain("--on takes " ON_WORDS ", not '%.60s'", c->on.p[i]), EXIT_USAGE;
    }
    options->devices = c->pointers;
    options->n_devices = (uint32_t)c->on.n;
    return READ_ON;
}

int common_apply(common *c, loam_options *options)
{
    int status;

    options->flags = (c->pack ? LOAM_LOAD_PACK : 0u) | (c->map ? LOAM_LOAD_MAP : 0u);
    options->threads = c->threads;
    options->context_tokens = c->context;
    options->memory_limit_bytes = c->memory_limit;
    options->isa = c->isa;
    options->backend = c->backend;
    options->modules = c->modules;
    status = read_places(c, options);
    texts_free(&c->on);
    if (status != READ_ON) return status;
    status = read_kv("kv", c->kv, &options->kv_type);
    return status == READ_ON ? read_kv("kv-v", c->kv_v, &options->v_type) : status;
}
