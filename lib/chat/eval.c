#include "builtins.h"

#include <string.h>

/* One function a kind of node, reached through a table: so each has a stack frame of its own, and a
 * deep template pays for the frames it uses. */

static bool eval_const(vm *m, const node *e, value *out)
{
    (void)m;
    *out = e->constant;
    return true;
}

static bool eval_name(vm *m, const node *e, value *out)
{
    *out = (value){.kind = KIND_ABSENT};
    for (scope *s = m->scope; s && out->kind == KIND_ABSENT; s = s->parent)
        if (!loam__scope_get(m, s, e->name, out)) return false;
    if (out->kind == KIND_ABSENT && !loam__dict_get_text(m, m->context, e->name, out)) return false;
    if (out->kind != KIND_ABSENT) return true;
    const builtin *f = loam__find_function(e->name);
    if (f) *out = (value){.kind = KIND_FUNCTION, .function = f};
    else *out = (value){.kind = KIND_UNDEFINED, .why = UNDEFINED_NAME, .text = (text *)e->name};
    return true;
}

static bool eval_list(vm *m, const node *e, value *out)
{
    list *l = loam__list_new(m, 0);
    value v;
    if (!l) return false;
    for (const node *item = e->a; item; item = item->next)
        if (!loam__eval(m, item, &v) || !loam__list_add(m, l, v)) return false;
    *out = (value){.kind = e->kind == NODE_TUPLE ? KIND_TUPLE : KIND_LIST, .list = l};
    return true;
}

static bool eval_dict(vm *m, const node *e, value *out)
{
    dict *d = loam__dict_new(m);
    value key, v;
    if (!d) return false;
    for (const node *pair = e->a; pair; pair = pair->next)
        if (!loam__eval(m, pair->a, &key) || !loam__eval(m, pair->b, &v) ||
            !loam__dict_set(m, d, key, v))
            return false;
    *out = loam__dict_value(d);
    return true;
}

static bool eval_not(vm *m, const node *e, value *out)
{
    bool truth;
    if (!loam__eval(m, e->a, out) || !loam__truth(m, *out, &truth)) return false;
    *out = loam__bool(!truth);
    return true;
}

static bool eval_sign(vm *m, const node *e, value *out)
{
    if (!loam__eval(m, e->a, out) || !loam__negate(m, *out, out)) return false;
    return e->kind == NODE_NEG || loam__negate(m, *out, out);
}

static bool eval_binary(vm *m, const node *e, value *out)
{
    value a, b;
    return loam__eval(m, e->a, &a) && loam__eval(m, e->b, &b) && loam__binary(m, e->op, a, b, out);
}

static bool eval_logic(vm *m, const node *e, value *out)
{
    bool truth;
    if (!loam__eval(m, e->a, out) || !loam__truth(m, *out, &truth)) return false;
    return truth == (e->kind == NODE_OR) || loam__eval(m, e->b, out);
}

static bool compare(vm *m, int op, value a, value b, bool *out)
{
    static const char *const names[] = {
        [OP_LT] = "<", [OP_LE] = "<=", [OP_GT] = ">", [OP_GE] = ">="};
    int order;
    if (op == OP_EQ || op == OP_NE) {
        if (!loam__equal(m, a, b, out)) return false;
        *out ^= op == OP_NE;
        return true;
    }
    if (op == OP_IN || op == OP_NOT_IN) {
        if (!loam__contains(m, b, a, out)) return false;
        *out ^= op == OP_NOT_IN;
        return true;
    }
    if (!loam__compare(m, a, b, names[op], &order)) return false;
    *out = order != 2 && (op == OP_LT   ? order < 0
                          : op == OP_LE ? order <= 0
                          : op == OP_GT ? order > 0
                                        : order >= 0);
    return true;
}

static bool eval_compare(vm *m, const node *e, value *out)
{
    value a, b;
    bool holds = true;
    if (!loam__eval(m, e->a, &a)) return false;
    for (const node *operand = e->b; operand && holds; operand = operand->next) {
        if (!loam__eval(m, operand->a, &b) || !compare(m, operand->op, a, b, &holds)) return false;
        a = b;
    }
    *out = loam__bool(holds);
    return true;
}

static bool eval_concat(vm *m, const node *e, value *out)
{
    text *whole = NULL;
    value v;
    for (const node *part = e->a; part; part = part->next) {
        if (!loam__eval(m, part, &v) || !loam__str(m, v, &v)) return false;
        text *plain = loam__text_plain(m, v.text);
        if (!plain || !(whole = whole ? loam__text_join(m, whole, plain) : plain)) return false;
    }
    *out = loam__string(whole);
    return true;
}

static bool eval_cond(vm *m, const node *e, value *out)
{
    bool truth;
    if (!loam__eval(m, e->a, out) || !loam__truth(m, *out, &truth)) return false;
    const node *chosen = truth ? e->b : e->c;
    *out = loam__undefined(
        "the inline if-expression evaluated to false and no else section was defined");
    return !chosen || loam__eval(m, chosen, out);
}

static bool eval_attr(vm *m, const node *e, value *out)
{
    value v;
    return loam__eval(m, e->a, &v) && loam__attribute(m, v, e->name, out);
}

static bool eval_item(vm *m, const node *e, value *out)
{
    value v, key;
    return loam__eval(m, e->a, &v) && loam__eval(m, e->b, &key) && loam__item(m, v, key, out);
}

static bool eval_sliced(vm *m, const node *e, value *out)
{
    const node *const parts[3] = {e->b, e->c, e->d};
    value v, bounds[3];
    if (!loam__eval(m, e->a, &v)) return false;
    for (int i = 0; i < 3; i++) {
        bounds[i] = loam__none();
        if (parts[i] && !loam__eval(m, parts[i], &bounds[i])) return false;
    }
    return loam__slice(m, v, bounds, out);
}

/* ---- calls ---- */

static bool add_named(vm *m, call *c, value key, value v)
{
    if (key.kind != KIND_STRING) return loam__vm_raise(m, "keywords must be strings");
    if (!c->named && !(c->named = loam__dict_new(m))) return false;
    return loam__dict_set(m, c->named, key, v);
}

static bool add_dict(vm *m, call *c, value v)
{
    if (v.kind != KIND_DICT)
        return loam__vm_raise(m, "argument after ** must be a mapping, not %s", loam__type_name(v));
    for (size_t i = 0; i < v.dict->n; i++)
        if (!add_named(m, c, v.dict->entries[i].key, v.dict->entries[i].value)) return false;
    return true;
}

/* The arguments live as long as the vm: lazy filters keep them. */
static bool eval_arguments(vm *m, const node *first, call *c)
{
    list *args = NULL, *more;
    value v;
    *c = (call){0};
    if (!first) return true;
    if (!(args = loam__list_new(m, 0))) return false;
    for (const node *arg = first; arg; arg = arg->next) {
        bool ok = loam__eval(m, arg->a, &v);
        if (ok && arg->name) ok = add_named(m, c, loam__string((text *)arg->name), v);
        else if (ok && arg->op == ARG_DICT) ok = add_dict(m, c, v);
        else if (ok && arg->op == ARG_LIST)
            ok = loam__list_of(m, v, &more) && (args = loam__list_join(m, args, more));
        else if (ok) ok = loam__list_add(m, args, v);
        if (!ok) return false;
    }
    c->args = args->items;
    c->n = args->n;
    return true;
}

bool loam__call(vm *m, value callee, const call *c, value *out)
{
    switch (callee.kind) {
    case KIND_UNDEFINED:
        return loam__raise_undefined(m, callee);
    case KIND_FUNCTION:
        return loam__invoke(m, callee.function, (value){.kind = KIND_ABSENT}, c, out);
    case KIND_METHOD:
        return loam__invoke(m, callee.method->builtin, callee.method->self, c, out);
    case KIND_MACRO:
        return loam__call_macro(m, callee.macro, c, out);
    case KIND_LOOP:
        if (c->n != 1) return loam__vm_raise(m, "loop() takes one argument");
        return loam__loop_again(m, callee.loop, c->args[0], out);
    case KIND_CYCLER:
    case KIND_JOINER: {
        bool unsafe;
        const text next = {.p = "next", .n = 4};
        return loam__invoke(m, loam__find_method(callee, &next, &unsafe), callee, c, out);
    }
    default:
        return loam__vm_raise(m, "'%s' object is not callable", loam__type_name(callee));
    }
}

/* x.method(...) without making a bound method first. NULL: it is no such thing, evaluate it as it
 * stands. */
static const builtin *method_called(const node *callee, value self)
{
    bool unsafe;
    if (callee->kind != NODE_ATTR || self.kind < KIND_STRING || self.kind > KIND_RANGE) return NULL;
    return loam__find_method(self, callee->name, &unsafe);
}

static bool eval_call(vm *m, const node *e, value *out)
{
    value callee, self = {.kind = KIND_ABSENT};
    const builtin *direct = NULL;
    value *caller = m->caller;
    call c;
    m->caller = NULL;
    if (e->a->kind == NODE_ATTR) {
        if (!loam__eval(m, e->a->a, &self)) return false;
        direct = method_called(e->a, self);
        if (!direct && !loam__attribute(m, self, e->a->name, &callee)) return false;
    } else if (!loam__eval(m, e->a, &callee)) {
        return false;
    }
    if (!eval_arguments(m, e->b, &c)) return false;
    if (caller && !add_named(m, &c, loam__string((text *)loam__intern(m, "caller", 6)), *caller))
        return false;
    return direct ? loam__invoke(m, direct, self, &c, out) : loam__call(m, callee, &c, out);
}

static bool eval_filter(vm *m, const node *e, value *out)
{
    value v;
    call c;
    if (e->a) {
        if (!loam__eval(m, e->a, &v)) return false;
    } else {
        v = *m->piped;
    }
    if (!e->builtin) return loam__vm_raise(m, "no filter named '%.100s'", e->name->p);
    return eval_arguments(m, e->b, &c) && loam__invoke(m, e->builtin, v, &c, out);
}

static bool eval_test(vm *m, const node *e, value *out)
{
    value v;
    call c;
    bool truth;
    if (!loam__eval(m, e->a, &v)) return false;
    if (!e->builtin) return loam__vm_raise(m, "no test named '%.100s'", e->name->p);
    if (!eval_arguments(m, e->b, &c) || !loam__apply_test(m, e->builtin, v, &c, &truth))
        return false;
    *out = loam__bool(truth);
    return true;
}

bool loam__eval(vm *m, const node *e, value *out)
{
    static bool (*const kinds[])(vm *, const node *, value *) = {
        [NODE_CONST] = eval_const,   [NODE_NAME] = eval_name,     [NODE_LIST] = eval_list,
        [NODE_TUPLE] = eval_list,    [NODE_DICT] = eval_dict,     [NODE_NOT] = eval_not,
        [NODE_NEG] = eval_sign,      [NODE_POS] = eval_sign,      [NODE_BINARY] = eval_binary,
        [NODE_AND] = eval_logic,     [NODE_OR] = eval_logic,      [NODE_COMPARE] = eval_compare,
        [NODE_CONCAT] = eval_concat, [NODE_COND] = eval_cond,     [NODE_ATTR] = eval_attr,
        [NODE_ITEM] = eval_item,     [NODE_SLICED] = eval_sliced, [NODE_CALL] = eval_call,
        [NODE_FILTER] = eval_filter, [NODE_TEST] = eval_test,
    };
    uint32_t line = m->line;
    if (!loam__vm_steps(m, 1) || !loam__vm_enter(m)) return false;
    m->line = e->line;
    if (!kinds[e->kind](m, e, out)) return false;
    m->line = line;
    loam__vm_leave(m);
    return true;
}
