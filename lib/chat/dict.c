#include "value.h"

#include <string.h>

enum { INDEX_FROM = 9 }; /* smaller dicts are searched from the front */

dict *loam__dict_new(vm *m)
{
    return loam__vm_alloc(m, sizeof(dict));
}

static uint64_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = loam__fnv(LOAM__FNV, p, n);
    return h ^ (h >> 29); /* the low bits pick the slot */
}

static uint64_t mix(uint64_t h)
{
    h = (h ^ (h >> 31)) * UINT64_C(0x9E3779B97F4A7C15);
    return h ^ (h >> 29);
}

static bool hash_tuple(vm *m, const list *l, uint64_t *out)
{
    uint64_t h = l->n, part;
    if (!loam__vm_enter(m)) return false;
    for (size_t i = 0; i < l->n; i++) {
        if (!loam__hash(m, l->items[i], &part)) return false;
        h = mix(h * 31 + part);
    }
    loam__vm_leave(m);
    *out = h;
    return loam__vm_steps(m, 1 + l->n / 16);
}

bool loam__hash(vm *m, value v, uint64_t *out)
{
    int64_t i;
    *out = 0;
    switch (v.kind) {
    case KIND_STRING:
    case KIND_BIG:
        *out = hash_bytes(v.text->p, v.text->n);
        return loam__vm_read(m, v.text->n);
    case KIND_FLOAT: /* equal numbers are one key */
        if (v.real >= -9e18 && v.real <= 9e18 && v.real == (double)(int64_t)v.real)
            *out = mix((uint64_t)(int64_t)v.real);
        else *out = hash_bytes((const char *)&v.real, sizeof v.real);
        return true;
    case KIND_TUPLE:
        return hash_tuple(m, v.list, out);
    case KIND_LIST:
    case KIND_DICT:
        return loam__vm_raise(m, "unhashable type: '%s'", loam__type_name(v));
    case KIND_NONE:
    case KIND_UNDEFINED:
        *out = v.kind;
        return true;
    default:
        if (loam__is_int(v, &i)) *out = mix((uint64_t)i);
        else *out = mix((uint64_t)(uintptr_t)v.text); /* an object is itself */
        return true;
    }
}

/* Entry number, or n: not there. slot: where in the index it is or would be. */
static bool find(vm *m, const dict *d, value key, uint64_t hash, size_t *found, size_t *slot)
{
    bool same = false;
    size_t tried = 0;
    *found = d->n;
    *slot = 0;
    if (!d->index) {
        for (size_t i = 0; i < d->n; i++) {
            if (d->entries[i].hash != hash) continue;
            if (!loam__equal(m, d->entries[i].key, key, &same)) return false;
            if (same) *found = i;
            if (same) return true;
        }
        return true;
    }
    for (*slot = hash & (d->index_size - 1); d->index[*slot];
         *slot = (*slot + 1) & (d->index_size - 1)) {
        size_t i = d->index[*slot] - 1;
        if (++tried % 16 == 0 && !loam__vm_steps(m, 1)) return false;
        if (d->entries[i].hash != hash) continue;
        if (!loam__equal(m, d->entries[i].key, key, &same)) return false;
        if (same) *found = i;
        if (same) return true;
    }
    return true;
}

static bool grow(vm *m, dict *d)
{
    size_t capacity = d->capacity ? d->capacity * 2 : 4;
    dict_entry *entries = loam__vm_alloc_array(m, capacity, sizeof *entries);
    if (!entries || !loam__vm_work(m, d->n * sizeof *entries)) return false;
    if (d->n) memcpy(entries, d->entries, d->n * sizeof *entries);
    d->entries = entries;
    d->capacity = capacity;
    if (capacity < INDEX_FROM) return true;
    d->index_size = capacity * 2;
    if (!(d->index = loam__vm_alloc_array(m, d->index_size, sizeof *d->index))) return false;
    for (size_t i = 0; i < d->n; i++) {
        size_t slot = entries[i].hash & (d->index_size - 1);
        while (d->index[slot])
            slot = (slot + 1) & (d->index_size - 1);
        d->index[slot] = (uint32_t)(i + 1);
    }
    return true;
}

bool loam__dict_set(vm *m, dict *d, value key, value v)
{
    uint64_t hash;
    size_t i, slot;
    if (!loam__hash(m, key, &hash) || !find(m, d, key, hash, &i, &slot)) return false;
    if (i < d->n) {
        d->entries[i].value = v;
        return true;
    }
    if (d->n == d->capacity && (!grow(m, d) || !find(m, d, key, hash, &i, &slot))) return false;
    d->entries[d->n] = (dict_entry){.key = key, .value = v, .hash = hash};
    if (d->index) d->index[slot] = (uint32_t)(d->n + 1);
    d->n++;
    return true;
}

bool loam__dict_get(vm *m, const dict *d, value key, value *out)
{
    uint64_t hash;
    size_t i, slot;
    if (!loam__hash(m, key, &hash) || !find(m, d, key, hash, &i, &slot)) return false;
    *out = i < d->n ? d->entries[i].value : (value){.kind = KIND_ABSENT};
    return true;
}

bool loam__dict_get_text(vm *m, const dict *d, const text *key, value *out)
{
    value k = {.kind = KIND_STRING, .text = (text *)key};
    return loam__dict_get(m, d, k, out);
}

dict *loam__dict_copy(vm *m, const dict *d)
{
    dict *copy = loam__dict_new(m);
    for (size_t i = 0; copy && i < d->n; i++)
        if (!loam__dict_set(m, copy, d->entries[i].key, d->entries[i].value)) return NULL;
    return copy;
}

bool loam__dict_item(vm *m, const dict *d, size_t i, enum view_part part, value *out)
{
    if (part == VIEW_ITEMS) return loam__pair(m, d->entries[i].key, d->entries[i].value, out);
    *out = part == VIEW_KEYS ? d->entries[i].key : d->entries[i].value;
    return true;
}
