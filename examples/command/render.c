/* loam render MODEL or --template FILE: JSON lines of messages to the prompts that a chat template
 * makes of them, or models' text back to messages. */
#include "command.h"
#include "lines.h"
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct render {
    common shared;
    const char *places[1];
    const char *template_path, *now;
    bool parse;
    int64_t clock; /* what --now says */
    loam_hooks hooks;
    loam *m;
    text source; /* of --template */
    text out;
} render;

/* ---- the clock ---- */

static int64_t given_clock(void *ctx)
{
    return *(const int64_t *)ctx;
}

/* Days from 1970-01-01, Gregorian. Years begin in March here, so that the leap day is the last of a
 * year. */
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t m = month > 2 ? month - 3 : month + 9;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* Read YYYY-MM-DDThh:mm:ss. */
static bool read_clock(const char *given, int64_t *seconds)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t part[6] = {0};
    size_t at = 0;
    bool leap;

    if (strlen(given) != sizeof form - 1) return false;
    for (size_t i = 0; form[i]; i++) {
        bool digit = given[i] >= '0' && given[i] <= '9';
        if (form[i] == 'd' ? !digit : given[i] != form[i]) return false;
        if (digit) part[at] = part[at] * 10 + (given[i] - '0');
        else at++;
    }
    leap = part[0] % 4 == 0 && (part[0] % 100 != 0 || part[0] % 400 == 0);
    if (part[0] < 1 || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
        part[2] > month_days[part[1] - 1])
        return false;
    if ((part[1] == 2 && part[2] == 29 && !leap) || part[3] > 23 || part[4] > 59 || part[5] > 59)
        return false;
    *seconds = days_since_1970(part[0], part[1], part[2]) * 86400 + part[3] * 3600 + part[4] * 60 +
               part[5];
    return true;
}

/* ---- rendering ---- */

static void copy_member(const json_t *line, const char *key, json_t *otherwise, json_t *variables)
{
    json_t *given = json_object_get(line, key);
    put(variables, key, given ? json_incref(given) : json_incref(otherwise));
}

/* The variables of a chat template: those of the line, the members of extra over them. What a model
 * writes comes behind a prompt for it. */
static json_t *chat_variables(const render *r, const json_t *line)
{
    json_t *variables = must(json_object()), *extra = json_object_get(line, "extra"), *value;
    const char *key;

    copy_member(line, "messages", json_null(), variables);
    copy_member(line, "tools", json_null(), variables);
    copy_member(line, "documents", json_null(), variables);
    copy_member(line, "add_generation_prompt", r->parse ? json_true() : json_false(), variables);
    json_object_foreach(extra, key, value) put(variables, key, json_incref(value));
    return variables;
}

static json_t *answer_with(render *r, loam_status status, const char *why)
{
    json_t *answer;

    if (status != LOAM_OK) return line_error("%s", why);
    answer = must(json_object());
    put(answer, "text", json_text(r->out.p, r->out.n));
    return answer;
}

/* ---- reading ---- */

static json_t *read_with(loam_reader *reader, const json_t *words)
{
    loam_status status =
        loam_reader_push(reader, json_string_value(words), json_string_length(words));
    json_t *answer;

    if (status == LOAM_OK) status = loam_reader_end(reader);
    if (status != LOAM_OK) return line_error("%s", loam_reader_error(reader));
    answer = must(json_object());
    put(answer, "message", reader_message(reader));
    return answer;
}

/* Read what a model wrote for a request. source NULL: the model's own template. */
static json_t *read_text(render *r, const char *source, size_t n_source, const char *request,
                         const json_t *words)
{
    char why[1024] = "";
    loam_reader *reader = NULL;
    loam_status status;
    json_t *answer;

    if (source)
        status = loam_reader_open_source(source, n_source, request, strlen(request), &r->hooks,
                                         &reader, why, sizeof why);
    else status = loam_reader_open(r->m, request, strlen(request), &reader);
    if (status != LOAM_OK) return line_error("%s", source ? why : loam_error(r->m));
    answer = read_with(reader, words);
    loam_reader_close(reader);
    return answer;
}

/* ---- lines ---- */

static json_t *render_source(render *r, const char *source, size_t n_source, const char *variables)
{
    char why[1024] = "";
    loam_status status;

    do
        status = loam_template_render(source, n_source, variables, strlen(variables), &r->hooks,
                                      r->out.p, r->out.capacity, &r->out.n, why, sizeof why);
    while (status == LOAM_ERR_BUFFER && text_reserve(&r->out, r->out.n));
    return answer_with(r, status, why);
}

static json_t *render_model(render *r, const char *request)
{
    loam_status status;

    do
        status =
            loam_chat_render(r->m, request, strlen(request), r->out.p, r->out.capacity, &r->out.n);
    while (status == LOAM_ERR_BUFFER && text_reserve(&r->out, r->out.n));
    return answer_with(r, status, loam_error(r->m));
}

static json_t *render_line(void *ctx, const json_t *line)
{
    render *r = ctx;
    const json_t *source = json_object_get(line, "template_source");
    json_t *context = json_object_get(line, "context"), *variables, *answer;
    const json_t *words = json_object_get(line, "text");
    const char *p = NULL;
    size_t n = 0;
    char *request;

    if (source && !json_is_string(source))
        return line_error("\"template_source\" must be a string");
    if (source && context && !json_is_object(context))
        return line_error("\"context\" must be an object");
    if (!source && !r->parse && !json_is_array(json_object_get(line, "messages")))
        return line_error("\"messages\" must be an array (or give template_source and context)");
    if (!source && !r->m && !r->template_path)
        return line_error("there is no template: give a model, --template or template_source");

    if (r->parse && !json_is_string(words)) return line_error("\"text\" must be a string");

    if (source && !(r->parse && !context))
        variables = context ? json_incref(context) : must(json_object());
    else variables = chat_variables(r, line);
    request = must(json_dumps(variables, JSON_COMPACT | JSON_REAL_PRECISION(17)));
    if (source) p = json_string_value(source), n = json_string_length(source);
    else if (r->template_path) p = r->source.p, n = r->source.n;
    if (r->parse) answer = read_text(r, p, n, request, words);
    else answer = p ? render_source(r, p, n, request) : render_model(r, request);
    free(request);
    json_decref(variables);
    return answer;
}

/* ---- the verb ---- */

static bool read_template(const char *path, text *source)
{
    char part[4096];
    size_t n;
    FILE *f = fopen(path, "rb");
    bool ok;

    if (!f) return complain("'%s' cannot be opened: %s", path, strerror(errno)), false;
    while ((n = fread(part, 1, sizeof part, f)) > 0)
        text_add(source, part, n);
    ok = !ferror(f);
    if (!ok) complain("'%s' cannot be read: %s", path, strerror(errno));
    fclose(f);
    return ok;
}

static int render_all(render *r, loam_options *options)
{
    if (r->now) {
        if (!read_clock(r->now, &r->clock))
            return misuse("render", "--now takes a time such as 2025-03-14T09:26:53");
        r->hooks.clock = given_clock;
        r->hooks.clock_ctx = &r->clock;
    }
    if (r->template_path && r->places[0])
        return misuse("render", "give a model or --template, not both");
    text_reserve(&r->source, 1);
    if (r->template_path && !read_template(r->template_path, &r->source)) return EXIT_FAILED;
    options->flags = LOAM_LOAD_VOCAB;
    if (r->places[0] && !(r->m = model_open(r->places[0], options))) return EXIT_FAILED;
    return answer_lines(render_line, r);
}

int verb_render(int argc, char **argv)
{
    render r = {0};
    const option own[] = {
        {"template", OPTION_TEXT, &r.template_path, "FILE",
         "a Jinja template instead of a model's own"},
        {"parse", OPTION_FLAG, &r.parse, NULL, "read models' text back instead"},
        {"now", OPTION_TEXT, &r.now, "TIME", "what templates see as now: 2025-03-14T09:26:53"},
    };
    const usage u = {
        .synopsis = "render [MODEL]",
        .about =
            "Read JSON lines and print {\"text\": \"...\"} or {\"error\": \"...\"} for each:\n"
            "  {\"messages\": [...], \"tools\": null, \"add_generation_prompt\": false,\n"
            "   \"extra\": {}}  where extra has further variables of the template, or\n"
            "  {\"template_source\": \"...\", \"context\": {}}  for any Jinja template.\n"
            "With --parse the other way: a line also has \"text\", what a model wrote for\n"
            "this request, and {\"message\": {...}} is printed: role, content, and where there\n"
            "are some reasoning_content and tool_calls, found as the template writes them.\n"
            "add_generation_prompt is true unless it is given; messages may be left out;\n"
            "template_source then takes the members of a request as well as a context.",
        .groups = {{NULL, own, COUNT(own)}},
        .shared = &r.shared,
        .places = r.places,
        .least_places = 0,
        .most_places = 1,
    };
    loam_options options;
    int status = options_read(&u, argc, argv);

    if (status == READ_ON) status = model_options(&r.shared, &r.hooks, &options);
    if (status == READ_ON) status = render_all(&r, &options);
    loam_free(r.m);
    text_free(&r.source);
    text_free(&r.out);
    return status;
}
