/* Mutations for the model fuzzer: besides what libFuzzer does with bytes, change one number of the
 * container where it stands: a count, a value of the metadata, a tensor's shape, format or offset,
 * or a number of the weights. So the header stays whole, and the search gets behind its checks. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { STRING = 8, ARRAY = 9, N_TYPES = 13 };

static const uint8_t value_bytes[N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

#define PLACES_MAX 4096u

typedef struct place {
    size_t at;
    uint8_t bytes, is_float;
} place;

typedef struct walk {
    const uint8_t *p;
    size_t n, at;
    int broken;
    uint32_t n_places;
    place places[PLACES_MAX];
} walk;

static uint64_t number(walk *w, uint8_t bytes, uint8_t is_float)
{
    uint64_t value = 0;
    if (w->broken || bytes > w->n - w->at) {
        w->broken = 1;
        return 0;
    }
    memcpy(&value, w->p + w->at, bytes);
    if (w->n_places < PLACES_MAX) w->places[w->n_places++] = (place){w->at, bytes, is_float};
    w->at += bytes;
    return value;
}

static void text(walk *w)
{
    uint64_t n = number(w, 8, 0);
    if (n > w->n - w->at) w->broken = 1;
    else w->at += (size_t)n;
}

static void values(walk *w, uint32_t type, uint64_t count)
{
    if (type == ARRAY || type >= N_TYPES) w->broken = 1;
    for (uint64_t i = 0; i < count && !w->broken; i++) {
        if (type == STRING) text(w);
        else number(w, value_bytes[type], type == 6 || type == 12);
    }
}

static void header(walk *w)
{
    w->at = 8; /* magic and version stay */
    if (w->n < 24) w->broken = 1;
    uint64_t tensors = number(w, 8, 0), entries = number(w, 8, 0);
    for (uint64_t i = 0; i < entries && !w->broken; i++) {
        text(w);
        uint32_t type = (uint32_t)number(w, 4, 0);
        uint64_t count = 1;
        if (type == ARRAY) {
            type = (uint32_t)number(w, 4, 0);
            count = number(w, 8, 0);
        }
        values(w, type, count);
    }
    for (uint64_t i = 0; i < tensors && !w->broken; i++) {
        text(w);
        uint32_t dims = (uint32_t)number(w, 4, 0);
        for (uint32_t d = 0; d < dims && !w->broken; d++)
            number(w, 8, 0);
        number(w, 4, 0);
        number(w, 8, 0);
    }
}

static uint32_t draw(uint64_t *state, uint32_t below) /* Knuth's MMIX generator */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % below;
}

static uint64_t some_float(uint64_t *state, uint8_t bytes)
{
    static const float odd[] = {0.0f,     -0.0f, 1e-45f, -1e-45f,    1e-38f, 3.4e38f,
                                -3.4e38f, 1.0f,  -1.0f,  1.0000001f, 1e9f,   0.5f};
    uint32_t i = draw(state, 15), bits = i == 12   ? 0x7f800000u
                                         : i == 13 ? 0xff800000u
                                                   : 0x7fc00000u;
    uint64_t value = 0;
    if (i < 12) memcpy(&bits, &odd[i], sizeof bits);
    float f;
    memcpy(&f, &bits, sizeof f);
    double d = f;
    if (bytes == 8) memcpy(&value, &d, sizeof d);
    else value = bits;
    return value;
}

static uint64_t some_integer(uint64_t *state, uint64_t old)
{
    static const uint64_t odd[] = {0,
                                   1,
                                   2,
                                   3,
                                   4,
                                   8,
                                   31,
                                   32,
                                   33,
                                   64,
                                   255,
                                   256,
                                   65535,
                                   65536,
                                   1u << 20,
                                   1u << 28,
                                   INT32_MAX,
                                   UINT32_MAX,
                                   (uint64_t)1 << 40,
                                   INT64_MAX,
                                   UINT64_MAX};
    switch (draw(state, 5)) {
    case 0:
        return old + 1;
    case 1:
        return old - 1;
    case 2:
        return old * 2;
    case 3:
        return old ^ (uint64_t)1 << draw(state, 64);
    default:
        return odd[draw(state, sizeof odd / sizeof *odd)];
    }
}

/* A number of the weights: a float, a half, or a block's scale. */
static place some_weight(const walk *w, uint64_t *state)
{
    uint8_t bytes = draw(state, 2) ? 4 : 2;
    size_t left = (w->n - w->at) / bytes;
    return (place){w->at + bytes * (size_t)draw(state, left > 1 ? (uint32_t)left : 1), bytes, 1};
}

static void change_one(uint8_t *data, const walk *w, uint64_t *state)
{
    static const uint16_t odd_halves[] = {0x7c00, 0xfc00, 0x7e00, 0x7bff, 1, 0, 0x8000, 0x3c00};
    place at = draw(state, 3) == 0 ? some_weight(w, state) : w->places[draw(state, w->n_places)];
    uint64_t value = 0;
    memcpy(&value, data + at.at, at.bytes);
    if (at.is_float && at.bytes == 2) value = odd_halves[draw(state, 8)];
    else if (at.is_float) value = some_float(state, at.bytes);
    else value = some_integer(state, value);
    memcpy(data + at.at, &value, at.bytes);
}

/* Change a number everywhere: a width stands in the metadata and in the shapes of many tensors. */
static void change_all(uint8_t *data, const walk *w, uint64_t *state)
{
    const place *like = &w->places[draw(state, w->n_places)];
    uint64_t old = 0, value, by = 1 + draw(state, 70);
    memcpy(&old, data + like->at, like->bytes);
    value = draw(state, 2) ? by : old > by ? old - by : old + by;
    for (uint32_t i = 0; i < w->n_places; i++) {
        const place *at = &w->places[i];
        uint64_t found = 0;
        if (at->is_float || at->bytes < 4) continue;
        memcpy(&found, data + at->at, at->bytes);
        if (found == old && draw(state, 16)) memcpy(data + at->at, &value, at->bytes);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    static walk w; /* too large for a stack; the fuzzer has one thread */
    uint64_t state = seed;
    if (draw(&state, 4) == 0) return LLVMFuzzerMutate(data, size, max_size);
    w = (walk){.p = data, .n = size};
    header(&w);
    if (w.broken || w.n_places == 0 || w.n - w.at < 8)
        return LLVMFuzzerMutate(data, size, max_size);
    if (draw(&state, 8) == 0) { /* another way to load it */
        data[size - 1] = (uint8_t)draw(&state, 128);
        return size;
    }
    if (draw(&state, 3) == 0) change_all(data, &w, &state);
    else
        for (uint32_t n = 1 + draw(&state, 3); n > 0; n--)
            change_one(data, &w, &state);
    return size;
}
