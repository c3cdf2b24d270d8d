/* Which is faster with a format on this machine, OpenBLAS or the kernels: both multiply a tile. */
#include <cblas.h>
#include <stdio.h>
#include <string.h>

#include "openblas.h"

enum { UNKNOWN, KERNELS, OPENBLAS };

#define ROUNDS       8
#define ENOUGH_NS    4000000u
#define RUNS_A_TILE  4 /* that share what was unpacked, as in a prompt of some length */
#define VALUES       512u
#define BLOCK_BYTE   0x2c /* makes scales of a harmless size in every format */
#define MARGIN_PARTS 21u  /* OpenBLAS must take less than 20 of 21 parts of the time: 5 % faster */

/* All of it in one piece of memory. */
typedef struct tile {
    cpu_op op; /* as far as unpacking its weights needs it */
    uint8_t *blocks;
    size_t column_bytes;
    float *unpacked, *x, *y;
    uint8_t *columns; /* x as the kernel wants it */
} tile;

static loam_status make_tile(openblas *self, loam_format type, tile *t)
{
    const loam__format *f = loam__format_find(type);
    const loam__cpu_matmul *kernel = loam__cpu_find_matmul(self->cpu.set, type);
    const size_t row = VALUES * sizeof(float),
                 row_bytes = VALUES / f->block_values * f->block_bytes;
    *t = (tile){.column_bytes = kernel->prepared_bytes(VALUES)};
    const size_t unpacked = OPENBLAS_TILE_ROWS * row, x = OPENBLAS_RUN * row;
    const size_t columns = OPENBLAS_RUN * t->column_bytes, blocks = OPENBLAS_TILE_ROWS * row_bytes;
    const size_t y = OPENBLAS_RUN * OPENBLAS_TILE_ROWS * sizeof(float);
    uint8_t *p =
        loam__alloc_aligned(&self->cpu.base, unpacked + x + columns + y + blocks, LOAM__ALIGN);
    if (!p) return LOAM_ERR_NOMEM;
    t->unpacked = (float *)(void *)p;
    t->x = (float *)(void *)(p + unpacked);
    t->columns = p + unpacked + x;
    t->y = (float *)(void *)(p + unpacked + x + columns);
    t->blocks = memset(p + unpacked + x + columns + y, BLOCK_BYTE, blocks);
    t->op = (cpu_op){
        .matmul = kernel,
        .format = f,
        .packing = kernel->packing,
        .from = {t->blocks},
        .src = {{.rows = OPENBLAS_TILE_ROWS, .cols = VALUES, .row_bytes = row_bytes}},
    };
    for (size_t i = 0; i < OPENBLAS_RUN * VALUES; i++)
        t->x[i] = (float)(i % 17) - 8;
    for (size_t i = 0; i < OPENBLAS_RUN; i++)
        kernel->prepare(t->x + i * VALUES, VALUES, t->columns + i * t->column_bytes);
    return LOAM_OK;
}

static uint64_t time_openblas(const tile *t)
{
    const uint64_t start = loam__now_ns();
    for (uint32_t r = 0; r < OPENBLAS_TILE_ROWS; r++)
        loam__cpu_decode(&t->op, r, 0, VALUES, t->unpacked + r * VALUES);
    for (int i = 0; i < RUNS_A_TILE; i++)
        loam__openblas_sgemm(t->unpacked, OPENBLAS_TILE_ROWS, VALUES, t->x, VALUES, true, t->y,
                             OPENBLAS_TILE_ROWS);
    return loam__now_ns() - start;
}

static uint64_t time_kernel(const tile *t)
{
    const loam__matmul_args a = {
        .w = t->blocks,
        .w_row_bytes = t->op.src[0].row_bytes,
        .packed = t->op.packing.rows != 0,
        .rows = OPENBLAS_TILE_ROWS,
        .k = VALUES,
        .x = t->columns,
        .x_row_bytes = t->column_bytes,
        .cols = OPENBLAS_RUN,
        .y = t->y,
        .y_stride = OPENBLAS_TILE_ROWS,
    };
    const uint64_t start = loam__now_ns();
    for (int i = 0; i < RUNS_A_TILE; i++)
        t->op.matmul->multiply(&a);
    return loam__now_ns() - start;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The best of some rounds each, in turn. */
static bool openblas_is_faster(openblas *self, const tile *t)
{
    uint64_t own = UINT64_MAX, other = UINT64_MAX, start = loam__now_ns();
    for (int i = 0; i < ROUNDS && (i < 2 || loam__now_ns() - start < ENOUGH_NS); i++) {
        own = less(own, time_kernel(t));
        other = less(other, time_openblas(t));
    }
    const bool wins = other * MARGIN_PARTS < own * (MARGIN_PARTS - 1);
    loam__log(&self->cpu.base, LOAM_LOG_INFO,
              "openblas: a tile of %s takes the %s kernels %llu us and OpenBLAS %llu us, so %s "
              "multiplies",
              t->op.format->name, self->cpu.set->name, (unsigned long long)(own / 1000),
              (unsigned long long)(other / 1000), wins ? "OpenBLAS" : "a kernel");
    return wins;
}

void loam__openblas_recall(openblas *self, const void *cache, uint64_t bytes)
{
    openblas_verdicts *v = &self->verdicts, found;
    snprintf(v->set, sizeof v->set, "%s", self->cpu.set->name);
    snprintf(v->core, sizeof v->core, "%s", openblas_get_corename());
    if (!cache || bytes != sizeof found) return;
    memcpy(&found, cache, sizeof found);
    if (memcmp(found.set, v->set, sizeof v->set) != 0 ||
        memcmp(found.core, v->core, sizeof v->core) != 0)
        return;
    for (size_t i = 0; i < OPENBLAS_TYPES; i++)
        if (found.format[i] <= OPENBLAS) v->format[i] = found.format[i];
}

loam_status loam__openblas_wins(openblas *self, loam_format type, bool *wins)
{
    *wins = self->always;
    if (self->always || type < 0 || type >= OPENBLAS_TYPES) return LOAM_OK;
    uint8_t *verdict = &self->verdicts.format[type];
    if (*verdict == UNKNOWN) {
        tile t;
        loam_status st = make_tile(self, type, &t);
        if (st != LOAM_OK) return st;
        *verdict = openblas_is_faster(self, &t) ? OPENBLAS : KERNELS;
        loam__free(&self->cpu.base, t.unpacked);
    }
    *wins = *verdict == OPENBLAS;
    return LOAM_OK;
}
