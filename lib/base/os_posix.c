/* POSIX: Linux, the BSDs, macOS. */
#define _GNU_SOURCE
#include "os.h"

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

/* One number out of a small text file of the kernel, after a label if there is one; 0 if absent or
 * not a number. */
static uint64_t read_number(const char *path, const char *label)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return 0;
    text[n] = 0;
    const char *at = label ? strstr(text, label) : text;
    return at ? strtoull(at + (label ? strlen(label) : 0), NULL, 10) : 0;
}

uint64_t loam__memory_total(void)
{
    uint64_t total = read_number("/proc/meminfo", "MemTotal:") * 1024;
    uint64_t cap = read_number("/sys/fs/cgroup/memory.max", NULL); /* "max" reads as 0 */
    return cap && (!total || cap < total) ? cap : total;
}

uint64_t loam__memory_available(void)
{
    uint64_t available = read_number("/proc/meminfo", "MemAvailable:") * 1024;
    uint64_t cap = read_number("/sys/fs/cgroup/memory.max", NULL);
    uint64_t used = read_number("/sys/fs/cgroup/memory.current", NULL);
    if (cap) {
        uint64_t left = cap > used ? cap - used : 0;
        if (!available || left < available) available = left;
    }
    return available;
}

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

void loam__cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
