/* Tool calls: find where one ends while it comes in, and read what is in it. */
#include <string.h>

#include "style.h"

typedef struct call_pair {
    size_t key, n_key, value, n_value;
    bool string; /* the mark in front of the value says so */
} call_pair;

enum { NAME, ID, BODY, BRACKETS, CLOSING, GAP, KEY, VALUE };

void loam__call_start(call_scan *s, const call_style *how, size_t begin)
{
    loam__buf pairs = s->pairs;
    pairs.n = 0;
    *s = (call_scan){.style = how, .begin = begin, .at = begin, .pairs = pairs};
    s->phase = how->kind == CALL_JSON     ? BODY
               : how->id_end.n            ? ID
               : how->kind == CALL_PYTHON ? GAP
                                          : NAME;
}

void loam__call_arguments(call_scan *s)
{
    s->phase = BODY;
}

static void skip_space(call_scan *s, const char *p, size_t n)
{
    while (s->at < n && loam__is_space(p[s->at]))
        s->at++;
}

/* A mark that has to be here. */
static call_state expect(call_scan *s, mark k, const char *p, size_t n)
{
    size_t length;
    switch (loam__mark_at(k, p + s->at, n - s->at, &length)) {
    case FOUND:
        s->at += length;
        return CALL_WHOLE;
    case FOUND_MAYBE:
        return CALL_MORE;
    default:
        return CALL_WRONG;
    }
}

/* A run of name characters, up to where something else is. */
static call_state name_run(call_scan *s, const char *p, size_t n, bool last, size_t *from,
                           size_t *length)
{
    size_t end = s->at;
    while (end < n && loam__is_name_char(p[end]) && end - s->at <= MAX_NAME)
        end++;
    *from = s->at;
    *length = end - s->at;
    if (*length > MAX_NAME || (*length == 0 && end < n)) return CALL_WRONG;
    if (end == n && !last) return CALL_MORE;
    if (*length == 0) return CALL_WRONG;
    s->at = end;
    return CALL_WHOLE;
}

/* ---- brackets: JSON, Python and loose values ---- */

static bool opens_string(const call_scan *s, char c)
{
    return c == '"' || (c == '\'' && s->style->kind == CALL_PYTHON);
}

/* One byte of a string, or its end. */
static void in_string(call_scan *s, char c)
{
    if (s->escaped) s->escaped = false;
    else if (c == '\\') s->escaped = true;
    else if (c == s->quote) s->quote = 0;
}

/* Go on to where all brackets are closed. */
static call_state brackets(call_scan *s, const char *p, size_t n)
{
    const mark quote = s->style->quote;
    size_t length;
    for (; s->at < n; s->at++) {
        char c = p[s->at];
        if (quote.n && s->quote != '"' && c == quote.p[0]) {
            found f = loam__mark_at(quote, p + s->at, n - s->at, &length);
            if (f == FOUND_MAYBE) return CALL_MORE;
            if (f == FOUND) {
                s->quote = s->quote ? 0 : 'm';
                s->at += length - 1;
                continue;
            }
        }
        if (s->quote == 'm') continue;
        if (s->quote) in_string(s, c);
        else if (opens_string(s, c)) s->quote = c;
        else if (c == '{' || c == '[' || c == '(') s->depth++;
        else if (c == '}' || c == ']' || c == ')') {
            if (s->depth == 0) return CALL_WRONG;
            if (--s->depth == 0) {
                s->at++;
                return CALL_WHOLE;
            }
        }
    }
    return CALL_MORE;
}

static call_state body(call_scan *s, const char *p, size_t n)
{
    skip_space(s, p, n);
    if (s->at == n) return CALL_MORE;
    if (p[s->at] != '{' && (p[s->at] != '[' || s->style->kind != CALL_JSON)) return CALL_WRONG;
    s->body = s->at;
    s->phase = BRACKETS;
    return CALL_WHOLE;
}

/* Behind the name: its mark, with an id before it if there is one. */
static call_state name_end(call_scan *s, const char *p, size_t n, bool last)
{
    const call_style *c = s->style;
    size_t length;
    if (c->id_open.n && !s->n_id) {
        found f = loam__mark_at(c->id_open, p + s->at, n - s->at, &length);
        if (f == FOUND_MAYBE) return CALL_MORE;
        if (f == FOUND) {
            size_t back = s->at;
            s->at += length;
            call_state st = name_run(s, p, n, last, &s->id, &s->n_id);
            if (st != CALL_WHOLE) {
                s->n_id = 0;
                s->at = back;
                return st;
            }
        }
    }
    return expect(s, c->name_end, p, n);
}

static call_state name(call_scan *s, const char *p, size_t n, bool last)
{
    const call_style *c = s->style;
    call_state st = CALL_WHOLE;
    skip_space(s, p, n);
    if (s->phase == ID) {
        size_t back = s->at;
        if ((st = name_run(s, p, n, last, &s->id, &s->n_id)) == CALL_WHOLE)
            st = expect(s, c->id_end, p, n);
        if (st != CALL_WHOLE) {
            s->at = st == CALL_MORE ? back : s->at;
            return st;
        }
        s->phase = NAME;
        skip_space(s, p, n);
    }
    size_t back = s->at;
    if ((st = name_run(s, p, n, last, &s->name, &s->n_name)) == CALL_WHOLE)
        st = name_end(s, p, n, last);
    if (st == CALL_MORE) { /* names are short: they are looked at again */
        s->at = back;
        if (c->id_open.n) s->n_id = 0;
    }
    if (st == CALL_WHOLE) s->phase = c->kind == CALL_PAIRS ? GAP : BODY;
    return st;
}

/* [f(...), g(...)], or f(...) and more of them up to the closing mark. */
static call_state python(call_scan *s, const char *p, size_t n, bool last)
{
    call_state st;
    size_t ignored;
    for (;;) {
        if (s->phase == BRACKETS) {
            if ((st = brackets(s, p, n)) != CALL_WHOLE) return st;
            s->phase = GAP;
            if (s->list || !s->style->close.n) return CALL_WHOLE;
        }
        skip_space(s, p, n);
        if (s->at == n) return s->body && last ? CALL_WHOLE : CALL_MORE;
        if (!s->body) {
            s->body = s->at;
            s->list = p[s->at] == '[';
        } else if (p[s->at] == ';' || p[s->at] == ',') {
            s->at++;
            continue;
        } else if (!loam__is_name_char(p[s->at])) {
            return CALL_WHOLE;
        }
        if (!s->list) {
            size_t back = s->at;
            if ((st = name_run(s, p, n, last, &s->name, &ignored)) != CALL_WHOLE) {
                if (st == CALL_MORE && s->body == back) s->body = 0;
                return st;
            }
            if (s->at == n || p[s->at] != '(') {
                if (s->at < n || last) return CALL_WRONG;
                s->at = back;
                if (s->body == back) s->body = 0;
                return CALL_MORE;
            }
        }
        s->phase = BRACKETS;
    }
}

/* ---- pairs ---- */

/* A mark that may stand here; a style without it has it nowhere. */
static found here(mark k, const char *p, size_t n, size_t *length)
{
    *length = 0;
    return k.n ? loam__mark_at(k, p, n, length) : FOUND_NO;
}

static call_state gap(call_scan *s, const char *p, size_t n, bool last)
{
    size_t length, to_end;
    skip_space(s, p, n);
    if (s->at == n && last) {
        s->phase = CLOSING;
        return CALL_WHOLE;
    }
    found next = here(s->style->key_open, p + s->at, n - s->at, &length);
    found end = here(s->style->close, p + s->at, n - s->at, &to_end);
    if (!last && (next == FOUND_MAYBE || end == FOUND_MAYBE)) return CALL_MORE;
    if (end == FOUND && (next != FOUND || to_end > length)) {
        s->at += to_end;
        s->phase = CLOSING;
        return CALL_WHOLE;
    }
    if (next != FOUND) return CALL_WRONG;
    s->at += length;
    s->key = s->at;
    s->phase = KEY;
    return CALL_WHOLE;
}

static call_state key(call_scan *s, const char *p, size_t n)
{
    for (; s->at - s->key <= MAX_NAME; s->at++) {
        found best = FOUND_NO;
        size_t length = 0, which = 0;
        for (size_t i = 0; i < 2 && best != FOUND; i++) {
            found f = !s->style->key_end[i].n
                          ? FOUND_NO
                          : loam__mark_at(s->style->key_end[i], p + s->at, n - s->at, &length);
            if (f > best) best = f, which = i;
        }
        if (best == FOUND_MAYBE || s->at == n) return CALL_MORE;
        if (best == FOUND_NO) continue;
        call_pair pair = {.key = s->key,
                          .n_key = s->at - s->key,
                          .value = s->at + length,
                          .string = which == 0 && s->style->key_end[1].n};
        s->at += length;
        loam__buf_add(&s->pairs, &pair, sizeof pair);
        if (s->pairs.status != LOAM_OK) return CALL_WRONG; /* and the caller looks there */
        s->phase = VALUE;
        return CALL_WHOLE;
    }
    return CALL_WRONG;
}

/* The mark behind a value, with its key in it if the style has that. */
static found value_end(const call_scan *s, const call_pair *pair, const char *p, size_t n,
                       size_t at, size_t *end)
{
    const call_style *c = s->style;
    size_t length, from = at;
    found f = loam__mark_at(c->value_end, p + at, n - at, &length);
    if (f != FOUND) return f;
    at += length;
    if (c->repeats_key) {
        const mark again = {p + pair->key, pair->n_key};
        if ((f = loam__mark_at(again, p + at, n - at, &length)) != FOUND) return f;
        at += length;
        if ((f = loam__mark_at(c->value_end_2, p + at, n - at, &length)) != FOUND) return f;
        at += length;
    }
    *end = at;
    return at > from ? FOUND : FOUND_NO;
}

/* What comes behind the end of a value: only then it is the end, for values may hold marks. */
static found pair_follows(const call_scan *s, const char *p, size_t n, size_t at, bool last)
{
    size_t length, from = at;
    while (at < n && at - from < MAX_GAP && loam__is_space(p[at]))
        at++;
    if (at == n) return last ? FOUND : FOUND_MAYBE;
    found next = here(s->style->key_open, p + at, n - at, &length);
    found end = here(s->style->close, p + at, n - at, &length);
    found best = next > end ? next : end;
    return best == FOUND_MAYBE && last ? FOUND_NO : best;
}

static const char data_open[] = "<![CDATA[", data_close[] = "]]>";

static call_state value_run(call_scan *s, const char *p, size_t n, bool last)
{
    call_pair *pair = (call_pair *)(void *)(s->pairs.p + s->pairs.n) - 1;
    const mark open = {data_open, sizeof data_open - 1}, close = {data_close, 3};
    size_t length, end = 0;
    for (; s->at < n; s->at++) {
        found f = FOUND_NO;
        if (s->data || p[s->at] == '<') {
            f = loam__mark_at(s->data ? close : open, p + s->at, n - s->at, &length);
            if (f == FOUND_MAYBE && !last) return CALL_MORE;
            if (f == FOUND) {
                s->data = !s->data;
                s->at += length - 1;
                continue;
            }
        }
        if (s->data || p[s->at] != s->style->value_end.p[0]) continue;
        if ((f = value_end(s, pair, p, n, s->at, &end)) == FOUND)
            f = pair_follows(s, p, n, end, last);
        if (f == FOUND_MAYBE) return CALL_MORE;
        if (f == FOUND_NO) continue;
        pair->n_value = s->at - pair->value;
        s->at = end;
        s->phase = GAP;
        return CALL_WHOLE;
    }
    return CALL_MORE;
}

/* ---- all kinds ---- */

call_state loam__call_scan(call_scan *s, const char *p, size_t n, bool last)
{
    call_state st = CALL_WHOLE;
    if (s->style->kind == CALL_PYTHON) return python(s, p, n, last);
    while (st == CALL_WHOLE && s->phase != CLOSING) {
        switch (s->phase) {
        case ID:
        case NAME:
            st = name(s, p, n, last);
            break;
        case BODY:
            st = body(s, p, n);
            break;
        case BRACKETS:
            if ((st = brackets(s, p, n)) == CALL_WHOLE) s->phase = CLOSING;
            break;
        case GAP:
            st = gap(s, p, n, last);
            break;
        case KEY:
            st = key(s, p, n);
            break;
        default:
            st = value_run(s, p, n, last);
            break;
        }
    }
    if (st == CALL_MORE && last) st = CALL_WRONG;
    return st;
}

/* ---- reading ---- */

bool loam__member(vm *m, value of, const char *name, value *out)
{
    out->kind = KIND_ABSENT;
    if (of.kind != KIND_DICT) return true;
    const text *key = loam__intern(m, name, strlen(name));
    return key && loam__dict_get_text(m, of.dict, key, out);
}

static bool first_member(vm *m, value of, const char *const *names, value *out)
{
    for (; *names; names++) {
        if (!loam__member(m, of, *names, out)) return false;
        if (out->kind != KIND_ABSENT) return true;
    }
    return true;
}

static bool add_call(vm *m, list *calls, value name, value id, value arguments)
{
    value none = loam__none();
    return loam__list_add(m, calls, name) &&
           loam__list_add(m, calls, id.kind == KIND_STRING ? id : none) &&
           loam__list_add(m, calls, arguments);
}

/* What does not read as a value is no failure; running out of memory is. */
static bool forgive(vm *m)
{
    if (m->status != LOAM_ERR_JSON && m->status != LOAM_ERR_LIMIT) return m->status == LOAM_OK;
    m->status = LOAM_OK;
    m->base->error[0] = 0;
    loam__put_drop(m, 0);
    return true;
}

/* Arguments: an object, or a string that holds one. */
static bool take_arguments(vm *m, value *v)
{
    if (v->kind == KIND_ABSENT || v->kind == KIND_NONE) {
        dict *none = loam__dict_new(m);
        if (!none) return false;
        *v = loam__dict_value(none);
    }
    if (v->kind == KIND_STRING) {
        value inner = {0};
        if (loam__literal_read(m, v->text->p, v->text->n, &(literal_style){0}, &inner)) *v = inner;
        else if (!forgive(m)) return false;
    }
    return v->kind == KIND_DICT;
}

static bool one_call(vm *m, value v, bool keyed, list *calls)
{
    static const char *const names[] = {"name", "tool_name", "function_name", "function", NULL};
    static const char *const given[] = {"arguments", "parameters", "args", "params", "input", NULL};
    static const char *const ids[] = {"id", "tool_call_id", "call_id", NULL};
    value name, arguments, id, inner;
    if (v.kind != KIND_DICT) return false;
    if (keyed && v.dict->n == 1 && v.dict->entries[0].value.kind == KIND_DICT)
        return add_call(m, calls, v.dict->entries[0].key, loam__none(), v.dict->entries[0].value);
    if (!first_member(m, v, ids, &id) || !loam__member(m, v, "function", &inner)) return false;
    if (inner.kind == KIND_DICT) v = inner;
    if (!first_member(m, v, names, &name) || !first_member(m, v, given, &arguments)) return false;
    if (name.kind != KIND_STRING || name.text->n == 0 || name.text->n > MAX_NAME) return false;
    if (arguments.kind == KIND_ABSENT && v.dict->n > 1 && id.kind == KIND_ABSENT) return false;
    return take_arguments(m, &arguments) && add_call(m, calls, name, id, arguments);
}

bool loam__calls_of(vm *m, value v, bool keyed, list *calls)
{
    if (v.kind != KIND_LIST) return one_call(m, v, keyed, calls);
    for (size_t i = 0; i < v.list->n; i++)
        if (!one_call(m, v.list->items[i], keyed, calls)) return false;
    return true;
}

bool loam__tool_named(vm *m, value tools, const text *name, value *function)
{
    value inner, given;
    function->kind = KIND_ABSENT;
    for (size_t i = 0; tools.kind == KIND_LIST && i < tools.list->n; i++) {
        value tool = tools.list->items[i];
        if (!loam__member(m, tool, "function", &inner)) return false;
        if (inner.kind == KIND_DICT) tool = inner;
        if (!loam__member(m, tool, "name", &given)) return false;
        if (given.kind == KIND_STRING && loam__text_equal(given.text, name)) {
            *function = tool;
            return true;
        }
    }
    return true;
}

/* ---- the values of pairs ---- */

static bool says_string(value type)
{
    return type.kind == KIND_STRING && loam__text_is(type.text, "string");
}

/* Whether a schema allows strings and nothing else but null. */
static bool only_strings(vm *m, value schema, bool *out)
{
    value type;
    *out = false;
    if (!loam__member(m, schema, "type", &type)) return false;
    *out = says_string(type);
    if (type.kind == KIND_LIST) {
        *out = type.list->n > 0;
        for (size_t i = 0; i < type.list->n; i++) {
            value t = type.list->items[i];
            if (!says_string(t) && !(t.kind == KIND_STRING && loam__text_is(t.text, "null")))
                *out = false;
        }
    }
    if (type.kind != KIND_ABSENT) return true;
    if (!loam__member(m, schema, "enum", &type)) return false;
    if (type.kind != KIND_LIST || type.list->n == 0) return true;
    *out = true;
    for (size_t i = 0; i < type.list->n; i++)
        if (type.list->items[i].kind != KIND_STRING) *out = false;
    return true;
}

/* Text with its CDATA taken out of the marks. */
static bool plain_text(vm *m, mark v, value *out)
{
    size_t begin = loam__put_begin(m), at = 0, from;
    while ((from = loam__mark_find(v, data_open, at)) != NOT_FOUND) {
        size_t inside = from + sizeof data_open - 1, end = loam__mark_find(v, data_close, inside);
        if (end == NOT_FOUND) break;
        loam__put(m, v.p + at, from - at, false);
        loam__put(m, v.p + inside, end - inside, false);
        at = end + 3;
    }
    loam__put(m, v.p + at, v.n - at, false);
    return loam__put_end(m, begin, out);
}

static bool nested(vm *m, const call_style *c, mark v, value schema, value *out);

/* string: the marks say that it is one. */
static bool pair_value(vm *m, const call_style *c, mark v, value schema, bool string, value *out)
{
    const literal_style how = {.python = true};
    bool only = string;
    size_t length;
    if (!only && !only_strings(m, schema, &only)) return false;
    if (c->repeats_key && loam__mark_at(c->key_open, v.p, v.n, &length) == FOUND)
        return nested(m, c, v, schema, out);
    if (!only && v.n && !(c->key_end[1].n && string)) {
        if (loam__literal_read(m, v.p, v.n, &how, out)) return true;
        if (!forgive(m)) return false;
    }
    return plain_text(m, v, out);
}

/* What is in the marks of an object's members or of a list's items. */
static bool nested_pairs(vm *m, const call_scan *s, mark v, value schema, value *out)
{
    const call_pair *pairs = (const call_pair *)(void *)s->pairs.p;
    value properties, item, key, part;
    list *items = loam__list_new(m, 0);
    dict *members = loam__dict_new(m);
    bool is_list = true;
    if (!items || !members || !loam__member(m, schema, "properties", &properties) ||
        !loam__member(m, schema, "items", &item))
        return false;
    for (size_t i = 0; i < s->pairs.n / sizeof *pairs; i++) {
        const mark word = {v.p + pairs[i].key, pairs[i].n_key};
        const mark inside = {v.p + pairs[i].value, pairs[i].n_value};
        is_list = is_list && loam__mark_same(word, loam__mark("item"));
        part.kind = KIND_ABSENT;
        if (!loam__text_value(m, word.p, word.n, &key)) return false;
        if (properties.kind == KIND_DICT &&
            !loam__dict_get_text(m, properties.dict, key.text, &part))
            return false;
        if (part.kind == KIND_ABSENT) part = item;
        if (!pair_value(m, s->style, inside, part, false, &part) ||
            !loam__list_add(m, items, part) || !loam__dict_set(m, members, key, part))
            return false;
    }
    *out = is_list ? loam__list_value(items) : loam__dict_value(members);
    return true;
}

/* A value that begins as a pair does: pairs up to its end, or text after all. */
static bool nested(vm *m, const call_style *c, mark v, value schema, value *out)
{
    enum { MAX_NESTED = 64 }; /* each level is scanned again, and takes a kilobyte of stack */
    call_style inner = *c;
    call_scan s = {.pairs = {.base = m->base}};
    if (m->depth >= MAX_NESTED) return plain_text(m, v, out);
    inner.close = (mark){0};
    loam__call_start(&s, &inner, 0);
    s.phase = GAP;
    bool pairs = loam__call_scan(&s, v.p, v.n, true) == CALL_WHOLE, ok;
    if (s.pairs.status != LOAM_OK) m->status = s.pairs.status;
    ok = m->status == LOAM_OK && loam__vm_enter(m);
    ok = ok && (pairs ? nested_pairs(m, &s, v, schema, out) : plain_text(m, v, out));
    loam__vm_leave(m);
    loam__buf_free(&s.pairs);
    return ok;
}

static mark value_text(const call_style *c, const char *p, const call_pair *q)
{
    mark v = {p + q->value, q->n_value};
    if (c->value_lines && v.n && v.p[0] == '\n') v.p++, v.n--;
    if (c->value_lines && v.n && v.p[v.n - 1] == '\n') v.n--;
    return v;
}

static bool read_pairs(vm *m, const call_scan *s, const char *p, value tools, value name,
                       value *out)
{
    const call_pair *pairs = (const call_pair *)(void *)s->pairs.p;
    value function, schema, properties, part, key;
    dict *arguments = loam__dict_new(m);
    if (!arguments || s->pairs.status != LOAM_OK) return false;
    if (!loam__tool_named(m, tools, name.text, &function) ||
        !loam__member(m, function, "parameters", &schema) ||
        !loam__member(m, schema, "properties", &properties))
        return false;
    for (size_t i = 0; i < s->pairs.n / sizeof *pairs; i++) {
        if (!loam__text_value(m, p + pairs[i].key, pairs[i].n_key, &key) ||
            !loam__member(m, properties, "", &part))
            return false;
        if (properties.kind == KIND_DICT &&
            !loam__dict_get_text(m, properties.dict, key.text, &part))
            return false;
        if (!pair_value(m, s->style, value_text(s->style, p, &pairs[i]), part, pairs[i].string,
                        &part) ||
            !loam__dict_set(m, arguments, key, part))
            return false;
    }
    *out = loam__dict_value(arguments);
    return true;
}

/* functions.NAME:0 is NAME, and the whole is the call's id. */
static bool plain_name(vm *m, const call_scan *s, const char *p, value *name, value *id)
{
    static const char prefix[] = "functions.";
    mark k = {p + s->name, s->n_name};
    size_t n = sizeof prefix - 1, end = k.n;
    *id = loam__none();
    if (s->n_id && !loam__text_value(m, p + s->id, s->n_id, id)) return false;
    while (end > 0 && k.p[end - 1] >= '0' && k.p[end - 1] <= '9')
        end--;
    if (end > 1 && end < k.n && k.p[end - 1] == ':') {
        if (!s->n_id && !loam__text_value(m, k.p, k.n, id)) return false;
        k.n = end - 1;
    }
    if (k.n > n && memcmp(k.p, prefix, n) == 0) k = loam__mark_cut(k, n, k.n);
    return loam__text_value(m, k.p, k.n, name);
}

bool loam__call_read(vm *m, const call_scan *s, const char *p, value tools, list *calls)
{
    const literal_style how = {.python = s->style->kind == CALL_PYTHON,
                               .calls = s->style->kind == CALL_PYTHON,
                               .bare_keys = s->style->kind == CALL_LOOSE,
                               .quote = s->style->quote.p,
                               .n_quote = s->style->quote.n};
    value v, name, id;
    if (s->style->kind == CALL_PAIRS) {
        if (!plain_name(m, s, p, &name, &id) || !read_pairs(m, s, p, tools, name, &v)) return false;
        return add_call(m, calls, name, id, v);
    }
    if (!loam__literal_read(m, p + s->body, s->at - s->body, &how, &v)) return forgive(m) && false;
    if (s->style->kind == CALL_JSON || s->style->kind == CALL_PYTHON)
        return loam__calls_of(m, v, s->style->keyed, calls);
    return plain_name(m, s, p, &name, &id) && take_arguments(m, &v) &&
           add_call(m, calls, name, id, v);
}
