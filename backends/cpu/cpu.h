/* The CPU backend: loam_backend over the kernels of kernels.h and the workers of pool.h. */
#ifndef LOAM__CPU_H
#define LOAM__CPU_H

#include <loam/backend.h>

#include "kernels.h"
#include "lib/base/base.h"
#include "pool.h"

extern const loam_backend loam__backend_cpu;

typedef struct loam__cpu {
    loam__base base; /* the host's hooks; errors are handed on through host.fail */
    loam_backend_host host;
    loam__pool *pool;
    const loam__cpu_isa *set; /* the instruction set in use */
    loam__cpu_isa isa;        /* the same, with what it leaves out filled in from the lower sets */
    const struct loam__cpu_products *products; /* of a backend built on this one; NULL: none */
} loam__cpu;

typedef struct loam__cpu_arena {
    uint8_t *memory;
    uint64_t bytes;
    bool owned;
} loam__cpu_arena;

/* loam__backend_cpu.open() for a backend whose struct has a loam__cpu at its start and is of so
 * many bytes in all, the others zero. */
loam_status loam__cpu_open(const loam_backend_host *host, size_t bytes, void **self);

/* The functions of loam__backend_cpu that such a backend shares, for its table. */
uint32_t loam__backend_cpu_device_count(void *self);
int32_t loam__backend_cpu_supports(void *self, uint32_t device, const loam_graph *graph,
                                   const loam_node *node);
loam_status loam__backend_cpu_measure(void *self, uint32_t device, const loam_graph *graph,
                                      uint32_t first, uint32_t n, loam_piece_memory *memory);
loam_status loam__backend_cpu_arena_new(void *self, uint32_t device, int32_t kind, uint64_t bytes,
                                        const void *memory, void **arena);
void loam__backend_cpu_arena_free(void *self, void *arena);
loam_status loam__backend_cpu_upload(void *self, void *arena, uint64_t offset, const void *bytes,
                                     uint64_t n);
int32_t loam__backend_cpu_reorders(void *self, uint32_t device, const loam_value *weight);
loam_status loam__backend_cpu_upload_rows(void *self, const loam_value *weight, void *arena,
                                          uint64_t first, uint64_t n, const void *bytes);
loam_status loam__backend_cpu_download(void *self, void *arena, uint64_t offset, void *bytes,
                                       uint64_t n);
void *loam__backend_cpu_arena_memory(void *self, void *arena);
loam_status loam__backend_cpu_copy_row(void *self, const loam_value *value, void *arena,
                                       uint64_t from, uint64_t to);
loam_status loam__backend_cpu_compile(void *self, uint32_t device, const loam_graph *graph,
                                      uint32_t first, uint32_t n, void *const *arenas,
                                      uint32_t n_arenas, void *scratch, void **program);
void loam__backend_cpu_program_free(void *self, void *program);
loam_status loam__backend_cpu_run(void *self, void *program, const loam_step *step,
                                  uint64_t *position);

#define LOAM__CPU_FUNCTIONS                                                                        \
    .device_count = loam__backend_cpu_device_count, .supports = loam__backend_cpu_supports,        \
    .measure = loam__backend_cpu_measure, .arena_new = loam__backend_cpu_arena_new,                \
    .arena_free = loam__backend_cpu_arena_free, .upload = loam__backend_cpu_upload,                \
    .reorders = loam__backend_cpu_reorders, .upload_rows = loam__backend_cpu_upload_rows,          \
    .download = loam__backend_cpu_download, .arena_memory = loam__backend_cpu_arena_memory,        \
    .copy_row = loam__backend_cpu_copy_row, .compile = loam__backend_cpu_compile,                  \
    .program_free = loam__backend_cpu_program_free, .run = loam__backend_cpu_run

/* How a weight lies in an arena of loam's own. */
loam__packing loam__cpu_packing(const loam__cpu *cpu, const loam_value *weight);

/* program.c */
int32_t loam__cpu_supports(const loam__cpu *cpu, const loam_graph *g, const loam_node *node);
loam_status loam__cpu_measure(loam__cpu *cpu, const loam_graph *g, uint32_t first, uint32_t n,
                              loam_piece_memory *memory);
loam_status loam__cpu_compile(loam__cpu *cpu, const loam_graph *g, uint32_t first, uint32_t n,
                              loam__cpu_arena *const *arenas, loam__cpu_arena *scratch,
                              void **program);
loam_status loam__cpu_run(loam__cpu *cpu, void *program, const loam_step *step, uint64_t *position);

#endif
