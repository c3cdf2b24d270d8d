#include "cpu.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/os.h"
#include "lib/quant/quant.h"

/* Hand the sentence of a failure on to the core. */
static loam_status report(const loam__cpu *cpu, loam_status st)
{
    if (st != LOAM_OK && cpu->host.fail) cpu->host.fail(cpu->host.fail_ctx, cpu->base.error);
    return st;
}

static void fill_in(loam__cpu_isa *isa, const loam__cpu_isa *lower)
{
    if (!isa->rms_norm) isa->rms_norm = lower->rms_norm;
    if (!isa->add) isa->add = lower->add;
    if (!isa->glu) isa->glu = lower->glu;
    if (!isa->rope) isa->rope = lower->rope;
    if (!isa->kv_write) isa->kv_write = lower->kv_write;
    if (!isa->attention) {
        isa->attention = lower->attention;
        isa->attention_part = lower->attention_part;
    }
    if (!isa->slice_macs) isa->slice_macs = (size_t)1 << 18;
}

/* The set that is asked for, or the highest that this CPU has. */
static loam_status choose_isa(loam__cpu *cpu)
{
    const char *wanted = cpu->host.isa ? cpu->host.isa : "";
    char present[128] = "";
    size_t chosen = SIZE_MAX;
    for (size_t i = 0; loam__cpu_isa_at(i); i++) {
        const loam__cpu_isa *set = loam__cpu_isa_at(i);
        if (!set->present()) continue;
        size_t used = strlen(present);
        snprintf(present + used, sizeof present - used, "%s%s", used ? ", " : "", set->name);
        if (!*wanted || strcmp(wanted, set->name) == 0) chosen = i;
    }
    if (chosen == SIZE_MAX)
        return loam__fail(&cpu->base, LOAM_ERR_BACKEND,
                          "the instruction set \"%.32s\" is not one that this CPU has: %s", wanted,
                          present);
    cpu->set = loam__cpu_isa_at(chosen);
    cpu->isa = *cpu->set;
    for (size_t i = chosen; i-- > 0;)
        if (loam__cpu_isa_at(i)->present()) fill_in(&cpu->isa, loam__cpu_isa_at(i));
    return LOAM_OK;
}

static void cpu_close(void *self)
{
    loam__cpu *cpu = self;
    if (!cpu) return;
    loam__base b = cpu->base;
    loam__pool_free(cpu->pool);
    loam__free(&b, cpu);
}

loam_status loam__cpu_open(const loam_backend_host *host, size_t bytes, void **self)
{
    loam__base b;
    loam_status st = loam__base_init(&b, host->hooks);
    *self = NULL;
    loam__cpu *cpu = st == LOAM_OK ? loam__alloc_aligned(&b, bytes, LOAM__ALIGN) : NULL;
    if (!cpu) {
        if (host->fail) host->fail(host->fail_ctx, b.error);
        return st != LOAM_OK ? st : LOAM_ERR_NOMEM;
    }
    cpu->base = b;
    cpu->host = *host;
    if ((st = choose_isa(cpu)) != LOAM_OK ||
        (st = loam__pool_new(&cpu->base, host->threads, &cpu->pool)) != LOAM_OK) {
        report(cpu, st);
        cpu_close(cpu);
        return st;
    }
    *self = cpu;
    return LOAM_OK;
}

static loam_status cpu_open(const loam_backend_host *host, void **self)
{
    return loam__cpu_open(host, sizeof(loam__cpu), self);
}

uint32_t loam__backend_cpu_device_count(void *self)
{
    (void)self;
    return 1;
}

static loam_status cpu_device_info(void *self, uint32_t device, loam_device_info *info)
{
    const loam__cpu *cpu = self;
    if (device != 0) return LOAM_ERR_ARG;
    info->host_memory = 1;
    info->memory_bytes = loam__memory_total();
    info->available_bytes = loam__memory_available();
    snprintf(info->name, sizeof info->name, "cpu");
    snprintf(info->isa, sizeof info->isa, "%s", cpu->set->name);
    return LOAM_OK;
}

int32_t loam__backend_cpu_supports(void *self, uint32_t device, const loam_graph *graph,
                                   const loam_node *node)
{
    return device == 0 && loam__cpu_supports(self, graph, node);
}

loam_status loam__backend_cpu_measure(void *self, uint32_t device, const loam_graph *graph,
                                      uint32_t first, uint32_t n, loam_piece_memory *memory)
{
    (void)device;
    return report(self, loam__cpu_measure(self, graph, first, n, memory));
}

/* An arena's own record lies in front of its bytes. */
#define ARENA_FRONT ((size_t)LOAM__ALIGN)

_Static_assert(sizeof(loam__cpu_arena) <= ARENA_FRONT, "room for the record");
_Static_assert(ARENA_FRONT + LOAM__ALIGN <= LOAM_ARENA_EXTRA_BYTES, "and for its block's header");

loam_status loam__backend_cpu_arena_new(void *self, uint32_t device, int32_t kind, uint64_t bytes,
                                        const void *memory, void **arena)
{
    loam__cpu *cpu = self;
    (void)device;
    *arena = NULL;
    if (bytes > SIZE_MAX - 4096)
        return report(cpu, loam__fail(&cpu->base, LOAM_ERR_NOMEM,
                                      "%llu bytes are more than this process can address",
                                      (unsigned long long)bytes));
    bool mapped = kind == LOAM_ARENA_WEIGHTS_MAPPED;
    loam__cpu_arena *a =
        loam__alloc_aligned(&cpu->base, ARENA_FRONT + (mapped ? 0 : (size_t)bytes), LOAM__ALIGN);
    if (!a) return report(cpu, LOAM_ERR_NOMEM);
    a->bytes = bytes;
    a->owned = !mapped;
    a->memory = mapped ? (uint8_t *)(uintptr_t)memory : (uint8_t *)a + ARENA_FRONT;
    *arena = a;
    return LOAM_OK;
}

void loam__backend_cpu_arena_free(void *self, void *arena)
{
    loam__free(&((loam__cpu *)self)->base, arena);
}

loam_status loam__backend_cpu_upload(void *self, void *arena, uint64_t offset, const void *bytes,
                                     uint64_t n)
{
    loam__cpu_arena *a = arena;
    (void)self;
    if (!a->owned || offset > a->bytes || n > a->bytes - offset) return LOAM_ERR_ARG;
    memcpy(a->memory + offset, bytes, (size_t)n);
    return LOAM_OK;
}

int32_t loam__backend_cpu_reorders(void *self, uint32_t device, const loam_value *weight)
{
    return device == 0 && loam__cpu_packing(self, weight).rows > 0;
}

loam_status loam__backend_cpu_upload_rows(void *self, const loam_value *weight, void *arena,
                                          uint64_t first, uint64_t n, const void *bytes)
{
    const loam__cpu *cpu = self;
    loam__cpu_arena *a = arena;
    if (!a->owned || first > weight->rows || n > weight->rows - first) return LOAM_ERR_ARG;
    uint8_t *to = a->memory + weight->offset + first * weight->row_bytes;
    const loam__format *f = loam__format_find(weight->type);
    loam__pack_rows(loam__cpu_packing(cpu, weight), f->block_bytes, bytes,
                    (size_t)weight->row_bytes, (size_t)n, to);
    return LOAM_OK;
}

loam_status loam__backend_cpu_download(void *self, void *arena, uint64_t offset, void *bytes,
                                       uint64_t n)
{
    const loam__cpu_arena *a = arena;
    (void)self;
    if (offset > a->bytes || n > a->bytes - offset) return LOAM_ERR_ARG;
    memcpy(bytes, a->memory + offset, (size_t)n);
    return LOAM_OK;
}

void *loam__backend_cpu_arena_memory(void *self, void *arena)
{
    (void)self;
    return ((loam__cpu_arena *)arena)->memory;
}

loam_status loam__backend_cpu_copy_row(void *self, const loam_value *value, void *arena,
                                       uint64_t from, uint64_t to)
{
    uint8_t *rows = ((loam__cpu_arena *)arena)->memory + value->offset;
    (void)self;
    memcpy(rows + to * value->row_bytes, rows + from * value->row_bytes, (size_t)value->row_bytes);
    return LOAM_OK;
}

loam_status loam__backend_cpu_compile(void *self, uint32_t device, const loam_graph *graph,
                                      uint32_t first, uint32_t n, void *const *arenas,
                                      uint32_t n_arenas, void *scratch, void **program)
{
    (void)device;
    (void)n_arenas;
    return report(self, loam__cpu_compile(self, graph, first, n, (loam__cpu_arena *const *)arenas,
                                          scratch, program));
}

void loam__backend_cpu_program_free(void *self, void *program)
{
    loam__free(&((loam__cpu *)self)->base, program);
}

loam_status loam__backend_cpu_run(void *self, void *program, const loam_step *step,
                                  uint64_t *position)
{
    return loam__cpu_run(self, program, step, position);
}

const loam_backend loam__backend_cpu = {
    .struct_size = sizeof(loam_backend),
    .abi_version = LOAM_BACKEND_ABI,
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    LOAM__CPU_FUNCTIONS,
    .device_info = cpu_device_info,
};
