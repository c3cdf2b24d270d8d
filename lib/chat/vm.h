/* One rendering: its limits, its memory, its errors and the text it writes. Private to lib/chat. */
#ifndef LOAM__CHAT_VM_H
#define LOAM__CHAT_VM_H

#include "lib/base/base.h"

/* A template may come from a stranger's file, so everything it can make grow has an end. Recursion
 * in C costs less than 500 bytes of stack a level, so that MAX_DEPTH levels fit a thread of 512
 * KiB, as do the parser's (a test runs them). */
enum {
    MAX_SOURCE_DEPTH = 150, /* blocks, brackets and operators inside each other */
    MAX_JSON_DEPTH = 200,   /* arrays and objects inside each other */
    MAX_DEPTH = 800,        /* evaluations inside each other, and values inside values */
    MAX_RANGE = 100000,     /* numbers in a range(), as Jinja's sandbox has it */
    MAX_STEPS = 100000000,  /* expressions and statements evaluated, long strings counting more */
    MAX_OUTPUT = 64 << 20,  /* bytes being written, macros and set blocks included */
    MAX_MEMORY = 256 << 20, /* bytes of values */
};

typedef struct vm {
    loam__base *base;
    loam__arena arena;
    loam__buf out, marks; /* see "text being written"; marks: one byte for each of out */
    loam_status status;   /* once it is bad, everything returns as fast as it can */
    uint32_t line;        /* of the template, for messages; 0: not in it yet */
    uint32_t depth;
    uint32_t steps;
    const uint8_t *ones;     /* marks of any string of the JSON: as many ones as it has bytes */
    struct dict *names;      /* interned, so that equal names are one pointer */
    const struct text *loop; /* that name, interned */
    struct dict *context;    /* the variables given */
    struct scope *scope;     /* the innermost, while evaluating */
    struct value *piped;     /* what a filter block or a filtered set block filters */
    struct value *caller;    /* the body of a call block, for the call that comes next */
} vm;

void loam__vm_init(vm *m, loam__base *b);
void loam__vm_free(vm *m);

/* Fail with a sentence that begins with the line; always false. raise: LOAM_ERR_TEMPLATE. */
bool loam__vm_fail(vm *m, loam_status status, const char *format, ...) LOAM__PRINTF(3, 4);
bool loam__vm_raise(vm *m, const char *format, ...) LOAM__PRINTF(2, 3);

void *loam__vm_alloc(vm *m, size_t n); /* zeroed; NULL has failed the vm */
void *loam__vm_alloc_array(vm *m, size_t count, size_t size);

/* Count what takes time: single steps, bytes that are copied or compared at once, bytes that are
 * looked at one by one. False when MAX_STEPS are used up. */
bool loam__vm_steps(vm *m, size_t n);
bool loam__vm_work(vm *m, size_t bytes);
bool loam__vm_read(vm *m, size_t bytes);

/* Every recursion in C is between these two. */
bool loam__vm_enter(vm *m);
void loam__vm_leave(vm *m);

/* ---- text being written ----
 * What is rendered, what macros and blocks give and every string that a filter builds is written to
 * the end of one buffer: the innermost text is finished first, cut off and made a value. */
struct text;
struct value;
size_t loam__put_begin(vm *m);
void loam__put(vm *m, const char *bytes, size_t n, bool typed);
void loam__put_string(vm *m, const char *s); /* of the template's own */
void loam__put_point(vm *m, int32_t point, bool typed);
void loam__put_text(vm *m, const struct text *t);
void loam__put_part(vm *m, const struct text *t, size_t from, size_t n);
bool loam__put_ok(vm *m); /* false: there was no room; the vm has failed */
bool loam__put_end(vm *m, size_t begin, struct value *out);
void loam__put_drop(vm *m, size_t begin);

#endif
