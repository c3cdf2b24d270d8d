/* libFuzzer target: any bytes as a container, from memory and through callbacks, which must agree;
 * then all of it is walked. tests/test_gguf.c runs it over its corpus and over damaged files. */
#include <loam/gguf.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct fuzz_bytes {
    const uint8_t *p;
    size_t n;
} fuzz_bytes;

static int32_t fuzz_read(void *ctx, uint64_t offset, void *buffer, size_t n)
{
    const fuzz_bytes *bytes = ctx;
    if (offset > bytes->n || n > bytes->n - offset) abort(); /* loam asks beyond the end */
    memcpy(buffer, bytes->p + offset, n);
    return 0;
}

static void require(int holds)
{
    if (!holds) abort();
}

/* Every byte of every value is touched, so that a sanitizer sees one that is not the container's.
 */
static uint64_t walk_meta(const loam_gguf *g, size_t i)
{
    uint64_t sum = 0, u;
    int64_t s;
    double d;
    const char *text;
    size_t n;
    loam_gguf_meta meta;
    loam_gguf_meta_init(&meta);
    require(loam_gguf_get_meta(g, i, &meta) == LOAM_OK);
    require(loam_gguf_find_meta(g, meta.key) == (int64_t)i);
    for (uint64_t e = 0; e < meta.count; e++) {
        if (loam_gguf_get_u64(g, i, e, &u) == LOAM_OK) sum += u;
        if (loam_gguf_get_i64(g, i, e, &s) == LOAM_OK) sum += (uint64_t)s;
        if (loam_gguf_get_f64(g, i, e, &d) == LOAM_OK) sum += d > 0;
        if (loam_gguf_get_string(g, i, e, &text, &n) != LOAM_OK) continue;
        for (size_t k = 0; k < n; k++)
            sum += (unsigned char)text[k];
    }
    require(loam_gguf_get_u64(g, i, meta.count, &u) == LOAM_ERR_ARG);
    return sum;
}

static uint64_t walk_tensor(const loam_gguf *g, size_t i, size_t size)
{
    loam_gguf_tensor tensor;
    loam_gguf_tensor_init(&tensor);
    require(loam_gguf_get_tensor(g, i, &tensor) == LOAM_OK);
    require(loam_gguf_find_tensor(g, tensor.name) == (int64_t)i);
    require(tensor.n_dims >= 1 && tensor.n_dims <= 4 && tensor.size_bytes > 0);
    require(tensor.offset_bytes < size && tensor.size_bytes <= size - tensor.offset_bytes);
    const uint8_t *data = tensor.data;
    return data ? (uint64_t)data[0] + data[tensor.size_bytes - 1] : 0;
}

static loam_status open_and_walk(const loam_source *source, uint64_t *sum)
{
    loam_gguf *g;
    loam_status st = loam_gguf_open_sources(&source, 1, NULL, &g);
    require(g != NULL && (st == LOAM_OK || loam_gguf_error(g)[0] != 0));
    for (size_t i = 0; i < loam_gguf_meta_count(g); i++)
        *sum += walk_meta(g, i);
    for (size_t i = 0; i < loam_gguf_tensor_count(g); i++)
        walk_tensor(g, i, (size_t)source->size_bytes);
    loam_gguf_close(g);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t from_memory = 0, from_callback = 0;
    fuzz_bytes bytes = {data, size};
    loam_source source;
    if (size == 0) return 0; /* data may be NULL */
    loam_source_init(&source);
    source.size_bytes = size;
    source.data = data;
    loam_status st = open_and_walk(&source, &from_memory);
    source.data = NULL;
    source.ctx = &bytes;
    source.read = fuzz_read;
    require(open_and_walk(&source, &from_callback) == st && from_memory == from_callback);
    return 0;
}
