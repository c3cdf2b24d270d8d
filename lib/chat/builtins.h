/* What templates can call: filters, tests, methods, global functions; and how arguments get there.
 * Private to lib/chat. */
#ifndef LOAM__CHAT_BUILTINS_H
#define LOAM__CHAT_BUILTINS_H

#include "ast.h"

typedef struct call {
    const value *args;
    size_t n;
    dict *named; /* NULL: none */
} call;

/* self: what a filter or test is applied to, what a method belongs to; absent for a function. c:
 * with named parameters their values in order, absent where not given; without, the call as it
 * came. */
typedef bool builtin_fn(vm *m, value self, const call *c, value *out);

typedef struct builtin {
    const char *name;
    builtin_fn *fn;
    const char *params; /* their names, a space between; NULL: takes any arguments */
    uint8_t required;   /* how many of them must be given */
    bool keeps_markup;  /* of markup makes markup */
} builtin;

enum { MAX_PARAMS = 8 };

const builtin *loam__find_filter(const text *name);
const builtin *loam__find_test(const text *name);
const builtin *loam__find_function(const text *name);
const builtin *loam__find_method(value self, const text *name,
                                 bool *unsafe); /* unsafe: changes self, so not for us */
const builtin *loam__find(const builtin *table, const text *name);

bool loam__invoke(vm *m, const builtin *b, value self, const call *c, value *out);
bool loam__apply_test(vm *m, const builtin *b, value self, const call *c, bool *out);

/* The tables, one a file; each ends with a NULL name. */
extern const builtin loam__text_filters[], loam__list_filters[], loam__value_filters[];

/* Arguments with their defaults; the flag versions raise on a wrong kind. */
bool loam__arg_int(vm *m, const call *c, size_t i, int64_t otherwise, int64_t *out);
bool loam__arg_truth(vm *m, const call *c, size_t i, bool otherwise, bool *out);
bool loam__arg_text(vm *m, const call *c, size_t i, text **out); /* NULL if absent or none */
static inline bool loam__given(const call *c, size_t i)
{
    return i < c->n && c->args[i].kind != KIND_ABSENT;
}

/* "a.b.0" of a value, as attribute= has it. */
bool loam__attribute_path(vm *m, value v, value path, value *out);

/* strftime (strftime.c): seconds since 1970 as civil time, English names. */
bool loam__put_time(vm *m, const text *format, int64_t seconds);

/* ---- running (eval.c, exec.c) ---- */

typedef struct binding {
    const text *name;
    value value;
} binding;

typedef struct scope {
    struct scope *parent;
    binding *vars;
    size_t n, capacity;
} scope;

typedef struct method {
    value self;
    const builtin *builtin;
} method;

typedef struct macro {
    const node *node;
    scope *scope; /* where it was defined */
} macro;

typedef struct cycler {
    list *items;
    size_t at;
} cycler;

typedef struct joiner {
    text *separator;
    bool used;
} joiner;

typedef struct loop {
    iter *it;
    int64_t index0;
    uint32_t depth0;
    value source; /* what is iterated, for its length */
    value current, before, after;
    int64_t length;        /* -1: not asked yet */
    value changed;         /* arguments of the last changed() */
    const node *recursive; /* the FOR to run again, or NULL */
    scope *scope;          /* around it */
} loop;

bool loam__eval(vm *m, const node *e, value *out);
bool loam__exec(vm *m, const node *body); /* a whole template */
bool loam__bind(vm *m, scope *s, const node *target, value v);
bool loam__call(vm *m, value callee, const call *c, value *out);
bool loam__call_macro(vm *m, const macro *f, const call *c, value *out);
bool loam__loop_again(vm *m, const loop *l, value iterable, value *out);
bool loam__loop_attribute(vm *m, value v, const text *name, value *out);
bool loam__scope_get(vm *m, scope *s, const text *name, value *out); /* KIND_ABSENT: not there */
bool loam__scope_set(vm *m, scope *s, const text *name, value v);
scope *loam__scope_new(vm *m, scope *parent);

#endif
