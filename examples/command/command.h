/* The loam command: one file a verb. A verb gets its own name as argv[0] and returns the exit
 * status. */
#ifndef LOAM_COMMAND_H
#define LOAM_COMMAND_H

#include <stddef.h>

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

int verb_run(int argc, char **argv);
int verb_chat(int argc, char **argv);
int verb_inspect(int argc, char **argv);
int verb_plan(int argc, char **argv);
int verb_bench(int argc, char **argv);
int verb_tokenize(int argc, char **argv);
int verb_render(int argc, char **argv);
int verb_logits(int argc, char **argv);

#endif
