/* What loam accepts of a header. Each limit is far above real files and keeps a hostile one from
 * costing the host memory or time out of proportion. */
#ifndef LOAM__GGUF_LIMITS_H
#define LOAM__GGUF_LIMITS_H

/* The whole header. The largest vocabularies need about 20 MB; positions in a header fit 32 bits
 * because of it. */
#define LOAM__GGUF_HEADER_MAX ((uint64_t)1 << 30)
#define LOAM__GGUF_STRING_MAX ((uint64_t)1 << 26) /* an embedded tokenizer.json has some 30 MB */
#define LOAM__GGUF_KEYS_MAX   ((uint64_t)1 << 16) /* real files have under 200 */
#define LOAM__GGUF_TENSORS_MAX                                                                     \
    ((uint64_t)1 << 20)                 /* of all parts; one tensor an expert gives some 50,000 */
#define LOAM__GGUF_KEY_MAX       65535u /* bytes; the specification's number */
#define LOAM__GGUF_NAME_MAX      255u /* of a tensor; the specification says 64, some writers more */
#define LOAM__GGUF_DEPTH_MAX     4u   /* arrays in arrays; no known file has any */
#define LOAM__GGUF_DIMS_MAX      4u   /* the specification's number, and loam_gguf_tensor's */
#define LOAM__GGUF_ALIGN_MIN     8u   /* the specification asks for a multiple of 8 */
#define LOAM__GGUF_ALIGN_DEFAULT 32u  /* the specification's, without general.alignment */
#define LOAM__GGUF_ALIGN_MAX     (1u << 20) /* larger pads every small tensor to megabytes */
#define LOAM__GGUF_PARTS_MAX     1024u      /* of a split model; real ones have tens */

#endif
