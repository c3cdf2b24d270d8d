/* Tensor descriptions: shapes, sizes, and where the bytes lie. */
#include <string.h>

#include "inside.h"
#include "layout.h"
#include "limits.h"

typedef unsigned long long ull; /* for %llu */

static loam_status bad(const loam__cursor *c, const loam__slot *s, loam_status status,
                       const char *why)
{
    return loam__fail(c->base, status, "%s: tensor '%s' %s; the file is damaged, get it again",
                      c->part->label, loam__gguf_show(s->name).text, why);
}

/* The bytes of a tensor, from its shape and type. */
static loam_status measure(const loam__cursor *c, loam__slot *s)
{
    const loam__layout *layout = loam__layout_find(s->type);
    uint64_t values = 1;
    for (uint32_t d = 0; d < LOAM__GGUF_DIMS_MAX; d++) {
        if (s->dims[d] == 0) return bad(c, s, LOAM_ERR_CORRUPT, "has a dimension of 0");
        if (!loam__mul_u64(values, s->dims[d], &values) || values > INT64_MAX)
            return bad(c, s, LOAM_ERR_CORRUPT, "has more values than a number can count");
    }
    if (!layout)
        return loam__fail(c->base, LOAM_ERR_TENSOR_TYPE,
                          "%s: tensor '%s' has number format %lu, which loam does not know; get "
                          "the model in another format, or a newer loam",
                          c->part->label, loam__gguf_show(s->name).text, (unsigned long)s->type);
    if (s->dims[0] % layout->block_values != 0)
        return loam__fail(c->base, LOAM_ERR_TENSOR_SHAPE,
                          "%s: tensor '%s' has rows of %llu values, but %s packs them by %lu; "
                          "the file was badly converted, get another",
                          c->part->label, loam__gguf_show(s->name).text, (ull)s->dims[0],
                          layout->name, (unsigned long)layout->block_values);
    if (!loam__mul_u64(values / layout->block_values, layout->block_bytes, &s->size))
        return bad(c, s, LOAM_ERR_CORRUPT, "has more bytes than a number can count");
    return LOAM_OK;
}

static loam_status read_slot(loam__gguf *g, loam__cursor *c, uint32_t part, uint64_t align,
                             loam__slot *s)
{
    s->part = part;
    s->name = loam__cursor_name(c, LOAM__GGUF_NAME_MAX, &g->arena);
    s->n_dims = loam__cursor_u32(c);
    if (c->status != LOAM_OK) return c->status;
    if (s->n_dims == 0) return bad(c, s, LOAM_ERR_CORRUPT, "has no dimensions");
    if (s->n_dims > LOAM__GGUF_DIMS_MAX)
        return loam__fail(c->base, LOAM_ERR_LIMIT,
                          "%s: tensor '%s' has %lu dimensions, loam's limit is %u", c->part->label,
                          loam__gguf_show(s->name).text, (unsigned long)s->n_dims,
                          LOAM__GGUF_DIMS_MAX);
    for (uint32_t d = 0; d < LOAM__GGUF_DIMS_MAX; d++)
        s->dims[d] = d < s->n_dims ? loam__cursor_u64(c) : 1;
    s->type = loam__cursor_u32(c);
    s->offset = loam__cursor_u64(c);
    if (c->status != LOAM_OK) return c->status;
    if (s->offset % align != 0)
        return bad(c, s, LOAM_ERR_CORRUPT, "does not begin at a multiple of general.alignment");
    return measure(c, s);
}

/* Turn offsets into those of the part, and see that the part is as long as its tensors say. */
static loam_status place(const loam__cursor *c, loam__slot *slots, size_t n, uint64_t align)
{
    uint64_t start, end, needed = 0;
    if (!loam__align_u64(c->at, align, &start))
        return LOAM_ERR_INTERNAL; /* a header ends far below 2^64 */
    for (size_t i = 0; i < n; i++) {
        loam__slot *s = &slots[i];
        if (!loam__add_u64(start, s->offset, &s->offset) ||
            !loam__add_u64(s->offset, s->size, &end))
            return bad(c, s, LOAM_ERR_CORRUPT, "ends beyond what a number can count");
        if (end > needed) needed = end;
    }
    if (needed <= c->part->size) return LOAM_OK;
    return loam__fail(c->base, LOAM_ERR_TRUNCATED,
                      "%s is cut short: its tensors need %llu bytes and it has %llu, %llu are "
                      "missing; it is a partial download, get it again",
                      c->part->label, (ull)needed, (ull)c->part->size,
                      (ull)(needed - c->part->size));
}

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t t = *a;
    *a = *b;
    *b = t;
}

static void sift(const loam__slot *slots, uint32_t *order, size_t root, size_t n)
{
    for (size_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && slots[order[child]].offset < slots[order[child + 1]].offset) child++;
        if (slots[order[root]].offset >= slots[order[child]].offset) return;
        swap(&order[root], &order[child]);
    }
}

/* Heap sort: qsort() may allocate, and may be quadratic on made-up input. */
static void sort_by_offset(const loam__slot *slots, uint32_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n / 2; i-- > 0;)
        sift(slots, order, i, n);
    for (size_t i = n; i-- > 1;) {
        swap(&order[0], &order[i]);
        sift(slots, order, 0, i);
    }
}

/* Most writers list tensors in the order of their bytes. */
static bool lie_in_order(const loam__slot *slots, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (slots[i - 1].offset + slots[i - 1].size > slots[i].offset) return false;
    return true;
}

static loam_status check_overlap(const loam__cursor *c, const loam__slot *slots, size_t n)
{
    loam_status st = LOAM_OK;
    if (lie_in_order(slots, n)) return LOAM_OK;
    uint32_t *order = loam__alloc_array(c->base, n, sizeof *order);
    if (!order) return LOAM_ERR_NOMEM;
    sort_by_offset(slots, order, n);
    for (size_t i = 1; i < n && st == LOAM_OK; i++) {
        const loam__slot *s = &slots[order[i - 1]], *t = &slots[order[i]];
        if (s->offset + s->size <= t->offset) continue;
        st = loam__fail(c->base, LOAM_ERR_CORRUPT,
                        "%s: tensors '%s' and '%s' overlap; the file is damaged, get it again",
                        c->part->label, loam__gguf_show(s->name).text,
                        loam__gguf_show(t->name).text);
    }
    loam__free(c->base, order);
    return st;
}

/* Room for n more slots, zeroed; doubling keeps many parts together linear. */
static loam_status grow(loam__gguf *g, size_t n)
{
    size_t total = g->n_slots + n, capacity = g->slots_capacity, bytes;
    if (total > capacity) {
        capacity = total > 2 * capacity ? total : 2 * capacity;
        if (!loam__mul_size(capacity, sizeof *g->slots, &bytes)) return LOAM_ERR_NOMEM;
        loam__slot *slots = loam__realloc(g->base, g->slots, bytes);
        if (!slots) return LOAM_ERR_NOMEM;
        g->slots = slots;
        g->slots_capacity = capacity;
    }
    memset(g->slots + g->n_slots, 0, n * sizeof *g->slots);
    return LOAM_OK;
}

loam_status loam__gguf_slots(loam__gguf *g, loam__cursor *c, uint32_t part, uint64_t n,
                             uint64_t align)
{
    loam_status st;
    if (n == 0) return LOAM_OK;
    if (n > LOAM__GGUF_TENSORS_MAX - g->n_slots)
        return loam__fail(g->base, LOAM_ERR_LIMIT,
                          "%s brings the tensors to more than %llu, which is loam's limit",
                          c->part->label, (ull)LOAM__GGUF_TENSORS_MAX);
    if ((st = grow(g, (size_t)n)) != LOAM_OK) return st;
    loam__slot *slots = g->slots + g->n_slots;
    c->what = "tensor description";
    for (uint64_t i = 0; i < n; i++) {
        c->number = (int64_t)i;
        if ((st = read_slot(g, c, part, align, &slots[i])) != LOAM_OK) return st;
    }
    g->n_slots += (size_t)n;
    if ((st = place(c, slots, (size_t)n, align)) != LOAM_OK) return st;
    return check_overlap(c, slots, (size_t)n);
}
