/* A program that renders lends its device: loam computes there what it computes on a device of its
 * own, takes the queue under the program's lock only, and leaves nothing behind, whatever fails. */
#define _GNU_SOURCE
#include <loam/vulkan.h>
#include <pthread.h>
#include <stdatomic.h>

#include "faults.h"
#include "models.h"

#define MODEL    OWN("tiny-gemma3.gguf") /* of two formats: each is compiled and checked */
#define LAYERS   6
#define N_PROMPT 60 /* more than one submission */
#define N_MORE   2
#define N_VOCAB  512 /* at most */

/* ---- the program that renders ---- */

static struct {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    uint32_t family;
    pthread_mutex_t mutex;
    unsigned locked; /* how often */
    bool held;
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDeviceFeatures2 features;
} host;

static void lock_queue(void *ctx)
{
    assert_ptr_equal(ctx, &host);
    pthread_mutex_lock(&host.mutex);
    host.locked++;
    host.held = true;
}

static void unlock_queue(void *ctx)
{
    assert_ptr_equal(ctx, &host);
    host.held = false;
    pthread_mutex_unlock(&host.mutex);
}

static void find_family(void)
{
    VkQueueFamilyProperties families[16];
    uint32_t n = 16;
    vkGetPhysicalDeviceQueueFamilyProperties(host.physical, &n, families);
    for (host.family = 0; host.family < n; host.family++)
        if (families[host.family].queueFlags & VK_QUEUE_COMPUTE_BIT) return;
    fail_msg("no queue computes");
}

static int open_host(void **state)
{
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                     .apiVersion = VK_API_VERSION_1_2};
    VkInstanceCreateInfo instance = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                     .pApplicationInfo = &application};
    const float priority = 1;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkDeviceCreateInfo device = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                 .pNext = &host.features,
                                 .queueCreateInfoCount = 1,
                                 .pQueueCreateInfos = &queue};
    uint32_t n = 1;
    (void)state;
    pthread_mutex_init(&host.mutex, NULL);
    assert_int_equal(vkCreateInstance(&instance, NULL, &host.instance), VK_SUCCESS);
    assert_true(vkEnumeratePhysicalDevices(host.instance, &n, &host.physical) >= 0 && n == 1);
    find_family();
    host.features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    host.features.pNext = &host.v12;
    host.v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    host.v12.bufferDeviceAddress = host.v12.timelineSemaphore = VK_TRUE;
    queue.queueFamilyIndex = host.family;
    assert_int_equal(vkCreateDevice(host.physical, &device, NULL, &host.device), VK_SUCCESS);
    vkGetDeviceQueue(host.device, host.family, 0, &host.queue);
    faults.queue = host.queue;
    return 0;
}

static int close_host(void **state)
{
    (void)state;
    end_faults(host.device);
    vkDestroyDevice(host.device, NULL);
    vkDestroyInstance(host.instance, NULL);
    pthread_mutex_destroy(&host.mutex);
    return 0;
}

/* ---- loading on its device ---- */

static loam_vulkan describe(void)
{
    loam_vulkan v;
    loam_vulkan_init(&v);
    v.api_version = VK_API_VERSION_1_2;
    v.queue_family = host.family;
    v.instance = host.instance;
    v.physical_device = host.physical;
    v.device = host.device;
    v.queue = host.queue;
    v.features = &host.features;
    return v;
}

/* What an earlier run gave, for load(). */
static struct {
    void *bytes;
    size_t n;
} kept;

/* On the devices that are described, the layers shared out evenly; NULL: on the module's own. What
 * a bad driver makes the module leave out goes to the host. */
static loam_status load_on(const void *const *natives, uint32_t n, const char *isa,
                           const loam_hooks *hooks, uint32_t index, loam **m)
{
    loam_device device[3];
    const loam_device *devices[] = {&device[0], &device[1], &device[2]};
    loam_options options;
    for (uint32_t i = 0; i <= n; i++) {
        loam_device_init(&device[i]);
        device[i].backend = i < n ? "vulkan" : "cpu";
        device[i].layers = i + 1 < n ? LAYERS / (int32_t)n : -1;
        device[i].index = i < n ? index : 0;
        device[i].native = i < n ? natives[i] : NULL;
    }
    loam_options_init(&options);
    options.modules = LOAM_MODULES;
    options.devices = devices;
    options.n_devices = n + faults.miscompiles;
    options.isa = isa;
    options.hooks = hooks;
    options.cache = kept.bytes;
    options.cache_bytes = kept.n;
    options.threads = 1;
    options.context_tokens = 128;
    options.step_tokens = 64;
    return loam_load(MODEL, &options, m);
}

static loam_status load(const void *native, const char *isa, const loam_hooks *hooks,
                        uint32_t index, loam **m)
{
    return load_on(&native, 1, isa, hooks, index, m);
}

static loam *load_or_fail(const loam_vulkan *native)
{
    loam *m = NULL;
    if (load(native, NULL, NULL, 0, &m) != LOAM_OK) fail_msg("%s", loam_error(m));
    return m;
}

/* ---- what is computed ---- */

typedef struct result {
    uint32_t vocab;
    loam_token tokens[N_MORE + 1];
    float logits[N_MORE + 1][N_VOCAB];
} result;

/* The prompt and some tokens more. *first is the first failure; where it was for want of memory,
 * there is some again, and the call is made again. */
static loam_status compute(loam *m, result *r, loam_status *first)
{
    loam_token prompt[N_PROMPT];
    const loam_token *tokens = prompt;
    loam_status st = LOAM_OK;
    for (int i = 0; i < N_PROMPT; i++)
        prompt[i] = 5 + i * 37 % 290;
    *first = LOAM_OK;
    for (int i = 0; i <= N_MORE; i++) {
        const size_t n = i == 0 ? N_PROMPT : 1;
        st = loam_prefill(m, 0, tokens, n);
        if (*first == LOAM_OK) *first = st;
        if (st == LOAM_ERR_NOMEM) {
            faults.at = 0;
            st = loam_prefill(m, 0, tokens, n);
        }
        if (st != LOAM_OK) break;
        memcpy(r->logits[i], loam_logits(m, 0), r->vocab * sizeof(float));
        assert_int_equal(loam_sample(m, 0, &r->tokens[i]), LOAM_OK);
        tokens = &r->tokens[i];
    }
    return st;
}

static void compute_or_fail(loam *m, result *r)
{
    loam_status first;
    memset(r, 0, sizeof *r);
    r->vocab = vocabulary_of(m);
    assert_true(r->vocab <= N_VOCAB);
    if (compute(m, r, &first) != LOAM_OK || first != LOAM_OK) fail_msg("%s", loam_error(m));
}

static void test_host__device_computes_as_a_device_of_our_own(void **state)
{
    static result own, lent;
    loam_vulkan v = describe();
    (void)state;
    loam *m = load_or_fail(NULL);
    compute_or_fail(m, &own);
    loam_free(m);
    v.lock = lock_queue;
    v.unlock = unlock_queue;
    v.lock_ctx = &host;
    host.locked = 0;
    m = load_or_fail(&v);
    v = (loam_vulkan){0}; /* was borrowed */
    compute_or_fail(m, &lent);
    loam_free(m);
    assert_memory_equal(&own, &lent, sizeof own);
    assert_true(host.locked > 0 && !host.held);
}

/* Each description is a device, though these two are of the same. */
static void test_host__lends_several_devices(void **state)
{
    static result one, two;
    const loam_vulkan a = describe(), b = describe();
    const void *const natives[] = {&a, &b};
    loam *m = load_or_fail(&a);
    (void)state;
    compute_or_fail(m, &one);
    loam_free(m);
    if (load_on(natives, 2, NULL, NULL, 0, &m) != LOAM_OK) fail_msg("%s", loam_error(m));
    compute_or_fail(m, &two);
    loam_free(m);
    assert_memory_equal(&one, &two, sizeof one);
}

/* ---- drivers that compute wrongly ---- */

static unsigned wrong_kernels;

static void count_wrong(void *ctx, int32_t level, const char *text)
{
    (void)ctx;
    wrong_kernels += level == LOAM_LOG_WARN && strstr(text, "wrongly");
}

static void compute_on_bad_driver(const result *expected)
{
    static result r;
    loam_vulkan v = describe();
    loam *m = NULL;
    loam_hooks hooks;
    loam_hooks_init(&hooks);
    hooks.log = count_wrong;
    v.get_instance_proc_addr = faulty_instance_proc_addr;
    wrong_kernels = 0;
    if (load(&v, NULL, &hooks, 0, &m) != LOAM_OK) fail_msg("%s", loam_error(m));
    compute_or_fail(m, &r);
    loam_free(m);
    for (uint32_t i = 0; i < r.vocab; i++)
        assert_float_equal(r.logits[N_MORE][i], expected->logits[N_MORE][i], 1e-3);
}

/* What is left out runs on the host, with the same results. */
static void test_kernel__that_a_driver_compiles_wrongly_is_left_out(void **state)
{
    static result expected;
    (void)state;
    loam *m = load_or_fail(NULL);
    compute_or_fail(m, &expected);
    loam_free(m);
    begin_faults(RUNS_OUT, 0);
    faults.miscompiles = true;
    compute_on_bad_driver(&expected);
    assert_true(wrong_kernels > 0);
    faults.miscompiles = false;
    compute_on_bad_driver(&expected);
    assert_int_equal(wrong_kernels, 0);
}

/* Submissions while loading, each of which tries a kernel or moves bytes. */
static unsigned load_and_count(const loam_vulkan *v)
{
    begin_faults(RUNS_OUT, 0);
    faults.submissions = 0;
    loam *m = load_or_fail(v);
    const unsigned n = faults.submissions;
    if (!kept.bytes) {
        assert_int_equal(loam_cache_get(m, NULL, 0, &kept.n), LOAM_ERR_BUFFER);
        kept.bytes = malloc(kept.n);
        assert_int_equal(loam_cache_get(m, kept.bytes, kept.n, &kept.n), LOAM_OK);
    }
    loam_free(m);
    return n;
}

static void test_kernels__are_tried_once_and_what_was_found_is_kept(void **state)
{
    loam_vulkan v = describe();
    (void)state;
    v.get_instance_proc_addr = faulty_instance_proc_addr;
    const unsigned first = load_and_count(&v), second = load_and_count(&v);
    ((uint8_t *)kept.bytes)[kept.n - 1] ^= 1; /* damaged bytes count for nothing */
    const unsigned third = load_and_count(&v);
    free(kept.bytes);
    kept.bytes = NULL;
    kept.n = 0;
    if (second + 8 > first) fail_msg("%u submissions, then %u", first, second);
    assert_int_equal(third, first);
}

/* ---- refusals ---- */

static void expect_refused(const loam_vulkan *v, uint32_t index, loam_status status,
                           const char *words)
{
    loam *m = NULL;
    fault_heap heap = {0};
    loam_hooks hooks;
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = &heap;
    loam_status st = load(v, NULL, &hooks, index, &m);
    if (st != status || !strstr(loam_error(m), words))
        fail_msg("status %d, \"%s\" instead of \"%s\"", st, loam_error(m), words);
    loam_free(m);
    assert_int_equal(heap.live_bytes, 0);
}

static void test_host__description_that_lacks_something_is_refused_by_name(void **state)
{
    loam_vulkan v = describe();
    (void)state;
    expect_refused(&v, 1, LOAM_ERR_BACKEND, "no number 1");
    v.struct_size = 8;
    expect_refused(&v, 0, LOAM_ERR_ARG, "loam_vulkan_init()");
    v = describe();
    v.reserved = &v;
    expect_refused(&v, 0, LOAM_ERR_NEWER, "loam_vulkan.reserved");
    v = describe();
    v.instance = NULL;
    expect_refused(&v, 0, LOAM_ERR_ARG, "loam_vulkan.instance");
    v = describe();
    v.physical_device = NULL;
    expect_refused(&v, 0, LOAM_ERR_ARG, "loam_vulkan.physical_device");
    v = describe();
    v.device = NULL;
    expect_refused(&v, 0, LOAM_ERR_ARG, "loam_vulkan.device");
    v = describe();
    v.queue = NULL;
    expect_refused(&v, 0, LOAM_ERR_ARG, "loam_vulkan.queue");
    v = describe();
    v.features = NULL;
    expect_refused(&v, 0, LOAM_ERR_ARG, "loam_vulkan.features");
    v = describe();
    v.n_extensions = 1;
    expect_refused(&v, 0, LOAM_ERR_ARG, "loam_vulkan.extensions");
    v = describe();
    v.lock = lock_queue;
    expect_refused(&v, 0, LOAM_ERR_ARG, "unlock");
    v = describe();
    v.api_version = VK_API_VERSION_1_1;
    expect_refused(&v, 0, LOAM_ERR_BACKEND, "1.1");
    v = describe();
    v.queue_family = 99;
    expect_refused(&v, 0, LOAM_ERR_BACKEND, "lacks a queue that computes");
}

/* Features may stand in structs of their own. */
static void test_host__features_that_are_off_are_refused_by_name(void **state)
{
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES};
    VkPhysicalDeviceBufferDeviceAddressFeatures address = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES,
        .pNext = &timeline};
    loam_vulkan v = describe();
    (void)state;
    v.features = &address;
    expect_refused(&v, 0, LOAM_ERR_BACKEND, "lacks bufferDeviceAddress");
    address.bufferDeviceAddress = VK_TRUE;
    expect_refused(&v, 0, LOAM_ERR_BACKEND, "lacks timelineSemaphore");
    timeline.timelineSemaphore = VK_TRUE;
    loam_free(load_or_fail(&v));
}

static void test_host__functions_that_are_missing_are_named(void **state)
{
    loam_vulkan v = describe();
    (void)state;
    begin_faults(RUNS_OUT, 0);
    v.get_instance_proc_addr = faulty_instance_proc_addr;
    faults.hidden = "vkWaitSemaphores";
    expect_refused(&v, 0, LOAM_ERR_BACKEND, "has no vkWaitSemaphores");
    faults.hidden = "vkCreateDevice";
    expect_refused(&v, 0, LOAM_ERR_BACKEND, "has no vkCreateDevice");
    faults.hidden = NULL;
}

/* ---- side by side ---- */

static void *generate(void *arg)
{
    static const loam_token again = 1;
    loam *m = arg;
    loam_seq seq = 0;
    for (int i = 0; i < 20; i++)
        if (loam_decode(m, &seq, &again, 1) != LOAM_OK) return m;
    return NULL;
}

typedef struct renderer {
    pthread_t thread;
    atomic_bool stop;
    unsigned frames;
    VkResult result;
    VkBuffer picture;
    VkDeviceMemory memory;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence fence;
} renderer;

#define PICTURE_BYTES 65536u

/* A picture that each frame paints anew. */
static void open_renderer(renderer *r)
{
    VkBufferCreateInfo picture = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                  .size = PICTURE_BYTES,
                                  .usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT};
    VkMemoryAllocateInfo memory = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    VkMemoryRequirements needs;
    VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                    .queueFamilyIndex = host.family};
    VkCommandBufferAllocateInfo one = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                       .commandBufferCount = 1};
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    *r = (renderer){0};
    assert_int_equal(vkCreateBuffer(host.device, &picture, NULL, &r->picture), VK_SUCCESS);
    vkGetBufferMemoryRequirements(host.device, r->picture, &needs);
    memory.allocationSize = needs.size;
    while (!(needs.memoryTypeBits >> memory.memoryTypeIndex & 1))
        memory.memoryTypeIndex++;
    assert_int_equal(vkAllocateMemory(host.device, &memory, NULL, &r->memory), VK_SUCCESS);
    assert_int_equal(vkBindBufferMemory(host.device, r->picture, r->memory, 0), VK_SUCCESS);
    assert_int_equal(vkCreateCommandPool(host.device, &pool, NULL, &r->pool), VK_SUCCESS);
    one.commandPool = r->pool;
    assert_int_equal(vkAllocateCommandBuffers(host.device, &one, &r->commands), VK_SUCCESS);
    assert_int_equal(vkCreateFence(host.device, &fence, NULL, &r->fence), VK_SUCCESS);
    VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    assert_int_equal(vkBeginCommandBuffer(r->commands, &begin), VK_SUCCESS);
    vkCmdFillBuffer(r->commands, r->picture, 0, VK_WHOLE_SIZE, 0x00ff8040);
    assert_int_equal(vkEndCommandBuffer(r->commands), VK_SUCCESS);
}

static void close_renderer(renderer *r)
{
    vkDestroyFence(host.device, r->fence, NULL);
    vkDestroyCommandPool(host.device, r->pool, NULL);
    vkDestroyBuffer(host.device, r->picture, NULL);
    vkFreeMemory(host.device, r->memory, NULL);
}

static void *render(void *arg)
{
    renderer *r = arg;
    VkSubmitInfo submit = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                           .commandBufferCount = 1,
                           .pCommandBuffers = &r->commands};
    while (r->result == VK_SUCCESS && !atomic_load(&r->stop)) {
        lock_queue(&host);
        r->result = vkQueueSubmit(host.queue, 1, &submit, r->fence);
        unlock_queue(&host);
        if (r->result == VK_SUCCESS)
            r->result = vkWaitForFences(host.device, 1, &r->fence, VK_TRUE, UINT64_MAX);
        if (r->result == VK_SUCCESS) r->result = vkResetFences(host.device, 1, &r->fence);
        r->frames++;
    }
    return NULL;
}

/* The validation layers look at this one, too: at the order of the work, and at the threads. */
static void test_host__renders_while_two_models_compute(void **state)
{
    static result alone, after;
    loam_vulkan v = describe();
    loam *models[2];
    pthread_t threads[2];
    renderer r;
    (void)state;
    v.lock = lock_queue;
    v.unlock = unlock_queue;
    v.lock_ctx = &host;
    for (int i = 0; i < 2; i++)
        models[i] = load_or_fail(&v);
    compute_or_fail(models[0], &alone);
    compute_or_fail(models[1], &after);
    assert_memory_equal(&alone, &after, sizeof alone);
    open_renderer(&r);
    assert_int_equal(pthread_create(&r.thread, NULL, render, &r), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, generate, models[i]), 0);
    for (int i = 0; i < 2; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        if (failed) fail_msg("%s", loam_error(failed));
    }
    assert_int_equal(loam_seq_truncate(models[1], 0, 0), LOAM_OK);
    compute_or_fail(models[1], &after);
    assert_memory_equal(&alone, &after, sizeof alone);
    for (int i = 0; i < 2; i++)
        loam_free(models[i]); /* and the program goes on */
    atomic_store(&r.stop, true);
    pthread_join(r.thread, NULL);
    assert_true(r.result == VK_SUCCESS && r.frames > 0);
    close_renderer(&r);
}

/* ---- failures ---- */

static void expect_nothing_left(const fault_heap *heap)
{
    for (int kind = 0; kind < KINDS; kind++)
        if (faults.live[kind] != 0)
            fail_msg("call %u fails: %d objects of kind %d are left", faults.at, faults.live[kind],
                     kind);
    assert_int_equal(heap->live_bytes, 0);
    assert_int_equal(faults.forbidden, 0);
    assert_int_equal(faults.asked_after_loss, 0);
}

/* A handle whose device is gone has its words still, and computes no more. */
static void expect_ended(loam *m)
{
    loam_token token = 1;
    size_t n;
    assert_int_equal(loam_prefill(m, 0, &token, 1), LOAM_ERR_DEVICE);
    assert_int_equal(loam_seq_truncate(m, 0, 0), LOAM_ERR_DEVICE);
    assert_non_null(strstr(loam_error(m), "load the model again"));
    assert_int_equal(loam_tokenize(m, "a", 1, 0, NULL, 0, &n), LOAM_ERR_BUFFER);
}

/* Load and compute while the fault comes: it is told with this status. */
static void endure(const loam_vulkan *v, const char *isa, const result *expected,
                   loam_status status)
{
    static result r;
    loam *m = NULL;
    fault_heap heap = {0};
    loam_hooks hooks;
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = &heap;
    memset(&r, 0, sizeof r);
    loam_status st = load(v, isa, &hooks, 0, &m), first = st;
    const bool loaded = st == LOAM_OK;
    if (loaded) {
        r.vocab = vocabulary_of(m);
        st = compute(m, &r, &first);
    }
    if (first != (faults.fatal ? status : LOAM_OK) || (first != LOAM_OK && !loam_error(m)[0]))
        fail_msg("call %u fails: status %d, \"%s\"", faults.at, first, loam_error(m));
    if (st == LOAM_OK) assert_memory_equal(&r, expected, sizeof r);
    else if (loaded) expect_ended(m);
    loam_free(m);
    expect_nothing_left(&heap);
}

/* Whatever call fails, there is a status and a sentence, and nothing is left. Staged, calls repeat
 * themselves for each piece of memory: every fifth is enough. */
static void walk(fault_kind kind, const char *isa, loam_status status)
{
    static result expected;
    loam_vulkan v = describe();
    unsigned n = 1, stride = *isa ? 5 : 1;
    v.get_instance_proc_addr = faulty_instance_proc_addr;
    begin_faults(kind, 0);
    loam *m = load_or_fail(&v);
    compute_or_fail(m, &expected);
    loam_free(m);
    for (bool happened = true; happened; n += stride) {
        begin_faults(kind, n);
        endure(&v, isa, &expected, status);
        happened = faults.happened;
    }
    print_message("%u calls have failed\n", n / stride - 1);
    assert_true(n / stride > 10);
}

static void test_memory__that_runs_out_is_a_status_wherever_it_does(void **state)
{
    (void)state;
    walk(RUNS_OUT, "", LOAM_ERR_NOMEM);
    walk(RUNS_OUT, "staged", LOAM_ERR_NOMEM);
}

static void test_device__that_is_lost_ends_the_handle_wherever_it_is(void **state)
{
    (void)state;
    walk(IS_LOST, "", LOAM_ERR_DEVICE);
    walk(IS_LOST, "staged", LOAM_ERR_DEVICE);
}

static void test_device__that_hangs_is_given_up(void **state)
{
    (void)state;
    walk(HANGS, "", LOAM_ERR_DEVICE);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_host__device_computes_as_a_device_of_our_own),
    cmocka_unit_test(test_host__lends_several_devices),
    cmocka_unit_test(test_kernel__that_a_driver_compiles_wrongly_is_left_out),
    cmocka_unit_test(test_kernels__are_tried_once_and_what_was_found_is_kept),
    cmocka_unit_test(test_host__description_that_lacks_something_is_refused_by_name),
    cmocka_unit_test(test_host__features_that_are_off_are_refused_by_name),
    cmocka_unit_test(test_host__functions_that_are_missing_are_named),
    cmocka_unit_test(test_host__renders_while_two_models_compute),
    cmocka_unit_test(test_memory__that_runs_out_is_a_status_wherever_it_does),
    cmocka_unit_test(test_device__that_is_lost_ends_the_handle_wherever_it_is),
    cmocka_unit_test(test_device__that_hangs_is_given_up),
};

int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, open_host, close_host);
}
