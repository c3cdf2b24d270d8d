/* Models' text back to messages. The outputs are written by hand, in the formats that the models'
 * publishers describe; the templates are small ones of our own, and those of the reference data. */
#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <dirent.h>
#include <jansson.h>
#include <loam/loam.h>
#include <stdbool.h>

#define TOOLS                                                                                      \
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"description\":\"w\","        \
    "\"parameters\":{\"type\":\"object\",\"properties\":{"                                         \
    "\"location\":{\"type\":\"string\",\"description\":\"l\"},"                                    \
    "\"days\":{\"type\":\"integer\",\"description\":\"d\"},"                                       \
    "\"metric\":{\"type\":\"boolean\",\"description\":\"m\"},"                                     \
    "\"opts\":{\"type\":\"object\",\"description\":\"o\","                                         \
    "\"additionalProperties\":{\"type\":\"string\"}},"                                             \
    "\"tags\":{\"type\":\"array\",\"description\":\"t\",\"items\":{\"type\":\"string\"}}},"        \
    "\"required\":[\"location\"]}}},"                                                              \
    "{\"type\":\"function\",\"function\":{\"name\":\"add\",\"description\":\"a\",\"parameters\":"  \
    "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"number\",\"description\":\"a\"},"      \
    "\"b\":{\"type\":\"number\",\"description\":\"b\"}},\"required\":[\"a\",\"b\"]}}}]"
#define REQUEST                                                                                    \
    "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello?\"}],\"tools\":" TOOLS                  \
    ",\"add_generation_prompt\":true}"
#define NO_TOOLS                                                                                   \
    "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello?\"}],\"tools\":null,"                   \
    "\"add_generation_prompt\":true}"

/* A template of ours: what stands in front of the content, behind it, and at the prompt's end. */
#define TEMPLATE(front, behind, prompt)                                                            \
    "{%- for m in messages %}{%- if m.role == 'assistant' %}{{- '<|im_start|>assistant\\n' "       \
    "}}" front "{{- m.content }}" behind                                                           \
    "{{- '<|im_end|>\\n' }}{%- else %}{{- '<|im_start|>' + m.role + "                              \
    "'\\n' + m.content + '<|im_end|>\\n' }}{%- endif %}{%- endfor %}"                              \
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n" prompt "' }}{%- endif %}"
#define CALLS(one) "{%- for t in m.tool_calls or [] %}{%- set f = t.function %}" one "{%- endfor %}"
#define EACH(one)  "{%- for k, v in f.arguments|items %}" one "{%- endfor %}"
#define ARGS       "(f.arguments|tojson)"
#define VALUE      "(v if v is string else v|tojson)"
#define COMMA      "{%- if not loop.last %}{{- ', ' }}{%- endif %}"

#define THINK                                                                                      \
    "{%- if m.reasoning_content %}{{- '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}" \
    "{%- endif %}"
#define HERMES                                                                                     \
    TEMPLATE(THINK, CALLS("{{- '\\n<tool_call>\\n' + (f|tojson) + '\\n</tool_call>' }}"), "")
#define QWEN_CODER                                                                                 \
    TEMPLATE("",                                                                                   \
             CALLS("{{- '\\n<tool_call>\\n<function=' + f.name + '>\\n' }}" EACH(                  \
                 "{{- '<parameter=' + k + '>\\n' + " VALUE                                         \
                 " + '\\n</parameter>\\n' }}") "{{- '</function>\\n</tool_call>' }}"),             \
             "")
#define GLM                                                                                        \
    TEMPLATE("{{- '\\n<think>' + (m.reasoning_content or '') + '</think>\\n' }}",                  \
             CALLS("{{- '\\n<tool_call>' + f.name + '\\n' }}" EACH(                                \
                 "{{- '<arg_key>' + k + '</arg_key>\\n<arg_value>' + " VALUE                       \
                 " + '</arg_value>\\n' }}") "{{- '</tool_call>' }}"),                              \
             "")
#define LLAMA                                                                                      \
    TEMPLATE("",                                                                                   \
             CALLS("{{- '{\"name\": \"' + f.name + '\", \"parameters\": ' + " ARGS " + '}' }}"),   \
             "")                                                                                   \
    "{# <|python_tag|> #}"
#define MISTRAL_OLD                                                                                \
    TEMPLATE("",                                                                                   \
             "{%- if m.tool_calls %}{{- '[TOOL_CALLS][' }}" CALLS(                                 \
                 "{{- '{\"name\": \"' + f.name + '\", \"arguments\": ' + " ARGS                    \
                 " + ', \"id\": \"' + t.id + "                                                     \
                 "'\"}' }}" COMMA) "{{- ']' }}{%- endif %}",                                       \
             "")
#define MISTRAL                                                                                    \
    TEMPLATE("{%- if m.content is not string %}{%- for c in m.content %}{%- if c.type == "         \
             "'thinking' %}{{- '[THINK]' + c.thinking + '[/THINK]' }}{%- else %}{{- c.text }}"     \
             "{%- endif %}{%- endfor %}{%- set m = {'content': '', 'role': 'assistant'} %}"        \
             "{%- endif %}",                                                                       \
             CALLS("{{- '[TOOL_CALLS]' + f.name + '[CALL_ID]' + t.id + '[ARGS]' + " ARGS " }}"),   \
             "")
#define DEEPSEEK                                                                                   \
    TEMPLATE(                                                                                      \
        "",                                                                                        \
        "{%- if m.tool_calls %}{{- '<｜tool▁calls▁begin｜>' }}" CALLS(                             \
            "{{- '<｜tool▁call▁begin｜>function<｜tool▁sep｜>' + f.name + '\\n```json\\n' + " ARGS \
            " + '\\n```<｜tool▁call▁end｜>' }}") "{{- '<｜tool▁calls▁end｜>' }}"             \
                                                 "{%- endif %}",                                   \
        "<think>\\n")
#define HARMONY                                                                                    \
    "{%- for m in messages %}{%- if m.tool_calls %}{%- set f = m.tool_calls[0].function %}"        \
    "{{- '<|start|>assistant to=functions.' + f.name + '<|channel|>commentary json<|message|>' "   \
    "+ " ARGS " + '<|call|>' }}{%- elif m.role == 'assistant' %}"                                  \
    "{{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|end|>' }}{%- else %}"    \
    "{{- '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' }}{%- endif %}{%- endfor %}" \
    "{%- if add_generation_prompt %}{{- '<|start|>assistant' }}{%- endif %}"
#define KIMI                                                                                       \
    TEMPLATE(                                                                                      \
        "",                                                                                        \
        "{%- if m.tool_calls %}{{- '<|tool_calls_section_begin|>' }}"                              \
        "{%- for t in m.tool_calls %}{{- '<|tool_call_begin|>' + t.id + "                          \
        "'<|tool_call_argument_begin|>' + (t.function.arguments|tojson) + '<|tool_call_end|>' }}"  \
        "{%- endfor %}{{- '<|tool_calls_section_end|>' }}{%- endif %}",                            \
        "")
#define FUNCTION_GEMMA                                                                             \
    TEMPLATE(                                                                                      \
        "",                                                                                        \
        CALLS("{{- '<start_function_call>call:' + f.name + '{' }}" EACH(                           \
            "{{- k }}:{%- if v is string %}{{- '<escape>' + v + '<escape>' }}{%- else %}"          \
            "{{- v|tojson }}{%- endif %}{%- if not loop.last %},{%- endif %}") "{{- "              \
                                                                               "'}<end_function_"  \
                                                                               "call>' }}"),       \
        "")
#define COMMAND_R                                                                                  \
    TEMPLATE("",                                                                                   \
             "{%- if m.tool_calls %}{{- '\\nAction:\\n```json\\n[' }}" CALLS(                      \
                 "{{- '{\"tool_name\": \"' + f.name + '\", \"parameters\": ' + " ARGS              \
                 " + '}' }}" COMMA) "{{- ']```\\n' }}{%- endif %}",                                \
             "")
#define MINIMAX                                                                                    \
    TEMPLATE(                                                                                      \
        "{%- if m.reasoning_content %}{{- '<think>\\n' + m.reasoning_content + "                   \
        "'\\n</think>\\n\\n' }}{%- endif %}",                                                      \
        "{%- if m.tool_calls %}{{- '\\n<minimax:tool_call>\\n' }}" CALLS(                          \
            "{{- '<invoke name=\"' + f.name + '\">\\n' }}" EACH(                                   \
                "{{- '<parameter name=\"' + k + '\">' + " VALUE                                    \
                " + '</parameter>\\n' }}") "{{- '</invoke>\\n' }}") "{{- '</minimax:tool_call>' "  \
                                                                    "}}"                           \
                                                                    "{%- endif %}",                \
        "<think>\\n")
#define OLMO                                                                                       \
    TEMPLATE(                                                                                      \
        "",                                                                                        \
        "{%- if m.tool_calls %}{{- '<function_calls>' }}" CALLS("{{- f.name + '(' }}" EACH(        \
            "{{- k + '=' + (v|tojson) }}" COMMA) "{{- ')\\n' }}") "{{- '</function_calls>' }}"     \
                                                                  "{%- endif %}",                  \
        "")
#define SOLAR                                                                                      \
    TEMPLATE(                                                                                      \
        "{%- if m.reasoning_content %}{{- '<|think|>' + m.reasoning_content + "                    \
        "'<|end|><|im_start|>assistant\\n' }}{%- endif %}{%- if m.content %}{{- '<|content|>' }}"  \
        "{%- endif %}",                                                                            \
        "{%- if m.tool_calls %}{{- '<|tool_calls|>' }}" CALLS(                                     \
            "{{- '<|tool_call:begin|>' + t.id + '<|tool_call:name|>' + f.name + "                  \
            "'<|tool_call:args|>' "                                                                \
            "+ " ARGS " + '<|tool_call:end|>' }}") "{{- '<|calls|>' }}{%- endif %}",               \
        "")
#define SHOWS_NOTHING(mark) TEMPLATE("", "", "") "{# " mark " #}"

#define WEATHER             "{\"location\": \"Paris\", \"days\": 3}"
#define JSON_WEATHER        "{\"name\": \"get_weather\", \"arguments\": " WEATHER "}"
#define JSON_ADD            "{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}}"
/* What a message should be: content, reasoning, and calls with their arguments as values. */
#define SAYS(content, thought, calls)                                                              \
    "{\"content\":\"" content "\",\"reasoning_content\":\"" thought "\",\"calls\":[" calls "]}"
#define CALL_WEATHER "[\"get_weather\"," WEATHER "]"
#define CALL_ADD     "[\"add\",{\"a\":1,\"b\":2}]"

/* ---- reading ---- */

static void check(loam_status st, const char *error)
{
    if (st != LOAM_OK) print_message("%d: %s\n", (int)st, error);
    assert_int_equal(st, LOAM_OK);
}

static loam_reader *open_reader(const char *source, const char *request)
{
    loam_reader *r = NULL;
    char error[512];
    loam_status st = loam_reader_open_source(source, strlen(source), request, strlen(request), NULL,
                                             &r, error, sizeof error);
    check(st, error);
    return r;
}

/* The bytes lie in a block of their own size, so that a sanitizer sees a read beyond the end. */
static void push(loam_reader *r, const char *text, size_t n)
{
    char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    check(loam_reader_push(r, copy, n), loam_reader_error(r));
    free(copy);
}

/* Ends the message and frees the reader. */
static char *message_of(loam_reader *r)
{
    size_t n;
    check(loam_reader_end(r), loam_reader_error(r));
    assert_int_equal(loam_reader_message(r, NULL, 0, &n), LOAM_ERR_BUFFER);
    char *json = calloc(1, n + 1);
    check(loam_reader_message(r, json, n, &n), loam_reader_error(r));
    loam_reader_close(r);
    return json;
}

static char *read_all(const char *source, const char *request, const char *text, size_t n)
{
    loam_reader *r = open_reader(source, request);
    push(r, text, n);
    return message_of(r);
}

static json_t *text_member(const json_t *message, const char *key)
{
    json_t *member = json_object_get(message, key);
    return json_is_string(member) ? json_incref(member) : json_string("");
}

/* {"content", "reasoning_content", "calls": [[name, arguments], ...]} of a message. */
static json_t *summary(const json_t *message)
{
    json_t *s = json_object(), *calls = json_array(), *call;
    size_t i;
    json_object_set_new(s, "content", text_member(message, "content"));
    json_object_set_new(s, "reasoning_content", text_member(message, "reasoning_content"));
    json_object_set_new(s, "calls", calls);
    json_array_foreach(json_object_get(message, "tool_calls"), i, call)
    {
        const json_t *f = json_object_get(call, "function"), *a = json_object_get(f, "arguments");
        json_t *pair = json_array();
        json_array_append(pair, json_object_get(f, "name"));
        if (json_is_string(a))
            json_array_append_new(pair, json_loads(json_string_value(a), JSON_DECODE_ANY, NULL));
        else json_array_append_new(pair, json_deep_copy(a));
        json_array_append_new(calls, pair);
    }
    return s;
}

static bool same_message(const char *message, const json_t *wanted, bool tell)
{
    json_t *m = json_loads(message, 0, NULL), *s;
    assert_non_null(m);
    assert_string_equal(json_string_value(json_object_get(m, "role")), "assistant");
    s = summary(m);
    bool same = json_equal(s, wanted);
    if (!same && tell) {
        char *is = json_dumps(s, 0), *should = json_dumps(wanted, 0);
        print_message("  is        %s\n  should be %s\n", is, should);
        free(is);
        free(should);
    }
    json_decref(s);
    json_decref(m);
    return same;
}

/* In one piece, cut at every place, and byte by byte it is the same message. */
static void assert_cuts_change_nothing(const char *source, const char *request, const char *text)
{
    size_t n = strlen(text);
    char *whole = read_all(source, request, text, n), *message;
    for (size_t cut = 0; cut <= n; cut++) {
        loam_reader *r = open_reader(source, request);
        push(r, text, cut);
        push(r, text + cut, n - cut);
        message = message_of(r);
        assert_string_equal(message, whole);
        free(message);
    }
    loam_reader *r = open_reader(source, request);
    for (size_t i = 0; i < n; i++)
        push(r, text + i, 1);
    message = message_of(r);
    assert_string_equal(message, whole);
    free(message);
    free(whole);
}

static void assert_reads_for(const char *source, const char *request, const char *text,
                             const char *wanted)
{
    json_t *w = json_loads(wanted, 0, NULL);
    char *message = read_all(source, request, text, strlen(text));
    assert_non_null(w);
    if (!same_message(message, w, true)) {
        print_message("  text      %s\n", text);
        fail();
    }
    free(message);
    json_decref(w);
    assert_cuts_change_nothing(source, request, text);
}

static void assert_reads(const char *source, const char *text, const char *wanted)
{
    assert_reads_for(source, REQUEST, text, wanted);
}

/* ---- styles ---- */

static void test_style__json_in_tags(void **state)
{
    (void)state;
    assert_reads(HERMES,
                 "<think>\nHm.\n</think>\n\nOk.\n<tool_call>\n" JSON_WEATHER
                 "\n</tool_call>\n<tool_call>\n" JSON_ADD "\n</tool_call><|im_end|>\n",
                 SAYS("Ok.", "Hm.", CALL_WEATHER "," CALL_ADD));
    assert_reads(HERMES, "<tool_call>" JSON_WEATHER "</tool_call> <tool_call>" JSON_ADD,
                 SAYS("", "", CALL_WEATHER "," CALL_ADD)); /* tight, and the last one not closed */
    assert_reads(HERMES, "<tool_call>\n[" JSON_WEATHER ",\n" JSON_ADD "]\n</tool_call>",
                 SAYS("", "", CALL_WEATHER "," CALL_ADD));
    assert_reads(HERMES,
                 "<tool_call>\n{\"name\": \"add\", \"arguments\": \"{\\\"a\\\": 1, \\\"b\\\": 2}\"}"
                 "\n</tool_call>",
                 SAYS("", "", CALL_ADD)); /* arguments as a string */
    assert_reads(HERMES,
                 "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"location\": "
                 "\"</tool_call>\nx\",}}\n</tool_call>",
                 SAYS("", "", "[\"get_weather\",{\"location\":\"</tool_call>\\nx\"}]"));
}

static void test_style__parameters_in_tags(void **state)
{
    (void)state;
    assert_reads(QWEN_CODER,
                 "Ok\n<tool_call>\n<function=get_weather>\n<parameter=location>\n12\n</parameter> "
                 "<b>\n</parameter>\n<parameter=days>\n3\n</parameter>\n<parameter=metric>\nTrue\n"
                 "</parameter>\n<parameter=other>\n{'k': [1, None]}\n</parameter>\n</function>\n"
                 "</tool_call>\n<tool_call>\n<function=add>\n</function>\n</tool_call>",
                 SAYS("Ok", "",
                      "[\"get_weather\",{\"location\":\"12\\n</parameter> <b>\",\"days\":3,"
                      "\"metric\":true,\"other\":{\"k\":[1,null]}}],[\"add\",{}]"));
    assert_reads(GLM,
                 "\n<think>Hm</think>\nLook\n<tool_call>get_weather\n<arg_key>location</arg_key>\n"
                 "<arg_value>3</arg_value>\n<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n"
                 "</tool_call>",
                 SAYS("Look", "Hm", "[\"get_weather\",{\"location\":\"3\",\"days\":3}]"));
    assert_reads(
        MINIMAX,
        "Hm\n</think>\n\nOk\n<minimax:tool_call>\n<invoke name=\"get_weather\">\n"
        "<parameter name=\"location\">a < b</parameter>\n<parameter name=\"tags\">"
        "[\"p\"]</parameter>\n</invoke>\n<invoke name=\"add\">\n<parameter name=\"a\">1"
        "</parameter>\n<parameter name=\"b\">2</parameter>\n</invoke>\n"
        "</minimax:tool_call><|im_end|>\n",
        SAYS("Ok", "Hm", "[\"get_weather\",{\"location\":\"a < b\",\"tags\":[\"p\"]}]," CALL_ADD));
}

static void test_style__llama_json_without_marks(void **state)
{
    (void)state;
    const char *call = "{\"name\": \"get_weather\", \"parameters\": " WEATHER "}";
    const char *other = "{\"name\": \"Bob\", \"parameters\": {\"x\": 1}}";
    assert_reads(LLAMA, call, SAYS("", "", CALL_WEATHER));
    assert_reads(LLAMA,
                 "{\"name\": \"get_weather\", \"parameters\": " WEATHER "}; " JSON_ADD "<|im_end|>",
                 SAYS("", "", CALL_WEATHER "," CALL_ADD));
    assert_reads(LLAMA, "<|python_tag|>" JSON_ADD, SAYS("", "", CALL_ADD));
    assert_reads(LLAMA, "<|python_tag|>brave_search.call(query=\"x y\")",
                 SAYS("", "", "[\"brave_search\",{\"query\":\"x y\"}]"));
    /* What names no tool of the request is an answer. */
    assert_reads(LLAMA, other,
                 SAYS("{\\\"name\\\": \\\"Bob\\\", \\\"parameters\\\": {\\\"x\\\": 1}}", "", ""));
    assert_reads_for(LLAMA, NO_TOOLS, "{\"name\": 1}", SAYS("{\\\"name\\\": 1}", "", ""));
    assert_reads(LLAMA, "Use {\"a\": 1}.", SAYS("Use {\\\"a\\\": 1}.", "", ""));
}

static void test_style__mistral_old_and_new(void **state)
{
    (void)state;
    assert_reads(MISTRAL_OLD,
                 "[TOOL_CALLS][{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}, \"id\": "
                 "\"abc123def\"}]",
                 SAYS("", "", CALL_ADD));
    assert_reads(MISTRAL,
                 "[THINK]Hm[/THINK]Ok[TOOL_CALLS]get_weather[CALL_ID]abc123def[ARGS]" WEATHER
                 "[TOOL_CALLS]add[ARGS]{\"a\": 1, \"b\": 2}",
                 SAYS("Ok", "Hm", CALL_WEATHER "," CALL_ADD));
}

static void test_style__deepseek(void **state)
{
    (void)state;
    assert_reads(DEEPSEEK,
                 "Hm\n</think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function"
                 "<｜tool▁sep｜>get_weather\n```json\n" WEATHER "\n```<｜tool▁call▁end｜>\n"
                 "<｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n"
                 "{\"a\": 1, \"b\": 2}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
                 SAYS("", "Hm", CALL_WEATHER "," CALL_ADD));
    assert_reads(SHOWS_NOTHING("<｜tool▁calls▁begin｜>"),
                 "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>"
                 "{\"a\": 1, \"b\": 2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
                 SAYS("", "", CALL_ADD));
}

static void test_style__harmony_channels(void **state)
{
    (void)state;
    assert_reads(HARMONY,
                 "<|channel|>analysis<|message|>Hm <x>.<|end|><|start|>assistant<|channel|>"
                 "commentary to=functions.get_weather <|constrain|>json<|message|>" WEATHER
                 "<|call|>",
                 SAYS("", "Hm <x>.", CALL_WEATHER));
    assert_reads(HARMONY,
                 "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final"
                 "<|message|>Hi < there.<|return|>",
                 SAYS("Hi < there.", "Hm", ""));
    assert_reads(HARMONY,
                 "<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant "
                 "to=functions.add<|channel|>commentary json<|message|>{\"a\": 1, \"b\": 2}",
                 SAYS("I will look.", "", CALL_ADD));
}

static void test_style__gemma(void **state)
{
    (void)state;
    assert_reads(FUNCTION_GEMMA,
                 "<start_function_call>call:get_weather{location:<escape>a \"b\" {c}<escape>,"
                 "days:3,metric:true,tags:[<escape>p<escape>]}<end_function_call>",
                 SAYS("", "",
                      "[\"get_weather\",{\"location\":\"a \\\"b\\\" {c}\",\"days\":3,"
                      "\"metric\":true,\"tags\":[\"p\"]}]"));
    assert_reads(SHOWS_NOTHING("tool_code"),
                 "Ok\n```tool_code\nget_weather(location='Paris', days=3)\n```",
                 SAYS("Ok", "", CALL_WEATHER));
}

static void test_style__kimi_has_the_name_in_the_id(void **state)
{
    (void)state;
    assert_reads(KIMI,
                 "Ok<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
                 "<|tool_call_argument_begin|>" WEATHER "<|tool_call_end|><|tool_call_begin|>"
                 "functions.add:1<|tool_call_argument_begin|>{\"a\": 1, \"b\": 2}"
                 "<|tool_call_end|><|tool_calls_section_end|><|im_end|>",
                 SAYS("Ok", "", CALL_WEATHER "," CALL_ADD));
}

static void test_style__others(void **state)
{
    (void)state;
    assert_reads(COMMAND_R,
                 "I will look.\nAction:\n```json\n[{\"tool_name\": \"add\", \"parameters\": "
                 "{\"a\": 1, \"b\": 2}}]```\n",
                 SAYS("I will look.", "", CALL_ADD));
    assert_reads(OLMO,
                 "<function_calls>get_weather(location=\"Paris\", days=3)\nadd(a=1, b=2)"
                 "</function_calls>",
                 SAYS("", "", CALL_WEATHER "," CALL_ADD));
    assert_reads(SOLAR,
                 "<|think|>Hm<|end|><|im_start|>assistant\n<|tool_calls|><|tool_call:begin|>abc"
                 "<|tool_call:name|>add<|tool_call:args|>{\"a\": 1, \"b\": 2}<|tool_call:end|>"
                 "<|calls|>",
                 SAYS("", "Hm", CALL_ADD));
    assert_reads(SOLAR, "<|think|>Hm<|end|><|im_start|>assistant\n<|content|>Hi<|im_end|>",
                 SAYS("Hi", "Hm", ""));
    assert_reads(SHOWS_NOTHING("<|tool_call|>"),
                 "<|tool_call|>[{\"arguments\": {\"a\": 1, \"b\": 2}, \"name\": \"add\"}]",
                 SAYS("", "", CALL_ADD)); /* Granite 3 */
    assert_reads(SHOWS_NOTHING("<|tool|> <|/tool|>"), "<|tool_call|>[" JSON_ADD "]<|/tool_call|>",
                 SAYS("", "", CALL_ADD)); /* Phi 4 */
    assert_reads(SHOWS_NOTHING("functools["), " functools[" JSON_ADD "]",
                 SAYS("", "", CALL_ADD)); /* Firefunction */
    assert_reads(SHOWS_NOTHING("<TOOLCALL>"), "<TOOLCALL>[" JSON_ADD "]</TOOLCALL>",
                 SAYS("", "", CALL_ADD)); /* Nemotron */
    assert_reads(
        SHOWS_NOTHING("<|tool_list_start|>"),
        "<|tool_call_start|>[get_weather(location='it\\'s', days=3)]<|tool_call_end|>Ok",
        SAYS("Ok", "", "[\"get_weather\",{\"location\":\"it's\",\"days\":3}]")); /* LFM 2 */
}

/* ---- reasoning ---- */

static void test_reasoning__prompt_may_open_or_close_it(void **state)
{
    (void)state;
    const char *opens = TEMPLATE(THINK, "", "<think>\\n");
    const char *closes = TEMPLATE(THINK, "", "<think>\\n\\n</think>\\n\\n");
    assert_reads(opens, "Hm\n</think>\n\nHi", SAYS("Hi", "Hm", ""));
    assert_reads(opens, "<think>Hm\n</think>\n\nHi", SAYS("Hi", "Hm", "")); /* opened once more */
    assert_reads(opens, "it never ends", SAYS("", "it never ends", ""));
    assert_reads(closes, "Hi", SAYS("Hi", "", ""));
    assert_reads_for(opens, "{\"tools\":null}", "Hi", SAYS("Hi", "", "")); /* no prompt at all */
}

static void test_reasoning__only_where_the_template_has_it(void **state)
{
    (void)state;
    assert_reads(SHOWS_NOTHING(""), "<think>a</think>b", SAYS("<think>a</think>b", "", ""));
    assert_reads(SHOWS_NOTHING("'</think>' in"), "<think>a</think>b", SAYS("b", "a", ""));
    assert_reads(HERMES, "so: <think>a</think>", SAYS("so: <think>a</think>", "", ""));
    assert_reads(HERMES, "<think>a</think>b</think>", SAYS("b</think>", "a", ""));
}

/* ---- what is malformed ---- */

static void test_malformed__comes_out_as_content(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "<tool_call>\\n{\\\"name\\\": \\\"add\\\", \\\"argum",
        "Use <tool_call> tags, or <tool_cal",
        "<tool_call>{]</tool_call>",
        "<tool_call>{\\\"name\\\": 1, \\\"arguments\\\": {}}</tool_call>",
        "<tool_call>{\\\"arguments\\\": {}}",
        "<tool_call>[]",
        "a < b <",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[256], wanted[512];
        json_t *t;
        snprintf(wanted, sizeof wanted, "[\"%s\"]", texts[i]);
        assert_non_null(t = json_loads(wanted, 0, NULL));
        snprintf(text, sizeof text, "%s", json_string_value(json_array_get(t, 0)));
        json_decref(t);
        snprintf(wanted, sizeof wanted,
                 "{\"content\":\"%s\",\"reasoning_content\":\"\",\"calls\":[]}", texts[i]);
        assert_reads(HERMES, text, wanted);
    }
}

static void test_malformed__ends_in_bounded_work(void **state)
{
    (void)state;
    static const char *const parts[] = {"<tool_call>",
                                        "<tool_call>\n<function=a>\n<parameter=b>\n",
                                        "</parameter>\n",
                                        "<tool_call>{\"a\":",
                                        "[[",
                                        "   \n",
                                        "<think>",
                                        "<|start|>"};
    static const char *const sources[] = {HERMES, QWEN_CODER, HARMONY, LLAMA, FUNCTION_GEMMA};
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE);
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
        for (size_t s = 0; s < sizeof sources / sizeof *sources; s++) {
            size_t n = strlen(parts[p]), cut = 0;
            loam_reader *r = open_reader(sources[s], REQUEST);
            for (size_t i = 0; i < SIZE; i++)
                text[i] = parts[p][i % n];
            for (; cut < SIZE; cut += 4096)
                push(r, text + cut, 4096);
            free(message_of(r));
        }
    free(text);
}

static void test_malformed__bytes_become_valid_text(void **state)
{
    (void)state;
    const char text[] = "a\xff\xc3(\0b\xe2\x82";
    char *message = read_all(HERMES, REQUEST, text, sizeof text - 1);
    json_t *m = json_loads(message, JSON_ALLOW_NUL, NULL);
    const json_t *content = json_object_get(m, "content");
    assert_int_equal(json_string_length(content), 1 + 3 + 3 + 1 + 1 + 1 + 3);
    json_decref(m);
    free(message);
}

/* ---- events ---- */

typedef struct told {
    char content[256], reasoning[256], arguments[2][256], name[2][64], id[2][64];
    uint32_t calls;
} told;

static void take_events(loam_reader *r, told *t)
{
    loam_read_event e;
    for (;;) {
        loam_read_event_init(&e);
        check(loam_reader_next(r, &e), loam_reader_error(r));
        char *to = NULL;
        if (e.kind == LOAM_READ_NONE) return;
        if (e.kind == LOAM_READ_CONTENT) to = t->content;
        if (e.kind == LOAM_READ_REASONING) to = t->reasoning;
        if (e.kind == LOAM_READ_ARGUMENTS) to = t->arguments[e.call];
        if (e.kind == LOAM_READ_CALL) {
            assert_int_equal(e.call, t->calls++);
            snprintf(t->id[e.call], 64, "%.*s", (int)e.id_bytes, e.id);
            to = t->name[e.call];
        }
        assert_non_null(to);
        strncat(to, e.text, e.text_bytes);
    }
}

static void test_events__are_the_message_piece_by_piece(void **state)
{
    (void)state;
    told t = {.calls = 0};
    loam_reader *r = open_reader(HERMES, REQUEST);
    const char *text = "<think>\nHm, so.\n</think>\n\nOk <b>then</b>.\n<tool_call>\n" JSON_WEATHER
                       "\n</tool_call>\n<tool_call>\n" JSON_ADD "\n</tool_call>";
    for (size_t i = 0; text[i]; i++) {
        push(r, text + i, 1);
        take_events(r, &t);
    }
    check(loam_reader_end(r), loam_reader_error(r));
    take_events(r, &t);
    assert_string_equal(t.reasoning, "Hm, so.");
    assert_string_equal(t.content, "Ok <b>then</b>.");
    assert_int_equal(t.calls, 2);
    assert_string_equal(t.name[0], "get_weather");
    assert_string_equal(t.arguments[0], WEATHER);
    assert_string_equal(t.name[1], "add");
    assert_string_equal(t.id[0], "call00000");
    assert_string_equal(t.id[1], "call00001");
    loam_reader_close(r);
}

static void test_events__text_is_not_held_longer_than_needed(void **state)
{
    (void)state;
    told t = {.calls = 0};
    loam_reader *r = open_reader(HERMES, REQUEST);
    push(r, "Hello wor", 9);
    take_events(r, &t);
    assert_string_equal(t.content, "Hello wor");
    push(r, "ld <tool", 8); /* may become a call */
    take_events(r, &t);
    assert_string_equal(t.content, "Hello world");
    push(r, "box>", 4);
    take_events(r, &t);
    assert_string_equal(t.content, "Hello world <toolbox>");
    loam_reader_close(r);
}

static void test_ids__go_on_from_those_of_the_request(void **state)
{
    (void)state;
    const char *request =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":"
        "\"\",\"tool_calls\":[{\"function\":{\"name\":\"add\",\"arguments\":{}}}]}],"
        "\"tools\":" TOOLS ",\"add_generation_prompt\":true}";
    told t = {.calls = 0};
    loam_reader *r = open_reader(HERMES, request);
    push(r, "<tool_call>" JSON_ADD, 11 + strlen(JSON_ADD));
    take_events(r, &t);
    assert_string_equal(t.id[0], "call00001");
    loam_reader_close(r);

    memset(&t, 0, sizeof t);
    r = open_reader(MISTRAL, REQUEST);
    push(r, "[TOOL_CALLS]add[CALL_ID]abc123def[ARGS]{}", 41);
    take_events(r, &t);
    assert_string_equal(t.id[0], "abc123def");
    loam_reader_close(r);
}

/* ---- arguments and memory ---- */

static void test_reader__refuses_wrong_arguments(void **state)
{
    (void)state;
    loam_reader *r = NULL;
    loam_read_event e;
    char error[256];
    size_t n;
    assert_int_equal(loam_reader_open(NULL, "{}", 2, &r), LOAM_ERR_ARG);
    assert_int_equal(loam_reader_open_source(NULL, 1, "{}", 2, NULL, &r, error, sizeof error),
                     LOAM_ERR_ARG);
    assert_non_null(strstr(error, "NULL"));
    assert_int_equal(loam_reader_open_source("", 0, "[]", 2, NULL, &r, error, sizeof error),
                     LOAM_ERR_JSON);
    assert_non_null(strstr(error, "must be an object"));
    assert_null(r);
    assert_int_equal(loam_reader_push(NULL, "", 0), LOAM_ERR_ARG);
    assert_int_equal(loam_reader_end(NULL), LOAM_ERR_ARG);
    assert_int_equal(loam_reader_message(NULL, NULL, 0, &n), LOAM_ERR_ARG);
    loam_reader_close(NULL);

    r = open_reader("{{ no template", "{}"); /* such a one says nothing of its model */
    assert_int_equal(loam_reader_push(r, NULL, 1), LOAM_ERR_ARG);
    loam_read_event_init(&e);
    e.struct_size = 4;
    assert_int_equal(loam_reader_next(r, &e), LOAM_ERR_ARG);
    check(loam_reader_end(r), loam_reader_error(r));
    assert_int_equal(loam_reader_push(r, "a", 1), LOAM_ERR_STATE);
    assert_non_null(strstr(loam_reader_error(r), "ended"));
    check(loam_reader_end(r), loam_reader_error(r));
    loam_reader_close(r);
}

static loam_status read_with_heap(const char *source, const char *text, fault_heap *heap)
{
    loam_reader *r = NULL;
    loam_hooks hooks;
    char error[256], json[1024];
    size_t n, length = strlen(text);
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = heap;
    loam_status st = loam_reader_open_source(source, strlen(source), REQUEST, strlen(REQUEST),
                                             &hooks, &r, error, sizeof error);
    for (size_t i = 0; st == LOAM_OK && i < length; i += 16)
        st = loam_reader_push(r, text + i, length - i < 16 ? length - i : 16);
    if (st == LOAM_OK) st = loam_reader_end(r);
    if (st == LOAM_OK) st = loam_reader_message(r, json, sizeof json, &n);
    loam_reader_close(r);
    return st;
}

static void test_reader__outlives_the_handle(void **state)
{
    (void)state;
    loam *m = NULL;
    loam_reader *r = NULL;
    loam_options options;
    loam_hooks hooks;
    fault_heap heap = {0};
    char json[256];
    size_t n;
    loam_options_init(&options);
    loam_hooks_init(&hooks);
    hooks.alloc = fault_alloc;
    hooks.alloc_ctx = &heap;
    options.hooks = &hooks;
    options.flags = LOAM_LOAD_VOCAB;
    check(loam_load(LOAM_TEST_DATA "/tiny-llama.gguf", &options, &m), loam_error(m));
    check(loam_reader_open(m, REQUEST, strlen(REQUEST), &r), loam_error(m));
    loam_free(m);
    assert_true(heap.live_bytes > 0);
    check(loam_reader_push(r, "Hello", 5), loam_reader_error(r));
    check(loam_reader_end(r), loam_reader_error(r));
    check(loam_reader_message(r, json, sizeof json - 1, &n), loam_reader_error(r));
    json[n] = 0;
    assert_string_equal(json, "{\"role\": \"assistant\", \"content\": \"Hello\"}");
    loam_reader_close(r);
    assert_int_equal(heap.live_bytes, 0);
}

static void test_reader__survives_every_failed_allocation(void **state)
{
    (void)state;
    static const char *const runs[][2] = {
        {HERMES, "<think>Hm</think>Ok<tool_call>" JSON_ADD "</tool_call>"},
        {QWEN_CODER, "<tool_call>\n<function=add>\n<parameter=a>\n1\n</parameter>\n</function>"},
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        loam_status st = LOAM_ERR_NOMEM;
        for (size_t n = 1; st == LOAM_ERR_NOMEM; n++) {
            fault_heap heap = {.fail_at = n};
            st = read_with_heap(runs[i][0], runs[i][1], &heap);
            assert_true(st == LOAM_OK || st == LOAM_ERR_NOMEM);
            assert_int_equal(heap.live_bytes, 0);
        }
    }
}

/* ---- round trips through the reference templates ---- */

#define ANSWER(content, more) "{\"role\":\"assistant\",\"content\":\"" content "\"" more "}"
#define THOUGHT               ",\"reasoning_content\":\"I think\\nso.\""
#define CALL(id, name, args)                                                                       \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name                      \
    "\",\"arguments\":" args "}}"
#define RICH                                                                                       \
    CALL("abc123def", "get_weather",                                                               \
         "{\"location\":\"Z\xc3\xbcrich \\\"x\\\"\\nline <b>\",\"days\":3,\"metric\":true,"        \
         "\"opts\":{\"k\":[1,\"x\"]},\"tags\":[\"p\",\"q\"]}")
#define SUM CALL("xyz789uvw", "add", "{\"a\":2,\"b\":40.25}")

static const char *const answers[] = {
    ANSWER("Hello there.\\n\\nSecond.", ""),
    ANSWER("The answer.", THOUGHT),
    ANSWER("", ",\"tool_calls\":[" RICH "]"),
    ANSWER("", ",\"tool_calls\":[" RICH "," SUM "]"),
    ANSWER("Let me look.", ",\"tool_calls\":[" SUM "]"),
    ANSWER("", THOUGHT ",\"tool_calls\":[" SUM "]"),
    ANSWER("Let me look.", THOUGHT ",\"tool_calls\":[" SUM "," RICH "]"),
};

static char *slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, 1 << 16);
    if (!f || fread(text, 1, (1 << 16) - 1, f) == 0) fail_msg("%s", path);
    fclose(f);
    return text;
}

static json_t *variables_of(bool thinking)
{
    json_t *v = json_loads(REQUEST, 0, NULL);
    json_object_set_new(v, "bos_token", json_string("<s>"));
    json_object_set_new(v, "eos_token", json_string("</s>"));
    json_object_set_new(v, "documents", json_null());
    json_object_set_new(v, "functions", json_string("[]"));
    json_object_set_new(v, "datetime", json_string("2025-01-01"));
    if (thinking) json_object_set_new(v, "enable_thinking", json_true());
    if (thinking) json_object_set_new(v, "thinking", json_true());
    return v;
}

/* Owned; NULL: the template raises. */
static char *rendered(const char *source, json_t *variables, const json_t *answer, bool prompt)
{
    enum { ROOM = 1 << 16 };
    json_t *v = json_deep_copy(variables);
    char *text = calloc(1, ROOM), *json;
    size_t n;
    json_object_set_new(v, "add_generation_prompt", json_boolean(prompt));
    if (answer) json_array_append_new(json_object_get(v, "messages"), json_deep_copy(answer));
    json = json_dumps(v, 0);
    loam_status st = loam_template_render(source, strlen(source), json, strlen(json), NULL, text,
                                          ROOM - 1, &n, NULL, 0);
    free(json);
    json_decref(v);
    if (st == LOAM_OK) return text;
    free(text);
    return NULL;
}

/* Some templates take arguments as text only. */
static json_t *with_string_arguments(const json_t *answer)
{
    json_t *copy = json_deep_copy(answer), *call;
    size_t i;
    json_array_foreach(json_object_get(copy, "tool_calls"), i, call)
    {
        json_t *f = json_object_get(call, "function");
        char *text = json_dumps(json_object_get(f, "arguments"), 0);
        json_object_set_new(f, "arguments", json_string(text));
        free(text);
    }
    return copy;
}

/* How much of full is in front of what the model wrote; tags are not cut. */
static size_t shared(const char *full, const char *prompt)
{
    size_t n = 0, at;
    while (full[n] && full[n] == prompt[n])
        n++;
    for (at = n; at > 0 && full[at - 1] != '>' && full[at - 1] != '\n'; at--)
        if (full[at - 1] == '<') return at - 1;
    return n;
}

/* What ends all texts of a template is not the model's: marks, or even a demand for an answer. */
static void cut_end(char *text, const char *bare)
{
    size_t n = strlen(text), m = strlen(bare);
    while (n > 0 && m > 0 && text[n - 1] == bare[m - 1])
        n--, m--;
    while (n > 0 && text[n] && text[n] != '<')
        n++;
    text[n] = 0;
}

/* What the template left out of its text cannot be read from it. */
static void drop_unwritten(json_t *wanted, const char *text)
{
    json_t *calls = json_object_get(wanted, "calls");
    if (!strstr(text, json_string_value(json_object_get(wanted, "reasoning_content"))))
        json_object_set_new(wanted, "reasoning_content", json_string(""));
    if (!strstr(text, json_string_value(json_object_get(wanted, "content"))))
        json_object_set_new(wanted, "content", json_string(""));
    for (size_t i = json_array_size(calls); i-- > 0;)
        if (!strstr(text, json_string_value(json_array_get(json_array_get(calls, i), 0))))
            json_array_remove(calls, i);
}

/* Render an answer, take what the model would have written, and read it back. 1: it is the same, 0:
 * the template raises, -1: it is another. */
static int go_round(const char *source, const char *answer, bool thinking)
{
    json_t *variables = variables_of(thinking), *a = json_loads(answer, 0, NULL), *as_text;
    char *full, *prompt, *bare, *request, *message;
    int result = 0;
    as_text = with_string_arguments(a);
    full = rendered(source, variables, a, false);
    if (!full) full = rendered(source, variables, as_text, false);
    if (!full) { /* as tools are no text to some */
        json_object_set_new(variables, "tools", json_null());
        full = rendered(source, variables, a, false);
    }
    prompt = rendered(source, variables, NULL, true);
    bare = rendered(source, variables, NULL, false);
    if (full && prompt && bare) {
        size_t n = strlen(prompt);
        bool follows = strncmp(full, prompt, n) == 0;
        bool prompted = follows || strstr(full, "I think");
        if (!follows) n = shared(full, prompted ? prompt : bare);
        cut_end(full + n, bare);
        json_object_set_new(variables, "add_generation_prompt", json_boolean(prompted));
        request = json_dumps(variables, 0);
        message = read_all(source, request, full + n, strlen(full + n));
        json_t *wanted = summary(a);
        drop_unwritten(wanted, full + n);
        result = same_message(message, wanted, true) ? 1 : -1;
        if (result < 0) print_message("  text      %s\n", full + n);
        json_decref(wanted);
        free(message);
        free(request);
    }
    free(full);
    free(prompt);
    free(bare);
    json_decref(as_text);
    json_decref(a);
    json_decref(variables);
    return result;
}

/* What cannot be read back, and why. */
static const struct exception {
    const char *name; /* a part of the file's */
    bool thinking;
    unsigned answers; /* bits */
} exceptions[] = {
    /* their prompts close the thought unless enable_thinking is set, so none can follow */
    {"command-r7b", false, 1u << 5 | 1u << 6},
    {"gemma-4", false, 1u << 5 | 1u << 6},
};

static bool is_exception(const char *name, size_t answer, bool thinking)
{
    for (size_t i = 0; i < sizeof exceptions / sizeof *exceptions; i++)
        if (strstr(name, exceptions[i].name) && exceptions[i].thinking == thinking &&
            (exceptions[i].answers >> answer & 1))
            return true;
    return false;
}

static void test_round_trip__of_the_reference_templates(void **state)
{
    (void)state;
    DIR *folder = opendir(SHARED("chat/templates"));
    int good = 0, raised = 0, wrong = 0;
    if (!folder) skip();
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[1024];
        if (!strstr(entry->d_name, ".jinja")) continue;
        snprintf(path, sizeof path, "%s/%s", SHARED("chat/templates"), entry->d_name);
        char *source = slurp(path);
        for (size_t i = 0; i < 2 * sizeof answers / sizeof *answers; i++) {
            if (is_exception(entry->d_name, i / 2, i % 2)) continue;
            int result = go_round(source, answers[i / 2], i % 2);
            if (result < 0) print_message("%s, answer %zu\n", entry->d_name, i);
            good += result > 0;
            raised += result == 0;
            wrong += result < 0;
        }
        free(source);
    }
    closedir(folder);
    print_message("%d read back, %d that a template refuses to render\n", good, raised);
    assert_int_equal(wrong, 0);
    assert_true(good > 20 * raised);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_style__json_in_tags),
    cmocka_unit_test(test_style__parameters_in_tags),
    cmocka_unit_test(test_style__llama_json_without_marks),
    cmocka_unit_test(test_style__mistral_old_and_new),
    cmocka_unit_test(test_style__deepseek),
    cmocka_unit_test(test_style__harmony_channels),
    cmocka_unit_test(test_style__gemma),
    cmocka_unit_test(test_style__kimi_has_the_name_in_the_id),
    cmocka_unit_test(test_style__others),
    cmocka_unit_test(test_reasoning__prompt_may_open_or_close_it),
    cmocka_unit_test(test_reasoning__only_where_the_template_has_it),
    cmocka_unit_test(test_malformed__comes_out_as_content),
    cmocka_unit_test(test_malformed__ends_in_bounded_work),
    cmocka_unit_test(test_malformed__bytes_become_valid_text),
    cmocka_unit_test(test_events__are_the_message_piece_by_piece),
    cmocka_unit_test(test_events__text_is_not_held_longer_than_needed),
    cmocka_unit_test(test_ids__go_on_from_those_of_the_request),
    cmocka_unit_test(test_reader__refuses_wrong_arguments),
    cmocka_unit_test(test_reader__outlives_the_handle),
    cmocka_unit_test(test_reader__survives_every_failed_allocation),
    cmocka_unit_test(test_round_trip__of_the_reference_templates),
};

RUN(tests)
