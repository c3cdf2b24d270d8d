#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include <jansson.h>
#include <locale.h>
#include <pthread.h>

#include "lib/chat/chat.h"

typedef struct rendering {
    loam_status status;
    char *text;  /* owned; ends in NUL */
    char *typed; /* owned; for each byte of the text T or '.' */
    size_t n;
    char error[512];
} rendering;

static int64_t friday(void *ctx)
{
    (void)ctx;
    return 1741944413; /* 2025-03-14 09:26:53 */
}

typedef struct request {
    const char *source, *json;
    size_t n_source, n_json;
    const loam__chat_default *defaults;
    fault_heap *heap;
} request;

static rendering render_request(const request *q)
{
    rendering r = {0};
    loam_hooks hooks;
    loam__base b;
    loam__buf out, typed;
    loam_hooks_init(&hooks);
    hooks.clock = friday;
    if (q->heap) {
        hooks.alloc = fault_alloc;
        hooks.alloc_ctx = q->heap;
    }
    assert_int_equal(loam__base_init(&b, &hooks), LOAM_OK);
    loam__buf_init(&out, &b, 0);
    loam__buf_init(&typed, &b, 0);
    r.status = loam__template_render(&b, q->source, q->n_source, q->json, q->n_json, q->defaults,
                                     &out, &typed);
    if (r.status == LOAM_OK) assert_int_equal(out.n, typed.n);
    r.n = out.n;
    r.text = calloc(1, out.n + 1);
    r.typed = calloc(1, out.n + 1);
    if (out.n) memcpy(r.text, out.p, out.n);
    for (size_t i = 0; i < typed.n && i < out.n; i++)
        r.typed[i] = typed.p[i] ? 'T' : '.';
    memcpy(r.error, b.error, sizeof r.error);
    loam__buf_free(&out);
    loam__buf_free(&typed);
    return r;
}

static rendering render(const char *source, const char *json)
{
    request q = {source, json, strlen(source), strlen(json), NULL, NULL};
    return render_request(&q);
}

static void release(rendering *r)
{
    free(r->text);
    free(r->typed);
}

static void assert_renders_with(const char *source, const char *json, const char *text)
{
    rendering r = render(source, json);
    if (r.status != LOAM_OK || strcmp(r.text, text) != 0)
        print_message("%s\n  %s\n  is        %s\n  should be %s\n", source, r.error, r.text, text);
    assert_int_equal(r.status, LOAM_OK);
    assert_string_equal(r.text, text);
    release(&r);
}

static void assert_renders(const char *source, const char *text)
{
    assert_renders_with(source, "{}", text);
}

static void assert_fails_with(const char *source, const char *json, loam_status status,
                              const char *error)
{
    rendering r = render(source, json);
    if (r.status != status || !strstr(r.error, error))
        print_message("%s: %d, %s; should be %s\n", source, (int)r.status, r.error, error);
    assert_int_equal(r.status, status);
    assert_non_null(strstr(r.error, error));
    assert_int_equal(r.n, 0);
    release(&r);
}

static void assert_raises(const char *source, const char *error)
{
    assert_fails_with(source, "{}", LOAM_ERR_TEMPLATE, error);
}

/* ---- JSON ---- */

static void test_json__keeps_order_kinds_and_digits(void **state)
{
    (void)state;
    const char *json =
        " { \"v\" : { \"z\" : 1 , \"a\" : [ 2.0 , -0 , 1e3, true,false,null , \"\" ] ,"
        "\"big\":123456789012345678901234567890, \"z\":3 } } ";
    assert_renders_with("{{ v|tojson }}", json,
                        "{\"z\": 3, \"a\": [2.0, 0, 1000.0, true, false, null, \"\"], "
                        "\"big\": 123456789012345678901234567890}");
    assert_renders_with("{{ v.a[0] is float }}{{ v.z is integer }}{{ v.big is integer }}", json,
                        "TrueTrueTrue");
}

static void test_json__strings_have_escapes_and_surrogates(void **state)
{
    (void)state;
    assert_renders_with("{{ s }}",
                        "{\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude42|\\ud83d|x\"}",
                        "\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x99\x82|\xef\xbf\xbd|x");
}

static void test_json__says_where_it_is_wrong(void **state)
{
    static const char *const wrong[][2] = {
        {"", "byte 0"},
        {"[]", "must be an object"},
        {"{\"a\":1,}", "byte 7"},
        {"{\"a\" 1}", "no ':' behind a key at byte 5"},
        {"{\"a\":01}", "leading zero"},
        {"{\"a\":1.}", "without digits at byte 7"},
        {"{\"a\":tru}", "byte 5"},
        {"{\"a\":\"x", "does not end"},
        {"{\"a\":\"\\x\"}", "unknown escape"},
        {"{\"a\":\"\\u12g4\"}", "hexadecimal"},
        {"{\"a\":\"\n\"}", "control character"},
        {"{\"a\":\"\xff\"}", "not UTF-8 at byte 6"},
        {"{\"a\":[1 2]}", "no ',' or ']'"},
        {"{} x", "more text behind the value at byte 3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fails_with("", wrong[i][0], LOAM_ERR_JSON, wrong[i][1]);
}

static char *repeat(const char *before, const char *part, size_t times, const char *after)
{
    size_t n = strlen(part), at = strlen(before);
    char *s = malloc(at + n * times + strlen(after) + 1);
    strcpy(s, before);
    for (size_t i = 0; i < times; i++, at += n)
        memcpy(s + at, part, n);
    strcpy(s + at, after);
    return s;
}

static void test_json__refuses_to_nest_without_end(void **state)
{
    char *json = repeat("{\"a\":", "[", 100000, "");
    (void)state;
    assert_fails_with("", json, LOAM_ERR_LIMIT, "limit of 200 levels");
    free(json);
}

/* ---- tags and white space ---- */

static void test_space__is_trimmed_as_in_jinja(void **state)
{
    (void)state;
    assert_renders(
        "a {%- if true %} b {% endif -%} c\n  {% if true %}\n  line\n  {% endif %}\nend\n",
        "a b c\n  line\nend");
    assert_renders("  {%- for i in [1,2] %}\n  x{{ i }}\n  {%- endfor %}\n\nt", "  x1  x2\nt");
    assert_renders("x\n    {# c #}\n    y {#- c -#} z", "x\n    yz");
    assert_renders("    {%+ if true %}keep{% endif +%}\n", "    keep");
    assert_renders("{%- set a = 1 -%}  \n {{- a -}} \n b\r\nc\rd\n\n", "1b\nc\nd\n");
    assert_renders("{% raw %}\n {{ not }} {% this %}\n  {% endraw %}\nx",
                   "\n {{ not }} {% this %}\nx");
    assert_renders("{% raw -%}  {{ x }} {#  {%- endraw -%}  y", "{{ x }} {#y");
    assert_renders("{{ '}}' }}{{ {'a': {}} }}{# {{ x }} #}{#-#}", "}}{'a': {}}");
}

static void test_source__errors_name_the_line(void **state)
{
    (void)state;
    assert_raises("a\n\n{{ 1 + }}", "line 3: expected an expression, got '}}'");
    assert_raises("{% if %}x{% endif %}", "line 1: expected an expression, got end of statement");
    assert_raises("{% if true %}\nx", "line 2: expected elif, got end of template");
    assert_raises("x\n{% endif %}", "line 2: expected a statement that is known here, got endif");
    assert_raises("{% include 'x' %}", "got include");
    assert_raises("{% break %}", "a loop around this");
    assert_raises("{{ 'a }}", "a string that does not end");
    assert_raises("{# a", "a comment that does not end");
    assert_raises("\n{% raw %} a", "line 2: a raw block that does not end");
    assert_raises("{{ (1] }}", "closing bracket");
    assert_raises("{{ a ? b }}", "means nothing");
    assert_raises("{{ 99999999999999999999 }}", "larger than 64 bits");
    assert_raises("{% set 1 = 2 %}", "can be assigned to");
    assert_raises("{% for none in [] %}{% endfor %}", "can be assigned to");
    assert_raises("{{ f(a=1, 2) }}", "no positional argument behind a named one");
    assert_raises("{{ '\\ud' }}", "too few digits");
    assert_raises("a\xff", "not UTF-8");
    assert_raises("{{ 1 }}\n{{ x.y }}", "line 2: 'x' is undefined");
    assert_raises("{% macro f() %}\n{{ 1 / 0 }}{% endmacro %}\n{{ f() }}",
                  "line 2: division by zero");
}

/* ---- expressions ---- */

static void test_operators__bind_as_in_python(void **state)
{
    (void)state;
    assert_renders("{{ 2 + 3 * 4 ** 2 // 5 - -1 }} {{ 1 ~ 3 * 4 }} {{ not 1 == 2 and 3 > 2 > 1 }}",
                   "12 112 True");
    assert_renders(
        "{{ 7 // -2 }} {{ -7 % 3 }} {{ 7.5 % -2 }} {{ 2 ** -1 }} {{ 1 / 2 }} {{ -3|abs }}",
        "-4 2 -0.5 0.5 0.5 3");
    assert_renders(
        "{{ 1 if 0 }}|{{ 'a' if 0 else 'b' if 0 else 'c' }}|{{ 0 or '' or [] }}|{{ 1 and 2 }}",
        "|c|[]|2");
    assert_renders("{{ 1 in [1.0] }}{{ 'b' not in 'abc' }}{{ 1 < 3 < 2 }}{{ 1 == true }}",
                   "TrueFalseFalseTrue");
    assert_renders("{{ 'a' 'b' ~ 1 is odd }} {{ 3 is not odd }} {{ 6 is divisibleby 3 }}",
                   "abTrue False True");
    assert_renders("{{ 'x' * 3 + 'y' }} {{ [1] + [2] * 2 }} {{ (1,) + (2,) }}",
                   "xxxy [1, 2, 2] (1, 2)");
    assert_raises("{{ 'a' + 1 }}", "can only concatenate str (not \"int\") to str");
    assert_raises("{{ 9223372036854775807 + 1 }}", "beyond 64 bits");
    assert_raises("{{ 3 ** 99 }}", "beyond 64 bits");
    assert_raises("{{ (-9223372036854775807 - 1) // -1 }}", "beyond 64 bits");
    assert_renders("{{ (-9223372036854775807 - 1) % -1 }}", "0");
    assert_raises("{{ 1 < 'a' }}", "'<' not supported between instances of 'int' and 'str'");
}

static void test_items__slices_and_attributes(void **state)
{
    const char *json =
        "{\"u\":\"na\xc3\xafve "
        "\xe6\x97\xa5\xe6\x9c\xac\",\"l\":[1,2,3,4,5],\"d\":{\"items\":7,\"k\":null}}";
    (void)state;
    assert_renders_with("{{ u[2] }}{{ u[-1] }}{{ u[::-1] }}{{ u[1:4] }}{{ u|length }}", json,
                        "\xc3\xaf\xe6\x9c\xac\xe6\x9c\xac\xe6\x97\xa5 ev\xc3\xaf"
                        "an"
                        "a\xc3\xafv8");
    assert_renders_with(
        "{{ l[1:] }}{{ l[:-1] }}{{ l[::2] }}{{ l[3:0:-2] }}{{ l[9] }}{{ l[-9:99] }}", json,
        "[2, 3, 4, 5][1, 2, 3, 4][1, 3, 5][4, 2][1, 2, 3, 4, 5]");
    assert_renders_with(
        "{{ d['items'] }}{{ d.items()|list }}{{ d.k }}{{ d.x is defined }}{{ d.get('x', 1) }}",
        json, "7[('items', 7), ('k', None)]NoneFalse1");
    assert_renders_with("{{ range(9)[2:8:3]|list }}{{ l.0 }}{{ l.index(3) }}{{ d.keys() }}", json,
                        "[2, 5]12dict_keys(['items', 'k'])");
    assert_fails_with("{{ d.x.y }}", json, LOAM_ERR_TEMPLATE, "'dict' has no attribute 'x'");
    assert_fails_with("{{ l[::0] }}", json, LOAM_ERR_TEMPLATE, "slice step cannot be zero");
    assert_fails_with("{{ l.append(1) }}", json, LOAM_ERR_TEMPLATE,
                      "'append' of a list would change it");
}

static void test_undefined__prints_nothing_and_fails_when_used(void **state)
{
    (void)state;
    assert_renders(
        "{{ x }}|{{ x is defined }}|{{ x|default('d') }}|{{ x == y }}|{{ x|list }}|{{ x ~ 1 }}",
        "|False|d|True|[]|1");
    assert_raises("{{ x + 1 }}", "'x' is undefined");
    assert_raises("{{ x() }}", "'x' is undefined");
    assert_raises("{{ x['a'] }}", "'x' is undefined");
    assert_raises("{{ [1][3].a }}", "list has no element 3");
}

/* ---- statements ---- */

static void test_for__has_its_loop_variable(void **state)
{
    (void)state;
    assert_renders(
        "{% for i in 'abc' %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }}"
        "{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }} {% endfor %}",
        "103TrueFalse3b 212FalseFalse3ac 321FalseTrue3b ");
    assert_renders("{% for k, (a, b) in [(1, [2, 3])] %}{{ k }}{{ a }}{{ b }}{% endfor %}", "123");
    assert_renders(
        "{% for i in [1,2,3,4] if i is odd %}{{ i }}/{{ loop.length }} {% else %}x{% endfor %}",
        "1/2 3/2 ");
    assert_renders("{% for i in [] %}x{% else %}none{% endfor %}", "none");
    assert_renders("{% for i in range(9) %}{% if i == 1 %}{% continue %}{% elif i == 3 %}{% break "
                   "%}{% endif %}{{ i }}"
                   "{% endfor %}",
                   "02");
    assert_renders("{% for t in [[1,[2,[3]]]] recursive %}{% for x in t %}{{ x if x is number else "
                   "loop.depth }}"
                   "{% endfor %}{% endfor %}",
                   "11");
    assert_renders("{% for t in [1,[2,[3]]] recursive %}{{ loop.depth }}{{ t if t is number else "
                   "'(' ~ loop(t) ~ ')' }}"
                   "{% endfor %}",
                   "111(222(33))");
    assert_renders(
        "{% for i in [1,1,2] %}{{ loop.cycle('a','b') }}{{ loop.changed(i) }} {% endfor %}",
        "aTrue bFalse aTrue ");
    assert_raises("{% for a, b in [[1]] %}{% endfor %}", "cannot unpack 1 values into 2 names");
    assert_raises("{% for a in none %}{% endfor %}", "'NoneType' object is not iterable");
}

static void test_scopes__end_where_jinja_ends_them(void **state)
{
    (void)state;
    assert_renders(
        "{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{% for i in [1,2] %}{{ x }}"
        "{% set x = x + i %}{{ x }}{% endfor %}{{ x }}",
        "23242");
    assert_renders("{% set n = namespace(a=0) %}{% for i in [1,2] %}{% set n.a = n.a + i %}{% "
                   "endfor %}{{ n.a }}",
                   "3");
    assert_renders("{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}",
                   "12False");
    assert_renders("{% set x %}[{% set y = 1 %}{{ y }}]{% endset %}{{ x }}{{ y is defined }}",
                   "[1]False");
    assert_renders("{% set a, b = 1, 2 %}{% set a, b = b, a %}{{ a }}{{ b }}", "21");
    assert_renders("{% generation %}{% set q = 1 %}g{% endgeneration %}{{ q }}", "g");
    assert_renders("{% set x | upper | replace('B', 'c') %}ab{% endset %}{{ x }}{% filter upper "
                   "%}d{% endfilter %}",
                   "AcD");
    assert_raises("{% set x = 1 %}{% set x.a = 2 %}", "non-namespace");
}

static void test_macros__bind_arguments(void **state)
{
    (void)state;
    assert_renders(
        "{% macro f(a, b='B', c=a) %}({{ a }}{{ b }}{{ c }}){% endmacro %}{{ f(1) }}{{ f(1, c=3) }}"
        "{{ f(b=1, a=2) }}{{ f() }}",
        "(1B1)(1B3)(212)(B)");
    assert_renders("{% macro f(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, k=3) "
                   "}}{{ f(*[4, 5], **{'z': 6}) }}",
                   "1(2,){'k': 3}4(5,){'z': 6}");
    assert_renders(
        "{% macro w(n) %}<{{ caller(n) }}>{% endmacro %}{% call(x) w(4) %}in {{ x }}{% endcall %}",
        "<in 4>");
    assert_renders("{% macro f() %}{{ x }}{% endmacro %}{% set x = 3 %}{{ f() }}{% for x in [9] "
                   "%}{{ f() }}{% endfor %}",
                   "33");
    assert_renders(
        "{% macro f(k) %}{{ k }}{% if k %}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
        "3210");
    assert_raises("{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "takes not more than 1 arguments");
    assert_raises("{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", "takes no keyword argument 'b'");
    assert_raises("{% macro f() %}{% endmacro %}{% call f() %}{% endcall %}",
                  "takes no keyword argument 'caller'");
}

/* ---- values as text ---- */

static void test_print__floats_are_the_shortest_that_read_back(void **state)
{
    static const char *const floats[][2] = {
        {"1.0", "1.0"},
        {"1e3", "1000.0"},
        {"1e15", "1000000000000000.0"},
        {"1e16", "1e+16"},
        {"1e22", "1e+22"},
        {"0.1 + 0.2", "0.30000000000000004"},
        {"0.0001", "0.0001"},
        {"0.00001", "1e-05"},
        {"5e-324", "5e-324"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"2.0 ** -44", "5.684341886080802e-14"},
        {"2.2250738585072014e-308", "2.2250738585072014e-308"},
        {"1e23", "1e+23"},
        {"9007199254740993.0", "9007199254740992.0"},
        {"123456.789", "123456.789"},
        {"1e400", "inf"},
        {"-0.0", "-0.0"},
        {"1e400 - 1e400", "nan"},
        {"100 / 3", "33.333333333333336"},
        {"2.675|round(2)", "2.67"},
        {"2.5|round", "2.0"},
        {"7|round", "7"},
        {"1234.5|round(-2)", "1200.0"},
        {"0.1000000000000000055511151231257827021181583404541015625", "0.1"},
        {"1.00000000000000011102230246251565404236316680908203126", "1.0000000000000002"},
    };
    char source[128];
    (void)state;
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) {
        snprintf(source, sizeof source, "{{ %s }}", floats[i][0]);
        assert_renders(source, floats[i][1]);
    }
}

static void test_print__does_not_ask_the_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "C.UTF-8"};
    (void)state;
    for (size_t i = 0; i < 4 && !setlocale(LC_ALL, names[i]); i++) {
    }
    assert_renders("{{ 1.5 + '0.25'|float }} {{ '%.2f' % 2.5 }} {{ 2.345|round(1) }} {{ [1e-7] }}",
                   "1.75 2.50 2.3 [1e-07]");
    assert_renders("{{ strftime_now('%A %B') }}", "Friday March");
    setlocale(LC_ALL, "C");
}

static void test_print__repr_is_pythons(void **state)
{
    (void)state;
    assert_renders("{{ [1, 'a', none, true, 2.0, (), (1,), {'k': [\"it's\"]}] }}",
                   "[1, 'a', None, True, 2.0, (), (1,), {'k': [\"it's\"]}]");
    assert_renders("{{ ['\\\\\\n\\t\\x01\\x7f\\u200b\\u00e9\\U0001f642\\'\"'] }}",
                   "['\\\\\\n\\t\\x01\\x7f\\u200b\xc3\xa9\xf0\x9f\x99\x82\\'\"']");
}

static void test_tojson__has_pythons_options(void **state)
{
    const char *json = "{\"d\":{\"b\":[1,{}],\"a\":\"\xc3\xa9\xf0\x9f\x99\x82<\\u0001\"}}";
    (void)state;
    assert_renders_with("{{ d|tojson }}", json,
                        "{\"b\": [1, {}], \"a\": \"\xc3\xa9\xf0\x9f\x99\x82<\\u0001\"}");
    assert_renders_with("{{ d|tojson(ensure_ascii=true, sort_keys=true) }}", json,
                        "{\"a\": \"\\u00e9\\ud83d\\ude42<\\u0001\", \"b\": [1, {}]}");
    assert_renders_with("{{ d.b|tojson(indent=2) }}{{ d.b|tojson(separators=(',', ':')) }}", json,
                        "[\n  1,\n  {}\n][1,{}]");
    assert_renders("{{ {1: none, none: 1.5, true: (2,)}|tojson(indent='\\t') }}",
                   "{\n\t\"1\": [\n\t\t2\n\t],\n\t\"null\": 1.5\n}");
    assert_raises("{{ [x]|tojson }}", "Object of type Undefined is not JSON serializable");
    assert_raises("{{ [1]|select|tojson }}", "Object of type generator is not JSON serializable");
    assert_raises("{{ {(1,): 2}|tojson }}", "keys must be");
}

static void test_format__percent_and_braces(void **state)
{
    (void)state;
    assert_renders("{{ '%s|%r|%5s|%-5s|%05d|%+d|%x|%#o|%.2f|%e|%g|%c|%%' % ('a', 'b', 'c', 'd', "
                   "42, 5, 255, 8, 3.14159, 12.5, 0.0001, 'z') }}",
                   "a|'b'|    c|d    |00042|+5|ff|0o10|3.14|1.250000e+01|0.0001|z|%");
    assert_renders(
        "{{ '%(a)s-%(b)03d' % {'a': 1, 'b': 2} }} {{ '%s'|format('q') }} {{ '%*d' % (4, 7) }}",
        "1-002 q    7");
    assert_renders(
        "{{ '{} {x[0].y} {!r:>5}|{:^7}|{:*<4}|{:,}|{:08.3f}|{:.1%}|{:#x}|{{}}'.format(1, 'a', 'b', "
        "'c', 1234567, -3.14159, 0.256, 255, x=[{'y': 2}]) }}",
        "1 2   'a'|   b   |c***|1,234,567|-003.142|25.6%|0xff|{}");
    assert_raises("{{ '%d' % 'a' }}", "a real number is required, not str");
    assert_raises("{{ '%s' % (1, 2) }}", "not all arguments converted");
    assert_raises("{{ '%s %s' % 1 }}", "not enough arguments");
    assert_raises("{{ '{0} {}'.format(1, 2) }}", "cannot mix");
    assert_raises("{{ '{'.format(1) }}", "not well formed");
}

static void test_strftime__knows_the_codes(void **state)
{
    (void)state;
    assert_renders(
        "{{ strftime_now('%Y-%m-%d %H:%M:%S %a %A %b %B %j %U %W %w %y %p %I %G-%V-%u %e %-d %C %% "
        "%c %F %T %D %Q') }}",
        "2025-03-14 09:26:53 Fri Friday Mar March 073 10 10 5 25 AM 09 2025-11-5 14 14 20 % "
        "Fri Mar 14 09:26:53 2025 2025-03-14 09:26:53 03/14/25 %Q");
}

/* ---- methods and filters ---- */

static void test_strings__methods_count_in_code_points(void **state)
{
    (void)state;
    assert_renders("{{ ' a  b '.split() }}{{ 'a,b,c'.split(',', 1) }}{{ 'a b  c'.rsplit(none, 1) "
                   "}}{{ 'k=v=w'.partition('=') }}",
                   "['a', 'b']['a', 'b,c']['a b', 'c']('k', '=', 'v=w')");
    assert_renders("{{ '\\u65e5x\\u672c'.find('\\u672c') }}{{ 'hello'.rfind('l') }}{{ "
                   "'aaa'.count('aa') }}{{ 'abc'.replace('', '-', 2) }}",
                   "231-a-bc");
    assert_renders("{{ 'xxaxx'.strip('x') }}{{ '\\u3000a\\n'.strip() }}{{ 'abc'.startswith(('x', "
                   "'ab')) }}{{ 'abc'.endswith('c') }}"
                   "{{ 'a'.center(4, '.') }}{{ '-7'.zfill(4) }}",
                   "aaTrueTrue.a..-007");
    assert_renders("{{ 'stra\\u00dfe'.upper() }} {{ 'they\\'re'.title() }} {{ 'they\\'re "
                   "a-b'|title }} {{ '\\u0391\\u03a3'.lower() }}",
                   "STRASSE They'Re They're A-B \xce\xb1\xcf\x82");
    assert_renders("{{ 'a\\r\\nb\\n\\nc'.splitlines() }}{{ ', '.join(['a', 'b']) }}{{ "
                   "'ab1'.isalnum() }}{{ ''.isdigit() }}",
                   "['a', 'b', '', 'c']a, bTrueFalse");
    assert_raises("{{ ','.join([1]) }}", "sequence item 0: expected str instance, int found");
}

static void test_filters__over_sequences(void **state)
{
    const char *json = "{\"m\":[{\"r\":\"u\",\"n\":2},{\"r\":\"a\"},{\"r\":\"u\",\"n\":1}]}";
    (void)state;
    assert_renders_with("{{ m|map(attribute='r')|join(',') }} {{ m|selectattr('n')|list|length }} "
                        "{{ m|rejectattr('r', 'equalto', 'u')|map(attribute='r')|list }} {{ "
                        "m|map(attribute='n', default=0)|sum }}",
                        json, "u,a,u 2 ['a'] 3");
    assert_renders_with(
        "{% for g, l in m|groupby('r') %}{{ g }}{{ l|length }}{% endfor %} {{ m|selectattr('n', "
        "'defined')|sort(attribute='n')|map(attribute='n')|list }}",
        json, "a1u2 [1, 2]");
    assert_renders("{{ ['b', 'A', 'c']|sort }}{{ ['b', 'A']|sort(reverse=true, "
                   "case_sensitive=true) }}{{ {'b': 1, 'A': 2}|dictsort }}",
                   "['A', 'b', 'c']['b', 'A'][('A', 2), ('b', 1)]");
    assert_renders("{{ [1, 2, 3, 4]|batch(3, 0)|list }}{{ [1, 2, 3]|slice(2)|list }}{{ [1, 1, "
                   "2]|unique|list }}{{ [3, 1]|min }}{{ 'abc'|reverse }}",
                   "[[1, 2, 3], [4, 0, 0]][[1, 2], [3]][1, 2]1cba");
    assert_renders("{{ 'a\\nb\\n\\nc'|indent(2) }}|{{ 'x'|indent(1, true) }}|{{ '<a>'|e }}|{{ "
                   "'<a>'|safe + '<' }}|{{ '3.7'|int }}|{{ 'x'|int(9) }}",
                   "a\n  b\n\n  c| x|&lt;a&gt;|<a>&lt;|3|9");
    assert_raises("{{ 1|nope }}", "no filter named 'nope'");
    assert_raises("{{ 1 is nope }}", "no test named 'nope'");
    assert_raises("{{ 'a'|replace('a') }}", "needs at least 2 arguments");
    assert_raises("{{ 'a'|trim(x=1) }}", "has no parameter 'x'");
}

static void test_iterators__are_lazy_and_run_once(void **state)
{
    (void)state;
    assert_renders("{% set g = [1, 2]|map('string') %}{{ g|list }}{{ g|list }}", "['1', '2'][]");
    assert_renders("{{ [1, 'a']|map('abs')|first }}", "1"); /* the second one would fail */
    assert_renders(
        "{% set n = namespace(stop=false) %}{% for i in [1, 2, 3] if not n.stop %}{{ i }}"
        "{% set n.stop = i == 2 %}{% endfor %}",
        "12");
}

/* ---- raise_exception ---- */

static void test_raise__ends_with_the_message(void **state)
{
    char *long_one = repeat("{{ raise_exception('", "\xc3\xa9", 1000, "') }}");
    rendering r = render("\n{{ raise_exception('boom ' ~ 7) }}", "{}");
    (void)state;
    assert_int_equal(r.status, LOAM_ERR_TEMPLATE);
    assert_string_equal(r.error, "line 2: boom 7");
    release(&r);
    r = render(long_one, "{}");
    assert_int_equal(r.status, LOAM_ERR_TEMPLATE);
    assert_true(strlen(r.error) > 400 &&
                strlen(r.error) % 2 == 0); /* "line 1: " and whole characters */
    release(&r);
    free(long_one);
}

/* ---- what was typed ---- */

static void assert_typed(const char *source, const char *text, const char *typed)
{
    rendering r =
        render(source, "{\"s\":\"AbC\",\"w\":\" x y "
                       "\",\"q\":\"\\\"\\n\",\"l\":[\"P\",\"Q\"],\"n\":5,\"d\":{\"k\":\"v\"}}");
    if (r.status != LOAM_OK || strcmp(r.text, text) || strcmp(r.typed, typed))
        print_message("%s\n  %s\n  %s\n  %s %s\n", source, r.error, r.text, r.typed, typed);
    assert_int_equal(r.status, LOAM_OK);
    assert_string_equal(r.text, text);
    assert_string_equal(r.typed, typed);
    release(&r);
}

static void test_typed__follows_every_byte(void **state)
{
    (void)state;
    assert_typed("<{{ s }}>{{ n }}", "<AbC>5", ".TTT..");
    assert_typed("{{ '<' + s ~ '>' }}{{ s[1:] }}{{ s[::-1] }}", "<AbC>bCCbA", ".TTT.TTTTT");
    assert_typed("{{ s|upper }}{{ s.replace('b', '--') }}{{ 'a-b'.replace('-', s) }}",
                 "ABCA--CaAbCb", "TTTT..T.TTT.");
    assert_typed("{{ w.strip() }}|{{ w.split() }}|{{ l|join('+') }}", "x y|['x', 'y']|P+Q",
                 "TTT...T....T...T.T");
    assert_typed("{{ d|tojson }}{{ q|tojson }}", "{\"k\": \"v\"}\"\\\"\\n\"", "..T....T...TTTT.");
    assert_typed("{{ d }}{{ d|tojson(indent=1) }}", "{'k': 'v'}{\n \"k\": \"v\"\n}",
                 "..T....T......T....T...");
    assert_typed(
        "{% set x %}[{{ s }}]{% endset %}{{ x }}{% macro f(a) %}({{ a }}){% endmacro %}{{ f(s) }}",
        "[AbC](AbC)", ".TTT..TTT.");
    assert_typed("{{ '%s!%d' % (s, n) }}{{ '{}?'.format(s) }}{{ s.center(5, '.') }}",
                 "AbC!5AbC?.AbC.", "TTT..TTT..TTT.");
    assert_typed(
        "{{ s|e }}{{ s|indent(1, true) }}{{ s|list|first }}{% for c in s %}{{ c }}{% endfor %}",
        "AbC AbCAAbC", "TTT.TTTTTTT");
    assert_typed("{% set ns = namespace(t='') %}{% for x in l %}{% set ns.t = ns.t ~ x ~ ',' %}{% "
                 "endfor %}{{ ns.t }}",
                 "P,Q,", "T.T.");
    assert_typed("{{ 'AbC' if s == 'AbC' }}{{ s|length }}", "AbC3", "....");
}

static void test_defaults__are_the_templates_own_and_give_way(void **state)
{
    const loam__chat_default defaults[] = {{"bos", "<s>", 3}, {"eos", "</s>", 4}, {0}};
    const char *source = "{{ bos }}{{ eos }}{{ bos is defined }}", *json = "{\"eos\":\"E\"}";
    request q = {source, json, strlen(source), strlen(json), defaults, NULL};
    rendering r = render_request(&q);
    (void)state;
    assert_int_equal(r.status, LOAM_OK);
    assert_string_equal(r.text, "<s>ETrue");
    assert_string_equal(r.typed, "...T....");
    release(&r);
}

/* ---- limits ---- */

static void test_limits__end_what_would_not_end(void **state)
{
    static const char *const hostile[][2] = {
        {"{% for i in range(100000) %}{{ 'x' in range(100000) }}{% endfor %}", "steps"},
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "levels"},
        {"{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = [n.x] %}{% endfor "
         "%}{{ n.x }}",
         "levels"},
        {"{% set n = namespace(x=[]) %}{% for i in range(9999) %}{% set n.x = {1: n.x} %}{% endfor "
         "%}{{ n.x|tojson }}",
         "levels"},
        {"{% set n = namespace(x=()) %}{% for i in range(9999) %}{% set n.x = (n.x,) %}{% endfor "
         "%}{{ {n.x: 1} }}",
         "levels"},
        {"{% set n = namespace(x=[1]) %}{% for i in range(9999) %}{% set n.x = n.x|map('string') "
         "%}{% endfor %}{{ n.x|list }}",
         "levels"},
        {"{% set n = namespace(x=[[]]) %}{% for i in range(9999) %}{% set n.x = [n.x]|map('list') "
         "%}{% endfor %}{{ n.x|list }}",
         "levels"},
        {"{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% "
         "endfor %}",
         "bytes"},
        {"{% for i in range(99999) %}{{ 'abcdefghijkl' * 100000 }}{% endfor %}", "bytes"},
        {"{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "levels"},
        {"{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{{ caller }}{% endmacro %}{{ f() "
         "}}",
         "levels"},
        {"{% macro f() %}{% set x %}{% filter upper %}{% for i in [1] if f() %}{% endfor %}"
         "{% endfilter %}{% endset %}{% endmacro %}{{ f() }}",
         "levels"},
        {"{% macro f(a=f()) %}{% endmacro %}{{ f() }}", "levels"},
        {"{% macro f(c) %}{{ [c, f]|sort(attribute='0')|join(f(c)) if f(c) in [f(c)] }}"
         "{% endmacro %}{{ f(1) }}",
         "levels"},
        {"{{ 'x' * 99999999999 }}", "bytes"},
        {"{{ [1] * 99999999999 }}", "memory"},
        {"{{ range(100001) }}", "range"},
        {"{{ range(-9223372036854775807, 9223372036854775807, 3) }}", "range"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
        assert_fails_with(hostile[i][0], "{}", LOAM_ERR_LIMIT, hostile[i][1]);
}

static void test_limits__source_nests_so_far(void **state)
{
    static const char *const parts[] = {
        "{{ (", "{{ [", "{{ not ", "{{ -", "{% if 1 %}", "{{ a if b else ", "{{ {1:", "{{ f("};
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        bool block = parts[i][1] == '%';
        char *source = repeat(block ? "" : "{{", parts[i] + (block ? 0 : 2), 100000, "");
        assert_fails_with(source, "{}", LOAM_ERR_LIMIT, "nested deeper");
        free(source);
    }
    char *sum = repeat("{{ 1", " + 1", 100000,
                       " }}"); /* no nesting to the parser, but to what evaluates it */
    assert_fails_with(sum, "{}", LOAM_ERR_LIMIT, "nested deeper");
    free(sum);
    char *elifs = repeat("{% if 0 %}", "{% elif 0 %}", 10000, "{% else %}x{% endif %}");
    assert_renders(elifs, "x");
    free(elifs);
}

static void test_strings__grow_in_place(void **state)
{
    char n[16];
    (void)state;
    snprintf(n, sizeof n, "%d", 100000 * 20);
    assert_renders("{% set n = namespace(t='', l=[]) %}{% for i in range(100000) %}{% set n.t = "
                   "n.t ~ '0123456789' + '0123456789' %}"
                   "{% set n.l = n.l + [i] %}{% endfor %}{{ n.t|length }}",
                   n);
    assert_renders(
        "{% set a = 'x' + 'y' %}{% set b = a + '1' %}{% set c = a + '2' %}{{ a }}{{ b }}{{ c }}",
        "xyxy1xy2");
    assert_renders(
        "{% set a = [1] + [2] %}{% set b = a + [3] %}{% set c = a + [4] %}{{ a }}{{ b }}{{ c }}",
        "[1, 2][1, 2, 3][1, 2, 4]");
}

static void *run_on_small_stack(void *ctx)
{
    test_limits__end_what_would_not_end(ctx);
    test_limits__source_nests_so_far(ctx);
    test_json__refuses_to_nest_without_end(ctx);
    return NULL;
}

static void test_limits__fit_a_stack_of_512_kib(void **state)
{
#if defined(__SANITIZE_ADDRESS__) /* makes frames several times as large */
    const size_t bytes = 4096 * 1024;
#else
    const size_t bytes = 512 * 1024;
#endif
    pthread_t thread;
    pthread_attr_t attr;
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstacksize(&attr, bytes), 0);
    assert_int_equal(pthread_create(&thread, &attr, run_on_small_stack, state), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
}

static void test_render__survives_every_failed_allocation(void **state)
{
    const char *source = "{% macro f(a) %}{{ a|upper }}{% endmacro %}{% for m in l if m %}{{ f(m ~ "
                         "'x') }}{{ loop.length }}{% endfor %}"
                         "{% set x %}{{ d|tojson(indent=2) }}{% endset %}{{ x * 200 }}{{ "
                         "l|map('trim')|sort|join(', ') }}{{ '%5.1f' % 2.5 }}";
    const char *json = "{\"l\":[\"a\",\" b \",\"\\u00e9\"],\"d\":{\"k\":[1,2.5,\"\\n\"]}}";
    loam_status st = LOAM_ERR_NOMEM;
    (void)state;
    for (size_t n = 1; st == LOAM_ERR_NOMEM; n++) {
        fault_heap heap = {.fail_at = n};
        request q = {source, json, strlen(source), strlen(json), NULL, &heap};
        rendering r = render_request(&q);
        st = r.status;
        assert_true(st == LOAM_OK || st == LOAM_ERR_NOMEM);
        assert_int_equal(heap.live_bytes, 0);
        release(&r);
    }
}

/* ---- golden data ---- */

static char *read_whole(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    assert_int_equal(fread(p, 1, *n, f), *n);
    p[*n] = 0;
    fclose(f);
    return p;
}

/* The variables of a case of cases.jsonl, as its README says. */
static json_t *variables_of(json_t *row)
{
    static const char *const plain[] = {"messages", "tools", "add_generation_prompt"};
    json_t *vars = json_object();
    json_object_set_new(vars, "documents", json_null());
    json_object_update(vars, json_object_get(row, "extra"));
    for (size_t i = 0; i < 3; i++)
        json_object_set(vars, plain[i], json_object_get(row, plain[i]));
    return vars;
}

/* True if the row is as it should be. */
static bool check_row(json_t *row, size_t line)
{
    json_t *expect = json_object_get(row, "expect"),
           *source = json_object_get(row, "template_source"), *vars;
    const char *name = json_string_value(json_object_get(row, "template")), *kind, *message;
    char path[512], *from_file = NULL;
    size_t n_source = 0;
    if (source) {
        n_source = json_string_length(source);
        vars = json_incref(json_object_get(row, "context"));
    } else {
        snprintf(path, sizeof path, "%s/%s", SHARED("chat/templates"), name);
        from_file = read_whole(path, &n_source);
        assert_non_null(from_file);
        vars = variables_of(row);
    }
    char *json = json_dumps(vars, JSON_COMPACT | JSON_REAL_PRECISION(17));
    request q = {
        source ? json_string_value(source) : from_file, json, n_source, strlen(json), NULL, NULL};
    rendering r = render_request(&q);
    kind = json_string_value(json_object_get(row, "error_kind"));
    message = json_string_value(json_object_get(row, "error"));
    bool ok = r.status == (expect ? LOAM_OK : LOAM_ERR_TEMPLATE);
    if (ok && expect)
        ok = r.n == json_string_length(expect) &&
             memcmp(r.text, json_string_value(expect), r.n) == 0;
    if (ok && !expect && strcmp(kind, "raise_exception") == 0) {
        size_t n = strlen(r.error), m = strlen(message);
        ok = n >= m && strcmp(r.error + n - m, message) == 0;
    }
    if (!ok) {
        print_message("line %zu, %s: status %d %s\n--- is\n%s\n--- should be\n%s\n", line,
                      name ? name : json_string_value(source), (int)r.status, r.error, r.text,
                      expect ? json_string_value(expect) : message);
    }
    release(&r);
    free(json);
    free(from_file);
    json_decref(vars);
    return ok;
}

static void check_file(const char *path)
{
    size_t capacity = 0, line = 0, passed = 0;
    char *text = NULL;
    FILE *f = fopen(path, "rb");
    if (!f) skip();
    for (ssize_t n; (n = getline(&text, &capacity, f)) > 0;) {
        json_t *row = json_loadb(text, (size_t)n, 0, NULL);
        assert_non_null(row);
        line++;
        passed += check_row(row, line);
        json_decref(row);
    }
    free(text);
    fclose(f);
    print_message("%s: %zu of %zu passed\n", path, passed, line);
    assert_int_equal(passed, line);
}

static void test_golden__jinja_features(void **state)
{
    (void)state;
    check_file(SHARED("chat/jinja_features.jsonl"));
}

static void test_golden__cases(void **state)
{
    (void)state;
    check_file(SHARED("chat/cases.jsonl"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_json__keeps_order_kinds_and_digits),
    cmocka_unit_test(test_json__strings_have_escapes_and_surrogates),
    cmocka_unit_test(test_json__says_where_it_is_wrong),
    cmocka_unit_test(test_json__refuses_to_nest_without_end),
    cmocka_unit_test(test_space__is_trimmed_as_in_jinja),
    cmocka_unit_test(test_source__errors_name_the_line),
    cmocka_unit_test(test_operators__bind_as_in_python),
    cmocka_unit_test(test_items__slices_and_attributes),
    cmocka_unit_test(test_undefined__prints_nothing_and_fails_when_used),
    cmocka_unit_test(test_for__has_its_loop_variable),
    cmocka_unit_test(test_scopes__end_where_jinja_ends_them),
    cmocka_unit_test(test_macros__bind_arguments),
    cmocka_unit_test(test_print__floats_are_the_shortest_that_read_back),
    cmocka_unit_test(test_print__does_not_ask_the_locale),
    cmocka_unit_test(test_print__repr_is_pythons),
    cmocka_unit_test(test_tojson__has_pythons_options),
    cmocka_unit_test(test_format__percent_and_braces),
    cmocka_unit_test(test_strftime__knows_the_codes),
    cmocka_unit_test(test_strings__methods_count_in_code_points),
    cmocka_unit_test(test_filters__over_sequences),
    cmocka_unit_test(test_iterators__are_lazy_and_run_once),
    cmocka_unit_test(test_raise__ends_with_the_message),
    cmocka_unit_test(test_typed__follows_every_byte),
    cmocka_unit_test(test_defaults__are_the_templates_own_and_give_way),
    cmocka_unit_test(test_limits__end_what_would_not_end),
    cmocka_unit_test(test_limits__source_nests_so_far),
    cmocka_unit_test(test_strings__grow_in_place),
    cmocka_unit_test(test_limits__fit_a_stack_of_512_kib),
    cmocka_unit_test(test_render__survives_every_failed_allocation),
    cmocka_unit_test(test_golden__jinja_features),
    cmocka_unit_test(test_golden__cases),
};

RUN(tests)
