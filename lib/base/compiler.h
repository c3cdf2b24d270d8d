/* What differs between compilers; nothing else in the tree asks which one it is. */
#ifndef LOAM__COMPILER_H
#define LOAM__COMPILER_H

#if defined(__GNUC__)
#define LOAM__PRINTF(text, first)  __attribute__((format(printf, text, first)))
#define LOAM__INLINE               static inline __attribute__((always_inline))
#define LOAM__PREFETCH(address)    __builtin_prefetch(address)
#define LOAM__PREFETCH_L2(address) __builtin_prefetch(address, 0, 2) /* and no nearer */
#else
#define LOAM__PRINTF(text, first)
#define LOAM__INLINE               static inline
#define LOAM__PREFETCH(address)    ((void)(address))
#define LOAM__PREFETCH_L2(address) ((void)(address))
#endif

#endif
