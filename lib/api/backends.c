#include <stdio.h>
#include <string.h>

#include "handle.h"

#define MODULES "loam-modules" /* the folder beside the library */
#define AUTO    "auto"         /* in options.backend */

/* Modules that have accelerators, the first to be tried first. Others are not opened unasked: what
 * a library does to the process when it is opened is its own affair. */
static const char *const accelerators[] = {"vulkan"};

extern const loam_backend loam__backend_cpu;

static const loam_backend_core core = {
    .struct_size = sizeof core,
    .abi_oldest = LOAM_BACKEND_ABI_OLDEST,
    .abi_version = LOAM_BACKEND_ABI,
    .cpu = &loam__backend_cpu,
};

static void fail(void *ctx, const char *text)
{
    loam__fail(ctx, LOAM_ERR_BACKEND, "%s", text);
}

/* ---- modules ---- */

/* A name that can be part of a path without leading anywhere else. */
static bool is_name(const char *name)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t n = strlen(name);
    return n > 0 && n < 32 && strspn(name, good) == n;
}

static loam_status find_module(loam__base *b, const loam_options *o, const char *name, char *path,
                               size_t capacity)
{
    char folder[4096];
    if (!is_name(name))
        return loam__fail(b, LOAM_ERR_BACKEND,
                          "\"%.32s\" is no backend: \"cpu\" is built in, and modules have names "
                          "of small letters and digits",
                          name);
    bool given = o->modules && *o->modules;
    if (!given && !loam__own_folder(folder, sizeof folder))
        return loam__fail(b, LOAM_ERR_BACKEND,
                          "the folder of the library is not known; set options.modules to that of "
                          "the module %s",
                          name);
    int n = given ? snprintf(path, capacity, "%s/%s.so", o->modules, name)
                  : snprintf(path, capacity, "%s/" MODULES "/%s.so", folder, name);
    if (n >= 0 && (size_t)n < capacity) return LOAM_OK;
    return loam__fail(b, LOAM_ERR_BACKEND, "the path of the module %s is too long", name);
}

static loam_status check_module(loam__base *b, const char *path, const char *name,
                                const loam_backend *backend)
{
    if (!backend)
        return loam__fail(b, LOAM_ERR_BACKEND,
                          "%s does not work with this version of loam, whose backends have ABI %u "
                          "to %u; take the module that came with it",
                          path, LOAM_BACKEND_ABI_OLDEST, LOAM_BACKEND_ABI);
    if (backend->abi_version < LOAM_BACKEND_ABI_OLDEST || backend->abi_version > LOAM_BACKEND_ABI ||
        backend->struct_size < sizeof *backend)
        return loam__fail(b, LOAM_ERR_BACKEND, "%s is of ABI %u; this version takes %u to %u", path,
                          backend->abi_version, LOAM_BACKEND_ABI_OLDEST, LOAM_BACKEND_ABI);
    if (strcmp(backend->name, name) != 0)
        return loam__fail(b, LOAM_ERR_BACKEND, "%s calls itself \"%.32s\"; its name is wrong", path,
                          backend->name);
    return LOAM_OK;
}

static loam_status open_module(loam__base *b, const loam_options *o, const char *name,
                               loam__opened *out)
{
    char path[4096 + 64];
    loam_backend_module_fn *module;
    void (*function)(void);
    for (const loam__linked *l = loam__linked_modules; l->name; l++)
        if (strcmp(l->name, name) == 0) {
            out->backend = l->module(&core);
            return check_module(b, name, name, out->backend);
        }
    loam_status st = find_module(b, o, name, path, sizeof path);
    if (st != LOAM_OK || (st = loam__library_open(b, path, &out->library)) != LOAM_OK) return st;
    if (!loam__library_function(out->library, LOAM_BACKEND_MODULE, &function))
        return loam__fail(b, LOAM_ERR_BACKEND, "%s is no module of loam: it has no function %s",
                          path, LOAM_BACKEND_MODULE);
    module = (loam_backend_module_fn *)function;
    out->backend = module(&core);
    return check_module(b, path, name, out->backend);
}

/* ---- backends ---- */

static void close_last(loam__backends *all)
{
    loam__opened *o = &all->opened[--all->n];
    if (o->self) o->backend->close(o->self);
    loam__library_close(o->library);
}

/* The open backend of that name: the one that is, or a new one. */
static loam_status open_backend(loam__base *b, const loam_options *o, const loam_device *d,
                                loam__backends *all, const loam__opened **found)
{
    const char *name = d->backend;
    for (uint32_t i = 0; i < all->n; i++)
        if (strcmp(all->opened[i].backend->name, name) == 0 &&
            all->opened[i].host.native == d->native) {
            *found = &all->opened[i];
            return LOAM_OK;
        }
    loam__opened *out = &all->opened[all->n];
    *found = out;
    *out = (loam__opened){.backend = &loam__backend_cpu};
    all->n++;
    bool built_in = strcmp(name, loam__backend_cpu.name) == 0;
    loam_status st = built_in ? LOAM_OK : open_module(b, o, name, out);
    if (st != LOAM_OK) return st;
    out->host = (loam_backend_host){
        .struct_size = sizeof out->host,
        .threads = o->threads,
        .hooks = &b->hooks,
        .isa = o->isa ? o->isa : "",
        .fail = fail,
        .fail_ctx = b,
        .native = d->native,
    };
    out->host.cache = loam__cache_find(o, name, &out->host.cache_bytes);
    st = out->backend->open(&out->host, &out->self);
    out->host.cache = NULL;
    out->host.cache_bytes = 0;
    return st;
}

void loam__backends_close(loam__backends *all)
{
    while (all->n > 0)
        close_last(all);
}

/* ---- devices ---- */

static loam_status add_site(loam__base *b, const loam_options *o, const loam_device *d,
                            loam__backends *all, loam__sites *sites)
{
    const loam__opened *from;
    loam__site *s = &sites->site[sites->n];
    loam_status st = open_backend(b, o, d, all, &from);
    if (st != LOAM_OK) return st;
    uint32_t n = from->backend->device_count(from->self);
    if (d->index >= n)
        return loam__fail(b, LOAM_ERR_BACKEND, "the backend %s has %u devices and no number %u",
                          d->backend, n, d->index);
    *s = (loam__site){
        .backend = from->backend,
        .self = from->self,
        .index = d->index,
        .info.struct_size = sizeof s->info,
        .layers = d->layers,
    };
    st = from->backend->device_info(from->self, d->index, &s->info);
    if (st != LOAM_OK) return st;
    s->limited = d->memory_limit_bytes != 0;
    s->available_bytes = s->limited ? d->memory_limit_bytes : s->info.available_bytes;
    s->fill = s->limited ? 1 : LOAM__PLAN_FILL;
    for (uint32_t i = 0; i < sites->n; i++)
        if (sites->site[i].self == s->self && sites->site[i].index == s->index)
            return loam__fail(b, LOAM_ERR_ARG, "options.devices has the device %s twice",
                              s->info.name);
    sites->n++;
    return LOAM_OK;
}

static loam_status read_device(loam__base *b, const loam_device *given, uint32_t i, loam_device *d)
{
    if (!given) return loam__fail(b, LOAM_ERR_ARG, "options.devices[%u] is NULL", i);
    loam_status st =
        loam__options_read(d, sizeof *d, LOAM__UP_TO(loam_device, reserved_pointer), given);
    if (st != LOAM_OK)
        return loam__fail(b, st,
                          "options.devices[%u]: struct_size or a field is not of this version; "
                          "call loam_device_init() first",
                          i);
    if (d->reserved || d->reserved_pointer)
        return loam__fail(b, LOAM_ERR_NEWER, "options.devices[%u]: a reserved field is set", i);
    if (!d->backend || d->layers < -1)
        return loam__fail(b, LOAM_ERR_ARG,
                          "options.devices[%u]: the backend is %s and layers is %d, which is at "
                          "least 0, or -1 for any number",
                          i, d->backend ? d->backend : "NULL", d->layers);
    return LOAM_OK;
}

bool loam__wants_auto(const loam_options *o)
{
    return !o->n_devices && o->backend && strcmp(o->backend, AUTO) == 0;
}

/* The accelerators of one module, as far as it has any; what fails is left out. */
static void add_accelerators(loam__base *b, const loam_options *o, const char *module,
                             loam__backends *all, loam__sites *sites)
{
    const uint32_t before = sites->n;
    const loam__opened *from;
    loam_device d = {.backend = module, .layers = -1};
    loam_status st = open_backend(b, o, &d, all, &from);
    uint32_t n = st == LOAM_OK ? from->backend->device_count(from->self) : 0;
    if (n > LOAM__PLACE_DEVICES - 1 - before) n = LOAM__PLACE_DEVICES - 1 - before;
    for (; d.index < n && st == LOAM_OK; d.index++) {
        st = add_site(b, o, &d, all, sites);
        if (st == LOAM_OK && !sites->site[sites->n - 1].info.accelerator) sites->n--;
    }
    if (st != LOAM_OK)
        loam__log(b, LOAM_LOG_INFO, "without accelerators of %s: %s", module, b->error);
    if (sites->n == before) close_last(all);
    b->error[0] = 0;
}

loam_status loam__backends_open(loam__base *b, const loam_options *o, loam__backends *all,
                                loam__sites *sites)
{
    const bool choose = loam__wants_auto(o), named = o->backend && *o->backend && !choose;
    loam_device d = {.backend = named ? o->backend : loam__backend_cpu.name, .layers = -1};
    loam_status st = LOAM_OK;
    sites->n = 0;
    for (size_t i = 0; i < sizeof accelerators / sizeof *accelerators && choose; i++)
        add_accelerators(b, o, accelerators[i], all, sites);
    for (uint32_t i = 0; i < o->n_devices && st == LOAM_OK; i++) {
        st = read_device(b, o->devices[i], i, &d);
        if (st == LOAM_OK) st = add_site(b, o, &d, all, sites);
    }
    if (o->n_devices) return st;
    st = add_site(b, o, &d, all, sites);
    if (st != LOAM_OK || choose || sites->site[0].info.host_memory) return st;
    d.backend = loam__backend_cpu.name;
    st = add_site(b, o, &d, all, sites);
    if (st == LOAM_OK) sites->site[1].spare = true;
    return st;
}
