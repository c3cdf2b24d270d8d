/* libFuzzer target: a template and its variables, a zero byte between them. */
#include <stdlib.h>
#include <string.h>

#include "lib/chat/chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t some_day(void *ctx)
{
    (void)ctx;
    return 1741944413;
}

static void require(int holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *source = (const char *)data, *json = "{}";
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    const loam__chat_default defaults[] = {{"bos_token", "<s>", 3}, {0}};
    size_t n_source = zero ? (size_t)(zero - data) : size;
    size_t n_json = zero ? size - n_source - 1 : 2;
    loam_hooks hooks;
    loam__base b;
    loam__buf text, typed;
    if (zero) json = (const char *)zero + 1;
    loam_hooks_init(&hooks);
    hooks.clock = some_day;
    require(loam__base_init(&b, &hooks) == LOAM_OK);
    loam__buf_init(&text, &b, 0);
    loam__buf_init(&typed, &b, 0);
    loam_status st =
        loam__template_render(&b, source, n_source, json, n_json, defaults, &text, &typed);
    require(st != LOAM_ERR_INTERNAL && (st == LOAM_OK || b.error[0] != 0));
    require(st == LOAM_OK ? text.n == typed.n : text.n == 0 && typed.n == 0);
    for (size_t i = 0; i < typed.n; i++)
        require(typed.p[i] == 0 || typed.p[i] == 1);
    loam__buf_free(&text);
    loam__buf_free(&typed);
    return 0;
}
