/* What a template says of its model's way to write: it is asked to render messages whose parts are
 * known, and what it puts around them are the marks. Where it fails or leaves the parts out, marks
 * in its source decide. */
#include "style.h"

#include <string.h>

enum { MAX_PROBE = 16 << 10 }; /* bytes of a rendering that are looked at */

typedef struct prober {
    vm *m;
    const style_request *from;
    const char *members; /* the request's other variables, as JSON members */
    size_t n_members;
    bool no_tools; /* the template fails when it gets any */
    bool tired;    /* it ran into a limit: no more of this */
} prober;

static const char tools[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"" PROBE_NAME_1
    "\",\"description\":\"d\",\"parameters\":{\"type\":\"object\",\"properties\":"
    "{\"" PROBE_KEY_1 "\":{\"type\":\"string\",\"description\":\"d\"},\"" PROBE_KEY_2
    "\":{\"type\":\"integer\",\"description\":\"d\"}},\"required\":[\"" PROBE_KEY_1
    "\"]}}},{\"type\":\"function\",\"function\":{\"name\":\"" PROBE_NAME_2
    "\",\"description\":\"d\",\"parameters\":{\"type\":\"object\",\"properties\":"
    "{\"" PROBE_KEY_1 "\":{\"type\":\"string\",\"description\":\"d\"},\"" PROBE_KEY_2
    "\":{\"type\":\"integer\",\"description\":\"d\"}},\"required\":[\"" PROBE_KEY_1 "\"]}}}]";

/* Variables that templates ask for, in front of the request's own. */
static const char before[] = "\"documents\":null,\"functions\":\"[]\",\"datetime\":\"2025-01-01\"";
static const char no_tokens[] = ",\"bos_token\":\"\",\"eos_token\":\"\"";
static const char user[] = "{\"role\":\"user\",\"content\":\"" PROBE_USER "\"}";

#define ANSWER "{\"role\":\"assistant\",\"content\":\"" PROBE_TEXT "\""
#define ARGUMENTS                                                                                  \
    "{\"" PROBE_KEY_1 "\":\"" PROBE_VALUE_1 "\",\"" PROBE_KEY_2 "\":" PROBE_VALUE_2 "}"
#define STRING_ARGUMENTS                                                                           \
    "\"{\\\"" PROBE_KEY_1 "\\\": \\\"" PROBE_VALUE_1 "\\\", \\\"" PROBE_KEY_2                      \
    "\\\": " PROBE_VALUE_2 "}\""
#define CALL(name, id, arguments)                                                                  \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name                      \
    "\",\"arguments\":" arguments "}}"
#define CALLING(content, calls)                                                                    \
    "{\"role\":\"assistant\",\"content\":" content ",\"tool_calls\":[" calls "]"
#define TWO(a)          CALL(PROBE_NAME_1, PROBE_ID_1, a) "," CALL(PROBE_NAME_2, PROBE_ID_2, a)
#define ONE(a)          CALL(PROBE_NAME_1, PROBE_ID_1, a)
#define THOUGHT(member) ",\"" member "\":\"" PROBE_THOUGHT "\""

static const char plain[] = ANSWER "}";
/* The first whose thought is rendered is read. */
static const char *const thoughts[] = {
    ANSWER THOUGHT("reasoning_content") "}",
    ANSWER THOUGHT("thinking") THOUGHT("reasoning") "}",
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"" PROBE_THOUGHT
    "\",\"text\":\"" PROBE_THOUGHT "\"},{\"type\":\"text\",\"text\":\"" PROBE_TEXT "\"}]}",
    CALLING("\"\"", ONE(ARGUMENTS)) THOUGHT("reasoning_content") THOUGHT("reasoning") "}",
    CALLING("\"\"", ONE(ARGUMENTS)) THOUGHT("thinking") "}",
    "{\"role\":\"assistant\",\"content\":{\"blocks\":[{\"type\":\"thoughts\",\"text\":"
    "\"" PROBE_THOUGHT "\"},{\"type\":\"response\",\"text\":\"" PROBE_TEXT "\"}]}}",
};
/* The first whose calls are rendered is read. */
static const struct calling {
    const char *message;
    bool with_tools;
} callings[] = {
    {CALLING("\"\"", TWO(ARGUMENTS)) "}", true},
    {CALLING("\"\"", TWO(STRING_ARGUMENTS)) "}", true},
    {CALLING("\"\"", ONE(ARGUMENTS)) "}", true},
    {CALLING("\"\"", ONE(STRING_ARGUMENTS)) "}", true},
    {CALLING("null", TWO(ARGUMENTS)) "}", true},
    {CALLING("\"\"", TWO(ARGUMENTS)) "}", false},
    {CALLING("\"\"", TWO(STRING_ARGUMENTS)) "}", false},
};

/* ---- rendering ---- */

static void add(loam__buf *b, const char *s)
{
    loam__buf_add(b, s, strlen(s));
}

/* Copy a text into the vm's memory. */
static bool keep(vm *m, mark k, mark *out)
{
    char *p = loam__vm_alloc(m, k.n);
    if (!p) return false;
    if (k.n) memcpy(p, k.p, k.n);
    *out = (mark){p, k.n};
    return true;
}

/* Render; a template that fails gives none. False: no memory. */
static bool render(prober *p, const char *json, size_t n_json, mark *out)
{
    vm *m = p->m;
    loam__buf written;
    bool ok = true;
    *out = (mark){0};
    if (p->tired) return true;
    loam__buf_init(&written, m->base, 0);
    loam_status st = loam__template_render(m->base, p->from->source, p->from->n_source, json,
                                           n_json, p->from->defaults, &written, NULL);
    p->tired = st == LOAM_ERR_LIMIT;
    if (st == LOAM_ERR_NOMEM) ok = loam__vm_fail(m, st, "out of memory");
    if (st == LOAM_OK) ok = keep(m, (mark){written.p, written.n}, out);
    loam__buf_free(&written);
    return ok;
}

/* Render the probe's question and a message; gives what stands behind the question. */
static bool probe(prober *p, const char *message, bool with_tools, bool prompt, mark *out)
{
    loam__buf json;
    mark all;
    loam__buf_init(&json, p->m->base, 0);
    add(&json, "{");
    add(&json, before);
    if (!p->from->defaults) add(&json, no_tokens);
    loam__buf_add(&json, p->members, p->n_members);
    add(&json, ",\"enable_thinking\":true,\"thinking\":true,\"messages\":[");
    add(&json, user);
    if (message) add(&json, ","), add(&json, message);
    add(&json, "],\"tools\":");
    add(&json, with_tools && !p->no_tools ? tools : "null");
    add(&json, ",\"add_generation_prompt\":");
    add(&json, prompt ? "true}" : "false}");
    bool ok = json.status == LOAM_OK ? render(p, json.p, json.n, &all)
                                     : loam__vm_fail(p->m, json.status, "out of memory");
    loam__buf_free(&json);
    if (!ok) return false;
    size_t at = loam__mark_find_last(all, PROBE_USER, all.n);
    if (at == NOT_FOUND) all = (mark){0};
    else all = loam__mark_cut(all, at + strlen(PROBE_USER), all.n);
    if (all.n > MAX_PROBE) all.n = MAX_PROBE;
    *out = all;
    return true;
}

/* ---- the request ---- */

static const text comma = {.p = ",", .n = 1}, colon = {.p = ":", .n = 1};
static const json_style compact = {.comma = &comma, .colon = &colon};

static bool is_one_of(const text *name, const char *const *names)
{
    for (; *names; names++)
        if (loam__text_is(name, *names)) return true;
    return false;
}

/* The variables as JSON members, each with a comma in front, but for those of this list. */
static bool other_members(vm *m, const dict *d, const char *const *without, mark *out)
{
    size_t begin = loam__put_begin(m);
    for (size_t i = 0; i < d->n; i++) {
        if (is_one_of(d->entries[i].key.text, without)) continue;
        loam__put_string(m, ",");
        if (!loam__put_json(m, d->entries[i].key, &compact)) return false;
        loam__put_string(m, ":");
        if (!loam__put_json(m, d->entries[i].value, &compact)) return false;
    }
    if (!loam__put_ok(m)) return false;
    bool ok = keep(m, loam__mark_cut((mark){m->out.p, m->out.n}, begin, m->out.n), out);
    loam__put_drop(m, begin);
    return ok;
}

/* Render the request itself, with or without what asks for an answer. A request without messages is
 * one with the probe's question. */
static bool render_request(prober *p, bool prompt, mark *out)
{
    static const char *const with[] = {"add_generation_prompt", NULL};
    static const char *const without[] = {"add_generation_prompt", "messages", NULL};
    loam__buf json;
    mark members;
    value messages;
    if (!loam__member(p->m, p->from->variables, "messages", &messages)) return false;
    bool asked = messages.kind == KIND_LIST;
    if (!other_members(p->m, p->from->variables.dict, asked ? with : without, &members))
        return false;
    loam__buf_init(&json, p->m->base, 0);
    add(&json, prompt ? "{\"add_generation_prompt\":true" : "{\"add_generation_prompt\":false");
    loam__buf_add(&json, members.p, members.n);
    if (!asked) add(&json, ",\"messages\":["), add(&json, user), add(&json, "]");
    add(&json, "}");
    bool ok = json.status == LOAM_OK ? render(p, json.p, json.n, out)
                                     : loam__vm_fail(p->m, json.status, "out of memory");
    loam__buf_free(&json);
    return ok;
}

/* ---- the parts ---- */

typedef struct probes {
    mark prompt, without; /* behind the question: with what asks for an answer, and without */
    mark plain, thought, calls;
    size_t header; /* bytes that the prompt and every answer begin with */
} probes;

/* Whether there is a thought, and then an answer or a call. */
static bool shows_thought(mark k)
{
    size_t at = loam__mark_find(k, PROBE_THOUGHT, 0);
    if (at == NOT_FOUND || loam__mark_find(k, "'type': 'th", 0) != NOT_FOUND ||
        loam__mark_find(k, "\"type\": \"th", 0) != NOT_FOUND)
        return false; /* or the list of parts was printed as it is */
    return loam__mark_find(k, PROBE_TEXT, at) != NOT_FOUND ||
           loam__mark_find(k, PROBE_NAME_1, at) != NOT_FOUND;
}

static bool all_probes(prober *p, probes *all)
{
    memset(all, 0, sizeof *all);
    if (!probe(p, NULL, true, true, &all->prompt)) return false;
    p->no_tools = !all->prompt.p;
    if (p->no_tools && !probe(p, NULL, false, true, &all->prompt)) return false;
    if (!probe(p, NULL, true, false, &all->without) || !probe(p, plain, true, false, &all->plain))
        return false;
    if (loam__mark_find(all->plain, PROBE_TEXT, 0) == NOT_FOUND) all->plain.n = 0;
    for (size_t i = 0; !all->thought.n && i < sizeof thoughts / sizeof *thoughts; i++) {
        if (!probe(p, thoughts[i], true, false, &all->thought)) return false;
        if (!shows_thought(all->thought)) all->thought.n = 0;
    }
    for (size_t i = 0; !all->calls.n && i < sizeof callings / sizeof *callings; i++) {
        if (!probe(p, callings[i].message, callings[i].with_tools, false, &all->calls))
            return false;
        if (loam__mark_find(all->calls, PROBE_NAME_1, 0) == NOT_FOUND ||
            loam__mark_find(all->calls, PROBE_KEY_1, 0) == NOT_FOUND)
            all->calls.n = 0;
    }
    const mark answers[] = {all->plain, all->thought, all->calls};
    all->header = all->prompt.n;
    for (int i = 0; i < 3; i++) {
        if (!answers[i].n) continue;
        size_t n = loam__mark_whole(all->prompt, loam__mark_prefix(all->prompt, answers[i]));
        if (n < all->header) all->header = n;
    }
    return true;
}

static void ignore(style *s, mark k)
{
    bool words = true;
    for (size_t i = 0; i < k.n; i++)
        words = words && (loam__is_name_char(k.p[i]) || loam__is_space(k.p[i]));
    if (words || k.n > MAX_MARK || s->n_ignored == MAX_IGNORED) return;
    for (uint32_t i = 0; i < s->n_ignored; i++)
        if (loam__mark_same(s->ignored[i], k)) return;
    if (loam__mark_same(k, s->think_open)) return;
    for (uint32_t i = 0; i < s->n_calls; i++)
        if (loam__mark_same(k, s->calls[i].open) || loam__mark_same(k, s->calls[i].section)) return;
    s->ignored[s->n_ignored++] = k;
}

/* All tags of a text; or all of it, if it has none. */
static void ignore_tags(style *s, mark k)
{
    size_t at = 0;
    mark tag;
    if (!loam__mark_tag(k, &at, &tag)) {
        ignore(s, loam__mark_trim(k));
        return;
    }
    do
        ignore(s, tag);
    while (loam__mark_tag(k, &at, &tag));
}

/* Whether two tags are of the same word, as <think> and </think>. */
static bool same_word(mark a, mark b)
{
    size_t i = 0, j = 0;
    for (;;) {
        while (i < a.n && !loam__is_name_char(a.p[i]))
            i++;
        while (j < b.n && (!loam__is_name_char(b.p[j]) || b.p[j] == '/'))
            j++;
        if (i == a.n || j == b.n) return i == a.n && j == b.n;
        if (a.p[i++] != b.p[j++]) return false;
    }
}

static void think_open(style *s, probes *all, mark in_front)
{
    mark header = loam__mark_cut(all->prompt, 0, all->header), tag = {0}, last = {0};
    size_t at = 0;
    s->think_open = in_front;
    if (in_front.n) return;
    while (loam__mark_tag(header, &at, &tag))
        last = tag;
    if (last.n && same_word(last, s->think_close)) {
        s->think_open = last;
        all->header = (size_t)(last.p - header.p);
    } else { /* only prompts have it */
        s->think_open = loam__mark_trim(loam__mark_cut(all->prompt, all->header, all->prompt.n));
    }
}

/* The marks around the thought; what else is in front of the content is to be ignored. */
static void think_marks(style *s, probes *all)
{
    const mark t = all->thought;
    size_t from = loam__mark_find(t, PROBE_THOUGHT, 0), at = 0;
    size_t behind = from + strlen(PROBE_THOUGHT), next = loam__mark_find(t, PROBE_TEXT, behind);
    mark after, tag;
    after = loam__mark_trim(loam__mark_cut(t, behind, next == NOT_FOUND ? t.n : next));
    s->think_close = after;
    if (loam__mark_tag(after, &at, &tag))
        s->think_close = tag.p == after.p
                             ? tag
                             : loam__mark_trim(loam__mark_cut(after, 0, (size_t)(tag.p - after.p)));
    if (!s->think_close.n || s->think_close.n > MAX_MARK) {
        s->think_close.n = 0;
        return;
    }
    think_open(s, all,
               loam__mark_trim(loam__mark_cut(t, all->header < from ? all->header : from, from)));
    if (s->think_open.n > MAX_MARK) s->think_open.n = 0;
    if (next != NOT_FOUND) ignore_tags(s, loam__mark_cut(after, s->think_close.n, after.n));
}

/* Reasoning marks in the source of a template that renders no reasoning. */
static void think_in_source(mark source, style *s)
{
    static const char *const pairs[][2] = {
        {"<think>", "</think>"},
        {"[THINK]", "[/THINK]"},
        {"<|START_THINKING|>", "<|END_THINKING|>"},
        {"<|inner_prefix|>", "<|inner_suffix|>"},
        {"<seed:think>", "</seed:think>"},
        {"<thinking>", "</thinking>"},
        {"<thought>", "</thought>"},
        {"<reasoning>", "</reasoning>"},
        {"◁think▷", "◁/think▷"},
        {"<|channel>thought", "<channel|>"},
        {"<|think_start|>", "<|think_end|>"},
        {"Here is my thought process:", "Here is my response:"},
        {"Here's my thought process:", "Here's my response:"},
        {"Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"},
    };
    for (size_t i = 0; !s->think_close.n && i < sizeof pairs / sizeof *pairs; i++)
        if (loam__mark_find(source, pairs[i][0], 0) != NOT_FOUND ||
            loam__mark_find(source, pairs[i][1], 0) != NOT_FOUND) {
            s->think_open = loam__mark(pairs[i][0]);
            s->think_close = loam__mark(pairs[i][1]);
        }
}

/* What is around the content: white space, and marks that say nothing. */
static void content_marks(style *s, probes *all)
{
    const mark t = all->plain;
    size_t from = loam__mark_find(t, PROBE_TEXT, 0), at;
    mark lead, tail, header = loam__mark_cut(all->prompt, 0, all->header);
    if (loam__mark_prefix(all->prompt, all->without) == all->without.n)
        header = loam__mark_cut(header, all->without.n, header.n);
    ignore(s, loam__mark_trim(header));
    if (from == NOT_FOUND) return;
    lead = loam__mark_cut(t, all->header < from ? all->header : from, from);
    tail = loam__mark_cut(t, from + strlen(PROBE_TEXT), t.n);
    s->space_first = from > 0 && loam__is_space(t.p[from - 1]);
    s->space_last = tail.n && loam__is_space(tail.p[0]);
    at = 0;
    mark tag;
    if (loam__mark_tag(lead, &at, &tag)) ignore_tags(s, lead);
    else ignore(s, loam__mark_trim(lead));
    at = 0;
    ignore(s, loam__mark_trim(tail));
    while (loam__mark_tag(tail, &at, &tag))
        ignore(s, tag);
}

/* Where the calls begin: behind what all answers begin with, and behind an empty thought. */
static mark calls_text(const style *s, const probes *all)
{
    mark t = all->calls;
    size_t name = loam__mark_find(t, PROBE_NAME_1, 0), from = all->header, both, length;
    if (!t.n) return t;
    both = loam__mark_whole(t, loam__mark_prefix(t, all->plain));
    if (both > from && both < name) from = both;
    for (size_t i = from; s->think_close.n && i < name; i++)
        if (loam__mark_at(s->think_close, t.p + i, t.n - i, &length) == FOUND) from = i + length;
    size_t end = loam__mark_find(all->plain, PROBE_TEXT, 0);
    if (end != NOT_FOUND) { /* the end of the turn is no part of the calls */
        mark tail = loam__mark_cut(all->plain, end + strlen(PROBE_TEXT), all->plain.n);
        if (loam__mark_suffix(t, tail) == tail.n) t.n -= tail.n;
    }
    return loam__mark_cut(t, from < name ? from : 0, t.n);
}

/* A prompt may end with a mark that says something, as <think> and >>> do. */
static void shorten_header(const style *s, probes *all)
{
    mark header = loam__mark_trim(loam__mark_cut(all->prompt, 0, all->header));
    for (uint32_t i = 0; i <= s->n_calls; i++) {
        const mark open = i < s->n_calls ? s->calls[i].open : s->think_open;
        if (!open.n || header.n < open.n || loam__mark_suffix(header, open) < open.n) continue;
        all->header = (size_t)(header.p - all->prompt.p) + header.n - open.n;
        return;
    }
}

/* ---- messages with headers ---- */

static void channel_marks(style *s)
{
    static const char *const ends[] = {"<|end|>", "<|return|>", "<|call|>", "<|eom|>", "<|eot|>"};
    mark start = loam__mark("<|message|>");
    s->channels = true;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        ignore(s, loam__mark(ends[i]));
    if (!s->n_calls) return;
    call_style *c = &s->calls[0];
    size_t at = loam__mark_find_last(c->open, start.p, c->open.n);
    if (at != NOT_FOUND)
        c->open = loam__mark_trim(loam__mark_cut(c->open, at + start.n, c->open.n));
    c->section.n = 0;
    if (c->kind != CALL_PAIRS || !c->open.n) s->n_calls = 0; /* the header has the name */
}

/* ---- all together ---- */

static bool find_prompt(prober *p, style *s, mark *prompt)
{
    mark with, without;
    value asked;
    *prompt = (mark){0};
    if (!loam__member(p->m, p->from->variables, "add_generation_prompt", &asked)) return false;
    if (asked.kind != KIND_BOOL || !asked.boolean) return true;
    if (!render_request(p, true, &with) || !render_request(p, false, &without)) return false;
    size_t n = loam__mark_whole(with, loam__mark_prefix(with, without));
    *prompt = loam__mark_cut(with, n, with.n);
    if (prompt->n > MAX_PROBE) prompt->n = 0;
    if (with.n && loam__is_space(with.p[with.n - 1])) s->space_first = false; /* it is there */
    mark end = loam__mark_trim(with);
    if (!prompt->n && s->think_open.n && loam__mark_suffix(end, s->think_open) == s->think_open.n)
        *prompt = s->think_open;
    return true;
}

bool loam__style_find(vm *m, const style_request *from, style *s, mark *prompt)
{
    static const char *const without[] = {"messages", "tools",     "add_generation_prompt",
                                          "thinking", "documents", "enable_thinking",
                                          NULL};
    prober p = {.m = m, .from = from};
    mark source = {from->source, from->n_source}, members;
    probes all;
    bool shown = false;
    memset(s, 0, sizeof *s);
    if (!other_members(m, from->variables.dict, without, &members)) return false;
    p.members = members.p;
    p.n_members = members.n;
    if (!all_probes(&p, &all)) return false;
    s->channels = loam__mark_find(source, "<|message|>", 0) != NOT_FOUND &&
                  loam__mark_find(source, "<|start|>", 0) != NOT_FOUND;
    if (!s->channels && all.thought.n) think_marks(s, &all);
    if (!s->channels) think_in_source(source, s);
    mark calls = calls_text(s, &all);
    if (calls.n && !loam__style_calls(m, calls, &s->calls[0], s, &shown)) return false;
    s->n_calls = shown;
    if (s->channels) {
        channel_marks(s);
    } else {
        if (!loam__style_samples(m, source, s)) return false;
        shorten_header(s, &all);
        content_marks(s, &all);
    }
    return find_prompt(&p, s, prompt);
}
