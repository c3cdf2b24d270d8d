/* gguf.h - read and check a GGUF container (versions 2 and 3, little-endian; the ggml project's
 * GGUF specification).
 *
 * Everything is checked when it is opened; afterwards every accessor is a plain look-up. Only the
 * header is read. */
#ifndef LOAM_GGUF_H
#define LOAM_GGUF_H

#include <loam/loam.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct loam_gguf loam_gguf;

/* Types of metadata values; the numbers are the file's. */
enum {
    LOAM_META_U8 = 0,
    LOAM_META_I8 = 1,
    LOAM_META_U16 = 2,
    LOAM_META_I16 = 3,
    LOAM_META_U32 = 4,
    LOAM_META_I32 = 5,
    LOAM_META_F32 = 6,
    LOAM_META_BOOL = 7,
    LOAM_META_STRING = 8,
    LOAM_META_ARRAY = 9,
    LOAM_META_U64 = 10,
    LOAM_META_I64 = 11,
    LOAM_META_F64 = 12
};

/* Open a container. A name that ends in -00001-of-0000N.gguf brings its other parts along.
 *
 * path     borrowed; hooks borrowed, may be NULL, its members are kept
 * out      owned, also on failure (it carries the text); NULL only as with loam_load(). Free it
 *          with loam_gguf_close().
 * Errors   LOAM_ERR_ARG, NOMEM, IO, NOT_FOUND, DIRECTORY, EMPTY, MAGIC, VERSION, ENDIAN, TRUNCATED,
 *          CORRUPT, LIMIT
 * Threads  any; one handle may be read from many threads at once
 * Since    0.1 */
LOAM_API loam_status loam_gguf_open(const char *path, const loam_hooks *hooks, loam_gguf **out);

/* The same from sources, one or the parts of a split model in order; see loam_load_sources(). */
LOAM_API loam_status loam_gguf_open_sources(const loam_source *const *parts, size_t n_parts,
                                            const loam_hooks *hooks, loam_gguf **out);

/* Why opening it failed, as a sentence, or ""; and the end of it: NULL is fine in both.
 * Since    0.1 */
LOAM_API const char *loam_gguf_error(const loam_gguf *g);
LOAM_API void loam_gguf_close(loam_gguf *g);

/* The format's version, and how many files, metadata entries and tensors there are.
 * Since    0.1 */
LOAM_API uint32_t loam_gguf_version(const loam_gguf *g);
LOAM_API size_t loam_gguf_parts(const loam_gguf *g);
LOAM_API size_t loam_gguf_meta_count(const loam_gguf *g);
LOAM_API size_t loam_gguf_tensor_count(const loam_gguf *g);

typedef struct loam_gguf_meta {
    uint32_t struct_size; /* set by loam_gguf_meta_init() */
    int32_t type;         /* LOAM_META_* */
    int32_t element_type; /* of an array's elements; else as type */
    uint32_t reserved;
    uint64_t count;  /* elements of an array; else 1 */
    const char *key; /* ends in NUL; lives as long as the handle */
    const void *reserved_pointer;
} loam_gguf_meta; /* 0.1 ends here */

typedef struct loam_gguf_tensor {
    uint32_t struct_size; /* set by loam_gguf_tensor_init() */
    loam_format type;
    uint32_t n_dims;       /* 1 to 4 */
    uint32_t part;         /* which part of a split model holds it */
    uint64_t dims[4];      /* dims[0] is the row's length in values; 1 beyond n_dims */
    uint64_t offset_bytes; /* from the start of that part */
    uint64_t size_bytes;
    const char *name; /* ends in NUL; lives as long as the handle */
    const void *data; /* its bytes, NULL where the part is read through callbacks */
} loam_gguf_tensor;   /* 0.1 ends here */

LOAM_API void loam_gguf_meta_init(loam_gguf_meta *meta);
LOAM_API void loam_gguf_tensor_init(loam_gguf_tensor *tensor);

/* Describe entry i, in the order of the file.
 * Errors   LOAM_ERR_ARG (no such entry), LOAM_ERR_NEWER */
LOAM_API loam_status loam_gguf_get_meta(const loam_gguf *g, size_t i, loam_gguf_meta *meta);
LOAM_API loam_status loam_gguf_get_tensor(const loam_gguf *g, size_t i, loam_gguf_tensor *tensor);

/* The index of a key or of a tensor, or -1. */
LOAM_API int64_t loam_gguf_find_meta(const loam_gguf *g, const char *key);
LOAM_API int64_t loam_gguf_find_tensor(const loam_gguf *g, const char *name);

/* Read element e (0 for a scalar) of metadata entry i. Integers and booleans convert to i64 and u64
 * if they fit, every number to f64. Strings are borrowed from the container, have a length and may
 * hold NUL bytes.
 * Errors   LOAM_ERR_ARG (no such entry or element), LOAM_ERR_METADATA (another type, or it does not
 *          fit) */
LOAM_API loam_status loam_gguf_get_u64(const loam_gguf *g, size_t i, uint64_t e, uint64_t *value);
LOAM_API loam_status loam_gguf_get_i64(const loam_gguf *g, size_t i, uint64_t e, int64_t *value);
LOAM_API loam_status loam_gguf_get_f64(const loam_gguf *g, size_t i, uint64_t e, double *value);
LOAM_API loam_status loam_gguf_get_string(const loam_gguf *g, size_t i, uint64_t e,
                                          const char **text, size_t *n);

#ifdef __cplusplus
}
#endif
#endif
