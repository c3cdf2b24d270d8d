/* The machine that reads a model's text. It looks at each place once: what stands there is text, or
 * a mark, or it is not clear yet and waits for more. So cuts in the text change nothing. */
#include <stdio.h>
#include <string.h>

#include "lib/base/utf8.h"
#include "style.h"

enum {
    MAX_TEXT = 64 << 20, /* bytes of a message */
    MAX_CALL = 8 << 20,  /* bytes of one call's text; a longer one is content */
    MAX_CALLS = 1024,    /* of a message; more are content */
    MAX_HEADER = 512,    /* bytes of <|start|>...<|message|> */
};

typedef enum mode { TEXT, THOUGHT, CALL, HEADER } mode;

/* What a mark in the text means. */
typedef enum meaning { IGNORE, OPEN_THOUGHT, CLOSE_THOUGHT, OPEN_CALL, OPEN_HEADER } meaning;

typedef struct hit {
    meaning what;
    uint32_t style; /* of OPEN_CALL */
    size_t length;
} hit;

typedef struct event {
    int32_t kind;
    uint32_t call;
    size_t from, n; /* in the buffer of its kind */
} event;

typedef struct call {
    size_t name, n_name, id, n_id, arguments, n_arguments; /* in words */
} call;

struct loam_reader {
    loam__base base;
    vm m; /* holds the request and the marks */
    style style;
    value tools;
    bool starts[256]; /* bytes that a mark may begin with */
    mode mode;
    loam__buf text; /* what has come and is not decided */
    size_t at;      /* up to here it is */
    size_t given;   /* bytes at its start that are the prompt's: they are nowhere shown */
    size_t n_text;  /* that have come */
    uint32_t first_id;
    bool fresh;                  /* nothing but white space since the start or a mark */
    bool trim;                   /* white space is left out until something else comes */
    bool after_call;             /* closing marks of calls are expected */
    bool call_header;            /* a header named the function; the body is its arguments */
    bool bare;                   /* the call has no mark in front */
    bool parted, parted_thought; /* something else came in between: more of it begins a line */
    bool ended;
    call_scan scan;
    loam__buf content, thought, words, calls, events;
    size_t taken;        /* events */
    char name[MAX_NAME]; /* of the header */
    size_t n_name;
};

/* ---- making one ---- */

static bool read_request(loam_reader *r, const char *source, size_t n_source, const char *request,
                         size_t n_request, const loam__chat_default *defaults, mark *prompt)
{
    vm *m = &r->m;
    value variables, messages, calls;
    char *copy = loam__vm_alloc(m, n_request + n_source);
    if (!copy || !(m->names = loam__dict_new(m))) return false;
    if (n_request) memcpy(copy, request, n_request);
    if (n_source) memcpy(copy + n_request, source, n_source);
    if (!loam__json_read(m, copy, n_request, &variables)) return false;
    if (variables.kind != KIND_DICT)
        return loam__vm_fail(m, LOAM_ERR_JSON, "JSON: the request must be an object, not a %s",
                             loam__type_name(variables));
    if (!loam__member(m, variables, "tools", &r->tools) ||
        !loam__member(m, variables, "messages", &messages))
        return false;
    for (size_t i = 0; messages.kind == KIND_LIST && i < messages.list->n; i++) {
        if (!loam__member(m, messages.list->items[i], "tool_calls", &calls)) return false;
        if (calls.kind == KIND_LIST) r->first_id += (uint32_t)calls.list->n;
    }
    const style_request from = {.source = copy + n_request,
                                .n_source = n_source,
                                .variables = variables,
                                .defaults = defaults};
    return loam__style_find(m, &from, &r->style, prompt);
}

static void note_start(loam_reader *r, mark k)
{
    if (k.n) r->starts[(unsigned char)k.p[0]] = true;
}

/* Most bytes begin no mark, and are not looked at twice. */
static void note_starts(loam_reader *r)
{
    static const char bare[] = "{[,;";
    const style *s = &r->style;
    for (size_t i = 0; i < sizeof bare - 1; i++)
        r->starts[(unsigned char)bare[i]] = true;
    if (s->channels) r->starts['<'] = true;
    note_start(r, s->think_open);
    note_start(r, s->think_close);
    for (uint32_t i = 0; i < s->n_ignored; i++)
        note_start(r, s->ignored[i]);
    for (uint32_t i = 0; i < s->n_after; i++)
        note_start(r, s->after[i]);
    for (uint32_t i = 0; i < s->n_calls; i++) {
        note_start(r, s->calls[i].open);
        note_start(r, s->calls[i].section);
    }
}

static loam_status run(loam_reader *r, bool last);

/* Read what the prompt ends with, as if the model had written it: that decides what state it leaves
 * the text in. What it says is not the model's. */
static loam_status read_prompt(loam_reader *r, mark prompt)
{
    loam__buf_add(&r->text, prompt.p, prompt.n);
    r->given = prompt.n;
    loam_status st = r->text.status != LOAM_OK ? r->text.status : run(r, false);
    if (r->mode != TEXT) return st;
    r->fresh = true;
    r->trim = r->trim || r->style.space_first;
    return st;
}

enum { BUFS = 7 };

static void list_bufs(loam_reader *r, loam__buf *bufs[BUFS])
{
    loam__buf *const all[BUFS] = {&r->text,  &r->content, &r->thought,   &r->words,
                                  &r->calls, &r->events,  &r->scan.pairs};
    memcpy(bufs, all, sizeof all);
}

loam_status loam__reader_new(loam__base *b, const char *source, size_t n_source,
                             const char *request, size_t n_request,
                             const loam__chat_default *defaults, loam_reader **out)
{
    loam_reader *r = loam__alloc(b, sizeof *r);
    loam__buf *bufs[BUFS];
    mark prompt = {0};
    if (!r) return LOAM_ERR_NOMEM;
    loam_status st = loam__base_init(&r->base, &b->hooks);
    list_bufs(r, bufs);
    for (int i = 0; i < BUFS; i++)
        loam__buf_init(bufs[i], &r->base, 0);
    loam__vm_init(&r->m, &r->base);
    r->fresh = true;
    if (st == LOAM_OK && !read_request(r, source, n_source, request, n_request, defaults, &prompt))
        st = r->m.status;
    if (st == LOAM_OK) {
        note_starts(r);
        r->trim = r->style.space_first;
        st = read_prompt(r, prompt);
    }
    if (st == LOAM_OK) {
        r->base.error[0] = 0; /* of probes */
        *out = r;
        return st;
    }
    loam__fail(b, st, "%s", r->base.error);
    loam__reader_free(r);
    return st;
}

void loam__reader_free(loam_reader *r)
{
    if (!r) return;
    loam__base b = r->base;
    loam__buf *bufs[BUFS];
    list_bufs(r, bufs);
    for (int i = 0; i < BUFS; i++)
        loam__buf_free(bufs[i]);
    loam__vm_free(&r->m);
    loam__free(&b, r);
}

loam__base *loam__reader_base(const loam_reader *r)
{
    return (loam__base *)&r->base; /* for its error text */
}

/* ---- what comes out ---- */

static void tell(loam_reader *r, int32_t kind, uint32_t index, size_t from, size_t n)
{
    const event e = {kind, index, from, n};
    if (r->events.n) {
        event *last = (event *)(void *)(r->events.p + r->events.n - sizeof e);
        if (last->kind == kind && last->call == index && last->from + last->n == from) {
            last->n += n; /* it goes on */
            return;
        }
    }
    loam__buf_add(&r->events, &e, sizeof e);
}

static void speak(loam_reader *r, const char *p, size_t n)
{
    bool thought = r->mode == THOUGHT;
    loam__buf *b = thought ? &r->thought : &r->content;
    tell(r, thought ? LOAM_READ_REASONING : LOAM_READ_CONTENT, 0, b->n, n);
    loam__buf_add(b, p, n);
}

/* Text up to `to` is content, or reasoning. */
static void say(loam_reader *r, size_t to)
{
    bool *parted = r->mode == THOUGHT ? &r->parted_thought : &r->parted;
    size_t from = r->at > r->given ? r->at : r->given;
    if (to > from) {
        if (*parted && (r->mode == THOUGHT ? r->thought.n : r->content.n)) speak(r, "\n", 1);
        speak(r, r->text.p + from, to - from);
        *parted = r->fresh = r->trim = r->after_call = false;
    }
    r->at = to;
}

static size_t add_words(loam_reader *r, const char *p, size_t n)
{
    size_t from = r->words.n;
    loam__buf_add(&r->words, p, n);
    return from;
}

static const text comma = {.p = ", ", .n = 2}, colon = {.p = ": ", .n = 2};
static const json_style spaced = {.comma = &comma, .colon = &colon};

static bool add_call(loam_reader *r, vm *m, const value v[3])
{
    char made[24];
    uint32_t index = (uint32_t)(r->calls.n / sizeof(call));
    call c = {.n_name = v[0].text->n};
    size_t begin = loam__put_begin(m);
    if (!loam__put_json(m, v[2], &spaced)) return false;
    c.name = add_words(r, v[0].text->p, v[0].text->n);
    snprintf(made, sizeof made, "call%05u", (r->first_id + index) % 100000u);
    bool own = v[1].kind == KIND_STRING && v[1].text->n;
    c.n_id = own ? v[1].text->n : strlen(made);
    c.id = add_words(r, own ? v[1].text->p : made, c.n_id);
    c.n_arguments = m->out.n - begin;
    c.arguments = add_words(r, m->out.p + begin, c.n_arguments);
    loam__put_drop(m, begin);
    loam__buf_add(&r->calls, &c, sizeof c);
    tell(r, LOAM_READ_CALL, index, 0, 0);
    tell(r, LOAM_READ_ARGUMENTS, index, c.arguments, c.n_arguments);
    return true;
}

/* ---- marks ---- */

/* Keep the longest mark; a longer one that may still come is waited for. */
static void try_mark(mark k, const char *p, size_t n, hit what, hit *best, bool *maybe)
{
    if (!k.n) return;
    found f = loam__mark_at(k, p, n, &what.length);
    if (f == FOUND_MAYBE) *maybe = true;
    if (f == FOUND && what.length > best->length) *best = what;
}

static void try_section(const call_style *c, const char *p, size_t n, hit what, hit *best,
                        bool *maybe)
{
    size_t section, gap;
    found f = loam__mark_at(c->section, p, n, &section);
    if (f == FOUND_MAYBE) *maybe = true;
    if (f != FOUND) return;
    for (gap = section; gap < n && gap - section < MAX_GAP && loam__is_space(p[gap]);)
        gap++;
    f = loam__mark_at(c->open, p + gap, n - gap, &what.length);
    if (f == FOUND_MAYBE) *maybe = true;
    what.length += gap;
    if (f == FOUND && what.length > best->length) *best = what;
}

/* Calls without a mark are JSON at the start of the message, or behind another call. */
static bool bare_call(const loam_reader *r, const call_style *c, char byte)
{
    if (!r->fresh || (byte != '{' && byte != '[') || r->tools.kind != KIND_LIST) return false;
    if (c->kind == CALL_PYTHON) return !c->open.n && byte == '[';
    return c->kind == CALL_JSON && (!c->open.n || r->after_call);
}

static void try_calls(const loam_reader *r, const char *p, size_t n, hit *best, bool *maybe)
{
    for (uint32_t i = 0; i < r->style.n_calls; i++) {
        const call_style *c = &r->style.calls[i];
        hit what = {.what = OPEN_CALL, .style = i};
        if (c->section.n) try_section(c, p, n, what, best, maybe);
        try_mark(c->open, p, n, what, best, maybe);
        if (best->length == 0 && best->what != OPEN_CALL && bare_call(r, c, *p)) *best = what;
    }
}

/* What begins at p; FOUND_NO: nothing, that is text. */
static found find_mark(const loam_reader *r, const char *p, size_t n, bool last, hit *best)
{
    const style *s = &r->style;
    bool maybe = false;
    *best = (hit){0};
    if (r->mode == THOUGHT)
        try_mark(s->think_close, p, n, (hit){.what = CLOSE_THOUGHT}, best, &maybe);
    for (uint32_t i = 0; i < s->n_ignored; i++)
        try_mark(s->ignored[i], p, n, (hit){.what = IGNORE}, best, &maybe);
    if (s->channels) {
        try_mark(loam__mark("<|start|>"), p, n, (hit){.what = OPEN_HEADER}, best, &maybe);
        try_mark(loam__mark("<|channel|>"), p, n, (hit){.what = OPEN_HEADER}, best, &maybe);
    }
    if (r->mode == THOUGHT) {
        if (r->fresh) try_mark(s->think_open, p, n, (hit){.what = IGNORE}, best, &maybe);
    } else {
        if (r->fresh) try_mark(s->think_open, p, n, (hit){.what = OPEN_THOUGHT}, best, &maybe);
        if (r->fresh) try_mark(s->think_close, p, n, (hit){.what = IGNORE}, best, &maybe);
        for (uint32_t i = 0; r->calls.n && i < s->n_after; i++)
            if (r->after_call || s->after[i].p[0] == '<')
                try_mark(s->after[i], p, n, (hit){.what = IGNORE}, best, &maybe);
        if (r->calls.n / sizeof(call) < MAX_CALLS) try_calls(r, p, n, best, &maybe);
        if (r->after_call && !best->length && (*p == ',' || *p == ';'))
            *best = (hit){.what = IGNORE, .length = 1};
    }
    if (maybe && !last) return FOUND_MAYBE;
    return best->length || best->what == OPEN_CALL ? FOUND : FOUND_NO;
}

/* ---- text and reasoning ---- */

/* Go on behind a mark, or with the call that it opens: gap bytes of white space and the mark stay
 * in front of that, for it may yet be content. */
static void take_mark(loam_reader *r, const hit *h, size_t gap)
{
    if (h->what == OPEN_CALL) {
        r->mode = CALL;
        r->call_header = false;
        r->bare = h->length == 0;
        loam__call_start(&r->scan, &r->style.calls[h->style], gap + h->length);
        return;
    }
    r->trim = r->fresh = true;
    r->at += gap;
    if (h->what == OPEN_HEADER) r->mode = HEADER; /* which begins with the mark */
    else r->at += h->length;
    if (h->what == OPEN_THOUGHT || h->what == OPEN_HEADER) r->parted = r->parted_thought = true;
    if (h->what == OPEN_THOUGHT) r->mode = THOUGHT;
    if (h->what == CLOSE_THOUGHT) r->mode = TEXT;
}

/* White space that is held back: more than this is said. */
static size_t held_from(size_t said, size_t i)
{
    return i - said > MAX_GAP ? i - MAX_GAP : said;
}

/* Whether white space at the end is the template's, or in front of nothing. */
static bool drops_space(const loam_reader *r, const hit *h)
{
    return r->mode == THOUGHT || r->style.space_last || r->fresh || (h && h->what != IGNORE);
}

/* Go on to the next mark. White space in front of one is held back, for it may not be content.
 * False: nothing can be done before more text comes. */
static bool read_text(loam_reader *r, bool last)
{
    const char *p = r->text.p;
    const size_t n = r->text.n;
    found f = FOUND_NO;
    hit h = {0};
    size_t i = r->at, said;
    while (r->trim && i < n && loam__is_space(p[i]))
        i++;
    r->at = said = i;
    for (; i < n; i++) {
        if (loam__is_space(p[i])) continue;
        if (i >= r->given && held_from(said, i) > said) r->fresh = r->after_call = false;
        if (r->starts[(unsigned char)p[i]] &&
            (f = find_mark(r, p + i, n - i, last, &h)) != FOUND_NO)
            break;
        said = i + 1;
        if (i >= r->given) r->fresh = r->after_call = false;
    }
    if (f == FOUND) {
        say(r, drops_space(r, &h) ? held_from(said, i) : i);
        take_mark(r, &h, i - r->at);
        return true;
    }
    if (last) {
        say(r, drops_space(r, NULL) ? held_from(said, i) : i);
        r->at = i;
        return false;
    }
    say(r, held_from(said, i));
    return false;
}

/* ---- calls ---- */

/* The calls of a text that is whole; false: it is none. */
static bool take_calls(loam_reader *r, vm *m)
{
    const char *p = r->text.p + r->at;
    list *calls = loam__list_new(m, 0);
    value function;
    if (!calls || !(m->names = loam__dict_new(m))) return false;
    if (!loam__call_read(m, &r->scan, p, r->tools, calls) || calls->n == 0) return false;
    if (calls->n / 3 + r->calls.n / sizeof(call) > MAX_CALLS) return false;
    for (size_t i = 0; i < calls->n; i += 3) {
        if (r->call_header && !loam__text_value(m, r->name, r->n_name, &calls->items[i]))
            return false;
        if (calls->items[i].kind != KIND_STRING) return false;
        if (!loam__tool_named(m, r->tools, calls->items[i].text, &function)) return false;
        if (r->bare && function.kind == KIND_ABSENT) return false; /* some other JSON */
    }
    for (size_t i = 0; i < calls->n; i += 3)
        if (!add_call(r, m, &calls->items[i])) return false;
    return true;
}

/* Styles that begin alike: the next one may fit. */
static bool try_next_style(loam_reader *r)
{
    const call_style *c = r->scan.style, *end = r->style.calls + r->style.n_calls;
    if (r->call_header || r->scan.at != r->scan.begin) return false;
    for (const call_style *next = c + 1; next < end; next++)
        if (loam__mark_same(next->open, c->open)) {
            loam__call_start(&r->scan, next, r->scan.begin);
            return true;
        }
    return false;
}

static bool read_call(loam_reader *r, bool last)
{
    const size_t there = r->text.n - r->at, n = there < MAX_CALL ? there : MAX_CALL;
    bool good = false, whole = last && n == there;
    call_state st = loam__call_scan(&r->scan, r->text.p + r->at, n, whole);
    if (st == CALL_MORE && n < MAX_CALL) return false;
    if (st == CALL_WRONG && try_next_style(r)) return true;
    if (whole && st == CALL_WRONG) r->scan.at = n;
    if (st == CALL_WHOLE && r->scan.pairs.status == LOAM_OK) {
        vm m;
        loam__vm_init(&m, &r->base);
        good = take_calls(r, &m);
        if (m.status == LOAM_ERR_NOMEM) r->m.status = m.status;
        loam__vm_free(&m);
    }
    if (r->scan.pairs.status != LOAM_OK) r->m.status = r->scan.pairs.status;
    r->mode = TEXT;
    if (good) {
        r->at += r->scan.at;
        r->trim = r->fresh = r->after_call = r->parted = r->parted_thought = true;
    } else { /* all of it is content; none of it is read again */
        size_t end = r->scan.at > r->scan.begin ? r->scan.at : r->scan.begin;
        say(r, r->at + (end ? end : 1));
    }
    return true;
}

/* ---- headers ---- */

static size_t word(mark k, size_t from)
{
    while (from < k.n && loam__is_name_char(k.p[from]))
        from++;
    return from;
}

static bool starts_with(mark k, const char *s)
{
    return k.n >= strlen(s) && memcmp(k.p, s, strlen(s)) == 0;
}

/* What a header says of its body: whom it is for, or which channel it is. */
static void take_header(loam_reader *r, mark header)
{
    static const call_style arguments = {.kind = CALL_NAMED};
    size_t at = loam__mark_find(header, "to=", 0);
    mark whom = {0}, channel = {0};
    r->mode = TEXT;
    if (at != NOT_FOUND) whom = loam__mark_cut(header, at + 3, word(header, at + 3));
    if ((at = loam__mark_find(header, "<|channel|>", 0)) != NOT_FOUND)
        channel = loam__mark_cut(header, at + 11, word(header, at + 11));
    bool calls = whom.n && whom.n <= MAX_NAME && !r->style.n_calls;
    if (loam__mark_same(whom, loam__mark("user")) || loam__mark_same(whom, loam__mark("all")) ||
        loam__mark_same(whom, loam__mark("assistant")))
        calls = false;
    if (loam__mark_same(whom, loam__mark("self")) ||
        (!whom.n && loam__mark_same(channel, loam__mark("analysis"))))
        r->mode = THOUGHT;
    else if (calls) {
        if (starts_with(whom, "functions.")) whom = loam__mark_cut(whom, 10, whom.n);
        memcpy(r->name, whom.p, whom.n);
        r->n_name = whom.n;
        r->call_header = true;
        r->bare = false;
        r->mode = CALL;
        loam__call_start(&r->scan, &arguments, 0);
        loam__call_arguments(&r->scan);
    }
}

static bool read_header(loam_reader *r, bool last)
{
    const char *p = r->text.p + r->at;
    size_t n = r->text.n - r->at;
    const mark header = {p, n < MAX_HEADER ? n : MAX_HEADER};
    size_t end = loam__mark_find(header, "<|message|>", 0);
    if (end == NOT_FOUND && n < MAX_HEADER && !last) return false;
    r->trim = r->fresh = true;
    if (end == NOT_FOUND) { /* no header after all */
        r->mode = TEXT;
        say(r, r->at + header.n);
        return true;
    }
    take_header(r, loam__mark_cut(header, 0, end));
    r->at += end + 11;
    return true;
}

/* ---- the whole ---- */

/* Forget the text that is decided. */
static void forget(loam_reader *r)
{
    if (r->at == 0) return;
    memmove(r->text.p, r->text.p + r->at, r->text.n - r->at);
    r->text.n -= r->at;
    r->given = r->given > r->at ? r->given - r->at : 0;
    r->at = 0;
}

static loam_status run(loam_reader *r, bool last)
{
    loam__buf *const bufs[] = {&r->content, &r->thought, &r->words, &r->calls, &r->events};
    bool more = true;
    while (more && r->at < r->text.n && r->m.status == LOAM_OK) {
        if (r->mode == CALL) more = read_call(r, last);
        else if (r->mode == HEADER) more = read_header(r, last);
        else more = read_text(r, last);
    }
    forget(r);
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
        if (bufs[i]->status != LOAM_OK) r->m.status = bufs[i]->status;
    return r->m.status;
}

static void drop_events(loam_reader *r)
{
    r->events.n = r->taken = 0;
}

loam_status loam__reader_push(loam_reader *r, const char *p, size_t n)
{
    if (r->m.status != LOAM_OK) return r->m.status;
    if (r->ended)
        return loam__fail(&r->base, LOAM_ERR_STATE, "the message has ended; open a new reader");
    if (n > MAX_TEXT - r->n_text)
        return loam__fail(&r->base, LOAM_ERR_LIMIT,
                          "a message of more than %d bytes is not read; end it", MAX_TEXT);
    drop_events(r);
    r->n_text += n;
    loam__buf_add(&r->text, p, n);
    if (r->text.status != LOAM_OK) return r->m.status = r->text.status;
    return run(r, false);
}

loam_status loam__reader_end(loam_reader *r)
{
    if (r->m.status != LOAM_OK) return r->m.status;
    if (r->ended) return LOAM_OK;
    drop_events(r);
    r->ended = true;
    return run(r, true);
}

void loam__reader_next(loam_reader *r, loam_read_event *out)
{
    const call *calls = (const call *)(void *)r->calls.p;
    if (r->taken == r->events.n / sizeof(event)) return;
    const event *e = (const event *)(void *)r->events.p + r->taken++;
    out->kind = e->kind;
    out->call = e->call;
    out->text_bytes = e->n;
    if (e->kind == LOAM_READ_CONTENT) out->text = r->content.p + e->from;
    if (e->kind == LOAM_READ_REASONING) out->text = r->thought.p + e->from;
    if (e->kind == LOAM_READ_ARGUMENTS) out->text = r->words.p + e->from;
    if (e->kind != LOAM_READ_CALL) return;
    out->text = r->words.p + calls[e->call].name;
    out->text_bytes = calls[e->call].n_name;
    out->id = r->words.p + calls[e->call].id;
    out->id_bytes = calls[e->call].n_id;
}

/* ---- the message ---- */

/* A string value; bytes that are not UTF-8 become U+FFFD. */
static bool clean(vm *m, const char *p, size_t n, value *out)
{
    size_t begin = loam__put_begin(m);
    while (n) {
        size_t length = loam__utf8_valid(p, n);
        loam__utf8_state state;
        loam__put(m, p, length, false);
        p += length;
        if (!(n -= length)) break;
        length = loam__utf8_scan(p, n, &state);
        loam__put_string(m, "\xEF\xBF\xBD");
        p += length;
        n -= length;
    }
    return loam__put_end(m, begin, out);
}

static bool set(vm *m, dict *d, const char *key, value v)
{
    value k;
    return loam__text_value(m, key, strlen(key), &k) && loam__dict_set(m, d, k, v);
}

static bool set_text(vm *m, dict *d, const char *key, const char *p, size_t n)
{
    value v;
    return clean(m, p, n, &v) && set(m, d, key, v);
}

static bool call_value(const loam_reader *r, vm *m, const call *c, value *out)
{
    dict *d = loam__dict_new(m), *function = loam__dict_new(m);
    const char *p = r->words.p;
    if (!d || !function) return false;
    *out = loam__dict_value(d);
    return set_text(m, d, "id", p + c->id, c->n_id) && set_text(m, d, "type", "function", 8) &&
           set_text(m, function, "name", p + c->name, c->n_name) &&
           set_text(m, function, "arguments", p + c->arguments, c->n_arguments) &&
           set(m, d, "function", loam__dict_value(function));
}

static bool message(const loam_reader *r, vm *m)
{
    const call *calls = (const call *)(void *)r->calls.p;
    const size_t n_calls = r->calls.n / sizeof *calls;
    list *l = loam__list_new(m, n_calls);
    value v;
    if (!(m->names = loam__dict_new(m))) return false;
    dict *d = loam__dict_new(m);
    if (!l || !d || !set_text(m, d, "role", "assistant", 9) ||
        !set_text(m, d, "content", r->content.p, r->content.n))
        return false;
    if (r->thought.n && !set_text(m, d, "reasoning_content", r->thought.p, r->thought.n))
        return false;
    for (size_t i = 0; i < n_calls; i++)
        if (!call_value(r, m, &calls[i], &v) || !loam__list_add(m, l, v)) return false;
    if (n_calls && !set(m, d, "tool_calls", loam__list_value(l))) return false;
    return loam__put_json(m, loam__dict_value(d), &spaced);
}

loam_status loam__reader_message(loam_reader *r, loam__buf *out)
{
    vm m;
    if (r->m.status != LOAM_OK) return r->m.status;
    loam__vm_init(&m, &r->base);
    if (message(r, &m)) loam__buf_add(out, m.out.p, m.out.n);
    loam_status st = m.status != LOAM_OK ? m.status : out->status;
    loam__vm_free(&m);
    return st;
}
