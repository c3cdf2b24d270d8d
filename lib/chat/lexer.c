#include "ast.h"
#include "number.h"
#include "unicode.h"

#include <string.h>

#include "lib/base/utf8.h"

/* The rules of Jinja with trim_blocks and lstrip_blocks on: a line end right behind a block or
 * comment is dropped, and so are the blanks in front of one that begins its line. "-" at a tag's
 * edge drops all white space there, "+" keeps it. */

bool loam__lex_init(lexer *lex, vm *m, const char *source, size_t n)
{
    char *p = loam__vm_alloc(m, n);
    size_t to = 0;
    if (!p) return false;
    for (size_t i = 0; i < n; i++) { /* \r\n and \r become \n */
        if (source[i] == '\r' && i + 1 < n && source[i + 1] == '\n') continue;
        p[to++] = source[i] == '\r' ? '\n' : source[i];
    }
    if (to > 0 && p[to - 1] == '\n') to--;
    *lex = (lexer){.m = m, .p = p, .n = to, .line = 1, .line_starting = true};
    size_t valid = loam__utf8_valid(p, to);
    return valid == to || loam__vm_raise(m, "the template's byte %zu is not UTF-8", valid);
}

const char *loam__token_name(const token *t)
{
    static const char *const names[] = {
        "end of template",
        "text",
        "'{{'",
        "'}}'",
        "'{%'",
        "end of statement block",
        "a name",
        "a string",
        "a number",
        "'+'",
        "'-'",
        "'*'",
        "'/'",
        "'//'",
        "'%'",
        "'**'",
        "'~'",
        "'=='",
        "'!='",
        "'<'",
        "'<='",
        "'>'",
        "'>='",
        "'='",
        "'.'",
        "':'",
        "','",
        "';'",
        "'|'",
        "'('",
        "')'",
        "'['",
        "']'",
        "'{'",
        "'}'",
    };
    return t->kind == TOKEN_NAME ? t->name->p : names[t->kind];
}

/* ---- moving ---- */

static bool fail_at(lexer *lex, const char *what)
{
    lex->m->line = lex->line;
    return loam__vm_raise(lex->m, "%s", what);
}

static bool looking_at(const lexer *lex, size_t at, const char *s)
{
    size_t n = strlen(s);
    return at <= lex->n && lex->n - at >= n && memcmp(lex->p + at, s, n) == 0;
}

static void advance(lexer *lex, size_t to)
{
    for (; lex->at < to; lex->at++)
        if (lex->p[lex->at] == '\n') lex->line++;
    lex->line_starting = to > 0 && lex->p[to - 1] == '\n';
}

static size_t skip_space(const lexer *lex, size_t at)
{
    int32_t c;
    while (at < lex->n) {
        size_t len = loam__point(lex->p + at, lex->n - at, &c);
        if (!loam__is_space(c)) break;
        at += len;
    }
    return at;
}

static size_t find(const lexer *lex, size_t at, const char *s)
{
    for (size_t n = strlen(s); at + n <= lex->n; at++) {
        const char *p = memchr(lex->p + at, s[0], lex->n - at - n + 1);
        if (!p) break;
        at = (size_t)(p - lex->p);
        if (memcmp(p, s, n) == 0) return at;
    }
    return NOT_FOUND;
}

/* What follows a tag's end: with "-" all white space goes, else, where lines are trimmed, one line
 * end. */
static size_t behind_end(const lexer *lex, size_t at, bool minus, bool trims)
{
    if (minus) return skip_space(lex, at);
    return at + (trims && at < lex->n && lex->p[at] == '\n');
}

/* ---- text between the tags ---- */

static bool data_token(lexer *lex, size_t from, size_t to, uint32_t line, token *out)
{
    text *t = loam__text_new(lex->m, lex->p + from, to - from, NULL);
    if (!t) return false;
    *out = (token){.kind = TOKEN_DATA, .line = line, .value = loam__string(t)};
    return true;
}

/* Where text that begins at `from` ends if the tag at `tag` takes white space away. sign: what
 * stands behind the tag's first two characters. */
static size_t strip_before(const lexer *lex, size_t from, size_t tag, char sign, bool lstrip)
{
    size_t end = tag, line = from;
    int32_t c;
    if (sign == '-') {
        while (end > from) {
            size_t len = loam__point_back(lex->p + from, end - from, &c);
            if (!loam__is_space(c)) break;
            end -= len;
        }
        return end;
    }
    if (sign == '+' || !lstrip) return tag;
    for (size_t i = tag; i-- > from && line == from;)
        if (lex->p[i] == '\n') line = i + 1;
    bool starts = line > from || lex->line_starting;
    return starts && skip_space(lex, line) >= tag ? line : tag;
}

/* A raw block's begin at the tag: where its text starts; NOT_FOUND: it is another tag. word: "raw"
 * or "endraw". */
static size_t raw_edge(const lexer *lex, size_t tag, const char *word, char *sign)
{
    size_t at = tag + 2;
    bool minus;
    *sign = at < lex->n && (lex->p[at] == '-' || lex->p[at] == '+') ? lex->p[at++] : 0;
    at = skip_space(lex, at);
    if (!looking_at(lex, at, word)) return NOT_FOUND;
    at = skip_space(lex, at + strlen(word));
    minus = looking_at(lex, at, "-%}");
    bool ends = word[0] == 'e';
    if (minus || (ends && looking_at(lex, at, "+%}"))) return behind_end(lex, at + 3, minus, false);
    return looking_at(lex, at, "%}") ? behind_end(lex, at + 2, false, ends) : NOT_FOUND;
}

static bool lex_raw(lexer *lex, size_t start, token *out)
{
    char sign;
    size_t tag = start, end;
    advance(lex, start);
    while ((tag = find(lex, tag, "{%")) != NOT_FOUND) {
        if ((end = raw_edge(lex, tag, "endraw", &sign)) == NOT_FOUND) {
            tag++;
            continue;
        }
        size_t text_end = strip_before(lex, start, tag, sign, true);
        uint32_t line = lex->line;
        advance(lex, end);
        return data_token(lex, start, text_end, line, out);
    }
    if (start == lex->n) return data_token(lex, start, start, lex->line, out); /* as Jinja has it */
    return fail_at(lex, "a raw block that does not end");
}

static bool skip_comment(lexer *lex, size_t tag)
{
    size_t start = tag + 2;
    if (start < lex->n && (lex->p[start] == '-' || lex->p[start] == '+')) start++;
    size_t end = find(lex, start, "#}");
    if (end == NOT_FOUND) return fail_at(lex, "a comment that does not end");
    char before = end > start ? lex->p[end - 1] : 0;
    advance(lex, behind_end(lex, end + 2, before == '-', before != '+'));
    return true;
}

/* Enter the tag at lex->at: what it is becomes the next token, or none for a comment. */
static bool enter_tag(lexer *lex, bool *has_token, token *out)
{
    size_t tag = lex->at, start;
    char sign = tag + 2 < lex->n ? lex->p[tag + 2] : 0, kind = lex->p[tag + 1];
    *has_token = true;
    if (kind == '#') {
        *has_token = false;
        return skip_comment(lex, tag);
    }
    if (kind == '%' && (start = raw_edge(lex, tag, "raw", &sign)) != NOT_FOUND)
        return lex_raw(lex, start, out);
    *out = (token){.kind = kind == '%' ? TOKEN_BLOCK_BEGIN : TOKEN_PRINT_BEGIN, .line = lex->line};
    lex->state = kind == '%' ? LEX_BLOCK : LEX_PRINT;
    lex->n_open = 0;
    advance(lex, tag + 2 + (sign == '-' || sign == '+'));
    return true;
}

static size_t find_tag(const lexer *lex)
{
    size_t at = lex->at;
    while ((at = find(lex, at, "{")) != NOT_FOUND && at + 1 < lex->n) {
        if (lex->p[at + 1] == '%' || lex->p[at + 1] == '{' || lex->p[at + 1] == '#') return at;
        at++;
    }
    return NOT_FOUND;
}

static bool lex_data(lexer *lex, token *out)
{
    for (;;) {
        bool has_token;
        size_t from = lex->at, tag = find_tag(lex);
        uint32_t line = lex->line;
        if (tag == NOT_FOUND) {
            advance(lex, lex->n);
            *out = (token){.kind = TOKEN_END, .line = lex->line};
            return from == lex->n || data_token(lex, from, lex->n, line, out);
        }
        if (tag > from) {
            char sign = tag + 2 < lex->n ? lex->p[tag + 2] : 0;
            size_t end = strip_before(lex, from, tag, sign, lex->p[tag + 1] != '{');
            advance(lex, tag);
            if (end > from) return data_token(lex, from, end, line, out);
        }
        if (!enter_tag(lex, &has_token, out)) return false;
        if (has_token) return true;
    }
}

/* ---- inside a tag ---- */

static bool is_name_point(int32_t c, bool first)
{
    bool letter = c < 128 ? (c | 32) >= 'a' && (c | 32) <= 'z' : loam__is_alpha(c);
    bool digit = c < 128 ? c >= '0' && c <= '9' : loam__is_numeric(c);
    return letter || c == '_' || (digit && !first);
}

static size_t name_length(const lexer *lex, size_t at)
{
    size_t from = at;
    int32_t c;
    while (at < lex->n) {
        size_t len = loam__point(lex->p + at, lex->n - at, &c);
        if (!is_name_point(c, at == from)) break;
        at += len;
    }
    return at - from;
}

static size_t digits_end(const lexer *lex, size_t at)
{
    while (at < lex->n && ((lex->p[at] >= '0' && lex->p[at] <= '9') ||
                           (lex->p[at] == '_' && at + 1 < lex->n && lex->p[at + 1] >= '0' &&
                            lex->p[at + 1] <= '9')))
        at++;
    return at;
}

static bool lex_number(lexer *lex, token *out)
{
    const char *p = lex->p;
    size_t from = lex->at, end = digits_end(lex, from), whole = end, exponent;
    bool may_float = from == 0 || p[from - 1] != '.';
    out->kind = TOKEN_NUMBER;
    if (p[from] == '0' && end == from + 1 && end < lex->n && p[end] && strchr("xXoObB", p[end])) {
        end = whole = end + name_length(lex, end);
        may_float = false;
    }
    if (may_float && end + 1 < lex->n && p[end] == '.' && p[end + 1] >= '0' && p[end + 1] <= '9')
        end = digits_end(lex, end + 1);
    if (may_float && end < lex->n && (p[end] | 32) == 'e') {
        exponent = end + 1;
        if (exponent < lex->n && (p[exponent] == '+' || p[exponent] == '-')) exponent++;
        if (exponent < lex->n && p[exponent] >= '0' && p[exponent] <= '9')
            end = digits_end(lex, exponent);
    }
    out->value.kind = end > whole ? KIND_FLOAT : KIND_INT;
    bool ok = end > whole ? loam__read_float(p + from, end - from, &out->value.real)
                          : loam__read_int(p + from, end - from, 0, &out->value.integer);
    if (!ok) return fail_at(lex, "a number that is none, or larger than 64 bits");
    advance(lex, end);
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    return (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The code point of \xhh, \uhhhh and \Uhhhhhhhh at *at, which is moved behind it. */
static bool hex_escape(lexer *lex, size_t *at, int digits, int32_t *point)
{
    uint32_t c = 0;
    *point = 0;
    for (int i = 0; i < digits; i++, ++*at) {
        int d = *at < lex->n ? hex_digit(lex->p[*at]) : -1;
        if (d < 0) return fail_at(lex, "an escape in a string has too few digits");
        c = c * 16 + (uint32_t)d;
    }
    if (c > 0x10FFFF) return fail_at(lex, "an escape in a string is beyond Unicode");
    *point = (int32_t)c;
    return true;
}

static bool unicode_escape(lexer *lex, size_t *at, int digits)
{
    int32_t c, low;
    if (!hex_escape(lex, at, digits, &c)) return false;
    if (c >= 0xD800 && c < 0xDC00 && looking_at(lex, *at, "\\u")) {
        size_t next = *at + 2;
        if (!hex_escape(lex, &next, 4, &low)) return false;
        if (low >= 0xDC00 && low < 0xE000) {
            c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
            *at = next;
        }
    }
    loam__put_point(lex->m, c >= 0xD800 && c < 0xE000 ? 0xFFFD : c, false);
    return true;
}

/* Write what the escape with its letter at *at stands for, and move behind it. */
static bool lex_escape(lexer *lex, size_t *at)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    char c = lex->p[(*at)++];
    const char *plain = c ? strchr(from, c) : NULL;
    if (plain) {
        loam__put(lex->m, to + (plain - from), 1, false);
    } else if (c == 'x' || c == 'u' || c == 'U') {
        return unicode_escape(lex, at, c == 'x' ? 2 : c == 'u' ? 4 : 8);
    } else if (c >= '0' && c <= '7') {
        int32_t point = c - '0';
        for (int i = 1; i < 3 && *at < lex->n && lex->p[*at] >= '0' && lex->p[*at] <= '7'; i++)
            point = point * 8 + (lex->p[(*at)++] - '0');
        loam__put_point(lex->m, point, false);
    } else if (c == 'N') {
        return fail_at(lex, "\\N escapes are not supported; write the character itself");
    } else if (c != '\n') { /* an unknown one stays as it is */
        loam__put(lex->m, "\\", 1, false);
        loam__put(lex->m, &c, 1, false);
    }
    return true;
}

static bool lex_string(lexer *lex, token *out)
{
    char quote = lex->p[lex->at];
    size_t at = lex->at + 1, from = at, begin = loam__put_begin(lex->m);
    out->kind = TOKEN_STRING;
    for (; at < lex->n && lex->p[at] != quote;) {
        if (lex->p[at] != '\\') {
            at++;
            continue;
        }
        loam__put(lex->m, lex->p + from, at++ - from, false);
        if (at == lex->n) break;
        if (!lex_escape(lex, &at)) return false;
        from = at;
    }
    if (at >= lex->n) return fail_at(lex, "a string that does not end");
    loam__put(lex->m, lex->p + from, at - from, false);
    advance(lex, at + 1);
    return loam__put_end(lex->m, begin, &out->value);
}

static bool lex_operator(lexer *lex, token *out)
{
    static const struct {
        char text[3];
        token_kind kind;
    } operators[] = {
        {"//", TOKEN_FLOORDIV}, {"**", TOKEN_POW},   {"==", TOKEN_EQ},       {"!=", TOKEN_NE},
        {">=", TOKEN_GE},       {"<=", TOKEN_LE},    {"+", TOKEN_ADD},       {"-", TOKEN_SUB},
        {"*", TOKEN_MUL},       {"/", TOKEN_DIV},    {"%", TOKEN_MOD},       {"~", TOKEN_TILDE},
        {"<", TOKEN_LT},        {">", TOKEN_GT},     {"=", TOKEN_ASSIGN},    {".", TOKEN_DOT},
        {":", TOKEN_COLON},     {",", TOKEN_COMMA},  {";", TOKEN_SEMICOLON}, {"|", TOKEN_PIPE},
        {"(", TOKEN_LPAREN},    {")", TOKEN_RPAREN}, {"[", TOKEN_LBRACKET},  {"]", TOKEN_RBRACKET},
        {"{", TOKEN_LBRACE},    {"}", TOKEN_RBRACE},
    };
    char c = lex->p[lex->at];
    if (c == '(' || c == '[' || c == '{') {
        if (lex->n_open == sizeof lex->open)
            return loam__vm_fail(lex->m, LOAM_ERR_LIMIT,
                                 "brackets nested deeper than the limit of %d", MAX_SOURCE_DEPTH);
        lex->open[lex->n_open++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (lex->n_open == 0 || lex->open[--lex->n_open] != c)
            return fail_at(lex, "a closing bracket that fits no open one");
    }
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!looking_at(lex, lex->at, operators[i].text)) continue;
        out->kind = operators[i].kind;
        advance(lex, lex->at + strlen(operators[i].text));
        return true;
    }
    return fail_at(lex, "a character that means nothing here");
}

/* The end of the tag at lex->at, if it is there: with brackets open it would be an operator. */
static bool tag_ends(lexer *lex, token *out)
{
    bool block = lex->state == LEX_BLOCK, minus = looking_at(lex, lex->at, block ? "-%}" : "-}}");
    bool plus = block && looking_at(lex, lex->at, "+%}");
    if (lex->n_open > 0) return false;
    if (!minus && !plus && !looking_at(lex, lex->at, block ? "%}" : "}}")) return false;
    size_t end = lex->at + 2 + (minus || plus);
    out->kind = block ? TOKEN_BLOCK_END : TOKEN_PRINT_END;
    lex->state = LEX_DATA;
    advance(lex, behind_end(lex, end, minus, block && !plus));
    return true;
}

static bool lex_inside(lexer *lex, token *out)
{
    int32_t c;
    advance(lex, skip_space(lex, lex->at));
    out->line = lex->line;
    if (lex->at == lex->n) {
        out->kind = TOKEN_END;
        return true;
    }
    if (tag_ends(lex, out)) return true;
    loam__point(lex->p + lex->at, lex->n - lex->at, &c);
    if (c >= '0' && c <= '9') return lex_number(lex, out);
    if (c == '"' || c == '\'') return lex_string(lex, out);
    if (!is_name_point(c, true)) return lex_operator(lex, out);
    size_t n = name_length(lex, lex->at);
    out->kind = TOKEN_NAME;
    out->name = loam__intern(lex->m, lex->p + lex->at, n);
    advance(lex, lex->at + n);
    return out->name != NULL;
}

bool loam__lex(lexer *lex, token *out)
{
    *out = (token){.kind = TOKEN_END, .line = lex->line};
    if (!loam__vm_steps(lex->m, 1)) return false;
    return lex->state == LEX_DATA ? lex_data(lex, out) : lex_inside(lex, out);
}
