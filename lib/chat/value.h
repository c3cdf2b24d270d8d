/* Values as Python has them, and what can be done with any of them. Private to lib/chat.
 *
 * A value is small and copied; what it points to lives as long as the vm and never changes, but for
 * namespaces and iterators. Functions that can fail return false and have failed the vm. */
#ifndef LOAM__CHAT_VALUE_H
#define LOAM__CHAT_VALUE_H

#include "vm.h"

typedef enum value_kind {
    KIND_ABSENT, /* no value at all: an argument that was not given */
    KIND_UNDEFINED,
    KIND_NONE,
    KIND_BOOL,
    KIND_INT,
    KIND_BIG, /* an integer of the JSON beyond 64 bits: its digits, to be printed again */
    KIND_FLOAT,
    KIND_STRING,
    KIND_LIST,
    KIND_TUPLE,
    KIND_DICT,
    KIND_VIEW, /* dict.keys(), values(), items() */
    KIND_RANGE,
    KIND_ITER, /* what map, select and other lazy filters give; runs once */
    KIND_NAMESPACE,
    KIND_LOOP,
    KIND_CYCLER,
    KIND_JOINER,
    KIND_MACRO,
    KIND_METHOD,
    KIND_FUNCTION,
} value_kind;

/* Why a value is undefined; decides the message when it is used as if it were not. */
typedef enum undefined_why {
    UNDEFINED_NAME,      /* text: the name */
    UNDEFINED_ATTRIBUTE, /* text: the name; owner: the kind that lacks it */
    UNDEFINED_ELEMENT,   /* integer: the index */
    UNDEFINED_UNSAFE,    /* text: a method that would change its object */
    UNDEFINED_PARAMETER, /* text: the name */
    UNDEFINED_OTHER,     /* reason: a sentence */
} undefined_why;

typedef struct value {
    uint8_t kind;       /* value_kind */
    uint8_t why, owner; /* of an undefined one */
    union {
        bool boolean;
        int64_t integer;
        double real;
        const char *reason;
        struct text *text;
        struct list *list;
        struct dict *dict;
        struct view *view;
        struct range *range;
        struct iter *iter;
        struct loop *loop;
        struct cycler *cycler;
        struct joiner *joiner;
        struct macro *macro;
        struct method *method;
        const struct builtin *function;
    };
} value;

static inline value loam__none(void)
{
    return (value){.kind = KIND_NONE};
}
static inline value loam__bool(bool b)
{
    return (value){.kind = KIND_BOOL, .boolean = b};
}
static inline value loam__int(int64_t i)
{
    return (value){.kind = KIND_INT, .integer = i};
}
static inline value loam__float(double f)
{
    return (value){.kind = KIND_FLOAT, .real = f};
}
static inline value loam__string(struct text *t)
{
    return (value){.kind = KIND_STRING, .text = t};
}
static inline value loam__undefined(const char *reason)
{
    return (value){.kind = KIND_UNDEFINED, .why = UNDEFINED_OTHER, .reason = reason};
}

const char *loam__type_name(value v); /* as Python's type(v).__name__ */
bool loam__raise_undefined(vm *m, value v);

/* True, and the number, for an int or a bool. */
bool loam__is_int(value v, int64_t *i);
bool loam__is_number(value v, double *f); /* ints and bools too */

bool loam__truth(vm *m, value v, bool *out);
bool loam__length(vm *m, value v, size_t *out); /* raises where Python's len() does */
bool loam__equal(vm *m, value a, value b, bool *out);
bool loam__compare(vm *m, value a, value b, const char *op,
                   int *out);                   /* -1, 0, 1; 2: unordered (a NaN) */
bool loam__hash(vm *m, value v, uint64_t *out); /* raises for lists and dicts */
bool loam__contains(vm *m, value container, value item, bool *out);
bool loam__same(value a, value b); /* `is` */

/* ---- strings (text.c) ---- */

typedef struct text {
    const char *p;         /* UTF-8 */
    const uint8_t *marks;  /* 1: the byte came out of a string of the JSON; NULL: none did */
    size_t n;              /* bytes */
    size_t points;         /* code points, or POINTS_LATER */
    struct growth *growth; /* what p and marks lie in if this text can be appended to in place */
    bool markup;           /* |safe: adding to it escapes what is added */
} text;

#define POINTS_LATER SIZE_MAX

text *loam__text_new(vm *m, const char *p, size_t n,
                     const uint8_t *marks); /* refers to the bytes */
text *loam__text_copy(vm *m, const char *p, size_t n);
text *loam__text_slice(vm *m, const text *t, size_t from, size_t n);
bool loam__text_value(vm *m, const char *p, size_t n, value *out); /* a copy, as a value */
text *loam__text_join(vm *m, text *a, text *b); /* a + b, in place where a allows */
text *loam__text_escape(vm *m, const text *t);  /* for HTML; gives markup */
text *loam__text_plain(vm *m, text *t);         /* without its markup flag */
text *loam__text_markup(vm *m, text *t);        /* with it, nothing escaped */
size_t loam__text_points(vm *m, text *t);
size_t loam__text_offset(vm *m, text *t,
                         size_t point); /* of the byte where that code point starts */
bool loam__text_is(const text *t, const char *s);
bool loam__text_equal(const text *a, const text *b);
int loam__text_order(const text *a, const text *b);
const text *loam__intern(vm *m, const char *p, size_t n);

/* Where needle is in [from, t->n), as a byte offset, or NOT_FOUND; last: the last such place that
 * ends by `to`. */
#define NOT_FOUND SIZE_MAX
size_t loam__text_find(vm *m, const text *t, const text *needle, size_t from);
size_t loam__text_find_last(vm *m, const text *t, const text *needle, size_t to);

/* ---- lists and tuples (list.c) ---- */

typedef struct list {
    value *items;
    size_t n;
    struct list_growth *growth;
    bool group; /* a tuple of |groupby: also has .grouper and .list */
} list;

list *loam__list_new(vm *m, size_t capacity);
bool loam__list_add(vm *m, list *l, value v); /* of a list that is still being made */
list *loam__list_join(vm *m, list *a, const list *b);
bool loam__list_of(vm *m, value iterable, list **out);
static inline value loam__list_value(list *l)
{
    return (value){.kind = KIND_LIST, .list = l};
}
static inline value loam__tuple_value(list *l)
{
    return (value){.kind = KIND_TUPLE, .list = l};
}
bool loam__pair(vm *m, value a, value b, value *out);

/* order keys[0..n) and items with them: stable; op is for the message */
bool loam__sort(vm *m, value *keys, value *items, size_t n, bool reverse);

/* ---- dicts (dict.c): in the order of insertion ---- */

typedef struct dict_entry {
    value key, value;
    uint64_t hash;
} dict_entry;

typedef struct dict {
    dict_entry *entries;
    size_t n, capacity;
    uint32_t *index; /* open addressing over entries + 1, from the ninth entry on */
    size_t index_size;
} dict;

typedef struct view {
    dict *of;
    enum view_part { VIEW_KEYS, VIEW_VALUES, VIEW_ITEMS } part;
} view;

dict *loam__dict_new(vm *m);
bool loam__dict_set(vm *m, dict *d, value key, value v);
bool loam__dict_get(vm *m, const dict *d, value key,
                    value *out); /* KIND_ABSENT if it is not there */
bool loam__dict_get_text(vm *m, const dict *d, const text *key, value *out);
dict *loam__dict_copy(vm *m, const dict *d);
bool loam__dict_item(vm *m, const dict *d, size_t i, enum view_part part, value *out);
static inline value loam__dict_value(dict *d)
{
    return (value){.kind = KIND_DICT, .dict = d};
}

/* ---- ranges and iteration (iter.c) ---- */

typedef struct range {
    int64_t start, stop, step;
    size_t n;
} range;

struct call;
struct node;
struct scope;
typedef struct iter iter;

value loam__range(vm *m, int64_t start, int64_t stop, int64_t step); /* KIND_ABSENT: failed */
bool loam__iterable(value v);
iter *loam__iterate(vm *m, value v);          /* NULL: has raised that v is not iterable */
bool loam__next(vm *m, iter *it, value *out); /* KIND_ABSENT at the end */
iter *loam__iterate_back(vm *m, value v);

/* Lazy ones, each over `from`. */
iter *loam__iter_map(vm *m, iter *from, const struct call *c);
iter *loam__iter_select(vm *m, iter *from, const struct call *c, bool attribute, bool wanted);
iter *loam__iter_where(vm *m, iter *from, const struct node *target, const struct node *test,
                       struct scope *scope);
iter *loam__iter_list(vm *m, list *l);
static inline value loam__iter_value(iter *it)
{
    return (value){.kind = KIND_ITER, .iter = it};
}

/* ---- text of values (print.c) ---- */

bool loam__str(vm *m, value v, value *out); /* str(v); a string is itself */
bool loam__put_str(vm *m, value v);
bool loam__put_repr(vm *m, value v);

typedef struct json_style {
    bool ascii, sorted;
    bool broken; /* one item a line */
    const text *indent, *comma, *colon;
} json_style;
bool loam__put_json(vm *m, value v, const json_style *style);

/* Python's number formats: of %-formatting and of str.format() (format.c). */
bool loam__percent(vm *m, text *format, value arguments, value *out);
bool loam__str_format(vm *m, text *format, const struct call *c, value *out);

/* ---- operators and access (ops.c) ---- */

bool loam__binary(vm *m, int op, value a, value b, value *out); /* op: an OP_* of ast.h */
bool loam__negate(vm *m, value v, value *out);
bool loam__attribute(vm *m, value v, const text *name, value *out); /* v.name */
bool loam__item(vm *m, value v, value key, value *out);             /* v[key] */
bool loam__slice(vm *m, value v, const value bounds[3], value *out);

/* ---- JSON (json.c) ---- */

bool loam__json_read(vm *m, const char *p, size_t n,
                     value *out); /* LOAM_ERR_JSON with the offset */

/* What models write where JSON should be: line ends in strings, a comma before a closing bracket,
 * True and None are let pass. */
typedef struct literal_style {
    bool python;       /* 'text', (1, 2) */
    bool calls;        /* f(a=1), or a list of such: as {"name": "f", "arguments": {"a": 1}} */
    bool bare_keys;    /* {a: 1} */
    const char *quote; /* one more around strings, which has no escapes */
    size_t n_quote;
} literal_style;
bool loam__literal_read(vm *m, const char *p, size_t n, const literal_style *style, value *out);

#endif
