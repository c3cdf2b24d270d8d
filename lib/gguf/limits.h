/* What loam accepts of a header. Each limit is far above real files and keeps a hostile one from
 * costing the host memory or time out of proportion. */
#ifndef LOAM__GGUF_LIMITS_H
#define LOAM__GGUF_LIMITS_H

/* The whole header: the largest vocabularies need about 20 MB. Positions in it fit 32 bits. */
#define LOAM__GGUF_HEADER_MAX ((uint64_t)1 << 30)
/* An embedded tokenizer.json has some 30 MB. */
#define LOAM__GGUF_STRING_MAX ((uint64_t)1 << 26)
/* Real files have under 200 keys. */
#define LOAM__GGUF_KEYS_MAX ((uint64_t)1 << 16)
/* Of all parts together; a large model with one tensor an expert has some 50,000. */
#define LOAM__GGUF_TENSORS_MAX   ((uint64_t)1 << 20)

#define LOAM__GGUF_KEY_MAX       65535u     /* bytes; the specification's number */
#define LOAM__GGUF_NAME_MAX      255u       /* of a tensor; the specification says 64 */
#define LOAM__GGUF_DIMS_MAX      4u         /* the specification's number */
#define LOAM__GGUF_DEPTH_MAX     4u         /* arrays in arrays; no known file has any */
#define LOAM__GGUF_PARTS_MAX     1024u      /* of a split model; real ones have tens */
#define LOAM__GGUF_ALIGN_DEFAULT 32u        /* the specification's, without general.alignment */
#define LOAM__GGUF_ALIGN_MIN     8u         /* the specification asks for a multiple of 8 */
#define LOAM__GGUF_ALIGN_MAX     (1u << 20) /* larger would pad small tensors to megabytes */

#endif
