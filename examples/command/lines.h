/* JSON lines in, JSON lines out. */
#ifndef LOAM_COMMAND_LINES_H
#define LOAM_COMMAND_LINES_H

#include "output.h"

/* Answer one object (borrowed) with another (owned by the caller); one with the key "error" counts
 * as failed. */
typedef json_t *(*line_answer)(void *ctx, const json_t *line);

/* Answer every line of standard input, blank ones left out; a line that is no JSON object is
 * answered with an error. EXIT_DONE, or EXIT_FAILED when any line failed. */
int answer_lines(line_answer fn, void *ctx);

/* {"error": sentence} */
__attribute__((format(printf, 1, 2))) json_t *line_error(const char *format, ...);

/* A member that must be a boolean where it is given. False: *error has the answer. */
bool line_flag(const json_t *line, const char *key, bool otherwise, bool *value, json_t **error);

#endif
