/* Filters over sequences. */
#include "builtins.h"
#include "strings.h"

static bool give_list(value *out, list *l)
{
    *out = loam__list_value(l);
    return l != NULL;
}

static bool give_iter(value *out, iter *it)
{
    *out = loam__iter_value(it);
    return it != NULL;
}

/* Strings compare without their case unless that is asked for. */
static bool fold(vm *m, bool sensitive, value *v)
{
    if (sensitive || v->kind != KIND_STRING) return true;
    text *t = loam__text_case(m, v->text, ALL_LOWER);
    if (t) *v = loam__string(t);
    return t != NULL;
}

/* The attribute that an item goes by, or the item. */
static bool key_of(vm *m, value item, const call *c, size_t attribute, bool sensitive, value *out)
{
    *out = item;
    if (loam__given(c, attribute) && !loam__attribute_path(m, item, c->args[attribute], out))
        return false;
    return fold(m, sensitive, out);
}

static bool filter_length(vm *m, value self, const call *c, value *out)
{
    size_t n;
    (void)c;
    if (!loam__length(m, self, &n)) return false;
    *out = loam__int((int64_t)n);
    return true;
}

static bool filter_list(vm *m, value self, const call *c, value *out)
{
    list *l;
    (void)c;
    return loam__list_of(m, self, &l) && give_list(out, l);
}

static bool filter_first(vm *m, value self, const call *c, value *out)
{
    iter *it = loam__iterate(m, self);
    (void)c;
    if (!it || !loam__next(m, it, out)) return false;
    if (out->kind == KIND_ABSENT) *out = loam__undefined("no first item, sequence was empty");
    return true;
}

static bool filter_last(vm *m, value self, const call *c, value *out)
{
    (void)c;
    if (self.kind == KIND_ITER) return loam__vm_raise(m, "'generator' object is not reversible");
    iter *it = loam__iterate_back(m, self);
    if (!it || !loam__next(m, it, out)) return false;
    if (out->kind == KIND_ABSENT) *out = loam__undefined("no last item, sequence was empty");
    return true;
}

static bool filter_reverse(vm *m, value self, const call *c, value *out)
{
    const value backwards[3] = {loam__none(), loam__none(), loam__int(-1)};
    (void)c;
    if (self.kind == KIND_STRING) return loam__slice(m, self, backwards, out);
    return give_iter(out, loam__iterate_back(m, self));
}

static bool filter_join(vm *m, value self, const call *c, value *out)
{
    size_t begin = loam__put_begin(m);
    bool first = true;
    value v, separator = loam__undefined("");
    iter *it = loam__iterate(m, self);
    if (!it || (loam__given(c, 0) && !loam__str(m, c->args[0], &separator))) return false;
    while (loam__next(m, it, &v)) {
        if (v.kind == KIND_ABSENT) return loam__put_end(m, begin, out);
        if (loam__given(c, 1) && !loam__attribute_path(m, v, c->args[1], &v)) return false;
        if (!first && !loam__put_str(m, separator)) return false;
        if (!loam__put_str(m, v)) return false;
        first = false;
    }
    return false;
}

/* What is empty, none included, is not even looked at. */
static bool lazy_source(vm *m, value self, iter **out)
{
    bool truth;
    *out = NULL;
    return loam__truth(m, self, &truth) && (!truth || (*out = loam__iterate(m, self)));
}

static bool give_nothing(vm *m, value *out)
{
    return give_iter(out, loam__iterate(m, loam__undefined("")));
}

static bool filter_map(vm *m, value self, const call *c, value *out)
{
    iter *from;
    if (!lazy_source(m, self, &from)) return false;
    return from ? give_iter(out, loam__iter_map(m, from, c)) : give_nothing(m, out);
}

static bool select(vm *m, value self, const call *c, bool attribute, bool wanted, value *out)
{
    iter *from;
    if (!lazy_source(m, self, &from)) return false;
    if (!from) return give_nothing(m, out);
    return give_iter(out, loam__iter_select(m, from, c, attribute, wanted));
}

static bool filter_select(vm *m, value self, const call *c, value *out)
{
    return select(m, self, c, false, true, out);
}

static bool filter_reject(vm *m, value self, const call *c, value *out)
{
    return select(m, self, c, false, false, out);
}

static bool filter_selectattr(vm *m, value self, const call *c, value *out)
{
    return select(m, self, c, true, true, out);
}

static bool filter_rejectattr(vm *m, value self, const call *c, value *out)
{
    return select(m, self, c, true, false, out);
}

/* ---- order ---- */

/* What sort goes by, always a list: of "a,b.c" the attributes in that order. */
static bool sort_key(vm *m, value item, value attribute, bool sensitive, value *out)
{
    const text comma = {.p = ",", .n = 1};
    list *parts = loam__list_new(m, 0), *keys = loam__list_new(m, 0);
    value key;
    if (!keys || !parts) return false;
    if (attribute.kind == KIND_STRING) parts = loam__text_split(m, attribute.text, &comma, -1);
    else if (!loam__list_add(m, parts, attribute.kind == KIND_ABSENT ? loam__none() : attribute))
        return false;
    for (size_t i = 0; parts && i < parts->n; i++) {
        if (!loam__attribute_path(m, item, parts->items[i], &key)) return false;
        if (!fold(m, sensitive, &key) || !loam__list_add(m, keys, key)) return false;
    }
    *out = loam__list_value(keys);
    return parts != NULL;
}

static bool sort_by(vm *m, value self, value attribute, bool sensitive, bool reverse, list **keys,
                    list **items)
{
    value key;
    list *of;
    if (!loam__list_of(m, self, &of) || !(*keys = loam__list_new(m, 0)) ||
        !(*items = loam__list_new(m, 0)))
        return false;
    for (size_t i = 0; i < of->n; i++) {
        if (!sort_key(m, of->items[i], attribute, sensitive, &key)) return false;
        if (!loam__list_add(m, *keys, key) || !loam__list_add(m, *items, of->items[i]))
            return false;
    }
    return loam__sort(m, (*keys)->items, (*items)->items, of->n, reverse);
}

static bool filter_sort(vm *m, value self, const call *c, value *out)
{
    bool reverse, sensitive;
    list *keys, *items;
    if (!loam__arg_truth(m, c, 0, false, &reverse) || !loam__arg_truth(m, c, 1, false, &sensitive))
        return false;
    return sort_by(m, self, c->args[2], sensitive, reverse, &keys, &items) && give_list(out, items);
}

static bool filter_dictsort(vm *m, value self, const call *c, value *out)
{
    bool sensitive, reverse;
    text *by;
    list *keys = loam__list_new(m, 0), *items = loam__list_new(m, 0);
    value pair;
    if (!keys || !items || !loam__arg_truth(m, c, 0, false, &sensitive) ||
        !loam__arg_text(m, c, 1, &by))
        return false;
    if (!loam__arg_truth(m, c, 2, false, &reverse)) return false;
    if (self.kind == KIND_UNDEFINED) return loam__raise_undefined(m, self);
    if (self.kind != KIND_DICT)
        return loam__vm_raise(m, "dictsort needs a mapping, not %s", loam__type_name(self));
    if (by && !loam__text_is(by, "key") && !loam__text_is(by, "value"))
        return loam__vm_raise(m, "you can only sort by either \"key\" or \"value\"");
    for (size_t i = 0; i < self.dict->n; i++) {
        value key = by && by->p[0] == 'v' ? self.dict->entries[i].value : self.dict->entries[i].key;
        if (!fold(m, sensitive, &key) || !loam__list_add(m, keys, key)) return false;
        if (!loam__dict_item(m, self.dict, i, VIEW_ITEMS, &pair) || !loam__list_add(m, items, pair))
            return false;
    }
    return loam__sort(m, keys->items, items->items, items->n, reverse) && give_list(out, items);
}

static bool filter_groupby(vm *m, value self, const call *c, value *out)
{
    bool sensitive, same = false;
    list *keys, *items, *groups = loam__list_new(m, 0), *members = NULL;
    value otherwise = loam__given(c, 1) ? c->args[1] : loam__none(), key, last = loam__none();
    if (!groups || !loam__arg_truth(m, c, 2, false, &sensitive)) return false;
    if (!loam__list_of(m, self, &items) || !(keys = loam__list_new(m, 0))) return false;
    for (size_t i = 0; i < items->n; i++) {
        if (!loam__attribute_path(m, items->items[i], c->args[0], &key)) return false;
        if (key.kind == KIND_UNDEFINED && otherwise.kind != KIND_NONE) key = otherwise;
        if (!fold(m, sensitive, &key) || !loam__list_add(m, keys, key)) return false;
    }
    list *sorted = loam__list_new(m, 0);
    if (!sorted || !(sorted = loam__list_join(m, sorted, items))) return false;
    if (!loam__sort(m, keys->items, sorted->items, sorted->n, false)) return false;
    for (size_t i = 0; i < sorted->n; i++) {
        if (i > 0 && !loam__equal(m, keys->items[i], last, &same)) return false;
        last = keys->items[i];
        if (i == 0 || !same) {
            value group;
            if (!(members = loam__list_new(m, 0)) ||
                !loam__attribute_path(m, sorted->items[i], c->args[0], &key))
                return false;
            if (key.kind == KIND_UNDEFINED && otherwise.kind != KIND_NONE) key = otherwise;
            if (!loam__pair(m, key, loam__list_value(members), &group)) return false;
            group.list->group = true;
            if (!loam__list_add(m, groups, group)) return false;
        }
        if (!loam__list_add(m, members, sorted->items[i])) return false;
    }
    return give_list(out, groups);
}

static bool filter_unique(vm *m, value self, const call *c, value *out)
{
    bool sensitive;
    dict *seen = loam__dict_new(m);
    list *l = loam__list_new(m, 0);
    value v, key, before;
    iter *it = loam__iterate(m, self);
    if (!seen || !l || !it || !loam__arg_truth(m, c, 0, false, &sensitive)) return false;
    while (loam__next(m, it, &v)) {
        if (v.kind == KIND_ABSENT) return give_iter(out, loam__iter_list(m, l));
        if (!key_of(m, v, c, 1, sensitive, &key) || !loam__dict_get(m, seen, key, &before))
            return false;
        if (before.kind != KIND_ABSENT) continue;
        if (!loam__dict_set(m, seen, key, v) || !loam__list_add(m, l, v)) return false;
    }
    return false;
}

static bool extreme(vm *m, value self, const call *c, int wanted, value *out)
{
    bool sensitive;
    value v, key, best = loam__none();
    iter *it = loam__iterate(m, self);
    int order = 0;
    if (!it || !loam__arg_truth(m, c, 0, false, &sensitive)) return false;
    *out = loam__undefined("no aggregated item, sequence was empty");
    for (size_t i = 0; loam__next(m, it, &v); i++) {
        if (v.kind == KIND_ABSENT) return true;
        if (!key_of(m, v, c, 1, sensitive, &key)) return false;
        if (i > 0 && !loam__compare(m, key, best, wanted < 0 ? "<" : ">", &order)) return false;
        if (i > 0 && order != wanted) continue;
        best = key;
        *out = v;
    }
    return false;
}

static bool filter_min(vm *m, value self, const call *c, value *out)
{
    return extreme(m, self, c, -1, out);
}

static bool filter_max(vm *m, value self, const call *c, value *out)
{
    return extreme(m, self, c, 1, out);
}

static bool filter_sum(vm *m, value self, const call *c, value *out)
{
    value v;
    iter *it = loam__iterate(m, self);
    *out = loam__given(c, 1) ? c->args[1] : loam__int(0);
    if (!it) return false;
    if (out->kind == KIND_STRING) return loam__vm_raise(m, "sum() can't sum strings");
    while (loam__next(m, it, &v)) {
        if (v.kind == KIND_ABSENT) return true;
        if (loam__given(c, 0) && !loam__attribute_path(m, v, c->args[0], &v)) return false;
        if (!loam__binary(m, OP_ADD, *out, v, out)) return false;
    }
    return false;
}

/* ---- pieces ---- */

static bool filter_batch(vm *m, value self, const call *c, value *out)
{
    int64_t size;
    list *l, *batches = loam__list_new(m, 0), *batch = NULL;
    if (!batches || !loam__arg_int(m, c, 0, 1, &size) || !loam__list_of(m, self, &l)) return false;
    if (size < 1) return loam__vm_raise(m, "batch needs a size of at least 1");
    for (size_t i = 0; i < l->n; i++) {
        if (i % (size_t)size == 0 && (!(batch = loam__list_new(m, 0)) ||
                                      !loam__list_add(m, batches, loam__list_value(batch))))
            return false;
        if (!loam__list_add(m, batch, l->items[i])) return false;
    }
    bool fill = loam__given(c, 1) && c->args[1].kind != KIND_NONE && batch;
    while (fill && batch->n < (size_t)size)
        if (!loam__vm_steps(m, 1) || !loam__list_add(m, batch, c->args[1])) return false;
    return give_iter(out, loam__iter_list(m, batches));
}

static bool filter_slice(vm *m, value self, const call *c, value *out)
{
    int64_t count;
    size_t at = 0;
    list *l, *slices = loam__list_new(m, 0);
    if (!slices || !loam__arg_int(m, c, 0, 1, &count) || !loam__list_of(m, self, &l)) return false;
    if (count < 1 || count > MAX_RANGE)
        return loam__vm_raise(m, "slice needs a number from 1 to %d", MAX_RANGE);
    for (size_t i = 0; i < (size_t)count; i++) {
        bool extra = i < l->n % (size_t)count;
        size_t n = l->n / (size_t)count + extra;
        list *slice = loam__list_new(m, 0);
        for (size_t k = 0; slice && k < n; k++)
            if (!loam__list_add(m, slice, l->items[at + k])) return false;
        at += n;
        bool fill = loam__given(c, 1) && c->args[1].kind != KIND_NONE && !extra;
        if (!slice || (fill && !loam__list_add(m, slice, c->args[1]))) return false;
        if (!loam__list_add(m, slices, loam__list_value(slice))) return false;
    }
    return give_iter(out, loam__iter_list(m, slices));
}

static bool filter_items(vm *m, value self, const call *c, value *out)
{
    list *l = loam__list_new(m, 0);
    value pair;
    (void)c;
    if (!l) return false;
    if (self.kind != KIND_DICT && self.kind != KIND_UNDEFINED)
        return loam__vm_raise(m, "Can only get item pairs from a mapping.");
    for (size_t i = 0; self.kind == KIND_DICT && i < self.dict->n; i++)
        if (!loam__dict_item(m, self.dict, i, VIEW_ITEMS, &pair) || !loam__list_add(m, l, pair))
            return false;
    return give_iter(out, loam__iter_list(m, l));
}

const builtin loam__list_filters[] = {
    {"length", filter_length, "", 0, false},
    {"count", filter_length, "", 0, false},
    {"list", filter_list, "", 0, false},
    {"join", filter_join, "d attribute", 0, false},
    {"first", filter_first, "", 0, false},
    {"last", filter_last, "", 0, false},
    {"items", filter_items, "", 0, false},
    {"map", filter_map, NULL, 0, false},
    {"select", filter_select, NULL, 0, false},
    {"reject", filter_reject, NULL, 0, false},
    {"selectattr", filter_selectattr, NULL, 0, false},
    {"rejectattr", filter_rejectattr, NULL, 0, false},
    {"reverse", filter_reverse, "", 0, true},
    {"sort", filter_sort, "reverse case_sensitive attribute", 0, false},
    {"dictsort", filter_dictsort, "case_sensitive by reverse", 0, false},
    {"groupby", filter_groupby, "attribute default case_sensitive", 1, false},
    {"unique", filter_unique, "case_sensitive attribute", 0, false},
    {"min", filter_min, "case_sensitive attribute", 0, false},
    {"max", filter_max, "case_sensitive attribute", 0, false},
    {"sum", filter_sum, "attribute start", 0, false},
    {"batch", filter_batch, "linecount fill_with", 1, false},
    {"slice", filter_slice, "slices fill_with", 1, false},
    {0},
};
