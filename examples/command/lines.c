#include "lines.h"
#include "command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

json_t *line_error(const char *format, ...)
{
    char sentence[1024];
    json_t *object = must(json_object());
    va_list args;

    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    put(object, "error", json_text(sentence, strlen(sentence)));
    return object;
}

bool line_flag(const json_t *line, const char *key, bool otherwise, bool *value, json_t **error)
{
    const json_t *given = json_object_get(line, key);

    *value = given ? json_is_true(given) : otherwise;
    if (!given || json_is_boolean(given)) return true;
    *error = line_error("\"%s\" must be true or false", key);
    return false;
}

static bool is_blank(const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr(" \t\r\n", line[i]) || !line[i]) return false;
    return true;
}

static json_t *answer_line(line_answer fn, void *ctx, const char *line, size_t n)
{
    json_error_t why;
    json_t *object = json_loadb(line, n, JSON_ALLOW_NUL | JSON_DECODE_ANY, &why), *answer;

    if (!object) return line_error("the line is not JSON: %s (at byte %d)", why.text, why.position);
    answer = json_is_object(object) ? fn(ctx, object) : line_error("the line is not a JSON object");
    json_decref(object);
    return answer;
}

int answer_lines(line_answer fn, void *ctx)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t n;
    json_t *answer;
    int result = EXIT_DONE;

    while ((n = getline(&line, &capacity, stdin)) >= 0) {
        if (is_blank(line, (size_t)n)) continue;
        answer = answer_line(fn, ctx, line, (size_t)n);
        if (json_object_get(answer, "error")) result = EXIT_FAILED;
        print_json(answer);
    }
    if (ferror(stdin)) result = complain("standard input could not be read");
    free(line);
    return result;
}
