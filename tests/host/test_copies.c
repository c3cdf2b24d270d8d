/* "Two copies of the engine clash in one process", "threads or device memory left after unload":
 * the shared library is opened at run time, twice at once and a hundred times in a row. */
#define _GNU_SOURCE
#include "folder.h"
#include "models.h"

#include <dlfcn.h>
#include <pthread.h>

#define COPY LOAM_TEST_TMP "/libloam-copy.so"

/* Mappings that are no leak: one would be a hundred. AddressSanitizer has its own for each library.
 */
#ifdef __SANITIZE_ADDRESS__
#define FEW 10000
#else
#define FEW 10
#endif

/* The calls of one copy. */
typedef struct copy {
    void *library;
    fault_heap heap;
    loam_token tokens[32];
    int failed;
    void (*hooks_init)(loam_hooks *);
    void (*options_init)(loam_options *);
    loam_status (*load)(const char *, const loam_options *, loam **);
    loam_status (*prefill)(loam *, loam_seq, const loam_token *, size_t);
    loam_status (*decode)(loam *, const loam_seq *, const loam_token *, size_t);
    loam_status (*sample)(loam *, loam_seq, loam_token *);
    void (*free)(loam *);
} copy;

static void find(const copy *c, const char *name, void *function)
{
    void *found = dlsym(c->library, name);
    assert_non_null(found);
    memcpy(function, &found, sizeof found); /* C has no cast from an object to a function */
}

static void open_copy(copy *c, const char *path)
{
    memset(c, 0, sizeof *c);
    c->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!c->library) fail_msg("%s", dlerror());
    find(c, "loam_hooks_init", &c->hooks_init);
    find(c, "loam_options_init", &c->options_init);
    find(c, "loam_load", &c->load);
    find(c, "loam_prefill", &c->prefill);
    find(c, "loam_decode", &c->decode);
    find(c, "loam_sample", &c->sample);
    find(c, "loam_free", &c->free);
}

/* Load with workers, generate, free. */
static void *generate(void *arg)
{
    static const loam_token prompt[] = {1, 20, 30, 40};
    copy *c = arg;
    loam_hooks hooks;
    loam_options options;
    loam_seq zero = 0;
    loam *m;
    c->hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = &c->heap;
    c->options_init(&options);
    options.hooks = &hooks;
    options.threads = 3;
    options.isa = "scalar";
    c->failed += c->load(OWN("tiny-llama.gguf"), &options, &m) != LOAM_OK;
    c->failed += c->prefill(m, 0, prompt, 4) != LOAM_OK;
    for (int i = 0; i < 32; i++) {
        c->failed += c->sample(m, 0, &c->tokens[i]) != LOAM_OK;
        c->failed += c->decode(m, &zero, &c->tokens[i], 1) != LOAM_OK;
    }
    c->free(m);
    return NULL;
}

static void close_copy(copy *c)
{
    assert_int_equal(c->failed, 0);
    assert_int_equal(c->heap.live_bytes, 0);
    assert_int_equal(dlclose(c->library), 0);
}

static void write_copy(void)
{
    size_t n;
    char *bytes = read_file(LOAM_LIBRARY, &n);
    FILE *f = fopen(COPY, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    free(bytes);
}

static void test_copies__two_work_side_by_side(void **state)
{
    static copy copies[2];
    const char *const paths[2] = {LOAM_LIBRARY, COPY};
    pthread_t threads[2];
    (void)state;
    write_copy();
    for (int i = 0; i < 2; i++)
        open_copy(&copies[i], paths[i]);
    assert_true(copies[0].load != copies[1].load);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, generate, &copies[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_memory_equal(copies[0].tokens, copies[1].tokens, sizeof copies[0].tokens);
    close_copy(&copies[0]);
    generate(&copies[1]); /* one goes on when the other is gone */
    close_copy(&copies[1]);
}

static size_t mappings(void)
{
    size_t n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    for (int c; (c = fgetc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

static void open_use_close(size_t times)
{
    static copy c;
    for (size_t i = 0; i < times; i++) {
        open_copy(&c, LOAM_LIBRARY);
        generate(&c);
        close_copy(&c);
        assert_null(dlopen(LOAM_LIBRARY, RTLD_NOW | RTLD_NOLOAD)); /* it is gone indeed */
    }
}

static void test_unload__leaves_nothing_after_a_hundred_times(void **state)
{
    (void)state;
    open_use_close(10); /* the C library keeps some stacks and heaps for the next threads */
    size_t tasks = entries("/proc/self/task"), files = entries("/proc/self/fd"),
           before = mappings();
    open_use_close(100);
    assert_int_equal(entries("/proc/self/task"), tasks);
    assert_int_equal(entries("/proc/self/fd"), files);
    assert_true(mappings() < before + FEW);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_copies__two_work_side_by_side),
    cmocka_unit_test(test_unload__leaves_nothing_after_a_hundred_times),
};

RUN(tests)
