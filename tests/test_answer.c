/* The text of an answer: it ends in front of the first stop string, and what may still become one
 * is held back, whole characters at a time. */
#define _POSIX_C_SOURCE 200809L
#include "test.h"

#include "lib/base/utf8.h"
#include "lib/queue/answer.h"

#define TINY      LOAM_TEST_DATA "/tiny-llama.gguf"
#define FIRST     5 /* the token of byte 0 */
#define STOP_SIZE 64
#define TEXT_SIZE 4096

static loam__base base;
static loam__gguf *container;
static loam__vocab *vocab;
static loam__answer answer;

static int open_answer(void **state)
{
    (void)state;
    assert_int_equal(loam__base_init(&base, NULL), LOAM_OK);
    assert_int_equal(loam__gguf_open(&base, TINY, &container), LOAM_OK);
    assert_int_equal(loam__vocab_new(&base, container, &vocab), LOAM_OK);
    assert_int_equal(loam__vocab_fill(&base, vocab), LOAM_OK);
    size_t n = loam__answer_bytes(vocab, STOP_SIZE);
    answer = (loam__answer){.stops = calloc(16, sizeof *answer.stops),
                            .stop_text = malloc(STOP_SIZE),
                            .failures = malloc(STOP_SIZE * sizeof *answer.failures),
                            .text = malloc(n),
                            .capacity = (uint32_t)n};
    return 0;
}

static int close_answer(void **state)
{
    (void)state;
    free(answer.stops);
    free(answer.stop_text);
    free(answer.failures);
    free(answer.text);
    loam__vocab_free(vocab);
    loam__gguf_close(container);
    return 0;
}

static char given[TEXT_SIZE];
static size_t n_given;

static void take(loam__span span)
{
    assert_int_equal(loam__utf8_valid(span.p, span.n), span.n);
    assert_true(n_given + span.n < TEXT_SIZE);
    memcpy(given + n_given, span.p, span.n);
    n_given += span.n;
    given[n_given] = 0;
}

/* Push a text byte by byte; true: a stop string ended it. */
static bool push(const char *text)
{
    loam__span span;
    for (const char *p = text; *p; p++) {
        bool goes_on = loam__answer_push(&answer, vocab, FIRST + (unsigned char)*p, &span);
        take(span);
        if (!goes_on) return true;
    }
    return false;
}

static void begin(const char *const *stops, size_t n)
{
    n_given = 0;
    given[0] = 0;
    loam__answer_begin(&answer, 0);
    for (size_t i = 0; i < n; i++)
        loam__answer_add_stop(&answer, stops[i], (uint32_t)strlen(stops[i]));
}

static void begin_with(const char *stop)
{
    begin(&stop, 1);
}

static void test_stop__ends_the_text_in_front_of_it(void **state)
{
    (void)state;
    begin_with("END");
    assert_true(push("some EN text ENEND and more"));
    assert_string_equal(given, "some EN text EN");
    assert_int_equal(loam__answer_end(&answer, vocab).n, 0);
}

static void test_stop__holds_back_what_may_become_one(void **state)
{
    (void)state;
    begin_with("abac");
    assert_false(push("xaba"));
    assert_string_equal(given, "x");
    assert_false(push("b"));
    assert_string_equal(given, "xab");
    assert_false(push("a"));
    assert_string_equal(given, "xab");
    assert_false(push("!"));
    assert_string_equal(given, "xababa!");
    assert_false(push("ab"));
    take(loam__answer_end(&answer, vocab));
    assert_string_equal(given, "xababa!ab");
}

static void test_stop__of_characters_of_many_bytes(void **state)
{
    (void)state;
    begin_with("é€");
    assert_false(push("è€é"));
    assert_string_equal(given, "è€");
    assert_false(push("\xE2\x82")); /* not yet a character, nor lost */
    assert_string_equal(given, "è€");
    assert_true(push("\xAC"));
    assert_string_equal(given, "è€");
}

static void test_text__that_is_cut_ends_with_a_replacement(void **state)
{
    (void)state;
    begin_with("zz");
    assert_false(push("z\xE2\x82"));
    assert_string_equal(given, "");
    take(loam__answer_end(&answer, vocab));
    assert_string_equal(given, "z\xEF\xBF\xBD");
}

static void test_longest__of_those_that_end_together(void **state)
{
    static const char *const stops[] = {"c", "bc", "xbc"};
    (void)state;
    begin(stops, 3);
    assert_true(push("aabc"));
    assert_string_equal(given, "aa");
}

static void test_tokens__beyond_the_vocabulary_have_no_text(void **state)
{
    loam__span span;
    (void)state;
    begin(NULL, 0);
    assert_true(loam__answer_push(&answer, vocab, 1 << 20, &span));
    assert_int_equal(span.n, 0);
}

static uint32_t draw(uint64_t *state) /* a linear congruential generator: Knuth's MMIX constants */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static void random_text(uint64_t *seed, char *text, size_t characters)
{
    static const char *const alphabet[] = {"a", "b", "é"};
    text[0] = 0;
    for (size_t i = 0; i < characters; i++)
        strcat(text, alphabet[draw(seed) % 3]);
}

/* Where the stop string begins that is complete first; the longest of several. */
static size_t first_stop(const char *text, char stops[3][32])
{
    for (size_t end = 1; end <= strlen(text); end++)
        for (size_t start = 0; start < end; start++)
            for (size_t i = 0; i < 3; i++)
                if (strlen(stops[i]) == end - start &&
                    memcmp(text + start, stops[i], end - start) == 0)
                    return start;
    return strlen(text);
}

static void test_random_texts__end_where_a_plain_search_says(void **state)
{
    uint64_t seed = 3;
    size_t stopped = 0;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        char text[256], stops[3][32];
        const char *list[3];
        for (size_t i = 0; i < 3; i++) {
            random_text(&seed, stops[i], 2 + draw(&seed) % 6);
            list[i] = stops[i];
        }
        random_text(&seed, text, draw(&seed) % 80);
        size_t n = first_stop(text, stops);
        begin(list, 3);
        bool found = push(text);
        if (!found) take(loam__answer_end(&answer, vocab));
        stopped += found;
        assert_int_equal(found, n < strlen(text));
        assert_int_equal(n_given, n);
        assert_memory_equal(given, text, n);
    }
    assert_in_range(stopped, 500, 2900);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_stop__ends_the_text_in_front_of_it, open_answer,
                                    close_answer),
    cmocka_unit_test_setup_teardown(test_stop__holds_back_what_may_become_one, open_answer,
                                    close_answer),
    cmocka_unit_test_setup_teardown(test_stop__of_characters_of_many_bytes, open_answer,
                                    close_answer),
    cmocka_unit_test_setup_teardown(test_text__that_is_cut_ends_with_a_replacement, open_answer,
                                    close_answer),
    cmocka_unit_test_setup_teardown(test_longest__of_those_that_end_together, open_answer,
                                    close_answer),
    cmocka_unit_test_setup_teardown(test_tokens__beyond_the_vocabulary_have_no_text, open_answer,
                                    close_answer),
    cmocka_unit_test_setup_teardown(test_random_texts__end_where_a_plain_search_says, open_answer,
                                    close_answer),
};

RUN(tests)
