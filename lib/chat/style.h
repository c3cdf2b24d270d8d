/* How a model writes reasoning and tool calls, as its template shows it. Private to lib/chat. */
#ifndef LOAM__CHAT_STYLE_H
#define LOAM__CHAT_STYLE_H

#include "chat.h"
#include "value.h"

enum {
    MAX_MARK = 256,      /* bytes of a mark; longer ones are not used */
    MAX_GAP = 64,        /* bytes of white space inside or around one */
    MAX_NAME = 256,      /* bytes of a function's or a parameter's name */
    MAX_IGNORED = 24,    /* marks */
    MAX_CALL_STYLES = 3, /* of one template */
};

/* ---- marks (marks.c) ---- */

/* Text that the model writes around what it says. White space in a mark stands for any white space,
 * and for none. */
typedef struct mark {
    const char *p;
    size_t n; /* 0: there is none */
} mark;

typedef enum found { FOUND_NO, FOUND_MAYBE, FOUND } found; /* maybe: the text ends too early */

static inline bool loam__is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}
bool loam__is_name_char(char c); /* of functions: letters, digits, and some of _ . : / - */

mark loam__mark(const char *s);
mark loam__mark_trim(mark k);
mark loam__mark_cut(mark k, size_t from, size_t to);
bool loam__mark_same(mark a, mark b);
found loam__mark_at(mark k, const char *p, size_t n, size_t *length);
size_t loam__mark_find(mark k, const char *needle, size_t from);    /* NOT_FOUND */
size_t loam__mark_find_last(mark k, const char *needle, size_t to); /* ends by `to` */
size_t loam__mark_prefix(mark a, mark b);                           /* bytes that both begin with */
size_t loam__mark_suffix(mark a, mark b);
size_t loam__mark_whole(mark k, size_t n); /* at most n, so that no tag is cut */
/* The next thing in brackets at or behind *at, which goes on to its end. */
bool loam__mark_tag(mark k, size_t *at, mark *tag);

/* ---- styles (style.c) ---- */

typedef enum call_kind {
    CALL_JSON,   /* {"name": ..., "arguments": {...}}, or an array of such */
    CALL_NAMED,  /* the name, a mark, and the arguments as JSON */
    CALL_PAIRS,  /* the name, and each parameter and its value between marks */
    CALL_PYTHON, /* f(a='b', c=1), or a list of such */
    CALL_LOOSE,  /* f{a:"b",c:1}, with a mark as the quotes */
} call_kind;

typedef struct call_style {
    call_kind kind;
    mark section;     /* once, in front of all calls */
    mark open;        /* in front of each; none: a call stands where the message begins */
    mark close;       /* behind each */
    mark id_end;      /* an id, then this, in front of the name */
    mark name_end;    /* behind the name */
    mark id_open;     /* or an id between this and name_end */
    mark key_open;    /* of a pair */
    mark key_end[2];  /* between key and value: of a string, of anything else */
    mark value_end;   /* behind a value, up to where it repeats the key */
    mark value_end_2; /* and behind the key */
    mark quote;       /* of strings, besides " */
    bool value_lines; /* a value has a line end before and behind it */
    bool repeats_key; /* values end with their key; objects and lists lie in them the same way */
    bool keyed;       /* {"NAME": {...}} is a call */
} call_style;

typedef struct style {
    mark think_open, think_close;
    call_style calls[MAX_CALL_STYLES];
    uint32_t n_calls, n_ignored, n_after;
    mark ignored[MAX_IGNORED]; /* roles, ends of turns: never part of what is said */
    mark after[MAX_IGNORED];   /* what closes calls: ignored behind one */
    bool channels;             /* messages have headers: <|start|>role to=whom<|message|> */
    bool space_first;          /* the template writes white space in front of the content */
    bool space_last;           /* and behind it */
} style;

typedef struct style_request {
    const char *source; /* of the template */
    size_t n_source;
    value variables; /* a dict */
    const loam__chat_default *defaults;
} style_request;

/* Work out the style. The marks live as long as the vm. prompt: what the request's own rendering
 * ends with when it asks for an answer; empty if it does not. */
bool loam__style_find(vm *m, const style_request *from, style *s, mark *prompt);

/* What probes ask a template to write, and the samples show (samples.c). */
#define PROBE_USER    "probe_question"
#define PROBE_TEXT    "probe_answer"
#define PROBE_THOUGHT "probe_thought"
#define PROBE_NAME_1  "probe_first"
#define PROBE_NAME_2  "probe_second"
#define PROBE_KEY_1   "probe_key"
#define PROBE_VALUE_1 "probe value"
#define PROBE_KEY_2   "probe_size"
#define PROBE_VALUE_2 "7351"
#define PROBE_ID_1    "probeid01"
#define PROBE_ID_2    "probeid02"

/* Read off how the calls in a text are written; *good: what was found reads them (shape.c). */
bool loam__style_calls(vm *m, mark k, call_style *c, style *s, bool *good);
/* Styles of templates that do not write calls themselves, by marks in the source (samples.c). */
bool loam__style_samples(vm *m, mark source, style *s);

/* ---- calls (calls.c) ---- */

/* A call that comes in piece by piece. Offsets count from where its text begins. */
typedef struct call_scan {
    const call_style *style;
    size_t begin;   /* behind the opening mark */
    size_t at;      /* how far it has been looked at */
    uint32_t phase; /* of its kind */
    uint32_t depth; /* brackets */
    char quote;     /* of the string it is in; 0: none, 'm': the style's mark */
    bool escaped;   /* behind a \ */
    bool data;      /* inside CDATA */
    bool list;      /* Python calls in brackets */
    size_t name, n_name, id, n_id, body, key;
    loam__buf pairs; /* call_pair[] */
} call_scan;

typedef enum call_state { CALL_MORE, CALL_WHOLE, CALL_WRONG } call_state;

void loam__call_start(call_scan *s, const call_style *how, size_t begin);
void loam__call_arguments(call_scan *s); /* the name is known: they are all that comes */
/* Look at the text from the last time on, of which n bytes are there; last: no more will come.
 * CALL_WHOLE and CALL_WRONG: s->at is where the rest begins. */
call_state loam__call_scan(call_scan *s, const char *p, size_t n, bool last);
/* The calls of a whole one: name, id or none, arguments, again and again. tools: the request's, for
 * the types of parameters. False and m->status LOAM_OK: they make no sense. */
bool loam__call_read(vm *m, const call_scan *s, const char *p, value tools, list *calls);
bool loam__calls_of(vm *m, value v, bool keyed, list *calls);
bool loam__member(vm *m, value of, const char *name, value *out); /* KIND_ABSENT */
bool loam__tool_named(vm *m, value tools, const text *name, value *function);

#endif
