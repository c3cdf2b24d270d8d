/* POSIX: Linux, the BSDs, macOS. */
#define _GNU_SOURCE
#include "os.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__) && defined(__aarch64__)
#include <sys/auxv.h>
#endif

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(loam__mutex), "room for a mutex");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(loam__cond), "room for a condition variable");
_Static_assert(sizeof(pthread_t) <= sizeof(((loam__thread *)0)->impl), "room for a thread");

static loam_status open_failed(loam__base *b, const char *path, int error)
{
    if (error == ENOENT || error == ENOTDIR)
        return loam__fail(b, LOAM_ERR_NOT_FOUND, "%s: no such file; check the path", path);
    if (error == ENOMEM)
        return loam__fail(b, LOAM_ERR_NOMEM, "%s: no memory to open or map it", path);
    if (error == EACCES || error == EPERM)
        return loam__fail(b, LOAM_ERR_IO, "%s: may not be read; check its permissions", path);
    if (error == EMFILE || error == ENFILE)
        return loam__fail(b, LOAM_ERR_IO, "%s: too many files are open; close some", path);
    return loam__fail(b, LOAM_ERR_IO, "%s: cannot be read (system error %d); check the disk", path,
                      error);
}

loam_status loam__map_file(loam__base *b, const char *path, loam__map *map)
{
    struct stat info;
    loam_status st = LOAM_OK;
    *map = (loam__map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return open_failed(b, path, errno);
    if (fstat(fd, &info) != 0) {
        st = open_failed(b, path, errno);
    } else if (S_ISDIR(info.st_mode)) {
        st = loam__fail(b, LOAM_ERR_DIRECTORY, "%s is a directory; name a GGUF file in it", path);
    } else if (!S_ISREG(info.st_mode)) {
        st = loam__fail(b, LOAM_ERR_IO, "%s is not a regular file; name a GGUF file", path);
    } else if (info.st_size == 0) {
        st = loam__fail(b, LOAM_ERR_EMPTY, "%s is empty; download it again", path);
    } else if ((uint64_t)info.st_size > SIZE_MAX) {
        st = loam__fail(b, LOAM_ERR_NOMEM, "%s: %llu bytes are more than this process can address",
                        path, (unsigned long long)info.st_size);
    } else {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED) st = open_failed(b, path, errno);
        else *map = (loam__map){.data = data, .size = (uint64_t)info.st_size};
    }
    close(fd);
    return st;
}

void loam__unmap_file(loam__map *map)
{
    if (map->data) munmap((void *)(uintptr_t)map->data, (size_t)map->size);
    *map = (loam__map){0};
}

void loam__forget_pages(const loam__map *map, uint64_t offset)
{
    long page = sysconf(_SC_PAGESIZE);
    if (!map->data || page <= 0 || offset >= map->size) return;
    uint64_t first = offset / (uint64_t)page * (uint64_t)page;
    madvise((void *)(uintptr_t)(map->data + first), (size_t)(map->size - first), MADV_DONTNEED);
}

void loam__use_large_pages(void *memory, size_t n)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t page = (uintptr_t)2
                           << 20; /* of x86-64, and of 64-bit ARM with small ones of 4 KiB */
    const uintptr_t first = ((uintptr_t)memory + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)memory + n) / page * page;
    if (first < end) madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
    (void)memory;
    (void)n;
#endif
}

uint64_t loam__now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int64_t loam__civil_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec;
}

uint32_t loam__cpu_count(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
#endif
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

uint32_t loam__arm_features(void)
{
    uint32_t features = 0;
#if defined(__linux__) && defined(__aarch64__)
    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) features |= LOAM__CPU_DOTPROD;
    if (getauxval(AT_HWCAP2) & HWCAP2_I8MM) features |= LOAM__CPU_I8MM;
#endif
    return features;
}

/* ---- memory ---- */

#define PATH_BYTES 512
#define NO_CAP     ((uint64_t)1 << 60) /* a version 1 group without a limit says almost 2^63 */

/* A small text file of the kernel below root; false if it cannot be read whole. */
static bool read_text(const char *root, const char *path, char *text, size_t capacity)
{
    char whole[2 * PATH_BYTES];
    if ((size_t)snprintf(whole, sizeof whole, "%s%s", root, path) >= sizeof whole) return false;
    int fd = open(whole, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, capacity - 1);
    close(fd);
    if (n <= 0) return false;
    text[n] = 0;
    return true;
}

/* The number behind a label at the beginning of a line, or the file's only one; 0 if absent or not
 * a number ("max"). */
static uint64_t read_number(const char *root, const char *path, const char *label)
{
    char text[8192];
    if (!read_text(root, path, text, sizeof text)) return 0;
    const char *at = text;
    while (label && at && strncmp(at, label, strlen(label)) != 0) {
        at = strchr(at, '\n');
        if (at) at++;
    }
    return at ? strtoull(at + (label ? strlen(label) : 0), NULL, 10) : 0;
}

/* What the two versions of control groups call things. */
typedef struct group_files {
    const char *mount, *cap, *used, *idle;
} group_files;

static uint64_t group_number(const char *root, const group_files *f, const char *path,
                             const char *file, const char *label)
{
    char name[PATH_BYTES];
    int n = snprintf(name, sizeof name, "%s%s/%s", f->mount, path, file);
    return n > 0 && (size_t)n < sizeof name ? read_number(root, name, label) : 0;
}

/* Memory that a group and those around it allow, or still leave: a cap anywhere above counts, and
 * where the path is not the mount's own, as in a container, its end is. Cached files that nobody
 * touched for long are given back when memory is short, so they count as free. */
static uint64_t least_of_groups(const char *root, const group_files *f, char *path, bool left,
                                uint64_t least)
{
    for (;;) {
        uint64_t cap = group_number(root, f, path, f->cap, NULL);
        if (cap && cap < NO_CAP) {
            uint64_t used = left ? group_number(root, f, path, f->used, NULL) : 0;
            uint64_t idle = left ? group_number(root, f, path, "memory.stat", f->idle) : 0;
            used -= idle < used ? idle : used;
            cap -= used < cap ? used : cap;
            if (cap < least) least = cap;
        }
        char *slash = strrchr(path, '/');
        if (!slash) return least;
        *slash = 0;
    }
}

/* The path of this process in the hierarchy of a line "4:memory:/a/b" or "0::/a/b". */
static bool group_path(const char *groups, bool unified, char path[PATH_BYTES])
{
    for (const char *line = groups; line && *line;) {
        const char *end = strchr(line, '\n'), *kinds = strchr(line, ':');
        const char *at = kinds ? strchr(kinds + 1, ':') : NULL;
        size_t length = end ? (size_t)(end - line) : strlen(line);
        if (at && (size_t)(at - line) < length) {
            const char *memory = strstr(kinds, "memory");
            bool found = unified ? at == kinds + 1 : memory && memory < at;
            size_t n = length - (size_t)(at + 1 - line);
            if (found && n < PATH_BYTES) {
                memcpy(path, at + 1, n);
                path[n] = 0;
                if (n == 1) path[0] = 0; /* "/": the mount itself */
                return true;
            }
        }
        line = end ? end + 1 : NULL;
    }
    return false;
}

static uint64_t memory_of(const char *root, const char *label, bool left)
{
    static const group_files versions[] = {
        {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
         "total_inactive_file "},
        {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "},
        {"/sys/fs/cgroup", "memory.high", "memory.current", "inactive_file "},
        {"/sys/fs/cgroup/unified", "memory.max", "memory.current", "inactive_file "},
    };
    char groups[8192], path[PATH_BYTES];
    uint64_t system = read_number(root, "/proc/meminfo", label) * 1024;
    uint64_t least = system ? system : UINT64_MAX;
    if (!read_text(root, "/proc/self/cgroup", groups, sizeof groups)) groups[0] = 0;
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if (!group_path(groups, i > 0, path)) path[0] = 0;
        least = least_of_groups(root, &versions[i], path, left, least);
    }
    return least == UINT64_MAX ? 0 : least ? least : 1;
}

uint64_t loam__memory_total_under(const char *root)
{
    return memory_of(root, "MemTotal:", false);
}

uint64_t loam__memory_available_under(const char *root)
{
    return memory_of(root, "MemAvailable:", true);
}

uint64_t loam__memory_total(void)
{
    return loam__memory_total_under("");
}

uint64_t loam__memory_available(void)
{
    return loam__memory_available_under("");
}

/* ---- libraries ---- */

loam_status loam__library_open(loam__base *b, const char *path, void **library)
{
    *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*library) return LOAM_OK;
    const char *why = dlerror();
    return loam__fail(b, LOAM_ERR_BACKEND, "%s", why ? why : path);
}

void loam__library_close(void *library)
{
    if (library) dlclose(library);
}

bool loam__library_function(void *library, const char *name, void (**function)(void))
{
    void *address = dlsym(library, name);
    _Static_assert(sizeof *function == sizeof address, "POSIX: functions have such addresses");
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

bool loam__own_folder(char *folder, size_t capacity)
{
    Dl_info info;
    bool (*self)(char *, size_t) = loam__own_folder;
    void *address;
    memcpy(&address, &self, sizeof address);
    if (!dladdr(address, &info) || !info.dli_fname) return false;
    const char *slash = strrchr(info.dli_fname, '/');
    size_t n = slash ? (size_t)(slash - info.dli_fname) : 0;
    if (!slash || n >= capacity) return false;
    memcpy(folder, info.dli_fname, n);
    folder[n] = 0;
    return true;
}

/* ---- threads ---- */

bool loam__mutex_init(loam__mutex *m)
{
    return pthread_mutex_init((pthread_mutex_t *)m->impl, NULL) == 0;
}

void loam__mutex_destroy(loam__mutex *m)
{
    pthread_mutex_destroy((pthread_mutex_t *)m->impl);
}

void loam__mutex_lock(loam__mutex *m)
{
    pthread_mutex_lock((pthread_mutex_t *)m->impl);
}

void loam__mutex_unlock(loam__mutex *m)
{
    pthread_mutex_unlock((pthread_mutex_t *)m->impl);
}

bool loam__cond_init(loam__cond *c)
{
    return pthread_cond_init((pthread_cond_t *)c->impl, NULL) == 0;
}

void loam__cond_destroy(loam__cond *c)
{
    pthread_cond_destroy((pthread_cond_t *)c->impl);
}

void loam__cond_wait(loam__cond *c, loam__mutex *m)
{
    pthread_cond_wait((pthread_cond_t *)c->impl, (pthread_mutex_t *)m->impl);
}

void loam__cond_wake_one(loam__cond *c)
{
    pthread_cond_signal((pthread_cond_t *)c->impl);
}

void loam__cond_wake_all(loam__cond *c)
{
    pthread_cond_broadcast((pthread_cond_t *)c->impl);
}

static void *thread_main(void *arg)
{
    loam__thread *t = arg;
    t->fn(t->arg);
    return NULL;
}

bool loam__thread_start(loam__thread *t, void (*fn)(void *arg), void *arg)
{
    pthread_t id;
    sigset_t all, own;
    t->fn = fn;
    t->arg = arg;
    /* A new thread inherits the mask: the host's signals are for the host's threads. */
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &own) != 0) return false;
    bool started = pthread_create(&id, NULL, thread_main, t) == 0;
    pthread_sigmask(SIG_SETMASK, &own, NULL);
    if (started) memcpy(t->impl, &id, sizeof id);
    return started;
}

void loam__thread_join(loam__thread *t)
{
    pthread_t id;
    memcpy(&id, t->impl, sizeof id);
    pthread_join(id, NULL);
}

void loam__thread_yield(void)
{
    sched_yield();
}

void loam__cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
