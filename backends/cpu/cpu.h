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
