/* How models write calls whose templates do not show it: what such a model would write for the
 * calls of a probe, by marks that its template has in the description of tools or elsewhere. */
#include <string.h>

#include "style.h"

#define ARGS_1                                                                                     \
    "{\"" PROBE_KEY_1 "\": \"" PROBE_VALUE_1 "\", \"" PROBE_KEY_2 "\": " PROBE_VALUE_2 "}"
#define JSON_1        "{\"name\": \"" PROBE_NAME_1 "\", \"arguments\": " ARGS_1 "}"
#define JSON_2        "{\"name\": \"" PROBE_NAME_2 "\", \"arguments\": " ARGS_1 "}"
#define JSON_LIST     "[" JSON_1 ", " JSON_2 "]"
#define PYTHON_ARGS   "(" PROBE_KEY_1 "=\"" PROBE_VALUE_1 "\", " PROBE_KEY_2 "=" PROBE_VALUE_2 ")"
#define PYTHON_LIST   "[" PROBE_NAME_1 PYTHON_ARGS ", " PROBE_NAME_2 PYTHON_ARGS "]"
#define LOOSE_ARGS(q) "{" PROBE_KEY_1 ":" q PROBE_VALUE_1 q "," PROBE_KEY_2 ":" PROBE_VALUE_2 "}"
#define BOTH(f)       f(PROBE_NAME_1) f(PROBE_NAME_2)
#define PAIR(open, middle, close)                                                                  \
    open PROBE_KEY_1 middle PROBE_VALUE_1 close open PROBE_KEY_2 middle PROBE_VALUE_2 close

#define QWEN_XML(name)                                                                             \
    "<tool_call>\n<function=" name                                                                 \
    ">\n" PAIR("<parameter=", ">\n", "\n</parameter>\n") "</function>\n</tool_call>\n"
#define GLM(name)                                                                                  \
    "<tool_call>" name                                                                             \
    "\n" PAIR("<arg_key>", "</arg_key>\n<arg_value>", "</arg_value>\n") "</tool_call>\n"
#define INVOKE(name)                                                                               \
    "<invoke name=\"" name "\">\n" PAIR("<parameter name=\"", "\">", "</parameter>\n") "</"        \
                                                                                       "invoke>\n"
#define KIMI(name)                                                                                 \
    "<|tool_call_begin|>functions." name ":0<|tool_call_argument_begin|>" ARGS_1 "<|tool_call_"    \
    "end|>"
#define MISTRAL(name) "[TOOL_CALLS]" name "[ARGS]" ARGS_1
#define DEEPSEEK_R1(name)                                                                          \
    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>" name "\n```json\n" ARGS_1                        \
    "\n```<｜tool▁call▁end｜>"
#define DEEPSEEK_V3(name) "<｜tool▁call▁begin｜>" name "<｜tool▁sep｜>" ARGS_1 "<｜tool▁call▁end｜>"
#define FUNCTION(name)    "<function=" name ">" ARGS_1 "</function>"
#define GEMMA(name)       "<|tool_call>call:" name LOOSE_ARGS("<|\"|>") "<tool_call|>"
#define FUNCTION_GEMMA(name)                                                                       \
    "<start_function_call>call:" name LOOSE_ARGS("<escape>") "<end_function_call>"

/* The first whose marks are both in the source is taken. */
static const struct sample {
    const char *marks[2];
    const char *text;
} samples[] = {
    {{"<|tool_call_begin|>", "<|tool_call_argument_begin|>"},
     "<|tool_calls_section_begin|>" BOTH(KIMI) "<|tool_calls_section_end|>"},
    {{"<｜tool▁calls▁begin｜>", "```json"},
     "<｜tool▁calls▁begin｜>" BOTH(DEEPSEEK_R1) "<｜tool▁calls▁end｜>"},
    {{"<｜tool▁calls▁begin｜>", ""},
     "<｜tool▁calls▁begin｜>" BOTH(DEEPSEEK_V3) "<｜tool▁calls▁end｜>"},
    {{"<minimax:tool_call>", ""}, "<minimax:tool_call>\n" BOTH(INVOKE) "</minimax:tool_call>"},
    {{"<function_calls>", "<invoke name="}, "<function_calls>\n" BOTH(INVOKE) "</function_calls>"},
    {{"<tool_call>", "<function="}, BOTH(QWEN_XML)},
    {{"<tool_call>", "<arg_key>"}, BOTH(GLM)},
    {{"<tool_call>", ""},
     "<tool_call>\n" JSON_1 "\n</tool_call>\n<tool_call>\n" JSON_2 "\n</tool_call>"},
    {{"<tool_calls>", ""}, "<tool_calls>" JSON_LIST "</tool_calls>"},
    {{"<TOOLCALL>", ""}, "<TOOLCALL>" JSON_LIST "</TOOLCALL>"},
    {{"<|tool_call_start|>", ""}, "<|tool_call_start|>" PYTHON_LIST "<|tool_call_end|>"},
    {{"<|tool_list_start|>", ""}, "<|tool_call_start|>" PYTHON_LIST "<|tool_call_end|>"},
    {{"<start_function_call>", ""}, BOTH(FUNCTION_GEMMA)},
    {{"<|tool_call>", "call:"}, BOTH(GEMMA)},
    {{"[TOOL_CALLS]", "[ARGS]"}, BOTH(MISTRAL)},
    {{"[TOOL_CALLS]", ""}, "[TOOL_CALLS]" JSON_LIST},
    {{"[AVAILABLE_TOOLS]", ""}, "[TOOL_CALLS]" JSON_LIST},
    {{"functools", ""}, "functools" JSON_LIST},
    {{"<|tool_call|>", "<|/tool_call|>"}, "<|tool_call|>" JSON_LIST "<|/tool_call|>"},
    {{"<|tool|>", "<|/tool|>"}, "<|tool_call|>" JSON_LIST "<|/tool_call|>"},
    {{"<|tool_call|>", ""}, "<|tool_call|>" JSON_LIST},
    {{"<function=", "</function>"}, BOTH(FUNCTION)},
    {{"tool_code", ""}, "```tool_code\n" PYTHON_LIST "\n```"},
    {{"<|START_ACTION|>", ""}, "<|START_ACTION|>" JSON_LIST "<|END_ACTION|>"},
    {{"Action:", "```json"}, "Action:\n```json\n" JSON_LIST "```"},
    {{"<|python_tag|>", ""}, "<|python_tag|>" JSON_1},
};

static bool has(mark source, const char *what)
{
    return !*what || loam__mark_find(source, what, 0) != NOT_FOUND;
}

bool loam__style_samples(vm *m, mark source, style *s)
{
    bool good = true;
    for (size_t i = 0; s->n_calls == 0 && i < sizeof samples / sizeof *samples; i++) {
        if (!has(source, samples[i].marks[0]) || !has(source, samples[i].marks[1])) continue;
        if (!loam__style_calls(m, loam__mark(samples[i].text), &s->calls[0], s, &good))
            return false;
        s->n_calls = good;
    }
    if (s->n_calls == 0 || !has(source, "<|python_tag|>")) return true;
    /* Calls of built-in tools are written beside those of the request. */
    call_style tagged = {.kind = CALL_JSON, .open = loam__mark("<|python_tag|>")};
    if (!loam__mark_same(s->calls[0].open, tagged.open)) s->calls[s->n_calls++] = tagged;
    tagged.kind = CALL_PYTHON;
    s->calls[s->n_calls++] = tagged;
    return true;
}
