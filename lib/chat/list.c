#include "value.h"

#include <string.h>

/* As with texts: the list that ends where the used items end can grow in place. */
typedef struct list_growth {
    value *items;
    size_t used, capacity;
} list_growth;

static list_growth *make_room(vm *m, size_t capacity)
{
    list_growth *g = loam__vm_alloc(m, sizeof *g);
    if (!g || !(g->items = loam__vm_alloc_array(m, capacity, sizeof(value)))) return NULL;
    g->capacity = capacity;
    return g;
}

list *loam__list_new(vm *m, size_t capacity)
{
    list *l = loam__vm_alloc(m, sizeof *l);
    if (!l || capacity == 0) return l;
    if (!(l->growth = make_room(m, capacity))) return NULL;
    l->items = l->growth->items;
    return l;
}

static bool append(vm *m, list *l, const value *items, size_t n)
{
    list_growth *g = l->growth;
    if (!g || l->items + l->n != g->items + g->used || g->capacity - g->used < n) {
        if (!loam__vm_work(m, l->n * sizeof(value))) return false;
        if (!(g = make_room(m, (l->n + n) * 2))) return false;
        if (l->n) memcpy(g->items, l->items, l->n * sizeof(value));
        g->used = l->n;
        l->items = g->items;
        l->growth = g;
    }
    if (n) memcpy(g->items + g->used, items, n * sizeof(value));
    g->used += n;
    l->n += n;
    return loam__vm_work(m, n * sizeof(value));
}

bool loam__list_add(vm *m, list *l, value v)
{
    return append(m, l, &v, 1);
}

list *loam__list_join(vm *m, list *a, const list *b)
{
    list *l = loam__vm_alloc(m, sizeof *l);
    if (!l) return NULL;
    *l = (list){.items = a->items, .n = a->n, .growth = a->growth};
    return append(m, l, b->items, b->n) ? l : NULL;
}

bool loam__list_of(vm *m, value iterable, list **out)
{
    value v;
    iter *it = loam__iterate(m, iterable);
    if (!it || !(*out = loam__list_new(m, 0))) return false;
    while (loam__next(m, it, &v)) {
        if (v.kind == KIND_ABSENT) return true;
        if (!loam__list_add(m, *out, v)) return false;
    }
    return false;
}

bool loam__pair(vm *m, value a, value b, value *out)
{
    list *l = loam__list_new(m, 2);
    if (!l || !loam__list_add(m, l, a) || !loam__list_add(m, l, b)) return false;
    *out = loam__tuple_value(l);
    return true;
}

/* Merge [from, middle) and [middle, to) of the order; equal ones keep their places. */
static bool merge(vm *m, const value *keys, size_t *order, size_t *spare, size_t from,
                  size_t middle, size_t to, bool reverse)
{
    size_t a = from, b = middle;
    for (size_t i = from; i < to; i++) {
        int c = 0;
        if (a < middle && b < to) {
            if (!loam__vm_steps(m, 1)) return false;
            if (!loam__compare(m, keys[order[b]], keys[order[a]], "<", &c)) return false;
            if (reverse) c = -c;
        }
        bool take_b = a == middle || (b < to && c == -1);
        spare[i] = take_b ? order[b++] : order[a++];
    }
    memcpy(order + from, spare + from, (to - from) * sizeof *order);
    return true;
}

bool loam__sort(vm *m, value *keys, value *items, size_t n, bool reverse)
{
    size_t *order = loam__vm_alloc_array(m, n, 2 * sizeof *order);
    value *sorted = loam__vm_alloc_array(m, n, sizeof *sorted);
    if (!order || !sorted) return false;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    for (size_t run = 1; run < n; run *= 2)
        for (size_t from = 0; from + run < n; from += 2 * run) {
            size_t to = n - from < 2 * run ? n : from + 2 * run;
            if (!merge(m, keys, order, order + n, from, from + run, to, reverse)) return false;
        }
    for (int pass = 0; pass < 2; pass++) {
        value *moved = pass ? items : keys;
        for (size_t i = 0; i < n; i++)
            sorted[i] = moved[order[i]];
        if (n) memcpy(moved, sorted, n * sizeof *sorted);
        if (items == keys) break;
    }
    return true;
}
