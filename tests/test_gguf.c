/* The container: what is read, from where, and what is refused with which status. */
#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz_gguf.c"

#include "lib/gguf/gguf.h"
#include "lib/gguf/index.h"
#include "lib/gguf/layout.h"
#include "lib/gguf/limits.h"

/* ---- a small writer ---- */

typedef struct image {
    uint8_t *p;
    size_t n, capacity;
    size_t data; /* where the tensor data begin */
} image;

static void put(image *m, const void *bytes, size_t n)
{
    if (m->n + n > m->capacity) {
        m->capacity = 2 * (m->n + n);
        m->p = realloc(m->p, m->capacity);
        assert_non_null(m->p);
    }
    if (n) memcpy(m->p + m->n, bytes, n);
    m->n += n;
}

static void put_number(image *m, uint64_t v, size_t n)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(v >> 8 * i);
    put(m, bytes, n);
}

static void put_zeros(image *m, size_t n)
{
    while (n--)
        put(m, "", 1);
}

static void put_bytes(image *m, const char *text, size_t n)
{
    put_number(m, n, 8);
    put(m, text, n);
}

static void put_text(image *m, const char *text)
{
    put_bytes(m, text, strlen(text));
}

static void put_start(image *m, uint32_t version, uint64_t n_tensors, uint64_t n_meta)
{
    m->n = 0;
    put(m, "GGUF", 4);
    put_number(m, version, 4);
    put_number(m, n_tensors, 8);
    put_number(m, n_meta, 8);
}

static void put_key(image *m, const char *key, uint32_t type)
{
    put_text(m, key);
    put_number(m, type, 4);
}

static void put_scalar(image *m, const char *key, uint32_t type, uint64_t v, size_t n)
{
    put_key(m, key, type);
    put_number(m, v, n);
}

static void put_array(image *m, const char *key, uint32_t type, uint64_t count)
{
    put_key(m, key, LOAM_META_ARRAY);
    put_number(m, type, 4);
    put_number(m, count, 8);
}

static void put_tensor(image *m, const char *name, uint32_t type, uint64_t offset, uint64_t dim0,
                       uint64_t dim1)
{
    put_text(m, name);
    put_number(m, 2, 4);
    put_number(m, dim0, 8);
    put_number(m, dim1, 8);
    put_number(m, type, 4);
    put_number(m, offset, 8);
}

/* The data section: padding, then n bytes that count up. */
static void put_data(image *m, size_t align, size_t n)
{
    put_zeros(m, (align - m->n % align) % align);
    m->data = m->n;
    for (size_t i = 0; i < n; i++)
        put_number(m, i, 1);
}

static void put_double(image *m, const char *key, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    put_scalar(m, key, LOAM_META_F64, bits, 8);
}

static void put_float(image *m, const char *key, float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    put_scalar(m, key, LOAM_META_F32, bits, 4);
}

#define SAMPLE_META 18

/* One of everything. */
static void put_sample(image *m, uint32_t version)
{
    put_start(m, version, 3, SAMPLE_META);
    put_scalar(m, "u8", LOAM_META_U8, 200, 1);
    put_scalar(m, "i8", LOAM_META_I8, (uint64_t)-100, 1);
    put_scalar(m, "u16", LOAM_META_U16, 60000, 2);
    put_scalar(m, "i16", LOAM_META_I16, (uint64_t)-30000, 2);
    put_scalar(m, "u32", LOAM_META_U32, 4000000000u, 4);
    put_scalar(m, "i32", LOAM_META_I32, (uint64_t)-2000000000, 4);
    put_scalar(m, "u64", LOAM_META_U64, UINT64_MAX, 8);
    put_scalar(m, "i64", LOAM_META_I64, (uint64_t)INT64_MIN, 8);
    put_float(m, "f32", 1.5f);
    put_double(m, "f64", 1e300);
    put_scalar(m, "yes", LOAM_META_BOOL, 1, 1);
    put_key(m, "text", LOAM_META_STRING);
    put_bytes(m, "a\0b", 3);
    put_array(m, "numbers", LOAM_META_I32, 3);
    put_number(m, 7, 4);
    put_number(m, (uint64_t)-8, 4);
    put_number(m, 9, 4);
    put_array(m, "words", LOAM_META_STRING, 3);
    put_text(m, "one");
    put_text(m, "");
    put_text(m, "three");
    put_array(m, "bools", LOAM_META_BOOL, 2);
    put_number(m, 0x0001, 2);
    put_array(m, "nested", LOAM_META_ARRAY, 2);
    put_number(m, LOAM_META_STRING, 4);
    put_number(m, 1, 8);
    put_text(m, "inner");
    put_number(m, LOAM_META_U8, 4);
    put_number(m, 2, 8);
    put_number(m, 0, 2);
    put_array(m, "none", LOAM_META_STRING, 0);
    put_scalar(m, "general.alignment", LOAM_META_U32, 64, 4);
    put_tensor(m, "a.weight", LOAM_TYPE_F32, 0, 4, 2);
    put_tensor(m, "b.weight", LOAM_TYPE_Q8_0, 64, 64, 1);
    put_text(m, "c.weight");
    put_number(m, 4, 4);
    for (uint64_t d = 1; d <= 4; d++)
        put_number(m, d, 8);
    put_number(m, 24, 4); /* I8 */
    put_number(m, 192, 8);
    put_data(m, 64, 192 + 24);
}

static loam_gguf *open_bytes(const uint8_t *p, size_t n, loam_status *st)
{
    loam_gguf *g;
    loam_source source;
    const loam_source *parts[] = {&source};
    loam_source_init(&source);
    source.data = p;
    source.size_bytes = n;
    *st = loam_gguf_open_sources(parts, 1, NULL, &g);
    assert_non_null(g);
    return g;
}

static loam_gguf *open_image(const image *m)
{
    loam_status st;
    loam_gguf *g = open_bytes(m->p, m->n, &st);
    if (st != LOAM_OK) fail_msg("%s", loam_gguf_error(g));
    return g;
}

/* ---- what is read ---- */

static void check_number(const loam_gguf *g, const char *key, uint64_t e, loam_status as_u64,
                         loam_status as_i64, loam_status as_f64, double value)
{
    uint64_t u = 0;
    int64_t s = 0;
    double d = 0;
    int64_t i = loam_gguf_find_meta(g, key);
    assert_true(i >= 0);
    assert_int_equal(loam_gguf_get_u64(g, (size_t)i, e, &u), as_u64);
    assert_int_equal(loam_gguf_get_i64(g, (size_t)i, e, &s), as_i64);
    assert_int_equal(loam_gguf_get_f64(g, (size_t)i, e, &d), as_f64);
    if (as_u64 == LOAM_OK) assert_true((double)u == value);
    if (as_i64 == LOAM_OK) assert_true((double)s == value);
    if (as_f64 == LOAM_OK) assert_true(d == value);
}

static void test_meta__every_type_in_both_versions(void **state)
{
    const loam_status no = LOAM_ERR_METADATA;
    image m = {0};
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        put_sample(&m, version);
        loam_gguf *g = open_image(&m);
        assert_int_equal(loam_gguf_version(g), version);
        assert_int_equal(loam_gguf_parts(g), 1);
        assert_int_equal(loam_gguf_meta_count(g), SAMPLE_META);
        check_number(g, "u8", 0, 0, 0, 0, 200);
        check_number(g, "i8", 0, no, 0, 0, -100);
        check_number(g, "u16", 0, 0, 0, 0, 60000);
        check_number(g, "i16", 0, no, 0, 0, -30000);
        check_number(g, "u32", 0, 0, 0, 0, 4000000000.0);
        check_number(g, "i32", 0, no, 0, 0, -2000000000.0);
        check_number(g, "u64", 0, 0, no, 0, 18446744073709551616.0);
        check_number(g, "i64", 0, no, 0, 0, -9223372036854775808.0);
        check_number(g, "f32", 0, no, no, 0, 1.5);
        check_number(g, "f64", 0, no, no, 0, 1e300);
        check_number(g, "yes", 0, 0, 0, no, 1);
        check_number(g, "text", 0, no, no, no, 0);
        check_number(g, "numbers", 1, no, 0, 0, -8);
        check_number(g, "numbers", 2, 0, 0, 0, 9);
        check_number(g, "bools", 0, 0, 0, no, 1);
        check_number(g, "bools", 1, 0, 0, no, 0);
        check_number(g, "nested", 1, no, no, no, 0);
        loam_gguf_close(g);
    }
    free(m.p);
}

static void test_meta__strings_and_their_lists(void **state)
{
    static const char *const words[] = {"one", "", "three"};
    const char *text;
    size_t n;
    loam_gguf_meta meta;
    image m = {0};
    (void)state;
    put_sample(&m, 3);
    loam_gguf *g = open_image(&m);
    size_t i = (size_t)loam_gguf_find_meta(g, "text");
    assert_int_equal(loam_gguf_get_string(g, i, 0, &text, &n), LOAM_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(text, "a\0b", 3);
    assert_int_equal(loam_gguf_get_string(g, i, 1, &text, &n), LOAM_ERR_ARG);
    i = (size_t)loam_gguf_find_meta(g, "words");
    loam_gguf_meta_init(&meta);
    assert_int_equal(loam_gguf_get_meta(g, i, &meta), LOAM_OK);
    assert_string_equal(meta.key, "words");
    assert_int_equal(meta.type, LOAM_META_ARRAY);
    assert_int_equal(meta.element_type, LOAM_META_STRING);
    assert_int_equal(meta.count, 3);
    for (size_t e = 0; e < 3; e++) {
        assert_int_equal(loam_gguf_get_string(g, i, e, &text, &n), LOAM_OK);
        assert_int_equal(n, strlen(words[e]));
        assert_memory_equal(text, words[e], n);
    }
    assert_int_equal(loam_gguf_get_string(g, i, 3, &text, &n), LOAM_ERR_ARG);
    i = (size_t)loam_gguf_find_meta(g, "nested");
    assert_int_equal(loam_gguf_get_meta(g, i, &meta), LOAM_OK);
    assert_int_equal(meta.element_type, LOAM_META_ARRAY);
    assert_int_equal(loam_gguf_get_string(g, i, 0, &text, &n), LOAM_ERR_METADATA);
    i = (size_t)loam_gguf_find_meta(g, "none");
    assert_int_equal(loam_gguf_get_string(g, i, 0, &text, &n), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_find_meta(g, "absent"), -1);
    loam_gguf_close(g);
    free(m.p);
}

static void test_tensors__shapes_places_and_bytes(void **state)
{
    static const uint64_t dims[3][4] = {{4, 2, 1, 1}, {64, 1, 1, 1}, {1, 2, 3, 4}};
    static const uint64_t offset[] = {0, 64, 192}, size[] = {32, 68, 24};
    static const uint32_t type[] = {LOAM_TYPE_F32, LOAM_TYPE_Q8_0, 24}, n_dims[] = {2, 2, 4};
    static const char *const name[] = {"a.weight", "b.weight", "c.weight"};
    image m = {0};
    (void)state;
    put_sample(&m, 3);
    loam_gguf *g = open_image(&m);
    assert_int_equal(loam_gguf_tensor_count(g), 3);
    for (size_t i = 0; i < 3; i++) {
        loam_gguf_tensor t;
        loam_gguf_tensor_init(&t);
        assert_int_equal(loam_gguf_find_tensor(g, name[i]), i);
        assert_int_equal(loam_gguf_get_tensor(g, i, &t), LOAM_OK);
        assert_string_equal(t.name, name[i]);
        assert_int_equal(t.type, type[i]);
        assert_int_equal(t.n_dims, n_dims[i]);
        assert_int_equal(t.part, 0);
        assert_memory_equal(t.dims, dims[i], sizeof dims[i]);
        assert_int_equal(t.offset_bytes, m.data + offset[i]);
        assert_int_equal(t.size_bytes, size[i]);
        assert_ptr_equal(t.data, m.p + m.data + offset[i]);
    }
    assert_int_equal(loam_gguf_find_tensor(g, "d.weight"), -1);
    loam_gguf_close(g);
    free(m.p);
}

static void test_layout__is_that_of_the_golden_formats(void **state)
{
    static const uint32_t types[] = {0,  1,  2,  3,  6,  7,  8,  10, 11, 12, 13, 14, 16, 17,
                                     18, 19, 20, 21, 22, 23, 29, 30, 34, 35, 39, 40, 41, 42};
    char path[PATH_MAX];
    struct stat info;
    (void)state;
    assert_null(loam__layout_find(4)); /* withdrawn */
    assert_null(loam__layout_find(UINT32_MAX));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const loam__layout *layout = loam__layout_find(types[i]);
        assert_non_null(layout);
        snprintf(path, sizeof path, SHARED("quant/%s.bin"), layout->name);
        if (stat(path, &info) != 0) skip();
        assert_int_equal(info.st_size, 16 * 512 / layout->block_values * layout->block_bytes);
    }
}

/* ---- scalars by key ---- */

static void test_want__absent_right_and_wrong(void **state)
{
    loam__base b;
    loam__gguf *g;
    loam_source source;
    const loam_source *parts[] = {&source};
    uint32_t u = 5;
    float f = 5;
    bool yes = false;
    const char *text = "unset";
    size_t n = 5;
    image m = {0};
    (void)state;
    put_sample(&m, 3);
    loam_source_init(&source);
    source.data = m.p;
    source.size_bytes = m.n;
    loam__base_init(&b, NULL);
    assert_int_equal(loam__gguf_open_sources(&b, parts, 1, &g), LOAM_OK);
    assert_int_equal(loam__gguf_want_u32(g, "absent", &u), LOAM_OK);
    assert_int_equal(loam__gguf_want_f32(g, "absent", &f), LOAM_OK);
    assert_int_equal(loam__gguf_want_bool(g, "absent", &yes), LOAM_OK);
    assert_int_equal(loam__gguf_want_string(g, "absent", &text, &n), LOAM_OK);
    assert_true(u == 5 && f == 5 && !yes && n == 5);
    assert_string_equal(text, "unset");

    assert_int_equal(loam__gguf_want_u32(g, "u32", &u), LOAM_OK);
    assert_int_equal(u, 4000000000u);
    assert_int_equal(loam__gguf_want_f32(g, "f32", &f), LOAM_OK);
    assert_true(f == 1.5f);
    assert_int_equal(loam__gguf_want_f32(g, "i16", &f), LOAM_OK);
    assert_true(f == -30000.0f);
    assert_int_equal(loam__gguf_want_bool(g, "yes", &yes), LOAM_OK);
    assert_true(yes);
    assert_int_equal(loam__gguf_want_string(g, "text", &text, &n), LOAM_OK);
    assert_int_equal(n, 3);

    static const char *const not_u32[] = {"i8", "u64", "f32", "yes", "text", "numbers"};
    for (size_t i = 0; i < sizeof not_u32 / sizeof *not_u32; i++) {
        assert_int_equal(loam__gguf_want_u32(g, not_u32[i], &u), LOAM_ERR_METADATA);
        assert_non_null(strstr(b.error, not_u32[i]));
    }
    assert_int_equal(loam__gguf_want_f32(g, "f64", &f), LOAM_ERR_METADATA); /* 1e300 */
    assert_int_equal(loam__gguf_want_f32(g, "text", &f), LOAM_ERR_METADATA);
    assert_int_equal(loam__gguf_want_bool(g, "u8", &yes), LOAM_ERR_METADATA);
    assert_int_equal(loam__gguf_want_string(g, "words", &text, &n), LOAM_ERR_METADATA);
    assert_int_equal(loam__gguf_want_string(g, "u8", &text, &n), LOAM_ERR_METADATA);
    loam__gguf_close(g);
    free(m.p);
}

static void test_want__lets_infinities_and_nan_through(void **state)
{
    loam__base b;
    loam__gguf *g;
    loam_source source;
    const loam_source *parts[] = {&source};
    float f = 0;
    image m = {0};
    (void)state;
    put_start(&m, 3, 0, 2);
    put_double(&m, "inf", (double)INFINITY);
    put_float(&m, "nan", NAN);
    loam_source_init(&source);
    source.data = m.p;
    source.size_bytes = m.n;
    loam__base_init(&b, NULL);
    assert_int_equal(loam__gguf_open_sources(&b, parts, 1, &g), LOAM_OK);
    assert_int_equal(loam__gguf_want_f32(g, "inf", &f), LOAM_OK);
    assert_true(isinf(f));
    assert_int_equal(loam__gguf_want_f32(g, "nan", &f), LOAM_OK);
    assert_true(isnan(f));
    loam__gguf_close(g);
    free(m.p);
}

/* ---- from where it is read ---- */

static void test_memory__may_have_any_alignment(void **state)
{
    image m = {0};
    (void)state;
    put_sample(&m, 3);
    uint8_t *room = malloc(m.n + 16);
    assert_non_null(room);
    for (size_t shift = 1; shift < 16; shift++) {
        loam_status st;
        memcpy(room + shift, m.p, m.n);
        loam_gguf *g = open_bytes(room + shift, m.n, &st);
        assert_int_equal(st, LOAM_OK);
        check_number(g, "u64", 0, 0, LOAM_ERR_METADATA, 0, 18446744073709551616.0);
        loam_gguf_close(g);
    }
    free(room);
    free(m.p);
}

typedef struct reader {
    const image *m;
    size_t calls, fail_at, bytes;
} reader;

static int32_t read_image(void *ctx, uint64_t offset, void *buffer, size_t n)
{
    reader *r = ctx;
    if (offset > r->m->n || n > r->m->n - offset) abort(); /* loam asks beyond the end */
    if (++r->calls == r->fail_at) return 5;
    r->bytes += n;
    memcpy(buffer, r->m->p + offset, n);
    return 0;
}

static loam_source reader_source(reader *r)
{
    loam_source source;
    loam_source_init(&source);
    source.size_bytes = r->m->n;
    source.ctx = r;
    source.read = read_image;
    return source;
}

/* A vocabulary that makes the header larger than what is fetched at first, and a large tensor. */
static void put_large(image *m)
{
    put_start(m, 3, 1, 2);
    put_array(m, "vocabulary", LOAM_META_STRING, 60000);
    for (int i = 0; i < 60000; i++) {
        char word[16];
        snprintf(word, sizeof word, "word %d", i);
        put_text(m, word);
    }
    put_scalar(m, "last", LOAM_META_U8, 1, 1);
    put_tensor(m, "t", LOAM_TYPE_F32, 0, 1024, 1024);
    put_data(m, 32, (size_t)4 << 20);
}

static void test_callback__fetches_the_header_and_no_more_than_twice_that(void **state)
{
    loam__base b;
    loam__gguf *g;
    loam_gguf_tensor t;
    const char *text;
    size_t n;
    uint64_t size;
    uint8_t bytes[8];
    image m = {0};
    (void)state;
    put_large(&m);
    reader r = {.m = &m};
    loam_source source = reader_source(&r);
    const loam_source *parts[] = {&source};
    loam__base_init(&b, NULL);
    assert_int_equal(loam__gguf_open_sources(&b, parts, 1, &g), LOAM_OK);
    assert_true(r.bytes <= 2 * m.data);
    assert_int_equal(loam__gguf_string(g, 0, 59999, &text, &n), LOAM_OK);
    assert_int_equal(n, 10);
    assert_memory_equal(text, "word 59999", 10);
    assert_int_equal(loam__gguf_string(g, 0, 0, &text, &n), LOAM_OK);
    assert_memory_equal(text, "word 0", 6);
    loam__gguf_tensor(g, 0, &t);
    assert_null(t.data);
    assert_null(loam__gguf_part_data(g, 0, &size));
    assert_int_equal(size, m.n);
    assert_int_equal(loam__gguf_read(g, 0, t.offset_bytes + 3, bytes, 8), LOAM_OK);
    assert_memory_equal(bytes, m.p + m.data + 3, 8);
    assert_int_equal(loam__gguf_read(g, 0, m.n - 7, bytes, 8), LOAM_ERR_INTERNAL);
    r.fail_at = r.calls + 1;
    assert_int_equal(loam__gguf_read(g, 0, 0, bytes, 8), LOAM_ERR_IO);
    assert_non_null(strstr(b.error, "failed with 5"));
    loam__gguf_close(g);
    free(m.p);
}

/* Strings of all lengths, so that the marks fall anywhere, then numbers of several types. */
static void put_lists(image *m)
{
    static const char dots[] = "..................................................";
    put_start(m, 3, 0, 5);
    put_array(m, "dots", LOAM_META_STRING, 20000);
    for (size_t i = 0; i < 20000; i++)
        put_bytes(m, dots, i % 50);
    put_array(m, "i32", LOAM_META_I32, 3);
    put_number(m, (uint64_t)-5, 4);
    put_number(m, 6, 4);
    put_number(m, 7, 4);
    put_array(m, "u64", LOAM_META_U64, 2);
    put_number(m, 2147483647, 8);
    put_number(m, 2147483648, 8);
    put_array(m, "f32", LOAM_META_F32, 2);
    put_number(m, 0x3F800000, 4);
    put_number(m, 0xC0000000, 4);
    put_array(m, "bool", LOAM_META_BOOL, 1);
    put_number(m, 1, 1);
}

static void check_lists(const loam__gguf *g)
{
    loam__strings strings = loam__gguf_strings(g, 0);
    uint64_t total = 0;
    int32_t ints[3] = {0};
    float floats[2] = {0};
    for (size_t e = 0; e < 20000; e++) {
        size_t n = 99, n_next = 99;
        const char *text = NULL, *next = loam__strings_next(&strings, &n_next);
        assert_int_equal(loam__gguf_string(g, 0, e, &text, &n), LOAM_OK);
        assert_int_equal(n, e % 50);
        assert_int_equal(n_next, n);
        assert_ptr_equal(next, text);
        total += n;
    }
    assert_int_equal(loam__gguf_text_bytes(g, 0), total);
    assert_int_equal(loam__gguf_i32s(g, 1, 0, 3, ints), LOAM_OK);
    assert_int_equal(ints[0], -5);
    assert_int_equal(ints[2], 7);
    assert_int_equal(loam__gguf_i32s(g, 2, 0, 1, ints), LOAM_OK);
    assert_int_equal(ints[0], INT32_MAX);
    assert_int_equal(loam__gguf_i32s(g, 2, 1, 1, ints), LOAM_ERR_METADATA); /* too large */
    assert_int_equal(loam__gguf_i32s(g, 3, 0, 2, ints), LOAM_ERR_METADATA);
    assert_int_equal(loam__gguf_i32s(g, 0, 0, 2, ints), LOAM_ERR_METADATA);
    assert_int_equal(loam__gguf_f32s(g, 3, 0, 2, floats), LOAM_OK);
    assert_true(floats[0] == 1.0f && floats[1] == -2.0f);
    assert_int_equal(loam__gguf_f32s(g, 1, 1, 2, floats), LOAM_OK);
    assert_true(floats[0] == 6.0f && floats[1] == 7.0f);
    assert_int_equal(loam__gguf_f32s(g, 4, 0, 1, floats), LOAM_ERR_METADATA);
}

static void test_lists__by_number_in_order_and_many_at_once(void **state)
{
    loam__base b;
    loam__gguf *g;
    image m = {0};
    (void)state;
    put_lists(&m);
    reader r = {.m = &m};
    loam_source fetched = reader_source(&r), whole = fetched;
    const loam_source *sources[] = {&fetched, &whole};
    whole.read = NULL;
    whole.data = m.p;
    loam__base_init(&b, NULL);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(loam__gguf_open_sources(&b, &sources[i], 1, &g), LOAM_OK);
        check_lists(g);
        loam__gguf_close(g);
    }
    free(m.p);
}

static void test_callback__every_failure_is_io(void **state)
{
    image m = {0};
    loam_status st = LOAM_ERR_IO;
    size_t at = 1;
    (void)state;
    put_large(&m);
    for (; st == LOAM_ERR_IO; at++) {
        loam_gguf *g;
        reader r = {.m = &m, .fail_at = at};
        loam_source source = reader_source(&r);
        const loam_source *parts[] = {&source};
        st = loam_gguf_open_sources(parts, 1, NULL, &g);
        if (st != LOAM_OK) assert_non_null(strstr(loam_gguf_error(g), "read()"));
        loam_gguf_close(g);
    }
    assert_int_equal(st, LOAM_OK);
    assert_true(at > 3); /* the header came in several pieces */
    free(m.p);
}

static void write_file(const char *path, const image *m)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    if (m->n) assert_int_equal(fwrite(m->p, 1, m->n, f), m->n);
    assert_int_equal(fclose(f), 0);
}

static loam_status open_path_status(const char *path, char *error, size_t n)
{
    loam_gguf *g;
    loam_status st = loam_gguf_open(path, NULL, &g);
    snprintf(error, n, "%s", loam_gguf_error(g));
    loam_gguf_close(g);
    return st;
}

static void test_file__opens_by_a_name_in_any_script(void **state)
{
    static const char path[] = LOAM_TEST_TMP "/gguf-Größe-模型-🦙.gguf";
    char error[512];
    image m = {0};
    (void)state;
    put_sample(&m, 3);
    write_file(path, &m);
    assert_int_equal(open_path_status(path, error, sizeof error), LOAM_OK);
    m.n = 100;
    write_file(path, &m);
    assert_int_equal(open_path_status(path, error, sizeof error), LOAM_ERR_TRUNCATED);
    assert_non_null(strstr(error, "模型-🦙"));
    remove(path);
    free(m.p);
}

static void test_file__a_long_path_leaves_room_for_the_reason(void **state)
{
    char path[PATH_MAX], error[512];
    image m = {0};
    (void)state;
    snprintf(path, sizeof path, "%s/", LOAM_TEST_TMP);
    for (int i = 0; i < 200; i++)
        strcat(path, "./");
    strcat(path, "gguf-long.gguf");
    put(&m, "GGUX", 4);
    write_file(path, &m);
    assert_int_equal(open_path_status(path, error, sizeof error), LOAM_ERR_MAGIC);
    assert_non_null(strstr(error, "gguf-long.gguf is not a GGUF file"));
    remove(path);
    free(m.p);
}

static void test_file__missing_directory_and_empty_differ(void **state)
{
    static const char path[] = LOAM_TEST_TMP "/gguf-empty.gguf";
    char error[512];
    image m = {0};
    (void)state;
    put(&m, "", 0);
    write_file(path, &m);
    assert_int_equal(open_path_status(path, error, sizeof error), LOAM_ERR_EMPTY);
    assert_int_equal(open_path_status(LOAM_TEST_TMP, error, sizeof error), LOAM_ERR_DIRECTORY);
    remove(path);
    assert_int_equal(open_path_status(path, error, sizeof error), LOAM_ERR_NOT_FOUND);
    assert_non_null(strstr(error, path));
    free(m.p);
}

/* ---- split models ---- */

#define SPLIT LOAM_TEST_TMP "/gguf-split"

/* Part no of count, with one tensor of its own; total is split.tensors.count. */
static void put_part(image *m, const char *tensor, uint16_t no, uint16_t count, uint32_t total)
{
    put_start(m, 3, 1, 4);
    put_scalar(m, "split.no", LOAM_META_U16, no, 2);
    put_scalar(m, "split.count", LOAM_META_U16, count, 2);
    put_scalar(m, "split.tensors.count", LOAM_META_I32, total, 4);
    put_key(m, "which", LOAM_META_STRING);
    put_text(m, tensor);
    put_tensor(m, tensor, LOAM_TYPE_F32, 0, 2, 1);
    put_data(m, 32, 8);
}

static void write_parts(image parts[3])
{
    static const char *const names[] = {"a", "b", "c"};
    for (uint16_t i = 0; i < 3; i++) {
        char path[PATH_MAX];
        put_part(&parts[i], names[i], i, 3, 3);
        snprintf(path, sizeof path, SPLIT "-0000%d-of-00003.gguf", i + 1);
        write_file(path, &parts[i]);
    }
}

static void drop_parts(image parts[3])
{
    for (int i = 0; i < 3; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, SPLIT "-0000%d-of-00003.gguf", i + 1);
        remove(path);
        free(parts[i].p);
    }
}

static void check_parts(const loam_gguf *g, const image parts[3])
{
    const char *text;
    size_t n;
    assert_int_equal(loam_gguf_parts(g), 3);
    assert_int_equal(loam_gguf_tensor_count(g), 3);
    assert_int_equal(loam_gguf_meta_count(g), 4); /* of the first part alone */
    assert_int_equal(loam_gguf_get_string(g, 3, 0, &text, &n), LOAM_OK);
    assert_memory_equal(text, "a", 1);
    for (size_t i = 0; i < 3; i++) {
        const char name[] = {(char)('a' + i), 0};
        loam_gguf_tensor t;
        loam_gguf_tensor_init(&t);
        assert_int_equal(loam_gguf_find_tensor(g, name), i);
        assert_int_equal(loam_gguf_get_tensor(g, i, &t), LOAM_OK);
        assert_int_equal(t.part, i);
        assert_int_equal(t.offset_bytes, parts[i].data);
        assert_memory_equal(t.data, parts[i].p + parts[i].data, 8);
    }
}

static void test_split__the_first_file_brings_the_others(void **state)
{
    char error[512];
    image parts[3] = {{0}};
    loam_gguf *g;
    (void)state;
    write_parts(parts);
    assert_int_equal(loam_gguf_open(SPLIT "-00001-of-00003.gguf", NULL, &g), LOAM_OK);
    check_parts(g, parts);
    loam_gguf_close(g);

    assert_int_equal(open_path_status(SPLIT "-00002-of-00003.gguf", error, sizeof error),
                     LOAM_ERR_ARG);
    assert_non_null(strstr(error, "-00001-of-00003.gguf"));

    write_file(SPLIT "-renamed.gguf", &parts[0]);
    assert_int_equal(open_path_status(SPLIT "-renamed.gguf", error, sizeof error), LOAM_ERR_ARG);
    assert_non_null(strstr(error, "names back"));
    remove(SPLIT "-renamed.gguf");

    remove(SPLIT "-00003-of-00003.gguf");
    assert_int_equal(open_path_status(SPLIT "-00001-of-00003.gguf", error, sizeof error),
                     LOAM_ERR_NOT_FOUND);
    assert_non_null(strstr(error, "gguf-split-00003-of-00003.gguf, part 3 of 3, is missing"));
    drop_parts(parts);
}

/* Open a model from these images in memory. */
static loam_status open_images(const image *const *images, size_t n, char *error, size_t capacity)
{
    loam_gguf *g;
    loam_source sources[4];
    const loam_source *parts[4];
    for (size_t i = 0; i < n; i++) {
        loam_source_init(&sources[i]);
        sources[i].data = images[i]->p;
        sources[i].size_bytes = images[i]->n;
        parts[i] = &sources[i];
    }
    loam_status st = loam_gguf_open_sources(parts, n, NULL, &g);
    if (st == LOAM_OK && n == 3) check_parts(g, images[0]);
    snprintf(error, capacity, "%s", loam_gguf_error(g));
    loam_gguf_close(g);
    return st;
}

static void test_split__sources_must_be_the_parts_in_order(void **state)
{
    char error[512];
    image p[3] = {{0}}, other = {0};
    const size_t room = sizeof error;
    (void)state;
    write_parts(p);
    assert_int_equal(open_images((const image *[]){&p[0], &p[1], &p[2]}, 3, error, room), LOAM_OK);
    assert_int_equal(open_images((const image *[]){&p[0], &p[1]}, 2, error, room), LOAM_ERR_ARG);
    assert_non_null(strstr(error, "2 sources are given, but the model has split.count 3"));
    assert_int_equal(open_images((const image *[]){&p[0]}, 1, error, room), LOAM_ERR_ARG);
    assert_int_equal(open_images((const image *[]){&p[1], &p[0], &p[2]}, 3, error, room),
                     LOAM_ERR_ARG);
    assert_int_equal(open_images((const image *[]){&p[0], &p[2], &p[1]}, 3, error, room),
                     LOAM_ERR_CORRUPT);
    assert_non_null(strstr(error, "source 2 of 3"));
    put_part(&other, "b", 1, 3, 4); /* of another model */
    assert_int_equal(open_images((const image *[]){&p[0], &other, &p[2]}, 3, error, room),
                     LOAM_ERR_CORRUPT);
    put_part(&other, "a", 1, 3, 3); /* a name that the first part has too */
    assert_int_equal(open_images((const image *[]){&p[0], &other, &p[2]}, 3, error, room),
                     LOAM_ERR_CORRUPT);
    assert_non_null(strstr(error, "twice"));
    free(other.p);
    drop_parts(p);
}

static void test_split__counts_must_agree(void **state)
{
    char error[512];
    image a = {0}, b = {0};
    const image *both[] = {&a, &b};
    (void)state;
    put_part(&a, "a", 0, 2, 3);
    put_part(&b, "b", 1, 2, 3);
    assert_int_equal(open_images(both, 2, error, sizeof error), LOAM_ERR_CORRUPT);
    assert_non_null(strstr(error, "2 tensors instead of 3"));
    put_part(&a, "a", 2, 2, 2);
    assert_int_equal(open_images(both, 2, error, sizeof error), LOAM_ERR_CORRUPT);
    put_part(&a, "a", 0, 2000, 2);
    assert_int_equal(open_images(both, 1, error, sizeof error), LOAM_ERR_LIMIT);
    put_part(&a, "a", 0, 0, 1); /* as merged models say it */
    assert_int_equal(open_images(both, 1, error, sizeof error), LOAM_OK);
    put_start(&a, 3, 0, 1);
    put_key(&a, "split.count", LOAM_META_STRING);
    put_text(&a, "two");
    assert_int_equal(open_images(both, 1, error, sizeof error), LOAM_ERR_CORRUPT);
    free(a.p);
    free(b.p);
}

/* ---- what is refused ---- */

static void check_refused(const image *m, loam_status status, const char *word)
{
    loam_status st;
    uint8_t *exact = malloc(m->n); /* so that a sanitizer sees a read beyond the end */
    assert_non_null(exact);
    memcpy(exact, m->p, m->n);
    loam_gguf *g = open_bytes(exact, m->n, &st);
    if (st != status || !strstr(loam_gguf_error(g), word))
        fail_msg("%s instead of %s with '%s': %s", loam_status_name(st), loam_status_name(status),
                 word, loam_gguf_error(g));
    assert_int_equal(loam_gguf_meta_count(g), 0);
    loam_gguf_close(g);
    free(exact);
}

static void test_magic__says_what_the_file_seems_to_be(void **state)
{
    static const struct {
        const char *bytes, *word;
    } cases[] = {
        {"<!DOCTYPE html>", "web page"},
        {"PK\3\4..........", "zip"},
        {"\x40\1......{\"__metadata__\":", "safetensors"},
        {"version https://git-lfs", "git lfs"},
        {"{\"error\":\"denied\"}", "JSON"},
        {"\x1f\x8b........", "gzip"},
        {"tjgg............", "before GGUF"},
        {"Hello", "48 65 6c 6c"},
        {"X", "58"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        image m = {0};
        put(&m, cases[i].bytes, strlen(cases[i].bytes));
        check_refused(&m, LOAM_ERR_MAGIC, cases[i].word);
        free(m.p);
    }
}

static void test_version__others_and_the_other_byte_order(void **state)
{
    static const uint32_t others[] = {0, 1, 4, 100};
    image m = {0};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        put_start(&m, others[i], 0, 0);
        check_refused(&m, LOAM_ERR_VERSION, "2 and 3");
    }
    for (uint32_t version = 1; version <= 3; version++) {
        put_start(&m, version << 24, 0, 0);
        check_refused(&m, LOAM_ERR_ENDIAN, "big-endian");
    }
    free(m.p);
}

static void test_meta__damage_is_named(void **state)
{
    image m = {0};
    (void)state;
    put_start(&m, 3, 0, 1);
    put_scalar(&m, "k", LOAM_META_BOOL, 2, 1);
    check_refused(&m, LOAM_ERR_CORRUPT, "'k' has a boolean of value 2");

    put_start(&m, 3, 0, 1);
    put_array(&m, "k", LOAM_META_BOOL, 3);
    put_number(&m, 0xff0001, 3);
    check_refused(&m, LOAM_ERR_CORRUPT, "255");

    put_start(&m, 3, 0, 1);
    put_scalar(&m, "k", 13, 0, 8);
    check_refused(&m, LOAM_ERR_CORRUPT, "value type 13");

    put_start(&m, 3, 0, 1);
    put_array(&m, "k", 99, 1);
    put_number(&m, 0, 8);
    check_refused(&m, LOAM_ERR_CORRUPT, "value type 99");

    put_start(&m, 3, 0, 2);
    put_scalar(&m, "k\n", LOAM_META_U8, 1, 1);
    put_scalar(&m, "k\n", LOAM_META_U8, 2, 1);
    check_refused(&m, LOAM_ERR_CORRUPT, "'k?' is there twice");

    put_start(&m, 3, 0, 1);
    put_bytes(&m, "a\0b", 3);
    put_number(&m, LOAM_META_U8, 4);
    put_number(&m, 0, 8);
    check_refused(&m, LOAM_ERR_CORRUPT, "NUL");

    put_start(&m, 3, 0, 1);
    put_scalar(&m, "", LOAM_META_U8, 1, 8);
    check_refused(&m, LOAM_ERR_CORRUPT, "empty name");
    free(m.p);
}

static void put_nested(image *m, unsigned depth)
{
    put_start(m, 3, 0, 1);
    put_key(m, "k", LOAM_META_ARRAY);
    for (unsigned i = 1; i < depth; i++) {
        put_number(m, LOAM_META_ARRAY, 4);
        put_number(m, 1, 8);
    }
    put_number(m, LOAM_META_U8, 4);
    put_number(m, 1, 8);
    put_number(m, 7, 1);
}

static void test_meta__arrays_nest_to_a_limit(void **state)
{
    image m = {0};
    (void)state;
    put_nested(&m, LOAM__GGUF_DEPTH_MAX);
    loam_gguf_close(open_image(&m));
    put_nested(&m, LOAM__GGUF_DEPTH_MAX + 1);
    check_refused(&m, LOAM_ERR_LIMIT, "nests");
    put_nested(&m, 100000);
    check_refused(&m, LOAM_ERR_LIMIT, "nests");
    put_nested(&m, 3); /* damage in the innermost is found too */
    m.n -= 13;
    put_number(&m, LOAM_META_BOOL, 4);
    put_number(&m, 1, 8);
    put_number(&m, 9, 1);
    check_refused(&m, LOAM_ERR_CORRUPT, "boolean of value 9");
    free(m.p);
}

static void test_meta__alignment_is_a_sane_power_of_two(void **state)
{
    static const uint64_t wrong[] = {0, 1, 4, 24, 33, 1u << 21, 1u << 31};
    image m = {0};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put_start(&m, 3, 0, 1);
        put_scalar(&m, "general.alignment", LOAM_META_U32, wrong[i], 4);
        check_refused(&m, LOAM_ERR_CORRUPT, "general.alignment");
    }
    for (uint64_t align = LOAM__GGUF_ALIGN_MIN; align <= 4096; align *= 2) {
        put_start(&m, 3, 0, 1);
        put_scalar(&m, "general.alignment", LOAM_META_U32, align, 4);
        loam_gguf_close(open_image(&m));
    }
    put_start(&m, 3, 0, 1);
    put_float(&m, "general.alignment", 32.0f);
    check_refused(&m, LOAM_ERR_CORRUPT, "general.alignment");
    put_start(&m, 3, 0, 1);
    put_array(&m, "general.alignment", LOAM_META_U64, 0); /* nothing to read behind it */
    check_refused(&m, LOAM_ERR_CORRUPT, "general.alignment");
    free(m.p);
}

/* A file with one tensor, and n bytes of data. */
static void put_one(image *m, uint32_t type, uint64_t offset, uint64_t dim0, uint64_t dim1,
                    size_t n)
{
    put_start(m, 3, 1, 0);
    put_tensor(m, "the.tensor", type, offset, dim0, dim1);
    put_data(m, 32, n);
}

static void test_tensors__damage_is_named(void **state)
{
    image m = {0};
    (void)state;
    put_one(&m, LOAM_TYPE_F32, 0, 4, 0, 64);
    check_refused(&m, LOAM_ERR_CORRUPT, "'the.tensor' has a dimension of 0");
    put_one(&m, LOAM_TYPE_F32, 0, (uint64_t)1 << 32, (uint64_t)1 << 32, 64);
    check_refused(&m, LOAM_ERR_CORRUPT, "more values");
    put_one(&m, 28, 0, (uint64_t)1 << 31, (uint64_t)1 << 31, 64); /* F64 */
    check_refused(&m, LOAM_ERR_CORRUPT, "more bytes");
    put_one(&m, LOAM_TYPE_F32, 0, (uint64_t)1 << 31, (uint64_t)1 << 30, 64);
    check_refused(&m, LOAM_ERR_TRUNCATED, "missing");
    put_one(&m, 77, 0, 4, 1, 64);
    check_refused(&m, LOAM_ERR_TENSOR_TYPE, "'the.tensor' has number format 77");
    put_one(&m, LOAM_TYPE_Q8_0, 0, 33, 1, 64);
    check_refused(&m, LOAM_ERR_TENSOR_SHAPE, "'the.tensor' has rows of 33 values");
    put_one(&m, LOAM_TYPE_Q4_K, 0, 128, 2, 144);
    check_refused(&m, LOAM_ERR_TENSOR_SHAPE, "Q4_K packs them by 256");
    put_one(&m, LOAM_TYPE_F32, 16, 4, 1, 64);
    check_refused(&m, LOAM_ERR_CORRUPT, "multiple of general.alignment");
    put_one(&m, LOAM_TYPE_F32, UINT64_MAX - 31, 16, 1, 64);
    check_refused(&m, LOAM_ERR_CORRUPT, "ends beyond");
    put_one(&m, LOAM_TYPE_F32, 32, 16, 1, 64);
    check_refused(&m, LOAM_ERR_TRUNCATED, "32 are missing");

    put_start(&m, 3, 1, 0);
    put_text(&m, "t");
    put_number(&m, 0, 4);
    put_zeros(&m, 60);
    check_refused(&m, LOAM_ERR_CORRUPT, "no dimensions");
    m.n -= 64;
    put_number(&m, 5, 4);
    put_zeros(&m, 60);
    check_refused(&m, LOAM_ERR_LIMIT, "5 dimensions");
    free(m.p);
}

static void test_tensors__must_not_share_names_or_bytes(void **state)
{
    image m = {0};
    (void)state;
    put_start(&m, 3, 2, 0);
    put_tensor(&m, "t", LOAM_TYPE_F32, 0, 4, 1);
    put_tensor(&m, "t", LOAM_TYPE_F32, 32, 4, 1);
    put_data(&m, 32, 64);
    check_refused(&m, LOAM_ERR_CORRUPT, "'t' is there twice");

    put_start(&m, 3, 4, 0);
    put_tensor(&m, "d", LOAM_TYPE_F32, 96, 4, 1);
    put_tensor(&m, "c", LOAM_TYPE_F32, 32, 9, 1);
    put_tensor(&m, "a", LOAM_TYPE_F32, 0, 4, 1);
    put_tensor(&m, "b", LOAM_TYPE_F32, 64, 4, 1);
    put_data(&m, 32, 128);
    check_refused(&m, LOAM_ERR_CORRUPT, "'c' and 'b' overlap");
    free(m.p);
}

static void test_tensors__may_lie_in_any_order_with_gaps(void **state)
{
    image m = {0};
    (void)state;
    put_start(&m, 3, 3, 0);
    put_tensor(&m, "c", LOAM_TYPE_F32, 128, 8, 1);
    put_tensor(&m, "a", LOAM_TYPE_F32, 0, 8, 1);
    put_tensor(&m, "b", LOAM_TYPE_F32, 64, 4, 1);
    put_data(&m, 32, 160);
    loam_gguf_close(open_image(&m));
    free(m.p);
}

/* ---- damage of every kind ---- */

static void test_truncation__is_never_ok(void **state)
{
    image m = {0};
    (void)state;
    put_sample(&m, 3);
    for (size_t n = 1; n < m.n; n++) {
        loam_status st;
        uint8_t *cut = malloc(n);
        assert_non_null(cut);
        memcpy(cut, m.p, n);
        loam_gguf_close(open_bytes(cut, n, &st));
        assert_int_equal(st, LOAM_ERR_TRUNCATED);
        LLVMFuzzerTestOneInput(cut, n);
        free(cut);
    }
    free(m.p);
}

static void test_mutation__never_harms(void **state)
{
    image m = {0};
    (void)state;
    put_sample(&m, 3);
    uint8_t *copy = malloc(m.n);
    assert_non_null(copy);
    for (size_t i = 0; i < m.data; i++) {
        const uint8_t was = m.p[i], less = (uint8_t)(was - 1), more = (uint8_t)(was + 1);
        const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff, less, more, was ^ 0x20};
        for (size_t v = 0; v < sizeof values; v++) {
            memcpy(copy, m.p, m.n);
            copy[i] = values[v];
            LLVMFuzzerTestOneInput(copy, m.n);
        }
    }
    free(copy);
    free(m.p);
}

static void test_hostile__counts_allocate_nothing(void **state)
{
    static const size_t at[] = {8, 16, 24, 41}; /* tensors, entries, a key's and a list's length */
    static const uint64_t counts[] = {
        3000,      1u << 16, 1u << 20, (uint64_t)1 << 30, (uint64_t)1 << 40, (uint64_t)1 << 60,
        UINT64_MAX};
    image m = {0};
    (void)state;
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            fault_heap heap = {0};
            loam_hooks hooks;
            loam_gguf *g;
            put_start(&m, 3, 0, 1);
            put_array(&m, "k", LOAM_META_STRING, 1);
            put_text(&m, "v");
            put_zeros(&m, 4000); /* enough for 3000 bytes, not for 3000 of anything larger */
            for (size_t k = 0; k < 8; k++)
                m.p[at[i] + k] = (uint8_t)(counts[c] >> 8 * k);
            reader r = {.m = &m};
            loam_source source = reader_source(&r);
            const loam_source *parts[] = {&source};
            loam_hooks_init(&hooks);
            hooks.alloc = fault_alloc;
            hooks.alloc_ctx = &heap;
            loam_status st = loam_gguf_open_sources(parts, 1, &hooks, &g);
            assert_true(st == LOAM_ERR_LIMIT || st == LOAM_ERR_TRUNCATED || st == LOAM_ERR_CORRUPT);
            assert_true(heap.peak_bytes < 32768);
            loam_gguf_close(g);
            assert_int_equal(heap.live_bytes, 0);
        }
    }
    free(m.p);
}

/* The first bytes of a reader's image, then zeros without end. */
static int32_t read_zeros(void *ctx, uint64_t offset, void *buffer, size_t n)
{
    reader *r = ctx;
    size_t kept = offset < r->m->n ? r->m->n - (size_t)offset : 0;
    if (kept > n) kept = n;
    memset(buffer, 0, n);
    if (kept) memcpy(buffer, r->m->p + offset, kept);
    r->bytes += n;
    return 0;
}

static void test_hostile__a_header_over_the_limit_is_not_fetched(void **state)
{
    image m = {0};
    reader r = {.m = &m};
    loam_gguf *g;
    (void)state;
    put_start(&m, 3, 0, 1);
    put_array(&m, "k", LOAM_META_U8, LOAM__GGUF_HEADER_MAX - 16);
    loam_source source = reader_source(&r);
    const loam_source *parts[] = {&source};
    source.size_bytes = (uint64_t)1 << 40;
    source.read = read_zeros;
    assert_int_equal(loam_gguf_open_sources(parts, 1, NULL, &g), LOAM_ERR_LIMIT);
    assert_non_null(strstr(loam_gguf_error(g), "beyond loam's limit"));
    assert_true(r.bytes <= 1u << 20);
    loam_gguf_close(g);
    free(m.p);
}

static void test_hostile__names_have_a_limit(void **state)
{
    static char name[LOAM__GGUF_KEY_MAX + 2];
    image m = {0};
    (void)state;
    memset(name, 'n', sizeof name - 1);
    put_start(&m, 3, 0, 1);
    put_scalar(&m, name, LOAM_META_U8, 1, 1);
    check_refused(&m, LOAM_ERR_LIMIT, "65535");
    put_start(&m, 3, 0, 1);
    put_scalar(&m, name + 1, LOAM_META_U8, 1, 1);
    loam_gguf_close(open_image(&m));
    name[LOAM__GGUF_NAME_MAX + 1] = 0;
    put_start(&m, 3, 1, 0);
    put_tensor(&m, name, LOAM_TYPE_F32, 0, 4, 1);
    put_data(&m, 32, 16);
    check_refused(&m, LOAM_ERR_LIMIT, "255");
    put_start(&m, 3, 1, 0);
    put_tensor(&m, name + 1, LOAM_TYPE_F32, 0, 4, 1);
    put_data(&m, 32, 16);
    loam_gguf_close(open_image(&m));
    free(m.p);
}

/* As the index hashes names: who wants to slow it down can do so too. */
static uint32_t fnv(const char *name)
{
    uint64_t h = 14695981039346656037u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    return (uint32_t)(h ^ h >> 32);
}

static void test_hostile__names_made_to_collide_are_refused(void **state)
{
    image m = {0};
    (void)state;
    put_start(&m, 3, 0, 50);
    for (uint32_t i = 0, found = 0; found < 50; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", (unsigned)i);
        if (fnv(key) % 64 != 9) continue; /* 64 chains for 50 names */
        put_scalar(&m, key, LOAM_META_U8, 0, 1);
        found++;
    }
    check_refused(&m, LOAM_ERR_LIMIT, "collides");
    free(m.p);
}

static void test_index__finds_each_of_many_names(void **state)
{
    static char names[20000][12];
    loam__base b;
    loam__index ix;
    (void)state;
    loam__base_init(&b, NULL);
    assert_int_equal(loam__index_init(&b, &ix, 20000), LOAM_OK);
    for (uint32_t i = 0; i < 20000; i++) {
        snprintf(names[i], sizeof names[i], "blk.%u", (unsigned)i);
        assert_int_equal(loam__index_add(&ix, names[i]), LOAM_OK);
    }
    assert_int_equal(loam__index_add(&ix, "blk.777"), LOAM_ERR_CORRUPT);
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(loam__index_find(&ix, names[i]), i);
    assert_int_equal(loam__index_find(&ix, "blk.20000"), -1);
    loam__index_free(&b, &ix);
}

/* ---- the host's memory and arguments ---- */

typedef loam_status (*opener)(const loam_hooks *hooks, loam_gguf **out, void *ctx);

static void survive_every_failure(opener open, void *ctx)
{
    loam_status st = LOAM_ERR_NOMEM;
    size_t n = 1;
    for (; st == LOAM_ERR_NOMEM; n++) {
        fault_heap heap = {.fail_at = n};
        loam_hooks hooks;
        loam_gguf *g = NULL;
        loam_hooks_init(&hooks);
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = &heap;
        st = open(&hooks, &g, ctx);
        assert_true(st == LOAM_OK || st == LOAM_ERR_NOMEM);
        if (st != LOAM_OK && g) assert_int_not_equal(loam_gguf_error(g)[0], 0);
        loam_gguf_close(g);
        assert_int_equal(heap.live_bytes, 0);
    }
    assert_true(n > 5);
}

static loam_status open_reader(const loam_hooks *hooks, loam_gguf **out, void *ctx)
{
    reader r = {.m = ctx};
    loam_source source = reader_source(&r);
    const loam_source *parts[] = {&source};
    return loam_gguf_open_sources(parts, 1, hooks, out);
}

static loam_status open_split(const loam_hooks *hooks, loam_gguf **out, void *ctx)
{
    return loam_gguf_open(ctx, hooks, out);
}

static void test_open__survives_every_failed_allocation(void **state)
{
    image m = {0}, parts[3] = {{0}};
    char first[] = SPLIT "-00001-of-00003.gguf";
    (void)state;
    put_sample(&m, 3);
    survive_every_failure(open_reader, &m);
    put_large(&m);
    survive_every_failure(open_reader, &m);
    write_parts(parts);
    survive_every_failure(open_split, first);
    drop_parts(parts);
    free(m.p);
}

static void test_arguments__null_and_wrong_are_refused(void **state)
{
    loam_gguf *g = (loam_gguf *)&g;
    loam_source source;
    const loam_source *parts[] = {&source, NULL};
    loam_hooks hooks = {0};
    (void)state;
    assert_int_equal(loam_gguf_open(NULL, NULL, &g), LOAM_ERR_ARG);
    assert_null(g);
    assert_int_equal(loam_gguf_open("x", NULL, NULL), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_open_sources(NULL, 1, NULL, &g), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_open_sources(parts, 1, NULL, NULL), LOAM_ERR_ARG);

    loam_source_init(&source);
    source.size_bytes = 4;
    static const struct {
        size_t n;
        const char *word;
    } wrong[] = {{0, "1 to 1024"}, {1, "neither data nor read"}, {5000, "5000"}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(loam_gguf_open_sources(parts, wrong[i].n, NULL, &g), LOAM_ERR_ARG);
        assert_non_null(strstr(loam_gguf_error(g), wrong[i].word));
        loam_gguf_close(g);
    }
    source.data = "GGUF";
    assert_int_equal(loam_gguf_open_sources(parts, 2, NULL, &g), LOAM_ERR_ARG);
    assert_non_null(strstr(loam_gguf_error(g), "source 2 of 2 is NULL"));
    loam_gguf_close(g);
    source.size_bytes = 0;
    assert_int_equal(loam_gguf_open_sources(parts, 1, NULL, &g), LOAM_ERR_EMPTY);
    loam_gguf_close(g);
    source.flags = 1;
    assert_int_equal(loam_gguf_open_sources(parts, 1, NULL, &g), LOAM_ERR_NEWER);
    loam_gguf_close(g);
    assert_int_equal(loam_gguf_open("x", &hooks, &g), LOAM_ERR_ARG); /* no struct_size */
    assert_non_null(strstr(loam_gguf_error(g), "loam_hooks_init"));
    loam_gguf_close(g);
}

static void check_empty(const loam_gguf *g)
{
    loam_gguf_meta meta;
    loam_gguf_tensor tensor;
    uint64_t u;
    int64_t s;
    double d;
    const char *text;
    size_t n;
    loam_gguf_meta_init(&meta);
    loam_gguf_tensor_init(&tensor);
    assert_int_equal(loam_gguf_version(g), 0);
    assert_int_equal(loam_gguf_parts(g), 0);
    assert_int_equal(loam_gguf_meta_count(g), 0);
    assert_int_equal(loam_gguf_tensor_count(g), 0);
    assert_int_equal(loam_gguf_get_meta(g, 0, &meta), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_get_tensor(g, 0, &tensor), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_find_meta(g, "k"), -1);
    assert_int_equal(loam_gguf_find_tensor(g, "t"), -1);
    assert_int_equal(loam_gguf_get_u64(g, 0, 0, &u), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_get_i64(g, 0, 0, &s), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_get_f64(g, 0, 0, &d), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_get_string(g, 0, 0, &text, &n), LOAM_ERR_ARG);
    assert_int_not_equal(loam_gguf_error(g)[0], 0);
}

static void test_accessors__are_safe_on_null_and_failed_handles(void **state)
{
    loam_gguf *g;
    (void)state;
    check_empty(NULL);
    loam_gguf_close(NULL);
    assert_int_equal(loam_gguf_open(LOAM_TEST_TMP "/no-such.gguf", NULL, &g), LOAM_ERR_NOT_FOUND);
    check_empty(g);
    loam_gguf_close(g);
}

static void test_accessors__fill_structs_of_any_age(void **state)
{
    struct {
        loam_gguf_meta meta;
        uint64_t later;
    } newer;
    loam_gguf_meta older;
    image m = {0};
    (void)state;
    put_sample(&m, 3);
    loam_gguf *g = open_image(&m);
    memset(&newer, 0xff, sizeof newer);
    newer.meta.struct_size = sizeof newer;
    assert_int_equal(loam_gguf_get_meta(g, 0, &newer.meta), LOAM_OK);
    assert_int_equal(newer.meta.struct_size, sizeof newer);
    assert_string_equal(newer.meta.key, "u8");
    assert_int_equal(newer.later, 0);
    loam_gguf_meta_init(&older);
    older.struct_size = 8;
    assert_int_equal(loam_gguf_get_meta(g, 0, &older), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_get_meta(g, 0, NULL), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_get_u64(g, 0, 0, NULL), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_get_string(g, 11, 0, NULL, NULL), LOAM_ERR_ARG);
    assert_int_equal(loam_gguf_find_meta(g, NULL), -1);
    loam_gguf_close(g);
    free(m.p);
}

/* ---- real files ---- */

static size_t each_file(const char *folder, const char *ending, void (*visit)(const char *path))
{
    size_t n = 0;
    DIR *dir = opendir(folder);
    if (!dir) return 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[PATH_MAX];
        size_t length = strlen(e->d_name), m = strlen(ending);
        if (e->d_name[0] == '.' || length < m || strcmp(e->d_name + length - m, ending) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        visit(path);
        n++;
    }
    closedir(dir);
    return n;
}

static image read_file(const char *path)
{
    image m = {0};
    uint8_t piece[65536];
    size_t n;
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        put(&m, piece, n);
    fclose(f);
    return m;
}

/* Writers leave no gap but padding, so the tensors end where the next begins, and the last with the
 * file. */
static void check_tiles(const char *path)
{
    loam_gguf *g;
    struct stat info;
    uint64_t end = 0;
    const uint64_t align = 32;
    loam_status st = loam_gguf_open(path, NULL, &g);
    if (st != LOAM_OK) fail_msg("%s", loam_gguf_error(g));
    for (size_t i = 0; i < loam_gguf_tensor_count(g); i++) {
        loam_gguf_tensor t;
        loam_gguf_tensor_init(&t);
        assert_int_equal(loam_gguf_get_tensor(g, i, &t), LOAM_OK);
        if (i) assert_int_equal(t.offset_bytes, (end + align - 1) / align * align);
        end = t.offset_bytes + t.size_bytes;
    }
    assert_int_equal(stat(path, &info), 0);
    if (loam_gguf_tensor_count(g))
        assert_true((uint64_t)info.st_size >= end && (uint64_t)info.st_size - end < align);
    loam_gguf_close(g);
}

static void test_golden__tensors_tile_each_file(void **state)
{
    size_t n = each_file(SHARED("models/tiny"), ".gguf", check_tiles);
    n += each_file(SHARED("models/quant"), ".gguf", check_tiles);
    n += each_file(SHARED("tokenizer/vocab"), ".gguf", check_tiles);
    (void)state;
    if (n == 0) skip();
}

static void walk_file(const char *path)
{
    image m = read_file(path);
    LLVMFuzzerTestOneInput(m.p, m.n);
    free(m.p);
}

static void test_golden__memory_and_callbacks_agree(void **state)
{
    (void)state;
    if (each_file(SHARED("tokenizer/vocab"), ".gguf", walk_file) == 0) skip();
}

static void cut_file(const char *path)
{
    image m = read_file(path);
    for (size_t i = 1; i < 64; i++) {
        loam_status st;
        loam_gguf_close(open_bytes(m.p, m.n / 64 * i, &st));
        assert_int_equal(st, LOAM_ERR_TRUNCATED);
    }
    free(m.p);
}

static void test_golden__cut_at_every_64th_is_truncated(void **state)
{
    (void)state;
    if (each_file(SHARED("models/tiny"), "3.gguf", cut_file) == 0) skip();
}

static void test_corpus__of_the_fuzzer_is_harmless(void **state)
{
    (void)state;
    assert_true(each_file(LOAM_SOURCE "/tests/fuzz/corpus/gguf", "", walk_file) > 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_meta__every_type_in_both_versions),
    cmocka_unit_test(test_meta__strings_and_their_lists),
    cmocka_unit_test(test_tensors__shapes_places_and_bytes),
    cmocka_unit_test(test_layout__is_that_of_the_golden_formats),
    cmocka_unit_test(test_want__absent_right_and_wrong),
    cmocka_unit_test(test_want__lets_infinities_and_nan_through),
    cmocka_unit_test(test_memory__may_have_any_alignment),
    cmocka_unit_test(test_callback__fetches_the_header_and_no_more_than_twice_that),
    cmocka_unit_test(test_callback__every_failure_is_io),
    cmocka_unit_test(test_lists__by_number_in_order_and_many_at_once),
    cmocka_unit_test(test_file__opens_by_a_name_in_any_script),
    cmocka_unit_test(test_file__a_long_path_leaves_room_for_the_reason),
    cmocka_unit_test(test_file__missing_directory_and_empty_differ),
    cmocka_unit_test(test_split__the_first_file_brings_the_others),
    cmocka_unit_test(test_split__sources_must_be_the_parts_in_order),
    cmocka_unit_test(test_split__counts_must_agree),
    cmocka_unit_test(test_magic__says_what_the_file_seems_to_be),
    cmocka_unit_test(test_version__others_and_the_other_byte_order),
    cmocka_unit_test(test_meta__damage_is_named),
    cmocka_unit_test(test_meta__arrays_nest_to_a_limit),
    cmocka_unit_test(test_meta__alignment_is_a_sane_power_of_two),
    cmocka_unit_test(test_tensors__damage_is_named),
    cmocka_unit_test(test_tensors__must_not_share_names_or_bytes),
    cmocka_unit_test(test_tensors__may_lie_in_any_order_with_gaps),
    cmocka_unit_test(test_truncation__is_never_ok),
    cmocka_unit_test(test_mutation__never_harms),
    cmocka_unit_test(test_hostile__counts_allocate_nothing),
    cmocka_unit_test(test_hostile__a_header_over_the_limit_is_not_fetched),
    cmocka_unit_test(test_hostile__names_have_a_limit),
    cmocka_unit_test(test_hostile__names_made_to_collide_are_refused),
    cmocka_unit_test(test_index__finds_each_of_many_names),
    cmocka_unit_test(test_open__survives_every_failed_allocation),
    cmocka_unit_test(test_arguments__null_and_wrong_are_refused),
    cmocka_unit_test(test_accessors__are_safe_on_null_and_failed_handles),
    cmocka_unit_test(test_accessors__fill_structs_of_any_age),
    cmocka_unit_test(test_golden__tensors_tile_each_file),
    cmocka_unit_test(test_golden__memory_and_callbacks_agree),
    cmocka_unit_test(test_golden__cut_at_every_64th_is_truncated),
    cmocka_unit_test(test_corpus__of_the_fuzzer_is_harmless),
};

RUN(tests)
