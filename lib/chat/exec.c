#include "builtins.h"

typedef enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED } flow;

static flow exec_body(vm *m, const node *body);

/* ---- scopes ---- */

scope *loam__scope_new(vm *m, scope *parent)
{
    scope *s = loam__vm_alloc(m, sizeof *s);
    if (s) s->parent = parent;
    return s;
}

static bool find_binding(vm *m, const scope *s, const text *name, size_t *at)
{
    for (*at = 0; *at < s->n && s->vars[*at].name != name; ++*at) {
    }
    return *at < 64 || loam__vm_steps(m, *at / 64);
}

bool loam__scope_get(vm *m, scope *s, const text *name, value *out)
{
    size_t at;
    if (!find_binding(m, s, name, &at)) return false;
    if (at < s->n) *out = s->vars[at].value;
    return true;
}

bool loam__scope_set(vm *m, scope *s, const text *name, value v)
{
    size_t at;
    if (!find_binding(m, s, name, &at)) return false;
    if (at == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 4;
        binding *vars = loam__vm_alloc_array(m, capacity, sizeof *vars);
        if (!vars) return false;
        for (size_t i = 0; i < s->n; i++)
            vars[i] = s->vars[i];
        s->vars = vars;
        s->capacity = capacity;
    }
    if (at == s->n) s->n++;
    s->vars[at] = (binding){.name = name, .value = v};
    return true;
}

static bool push_scope(vm *m)
{
    scope *s = loam__scope_new(m, m->scope);
    if (s) m->scope = s;
    return s != NULL;
}

static void pop_scope(vm *m)
{
    m->scope = m->scope->parent;
}

/* ---- assignment ---- */

static bool bind_tuple(vm *m, scope *s, const node *target, value v)
{
    size_t n = 0;
    list *l;
    if (v.kind == KIND_LIST || v.kind == KIND_TUPLE) l = v.list;
    else if (!loam__list_of(m, v, &l)) return false;
    for (const node *item = target->a; item; item = item->next, n++)
        if (n < l->n && !loam__bind(m, s, item, l->items[n])) return false;
    if (n == l->n) return true;
    return loam__vm_raise(m, "cannot unpack %zu values into %zu names", l->n, n);
}

static bool bind_attribute(vm *m, const node *target, value v)
{
    value space;
    if (!loam__eval(m, target->a, &space)) return false;
    if (space.kind != KIND_NAMESPACE)
        return loam__vm_raise(m, "cannot assign attribute on non-namespace object");
    return loam__dict_set(m, space.dict, loam__string((text *)target->name), v);
}

bool loam__bind(vm *m, scope *s, const node *target, value v)
{
    if (target->kind == NODE_NAME) return loam__scope_set(m, s, target->name, v);
    if (target->kind == NODE_ATTR) return bind_attribute(m, target, v);
    if (!loam__vm_enter(m) || !bind_tuple(m, s, target, v)) return false;
    loam__vm_leave(m);
    return true;
}

/* ---- what writes ---- */

static flow exec_data(vm *m, const node *s)
{
    loam__put_text(m, s->constant.text);
    return loam__put_ok(m) ? FLOW_ON : FLOW_FAILED;
}

static flow exec_print(vm *m, const node *s)
{
    value v;
    return loam__eval(m, s->a, &v) && loam__put_str(m, v) ? FLOW_ON : FLOW_FAILED;
}

/* Run a body in a scope of its own and take what it writes. */
static flow capture(vm *m, const node *body, value *out)
{
    size_t begin = loam__put_begin(m);
    if (!push_scope(m)) return FLOW_FAILED;
    flow f = exec_body(m, body);
    if (f == FLOW_FAILED) return f;
    pop_scope(m);
    if (f == FLOW_ON) return loam__put_end(m, begin, out) ? f : FLOW_FAILED;
    loam__put_drop(m, begin);
    return f;
}

static bool filter_captured(vm *m, const node *filters, value *v)
{
    value *outer = m->piped, piped = *v;
    m->piped = &piped;
    bool ok = loam__eval(m, filters, v);
    m->piped = outer;
    return ok;
}

static flow exec_set(vm *m, const node *s)
{
    value v;
    return loam__eval(m, s->b, &v) && loam__bind(m, m->scope, s->a, v) ? FLOW_ON : FLOW_FAILED;
}

static flow exec_set_block(vm *m, const node *s)
{
    value v;
    flow f = capture(m, s->b, &v);
    if (f != FLOW_ON) return f;
    if (s->c && !filter_captured(m, s->c, &v)) return FLOW_FAILED;
    return loam__bind(m, m->scope, s->a, v) ? FLOW_ON : FLOW_FAILED;
}

static flow exec_filter_block(vm *m, const node *s)
{
    value v;
    flow f = capture(m, s->b, &v);
    if (f != FLOW_ON) return f;
    return filter_captured(m, s->c, &v) && loam__put_str(m, v) ? FLOW_ON : FLOW_FAILED;
}

/* ---- what branches and nests ---- */

static flow exec_if(vm *m, const node *s)
{
    value v;
    bool truth;
    for (;;) {
        m->line = s->line;
        if (!loam__eval(m, s->a, &v) || !loam__truth(m, v, &truth)) return FLOW_FAILED;
        if (truth) return exec_body(m, s->b);
        if (!s->c || !s->c->flag) return exec_body(m, s->c);
        s = s->c;
    }
}

static flow exec_with(vm *m, const node *s)
{
    scope *inner = loam__scope_new(m, m->scope);
    value v;
    if (!inner) return FLOW_FAILED;
    for (const node *set = s->a; set; set = set->next)
        if (!loam__eval(m, set->b, &v) || !loam__bind(m, inner, set->a, v)) return FLOW_FAILED;
    m->scope = inner;
    flow f = exec_body(m, s->b);
    if (f != FLOW_FAILED) pop_scope(m);
    return f;
}

static flow exec_scope(vm *m, const node *s)
{
    if (!push_scope(m)) return FLOW_FAILED;
    flow f = exec_body(m, s->b);
    if (f != FLOW_FAILED) pop_scope(m);
    return f;
}

static flow exec_jump(vm *m, const node *s)
{
    (void)m;
    return s->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
}

/* ---- loops ---- */

static bool peek(vm *m, loop *l)
{
    return l->after.kind != KIND_ABSENT || loam__next(m, l->it, &l->after);
}

static bool advance(vm *m, loop *l, value *out)
{
    if (!peek(m, l)) return false;
    *out = l->after;
    if (out->kind == KIND_ABSENT) return true;
    l->after.kind = KIND_ABSENT;
    l->index0++;
    l->before = l->current;
    l->current = *out;
    return true;
}

static bool loop_length(vm *m, loop *l)
{
    list *rest;
    size_t n;
    if (l->length >= 0) return true;
    if (l->source.kind != KIND_ITER) {
        if (!loam__length(m, l->source, &n)) return false;
        l->length = (int64_t)n;
        return true;
    }
    if (!loam__list_of(m, loam__iter_value(l->it), &rest) || !(l->it = loam__iter_list(m, rest)))
        return false;
    l->length = (int64_t)rest->n + l->index0 + 1 + (l->after.kind != KIND_ABSENT);
    return true;
}

bool loam__loop_attribute(vm *m, value v, const text *name, value *out)
{
    loop *l = v.loop;
    bool unsafe;
    if (loam__text_is(name, "index0")) *out = loam__int(l->index0);
    if (loam__text_is(name, "index")) *out = loam__int(l->index0 + 1);
    if (loam__text_is(name, "first")) *out = loam__bool(l->index0 == 0);
    if (loam__text_is(name, "depth")) *out = loam__int((int64_t)l->depth0 + 1);
    if (loam__text_is(name, "depth0")) *out = loam__int(l->depth0);
    if (out->kind != KIND_ABSENT) return true;
    if (loam__text_is(name, "last") || loam__text_is(name, "nextitem")) {
        if (!peek(m, l)) return false;
        *out = l->after;
        if (name->p[0] == 'l') *out = loam__bool(l->after.kind == KIND_ABSENT);
        if (out->kind == KIND_ABSENT) *out = loam__undefined("there is no next item");
    } else if (loam__text_is(name, "previtem")) {
        *out = l->index0 == 0 ? loam__undefined("there is no previous item") : l->before;
    } else if (loam__text_is(name, "length") || loam__text_is(name, "revindex") ||
               loam__text_is(name, "revindex0")) {
        if (!loop_length(m, l)) return false;
        *out = loam__int(name->p[0] == 'l' ? l->length : l->length - l->index0 - (name->n == 9));
    } else {
        const builtin *b = loam__find_method(v, name, &unsafe);
        method *bound = b ? loam__vm_alloc(m, sizeof *bound) : NULL;
        if (b && !bound) return false;
        if (b) *bound = (method){.self = v, .builtin = b};
        if (b) *out = (value){.kind = KIND_METHOD, .method = bound};
    }
    return true;
}

static loop *loop_new(vm *m, const node *s, value iterable, uint32_t depth0)
{
    loop *l = loam__vm_alloc(m, sizeof *l);
    if (!l || !(l->it = loam__iterate(m, iterable))) return NULL;
    l->source = iterable;
    l->index0 = -1;
    l->length = -1;
    l->depth0 = depth0;
    l->recursive = s->flag ? s : NULL;
    l->scope = m->scope;
    if (!s->e) return l;
    if (!(l->it = loam__iter_where(m, l->it, s->a, s->e, m->scope))) return NULL;
    l->source = loam__iter_value(l->it);
    return l;
}

/* One time around; *more false: there was no further item. *whole: a body ran to its end. */
static flow loop_step(vm *m, const node *s, loop *l, bool *more, bool *whole)
{
    value item;
    m->line = s->line;
    if (!advance(m, l, &item)) return FLOW_FAILED;
    *more = item.kind != KIND_ABSENT;
    if (!*more) return FLOW_ON;
    m->scope->n = 0;
    if (!loam__scope_set(m, m->scope, m->loop, (value){.kind = KIND_LOOP, .loop = l}))
        return FLOW_FAILED;
    if (!loam__bind(m, m->scope, s->a, item)) return FLOW_FAILED;
    flow f = exec_body(m, s->c);
    *whole |= f == FLOW_ON;
    return f;
}

static flow run_loop(vm *m, const node *s, value iterable, uint32_t depth0)
{
    loop *l = loop_new(m, s, iterable, depth0);
    bool more = true, whole = false;
    flow f = FLOW_ON;
    if (!l || !push_scope(m)) return FLOW_FAILED;
    while (more && f != FLOW_BREAK)
        if ((f = loop_step(m, s, l, &more, &whole)) == FLOW_FAILED) return f;
    pop_scope(m);
    if (whole || !s->d)
        return FLOW_ON; /* as in Jinja, else also follows bodies that were all left early */
    if (!push_scope(m)) return FLOW_FAILED;
    f = exec_body(m, s->d);
    if (f != FLOW_FAILED) pop_scope(m);
    return f;
}

static flow exec_for(vm *m, const node *s)
{
    value iterable;
    return loam__eval(m, s->b, &iterable) ? run_loop(m, s, iterable, 0) : FLOW_FAILED;
}

bool loam__loop_again(vm *m, const loop *l, value iterable, value *out)
{
    size_t begin = loam__put_begin(m);
    scope *outer = m->scope;
    if (!l->recursive)
        return loam__vm_raise(m,
                              "the loop must have the 'recursive' marker to be called recursively");
    m->scope = l->scope;
    if (run_loop(m, l->recursive, iterable, l->depth0 + 1) == FLOW_FAILED) return false;
    m->scope = outer;
    return loam__put_end(m, begin, out);
}

/* ---- macros ---- */

static bool take_named(vm *m, dict **named, const text *name, value *out)
{
    dict *rest;
    if (!*named) return true;
    if (!loam__vm_steps(m, 1 + (*named)->n / 4)) return false;
    if (!loam__dict_get_text(m, *named, name, out)) return false;
    if (out->kind == KIND_ABSENT) return true;
    if (!(rest = loam__dict_new(m))) return false;
    for (size_t i = 0; i < (*named)->n; i++) {
        const dict_entry *e = &(*named)->entries[i];
        if (!loam__text_equal(e->key.text, name) && !loam__dict_set(m, rest, e->key, e->value))
            return false;
    }
    *named = rest;
    return true;
}

/* What a parameter gets: by place, by name, by default. */
static bool bind_param(vm *m, const node *param, size_t i, const call *c, dict **named, scope *s)
{
    value v = {.kind = KIND_ABSENT};
    if (i < c->n) v = c->args[i];
    else if (!take_named(m, named, param->name, &v)) return false;
    if (v.kind == KIND_ABSENT && param->a) {
        if (!loam__eval(m, param->a, &v)) return false;
    } else if (v.kind == KIND_ABSENT) {
        v = (value){
            .kind = KIND_UNDEFINED, .why = UNDEFINED_PARAMETER, .text = (text *)param->name};
    }
    return loam__scope_set(m, s, param->name, v);
}

static bool bind_special(vm *m, scope *s, const char *name, size_t n, value v)
{
    const text *key = loam__intern(m, name, n);
    value bound = {.kind = KIND_ABSENT};
    if (!key || !loam__scope_get(m, s, key, &bound)) return false;
    return bound.kind != KIND_ABSENT ||
           loam__scope_set(m, s, key, v); /* a parameter of that name comes first */
}

static bool bind_rest(vm *m, const macro *f, const call *c, size_t n_params, dict *named, scope *s)
{
    const char *name = f->node->name ? f->node->name->p : "caller";
    if (f->node->uses_caller) {
        value caller = loam__undefined("no caller defined");
        const text *key = loam__intern(m, "caller", 6);
        value given = {.kind = KIND_ABSENT};
        if (!key || !take_named(m, &named, key, &given)) return false;
        if (!bind_special(m, s, "caller", 6, given.kind == KIND_ABSENT ? caller : given))
            return false;
    }
    if (f->node->uses_kwargs) {
        if (!named && !(named = loam__dict_new(m))) return false;
        if (!bind_special(m, s, "kwargs", 6, loam__dict_value(named))) return false;
    } else if (named && named->n > 0) {
        const text *key = named->entries[0].key.text;
        return loam__vm_raise(m, "macro '%.100s' takes no keyword argument '%.100s'", name, key->p);
    }
    if (f->node->uses_varargs) {
        list *rest = loam__list_new(m, 0);
        for (size_t i = n_params; rest && i < c->n; i++)
            if (!loam__list_add(m, rest, c->args[i])) return false;
        return rest && bind_special(m, s, "varargs", 7, loam__tuple_value(rest));
    }
    return c->n <= n_params ||
           loam__vm_raise(m, "macro '%.100s' takes not more than %zu arguments", name, n_params);
}

bool loam__call_macro(vm *m, const macro *f, const call *c, value *out)
{
    scope *outer = m->scope, *inner = loam__scope_new(m, f->scope);
    size_t begin = loam__put_begin(m), n_params = 0;
    dict *named = c->named;
    if (!inner) return false;
    m->scope = inner;
    for (const node *param = f->node->a; param; param = param->next)
        if (!bind_param(m, param, n_params++, c, &named, inner)) return false;
    if (!bind_rest(m, f, c, n_params, named, inner)) return false;
    if (exec_body(m, f->node->b) == FLOW_FAILED) return false;
    m->scope = outer;
    return loam__put_end(m, begin, out);
}

static bool macro_value(vm *m, const node *s, value *out)
{
    macro *f = loam__vm_alloc(m, sizeof *f);
    if (!f) return false;
    *f = (macro){.node = s, .scope = m->scope};
    *out = (value){.kind = KIND_MACRO, .macro = f};
    return true;
}

static flow exec_macro(vm *m, const node *s)
{
    value v;
    return macro_value(m, s, &v) && loam__scope_set(m, m->scope, s->name, v) ? FLOW_ON
                                                                             : FLOW_FAILED;
}

static flow exec_call_block(vm *m, const node *s)
{
    value caller, v;
    if (!macro_value(m, s->b, &caller)) return FLOW_FAILED;
    m->caller = &caller;
    return loam__eval(m, s->a, &v) && loam__put_str(m, v) ? FLOW_ON : FLOW_FAILED;
}

/* ---- all of them ---- */

static flow exec_body(vm *m, const node *body)
{
    static flow (*const kinds[])(vm *, const node *) = {
        [NODE_DATA] = exec_data,
        [NODE_PRINT] = exec_print,
        [NODE_IF] = exec_if,
        [NODE_FOR] = exec_for,
        [NODE_SET] = exec_set,
        [NODE_SET_BLOCK] = exec_set_block,
        [NODE_MACRO] = exec_macro,
        [NODE_CALL_BLOCK] = exec_call_block,
        [NODE_FILTER_BLOCK] = exec_filter_block,
        [NODE_WITH] = exec_with,
        [NODE_SCOPE] = exec_scope,
        [NODE_BREAK] = exec_jump,
        [NODE_CONTINUE] = exec_jump,
    };
    if (!body) return FLOW_ON;
    if (!loam__vm_enter(m)) return FLOW_FAILED;
    for (const node *s = body; s; s = s->next) {
        m->line = s->line;
        if (!loam__vm_steps(m, 1)) return FLOW_FAILED;
        flow f = kinds[s->kind](m, s);
        if (f == FLOW_FAILED) return f;
        if (f == FLOW_ON) continue;
        loam__vm_leave(m);
        return f;
    }
    loam__vm_leave(m);
    return FLOW_ON;
}

bool loam__exec(vm *m, const node *body)
{
    return exec_body(m, body) != FLOW_FAILED;
}
