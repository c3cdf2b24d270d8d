/* Spaces that a tokenizer's decoder takes away, in three passes over the text: before ?!., then
 * around a lone apostrophe, then before 's 'm 're 've. Each pass holds back only what it has yet to
 * decide on. */
#include "vocab.h"

static void third(loam__cleaner *c, char x)
{
    /* held_3: 0 nothing, 1 a space, 2 space and apostrophe, 3 the letter r or v after these */
    if (c->held_3 == 3) {
        if (x != 'e') loam__sink_add(&c->out, ' ');
        loam__sink_add(&c->out, '\'');
        loam__sink_add(&c->out, c->letter);
    } else if (c->held_3 == 2) {
        if (x == 'r' || x == 'v') {
            c->letter = x;
            c->held_3 = 3;
            return;
        }
        if (x != 's' && x != 'm') loam__sink_add(&c->out, ' ');
        loam__sink_add(&c->out, '\'');
    } else if (c->held_3 == 1) {
        if (x == '\'') {
            c->held_3 = 2;
            return;
        }
        loam__sink_add(&c->out, ' ');
    }
    c->held_3 = x == ' ';
    if (x != ' ') loam__sink_add(&c->out, x);
}

static void second(loam__cleaner *c, char x)
{
    /* held_2: 0 nothing, 1 a space, 2 space and apostrophe */
    if (c->held_2 == 2) {
        c->held_2 = 0;
        if (x == ' ') {
            third(c, '\'');
            return;
        }
        third(c, ' ');
        third(c, '\'');
    } else if (c->held_2 == 1) {
        if (x == '\'') {
            c->held_2 = 2;
            return;
        }
        third(c, ' ');
    }
    c->held_2 = x == ' ';
    if (x != ' ') third(c, x);
}

void loam__clean_push(loam__cleaner *c, char x)
{
    if (c->held_1 && x != '?' && x != '!' && x != '.' && x != ',') second(c, ' ');
    c->held_1 = x == ' ';
    if (x != ' ') second(c, x);
}

void loam__clean_end(loam__cleaner *c)
{
    if (c->held_1) second(c, ' ');
    if (c->held_2) third(c, ' ');
    if (c->held_2 == 2) third(c, '\'');
    if (c->held_3) loam__sink_add(&c->out, ' ');
    if (c->held_3 >= 2) loam__sink_add(&c->out, '\'');
    if (c->held_3 == 3) loam__sink_add(&c->out, c->letter);
}
