/* "A folder of plug-ins has to be shipped along": a module that is linked into the program is found
 * without any file, and before one. */
#define _POSIX_C_SOURCE 200809L
#include <loam/backend.h>
#include <loam/plan.h>

#include "lib/api/handle.h"
#include "models.h"

loam_backend_module_fn tally_module;

static const loam_backend *none(const loam_backend_core *core)
{
    (void)core;
    return NULL;
}

const loam__linked loam__linked_modules[] = {{"none", none}, {"tally", tally_module}, {NULL, NULL}};

static loam_status load(const char *backend, loam **m)
{
    loam_options options;
    loam_options_init(&options);
    options.backend = backend;
    options.modules = "/no/such/folder";
    options.context_tokens = 64;
    return loam_load(OWN("tiny-llama.gguf"), &options, m);
}

static void test_linked__needs_no_file_and_computes(void **state)
{
    static const loam_token tokens[] = {5, 6, 7};
    loam *host = NULL, *linked = NULL;
    loam_plan *plan = NULL;
    loam_plan_device device;
    (void)state;
    assert_int_equal(load("cpu", &host), LOAM_OK);
    if (load("tally", &linked) != LOAM_OK) fail_msg("%s", loam_error(linked));
    assert_int_equal(loam_plan_loaded(linked, &plan), LOAM_OK);
    loam_plan_device_init(&device);
    assert_int_equal(loam_plan_get_device(plan, 0, &device), LOAM_OK);
    assert_string_equal(device.name, "tally 0");
    assert_true(device.layers > 0);
    assert_int_equal(loam_prefill(host, 0, tokens, 3), LOAM_OK);
    assert_int_equal(loam_prefill(linked, 0, tokens, 3), LOAM_OK);
    assert_memory_equal(loam_logits(host, 0), loam_logits(linked, 0),
                        vocabulary_of(host) * sizeof(float));
    loam_plan_free(plan);
    loam_free(linked);
    loam_free(host);
}

static void test_linked__is_checked_as_files_are(void **state)
{
    loam *m = NULL;
    (void)state;
    assert_int_equal(load("none", &m), LOAM_ERR_BACKEND);
    assert_non_null(strstr(loam_error(m), "none does not work with this version"));
    loam_free(m);
    assert_int_equal(load("absent", &m), LOAM_ERR_BACKEND);
    assert_non_null(strstr(loam_error(m), "/no/such/folder/absent.so"));
    loam_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linked__needs_no_file_and_computes),
        cmocka_unit_test(test_linked__is_checked_as_files_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
