/* Loops that multiply and add as fast as an instruction set can: for the roofs. */
#ifndef LOAM_COMMAND_PRODUCTS_H
#define LOAM_COMMAND_PRODUCTS_H

/* Each loop keeps enough sums under way to hide how long one takes, starts them apart so that none
 * is another's copy, and gives the products that it made. KEEP makes a value one that the compiler
 * must compute and knows nothing of. */
#define PASSES        4096
#define CHAINS        12
#define KEEP(kind, v) __asm__ volatile("" : "+" kind(v))

/* Sum c begins as `first`; then `next` of `sum` takes its place, again and again. */
#define RUN_CHAINS(vector, kind, first, next)                                                      \
    do {                                                                                           \
        vector sums[CHAINS];                                                                       \
        for (int c = 0; c < CHAINS; c++)                                                           \
            sums[c] = first;                                                                       \
        for (int i = 0; i < PASSES; i++)                                                           \
            for (int c = 0; c < CHAINS; c++) {                                                     \
                const vector sum = sums[c];                                                        \
                sums[c] = next;                                                                    \
            }                                                                                      \
        for (int c = 0; c < CHAINS; c++) {                                                         \
            KEEP(kind, sums[c]);                                                                   \
        }                                                                                          \
    } while (0)

typedef double products_fn(void);

#if defined(__aarch64__)
double products_dotprod(void);
double products_i8mm(void);
#endif

#endif
