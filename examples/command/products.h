/* Loops that multiply and add as fast as an instruction set can: for the roofs. */
#ifndef LOAM_COMMAND_PRODUCTS_H
#define LOAM_COMMAND_PRODUCTS_H

/* Each loop keeps enough sums under way to hide how long one takes, starts them apart so that none
 * is another's copy, and gives the products that it made. KEEP makes a value one that the compiler
 * must compute and knows nothing of. */
#define PASSES        4096
#define CHAINS        12
#define KEEP(kind, v) __asm__ volatile("" : "+" kind(v))

typedef double products_fn(void);

#if defined(__aarch64__)
double products_dotprod(void);
double products_i8mm(void);
#endif

#endif
