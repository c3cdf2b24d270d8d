/* loam inspect MODEL: check a GGUF container and print what it holds. */
#include "command.h"
#include "model.h"

#include <inttypes.h>
#include <loam/gguf.h>
#include <loam/quant.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_WHOLE  64 /* longer arrays are shortened to their first elements */
#define ARRAY_FIRST  8
#define STRING_SHOWN 100 /* bytes of a string in the table for people */
#define FORMATS      64

typedef struct total {
    loam_format type;
    uint64_t tensors, values, bytes;
} total;

typedef struct inspect {
    common shared;
    const char *places[1];
    bool full;
    loam_gguf *g;
    total formats[FORMATS];
    size_t n_formats;
    total all;
} inspect;

/* ---- facts ---- */

static const char *meta_type_name(int32_t type)
{
    static const char *const names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
    return type >= 0 && (size_t)type < COUNT(names) ? names[type] : "unknown";
}

static const char *format_name(loam_format type, char small[16])
{
    loam_format_info info;

    loam_format_info_init(&info);
    if (loam_format_describe(type, &info) == LOAM_OK) return info.name;
    snprintf(small, 16, "type %d", type);
    return small;
}

static uint64_t tensor_values(const loam_gguf_tensor *t)
{
    return t->dims[0] * t->dims[1] * t->dims[2] *
           t->dims[3]; /* checked when the container was opened */
}

static void count(total *to, const loam_gguf_tensor *t)
{
    to->tensors++;
    to->values += tensor_values(t);
    to->bytes += t->size_bytes;
}

static bool get_tensor(const inspect *x, size_t i, loam_gguf_tensor *tensor)
{
    loam_gguf_tensor_init(tensor);
    return loam_gguf_get_tensor(x->g, i, tensor) == LOAM_OK;
}

static bool get_meta(const inspect *x, size_t i, loam_gguf_meta *meta)
{
    loam_gguf_meta_init(meta);
    return loam_gguf_get_meta(x->g, i, meta) == LOAM_OK;
}

static void count_formats(inspect *x)
{
    loam_gguf_tensor tensor;

    for (size_t i = 0; i < loam_gguf_tensor_count(x->g); i++) {
        size_t f = 0;
        if (!get_tensor(x, i, &tensor)) continue;
        while (f < x->n_formats && x->formats[f].type != tensor.type)
            f++;
        if (f == x->n_formats && f < FORMATS) x->formats[x->n_formats++].type = tensor.type;
        if (f < FORMATS) count(&x->formats[f], &tensor);
        count(&x->all, &tensor);
    }
}

static double bits_per_weight(const total *t)
{
    return t->values ? 8.0 * (double)t->bytes / (double)t->values : 0;
}

static uint64_t shown_elements(const inspect *x, const loam_gguf_meta *meta)
{
    if (x->full || meta->type != LOAM_META_ARRAY || meta->count <= ARRAY_WHOLE) return meta->count;
    return ARRAY_FIRST;
}

/* The double whose shortest decimal is that of the float: 1e-05, not 9.99999974737875e-06. */
static double plain_float(double value)
{
    char digits[40];
    double found = value;

    for (int n = 1; n <= 9; n++) {
        snprintf(digits, sizeof digits, "%.*g", n, value);
        found = strtod(digits, NULL);
        if ((float)found == (float)value) break;
    }
    return found;
}

/* ---- one value ---- */

static json_t *json_number(const inspect *x, size_t i, uint64_t e, int32_t type)
{
    uint64_t natural;
    int64_t whole;
    double real;
    char digits[24];

    if (type == LOAM_META_F32 || type == LOAM_META_F64) {
        if (loam_gguf_get_f64(x->g, i, e, &real) != LOAM_OK || !isfinite(real)) return json_null();
        return json_real(type == LOAM_META_F32 ? plain_float(real) : real);
    }
    if (type == LOAM_META_BOOL)
        return loam_gguf_get_u64(x->g, i, e, &natural) == LOAM_OK ? json_boolean(natural)
                                                                  : json_null();
    if (loam_gguf_get_i64(x->g, i, e, &whole) == LOAM_OK) return json_integer(whole);
    if (loam_gguf_get_u64(x->g, i, e, &natural) != LOAM_OK) return json_null();
    snprintf(digits, sizeof digits, "%" PRIu64,
             natural); /* over 2^63: more than jansson's integers hold */
    return json_string(digits);
}

static json_t *json_element(const inspect *x, size_t i, uint64_t e, int32_t type)
{
    const char *string;
    size_t n;

    if (type != LOAM_META_STRING) return must(json_number(x, i, e, type));
    if (loam_gguf_get_string(x->g, i, e, &string, &n) != LOAM_OK) return json_null();
    return json_text(string, n);
}

/* ---- for programs ---- */

static json_t *json_meta(const inspect *x, size_t i, const loam_gguf_meta *meta)
{
    json_t *object = must(json_object()), *values;
    uint64_t shown = shown_elements(x, meta);

    put(object, "type", json_string(meta_type_name(meta->type)));
    if (meta->type != LOAM_META_ARRAY) {
        put(object, "value", json_element(x, i, 0, meta->type));
        return object;
    }
    values = must(json_array());
    for (uint64_t e = 0; e < shown; e++)
        append(values, json_element(x, i, e, meta->element_type));
    put(object, "element_type", json_string(meta_type_name(meta->element_type)));
    put_count(object, "count", meta->count);
    put(object, shown == meta->count ? "value" : "first", values);
    return object;
}

static json_t *json_tensor(const loam_gguf_tensor *t)
{
    json_t *object = must(json_object()), *dims = must(json_array());
    char small[16];

    for (uint32_t d = 0; d < t->n_dims; d++)
        append(dims, json_integer((json_int_t)t->dims[d]));
    put(object, "name", json_text(t->name, strlen(t->name)));
    put(object, "type", json_string(format_name(t->type, small)));
    put(object, "dims", dims);
    put_count(object, "bytes", t->size_bytes);
    put_count(object, "offset_bytes", t->offset_bytes);
    put_count(object, "part", t->part);
    return object;
}

static json_t *json_total(const total *t)
{
    json_t *object = must(json_object());

    put_count(object, "tensors", t->tensors);
    put_count(object, "values", t->values);
    put_count(object, "bytes", t->bytes);
    put(object, "bits_per_weight", json_real(bits_per_weight(t)));
    return object;
}

static void print_all_json(const inspect *x)
{
    json_t *object = must(json_object()), *metadata = must(json_object());
    json_t *tensors = must(json_array()), *formats = must(json_object());
    loam_gguf_tensor tensor;
    loam_gguf_meta meta;
    char small[16];

    for (size_t i = 0; i < loam_gguf_meta_count(x->g); i++) {
        if (!get_meta(x, i, &meta)) continue;
        text key = {0};
        text_add_valid(&key, meta.key, strlen(meta.key) + 1);
        put(metadata, key.p, json_meta(x, i, &meta));
        text_free(&key);
    }
    for (size_t i = 0; i < loam_gguf_tensor_count(x->g); i++)
        if (get_tensor(x, i, &tensor)) append(tensors, json_tensor(&tensor));
    for (size_t f = 0; f < x->n_formats; f++)
        put(formats, format_name(x->formats[f].type, small), json_total(&x->formats[f]));
    put_count(object, "version", loam_gguf_version(x->g));
    put_count(object, "parts", loam_gguf_parts(x->g));
    put(object, "metadata", metadata);
    put(object, "tensors", tensors);
    put(object, "formats", formats);
    put(object, "total", json_total(&x->all));
    print_json(object);
}

/* ---- for people ---- */

/* A prefix of at most `most` bytes that does not cut a character. */
static size_t whole_characters(const char *p, size_t n, size_t most)
{
    if (n <= most) return n;
    while (most > 0 && ((unsigned char)p[most] & 0xC0) == 0x80)
        most--;
    return most;
}

static void print_element(const inspect *x, size_t i, uint64_t e, int32_t type, size_t most)
{
    json_t *value = json_element(x, i, e, type);

    if (json_is_string(value)) {
        const char *string = json_string_value(value);
        size_t n = json_string_length(value),
               shown = x->full ? n : whole_characters(string, n, most);
        putchar('\'');
        print_clean(stdout, string, shown);
        putchar('\'');
        if (shown < n) printf("… (%zu bytes)", n);
    } else {
        char *line = must(json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)));
        fputs(line, stdout);
        free(line);
    }
    json_decref(value);
}

static void print_meta(const inspect *x, size_t i, const loam_gguf_meta *meta)
{
    uint64_t shown = shown_elements(x, meta);

    printf("  %-7s ", meta_type_name(meta->type));
    print_clean(stdout, meta->key, strlen(meta->key));
    fputs(" = ", stdout);
    if (meta->type != LOAM_META_ARRAY) {
        print_element(x, i, 0, meta->type, STRING_SHOWN);
        putchar('\n');
        return;
    }
    printf("%" PRIu64 " x %s [", meta->count, meta_type_name(meta->element_type));
    if (!x->full && shown > ARRAY_FIRST) shown = ARRAY_FIRST;
    for (uint64_t e = 0; e < shown; e++) {
        if (e) fputs(", ", stdout);
        print_element(x, i, e, meta->element_type, STRING_SHOWN / 4);
    }
    puts(shown < meta->count ? ", …]" : "]");
}

static void print_tensor(const loam_gguf_tensor *t)
{
    char small[16], dims[96], words[24];
    size_t n = 0;

    for (uint32_t d = 0; d < t->n_dims; d++)
        n +=
            (size_t)snprintf(dims + n, sizeof dims - n, d ? " x %" PRIu64 : "%" PRIu64, t->dims[d]);
    printf("  %-6s %20s %12s  ", format_name(t->type, small), dims,
           size_words(t->size_bytes, words));
    print_clean(stdout, t->name, strlen(t->name));
    putchar('\n');
}

static void print_total(const char *name, const total *t)
{
    char words[24];
    printf("  %-8s %6" PRIu64 " tensors %16" PRIu64 " values %12s  %.3f bits a weight\n", name,
           t->tensors, t->values, size_words(t->bytes, words), bits_per_weight(t));
}

static void print_all(const inspect *x)
{
    loam_gguf_tensor tensor;
    loam_gguf_meta meta;
    char small[16];

    printf("GGUF version %u, %zu part%s\n\nmetadata\n", loam_gguf_version(x->g),
           loam_gguf_parts(x->g), loam_gguf_parts(x->g) == 1 ? "" : "s");
    for (size_t i = 0; i < loam_gguf_meta_count(x->g); i++)
        if (get_meta(x, i, &meta)) print_meta(x, i, &meta);
    puts("\ntensors");
    for (size_t i = 0; i < loam_gguf_tensor_count(x->g); i++)
        if (get_tensor(x, i, &tensor)) print_tensor(&tensor);
    puts("\nformats");
    for (size_t f = 0; f < x->n_formats; f++)
        print_total(format_name(x->formats[f].type, small), &x->formats[f]);
    print_total("all", &x->all);
}

int verb_inspect(int argc, char **argv)
{
    inspect x = {0};
    const option own[] = {
        {"full", OPTION_FLAG, &x.full, NULL, "long arrays and strings whole"},
    };
    const usage u = {
        .synopsis = "inspect MODEL",
        .about = "Check a GGUF file, with its other parts if it is split, and print its\n"
                 "metadata, tensors and formats.",
        .groups = {{NULL, own, COUNT(own)}},
        .shared = &x.shared,
        .places = x.places,
        .least_places = 1,
        .most_places = 1,
    };
    int status = options_read(&u, argc, argv);

    if (status != READ_ON) return status;
    if (loam_gguf_open(x.places[0], NULL, &x.g) != LOAM_OK) {
        status = complain("%s", loam_gguf_error(x.g));
    } else {
        count_formats(&x);
        if (x.shared.json) print_all_json(&x);
        else print_all(&x);
        status = EXIT_DONE;
    }
    loam_gguf_close(x.g);
    return status;
}
