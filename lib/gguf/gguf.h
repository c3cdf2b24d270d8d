/* The GGUF container, checked once and then only looked up (the ggml project's GGUF specification,
 * versions 2 and 3). The public functions of <loam/gguf.h> are thin wrappers over these. */
#ifndef LOAM__GGUF_H
#define LOAM__GGUF_H

#include <loam/gguf.h>

#include "lib/base/base.h"

typedef struct loam__gguf loam__gguf;

/* b is kept. *out is NULL on failure and the text is in b. */
loam_status loam__gguf_open(loam__base *b, const char *path, loam__gguf **out);
loam_status loam__gguf_open_sources(loam__base *b, const loam_source *const *parts, size_t n_parts,
                                    loam__gguf **out);
void loam__gguf_close(loam__gguf *g); /* NULL is fine */

uint32_t loam__gguf_version(const loam__gguf *g);
size_t loam__gguf_parts(const loam__gguf *g);
size_t loam__gguf_meta_count(const loam__gguf *g);
size_t loam__gguf_tensor_count(const loam__gguf *g);
void loam__gguf_meta(const loam__gguf *g, size_t i, loam_gguf_meta *meta);       /* i is valid */
void loam__gguf_tensor(const loam__gguf *g, size_t i, loam_gguf_tensor *tensor); /* i is valid */
int64_t loam__gguf_find_meta(const loam__gguf *g, const char *key); /* -1: none; hashed, O(1) */
int64_t loam__gguf_find_tensor(const loam__gguf *g, const char *name);

/* Element e of entry i; see <loam/gguf.h>. LOAM_ERR_METADATA without a text. */
loam_status loam__gguf_u64(const loam__gguf *g, size_t i, uint64_t e, uint64_t *value);
loam_status loam__gguf_i64(const loam__gguf *g, size_t i, uint64_t e, int64_t *value);
loam_status loam__gguf_f64(const loam__gguf *g, size_t i, uint64_t e, double *value);
loam_status loam__gguf_string(const loam__gguf *g, size_t i, uint64_t e, const char **text,
                              size_t *n); /* O(1) */

/* The strings of entry i, which holds some, one after the other: quicker than by number. The caller
 * takes no more than there are. */
typedef struct loam__strings {
    const uint8_t *at;
} loam__strings;
loam__strings loam__gguf_strings(const loam__gguf *g, size_t i);
const char *loam__strings_next(loam__strings *s, size_t *n);
uint64_t loam__gguf_text_bytes(const loam__gguf *g, size_t i); /* of all of them together */

/* Elements first to first + n of entry i, which has them, as loam__gguf_i64() and _f64() give them.
 * LOAM_ERR_METADATA without a text: one is none or does not fit. */
loam_status loam__gguf_i32s(const loam__gguf *g, size_t i, uint64_t first, size_t n,
                            int32_t *values);
loam_status loam__gguf_f32s(const loam__gguf *g, size_t i, uint64_t first, size_t n, float *values);

/* Scalars by key, for readers of models: absent leaves *value as it is and is LOAM_OK; a wrong type
 * or a value that does not fit is LOAM_ERR_METADATA with a sentence in the container's base. */
loam_status loam__gguf_want_u32(const loam__gguf *g, const char *key, uint32_t *value);
loam_status loam__gguf_want_f32(const loam__gguf *g, const char *key, float *value);
loam_status loam__gguf_want_bool(const loam__gguf *g, const char *key, bool *value);
loam_status loam__gguf_want_string(const loam__gguf *g, const char *key, const char **text,
                                   size_t *n);

/* One part's bytes: data is the whole part in memory, or NULL when it is read through callbacks. */
const uint8_t *loam__gguf_part_data(const loam__gguf *g, size_t part, uint64_t *size_bytes);
/* Tensors were copied elsewhere: their pages, where a file is mapped, leave this process. */
void loam__gguf_forget_tensors(const loam__gguf *g, size_t part);
/* How much of a mapped file the metadata keep in this process. */
uint64_t loam__gguf_header_pages(const loam__gguf *g);
/* Read bytes of a part, from memory or through the host. offset + n is within the part. */
loam_status loam__gguf_read(const loam__gguf *g, size_t part, uint64_t offset, void *buffer,
                            size_t n);

#endif
