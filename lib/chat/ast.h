/* Tokens, and the tree that the parser makes of them. Private to lib/chat. */
#ifndef LOAM__CHAT_AST_H
#define LOAM__CHAT_AST_H

#include "value.h"

typedef enum token_kind {
    TOKEN_END,
    TOKEN_DATA,
    TOKEN_PRINT_BEGIN,
    TOKEN_PRINT_END,
    TOKEN_BLOCK_BEGIN,
    TOKEN_BLOCK_END,
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_ADD,
    TOKEN_SUB,
    TOKEN_MUL,
    TOKEN_DIV,
    TOKEN_FLOORDIV,
    TOKEN_MOD,
    TOKEN_POW,
    TOKEN_TILDE,
    TOKEN_EQ,
    TOKEN_NE,
    TOKEN_LT,
    TOKEN_LE,
    TOKEN_GT,
    TOKEN_GE,
    TOKEN_ASSIGN,
    TOKEN_DOT,
    TOKEN_COLON,
    TOKEN_COMMA,
    TOKEN_SEMICOLON,
    TOKEN_PIPE,
    TOKEN_LPAREN,
    TOKEN_RPAREN,
    TOKEN_LBRACKET,
    TOKEN_RBRACKET,
    TOKEN_LBRACE,
    TOKEN_RBRACE,
} token_kind;

typedef struct token {
    token_kind kind;
    uint32_t line;
    const text *name; /* interned, of a NAME */
    value value;      /* of DATA, STRING and NUMBER */
} token;

typedef struct lexer {
    vm *m;
    const char *p; /* the source with \n line ends and without the last of them */
    size_t n, at;
    uint32_t line;
    enum { LEX_DATA, LEX_PRINT, LEX_BLOCK } state;
    bool line_starting;          /* what came before ended with a line end */
    char open[MAX_SOURCE_DEPTH]; /* brackets that are open in this tag */
    size_t n_open;
} lexer;

bool loam__lex_init(lexer *lex, vm *m, const char *source, size_t n);
bool loam__lex(lexer *lex, token *out);
const char *loam__token_name(const token *t);

/* What a node's members mean, by its kind. `next` chains the nodes of a list; "list" below is the
 * first of one. */
typedef enum node_kind {
    /* expressions */
    NODE_CONST,   /* constant */
    NODE_NAME,    /* name */
    NODE_LIST,    /* a: list */
    NODE_TUPLE,   /* a: list */
    NODE_DICT,    /* a: list of PAIR */
    NODE_NOT,     /* a */
    NODE_NEG,     /* a */
    NODE_POS,     /* a */
    NODE_BINARY,  /* op a b */
    NODE_AND,     /* a b */
    NODE_OR,      /* a b */
    NODE_COMPARE, /* a; b: list of OPERAND */
    NODE_CONCAT,  /* a: list */
    NODE_COND,    /* a: test, b: if so, c: else or NULL */
    NODE_ATTR,    /* a . name */
    NODE_ITEM,    /* a [ b ] */
    NODE_SLICED,  /* a [ b : c : d ], each may be NULL */
    NODE_CALL,    /* a ( b: list of ARG ) */
    NODE_FILTER,  /* a, or NULL for what a block gives; builtin or, unknown, NULL; name; b: list of
                     ARG */
    NODE_TEST,    /* the same */
    /* statements */
    NODE_DATA,  /* constant */
    NODE_PRINT, /* a */
    NODE_IF,    /* a: test, b: body, c: else, or with its flag the IF of an elif */
    NODE_FOR, /* a: target, b: iterable, c: body, d: else, e: condition or NULL; flag: recursive */
    NODE_SET, /* a: target, b: value */
    NODE_SET_BLOCK,  /* a: target, b: body, c: filters or NULL */
    NODE_MACRO,      /* name, a: list of PARAM, b: body; uses_*; also the body of a call block, then
                        without name */
    NODE_CALL_BLOCK, /* a: CALL, b: MACRO */
    NODE_FILTER_BLOCK, /* b: body, c: filters */
    NODE_WITH,         /* a: list of SET, b: body */
    NODE_SCOPE,        /* b: body */
    NODE_BREAK,
    NODE_CONTINUE,
    /* parts */
    NODE_PAIR,    /* a : b */
    NODE_OPERAND, /* op a */
    NODE_ARG,     /* a; name: of a keyword argument, else NULL; op: ARG_* */
    NODE_PARAM,   /* name; a: default or NULL */
} node_kind;

enum { ARG_PLAIN, ARG_LIST, ARG_DICT };

typedef enum node_op {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN,
} node_op;

typedef struct node {
    uint8_t kind, op;
    bool flag;
    bool uses_caller, uses_varargs, uses_kwargs;
    uint32_t line;
    const text *name;
    struct node *a, *b, *c, *d, *e, *next;
    value constant;
    const struct builtin *builtin;
} node;

/* The list of a template's statements. */
bool loam__parse(vm *m, const char *source, size_t n, node **out);

#endif
