#include "value.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

void loam__vm_init(vm *m, loam__base *b)
{
    memset(m, 0, sizeof *m);
    m->base = b;
    loam__arena_init(&m->arena, b, MAX_MEMORY);
    loam__buf_init(&m->out, b, MAX_OUTPUT);
    loam__buf_init(&m->marks, b, MAX_OUTPUT);
}

void loam__vm_free(vm *m)
{
    loam__buf_free(&m->out);
    loam__buf_free(&m->marks);
    loam__arena_free(&m->arena);
}

static bool fail(vm *m, loam_status status, const char *format, va_list args)
{
    char line[sizeof m->base->error];
    if (m->status != LOAM_OK) return false; /* the first failure is the reason of all others */
    m->status = status;
    vsnprintf(line, sizeof line, format, args);
    if (m->line > 0) loam__fail(m->base, status, "line %u: %s", (unsigned)m->line, line);
    else loam__fail(m->base, status, "%s", line);
    return false;
}

bool loam__vm_fail(vm *m, loam_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(m, status, format, args);
    va_end(args);
    return false;
}

bool loam__vm_raise(vm *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fail(m, LOAM_ERR_TEMPLATE, format, args);
    va_end(args);
    return false;
}

void *loam__vm_alloc(vm *m, size_t n)
{
    void *p = loam__arena_alloc(&m->arena, n);
    if (p || m->status != LOAM_OK) return p;
    if (n > MAX_MEMORY || m->arena.used + n > MAX_MEMORY - 16)
        loam__vm_fail(m, LOAM_ERR_LIMIT, "the values need more than the limit of %d bytes",
                      MAX_MEMORY);
    else m->status = LOAM_ERR_NOMEM; /* the allocator has set the text */
    return NULL;
}

void *loam__vm_alloc_array(vm *m, size_t count, size_t size)
{
    size_t n;
    if (!loam__mul_size(count, size, &n)) n = SIZE_MAX;
    return loam__vm_alloc(m, n);
}

bool loam__vm_steps(vm *m, size_t n)
{
    if (n <= MAX_STEPS - m->steps) {
        m->steps += (uint32_t)n;
        return true;
    }
    m->steps = MAX_STEPS;
    return loam__vm_fail(m, LOAM_ERR_LIMIT, "more than the limit of %d steps", MAX_STEPS);
}

/* So that a step of either takes about as long as one of evaluating. */
bool loam__vm_work(vm *m, size_t bytes)
{
    enum { BYTES_A_STEP = 256 };
    return bytes < BYTES_A_STEP || loam__vm_steps(m, bytes / BYTES_A_STEP);
}

bool loam__vm_read(vm *m, size_t bytes)
{
    enum { BYTES_A_STEP = 16 };
    return bytes < BYTES_A_STEP || loam__vm_steps(m, bytes / BYTES_A_STEP);
}

bool loam__vm_enter(vm *m)
{
    if (m->depth < MAX_DEPTH) {
        m->depth++;
        return true;
    }
    return loam__vm_fail(m, LOAM_ERR_LIMIT, "nested deeper than the limit of %d levels", MAX_DEPTH);
}

void loam__vm_leave(vm *m)
{
    m->depth--;
}

/* ---- text being written ---- */

size_t loam__put_begin(vm *m)
{
    return m->out.n;
}

static void put_marks(vm *m, bool typed, size_t n)
{
    char run[256];
    memset(run, typed, n < sizeof run ? n : sizeof run);
    for (; n > sizeof run; n -= sizeof run)
        loam__buf_add(&m->marks, run, sizeof run);
    loam__buf_add(&m->marks, run, n);
}

void loam__put(vm *m, const char *bytes, size_t n, bool typed)
{
    loam__buf_add(&m->out, bytes, n);
    put_marks(m, typed, n);
}

void loam__put_string(vm *m, const char *s)
{
    loam__put(m, s, strlen(s), false);
}

void loam__put_point(vm *m, int32_t point, bool typed)
{
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char(point, bytes);
    loam__put(m, (const char *)bytes, (size_t)n, typed);
}

void loam__put_part(vm *m, const text *t, size_t from, size_t n)
{
    loam__buf_add(&m->out, t->p + from, n);
    if (t->marks) loam__buf_add(&m->marks, t->marks + from, n);
    else put_marks(m, false, n);
}

void loam__put_text(vm *m, const text *t)
{
    loam__put_part(m, t, 0, t->n);
}

bool loam__put_ok(vm *m)
{
    loam_status st = m->out.status != LOAM_OK ? m->out.status : m->marks.status;
    if (m->status == LOAM_OK && st == LOAM_ERR_LIMIT)
        return loam__vm_fail(m, st, "the text is longer than the limit of %d bytes", MAX_OUTPUT);
    if (m->status == LOAM_OK) m->status = st;
    return m->status == LOAM_OK;
}

bool loam__put_end(vm *m, size_t begin, value *out)
{
    size_t n = m->out.n - begin;
    uint8_t *marks = NULL;
    char *p;
    if (!loam__put_ok(m) || !loam__vm_work(m, n)) return false;
    if (!(p = loam__vm_alloc(m, n))) return false;
    if (n) memcpy(p, m->out.p + begin, n);
    if (n && memchr(m->marks.p + begin, 1, n)) {
        if (!(marks = loam__vm_alloc(m, n))) return false;
        memcpy(marks, m->marks.p + begin, n);
    }
    loam__put_drop(m, begin);
    text *t = loam__text_new(m, p, n, marks);
    if (!t) return false;
    *out = loam__string(t);
    return true;
}

void loam__put_drop(vm *m, size_t begin)
{
    if (m->out.n > begin) m->out.n = begin;
    if (m->marks.n > begin) m->marks.n = begin;
}
