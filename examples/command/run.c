/* loam run MODEL [PROMPT]: stream an answer. */
#include "command.h"
#include "generate.h"
#include "model.h"
#include "placement.h"

#include <string.h>
#include <unistd.h>

typedef struct run {
    common shared;
    generation how;
    const char *places[2]; /* model, prompt */
    const char *system;
    ids tokens; /* --tokens */
    bool raw;
} run;

static int read_command_line(run *r, int argc, char **argv)
{
    const option own[] = {
        {"system", OPTION_TEXT, &r->system, "TEXT", "the system message"},
        {"raw", OPTION_FLAG, &r->raw, NULL,
         "continue the prompt as it is, without a chat template"},
        {"tokens", OPTION_TOKENS, &r->tokens, "IDS",
         "token ids, 1,2,3, instead of a prompt; nothing is added, no end stops it"},
    };
    option sampling[GENERATION_OPTIONS];
    const usage u = {
        .synopsis = "run MODEL [PROMPT]",
        .about = "Stream the answer to a prompt. A prompt of - or none is read from standard\n"
                 "input. The model's chat template is applied, unless it has none. The speed\n"
                 "is printed to standard error at the end; --json prints one object instead:\n"
                 "text, tokens, prompt_tokens, prefill_tok_s, decode_tok_s, finish, seed, and\n"
                 "message, where a template was applied: content, reasoning_content, tool_calls.",
        .groups = {{NULL, own, COUNT(own)}, {"Answer", sampling, GENERATION_OPTIONS}},
        .shared = &r->shared,
        .places = r->places,
        .least_places = 1,
        .most_places = 2,
    };
    int status;

    generation_options(&r->how, sampling);
    if ((status = options_read(&u, argc, argv)) != READ_ON) return status;
    r->how.show = !r->shared.json;
    if (r->tokens.n && (r->places[1] || r->system))
        return misuse("run", "--tokens stands instead of a prompt and a system message");
    if (r->tokens.n) r->how.ignore_end = true; /* as many as --predict says */
    if (r->raw && r->system)
        return misuse("run", "--system needs the chat template that --raw leaves out");
    if (!r->tokens.n && !r->places[1] && isatty(STDIN_FILENO))
        return misuse("run", "the prompt is missing");
    return READ_ON;
}

/* All of standard input, without the line end that a shell adds. */
static void read_input(text *prompt)
{
    char part[4096];
    size_t n;

    while ((n = fread(part, 1, sizeof part, stdin)) > 0)
        text_add(prompt, part, n);
    if (prompt->n && prompt->p[prompt->n - 1] == '\n') prompt->n--;
}

static loam_status tokenize_prompt(loam *m, run *r, const text *prompt, ids *tokens)
{
    json_t *messages;
    loam_status status;
    loam_info info;

    loam_info_init(&info);
    if ((status = loam_get_info(m, &info)) != LOAM_OK) return status;
    if (r->raw || !info.chat_template) {
        if (!r->raw)
            complain("the model has no chat template; it goes on with the prompt as it is (--raw)");
        return tokenize_text(m, prompt->p, prompt->n, LOAM_TOKENIZE_SPECIAL, tokens);
    }
    messages = must(json_array());
    if (r->system) append(messages, chat_message("system", r->system, strlen(r->system)));
    append(messages, chat_message("user", prompt->p, prompt->n));
    status = tokenize_chat(m, messages, tokens);
    if (status == LOAM_OK && r->shared.json) status = reader_open(m, messages, &r->how.reader);
    json_decref(messages);
    return status;
}

static void report(const run *r, const answer *a)
{
    double prefill = a->prefill_s > 0 ? (double)a->prefilled / a->prefill_s : 0;
    double decode = a->decode_s > 0 ? (double)a->decoded / a->decode_s : 0;

    if (r->shared.json) {
        print_json(answer_json(a, &r->how, a->prefilled));
        return;
    }
    putchar('\n');
    fflush(stdout);
    fprintf(stderr, "prefill %zu tokens at %.1f tok/s, decode %zu tokens at %.1f tok/s\n",
            a->prefilled, prefill, a->decoded, decode);
}

static int run_prompt(loam *m, run *r, const text *prompt)
{
    answer a = {0};
    int result = EXIT_DONE;

    if (!r->tokens.n && tokenize_prompt(m, r, prompt, &r->tokens) != LOAM_OK)
        return model_complain(m);
    if (!r->tokens.n) return misuse("run", "the prompt is empty");
    if (generation_start(m, &r->how) != LOAM_OK) return model_complain(m);
    if (generate(m, &r->tokens, &r->how, &a) == LOAM_OK) report(r, &a);
    else result = model_complain(m);
    answer_free(&a);
    return result;
}

int verb_run(int argc, char **argv)
{
    run r = {0};
    text prompt = {0};
    loam_options options;
    loam_hooks hooks;
    loam *m = NULL;
    int status;

    generation_init(&r.how);
    status = read_command_line(&r, argc, argv);
    if (status == READ_ON) status = model_options(&r.shared, &hooks, &options);
    if (status == READ_ON) {
        if (r.places[1] && strcmp(r.places[1], "-") != 0)
            text_add(&prompt, r.places[1], strlen(r.places[1]));
        else if (!r.tokens.n) read_input(&prompt);
        m = model_open(r.places[0], &options);
        if (m && !r.shared.json) placement_announce(m, &options);
        status = m ? run_prompt(m, &r, &prompt) : EXIT_FAILED;
    }
    loam_reader_close(r.how.reader);
    loam_free(m);
    text_free(&prompt);
    ids_free(&r.tokens);
    return status;
}
