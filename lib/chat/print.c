#include "builtins.h"
#include "number.h"
#include "unicode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_int(vm *m, int64_t i)
{
    char line[24];
    loam__put(m, line, (size_t)snprintf(line, sizeof line, "%lld", (long long)i), false);
}

static void put_float(vm *m, double f)
{
    char line[FLOAT_TEXT];
    loam__put(m, line, loam__float_text(f, line), false);
}

static void put_hex(vm *m, const char *before, uint32_t c, int width, bool typed)
{
    char line[16];
    loam__put(m, line, (size_t)snprintf(line, sizeof line, "%s%0*x", before, width, (unsigned)c),
              typed);
}

/* ---- repr() ---- */

static void put_escaped(vm *m, const text *t, char quote)
{
    size_t from = 0, len;
    int32_t c;
    for (size_t i = 0; i < t->n; i += len) {
        char two[2] = {'\\', 0};
        bool typed = t->marks && t->marks[i];
        len = loam__point(t->p + i, t->n - i, &c);
        if (c == quote || c == '\\') two[1] = (char)c;
        if (c == '\n') two[1] = 'n';
        if (c == '\r') two[1] = 'r';
        if (c == '\t') two[1] = 't';
        if (!two[1] && loam__is_printable(c)) continue;
        loam__put_part(m, t, from, i - from);
        from = i + len;
        if (two[1]) loam__put(m, two, 2, typed);
        else if (c < 0x100) put_hex(m, "\\x", (uint32_t)c, 2, typed);
        else put_hex(m, c < 0x10000 ? "\\u" : "\\U", (uint32_t)c, c < 0x10000 ? 4 : 8, typed);
    }
    loam__put_part(m, t, from, t->n - from);
}

static bool put_text_repr(vm *m, const text *t)
{
    char quote = memchr(t->p, '\'', t->n) && !memchr(t->p, '"', t->n) ? '"' : '\'';
    if (!loam__vm_read(m, t->n)) return false;
    if (t->markup) loam__put_string(m, "Markup(");
    loam__put(m, &quote, 1, false);
    put_escaped(m, t, quote);
    loam__put(m, &quote, 1, false);
    if (t->markup) loam__put_string(m, ")");
    return true;
}

static bool put_list_repr(vm *m, const list *l, const char *open, const char *close)
{
    loam__put_string(m, open);
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0) loam__put_string(m, ", ");
        if (!loam__put_repr(m, l->items[i])) return false;
    }
    loam__put_string(m, close);
    return true;
}

static bool put_dict_repr(vm *m, const dict *d)
{
    loam__put_string(m, "{");
    for (size_t i = 0; i < d->n; i++) {
        if (i > 0) loam__put_string(m, ", ");
        if (!loam__put_repr(m, d->entries[i].key)) return false;
        loam__put_string(m, ": ");
        if (!loam__put_repr(m, d->entries[i].value)) return false;
    }
    loam__put_string(m, "}");
    return true;
}

static bool put_view_repr(vm *m, value v)
{
    value item;
    loam__put_string(m, loam__type_name(v));
    loam__put_string(m, "([");
    for (size_t i = 0; i < v.view->of->n; i++) {
        if (i > 0) loam__put_string(m, ", ");
        if (!loam__dict_item(m, v.view->of, i, v.view->part, &item) || !loam__put_repr(m, item))
            return false;
    }
    loam__put_string(m, "])");
    return true;
}

static void put_range(vm *m, const range *r)
{
    loam__put_string(m, "range(");
    put_int(m, r->start);
    loam__put_string(m, ", ");
    put_int(m, r->stop);
    if (r->step != 1) {
        loam__put_string(m, ", ");
        put_int(m, r->step);
    }
    loam__put_string(m, ")");
}

/* Things without a text of their own; Python prints their address, which no prompt can depend on.
 */
static bool put_object(vm *m, value v)
{
    loam__put_string(m, "<");
    loam__put_string(m, loam__type_name(v));
    if (v.kind == KIND_NAMESPACE) {
        loam__put_string(m, " ");
        if (!put_dict_repr(m, v.dict)) return false;
    } else if (v.kind == KIND_MACRO && v.macro->node->name) {
        loam__put_string(m, " '");
        loam__put_text(m, v.macro->node->name);
        loam__put_string(m, "'");
    } else if (v.kind != KIND_MACRO) {
        loam__put_string(m, " object");
    }
    loam__put_string(m, ">");
    return true;
}

static bool put_nested(vm *m, value v)
{
    switch (v.kind) {
    case KIND_LIST:
        return put_list_repr(m, v.list, "[", "]");
    case KIND_TUPLE:
        return put_list_repr(m, v.list, "(", v.list->n == 1 ? ",)" : ")");
    case KIND_DICT:
        return put_dict_repr(m, v.dict);
    case KIND_VIEW:
        return put_view_repr(m, v);
    default:
        return put_object(m, v);
    }
}

bool loam__put_repr(vm *m, value v)
{
    if (!loam__vm_steps(m, 1)) return false;
    switch (v.kind) {
    case KIND_UNDEFINED:
        loam__put_string(m, "Undefined");
        break;
    case KIND_NONE:
        loam__put_string(m, "None");
        break;
    case KIND_BOOL:
        loam__put_string(m, v.boolean ? "True" : "False");
        break;
    case KIND_INT:
        put_int(m, v.integer);
        break;
    case KIND_BIG:
        loam__put_text(m, v.text);
        break;
    case KIND_FLOAT:
        put_float(m, v.real);
        break;
    case KIND_STRING:
        if (!put_text_repr(m, v.text)) return false;
        break;
    case KIND_RANGE:
        put_range(m, v.range);
        break;
    default:
        if (!loam__vm_enter(m) || !put_nested(m, v)) return false;
        loam__vm_leave(m);
    }
    return loam__put_ok(m);
}

bool loam__put_str(vm *m, value v)
{
    if (v.kind == KIND_UNDEFINED) return true;
    if (v.kind != KIND_STRING) return loam__put_repr(m, v);
    loam__put_text(m, v.text);
    return loam__put_ok(m);
}

bool loam__str(vm *m, value v, value *out)
{
    size_t begin = loam__put_begin(m);
    *out = v;
    if (v.kind == KIND_STRING) return true;
    return loam__put_str(m, v) && loam__put_end(m, begin, out);
}

/* ---- JSON ---- */

static void put_json_point(vm *m, int32_t c, bool typed)
{
    static const char escapes[] = "\"\"\\\\\nn\rr\tt\ff\bb";
    for (const char *e = escapes; *e; e += 2)
        if (c == e[0]) {
            char two[2] = {'\\', e[1]};
            loam__put(m, two, 2, typed);
            return;
        }
    if (c >= 0x10000) {
        put_hex(m, "\\u", 0xD7C0u + ((uint32_t)c >> 10), 4, typed);
        c = 0xDC00 + (c & 0x3FF);
    }
    put_hex(m, "\\u", (uint32_t)c, 4, typed);
}

static bool put_json_text(vm *m, const text *t, const json_style *style)
{
    size_t from = 0, len;
    int32_t c;
    loam__put_string(m, "\"");
    for (size_t i = 0; i < t->n; i += len) {
        len = loam__point(t->p + i, t->n - i, &c);
        if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x80 || !style->ascii)) continue;
        loam__put_part(m, t, from, i - from);
        put_json_point(m, c, t->marks && t->marks[i]);
        from = i + len;
    }
    loam__put_part(m, t, from, t->n - from);
    loam__put_string(m, "\"");
    return loam__vm_read(m, t->n);
}

static bool put_json_at(vm *m, value v, const json_style *style, uint32_t level);

static void put_line_end(vm *m, const json_style *style, uint32_t level)
{
    if (!style->broken) return;
    loam__put_string(m, "\n");
    while (level-- > 0)
        loam__put_text(m, style->indent);
}

static bool put_json_list(vm *m, const list *l, const json_style *style, uint32_t level)
{
    loam__put_string(m, "[");
    for (size_t i = 0; i < l->n; i++) {
        if (i > 0) loam__put_text(m, style->comma);
        put_line_end(m, style, level + 1);
        if (!put_json_at(m, l->items[i], style, level + 1)) return false;
    }
    if (l->n > 0) put_line_end(m, style, level);
    loam__put_string(m, "]");
    return true;
}

static bool put_json_key(vm *m, value key, const json_style *style)
{
    if (key.kind == KIND_STRING) return put_json_text(m, key.text, style);
    if (key.kind < KIND_NONE || key.kind > KIND_FLOAT)
        return loam__vm_raise(m, "keys must be str, int, float, bool or None, not %s",
                              loam__type_name(key));
    loam__put_string(m, "\"");
    if (!put_json_at(m, key, style, 0)) return false;
    loam__put_string(m, "\"");
    return true;
}

static bool sorted_entries(vm *m, const dict *d, const dict_entry **out)
{
    value *keys = loam__vm_alloc_array(m, d->n, sizeof *keys);
    value *values = loam__vm_alloc_array(m, d->n, sizeof *values);
    dict_entry *entries = loam__vm_alloc_array(m, d->n, sizeof *entries);
    if (!keys || !values || !entries) return false;
    for (size_t i = 0; i < d->n; i++) {
        keys[i] = d->entries[i].key;
        values[i] = d->entries[i].value;
    }
    if (!loam__sort(m, keys, values, d->n, false)) return false;
    for (size_t i = 0; i < d->n; i++)
        entries[i] = (dict_entry){.key = keys[i], .value = values[i]};
    *out = entries;
    return true;
}

static bool put_json_dict(vm *m, const dict *d, const json_style *style, uint32_t level)
{
    const dict_entry *entries = d->entries;
    if (style->sorted && !sorted_entries(m, d, &entries)) return false;
    loam__put_string(m, "{");
    for (size_t i = 0; i < d->n; i++) {
        if (i > 0) loam__put_text(m, style->comma);
        put_line_end(m, style, level + 1);
        if (!put_json_key(m, entries[i].key, style)) return false;
        loam__put_text(m, style->colon);
        if (!put_json_at(m, entries[i].value, style, level + 1)) return false;
    }
    if (d->n > 0) put_line_end(m, style, level);
    loam__put_string(m, "}");
    return true;
}

static bool put_json_float(vm *m, double f)
{
    if (isnan(f) || isinf(f))
        loam__put_string(m, isnan(f) ? "NaN" : f > 0 ? "Infinity" : "-Infinity");
    else put_float(m, f);
    return true;
}

static bool put_json_any(vm *m, value v, const json_style *style, uint32_t level)
{
    switch (v.kind) {
    case KIND_NONE:
        loam__put_string(m, "null");
        return true;
    case KIND_BOOL:
        loam__put_string(m, v.boolean ? "true" : "false");
        return true;
    case KIND_INT:
    case KIND_BIG:
        return loam__put_repr(m, v);
    case KIND_FLOAT:
        return put_json_float(m, v.real);
    case KIND_STRING:
        return put_json_text(m, v.text, style);
    case KIND_LIST:
    case KIND_TUPLE:
        return put_json_list(m, v.list, style, level);
    case KIND_DICT:
        return put_json_dict(m, v.dict, style, level);
    default:
        return loam__vm_raise(m, "Object of type %s is not JSON serializable", loam__type_name(v));
    }
}

static bool put_json_at(vm *m, value v, const json_style *style, uint32_t level)
{
    if (!loam__vm_steps(m, 1) || !loam__vm_enter(m)) return false;
    if (!put_json_any(m, v, style, level)) return false;
    loam__vm_leave(m);
    return loam__put_ok(m);
}

bool loam__put_json(vm *m, value v, const json_style *style)
{
    return put_json_at(m, v, style, 0);
}
