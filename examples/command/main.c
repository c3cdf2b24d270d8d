#include "command.h"
#include "output.h"

#include <loam/loam.h>
#include <stdio.h>
#include <string.h>

typedef struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} verb;

static const verb verbs[] = {
    {"run", verb_run, "answer a prompt, streamed as it is made"},
    {"chat", verb_chat, "hold a conversation in the terminal"},
    {"inspect", verb_inspect, "check a GGUF file and print what it holds"},
    {"plan", verb_plan, "will it fit, and how fast can it be at best"},
    {"bench", verb_bench, "measure prefill and decode speed"},
    {"tokenize", verb_tokenize, "text to token ids and back, as JSON lines"},
    {"render", verb_render, "messages through a chat template, as JSON lines"},
    {"logits", verb_logits, "write the logits of every position to a file"},
};

static void print_help(FILE *f)
{
    fprintf(f, "loam runs open-weight language models from GGUF files.\n\n"
               "usage: loam VERB [options]\n\n");
    for (size_t i = 0; i < COUNT(verbs); i++)
        fprintf(f, "  %-10s %s\n", verbs[i].name, verbs[i].about);
    fprintf(f, "\nloam VERB --help explains one; loam --version prints the version.\n"
               "The exit status is 0 (done), 1 (failed) or 2 (wrong usage).\n");
}

static int run_verb(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("loam %s\n", loam_version());
        return EXIT_DONE;
    }
    for (size_t i = 0; i < COUNT(verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0) return verbs[i].run(argc - 1, argv + 1);
    complain("there is no verb '%s'; loam --help lists them", argv[1]);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    int status = run_verb(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) return complain("the output could not be written");
    return status;
}
