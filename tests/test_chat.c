#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <jansson.h>

#include "lib/chat/chat.h"

typedef struct rendering {
    loam_status status;
    char *text; /* owned; ends in NUL */
    char *typed;
    size_t n;
    char error[512];
} rendering;

static int64_t friday(void *ctx)
{
    (void)ctx;
    return 1741944413; /* 2025-03-14 09:26:53 */
}

static rendering render_n(const char *source, size_t n_source, const char *json, size_t n_json,
                          const loam__chat_default *defaults, fault_heap *heap)
{
    rendering r = {0};
    loam_hooks hooks;
    loam__base b;
    loam__buf out, typed;
    loam_hooks_init(&hooks);
    hooks.clock = friday;
    if (heap) {
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = heap;
    }
    assert_int_equal(loam__base_init(&b, &hooks), LOAM_OK);
    loam__buf_init(&out, &b, 0);
    loam__buf_init(&typed, &b, 0);
    r.status = loam__template_render(&b, source, n_source, json, n_json, defaults, &out, &typed);
    if (r.status == LOAM_OK) assert_int_equal(out.n, typed.n);
    r.n = out.n;
    r.text = calloc(1, out.n + 1);
    r.typed = calloc(1, out.n + 1);
    if (out.n) memcpy(r.text, out.p, out.n);
    for (size_t i = 0; i < typed.n; i++)
        r.typed[i] = typed.p[i] ? 'T' : '.';
    memcpy(r.error, b.error, sizeof r.error);
    loam__buf_free(&out);
    loam__buf_free(&typed);
    return r;
}

static rendering render(const char *source, const char *json)
{
    return render_n(source, strlen(source), json, strlen(json), NULL, NULL);
}

static void release(rendering *r)
{
    free(r->text);
    free(r->typed);
}

static void assert_renders(const char *source, const char *json, const char *text)
{
    rendering r = render(source, json);
    if (r.status != LOAM_OK) print_message("%s: %s\n", source, r.error);
    assert_int_equal(r.status, LOAM_OK);
    assert_string_equal(r.text, text);
    release(&r);
}

static void test_render__plain(void **state)
{
    (void)state;
    assert_renders("a{{ x }}b", "{\"x\":1}", "a1b");
}

/* ---- golden data ---- */

static char *read_whole(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    assert_int_equal(fread(p, 1, *n, f), *n);
    p[*n] = 0;
    fclose(f);
    return p;
}

/* The variables of a case of cases.jsonl, as its README says. */
static json_t *variables_of(json_t *row)
{
    static const char *const plain[] = {"messages", "tools", "add_generation_prompt"};
    json_t *vars = json_object();
    json_object_set_new(vars, "documents", json_null());
    json_object_update(vars, json_object_get(row, "extra"));
    for (size_t i = 0; i < 3; i++)
        json_object_set(vars, plain[i], json_object_get(row, plain[i]));
    return vars;
}

/* True if the row is as it should be. */
static bool check_row(json_t *row, size_t line)
{
    json_t *expect = json_object_get(row, "expect"),
           *source = json_object_get(row, "template_source"), *vars;
    const char *name = json_string_value(json_object_get(row, "template")), *kind, *message;
    char path[512], *from_file = NULL;
    size_t n_source = 0;
    if (source) {
        n_source = json_string_length(source);
        vars = json_incref(json_object_get(row, "context"));
    } else {
        snprintf(path, sizeof path, "%s/%s", SHARED("chat/templates"), name);
        from_file = read_whole(path, &n_source);
        assert_non_null(from_file);
        vars = variables_of(row);
    }
    char *json = json_dumps(vars, JSON_COMPACT | JSON_REAL_PRECISION(17));
    rendering r = render_n(source ? json_string_value(source) : from_file, n_source, json,
                           strlen(json), NULL, NULL);
    kind = json_string_value(json_object_get(row, "error_kind"));
    message = json_string_value(json_object_get(row, "error"));
    bool ok = r.status == (expect ? LOAM_OK : LOAM_ERR_TEMPLATE);
    if (ok && expect)
        ok = r.n == json_string_length(expect) &&
             memcmp(r.text, json_string_value(expect), r.n) == 0;
    if (ok && !expect && strcmp(kind, "raise_exception") == 0) {
        size_t n = strlen(r.error), m = strlen(message);
        ok = n >= m && strcmp(r.error + n - m, message) == 0;
    }
    if (!ok) {
        print_message("line %zu, %s: status %d %s\n--- is\n%s\n--- should be\n%s\n", line,
                      name ? name : json_string_value(source), (int)r.status, r.error, r.text,
                      expect ? json_string_value(expect) : message);
    }
    release(&r);
    free(json);
    free(from_file);
    json_decref(vars);
    return ok;
}

static void check_file(const char *path)
{
    size_t capacity = 0, line = 0, passed = 0;
    char *text = NULL;
    FILE *f = fopen(path, "rb");
    if (!f) skip();
    for (ssize_t n; (n = getline(&text, &capacity, f)) > 0;) {
        json_t *row = json_loadb(text, (size_t)n, 0, NULL);
        assert_non_null(row);
        line++;
        passed += check_row(row, line);
        json_decref(row);
    }
    free(text);
    fclose(f);
    print_message("%s: %zu of %zu passed\n", path, passed, line);
    assert_int_equal(passed, line);
}

static void test_golden__jinja_features(void **state)
{
    (void)state;
    check_file(SHARED("chat/jinja_features.jsonl"));
}

static void test_golden__cases(void **state)
{
    (void)state;
    check_file(SHARED("chat/cases.jsonl"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_render__plain),
    cmocka_unit_test(test_golden__jinja_features),
    cmocka_unit_test(test_golden__cases),
};

RUN(tests)
