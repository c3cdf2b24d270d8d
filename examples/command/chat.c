/* loam chat MODEL: a conversation. Each turn renders it whole and prefills only what the sequence
 * does not hold yet. */
#include "command.h"
#include "generate.h"
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct chat {
    common shared;
    generation how;
    const char *places[1];
    const char *system;
    loam *m;
    json_t *messages;
    ids held; /* the tokens in the sequence */
    bool terminal;
} chat;

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t interrupted;
static loam *interruptible; /* set before the handler is, and never changed while it is */

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
    loam_cancel(interruptible);
}

static void catch_interrupts(loam *m)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = m ? on_interrupt : SIG_DFL; /* no SA_RESTART: a waiting read ends too */
    sigemptyset(&action.sa_mask);
    if (m) interruptible = m;
    sigaction(SIGINT, &action, NULL);
}

/* ---- the conversation ---- */

static void start_over(chat *c)
{
    json_array_clear(c->messages);
    if (c->system) append(c->messages, chat_message("system", c->system, strlen(c->system)));
}

static size_t common_prefix(const ids *a, const ids *b)
{
    size_t n = 0;
    while (n < a->n && n < b->n && a->p[n] == b->p[n])
        n++;
    return n;
}

/* Note what the sequence holds after a call, whole or not: a beginning of what was to go there. */
static loam_status note_held(chat *c, const ids *prompt, const answer *a)
{
    size_t n;
    loam_status status = loam_seq_length(c->m, 0, &n);

    if (status != LOAM_OK) return status;
    c->held.n = 0;
    for (size_t i = 0; i < n && i < prompt->n; i++)
        ids_add(&c->held, prompt->p[i]);
    for (size_t i = 0; i < a->tokens.n && c->held.n < n; i++)
        ids_add(&c->held, a->tokens.p[i]);
    return LOAM_OK;
}

/* Answer the whole prompt, of which the sequence may hold a beginning. */
static loam_status answer_prompt(chat *c, const ids *prompt, answer *a)
{
    size_t shared = common_prefix(&c->held, prompt);
    loam_status status, noted;
    ids rest;

    if (shared && shared == prompt->n) shared--; /* the last one's logits are wanted */
    rest = (ids){prompt->p + shared, prompt->n - shared, 0};
    if ((status = loam_seq_truncate(c->m, 0, shared)) != LOAM_OK) return status;
    status = generate(c->m, &rest, &c->how, a);
    if (status == LOAM_ERR_CANCELLED &&
        !interrupted) { /* a Ctrl-C that came while nothing ran; it is used up now */
        answer_free(a);
        status = generate(c->m, &rest, &c->how, a);
    }
    noted = note_held(c, prompt, a);
    return status == LOAM_OK ? noted : status;
}

static void report(const chat *c, const answer *a, size_t n_prompt)
{
    if (c->shared.json) {
        print_json(answer_json(a, &c->how, n_prompt));
        return;
    }
    putchar('\n');
    fflush(stdout);
    if (strcmp(a->finish, "context") == 0)
        complain("the context is full; /reset starts over, --ctx makes it larger");
}

/* What the conversation keeps of an answer: reasoning too, of which the template takes what it
 * wants. Nobody answers calls here, so they are text. */
static json_t *kept_answer(const chat *c, const answer *a)
{
    json_t *message = reader_message(c->how.reader);

    if (!json_object_get(message, "tool_calls")) return message;
    json_decref(message);
    return chat_message("assistant", a->words.p, a->words.n);
}

/* One turn. A question that got no answer leaves the conversation again. */
static loam_status turn(chat *c, const char *line, size_t n)
{
    ids prompt = {0};
    answer a = {0};
    loam_status status;

    interrupted = 0;
    append(c->messages, chat_message("user", line, n));
    status = tokenize_chat(c->m, c->messages, &prompt);
    if (status == LOAM_OK) status = reader_open(c->m, c->messages, &c->how.reader);
    if (status == LOAM_OK) status = answer_prompt(c, &prompt, &a);
    if (status == LOAM_OK) {
        report(c, &a, prompt.n);
        append(c->messages, kept_answer(c, &a));
    } else {
        json_array_remove(c->messages, json_array_size(c->messages) - 1);
    }
    loam_reader_close(c->how.reader);
    c->how.reader = NULL;
    answer_free(&a);
    ids_free(&prompt);
    return status;
}

/* ---- the terminal ---- */

/* A line without its end; false at the end of the input. Ctrl-C at the prompt begins a fresh line.
 */
static bool read_line(const chat *c, char **line, size_t *capacity, size_t *n)
{
    ssize_t got;

    for (;;) {
        if (c->terminal) fputs("> ", stderr);
        interrupted = 0;
        errno = 0;
        got = getline(line, capacity, stdin);
        if (got >= 0 || errno != EINTR) break;
        clearerr(stdin);
        fputs("\n(/quit or Ctrl-D ends)\n", stderr);
    }
    if (got < 0) return false;
    *n = (size_t)got;
    if (*n && (*line)[*n - 1] == '\n') (*n)--;
    return true;
}

/* The turns until the end of the input. What one question did wrong is said, and the next may do
 * better. */
static int converse(chat *c)
{
    char *line = NULL;
    size_t capacity = 0, n;
    int result = EXIT_DONE;
    loam_status status;

    start_over(c);
    while (read_line(c, &line, &capacity, &n)) {
        if (n == 0) continue;
        if (n == 5 && memcmp(line, "/quit", 5) == 0) break;
        if (n == 6 && memcmp(line, "/reset", 6) == 0) {
            start_over(c);
            continue;
        }
        status = turn(c, line, n);
        if (status == LOAM_OK) continue;
        result = model_complain(c->m);
        if (status == LOAM_ERR_DEVICE || status == LOAM_ERR_INTERNAL) break;
    }
    if (c->terminal) fputc('\n', stderr);
    free(line);
    return c->terminal ? EXIT_DONE : result;
}

static int read_command_line(chat *c, int argc, char **argv)
{
    const option own[] = {
        {"system", OPTION_TEXT, &c->system, "TEXT", "the system message"},
    };
    option sampling[GENERATION_OPTIONS];
    const usage u = {
        .synopsis = "chat MODEL",
        .about = "Hold a conversation, a line each turn. Ctrl-C stops an answer, /reset starts\n"
                 "over, /quit or Ctrl-D ends. What the model thinks is dimmed, and shown on a\n"
                 "terminal only. With --json every answer is one object, as of loam run.",
        .groups = {{NULL, own, COUNT(own)}, {"Answer", sampling, GENERATION_OPTIONS}},
        .shared = &c->shared,
        .places = c->places,
        .least_places = 1,
        .most_places = 1,
    };

    generation_options(&c->how, sampling);
    return options_read(&u, argc, argv);
}

static int chat_with(chat *c)
{
    loam_info info;
    int result;

    loam_info_init(&info);
    if (loam_get_info(c->m, &info) != LOAM_OK || generation_start(c->m, &c->how) != LOAM_OK)
        return model_complain(c->m);
    if (!info.chat_template)
        return complain("'%s' has no chat template; loam run --raw continues a text", c->places[0]);
    c->messages = must(json_array());
    catch_interrupts(c->m);
    result = converse(c);
    catch_interrupts(NULL);
    json_decref(c->messages);
    ids_free(&c->held);
    return result;
}

int verb_chat(int argc, char **argv)
{
    chat c = {0};
    loam_options options;
    loam_hooks hooks;
    int status;

    generation_init(&c.how);
    status = read_command_line(&c, argc, argv);
    if (status == READ_ON) status = model_options(&c.shared, &hooks, &options);
    if (status != READ_ON) return status;
    c.how.show = !c.shared.json;
    c.how.stop = &interrupted;
    c.how.dim = isatty(STDOUT_FILENO);
    c.terminal = isatty(STDIN_FILENO);
    c.m = model_open(c.places[0], &options);
    status = c.m ? chat_with(&c) : EXIT_FAILED;
    loam_free(c.m);
    return status;
}
