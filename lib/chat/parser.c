#include "builtins.h"

#include <string.h>

/* Recursive descent, after Jinja's grammar. What chains to the left is a loop here; what nests
 * counts against MAX_SOURCE_DEPTH, so that neither this nor the lexer's brackets run out of stack.
 */
typedef struct parser {
    vm *m;
    lexer lex;
    token now, ahead;
    int depth;
    int loops;   /* around here, inside the innermost macro */
    node *macro; /* innermost macro or call block, to be told what special names its body uses; they
                    chain by `e` */
} parser;

static node *parse_expression(parser *p);
static node *parse_or(parser *p);
static node *parse_unary(parser *p, bool with_filters);
static node *parse_primary(parser *p);
static node *parse_dot(parser *p, node *of);
static bool parse_body(parser *p, const char *const *ends, node **out);

/* ---- tokens ---- */

static node *fail(parser *p, const char *wanted)
{
    p->m->line = p->now.line;
    loam__vm_raise(p->m, "expected %s, got %.100s", wanted, loam__token_name(&p->now));
    return NULL;
}

static bool step(parser *p)
{
    p->now = p->ahead;
    return loam__lex(&p->lex, &p->ahead);
}

static bool at(const parser *p, token_kind kind)
{
    return p->now.kind == kind;
}

static bool is_name(const token *t, const char *name)
{
    return t->kind == TOKEN_NAME && loam__text_is(t->name, name);
}

static bool at_name(const parser *p, const char *name)
{
    return is_name(&p->now, name);
}

static bool expect(parser *p, token_kind kind, const char *wanted)
{
    if (at(p, kind)) return step(p);
    fail(p, wanted);
    return false;
}

static bool expect_name(parser *p, const char *name)
{
    if (at_name(p, name)) return step(p);
    fail(p, name);
    return false;
}

static node *new_node(parser *p, node_kind kind, uint32_t line)
{
    node *e = loam__vm_alloc(p->m, sizeof *e);
    if (!e) return NULL;
    e->kind = (uint8_t)kind;
    e->line = line;
    return e;
}

static bool enter(parser *p)
{
    if (p->depth++ < MAX_SOURCE_DEPTH) return true;
    p->m->line = p->now.line;
    return loam__vm_fail(p->m, LOAM_ERR_LIMIT, "nested deeper than the limit of %d levels",
                         MAX_SOURCE_DEPTH);
}

/* A list under construction. */
typedef struct chain {
    node *first, *last;
} chain;

static bool chain_add(chain *c, node *e)
{
    if (!e) return false;
    if (c->last) c->last->next = e;
    else c->first = e;
    c->last = e;
    return true;
}

/* ---- names ---- */

/* The variables that a macro has only if its body mentions them. */
static void note_special(parser *p, const text *name)
{
    bool caller = loam__text_is(name, "caller"), varargs = loam__text_is(name, "varargs");
    bool kwargs = loam__text_is(name, "kwargs");
    if (!caller && !varargs && !kwargs) return;
    for (node *f = p->macro; f; f = f->e) {
        f->uses_caller |= caller;
        f->uses_varargs |= varargs;
        f->uses_kwargs |= kwargs;
    }
}

static node *parse_name(parser *p)
{
    static const struct {
        const char *name;
        value v;
    } constants[] = {
        {"true", {.kind = KIND_BOOL, .boolean = true}},
        {"True", {.kind = KIND_BOOL, .boolean = true}},
        {"false", {.kind = KIND_BOOL, .boolean = false}},
        {"False", {.kind = KIND_BOOL, .boolean = false}},
        {"none", {.kind = KIND_NONE}},
        {"None", {.kind = KIND_NONE}},
    };
    node *e = new_node(p, NODE_NAME, p->now.line);
    if (!e) return NULL;
    e->name = p->now.name;
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++)
        if (at_name(p, constants[i].name)) {
            e->kind = NODE_CONST;
            e->constant = constants[i].v;
        }
    if (e->kind == NODE_NAME) note_special(p, e->name);
    return step(p) ? e : NULL;
}

/* ---- literals ---- */

static node *parse_string(parser *p)
{
    node *e = new_node(p, NODE_CONST, p->now.line);
    if (!e) return NULL;
    e->constant = p->now.value;
    if (!step(p)) return NULL;
    while (at(p, TOKEN_STRING)) { /* adjacent ones are one */
        text *t = loam__text_join(p->m, e->constant.text, p->now.value.text);
        if (!t || !step(p)) return NULL;
        e->constant = loam__string(t);
    }
    return e;
}

static node *parse_number(parser *p)
{
    node *e = new_node(p, NODE_CONST, p->now.line);
    if (e) e->constant = p->now.value;
    return e && step(p) ? e : NULL;
}

static node *parse_list(parser *p)
{
    node *e = new_node(p, NODE_LIST, p->now.line);
    chain items = {0};
    if (!e || !step(p)) return NULL;
    while (!at(p, TOKEN_RBRACKET)) {
        if (items.first && !expect(p, TOKEN_COMMA, "',' or ']'")) return NULL;
        if (at(p, TOKEN_RBRACKET)) break;
        if (!chain_add(&items, parse_expression(p))) return NULL;
    }
    e->a = items.first;
    return step(p) ? e : NULL;
}

static node *parse_pair(parser *p)
{
    node *e = new_node(p, NODE_PAIR, p->now.line);
    if (!e || !(e->a = parse_expression(p))) return NULL;
    if (!expect(p, TOKEN_COLON, "':'")) return NULL;
    return (e->b = parse_expression(p)) ? e : NULL;
}

static node *parse_dict(parser *p)
{
    node *e = new_node(p, NODE_DICT, p->now.line);
    chain items = {0};
    if (!e || !step(p)) return NULL;
    while (!at(p, TOKEN_RBRACE)) {
        if (items.first && !expect(p, TOKEN_COMMA, "',' or '}'")) return NULL;
        if (at(p, TOKEN_RBRACE)) break;
        if (!chain_add(&items, parse_pair(p))) return NULL;
    }
    e->a = items.first;
    return step(p) ? e : NULL;
}

/* How the expressions of a tuple are parsed, and what else ends it. */
typedef enum tuple_mode {
    TUPLE_FULL,
    TUPLE_NO_COND, /* `x if y` is not one expression: behind for, if and elif */
    TUPLE_PARENS,  /* may be empty */
    TUPLE_TARGET,  /* names to assign to */
} tuple_mode;

static bool tuple_ends(const parser *p, tuple_mode mode)
{
    if (at(p, TOKEN_PRINT_END) || at(p, TOKEN_BLOCK_END) || at(p, TOKEN_RPAREN)) return true;
    return mode == TUPLE_TARGET ? at_name(p, "in")
                                : mode == TUPLE_NO_COND && at_name(p, "recursive");
}

/* One expression, or with a comma behind it a tuple. */
static node *parse_tuple(parser *p, tuple_mode mode)
{
    chain items = {0};
    bool is_tuple = false;
    uint32_t line = p->now.line;
    while (!tuple_ends(p, mode)) {
        node *item = mode == TUPLE_TARGET    ? parse_primary(p)
                     : mode == TUPLE_NO_COND ? parse_or(p)
                                             : parse_expression(p);
        if (item && mode == TUPLE_TARGET && at(p, TOKEN_DOT)) item = parse_dot(p, item);
        if (!chain_add(&items, item)) return NULL;
        if (!at(p, TOKEN_COMMA)) break;
        is_tuple = true;
        if (!step(p)) return NULL;
    }
    if (!is_tuple && items.first) return items.first;
    if (!is_tuple && mode != TUPLE_PARENS) return fail(p, "an expression");
    node *e = new_node(p, NODE_TUPLE, line);
    if (e) e->a = items.first;
    return e;
}

static node *parse_parens(parser *p)
{
    if (!step(p)) return NULL;
    node *e = parse_tuple(p, TUPLE_PARENS);
    return e && expect(p, TOKEN_RPAREN, "',' or ')'") ? e : NULL;
}

static node *parse_primary(parser *p)
{
    node *e;
    if (!enter(p)) return NULL;
    switch (p->now.kind) {
    case TOKEN_NAME:
        e = parse_name(p);
        break;
    case TOKEN_STRING:
        e = parse_string(p);
        break;
    case TOKEN_NUMBER:
        e = parse_number(p);
        break;
    case TOKEN_LPAREN:
        e = parse_parens(p);
        break;
    case TOKEN_LBRACKET:
        e = parse_list(p);
        break;
    case TOKEN_LBRACE:
        e = parse_dict(p);
        break;
    default:
        return fail(p, "an expression");
    }
    p->depth--;
    return e;
}

/* ---- calls, filters, tests ---- */

static node *parse_argument(parser *p)
{
    node *e = new_node(p, NODE_ARG, p->now.line);
    if (!e) return NULL;
    if (at(p, TOKEN_MUL) || at(p, TOKEN_POW)) {
        e->op = at(p, TOKEN_MUL) ? ARG_LIST : ARG_DICT;
        if (!step(p)) return NULL;
    } else if (at(p, TOKEN_NAME) && p->ahead.kind == TOKEN_ASSIGN) {
        e->name = p->now.name;
        if (!step(p) || !step(p)) return NULL;
    }
    return (e->a = parse_expression(p)) ? e : NULL;
}

/* "(" arguments ")" */
static bool parse_arguments(parser *p, node **out)
{
    chain args = {0};
    bool after_named = false, after_list = false;
    if (!expect(p, TOKEN_LPAREN, "'('")) return false;
    while (!at(p, TOKEN_RPAREN)) {
        if (args.first && !expect(p, TOKEN_COMMA, "',' or ')'")) return false;
        if (at(p, TOKEN_RPAREN)) break;
        node *arg = parse_argument(p);
        if (!chain_add(&args, arg)) return false;
        bool plain = arg->op == ARG_PLAIN && !arg->name;
        if ((plain && (after_named || after_list)) || (arg->op == ARG_LIST && after_list)) {
            fail(p, "no positional argument behind a named one");
            return false;
        }
        after_named |= arg->name || arg->op == ARG_DICT;
        after_list |= arg->op == ARG_LIST;
    }
    *out = args.first;
    return step(p);
}

static node *parse_call(parser *p, node *callee)
{
    node *e = new_node(p, NODE_CALL, p->now.line);
    if (!e) return NULL;
    e->a = callee;
    return parse_arguments(p, &e->b) ? e : NULL;
}

static node *parse_slice(parser *p, node *of, node *start)
{
    node *e = new_node(p, NODE_SLICED, p->now.line);
    if (!e || !step(p)) return NULL;
    e->a = of;
    e->b = start;
    if (!at(p, TOKEN_COLON) && !at(p, TOKEN_RBRACKET) && !(e->c = parse_expression(p))) return NULL;
    if (!at(p, TOKEN_COLON)) return e;
    if (!step(p)) return NULL;
    return at(p, TOKEN_RBRACKET) || (e->d = parse_expression(p)) ? e : NULL;
}

/* "[" index or slice "]" */
static node *parse_subscript(parser *p, node *of)
{
    node *e, *index = NULL;
    uint32_t line = p->now.line;
    if (!step(p)) return NULL;
    if (!at(p, TOKEN_COLON) && !(index = parse_expression(p))) return NULL;
    if (at(p, TOKEN_COLON)) {
        e = parse_slice(p, of, index);
    } else if ((e = new_node(p, NODE_ITEM, line))) {
        e->a = of;
        e->b = index;
    }
    return e && expect(p, TOKEN_RBRACKET, "']'") ? e : NULL;
}

static node *parse_dot(parser *p, node *of)
{
    node *e = new_node(p, NODE_ATTR, p->now.line);
    if (!e || !step(p)) return NULL;
    e->a = of;
    if (at(p, TOKEN_NUMBER) && p->now.value.kind == KIND_INT) {
        e->kind = NODE_ITEM;
        return (e->b = parse_number(p)) ? e : NULL;
    }
    if (!at(p, TOKEN_NAME)) return fail(p, "a name or number behind '.'");
    e->name = p->now.name;
    return step(p) ? e : NULL;
}

static node *parse_postfix(parser *p, node *e)
{
    while (e) {
        if (at(p, TOKEN_DOT)) e = parse_dot(p, e);
        else if (at(p, TOKEN_LBRACKET)) e = parse_subscript(p, e);
        else if (at(p, TOKEN_LPAREN)) e = parse_call(p, e);
        else break;
    }
    return e;
}

/* A name with dots in it, as filters and tests of extensions may have. */
static bool parse_dotted(parser *p, const text **out)
{
    *out = p->now.name;
    if (!expect(p, TOKEN_NAME, "the name of a filter or test")) return false;
    while (at(p, TOKEN_DOT)) {
        char joined[128];
        if (!step(p) || !at(p, TOKEN_NAME)) return fail(p, "a name behind '.'");
        size_t n = (*out)->n, more = p->now.name->n;
        if (n + 1 + more > sizeof joined) return fail(p, "a shorter name");
        memcpy(joined, (*out)->p, n);
        joined[n] = '.';
        memcpy(joined + n + 1, p->now.name->p, more);
        if (!(*out = loam__intern(p->m, joined, n + 1 + more)) || !step(p)) return false;
    }
    return true;
}

/* From the filter's name on. */
static node *parse_filter(parser *p, node *of)
{
    node *e = new_node(p, NODE_FILTER, p->now.line);
    if (!e || !parse_dotted(p, &e->name)) return NULL;
    e->a = of;
    e->builtin = loam__find_filter(e->name);
    if (at(p, TOKEN_LPAREN) && !parse_arguments(p, &e->b)) return NULL;
    return e;
}

/* A test's single argument may stand there without brackets. */
static bool starts_argument(const parser *p)
{
    switch (p->now.kind) {
    case TOKEN_STRING:
    case TOKEN_NUMBER:
    case TOKEN_LBRACKET:
    case TOKEN_LBRACE:
        return true;
    case TOKEN_NAME:
        return !at_name(p, "else") && !at_name(p, "or") && !at_name(p, "and") && !at_name(p, "is");
    default:
        return false;
    }
}

/* From `is` on. */
static node *parse_test(parser *p, node *of)
{
    node *e = new_node(p, NODE_TEST, p->now.line);
    bool negated;
    if (!e || !step(p)) return NULL;
    negated = at_name(p, "not");
    if ((negated && !step(p)) || !parse_dotted(p, &e->name)) return NULL;
    e->a = of;
    e->builtin = loam__find_test(e->name);
    if (at(p, TOKEN_LPAREN)) {
        if (!parse_arguments(p, &e->b)) return NULL;
    } else if (starts_argument(p)) {
        node *arg = new_node(p, NODE_ARG, p->now.line);
        if (!arg || !(arg->a = parse_postfix(p, parse_primary(p)))) return NULL;
        e->b = arg;
    }
    if (!negated) return e;
    node *not = new_node(p, NODE_NOT, e->line);
    if (not ) not ->a = e;
    return not ;
}

static node *parse_filters_and_tests(parser *p, node *e)
{
    while (e) {
        if (at(p, TOKEN_PIPE)) e = step(p) ? parse_filter(p, e) : NULL;
        else if (at_name(p, "is")) e = parse_test(p, e);
        else if (at(p, TOKEN_LPAREN)) e = parse_call(p, e);
        else break;
    }
    return e;
}

/* ---- operators ---- */

static node *parse_sign(parser *p)
{
    node *e = new_node(p, at(p, TOKEN_SUB) ? NODE_NEG : NODE_POS, p->now.line);
    if (!e || !enter(p) || !step(p)) return NULL;
    e->a = parse_unary(p, false);
    p->depth--;
    return e->a ? e : NULL;
}

static node *parse_unary(parser *p, bool with_filters)
{
    node *e = at(p, TOKEN_SUB) || at(p, TOKEN_ADD) ? parse_sign(p) : parse_primary(p);
    e = parse_postfix(p, e);
    return with_filters ? parse_filters_and_tests(p, e) : e;
}

/* The left-associative operators, weakest first; "~" takes its whole chain at once. */
enum { LEVEL_SUM, LEVEL_CONCAT, LEVEL_PRODUCT, LEVEL_POWER, LEVELS };

static int operator_at(const parser *p, int level)
{
    static const int8_t levels[][2] = {
        [TOKEN_ADD] = {LEVEL_SUM, OP_ADD},     [TOKEN_SUB] = {LEVEL_SUM, OP_SUB},
        [TOKEN_TILDE] = {LEVEL_CONCAT, 0},     [TOKEN_MUL] = {LEVEL_PRODUCT, OP_MUL},
        [TOKEN_DIV] = {LEVEL_PRODUCT, OP_DIV}, [TOKEN_FLOORDIV] = {LEVEL_PRODUCT, OP_FLOORDIV},
        [TOKEN_MOD] = {LEVEL_PRODUCT, OP_MOD}, [TOKEN_POW] = {LEVEL_POWER, OP_POW},
    };
    if (p->now.kind < TOKEN_ADD || p->now.kind > TOKEN_TILDE || levels[p->now.kind][0] != level)
        return -1;
    return levels[p->now.kind][1];
}

static node *parse_arithmetic(parser *p, int level)
{
    if (level == LEVELS) return parse_unary(p, true);
    node *left = parse_arithmetic(p, level + 1);
    chain parts = {0};
    int op;
    if (left && level == LEVEL_CONCAT && operator_at(p, level) >= 0) {
        node *e = new_node(p, NODE_CONCAT, left->line);
        if (!e || !chain_add(&parts, left)) return NULL;
        while (operator_at(p, level) >= 0)
            if (!step(p) || !chain_add(&parts, parse_arithmetic(p, level + 1))) return NULL;
        e->a = parts.first;
        return e;
    }
    while (left && (op = operator_at(p, level)) >= 0) {
        node *e = new_node(p, NODE_BINARY, p->now.line);
        if (!e || !step(p)) return NULL;
        e->op = (uint8_t)op;
        e->a = left;
        if (!(e->b = parse_arithmetic(p, level + 1))) return NULL;
        left = e;
    }
    return left;
}

/* The comparison at the current token, moved behind it; -1: none. */
static int take_comparison(parser *p)
{
    static const int8_t ops[] = {[TOKEN_EQ] = OP_EQ, [TOKEN_NE] = OP_NE, [TOKEN_LT] = OP_LT,
                                 [TOKEN_LE] = OP_LE, [TOKEN_GT] = OP_GT, [TOKEN_GE] = OP_GE};
    int op = -1;
    if (p->now.kind >= TOKEN_EQ && p->now.kind <= TOKEN_GE) op = ops[p->now.kind];
    if (at_name(p, "in")) op = OP_IN;
    if (at_name(p, "not") && is_name(&p->ahead, "in")) op = step(p) ? OP_NOT_IN : -1;
    return op >= 0 && step(p) ? op : -1;
}

static node *parse_comparison(parser *p)
{
    uint32_t line = p->now.line;
    node *left = parse_arithmetic(p, 0);
    chain operands = {0};
    for (int op; left && (op = take_comparison(p)) >= 0;) {
        node *e = new_node(p, NODE_OPERAND, p->now.line);
        if (!e || !(e->a = parse_arithmetic(p, 0)) || !chain_add(&operands, e)) return NULL;
        e->op = (uint8_t)op;
    }
    if (!left || !operands.first || p->m->status != LOAM_OK)
        return p->m->status == LOAM_OK ? left : NULL;
    node *e = new_node(p, NODE_COMPARE, line);
    if (!e) return NULL;
    e->a = left;
    e->b = operands.first;
    return e;
}

static node *parse_not(parser *p)
{
    if (!at_name(p, "not")) return parse_comparison(p);
    node *e = new_node(p, NODE_NOT, p->now.line);
    if (!e || !enter(p) || !step(p)) return NULL;
    e->a = parse_not(p);
    p->depth--;
    return e->a ? e : NULL;
}

static node *parse_logic(parser *p, const char *word, node_kind kind, node *(*part)(parser *))
{
    node *left = part(p);
    while (left && at_name(p, word)) {
        node *e = new_node(p, kind, p->now.line);
        if (!e || !step(p)) return NULL;
        e->a = left;
        if (!(e->b = part(p))) return NULL;
        left = e;
    }
    return left;
}

static node *parse_and(parser *p)
{
    return parse_logic(p, "and", NODE_AND, parse_not);
}

static node *parse_or(parser *p)
{
    return parse_logic(p, "or", NODE_OR, parse_and);
}

static node *parse_expression(parser *p)
{
    if (!enter(p)) return NULL;
    node *left = parse_or(p);
    while (left && at_name(p, "if")) {
        node *e = new_node(p, NODE_COND, p->now.line);
        if (!e || !step(p) || !(e->a = parse_or(p))) return NULL;
        e->b = left;
        if (at_name(p, "else") && (!step(p) || !(e->c = parse_expression(p)))) return NULL;
        left = e;
    }
    p->depth--;
    return left;
}

/* ---- statements ---- */

static bool can_assign(const node *e, bool namespaces)
{
    if (e->kind == NODE_ATTR) return namespaces && e->a->kind == NODE_NAME;
    if (e->kind != NODE_TUPLE) return e->kind == NODE_NAME;
    for (const node *item = e->a; item; item = item->next)
        if (!can_assign(item, namespaces)) return false;
    return true;
}

static node *parse_target(parser *p, bool namespaces)
{
    node *e = parse_tuple(p, TUPLE_TARGET);
    if (e && !can_assign(e, namespaces))
        return fail(p, "something that can be assigned to in front of this");
    return e;
}

static bool parse_end(parser *p, const char *name, node **body)
{
    const char *const ends[] = {name, NULL};
    return parse_body(p, ends, body) && expect_name(p, name);
}

static node *parse_filter_chain(parser *p)
{
    node *e = parse_filter(p, NULL);
    while (e && at(p, TOKEN_PIPE))
        e = step(p) ? parse_filter(p, e) : NULL;
    return e;
}

static node *parse_set(parser *p, node *e)
{
    if (!(e->a = parse_target(p, true))) return NULL;
    e->kind = NODE_SET;
    if (at(p, TOKEN_ASSIGN)) return step(p) && (e->b = parse_tuple(p, TUPLE_FULL)) ? e : NULL;
    e->kind = NODE_SET_BLOCK;
    if (at(p, TOKEN_PIPE) && (!step(p) || !(e->c = parse_filter_chain(p)))) return NULL;
    return parse_end(p, "endset", &e->b) ? e : NULL;
}

static node *parse_if(parser *p, node *e)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    node *branch = e;
    for (;;) {
        branch->kind = NODE_IF;
        if (!(branch->a = parse_tuple(p, TUPLE_NO_COND)) || !parse_body(p, ends, &branch->b))
            return NULL;
        if (!at_name(p, "elif")) break;
        if (!(branch->c = new_node(p, NODE_IF, p->now.line)) || !step(p)) return NULL;
        branch = branch->c;
        branch->flag = true;
    }
    if (at_name(p, "endif")) return step(p) ? e : NULL;
    return step(p) && parse_end(p, "endif", &branch->c) ? e : NULL;
}

static node *parse_for(parser *p, node *e)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    e->kind = NODE_FOR;
    if (!(e->a = parse_target(p, false)) || !expect_name(p, "in")) return NULL;
    if (!(e->b = parse_tuple(p, TUPLE_NO_COND))) return NULL;
    if (at_name(p, "if") && (!step(p) || !(e->e = parse_expression(p)))) return NULL;
    if (at_name(p, "recursive")) {
        e->flag = true;
        if (!step(p)) return NULL;
    }
    p->loops++;
    bool ok = parse_body(p, ends, &e->c);
    p->loops--;
    if (!ok) return NULL;
    if (at_name(p, "endfor")) return step(p) ? e : NULL;
    return step(p) && parse_end(p, "endfor", &e->d) ? e : NULL;
}

/* "(" parameters ")" */
static bool parse_signature(parser *p, node *f)
{
    chain params = {0};
    bool defaults = false;
    if (!expect(p, TOKEN_LPAREN, "'('")) return false;
    while (!at(p, TOKEN_RPAREN)) {
        if (params.first && !expect(p, TOKEN_COMMA, "',' or ')'")) return false;
        node *e = new_node(p, NODE_PARAM, p->now.line);
        if (!e || !chain_add(&params, e)) return false;
        e->name = p->now.name;
        if (!expect(p, TOKEN_NAME, "a parameter's name")) return false;
        if (at(p, TOKEN_ASSIGN)) {
            defaults = true;
            if (!step(p) || !(e->a = parse_expression(p))) return false;
        } else if (defaults) {
            return fail(p, "'=' as behind the parameter before");
        }
    }
    f->a = params.first;
    return step(p);
}

static bool parse_macro_body(parser *p, node *f, const char *end)
{
    int loops = p->loops;
    f->e = p->macro;
    p->macro = f;
    p->loops = 0;
    bool ok = parse_end(p, end, &f->b);
    p->loops = loops;
    p->macro = f->e;
    return ok;
}

static node *parse_macro(parser *p, node *e)
{
    e->kind = NODE_MACRO;
    e->name = p->now.name;
    if (!expect(p, TOKEN_NAME, "the macro's name") || !parse_signature(p, e)) return NULL;
    return parse_macro_body(p, e, "endmacro") ? e : NULL;
}

static node *parse_call_block(parser *p, node *e)
{
    e->kind = NODE_CALL_BLOCK;
    if (!(e->b = new_node(p, NODE_MACRO, e->line))) return NULL;
    if (at(p, TOKEN_LPAREN) && !parse_signature(p, e->b)) return NULL;
    if (!(e->a = parse_expression(p))) return NULL;
    if (e->a->kind != NODE_CALL) return fail(p, "a call behind 'call'");
    return parse_macro_body(p, e->b, "endcall") ? e : NULL;
}

static node *parse_filter_block(parser *p, node *e)
{
    e->kind = NODE_FILTER_BLOCK;
    return (e->c = parse_filter_chain(p)) && parse_end(p, "endfilter", &e->b) ? e : NULL;
}

static node *parse_with(parser *p, node *e)
{
    chain sets = {0};
    e->kind = NODE_WITH;
    while (!at(p, TOKEN_BLOCK_END)) {
        if (sets.first && !expect(p, TOKEN_COMMA, "','")) return NULL;
        node *set = new_node(p, NODE_SET, p->now.line);
        if (!set || !chain_add(&sets, set) || !(set->a = parse_target(p, false))) return NULL;
        if (!expect(p, TOKEN_ASSIGN, "'='") || !(set->b = parse_expression(p))) return NULL;
    }
    e->a = sets.first;
    return parse_end(p, "endwith", &e->b) ? e : NULL;
}

static node *parse_scope(parser *p, node *e)
{
    bool block = loam__text_is(p->now.name, "block");
    const text *name = NULL;
    e->kind = NODE_SCOPE;
    if (!step(p)) return NULL;
    if (!block) return parse_end(p, "endgeneration", &e->b) ? e : NULL;
    name = p->now.name;
    if (!expect(p, TOKEN_NAME, "the block's name")) return NULL;
    while (at_name(p, "scoped") || at_name(p, "required"))
        if (!step(p)) return NULL;
    if (!parse_end(p, "endblock", &e->b)) return NULL;
    if (at(p, TOKEN_NAME) && p->now.name == name && !step(p)) return NULL;
    return e;
}

static node *parse_autoescape(parser *p, node *e)
{
    e->kind = NODE_SCOPE;
    node *on = parse_expression(p);
    if (!on) return NULL;
    if (on->kind != NODE_CONST || on->constant.kind != KIND_BOOL || on->constant.boolean)
        return fail(p, "autoescape false, because prompts are not HTML,");
    return parse_end(p, "endautoescape", &e->b) ? e : NULL;
}

static node *parse_print(parser *p, node *e)
{
    chain prints = {0};
    e->kind = NODE_SCOPE;
    while (!at(p, TOKEN_BLOCK_END)) {
        if (prints.first && !expect(p, TOKEN_COMMA, "','")) return NULL;
        node *print = new_node(p, NODE_PRINT, p->now.line);
        if (!print || !chain_add(&prints, print) || !(print->a = parse_expression(p))) return NULL;
    }
    e->b = prints.first;
    return e;
}

static node *parse_jump(parser *p, node *e)
{
    e->kind = loam__text_is(p->now.name, "break") ? NODE_BREAK : NODE_CONTINUE;
    if (p->loops == 0) return fail(p, "a loop around this");
    return step(p) ? e : NULL;
}

static node *parse_statement(parser *p)
{
    static const struct {
        const char *name;
        node *(*parse)(parser *, node *);
        bool keeps_name; /* the function still wants to see which statement it is */
    } statements[] = {
        {"set", parse_set, false},
        {"if", parse_if, false},
        {"for", parse_for, false},
        {"macro", parse_macro, false},
        {"call", parse_call_block, false},
        {"filter", parse_filter_block, false},
        {"with", parse_with, false},
        {"print", parse_print, false},
        {"break", parse_jump, true},
        {"continue", parse_jump, true},
        {"block", parse_scope, true},
        {"generation", parse_scope, true},
        {"autoescape", parse_autoescape, false},
    };
    if (!at(p, TOKEN_NAME)) return fail(p, "the name of a statement");
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!at_name(p, statements[i].name)) continue;
        node *e = new_node(p, NODE_SCOPE, p->now.line);
        if (!e || !enter(p) || (!statements[i].keeps_name && !step(p))) return NULL;
        e = statements[i].parse(p, e);
        p->depth--;
        return e;
    }
    return fail(p, "a statement that is known here");
}

static node *parse_output(parser *p)
{
    node *e = new_node(p, NODE_PRINT, p->now.line);
    if (!e || !step(p) || !(e->a = parse_tuple(p, TUPLE_FULL))) return NULL;
    return expect(p, TOKEN_PRINT_END, "'}}'") ? e : NULL;
}

static node *parse_data(parser *p)
{
    node *e = new_node(p, NODE_DATA, p->now.line);
    if (e) e->constant = p->now.value;
    return e && step(p) ? e : NULL;
}

static bool at_any(const parser *p, const char *const *names)
{
    for (; names && *names; names++)
        if (at_name(p, *names)) return true;
    return false;
}

/* Statements up to a tag with one of these names, which is then the current token; NULL: up to the
 * end of all. */
static bool parse_statements(parser *p, const char *const *ends, node **out)
{
    chain body = {0};
    for (;;) {
        node *e;
        if (at(p, TOKEN_END)) {
            *out = body.first;
            return !ends || fail(p, *ends);
        }
        if (at(p, TOKEN_BLOCK_BEGIN)) {
            if (!step(p)) return false;
            if (at_any(p, ends)) {
                *out = body.first;
                return true;
            }
            if (!chain_add(&body, parse_statement(p))) return false;
            if (!expect(p, TOKEN_BLOCK_END, "end of statement block")) return false;
            continue;
        }
        e = at(p, TOKEN_DATA)          ? parse_data(p)
            : at(p, TOKEN_PRINT_BEGIN) ? parse_output(p)
                                       : fail(p, "text or a tag");
        if (!chain_add(&body, e)) return false;
    }
}

/* From behind a statement's head: the rest of its tag, then its body. */
static bool parse_body(parser *p, const char *const *ends, node **out)
{
    if (at(p, TOKEN_COLON) && !step(p)) return false;
    return expect(p, TOKEN_BLOCK_END, "end of statement block") && parse_statements(p, ends, out);
}

bool loam__parse(vm *m, const char *source, size_t n, node **out)
{
    parser p = {.m = m};
    if (!loam__lex_init(&p.lex, m, source, n)) return false;
    return loam__lex(&p.lex, &p.ahead) && step(&p) && parse_statements(&p, NULL, out);
}
