/* The operating system, behind one face; os_*.c hold the differences. */
#ifndef LOAM__OS_H
#define LOAM__OS_H

#include "base.h"

/* ---- files ---- */
typedef struct loam__map {
    const uint8_t *data;
    uint64_t size;
} loam__map;

/* Map a whole file read-only. Errors: NOT_FOUND, DIRECTORY, EMPTY, IO, NOMEM. */
loam_status loam__map_file(loam__base *b, const char *path, loam__map *map);
void loam__unmap_file(loam__map *map); /* a zeroed map is fine */
/* The pages from offset on leave this process, and come back when they are read again. A zeroed map
 * is fine. */
void loam__forget_pages(const loam__map *map, uint64_t offset);

/* Memory that will all be used: the system may serve it with large pages. */
void loam__use_large_pages(void *memory, size_t n);

/* ---- time and machine ---- */
uint64_t loam__now_ns(void);       /* monotonic */
int64_t loam__civil_seconds(void); /* UTC */
uint32_t loam__cpu_count(void);    /* processors this process may use */
/* What the system says that all of them have, beyond the base of 64-bit ARM. */
#define LOAM__CPU_DOTPROD 1u       /* products of int8, summed by four */
#define LOAM__CPU_I8MM    2u       /* of int8 matrices */
uint32_t loam__arm_features(void); /* elsewhere, and where it does not say: 0 */
/* Bytes that the system and all control groups around this process have, or would still give; 0:
 * unknown. */
uint64_t loam__memory_total(void);
uint64_t loam__memory_available(void);
/* The same from the kernel's files below another root. */
uint64_t loam__memory_total_under(const char *root);
uint64_t loam__memory_available_under(const char *root);

/* ---- libraries ---- */

/* A shared object, by a path that has a slash. Errors: LOAM_ERR_BACKEND with the system's words. */
loam_status loam__library_open(loam__base *b, const char *path, void **library);
void loam__library_close(void *library);
/* The address of a function; false: it exports none of that name. */
bool loam__library_function(void *library, const char *name, void (**function)(void));
/* The folder of the file that this code is in, without a slash behind; false: it is not known. */
bool loam__own_folder(char *folder, size_t capacity);

/* ---- threads ---- */
typedef struct loam__mutex {
    void *impl[6];
} loam__mutex;
typedef struct loam__cond {
    void *impl[8];
} loam__cond;
typedef struct loam__thread { /* must not move while the thread runs */
    void *impl[2];
    void (*fn)(void *arg);
    void *arg;
} loam__thread;

bool loam__mutex_init(loam__mutex *m);
void loam__mutex_destroy(loam__mutex *m);
void loam__mutex_lock(loam__mutex *m);
void loam__mutex_unlock(loam__mutex *m);
bool loam__cond_init(loam__cond *c);
void loam__cond_destroy(loam__cond *c);
void loam__cond_wait(loam__cond *c, loam__mutex *m);
void loam__cond_wake_one(loam__cond *c);
void loam__cond_wake_all(loam__cond *c);
bool loam__thread_start(loam__thread *t, void (*fn)(void *arg), void *arg);
void loam__thread_join(loam__thread *t);
void loam__thread_yield(void); /* let others have this core first */
void loam__cpu_pause(void);    /* inside a spin loop */

#endif
