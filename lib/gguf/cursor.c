#include "cursor.h"

#include <stdio.h>
#include <string.h>

#include "limits.h"

typedef unsigned long long ull; /* for %llu */

static uint64_t left(const loam__cursor *c)
{
    return c->part->size - c->at;
}

/* What is being read. Put together when something is wrong: no header is slowed by its messages. */
typedef struct phrase {
    char text[128];
} phrase;

static phrase what_of(const loam__cursor *c)
{
    phrase p;
    if (c->number < 0) snprintf(p.text, sizeof p.text, "%s", c->what);
    else snprintf(p.text, sizeof p.text, "%s %lld", c->what, (long long)c->number);
    return p;
}

static void truncated(loam__cursor *c, uint64_t missing)
{
    c->status = loam__fail(
        c->base, LOAM_ERR_TRUNCATED,
        "%s ends inside its header: %s at byte %llu needs at least %llu more bytes than its "
        "%llu; it is a partial download, get it again",
        c->part->label, what_of(c).text, (ull)c->at, (ull)missing, (ull)c->part->size);
}

const uint8_t *loam__cursor_take(loam__cursor *c, uint64_t n)
{
    if (c->status != LOAM_OK) return NULL;
    if (n > left(c)) {
        truncated(c, n - left(c));
        return NULL;
    }
    if (n > LOAM__GGUF_HEADER_MAX || c->at > LOAM__GGUF_HEADER_MAX - n) {
        c->status = loam__fail(
            c->base, LOAM_ERR_LIMIT,
            "%s: %s takes the header beyond loam's limit of %llu bytes; shorten its metadata",
            c->part->label, what_of(c).text, (ull)LOAM__GGUF_HEADER_MAX);
        return NULL;
    }
    c->status = loam__part_fetch(c->base, c->part, c->at + n);
    if (c->status != LOAM_OK) return NULL;
    const uint8_t *p = loam__part_head(c->part) + c->at;
    c->at += n;
    return p;
}

uint32_t loam__cursor_u32(loam__cursor *c)
{
    const uint8_t *p = loam__cursor_take(c, 4);
    return p ? loam__le32(p) : 0;
}

uint64_t loam__cursor_u64(loam__cursor *c)
{
    const uint8_t *p = loam__cursor_take(c, 8);
    return p ? loam__le64(p) : 0;
}

uint64_t loam__cursor_count(loam__cursor *c, uint64_t limit, uint64_t min_bytes)
{
    uint64_t count = loam__cursor_u64(c);
    if (c->status != LOAM_OK) return 0;
    if (count > limit) {
        c->status =
            loam__fail(c->base, LOAM_ERR_LIMIT,
                       "%s: %s: a count or length of %llu is over loam's limit of %llu; the file "
                       "is damaged, get it again",
                       c->part->label, what_of(c).text, (ull)count, (ull)limit);
    } else if (count > left(c) / min_bytes) {
        truncated(c, count * min_bytes - left(c)); /* limit * min_bytes is far below 2^64 */
    }
    return c->status == LOAM_OK ? count : 0;
}

const uint8_t *loam__cursor_string(loam__cursor *c, uint64_t limit, uint64_t *n)
{
    *n = 0;
    uint64_t length = loam__cursor_count(c, limit, 1);
    const uint8_t *p = loam__cursor_take(c, length);
    if (p) *n = length;
    return p;
}

/* The strings that lie whole in the bytes at hand: nearly all, and a header is mostly strings.
 * Those of a list from number i on; gives the number of the first that does not. */
static uint64_t strings_at_hand(loam__cursor *c, uint64_t i, uint64_t n, uint64_t limit,
                                uint32_t *marks)
{
    const uint8_t *head = loam__part_head(c->part), *p = head + c->at;
    uint64_t end = c->part->data ? c->part->size : c->part->head_n;
    if (end > LOAM__GGUF_HEADER_MAX) end = LOAM__GGUF_HEADER_MAX;
    uint64_t room = end > c->at ? end - c->at : 0;
    for (; i < n && room >= 8; i++) {
        uint64_t length = loam__le64(p);
        if (length > limit || length > room - 8) break;
        if (marks && i % LOAM__MARKED == 0) marks[i / LOAM__MARKED] = (uint32_t)(p - head);
        p += 8 + length;
        room -= 8 + length;
    }
    c->at = (uint64_t)(p - head);
    return i;
}

void loam__cursor_strings(loam__cursor *c, uint64_t n, uint64_t limit, uint32_t *marks)
{
    uint64_t length;
    for (uint64_t i = 0; c->status == LOAM_OK; i++) {
        i = strings_at_hand(c, i, n, limit, marks);
        if (i == n) return;
        if (marks && i % LOAM__MARKED == 0) marks[i / LOAM__MARKED] = (uint32_t)c->at;
        loam__cursor_string(c, limit, &length); /* fetches more, or says what is wrong */
    }
}

const char *loam__cursor_name(loam__cursor *c, uint64_t limit, loam__arena *arena)
{
    uint64_t n;
    const uint8_t *p = loam__cursor_string(c, limit, &n);
    if (!p) return NULL;
    if (n == 0 || memchr(p, 0, (size_t)n)) {
        c->status = loam__fail(c->base, LOAM_ERR_CORRUPT, "%s: %s %s; get the file again",
                               c->part->label, what_of(c).text,
                               n ? "has a name with a NUL byte in it" : "has an empty name");
        return NULL;
    }
    char *name = loam__arena_alloc(arena, (size_t)n + 1);
    if (!name) {
        c->status = LOAM_ERR_NOMEM;
        return NULL;
    }
    memcpy(name, p, (size_t)n);
    return name;
}
